//! A trace, put together from its documents as they came: in any order, in parts, more than once.
//!
//! The rules are those of X-Ray's recorded answers to `BatchGetTraces`. A segment that comes again does not count once it
//! is complete; a subsegment that was sent by itself stands in the segment or subsegment it names as its parent; a call
//! that no segment answers gets a segment made up for it, which X-Ray calls inferred.

mod answer;
mod assemble;
mod inferred;
#[cfg(test)]
pub(super) mod made;
mod mend;

pub use answer::{SegmentDocument, TraceDocuments};

use super::callee::Callee;
use super::id::{SegmentId, TraceId};
use super::json::{object, text};
use super::node::NodeId;
use super::row::Outcome;
use super::source::Stored;
use crate::segment::Kind;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Bytes of documents from which X-Ray says `LimitExceeded` of a trace: 500 KB ("X-Ray limits", developer guide).
const DOCUMENTS_MAX_BYTES: usize = 500 * 1024;

/// All that is known of one trace.
///
/// Segments and subsegments are kept in one list and name each other by their place in it, so that neither the length
/// nor the depth of a trace costs stack.
#[derive(Debug)]
pub struct Trace {
    id: TraceId,
    parts: Vec<Kept>,
    /// By start, then id.
    segments: Vec<usize>,
    /// Subsegments whose parent is in no document; by start, then id.
    orphans: Vec<usize>,
    segment_of: HashMap<SegmentId, usize>,
    subsegment_of: HashMap<SegmentId, usize>,
    /// Segments by the part they name as their parent.
    answers: HashMap<SegmentId, Vec<usize>>,
    start: Option<f64>,
    received_at: f64,
    revision: usize,
    bytes: usize,
}

/// A segment or subsegment as it is kept.
#[derive(Debug)]
struct Kept {
    id: Option<SegmentId>,
    kind: Kind,
    /// What its document names as its parent. None for what came inside of another document.
    parent_id: Option<SegmentId>,
    /// What it stands in.
    parent: Option<usize>,
    start: f64,
    end: Option<f64>,
    /// All but `subsegments`.
    fields: Map<String, Value>,
    children: Vec<usize>,
}

impl Trace {
    /// Puts a trace together. Documents that cannot be read, or that are of another trace, are left out.
    pub fn assemble(id: TraceId, documents: Vec<Stored>) -> Self {
        assemble::assemble(id, documents)
    }

    /// Its id.
    pub fn id(&self) -> TraceId {
        self.id
    }

    /// Nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The segments that were sent, by start.
    pub fn segments(&self) -> impl Iterator<Item = Part<'_>> {
        self.views(&self.segments)
    }

    /// Subsegments that belong below something that is in no document, by start.
    pub fn orphans(&self) -> impl Iterator<Item = Part<'_>> {
        self.views(&self.orphans)
    }

    /// The segment that nothing called: where the trace begins. Of several the earliest. A segment that names a parent
    /// is none, even if that parent never came: X-Ray gives such a trace no entry point.
    pub fn root(&self) -> Option<Part<'_>> {
        self.roots().next()
    }

    /// The segments that nothing called, by start, then id: each has a client.
    pub fn roots(&self) -> impl Iterator<Item = Part<'_>> {
        self.segments().filter(|segment| segment.kept().parent_id.is_none())
    }

    /// The parent of a segment or subsegment is missing. A call that nothing answers does not count, nor does what is
    /// still in progress.
    pub fn is_partial(&self) -> bool {
        let known = |id| self.segment_of.contains_key(&id) || self.subsegment_of.contains_key(&id);
        !self.orphans.is_empty()
            || self.segments().any(|segment| segment.kept().parent_id.is_some_and(|parent| !known(parent)))
    }

    /// Earliest start of a segment, or of what was sent by itself where there is no segment. Seconds since 1970.
    pub fn start(&self) -> Option<f64> {
        self.start
    }

    /// Seconds from the earliest start of a segment to the latest end. None while a segment is in progress, when there is
    /// none, and when it would be negative.
    pub fn duration(&self) -> Option<f64> {
        let ends = self.segments.iter().map(|&at| self.parts[at].end);
        let latest = ends.reduce(|one, other| Some(one?.max(other?)))??;
        Some(latest - self.parts[*self.segments.first()?].start).filter(|seconds| *seconds >= 0.0)
    }

    /// When the last of its documents was received, seconds since 1970.
    pub fn received_at(&self) -> f64 {
        self.received_at
    }

    /// Rises with each batch of documents received: the number of them, told apart by when they came.
    pub fn revision(&self) -> usize {
        self.revision
    }

    /// There is more of it than X-Ray would give out. It is given out all the same.
    pub fn exceeds_limit(&self) -> bool {
        self.bytes > DOCUMENTS_MAX_BYTES
    }

    /// A segment by its id, else a subsegment.
    pub fn find(&self, id: SegmentId) -> Option<Part<'_>> {
        self.segment_of.get(&id).or_else(|| self.subsegment_of.get(&id)).map(|&at| Part { trace: self, at })
    }

    /// Every node of the graph of this trace, each once, without the client: its segments, and what their unanswered
    /// calls lead to.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = self.segments().map(Part::node).collect();
        nodes.extend(self.unanswered().map(|(_, callee)| NodeId::from(callee)));
        nodes.sort();
        nodes.dedup();
        nodes
    }

    /// Calls that no segment answers, and what they lead to. A call without an id cannot be answered, and is none.
    pub fn unanswered(&self) -> impl Iterator<Item = (Part<'_>, Callee)> {
        self.segments()
            .flat_map(Part::all)
            .filter(|part| part.id().is_some() && part.answers().next().is_none())
            .filter_map(|part| Some((part, part.callee()?)))
    }

    /// How many places [`Part::at`] can give.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    fn views<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = Part<'a>> + use<'a> {
        places.iter().map(|&at| Part { trace: self, at })
    }
}

/// A segment or subsegment of a trace.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    trace: &'a Trace,
    at: usize,
}

impl<'a> Part<'a> {
    fn kept(self) -> &'a Kept {
        &self.trace.parts[self.at]
    }

    /// Its place in the trace.
    pub(super) fn at(self) -> usize {
        self.at
    }

    /// Its id, if that is one.
    pub fn id(self) -> Option<SegmentId> {
        self.kept().id
    }

    /// Segment or subsegment.
    pub fn kind(self) -> Kind {
        self.kept().kind
    }

    /// Its name; empty when it has none.
    pub fn name(self) -> &'a str {
        text(self.fields(), "name").unwrap_or_default()
    }

    /// Its fields, without its subsegments.
    pub fn fields(self) -> &'a Map<String, Value> {
        &self.kept().fields
    }

    /// Seconds since 1970.
    pub fn start(self) -> f64 {
        self.kept().start
    }

    /// Seconds since 1970; none while it is in progress.
    pub fn end(self) -> Option<f64> {
        self.kept().end
    }

    /// Seconds it took. None while it is in progress, and when it ended before it began.
    pub fn duration(self) -> Option<f64> {
        self.end().map(|end| end - self.start()).filter(|seconds| *seconds >= 0.0)
    }

    /// How it went.
    pub fn outcome(self) -> Outcome {
        Outcome::of(self.fields())
    }

    /// The subsegments directly below.
    pub fn children(self) -> impl Iterator<Item = Self> {
        self.trace.views(&self.kept().children)
    }

    /// Itself and all subsegments below, each before those below it.
    pub fn all(self) -> impl Iterator<Item = Self> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            let next = waiting.pop()?;
            let first_new = waiting.len();
            waiting.extend(next.children());
            waiting[first_new..].reverse();
            Some(next)
        })
    }

    /// The segments that name it as their parent, by start.
    pub fn answers(self) -> impl Iterator<Item = Self> {
        let answers = self.id().and_then(|id| self.trace.answers.get(&id));
        self.trace.views(answers.map_or(&[], Vec::as_slice))
    }

    /// What it calls. None for a segment, and for work inside of a service.
    pub fn callee(self) -> Option<Callee> {
        (self.kind() == Kind::Subsegment).then(|| Callee::of(self.fields()))?
    }

    /// The node a segment is.
    pub fn node(self) -> NodeId {
        let account_id = object(self.fields(), "aws").and_then(|aws| text(aws, "account_id"));
        NodeId::of_segment(self.name(), text(self.fields(), "origin"), account_id)
    }

    /// The segment it is part of, itself if it is one. None below an orphan.
    pub fn segment(self) -> Option<Self> {
        let mut part = self;
        while let Some(at) = part.kept().parent {
            part.at = at;
        }
        (part.kind() == Kind::Segment).then_some(part)
    }

    /// The id of what it stands in, or else of what its document names as its parent.
    pub fn parent_id(self) -> Option<SegmentId> {
        let kept = self.kept();
        kept.parent.and_then(|at| self.trace.parts[at].id).or(kept.parent_id)
    }

    /// What a segment names as its parent, if that came.
    pub fn caller(self) -> Option<Self> {
        self.trace.find(self.kept().parent_id?)
    }
}

#[cfg(test)]
mod tests;
