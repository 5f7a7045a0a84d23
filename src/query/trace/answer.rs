//! A trace as `BatchGetTraces` answers it.

use super::super::id::SegmentId;
use super::super::json::milliseconds;
use super::inferred::inferred;
use super::{Part, Trace};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

/// A trace with its documents, as X-Ray writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TraceDocuments {
    /// Of the trace.
    pub id: String,
    /// Seconds from the earliest start to the latest end; none while a segment is in progress.
    pub duration: Option<f64>,
    /// There is more than 500 KB of it. X-Ray then leaves documents out; here all of them are given.
    pub limit_exceeded: bool,
    /// One for each segment. None when nothing but subsegments came whose segment is missing.
    pub segments: Vec<SegmentDocument>,
}

/// A segment, as X-Ray writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SegmentDocument {
    /// Of the segment.
    pub id: String,
    /// JSON, in a text. Its keys are sorted, not in the order they were sent in; `subsegments` come last.
    pub document: String,
}

impl Trace {
    /// What `BatchGetTraces` says of it.
    pub fn answer(&self) -> TraceDocuments {
        TraceDocuments {
            id: self.id().to_string(),
            duration: self.duration().map(milliseconds),
            limit_exceeded: self.exceeds_limit(),
            segments: self.documents(),
        }
    }

    /// The same with all that came: subsegments whose parent did not come, which X-Ray leaves out, follow as documents
    /// of their own. Putting these documents together, without the inferred ones, gives the same trace again.
    pub fn export(&self) -> TraceDocuments {
        let mut answer = self.answer();
        answer.segments.extend(self.orphans().filter_map(|orphan| document(orphan.id()?, &Orphan(orphan))));
        answer
    }

    /// The documents of its segments: those that were sent, by start, and then those made up for calls that nothing
    /// answers.
    pub fn documents(&self) -> Vec<SegmentDocument> {
        let sent = self.segments().filter_map(|segment| document(segment.id()?, &Written(segment)));
        let made = inferred(self).into_iter().filter_map(|(id, fields)| document(id, &fields));
        sent.chain(made).collect()
    }
}

/// What is written is JSON that was read, so that nothing is left out here.
fn document(id: SegmentId, written: &impl Serialize) -> Option<SegmentDocument> {
    Some(SegmentDocument { id: id.to_string(), document: serde_json::to_string(written).ok()? })
}

/// Writes a segment or subsegment with all below it. [`assemble`](super::assemble) bounds how deep that goes.
struct Written<'a>(Part<'a>);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_map(None)?;
        for (key, value) in self.0.fields() {
            written.serialize_entry(key, value)?;
        }
        if self.0.children().next().is_some() {
            written.serialize_entry("subsegments", &Below(self.0))?;
        }
        written.end()
    }
}

/// Fields that make a document of a subsegment.
const OF_DOCUMENTS: [&str; 3] = ["type", "parent_id", "trace_id"];

/// Writes a subsegment that stands in nothing as the document it came as.
struct Orphan<'a>(Part<'a>);

impl Serialize for Orphan<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let part = self.0;
        let mut written = serializer.serialize_map(None)?;
        let own = part.fields().iter().filter(|(key, _)| !OF_DOCUMENTS.contains(&key.as_str()));
        for (key, value) in own {
            written.serialize_entry(key, value)?;
        }
        // What stood in a document that stood in it names no parent. A document has to; itself is as good as that.
        let parent = part.parent_id().or(part.id());
        written.serialize_entry("parent_id", &parent)?;
        written.serialize_entry("trace_id", &part.trace.id().to_string())?;
        written.serialize_entry("type", "subsegment")?;
        if part.children().next().is_some() {
            written.serialize_entry("subsegments", &Below(part))?;
        }
        written.end()
    }
}

struct Below<'a>(Part<'a>);

impl Serialize for Below<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_seq(None)?;
        for child in self.0.children() {
            written.serialize_element(&Written(child))?;
        }
        written.end()
    }
}
