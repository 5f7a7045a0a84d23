//! What was thrown in a segment or subsegment.

use super::super::id::SegmentId;
use super::super::json::text;
use super::super::trace::{Part, Trace};
use super::CauseException;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// How many references are followed from a cause to its exception. SDKs need one; references in a circle end here.
const REFERENCES_MAX: usize = 8;

/// The exceptions of a trace.
pub(super) struct Exceptions<'a> {
    trace: &'a Trace,
    by_id: HashMap<&'a str, &'a Map<String, Value>>,
}

impl<'a> Exceptions<'a> {
    pub(super) fn of(trace: &'a Trace) -> Self {
        let exceptions = trace.segments().chain(trace.orphans()).flat_map(Part::all).flat_map(listed);
        let by_id = exceptions.filter_map(|exception| Some((text(exception, "id")?, exception))).collect();
        Self { trace, by_id }
    }

    /// What was thrown in a part. Where its cause is an id instead of a list, that of an exception (SDKs for Python and
    /// Java) or of the subsegment that has them (Node, Ruby), it is what is found there.
    pub(super) fn thrown_in(&self, part: Part<'a>) -> Vec<CauseException> {
        let mut part = part;
        for _ in 0..REFERENCES_MAX {
            let listed: Vec<_> = listed(part).map(exception).collect();
            if !listed.is_empty() {
                return listed;
            }
            let Some(id) = reference(part) else { break };
            if let Some(&found) = self.by_id.get(id) {
                return vec![exception(found)];
            }
            let Some(next) = SegmentId::parse(id).and_then(|id| self.trace.find(id)) else { break };
            part = next;
        }
        Vec::new()
    }
}

fn listed(part: Part<'_>) -> impl Iterator<Item = &Map<String, Value>> {
    let list = part.fields().get("cause").and_then(|cause| cause.get("exceptions")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

fn reference(part: Part<'_>) -> Option<&str> {
    let cause = part.fields().get("cause")?;
    cause.as_str().or_else(|| cause.get("id")?.as_str())
}

fn exception(fields: &Map<String, Value>) -> CauseException {
    let own = |key| text(fields, key).unwrap_or_default().to_owned();
    CauseException { name: own("type"), message: own("message") }
}
