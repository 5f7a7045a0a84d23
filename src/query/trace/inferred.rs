//! The segments X-Ray makes up for calls that nothing answers, as recorded.

use super::super::callee::{Callee, is_aws};
use super::super::id::SegmentId;
use super::{Part, Trace};
use crate::segment::Kind;
use serde_json::{Map, Value, json};

/// Fields of the call that its made-up segment has as well.
const COPIED: [&str; 8] =
    ["name", "start_time", "end_time", "in_progress", "error", "fault", "throttle", "http"];

/// Type of the node that is a queue.
const QUEUE: &str = "AWS::SQS::Queue";

/// The inferred segments of a trace, in the order of the calls.
pub(super) fn inferred(trace: &Trace) -> Vec<(SegmentId, Map<String, Value>)> {
    let made = trace.unanswered().filter_map(|(call, callee)| segment(trace, call, callee));
    made.collect()
}

fn segment(trace: &Trace, call: Part<'_>, callee: Callee) -> Option<(SegmentId, Map<String, Value>)> {
    debug_assert!(call.kind() == Kind::Subsegment, "only subsegments call");
    let parent = call.id()?;
    let id = made_up_id(trace, parent, 0);
    let mut fields = Map::new();
    let aws = is_aws(call.fields());
    let kind = if aws { "aws" } else { "sql" };
    for key in COPIED.into_iter().chain([kind]) {
        if let Some(value) = call.fields().get(key) {
            fields.insert(key.to_owned(), value.clone());
        }
    }
    fields.insert("id".to_owned(), json!(id));
    fields.insert("trace_id".to_owned(), json!(trace.id().to_string()));
    fields.insert("parent_id".to_owned(), json!(parent));
    fields.insert("inferred".to_owned(), json!(true));
    if callee.r#type == QUEUE {
        fields.insert("subsegments".to_owned(), json!([queue_time(trace, call, parent)]));
    }
    // Remote services are recorded without origin. Databases are not recorded; their node has a type of its own, and a
    // segment's type is its origin.
    if callee.r#type != "remote" {
        fields.insert("origin".to_owned(), Value::String(callee.r#type));
    }
    Some((id, fields))
}

/// X-Ray gives a queue the time in it as a subsegment: all of the call's, as long as nothing took the message.
fn queue_time(trace: &Trace, call: Part<'_>, parent: SegmentId) -> Value {
    let mut time = json!({ "id": made_up_id(trace, parent, 1), "name": "QueueTime" });
    for key in ["start_time", "end_time", "in_progress"] {
        if let Some(value) = call.fields().get(key) {
            time[key] = value.clone();
        }
    }
    time
}

/// An id that nothing in the trace has, and that is the same in every answer: made from the call's.
fn made_up_id(trace: &Trace, call: SegmentId, salt: u8) -> SegmentId {
    let known = trace.id().0.to_be_bytes().into_iter().chain(call.0.to_be_bytes()).chain([salt]);
    let mut id = SegmentId(known.fold(0xcbf2_9ce4_8422_2325, spread));
    while id.0 == 0 || trace.find(id).is_some() {
        id = SegmentId(spread(id.0, salt));
    }
    id
}

/// One step of FNV-1a, which spreads well enough for ids that are random to begin with.
fn spread(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}
