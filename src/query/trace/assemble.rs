//! Puts the documents of a trace together, in time and memory that grow with their size alone.
//!
//! ```text
//! documents ─ read, settle ─► one for each id ─ flatten ─► parts, each id once ─ attach, cut ─► trees ─ flatten ─► Trace
//! ```
//!
//! What is the same in two orders of arrival comes out the same: everything that has an order is sorted by start and id.

use super::super::id::{SegmentId, TraceId};
use super::super::json::{number, text};
use super::super::source::Stored;
use super::mend::mend;
use super::{Kept, Trace};
use crate::segment::{Document, Kind};
use serde_json::{Map, Value, json};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// Deepest level of subsegments. What is deeper stands on this level, below the same ancestor: no SDK nests like this, and
/// whoever reads the answer has a limit as well (128 for JSON in many libraries; a level of subsegments needs two).
const DEPTH_MAX: usize = 56;

/// A document that counts, and how long it was.
struct Settled {
    document: Document,
    bytes: usize,
}

pub(super) fn assemble(id: TraceId, mut documents: Vec<Stored>) -> Trace {
    documents.sort_by_key(|stored| stored.sequence);
    let received_at = documents.iter().map(|stored| stored.received_at).fold(0.0, f64::max);
    let times: HashSet<_> = documents.iter().map(|stored| stored.received_at.to_bits()).collect();
    let settled = settle(id, documents);
    let bytes = settled.iter().map(|one| one.bytes).sum();
    // Segments come first, each kind by its start.
    let start = settled.first().map(|one| one.document.start_time);
    let mut parts = Parts::default();
    for one in settled {
        parts.document(one.document);
    }
    parts.attach();
    parts.cut_circles();
    let (segments, orphans) = parts.grow();
    let mut trace = Trace {
        id,
        answers: HashMap::new(),
        segment_of: parts.segments,
        subsegment_of: parts.subsegments,
        parts: parts.kept,
        segments,
        orphans,
        start,
        received_at,
        revision: times.len(),
        bytes,
    };
    for &at in &trace.segments {
        if let Some(parent) = trace.parts[at].parent_id {
            trace.answers.entry(parent).or_default().push(at);
        }
    }
    trace
}

/// Of several documents with one id leaves the first complete one; while there is none, the last that came. Segments
/// come first, then each kind by start and id.
fn settle(trace: TraceId, documents: Vec<Stored>) -> Vec<Settled> {
    let mut by_id: HashMap<String, Settled> = HashMap::new();
    for stored in documents {
        let Ok(document) = Document::parse(&stored.document) else { continue };
        if TraceId::parse(&document.trace_id) != Some(trace) {
            continue;
        }
        let settled = Settled { bytes: stored.document.len(), document };
        match by_id.entry(settled.document.id.clone()) {
            Entry::Vacant(free) => {
                free.insert(settled);
            }
            Entry::Occupied(mut known) if known.get().document.is_in_progress() => {
                known.insert(settled);
            }
            Entry::Occupied(_) => {}
        }
    }
    let mut settled: Vec<_> = by_id.into_values().collect();
    settled.sort_by(|Settled { document: one, .. }, Settled { document: other, .. }| {
        (one.kind == Kind::Subsegment)
            .cmp(&(other.kind == Kind::Subsegment))
            .then(one.start_time.total_cmp(&other.start_time))
            .then_with(|| one.id.cmp(&other.id))
    });
    settled
}

/// Where a part is inside of a document.
#[derive(Debug, Clone, Copy)]
struct Inside {
    parent: usize,
    /// What the document is of.
    top: usize,
}

/// Segments and subsegments, each id once.
#[derive(Default)]
struct Parts {
    kept: Vec<Kept>,
    segments: HashMap<SegmentId, usize>,
    subsegments: HashMap<SegmentId, usize>,
}

impl Parts {
    /// Takes a document apart: what stands in it, and what stands in that.
    fn document(&mut self, document: Document) {
        let mut fields = document.fields;
        fields.insert("id".to_owned(), json!(document.id));
        if document.kind == Kind::Subsegment {
            for key in ["type", "parent_id", "trace_id"] {
                fields.remove(key);
            }
        } else {
            fields.insert("trace_id".to_owned(), json!(document.trace_id));
            if let Some(parent) = &document.parent_id {
                fields.insert("parent_id".to_owned(), json!(parent));
            }
        }
        let below = take_subsegments(&mut fields);
        let parent_id = document.parent_id.as_deref().and_then(SegmentId::parse);
        let top = self.add(document.kind, fields, parent_id, None);
        let mut waiting: Vec<_> = below.into_iter().rev().map(|fields| (top, fields)).collect();
        while let Some((parent, mut fields)) = waiting.pop() {
            let below = take_subsegments(&mut fields);
            let at = self.add(Kind::Subsegment, fields, None, Some(Inside { parent, top }));
            waiting.extend(below.into_iter().rev().map(|fields| (at, fields)));
        }
    }

    /// Adds a part, or what is new of one that is known already: SDKs send a subsegment once more when it is complete, by
    /// itself or with its parent.
    fn add(
        &mut self,
        kind: Kind,
        mut fields: Map<String, Value>,
        parent_id: Option<SegmentId>,
        inside: Option<Inside>,
    ) -> usize {
        let id = text(&fields, "id").and_then(SegmentId::parse);
        if let Some(id) = id {
            fields.insert("id".to_owned(), json!(id));
        }
        mend(&mut fields);
        let start = number(&fields, "start_time").unwrap_or_default();
        let end = end_of(&fields);
        let parent = inside.map(|inside| inside.parent);
        let new = Kept { id, kind, parent_id, parent, start, end, fields, children: Vec::new() };
        let index = if kind == Kind::Segment { &mut self.segments } else { &mut self.subsegments };
        let Some(&at) = id.and_then(|id| index.get(&id)) else {
            let at = self.kept.len();
            index.extend(id.map(|id| (id, at)));
            self.kept.push(new);
            return at;
        };
        let known = &mut self.kept[at];
        // A document that mentions itself stands where it says all the same.
        if known.parent.is_none() && inside.is_some_and(|inside| inside.top != at) {
            (known.parent, known.parent_id) = (new.parent, None);
        }
        if known.end.is_none() && new.end.is_some() {
            (known.start, known.end, known.fields) = (new.start, new.end, new.fields);
        }
        at
    }

    /// Finds the parents of subsegments that were sent by themselves. What stands in a document stays there, whatever it
    /// names as its parent: the Go SDK writes the segment's id at any depth.
    fn attach(&mut self) {
        for at in 0..self.kept.len() {
            let part = &self.kept[at];
            let (Some(id), Kind::Subsegment, None) = (part.parent_id, part.kind, part.parent) else {
                continue;
            };
            let parent = self.segments.get(&id).or_else(|| self.subsegments.get(&id)).copied();
            self.kept[at].parent = parent;
        }
    }

    /// Parts that stand in each other, in a circle, stand in nothing: the one with the lowest id is made an orphan.
    /// One of them has an id, or the others could not stand in it.
    fn cut_circles(&mut self) {
        // Each part has the number of the walk that reached it first; a walk that meets itself has found a circle.
        let mut reached = vec![usize::MAX; self.kept.len()];
        for walk in 0..self.kept.len() {
            let mut at = walk;
            while reached[at] == usize::MAX {
                reached[at] = walk;
                match self.kept[at].parent {
                    Some(parent) => at = parent,
                    None => break,
                }
            }
            if reached[at] == walk && self.kept[at].parent.is_some() {
                self.cut(at);
            }
        }
    }

    fn cut(&mut self, first: usize) {
        let mut lowest = first;
        let mut at = first;
        while let Some(parent) = self.kept[at].parent.filter(|&parent| parent != first) {
            at = parent;
            let rank = |at: usize| (self.kept[at].id.is_none(), self.kept[at].id);
            if rank(at) < rank(lowest) {
                lowest = at;
            }
        }
        self.kept[lowest].parent = None;
    }

    /// Makes trees of it: gives the segments and the orphans. Documents are in order of their start and id here, and with
    /// them all that was not within another.
    fn grow(&mut self) -> (Vec<usize>, Vec<usize>) {
        for stands_in_document in [true, false] {
            for at in 0..self.kept.len() {
                self.put_below_parent(at, stands_in_document);
            }
        }
        let tops: Vec<_> = (0..self.kept.len()).filter(|&at| self.kept[at].parent.is_none()).collect();
        for &at in &tops {
            self.limit_depth(at);
        }
        let (segments, mut orphans): (Vec<_>, Vec<_>) =
            tops.into_iter().partition(|&at| self.kept[at].kind == Kind::Segment);
        // What was cut out of a circle may have come inside of a document.
        orphans.sort_by(|&one, &other| {
            let (one, other) = (&self.kept[one], &self.kept[other]);
            one.start.total_cmp(&other.start).then(one.id.cmp(&other.id))
        });
        (segments, orphans)
    }

    /// First come those that stand in a document, as they stand there; then those that were sent by themselves.
    fn put_below_parent(&mut self, at: usize, stands_in_document: bool) {
        let part = &self.kept[at];
        if let Some(parent) = part.parent.filter(|_| part.parent_id.is_none() == stands_in_document) {
            self.kept[parent].children.push(at);
        }
    }

    fn limit_depth(&mut self, top: usize) {
        let mut waiting = vec![(top, 0)];
        while let Some((at, depth)) = waiting.pop() {
            if depth < DEPTH_MAX {
                waiting.extend(self.kept[at].children.iter().map(|&child| (child, depth + 1)));
                continue;
            }
            let Some(parent) = self.kept[at].parent else { continue };
            for child in std::mem::take(&mut self.kept[at].children) {
                self.kept[child].parent = Some(parent);
                self.kept[parent].children.push(child);
                waiting.push((child, depth));
            }
        }
    }
}

fn take_subsegments(fields: &mut Map<String, Value>) -> Vec<Map<String, Value>> {
    let Some(Value::Array(list)) = fields.remove("subsegments") else { return Vec::new() };
    let objects = list.into_iter().filter_map(|one| match one {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    objects.collect()
}

/// The SDK for .NET writes the end 0 in what is still open.
fn end_of(fields: &Map<String, Value>) -> Option<f64> {
    number(fields, "end_time").filter(|end| *end != 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::Part;
    use super::super::made::{TRACE_ID, alone, document, hex, stored, within};
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// All documents of the captures, by trace.
    fn captured() -> BTreeMap<String, Vec<Stored>> {
        let mut folders =
            vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|found| found == "dgram") {
                    files.push(path);
                }
            }
        }
        files.sort();
        let mut traces: BTreeMap<String, Vec<Stored>> = BTreeMap::new();
        for (path, sequence) in files.into_iter().zip(1..) {
            let datagram = std::fs::read(&path).unwrap();
            let document = datagram.split(|&byte| byte == b'\n').next_back().unwrap().to_vec();
            let Ok(read) = Document::parse(&document) else { continue };
            let stored = Stored { sequence, received_at: 1.0, document: document.into() };
            traces.entry(read.trace_id).or_default().push(stored);
        }
        traces
    }

    fn ids_in(fields: &Map<String, Value>, found: &mut BTreeSet<String>) {
        found.extend(text(fields, "id").map(str::to_lowercase));
        for below in super::super::super::json::subsegments(fields) {
            ids_in(below, found);
        }
    }

    #[test]
    fn no_segment_or_subsegment_of_the_captures_is_lost() {
        let traces = captured();
        let mut most = 0;
        for (id, documents) in &traces {
            let (mut sent, mut given) = (BTreeSet::new(), BTreeSet::new());
            for stored in documents {
                ids_in(&Document::parse(&stored.document).unwrap().fields, &mut sent);
            }
            let trace = Trace::assemble(TraceId::parse(id).unwrap(), documents.clone());
            for segment in trace.documents() {
                let document: Value = serde_json::from_str(&segment.document).unwrap();
                if document.get("inferred").is_none() {
                    ids_in(document.as_object().unwrap(), &mut given);
                }
            }
            // A Lambda function sends subsegments of a segment that only AWS sends.
            let orphans = trace.orphans().flat_map(Part::all).filter_map(Part::id);
            given.extend(orphans.map(|id| id.to_string()));
            assert_eq!(given, sent, "{id}");
            most = most.max(sent.len());
        }
        assert!(traces.len() > 30 && most > 100, "{} traces, {most} parts", traces.len());
    }

    /// What is put together again of an export has to be the same, and everything that can be sent again is in it.
    fn check_export(trace: &Trace) {
        let export = trace.export();
        let documents =
            export.segments.iter().map(|segment| serde_json::from_str(&segment.document).unwrap());
        let sent: Vec<Value> =
            documents.filter(|document: &Value| document.get("inferred").is_none()).collect();
        assert_eq!(sent.len(), trace.segments().count() + trace.orphans().count());
        let mut again = Trace::assemble(trace.id(), stored(&sent));
        // It is the length of what was sent, in whatever form that was.
        again.bytes = trace.bytes;
        assert_eq!(again.export(), export);
        assert_eq!((again.is_partial(), again.nodes()), (trace.is_partial(), trace.nodes()));
        // Whoever names no parent names itself.
        let names = |part: Part<'_>| (part.id(), part.parent_id().or(part.id()));
        let orphans = |trace: &Trace| trace.orphans().map(names).collect::<Vec<_>>();
        assert_eq!(orphans(&again), orphans(trace));
    }

    #[test]
    fn an_export_of_the_captures_gives_them_again() {
        let mut orphans = 0;
        for (id, documents) in captured() {
            let trace = Trace::assemble(TraceId::parse(&id).unwrap(), documents);
            check_export(&trace);
            orphans += trace.orphans().count();
        }
        assert!(orphans > 0, "a Lambda function's");
    }

    #[test]
    fn an_export_has_orphans_as_documents_of_their_own() {
        let sent = [
            document(1, "api", json!({})),
            alone(2, 9, "orphan", json!({ "subsegments": [within(3, "inside", json!({}))] })),
            alone(4, 3, "below", json!({})),
        ];
        let trace = super::super::made::trace(&sent);
        assert_eq!(trace.answer().segments.len(), 1);
        let export = trace.export();
        let orphan: Value = serde_json::from_str(&export.segments[1].document).unwrap();
        let inside = within(3, "inside", json!({ "subsegments": [within(4, "below", json!({}))] }));
        assert_eq!(orphan, alone(2, 9, "orphan", json!({ "subsegments": [inside] })));
        check_export(&trace);
    }

    #[test]
    fn an_export_of_what_stands_in_itself_gives_it_again() {
        let inside = |id, name: &str| json!({ "subsegments": [within(id, name, json!({}))] });
        let nameless =
            json!({ "subsegments": [{ "name": "no id", "subsegments": [within(2, "two", json!({}))] }] });
        for sent in [
            vec![alone(2, 2, "self", json!({}))],
            vec![
                alone(2, 3, "two", json!({})),
                alone(3, 4, "three", json!({})),
                alone(4, 2, "four", json!({})),
            ],
            vec![alone(2, 9, "two", inside(3, "three")), alone(3, 9, "three", inside(2, "two"))],
            vec![alone(2, 9, "two", inside(3, "three")), alone(3, 9, "three", nameless)],
        ] {
            let trace = super::super::made::trace(&sent);
            assert_eq!(trace.orphans().count(), 1);
            check_export(&trace);
        }
    }

    /// Documents of one trace: a tree in which each part is a segment, a subsegment within its parent or one sent by
    /// itself, some of them in progress first.
    fn documents() -> impl Strategy<Value = Vec<Value>> {
        let part = (any::<proptest::sample::Index>(), 0..3_u8, any::<bool>(), 0..4_u8, any::<bool>());
        proptest::collection::vec(part, 1..30).prop_map(|parts| {
            let mut documents = Vec::new();
            let mut within_of: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
            let mut tops = Vec::new();
            for (id, (parent, kind, open_first, start, call)) in (1..).zip(parts) {
                let parent = parent.index(usize::try_from(id).unwrap()) as u64;
                let mut changes = json!({ "start_time": start });
                if call {
                    changes["namespace"] = json!("remote");
                }
                match kind {
                    0 => within_of.entry(parent).or_default().push(within(id, "within", changes)),
                    1 => tops.push((id, open_first, alone(id, parent, "alone", changes))),
                    _ => {
                        changes["parent_id"] = json!(hex(parent));
                        tops.push((id, open_first, document(id, "segment", changes)));
                    }
                }
            }
            for (id, open_first, mut top) in tops {
                if open_first {
                    let mut open = top.clone();
                    open["in_progress"] = json!(true);
                    open["end_time"] = Value::Null;
                    documents.push(open);
                }
                top["subsegments"] = json!(within_of.remove(&id).unwrap_or_default());
                documents.push(top);
            }
            documents
        })
    }

    proptest! {
        /// Only of several complete documents with one id, or several in progress, does the order decide.
        #[test]
        fn property_any_order_of_arrival_gives_the_same_trace(
            (sent, shuffled) in documents().prop_flat_map(|sent| (Just(sent.clone()), Just(sent).prop_shuffle()))
        ) {
            let id = TraceId::parse(TRACE_ID).unwrap();
            let one = Trace::assemble(id, stored(&sent));
            let other = Trace::assemble(id, stored(&shuffled));
            prop_assert_eq!(one.documents(), other.documents());
            prop_assert_eq!(one.orphans().count(), other.orphans().count());
            let ids: BTreeSet<_> = one.parts.iter().map(|part| part.id).collect();
            let mut expected = BTreeSet::new();
            for document in &sent {
                let mut found = BTreeSet::new();
                ids_in(document.as_object().unwrap(), &mut found);
                expected.extend(found.iter().map(|id| SegmentId::parse(id)));
            }
            prop_assert_eq!(ids, expected);
            check_export(&one);
        }
    }
}
