//! Traces for tests.

use super::super::id::TraceId;
use super::super::source::Stored;
use super::Trace;
use serde_json::{Value, json};

pub(in super::super) const TRACE_ID: &str = "1-581cf771-a006649127e371903a2de979";

/// A segment or, with a `type`, a subsegment, from 10 to 20; `changes` may say otherwise.
#[expect(clippy::needless_pass_by_value, reason = "what the macro makes is passed on")]
pub(in super::super) fn document(id: u64, name: &str, changes: Value) -> Value {
    let mut document = json!({ "trace_id": TRACE_ID, "id": hex(id), "name": name, "start_time": 10.0,
                               "end_time": 20.0 });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    document
}

/// A subsegment within a document, from 10 to 20; `changes` may say otherwise.
pub(in super::super) fn within(id: u64, name: &str, changes: Value) -> Value {
    let mut within = document(id, name, changes);
    within.as_object_mut().unwrap().remove("trace_id");
    within
}

/// A subsegment that is sent by itself.
pub(in super::super) fn alone(id: u64, parent: u64, name: &str, changes: Value) -> Value {
    let mut alone = document(id, name, changes);
    alone["type"] = json!("subsegment");
    alone["parent_id"] = json!(hex(parent));
    alone
}

pub(in super::super) fn hex(id: u64) -> String {
    format!("{id:016x}")
}

pub(in super::super) fn stored(documents: &[Value]) -> Vec<Stored> {
    let texts = documents.iter().map(Value::to_string);
    let stored = texts.zip(1..).map(|(text, sequence)| Stored {
        sequence,
        received_at: f64::from(u32::try_from(sequence).unwrap()),
        document: text.into(),
    });
    stored.collect()
}

pub(in super::super) fn trace(documents: &[Value]) -> Trace {
    Trace::assemble(TraceId::parse(TRACE_ID).unwrap(), stored(documents))
}
