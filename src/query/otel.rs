//! A trace as OpenTelemetry spans, for `ListRetrievedTraces` with `TraceFormat: OTEL`.
//!
//! X-Ray gives a JSON object for each span and does not document its members. Here they are those of OTLP's JSON form
//! (opentelemetry-proto, `trace.proto`), with the resource of the span beside them and attributes as one object, named by
//! OpenTelemetry's semantic conventions; what has no name there keeps X-Ray's, behind `aws.xray.`.

use super::id::SegmentId;
use super::json::{number, object, text};
use super::trace::{Part, Trace};
use crate::segment::Kind;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A span, as X-Ray writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Span {
    /// 16 hex digits.
    pub id: String,
    /// JSON, in a text.
    pub document: String,
}

impl Trace {
    /// A span for each segment and subsegment that has an id, each before those below it.
    pub fn spans(&self) -> Vec<Span> {
        let trace_id = format!("{:032x}", self.id().0);
        let parts = self.segments().chain(self.orphans()).flat_map(Part::all);
        let span = |part: Part<'_>| {
            let id = part.id()?;
            Some(Span { id: id.to_string(), document: span(&trace_id, id, part).to_string() })
        };
        parts.filter_map(span).collect()
    }
}

fn span(trace_id: &str, id: SegmentId, part: Part<'_>) -> Value {
    let mut span = json!({
        "traceId": trace_id,
        "spanId": id.to_string(),
        "name": part.name(),
        "kind": kind(part),
        "startTimeUnixNano": nanoseconds(part.start()),
        "status": status(part),
        "attributes": attributes(part),
        "resource": { "attributes": resource(part) },
    });
    if let Some(parent) = part.parent_id() {
        span["parentSpanId"] = parent.to_string().into();
    }
    if let Some(end) = part.end() {
        span["endTimeUnixNano"] = nanoseconds(end);
    }
    if let Some(events) = events(part) {
        span["events"] = events;
    }
    span
}

/// A segment is what was asked of a service, a call what it asked of another.
fn kind(part: Part<'_>) -> &'static str {
    match (part.kind(), part.callee()) {
        (Kind::Segment, _) => "SERVER",
        (Kind::Subsegment, Some(_)) => "CLIENT",
        (Kind::Subsegment, None) => "INTERNAL",
    }
}

/// In text, as OTLP writes whole numbers of 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "a time that does not fit is as wrong as it was")]
fn nanoseconds(seconds: f64) -> Value {
    // Microseconds are what a number of seconds since 1970 has.
    Value::String(((seconds * 1e6).round() as i64).saturating_mul(1000).to_string())
}

fn status(part: Part<'_>) -> Value {
    if part.outcome().is_ok() { json!({ "code": "UNSET" }) } else { json!({ "code": "ERROR" }) }
}

/// Where each field of a document goes.
const FIELDS: [(&[&str], &str); 16] = [
    (&["http", "request", "method"], "http.request.method"),
    (&["http", "request", "url"], "url.full"),
    (&["http", "request", "user_agent"], "user_agent.original"),
    (&["http", "request", "client_ip"], "client.address"),
    (&["http", "response", "status"], "http.response.status_code"),
    (&["http", "response", "content_length"], "http.response.body.size"),
    (&["user"], "enduser.id"),
    (&["sql", "sanitized_query"], "db.query.text"),
    (&["sql", "database_type"], "db.system.name"),
    (&["sql", "user"], "db.user"),
    (&["aws", "operation"], "rpc.method"),
    (&["aws", "region"], "cloud.region"),
    (&["aws", "request_id"], "aws.request_id"),
    (&["aws", "table_name"], "aws.dynamodb.table_names"),
    (&["aws", "bucket_name"], "aws.s3.bucket"),
    (&["aws", "queue_url"], "aws.sqs.queue.url"),
];

fn attributes(part: Part<'_>) -> Map<String, Value> {
    let fields = part.fields();
    let mut attributes = Map::new();
    for (path, name) in FIELDS {
        let (last, above) = path.split_last().expect("no path is empty");
        let inside = above.iter().try_fold(fields, |fields, key| object(fields, key));
        if let Some(value) = inside.and_then(|fields| fields.get(*last)).filter(|value| !value.is_null()) {
            attributes.insert(name.to_owned(), value.clone());
        }
    }
    for (key, value) in object(fields, "annotations").into_iter().flatten() {
        attributes.insert(key.clone(), value.clone());
    }
    for (key, value) in object(fields, "metadata").into_iter().flatten() {
        attributes.insert(format!("aws.xray.metadata.{key}"), value.clone());
    }
    for flag in ["error", "fault", "throttle"] {
        if fields.get(flag).and_then(Value::as_bool) == Some(true) {
            attributes.insert(format!("aws.xray.{flag}"), Value::Bool(true));
        }
    }
    attributes
}

fn resource(part: Part<'_>) -> Map<String, Value> {
    let mut resource = Map::new();
    if let Some(segment) = part.segment() {
        resource.insert("service.name".to_owned(), segment.name().into());
        let fields = segment.fields();
        let version = object(fields, "service").and_then(|service| text(service, "version"));
        for (name, value) in [("service.version", version), ("cloud.platform", text(fields, "origin"))] {
            if let Some(value) = value {
                resource.insert(name.to_owned(), value.into());
            }
        }
    }
    resource
}

/// Exceptions are events of the moment the span ended.
fn events(part: Part<'_>) -> Option<Value> {
    let exceptions = object(part.fields(), "cause")?.get("exceptions")?.as_array()?;
    let at = nanoseconds(part.end().unwrap_or_else(|| part.start()));
    let event = |exception: &Map<String, Value>| {
        json!({
            "name": "exception",
            "timeUnixNano": at,
            "attributes": {
                "exception.type": text(exception, "type").unwrap_or_default(),
                "exception.message": text(exception, "message").unwrap_or_default(),
                "exception.stacktrace": stack(exception),
            },
        })
    };
    let events: Vec<_> = exceptions.iter().filter_map(Value::as_object).map(event).collect();
    (!events.is_empty()).then_some(Value::Array(events))
}

/// One frame in each line.
fn stack(exception: &Map<String, Value>) -> String {
    let frames = exception.get("stack").and_then(Value::as_array).into_iter().flatten();
    let frame = |frame: &Map<String, Value>| {
        let [label, path] = ["label", "path"].map(|key| text(frame, key).unwrap_or_default());
        let line = number(frame, "line").map(|line| format!(":{line}")).unwrap_or_default();
        format!("{label} ({path}{line})")
    };
    frames.filter_map(Value::as_object).map(frame).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Stored, TraceId};

    #[test]
    fn segments_and_subsegments_become_spans_that_name_their_parents() {
        let document = json!({ "name": "api", "id": "000000000000000a", "parent_id": "00000000000000ff",
            "trace_id": "1-581cf771-a006649127e371903a2de979", "start_time": 1.5e9, "end_time": 1_500_000_000.25,
            "origin": "AWS::ECS::Container", "fault": true, "annotations": { "tenant": "a" },
            "http": { "request": { "method": "GET" }, "response": { "status": 500 } },
            "subsegments": [{ "name": "work", "id": "000000000000000b", "start_time": 1.5e9, "in_progress": true,
                "cause": { "exceptions": [{ "type": "E", "message": "m",
                    "stack": [{ "path": "a.py", "line": 3, "label": "f" }] }] } }] });
        let stored = Stored { sequence: 1, received_at: 0.0, document: document.to_string().into() };
        let id = TraceId::parse("1-581cf771-a006649127e371903a2de979").unwrap();
        let spans = Trace::assemble(id, vec![stored]).spans();
        let read: Vec<Value> =
            spans.iter().map(|span| serde_json::from_str(&span.document).unwrap()).collect();
        assert_eq!(spans[1].id, "000000000000000b");
        assert_eq!(
            read[0],
            json!({ "traceId": "581cf771a006649127e371903a2de979", "spanId": "000000000000000a",
                "parentSpanId": "00000000000000ff", "name": "api", "kind": "SERVER",
                "startTimeUnixNano": "1500000000000000000", "endTimeUnixNano": "1500000000250000000",
                "status": { "code": "ERROR" },
                "attributes": { "http.request.method": "GET", "http.response.status_code": 500, "tenant": "a",
                    "aws.xray.fault": true },
                "resource": { "attributes": { "service.name": "api", "cloud.platform": "AWS::ECS::Container" } } })
        );
        assert_eq!(
            (&read[1]["parentSpanId"], &read[1]["kind"]),
            (&json!("000000000000000a"), &json!("INTERNAL"))
        );
        assert_eq!(read[1]["events"][0]["attributes"]["exception.stacktrace"], "f (a.py:3)");
        assert!(read[1].get("endTimeUnixNano").is_none(), "it is in progress");
    }
}
