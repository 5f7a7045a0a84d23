//! One document as queries see it: flat, and borrowed from wherever it is kept.

pub(super) mod calls;

use super::id::{SegmentId, TraceId};
use super::json::status;
use crate::segment::Kind;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// The facts of one document: a segment, or a subsegment that was sent by itself. Columns that a query did not ask
/// for are empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// The trace it is part of.
    pub trace_id: TraceId,
    /// Its own id.
    pub id: SegmentId,
    /// The segment or subsegment it belongs below.
    pub parent_id: Option<SegmentId>,
    /// Segment or independent subsegment.
    pub kind: Kind,
    /// Rises with each document the store takes.
    pub sequence: u64,
    /// Seconds since 1970 at which it was received.
    pub received_at: f64,
    /// Seconds since 1970.
    pub start: f64,
    /// Seconds since 1970; none while it is in progress.
    pub end: Option<f64>,
    /// How it went.
    pub outcome: Outcome,
    /// `http.response.status`
    pub status: Option<i32>,
    /// Of the service, or of the call.
    pub name: &'a str,
    /// `AWS::EC2::Instance` and the like.
    pub origin: Option<&'a str>,
    /// `aws.account_id`
    pub account_id: Option<&'a str>,
    /// `http.request.url`
    pub url: Option<&'a str>,
    /// `http.request.method`
    pub method: Option<&'a str>,
    /// `http.request.user_agent`
    pub user_agent: Option<&'a str>,
    /// `http.request.client_ip`
    pub client_ip: Option<&'a str>,
    /// `user`
    pub user: Option<&'a str>,
    /// `aws.ec2.availability_zone`
    pub availability_zone: Option<&'a str>,
    /// `aws.ec2.instance_id`
    pub instance_id: Option<&'a str>,
    /// `resource_arn`
    pub resource_arn: Option<&'a str>,
    /// All annotations of the document, at any depth, as a JSON object; a key with several values has a list. Empty
    /// when there are none. [`Row::annotations`] reads it.
    pub annotations: &'a str,
    /// All calls in the document, at any depth, as a JSON array of [`Call`]. Empty when there are none.
    /// [`Row::calls`] reads it. A subsegment that was sent by itself and is a call comes first in its own list.
    pub calls: &'a str,
    /// The ids of all other subsegments in it, 16 hex digits each, one behind the other. [`Row::locals`] reads it.
    pub locals: &'a str,
}

/// How a segment or a call went: X-Ray's flags, with what the status of the response says beside them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// A 4xx.
    #[serde(default, skip_serializing_if = "is_false")]
    pub error: bool,
    /// A 5xx.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fault: bool,
    /// A 429.
    #[serde(default, skip_serializing_if = "is_false")]
    pub throttle: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Outcome {
    /// From the flags and the response's status of a segment or subsegment.
    pub fn of(fields: &Map<String, Value>) -> Self {
        let flag = |key: &str| fields.get(key).and_then(Value::as_bool) == Some(true);
        Self { error: flag("error"), fault: flag("fault"), throttle: flag("throttle") }
            .with_status(status(fields))
    }

    /// With what a status says.
    #[must_use]
    pub fn with_status(self, status: Option<i32>) -> Self {
        let status = status.unwrap_or(0);
        Self {
            error: self.error || (400..500).contains(&status),
            fault: self.fault || (500..600).contains(&status),
            throttle: self.throttle || status == 429,
        }
    }

    /// Nothing went wrong.
    pub fn is_ok(self) -> bool {
        self == Self::default()
    }
}

/// A call of something else: a subsegment whose `namespace` is `aws` or `remote`, or that has `sql`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are X-Ray's flags, and the form they are kept in")]
pub struct Call<'a> {
    /// The subsegment's id. A segment with this parent answers the call.
    pub id: SegmentId,
    /// The subsegment's name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Type of the node it leads to when no segment answers: `remote`, `AWS::DynamoDB::Table`, `Database::SQL`.
    #[serde(borrow)]
    pub r#type: Cow<'a, str>,
    /// Name of that node, where it is not the subsegment's.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "some_text")]
    pub resource: Option<Cow<'a, str>>,
    /// `namespace` is `aws`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub aws: bool,
    /// Seconds since 1970.
    pub start: f64,
    /// Seconds since 1970; none while it is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// `http.response.status`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// A 4xx.
    #[serde(default, skip_serializing_if = "is_false")]
    pub error: bool,
    /// A 5xx.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fault: bool,
    /// A 429.
    #[serde(default, skip_serializing_if = "is_false")]
    pub throttle: bool,
}

/// A text that is there. Borrowed where it can be, which serde does by itself for a `Cow` but not for an `Option` of one.
fn some_text<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Text::deserialize(deserializer).map(|text| Some(text.0))
}

impl Call<'_> {
    /// Name of the node it leads to when no segment answers.
    pub fn callee(&self) -> &str {
        self.resource.as_deref().unwrap_or(&self.name)
    }

    /// When a complete call began. Nobody demands a start of a subsegment inside of a document; without one it took no
    /// time. None while it is in progress.
    pub fn began(&self) -> Option<f64> {
        let end = self.end?;
        Some(if self.start > 0.0 { self.start } else { end })
    }

    /// How it went.
    pub fn outcome(&self) -> Outcome {
        Outcome { error: self.error, fault: self.fault, throttle: self.throttle }
    }
}

/// The value of an annotation. Numbers are floating point, as in X-Ray.
#[derive(Debug, Clone, PartialEq)]
pub enum Annotation {
    /// `true`
    Bool(bool),
    /// `1.5`
    Number(f64),
    /// `"text"`
    Text(String),
}

impl Annotation {
    /// X-Ray takes no lists, objects or nulls for annotations.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Number(value) => value.as_f64().map(Self::Number),
            Value::String(value) => Some(Self::Text(value.clone())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl<'a> Row<'a> {
    /// It will come again when it is complete.
    pub fn is_in_progress(&self) -> bool {
        self.end.is_none()
    }

    /// The calls in it. What cannot be read is none: the store writes the column itself.
    pub fn calls(&self) -> Vec<Call<'a>> {
        if self.calls.is_empty() {
            return Vec::new();
        }
        calls::read(self.calls).unwrap_or_else(|| serde_json::from_str(self.calls).unwrap_or_default())
    }

    /// The ids of the subsegments in it that are no calls.
    pub fn locals(&self) -> impl Iterator<Item = SegmentId> + use<'a> {
        self.locals.as_bytes().chunks_exact(16).filter_map(SegmentId::parse_bytes)
    }

    /// The values of one annotation.
    pub fn annotation(&self, key: &str) -> Vec<Annotation> {
        if self.annotations.is_empty() {
            return Vec::new();
        }
        let mut all: HashMap<String, Value> = serde_json::from_str(self.annotations).unwrap_or_default();
        all.remove(key).map(values).unwrap_or_default()
    }

    /// All annotations.
    pub fn annotations(&self) -> Vec<(String, Annotation)> {
        if self.annotations.is_empty() {
            return Vec::new();
        }
        let all: Map<String, Value> = serde_json::from_str(self.annotations).unwrap_or_default();
        all.into_iter()
            .flat_map(|(key, value)| values(value).into_iter().map(move |value| (key.clone(), value)))
            .collect()
    }
}

fn values(value: Value) -> Vec<Annotation> {
    match value {
        Value::Array(values) => values.iter().filter_map(Annotation::of).collect(),
        value => Annotation::of(&value).into_iter().collect(),
    }
}

/// Of several documents with the same id, all of one trace, leaves the one that counts: the first complete one, as in
/// X-Ray; while there is none, the last that came. What is left is in the order of receipt.
pub fn settle(rows: &mut Vec<Row<'_>>) {
    rows.sort_by_key(|row| (row.id, row.is_in_progress(), row.sequence));
    rows.dedup_by(|later, kept| {
        let same = later.id == kept.id;
        if same && kept.is_in_progress() {
            *kept = *later;
        }
        same
    });
    rows.sort_by_key(|row| row.sequence);
}
