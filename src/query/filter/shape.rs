//! How the documents of one trace hang together: which segment a part belongs to, and which segment answers a call.
//!
//! Rows come from strangers. Parents may be missing, be their own children, or be there twice; every walk ends.

use super::super::id::SegmentId;
use super::super::row::{Call, Row};
use crate::segment::Kind;

/// The documents of one trace, put together. Segments are named by their index in the rows.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    /// A segment or subsegment says it belongs below something that is not there, or below itself.
    pub(super) is_partial: bool,
    /// Every call of something else, answered or not, once.
    edges: Vec<Edge<'a>>,
    /// The subsegments that were sent by themselves: segment, row; ordered.
    parts: Vec<(usize, usize)>,
    /// Of each row that is a segment: the latest end of it and of what belongs to it.
    latest_ends: Vec<f64>,
}

/// A segment calls something.
#[derive(Debug)]
pub(super) struct Edge<'a> {
    /// The segment that calls.
    pub(super) caller: usize,
    /// The subsegment it calls with. None when the segment that answers names none, as a Lambda function's does; and
    /// while it is in progress, if a segment answers it, whose times are all that is known then.
    pub(super) call: Option<Call<'a>>,
    /// The segment that answers. None when there is none: the call is all that is known.
    pub(super) callee: Option<usize>,
    /// It is in the graph: X-Ray counts nothing that is in progress.
    is_complete: bool,
}

impl<'a> Shape<'a> {
    pub(super) fn of(rows: &[Row<'a>]) -> Self {
        let calls = rows
            .iter()
            .enumerate()
            .flat_map(|(index, row)| row.calls().into_iter().map(move |call| (index, call)));
        let calls: Vec<_> = calls.collect();
        let places = Places::of(rows, &calls);
        let owners = owners(rows, |row| rows[row].parent_id.and_then(|parent| places.row_of(parent)));
        let parts = parts(rows, &owners);
        let is_partial = is_partial(rows, &places);
        let calls = settled_calls(&owners, calls);
        Self {
            is_partial,
            latest_ends: latest_ends(rows, &parts, &calls),
            edges: edges(rows, &places, &owners, calls),
            parts,
        }
    }

    /// Rows of the subsegments that belong to a segment and were sent by themselves.
    pub(super) fn parts_of(&self, segment: usize) -> impl Iterator<Item = usize> {
        let first = self.parts.partition_point(|&(owner, _)| owner < segment);
        self.parts[first..].iter().take_while(move |&&(owner, _)| owner == segment).map(|&(_, row)| row)
    }

    /// The latest end of a segment and of all that belongs to it.
    pub(super) fn latest_end(&self, segment: usize) -> Option<f64> {
        self.latest_ends.get(segment).copied()
    }

    /// The calls of one service by another that are complete, as the graph has them.
    pub(super) fn edges(&self) -> impl Iterator<Item = &Edge<'a>> {
        self.edges.iter().filter(|edge| edge.is_complete)
    }

    /// Calls that no segment answers, complete or not: each stands for a node without segments.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = &Call<'a>> {
        self.edges.iter().filter(|edge| edge.callee.is_none()).filter_map(|edge| edge.call.as_ref())
    }
}

/// Where each id of the trace is: in which rows. Its own row comes first.
struct Places(Vec<(SegmentId, usize)>);

impl Places {
    fn of(rows: &[Row<'_>], calls: &[(usize, Call<'_>)]) -> Self {
        let own = rows.iter().enumerate().map(|(index, row)| (row.id, index));
        let called = calls.iter().map(|(index, call)| (call.id, *index));
        let inside = rows.iter().enumerate().flat_map(|(index, row)| row.locals().map(move |id| (id, index)));
        let mut places: Vec<_> = own.chain(called).chain(inside).collect();
        // Stable, so that the row of a subsegment that was sent by itself comes before the segment that mentions it.
        places.sort_by_key(|&(id, _)| id);
        Self(places)
    }

    fn rows_of(&self, id: SegmentId) -> impl Iterator<Item = usize> {
        let first = self.0.partition_point(|&(known, _)| known < id);
        self.0[first..].iter().take_while(move |&&(known, _)| known == id).map(|&(_, row)| row)
    }

    fn row_of(&self, id: SegmentId) -> Option<usize> {
        self.rows_of(id).next()
    }
}

/// The segment each row belongs to: itself, or the first one above a subsegment. None above orphans. `above` says in
/// which row the parent of a subsegment is.
fn owners(rows: &[Row<'_>], above: impl Fn(usize) -> Option<usize>) -> Vec<Option<usize>> {
    let is_segment = |index: usize| rows[index].kind == Kind::Segment;
    let mut owners: Vec<_> = (0..rows.len()).map(|index| is_segment(index).then_some(index)).collect();
    let mut is_known: Vec<_> = (0..rows.len()).map(is_segment).collect();
    let mut way = Vec::new();
    for start in 0..rows.len() {
        let mut at = Some(start);
        while let Some(index) = at.filter(|&index| !is_known[index]) {
            // Known from now on, as an orphan: that ends a circle, too.
            is_known[index] = true;
            way.push(index);
            at = above(index);
        }
        let owner = at.and_then(|index| owners[index]);
        for index in way.drain(..) {
            owners[index] = owner;
        }
    }
    owners
}

/// The parent of a segment is not there, or a subsegment stands in none, by the rules by which a whole trace is put
/// together: a subsegment stands in the document it is part of, and only what is in none stands where it says.
fn is_partial(rows: &[Row<'_>], places: &Places) -> bool {
    // Its own row, else that of the first document that has it in it.
    let rank = |id, row: usize| (rows[row].id != id, rows[row].kind == Kind::Subsegment);
    let first = |id, one: usize, other: usize| {
        let by_time = rows[one].start.total_cmp(&rows[other].start).then(rows[one].id.cmp(&rows[other].id));
        rank(id, one).cmp(&rank(id, other)).then(by_time)
    };
    let place = |id, but: Option<usize>| {
        let candidates = places.rows_of(id).filter(|&row| Some(row) != but);
        candidates.min_by(|&one, &other| first(id, one, other))
    };
    let above =
        |index: usize| place(rows[index].id, Some(index)).or_else(|| place(rows[index].parent_id?, None));
    let owners = owners(rows, above);
    let is_astray = |(row, owner): (&Row<'_>, &Option<usize>)| match row.kind {
        Kind::Segment => row.parent_id.is_some_and(|parent| places.row_of(parent).is_none()),
        Kind::Subsegment => owner.is_none(),
    };
    rows.iter().zip(&owners).any(is_astray)
}

fn parts(rows: &[Row<'_>], owners: &[Option<usize>]) -> Vec<(usize, usize)> {
    let subsegments = owners.iter().enumerate().filter(|&(row, _)| rows[row].kind == Kind::Subsegment);
    let mut parts: Vec<_> = subsegments.filter_map(|(row, &owner)| Some((owner?, row))).collect();
    parts.sort_unstable();
    parts
}

/// Each call once, with the segment that makes it, ordered by id. A subsegment may be there twice, in its segment as it
/// was and by itself as it ended: the complete one counts. X-Ray shows no node for what orphans call.
fn settled_calls<'a>(owners: &[Option<usize>], calls: Vec<(usize, Call<'a>)>) -> Vec<(usize, Call<'a>)> {
    let mut calls: Vec<_> = calls.into_iter().filter_map(|(row, call)| Some((owners[row]?, call))).collect();
    calls.sort_by_key(|(_, call)| (call.id, call.end.is_none()));
    calls.dedup_by_key(|(_, call)| call.id);
    calls
}

fn latest_ends(rows: &[Row<'_>], parts: &[(usize, usize)], calls: &[(usize, Call<'_>)]) -> Vec<f64> {
    let mut latest: Vec<_> = rows.iter().map(|row| row.end.unwrap_or(row.start)).collect();
    let parts = parts.iter().map(|&(segment, part)| (segment, rows[part].end));
    let calls = calls.iter().map(|(segment, call)| (*segment, call.end));
    for (segment, end) in parts.chain(calls) {
        latest[segment] = latest[segment].max(end.unwrap_or(f64::MIN));
    }
    latest
}

fn edges<'a>(
    rows: &[Row<'a>],
    places: &Places,
    owners: &[Option<usize>],
    calls: Vec<(usize, Call<'a>)>,
) -> Vec<Edge<'a>> {
    let mut is_answered = vec![false; calls.len()];
    let mut edges = Vec::with_capacity(rows.len() + calls.len());
    let is_over = |segment: usize| rows[segment].end.is_some();
    for (callee, row) in rows.iter().enumerate().filter(|(_, row)| row.kind == Kind::Segment) {
        let Some(parent) = row.parent_id else { continue };
        let at = calls.binary_search_by_key(&parent, |(_, call)| call.id).ok();
        if let Some(at) = at {
            is_answered[at] = true;
        }
        let caller = match at {
            Some(at) => Some(calls[at].0),
            None => places.row_of(parent).and_then(|index| owners[index]).filter(|&caller| caller != callee),
        };
        let Some(caller) = caller else { continue };
        let call = at.map(|at| &calls[at].1).filter(|call| call.end.is_some()).cloned();
        let is_complete = is_over(caller) && (call.is_some() || is_over(callee));
        edges.push(Edge { caller, call, callee: Some(callee), is_complete });
    }
    let unanswered = calls.into_iter().zip(is_answered).filter(|(_, is_answered)| !is_answered);
    edges.extend(unanswered.map(|((caller, call), _)| {
        let is_complete = is_over(caller) && call.end.is_some();
        Edge { caller, call: Some(call), callee: None, is_complete }
    }));
    edges
}
