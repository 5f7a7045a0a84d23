//! A trace in short, as `GetTraceSummaries` lists it.
//!
//! The rules are those of X-Ray's recorded answers: flags, response time and `Http` are the root's alone; annotations,
//! users and resources those of all segments.

use super::cause::{RootCause, RootCauses};
use super::json::{milliseconds, object, status, text};
use super::node::NodeId;
use super::row::Annotation;
use super::trace::{Part, Trace};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

/// X-Ray's `TraceSummary`. What is none is written as null, as X-Ray does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "they are X-Ray's flags")]
pub struct Summary {
    /// Of the trace.
    pub id: String,
    /// Earliest start, cut to the second. Seconds since 1970.
    pub start_time: Option<f64>,
    /// Seconds from the earliest start to the latest end; none while a segment is in progress.
    pub duration: Option<f64>,
    /// Seconds the root took; none while it is in progress, and without root.
    pub response_time: Option<f64>,
    /// The root failed with a 5xx.
    pub has_fault: bool,
    /// The root failed with a 4xx that is no 429.
    pub has_error: bool,
    /// The root failed with a 429.
    pub has_throttle: bool,
    /// The parent of a segment or subsegment is missing.
    pub is_partial: bool,
    /// Of the root. Always there: some clients read it without looking.
    pub http: Http,
    /// Of all segments and subsegments, by key.
    pub annotations: BTreeMap<String, Vec<ValueWithServices>>,
    /// Of all segments.
    pub users: Vec<User>,
    /// Every node of the trace: segments, unanswered calls, clients.
    pub service_ids: Vec<NodeId>,
    /// Of all segments.
    #[serde(rename = "ResourceARNs")]
    pub resource_arns: Vec<ResourceArn>,
    /// Of all segments.
    pub instance_ids: Vec<InstanceId>,
    /// Of all segments.
    pub availability_zones: Vec<AvailabilityZone>,
    /// The root.
    pub entry_point: Option<NodeId>,
    /// One at most.
    pub fault_root_causes: Vec<RootCause>,
    /// One at most.
    pub error_root_causes: Vec<RootCause>,
    /// One at most.
    pub response_time_root_causes: Vec<RootCause>,
    /// Rises with each batch of documents received.
    pub revision: usize,
    /// When that happened which the query asked for. Seconds since 1970.
    pub matched_event_time: Option<f64>,
}

/// What the root says of its request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Http {
    /// `http.request.url`
    #[serde(rename = "HttpURL")]
    pub http_url: Option<String>,
    /// `http.response.status`
    pub http_status: Option<i32>,
    /// `http.request.method`
    pub http_method: Option<String>,
    /// `http.request.user_agent`
    pub user_agent: Option<String>,
    /// `http.request.client_ip`
    pub client_ip: Option<String>,
}

/// A value of an annotation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ValueWithServices {
    /// The value.
    pub annotation_value: AnnotationValue,
    /// X-Ray leaves it open whose it is.
    pub service_ids: (),
}

/// One of the three.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the names are X-Ray's, and say it")]
pub struct AnnotationValue {
    pub number_value: Option<f64>,
    pub boolean_value: Option<bool>,
    pub string_value: Option<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct User {
    /// As a segment names it.
    pub user_name: String,
    /// X-Ray leaves it open whose it is.
    pub service_ids: (),
}

/// A resource a service runs on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResourceArn {
    /// `resource_arn`
    #[serde(rename = "ARN")]
    pub arn: String,
}

/// A machine a service runs on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceId {
    /// `aws.ec2.instance_id`
    pub id: String,
}

/// A zone a service runs in.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AvailabilityZone {
    /// `aws.ec2.availability_zone`
    pub name: String,
}

impl Summary {
    /// Sums a trace up. `matched_event_time` is for queries by the time of an event.
    pub fn of(trace: &Trace, matched_event_time: Option<f64>) -> Self {
        let root = trace.root();
        let outcome = root.map(Part::outcome).unwrap_or_default();
        let causes = RootCauses::of(trace);
        Self {
            id: trace.id().to_string(),
            start_time: trace.start().map(f64::floor),
            duration: trace.duration().map(milliseconds),
            response_time: root.and_then(Part::duration).map(milliseconds),
            has_fault: outcome.fault,
            has_error: outcome.error && !outcome.throttle,
            has_throttle: outcome.throttle,
            is_partial: trace.is_partial(),
            http: root.map(http).unwrap_or_default(),
            annotations: annotations(trace),
            users: texts(
                trace,
                |fields| text(fields, "user"),
                |name| User { user_name: name, service_ids: () },
            ),
            service_ids: service_ids(trace),
            resource_arns: texts(trace, |fields| text(fields, "resource_arn"), |arn| ResourceArn { arn }),
            instance_ids: texts(trace, |fields| text(ec2(fields)?, "instance_id"), |id| InstanceId { id }),
            availability_zones: texts(
                trace,
                |fields| text(ec2(fields)?, "availability_zone"),
                |name| AvailabilityZone { name },
            ),
            entry_point: root.map(Part::node),
            fault_root_causes: causes.fault,
            error_root_causes: causes.error,
            response_time_root_causes: causes.response_time,
            revision: trace.revision(),
            matched_event_time,
        }
    }
}

fn http(root: Part<'_>) -> Http {
    let request = object(root.fields(), "http").and_then(|http| object(http, "request"));
    let own = |key| text(request?, key).map(str::to_owned);
    Http {
        http_url: own("url"),
        http_status: status(root.fields()),
        http_method: own("method"),
        user_agent: own("user_agent"),
        client_ip: own("client_ip"),
    }
}

fn ec2(fields: &Map<String, Value>) -> Option<&Map<String, Value>> {
    object(object(fields, "aws")?, "ec2")
}

/// What came as a document of its own.
fn sent(trace: &Trace) -> impl Iterator<Item = Part<'_>> {
    trace.segments().chain(trace.orphans())
}

/// The different texts that documents have in a place, in order of their start.
fn texts<T: PartialEq>(
    trace: &Trace,
    place: impl Fn(&Map<String, Value>) -> Option<&str>,
    make: impl Fn(String) -> T,
) -> Vec<T> {
    let mut seen = HashSet::new();
    let found = sent(trace).filter_map(|part| place(part.fields()));
    found.filter(|text| seen.insert(*text)).map(|text| make(text.to_owned())).collect()
}

fn annotations(trace: &Trace) -> BTreeMap<String, Vec<ValueWithServices>> {
    let mut seen = HashSet::new();
    let mut all: BTreeMap<String, Vec<ValueWithServices>> = BTreeMap::new();
    for part in sent(trace).flat_map(Part::all) {
        for (key, value) in object(part.fields(), "annotations").into_iter().flatten() {
            let Some(annotation) = Annotation::of(value) else { continue };
            if seen.insert((key, value.to_string())) {
                all.entry(key.clone()).or_default().push(annotation.into());
            }
        }
    }
    all
}

impl From<Annotation> for ValueWithServices {
    fn from(annotation: Annotation) -> Self {
        let none = AnnotationValue::default();
        let annotation_value = match annotation {
            Annotation::Bool(value) => AnnotationValue { boolean_value: Some(value), ..none },
            Annotation::Number(value) => AnnotationValue { number_value: Some(value), ..none },
            Annotation::Text(value) => AnnotationValue { string_value: Some(value), ..none },
        };
        Self { annotation_value, service_ids: () }
    }
}

/// Every segment without parent has a client, as in the graph.
fn service_ids(trace: &Trace) -> Vec<NodeId> {
    let mut clients: Vec<_> = trace.roots().map(|root| root.node().client()).collect();
    clients.sort();
    clients.dedup();
    let mut nodes = trace.nodes();
    nodes.append(&mut clients);
    nodes
}

#[cfg(test)]
mod tests;
