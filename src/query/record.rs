//! What is taken from a document when it is received, to be kept beside it.
//!
//! The store keeps records as columns, so that a million segments can be asked without reading their documents.

use super::callee::{Callee, is_aws};
use super::id::{SegmentId, TraceId};
use super::json::{number, object, status, subsegments, text};
use super::row::{Annotation, Call, Outcome, Row};
use crate::segment::{Document, Kind};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Deepest nesting of subsegments that is followed. JSON itself ends at 128.
const DEPTH_MAX: usize = 128;

/// An owned [`Row`].
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of Row, which has their meaning")]
pub struct Record {
    pub trace_id: TraceId,
    pub id: SegmentId,
    pub parent_id: Option<SegmentId>,
    pub kind: Kind,
    /// Given by the store.
    pub sequence: u64,
    /// Given by the store.
    pub received_at: f64,
    pub start: f64,
    pub end: Option<f64>,
    pub outcome: Outcome,
    pub status: Option<i32>,
    pub name: Box<str>,
    pub origin: Option<Box<str>>,
    pub account_id: Option<Box<str>>,
    pub url: Option<Box<str>>,
    pub method: Option<Box<str>>,
    pub user_agent: Option<Box<str>>,
    pub client_ip: Option<Box<str>>,
    pub user: Option<Box<str>>,
    pub availability_zone: Option<Box<str>>,
    pub instance_id: Option<Box<str>>,
    pub resource_arn: Option<Box<str>>,
    pub annotations: Box<str>,
    pub calls: Box<str>,
    pub locals: Box<str>,
}

impl Record {
    /// The record of a document. `sequence` and `received_at` (seconds since 1970) are the store's.
    pub fn of(document: &Document, sequence: u64, received_at: f64) -> Self {
        let fields = &document.fields;
        let mut inside = Inside::default();
        if document.kind == Kind::Subsegment {
            inside.part(fields);
        }
        inside.annotations(fields);
        inside.below(fields, DEPTH_MAX);
        let aws = object(fields, "aws");
        let ec2 = aws.and_then(|aws| object(aws, "ec2"));
        let request = object(fields, "http").and_then(|http| object(http, "request"));
        let own = |fields: Option<&Map<String, Value>>, key| text(fields?, key).map(Box::from);
        Self {
            trace_id: TraceId::parse(&document.trace_id).expect("a document's ids have been checked"),
            id: SegmentId::parse(&document.id).expect("a document's ids have been checked"),
            parent_id: document.parent_id.as_deref().and_then(SegmentId::parse),
            kind: document.kind,
            sequence,
            received_at,
            start: document.start_time,
            end: document.end_time,
            outcome: Outcome::of(fields),
            status: status(fields),
            name: document.name.as_str().into(),
            origin: own(Some(fields), "origin"),
            account_id: own(aws, "account_id"),
            url: own(request, "url"),
            method: own(request, "method"),
            user_agent: own(request, "user_agent"),
            client_ip: own(request, "client_ip"),
            user: own(Some(fields), "user"),
            availability_zone: own(ec2, "availability_zone"),
            instance_id: own(ec2, "instance_id"),
            resource_arn: own(Some(fields), "resource_arn"),
            annotations: inside.annotations_text(),
            calls: inside.calls_text(),
            locals: inside.locals_text(),
        }
    }

    /// As queries see it.
    pub fn row(&self) -> Row<'_> {
        Row {
            trace_id: self.trace_id,
            id: self.id,
            parent_id: self.parent_id,
            kind: self.kind,
            sequence: self.sequence,
            received_at: self.received_at,
            start: self.start,
            end: self.end,
            outcome: self.outcome,
            status: self.status,
            name: &self.name,
            origin: self.origin.as_deref(),
            account_id: self.account_id.as_deref(),
            url: self.url.as_deref(),
            method: self.method.as_deref(),
            user_agent: self.user_agent.as_deref(),
            client_ip: self.client_ip.as_deref(),
            user: self.user.as_deref(),
            availability_zone: self.availability_zone.as_deref(),
            instance_id: self.instance_id.as_deref(),
            resource_arn: self.resource_arn.as_deref(),
            annotations: &self.annotations,
            calls: &self.calls,
            locals: &self.locals,
        }
    }
}

impl From<&Row<'_>> for Record {
    /// The record of a row with all its columns.
    fn from(row: &Row<'_>) -> Self {
        let own = |text: Option<&str>| text.map(Box::from);
        Self {
            trace_id: row.trace_id,
            id: row.id,
            parent_id: row.parent_id,
            kind: row.kind,
            sequence: row.sequence,
            received_at: row.received_at,
            start: row.start,
            end: row.end,
            outcome: row.outcome,
            status: row.status,
            name: row.name.into(),
            origin: own(row.origin),
            account_id: own(row.account_id),
            url: own(row.url),
            method: own(row.method),
            user_agent: own(row.user_agent),
            client_ip: own(row.client_ip),
            user: own(row.user),
            availability_zone: own(row.availability_zone),
            instance_id: own(row.instance_id),
            resource_arn: own(row.resource_arn),
            annotations: row.annotations.into(),
            calls: row.calls.into(),
            locals: row.locals.into(),
        }
    }
}

/// What is found in a document at any depth.
#[derive(Debug, Default)]
struct Inside<'a> {
    annotations: Vec<(&'a str, &'a Value)>,
    calls: Vec<Call<'a>>,
    locals: Vec<SegmentId>,
}

impl<'a> Inside<'a> {
    fn below(&mut self, fields: &'a Map<String, Value>, depth: usize) {
        for subsegment in subsegments(fields) {
            self.annotations(subsegment);
            self.part(subsegment);
            if depth > 0 {
                self.below(subsegment, depth - 1);
            }
        }
    }

    fn annotations(&mut self, fields: &'a Map<String, Value>) {
        for (key, value) in object(fields, "annotations").into_iter().flatten() {
            if Annotation::of(value).is_some() && !self.annotations.contains(&(key, value)) {
                self.annotations.push((key, value));
            }
        }
    }

    /// A subsegment without a legal id is no part: nothing can refer to it. Of two with the same id the complete one
    /// stays: an SDK may list a subsegment first as it was and then as it ended.
    fn part(&mut self, fields: &'a Map<String, Value>) {
        let Some(id) = text(fields, "id").and_then(SegmentId::parse) else { return };
        let Some(callee) = Callee::of(fields) else {
            if !self.locals.contains(&id) {
                self.locals.push(id);
            }
            return;
        };
        let name = text(fields, "name").unwrap_or_default();
        let outcome = Outcome::of(fields);
        let call = Call {
            id,
            name: Cow::Borrowed(name),
            resource: (callee.name != name).then_some(Cow::Owned(callee.name)),
            r#type: Cow::Owned(callee.r#type),
            aws: is_aws(fields),
            start: number(fields, "start_time").unwrap_or_default(),
            end: number(fields, "end_time"),
            status: status(fields),
            error: outcome.error,
            fault: outcome.fault,
            throttle: outcome.throttle,
        };
        match self.calls.iter_mut().find(|known| known.id == id) {
            Some(known) if known.end.is_none() && call.end.is_some() => *known = call,
            Some(_) => {}
            None => self.calls.push(call),
        }
    }

    fn annotations_text(&self) -> Box<str> {
        if self.annotations.is_empty() {
            return Box::default();
        }
        let mut all: Map<String, Value> = Map::new();
        for &(key, value) in &self.annotations {
            match all.get_mut(key) {
                None => {
                    all.insert(key.to_owned(), value.clone());
                }
                Some(Value::Array(values)) => values.push(value.clone()),
                Some(one) => *one = Value::Array(vec![one.take(), value.clone()]),
            }
        }
        Value::Object(all).to_string().into()
    }

    fn calls_text(&self) -> Box<str> {
        if self.calls.is_empty() {
            return Box::default();
        }
        serde_json::to_string(&self.calls).expect("texts and numbers become JSON").into()
    }

    fn locals_text(&self) -> Box<str> {
        use std::fmt::Write;
        self.locals
            .iter()
            .fold(String::new(), |mut text, id| {
                // Writing to a String does not fail.
                let _ = write!(text, "{id}");
                text
            })
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "what the macro makes is passed on")]
    fn record(changes: Value) -> Record {
        let mut segment = json!({ "name": "api", "id": "70de5b6f19ff9a0a",
            "trace_id": "1-581cf771-a006649127e371903a2de979", "start_time": 10.0, "end_time": 12.5 });
        for (key, value) in changes.as_object().unwrap() {
            segment[key] = value.clone();
        }
        Record::of(&Document::parse(segment.to_string().as_bytes()).unwrap(), 7, 13.0)
    }

    #[test]
    fn a_status_says_as_much_as_a_flag() {
        let outcome = |changes| record(changes).outcome;
        let response = |status| json!({ "http": { "response": { "status": status } } });
        assert!(outcome(json!({})).is_ok());
        assert!(outcome(response(200)).is_ok());
        assert!(outcome(response(404)).error && !outcome(response(404)).throttle);
        let throttled = outcome(response(429));
        assert!(throttled.throttle && throttled.error && !throttled.fault);
        assert!(outcome(response(503)).fault && outcome(json!({ "fault": true })).fault);
        let text = json!({ "http": { "response": { "status": "500" } } });
        assert_eq!(record(text).status, Some(500));
    }

    #[test]
    fn calls_and_annotations_are_found_at_any_depth() {
        let found = record(json!({
            "annotations": { "tenant": "a", "list": [1] },
            "subsegments": [
                { "name": "work", "id": "000000000000000A", "annotations": { "tenant": "b" }, "subsegments": [
                    { "name": "peer", "id": "000000000000000b", "namespace": "remote", "start_time": 1,
                      "end_time": 2, "fault": true, "annotations": { "n": 3, "ok": true, "tenant": "a" } } ] },
                { "name": "no id", "namespace": "remote" } ]
        }));
        let row = found.row();
        assert_eq!(
            row.annotation("tenant"),
            [Annotation::Text("a".to_owned()), Annotation::Text("b".to_owned())]
        );
        assert_eq!(row.annotation("n"), [Annotation::Number(3.0)]);
        assert_eq!(row.annotations().len(), 4, "{}", found.annotations);
        assert_eq!(row.locals().collect::<Vec<_>>(), [SegmentId(10)]);
        let calls = row.calls();
        assert_eq!((calls[0].id, calls[0].start, calls[0].end), (SegmentId(11), 1.0, Some(2.0)));
        assert!(calls[0].fault && !calls[0].aws && calls.len() == 1, "one without an id is nobody");
    }

    #[test]
    fn of_a_subsegment_listed_twice_the_complete_one_counts() {
        let open = json!({ "name": "peer", "id": "000000000000000b", "namespace": "remote", "start_time": 1,
                           "in_progress": true });
        let mut ended = open.clone();
        ended["end_time"] = json!(2);
        for list in [json!([open, ended]), json!([ended, open])] {
            let found = record(json!({ "subsegments": list }));
            let calls = found.row().calls();
            assert_eq!((calls.len(), calls[0].end), (1, Some(2.0)));
        }
    }

    #[test]
    fn a_subsegment_sent_by_itself_is_its_own_first_call() {
        let found =
            record(json!({ "type": "subsegment", "parent_id": "000000000000000c", "namespace": "aws",
            "name": "S3", "subsegments": [{ "id": "000000000000000d", "name": "x" }] }));
        assert_eq!(found.kind, Kind::Subsegment);
        let calls = found.row().calls();
        assert!(calls[0].id == found.id && calls[0].aws && calls[0].callee() == "S3");
        assert_eq!(found.row().locals().collect::<Vec<_>>(), [SegmentId(13)]);
    }

    #[test]
    fn the_first_complete_document_counts() {
        let id = |changes, sequence| Record { sequence, ..record(changes) };
        let open = || json!({ "in_progress": true, "end_time": null });
        let all =
            [id(open(), 1), id(json!({ "name": "one" }), 2), id(json!({ "name": "two" }), 3), id(open(), 4)];
        let settled = |records: &[Record]| {
            let mut rows: Vec<_> = records.iter().map(Record::row).collect();
            super::super::row::settle(&mut rows);
            rows.iter().map(|row| (row.sequence, row.name.to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(settled(&all), [(2, "one".to_owned())]);
        assert_eq!(settled(&[all[0].clone(), all[3].clone()]), [(4, "api".to_owned())]);
    }
}
