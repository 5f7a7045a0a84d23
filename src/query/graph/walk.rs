//! Goes through one trace and says who called whom.
//!
//! What belongs together is told by ids alone, in any order of receipt. A segment is below the call whose id is its
//! parent; below another service when its parent is that one's segment or a subsegment that is no call; an entry of the
//! trace when it has no parent. Independent subsegments belong to the segment that is found by going up their parents.
//!
//! What has lost its parent is attached to nothing: a segment then is a node without an edge to it, as X-Ray answers for
//! a trace without a root; a call, whose service nobody knows, is left out, as X-Ray leaves subsegments out of a trace
//! while their segment is missing.
//!
//! What is in progress is not counted. A segment in progress is no node, so that what it calls has no edge from it, as
//! recorded of X-Ray; but a complete call that it answers leads to it.

use super::super::histogram::micros_between;
use super::super::row::{Call, Row};
use super::nodes::{Key, Node, REMOTE};
use super::places::{Place, Places};
use super::tally::Seen;
use crate::segment::Kind;
use std::ops::Range;

/// Who is told what is found.
pub(crate) trait Observer {
    /// The number of a node, which then exists. None when there are too many of them: what is about it is left out.
    fn node(&mut self, key: Key<'_>, role: Role, start: f64) -> Option<Node>;

    /// A segment, or a call that takes the place of one. `duration` goes on until the last part of it has
    /// ended, in microseconds.
    fn count(&mut self, node: Node, seen: &Seen, duration: u64);

    /// A call, with the name the caller has for the callee where that is another one.
    fn call(&mut self, from: Node, to: Node, seen: &Seen, alias: Option<&str>);
}

/// What is known of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has segments.
    Segment,
    /// Called over the network; nothing more is known.
    Remote,
    /// Called in AWS; nothing more is known.
    Aws,
    /// Whoever called the entry of the trace.
    Client,
}

/// What is reused from trace to trace.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    places: Places,
    /// Of each row that is a segment: when the last part of it has ended.
    ends: Vec<f64>,
    /// Of each row: the node of the complete segment it is.
    nodes: Vec<Option<Node>>,
    /// Calls that a segment answers, with the row of the segment.
    answers: Vec<(u32, u32)>,
    /// Rows of the segments that answer a single call.
    callees: Vec<u32>,
}

impl Walk {
    /// Goes through the rows of one trace.
    pub(crate) fn trace(&mut self, rows: &[Row<'_>], observer: &mut impl Observer) {
        let calls = calls_of(rows);
        self.places.arrange(rows, &calls);
        self.ends(rows, &calls);
        self.segments(rows, observer);
        self.calls(rows, &calls, observer);
    }

    /// When the last part of each segment has ended: X-Ray's duration goes on while asynchronous subsegments do. Of those
    /// inside of a document only calls are known, which are what may outlive it.
    fn ends(&mut self, rows: &[Row<'_>], calls: &[(u32, Call<'_>)]) {
        let known = |end: Option<f64>| end.unwrap_or(f64::NEG_INFINITY);
        self.ends.clear();
        self.ends.extend(rows.iter().map(|row| known(row.end)));
        let parts =
            (0..).zip(rows).filter(|(_, row)| row.kind == Kind::Subsegment).map(|(at, row)| (at, row.end));
        for (part, end) in parts.chain(calls.iter().map(|(row, call)| (*row, call.end))) {
            if let Some(owner) = self.places.owner(part) {
                let latest = &mut self.ends[owner as usize];
                *latest = latest.max(known(end));
            }
        }
    }

    /// Nodes of segments, the edges to the entries, and the edges to segments no call is known of.
    fn segments(&mut self, rows: &[Row<'_>], observer: &mut impl Observer) {
        self.nodes.clear();
        self.answers.clear();
        for (row, &end) in rows.iter().zip(&self.ends) {
            self.nodes.push(segment(row, end, observer));
        }
        for (at, row) in (0_u32..).zip(rows).filter(|(_, row)| row.kind == Kind::Segment) {
            match self.places.parents()[at as usize] {
                None if row.parent_id.is_some() => {}
                None => entry(row, self.nodes[at as usize], observer),
                Some(Place { call: Some(call), .. }) => self.answers.push((call, at)),
                Some(_) => self.below(at, row, observer),
            }
        }
        self.answers.sort_unstable();
    }

    /// Without a call the callee's own times are all there is.
    fn below(&self, at: u32, row: &Row<'_>, observer: &mut impl Observer) {
        let caller = self.places.above(at).filter(|&caller| caller != at);
        let caller = caller.and_then(|caller| self.nodes[caller as usize]);
        if let (Some(from), Some(to), Some(seen)) = (caller, self.nodes[at as usize], Seen::segment(row)) {
            observer.call(from, to, &seen, None);
        }
    }

    fn calls(&mut self, rows: &[Row<'_>], calls: &[(u32, Call<'_>)], observer: &mut impl Observer) {
        for (at, (row, call)) in (0_u32..).zip(calls) {
            let first = self.answers.partition_point(|&(answered, _)| answered < at);
            let answered = self.answers[first..].iter().take_while(|&&(answered, _)| answered == at).count();
            // A subsegment may be in its segment, unfinished, and come again by itself. A service nobody knows has no
            // calls.
            let counts = self.places.is_counted(call.id, at);
            let Some(caller) = self.places.owner(*row).filter(|_| counts) else { continue };
            let from = self.nodes[caller as usize];
            if answered == 0 {
                unanswered(call, from, observer);
            } else if let Some(from) = from {
                self.answered(rows, call, from, first..first + answered, observer);
            }
        }
    }

    /// An edge to each service that answers a call: a topic may have several subscribers. One that answers twice, as
    /// when a client tries again, was still called once.
    fn answered(
        &mut self,
        rows: &[Row<'_>],
        call: &Call<'_>,
        from: Node,
        answers: Range<usize>,
        observer: &mut impl Observer,
    ) {
        let service = |at: u32| {
            let row = &rows[at as usize];
            (row.name, row.origin, row.account_id)
        };
        self.callees.clear();
        // A call in progress says nothing; the callee's own times are all there is then.
        let nodes = &self.nodes;
        let tells = |&at: &u32| call.end.is_some() || nodes[at as usize].is_some();
        self.callees.extend(self.answers[answers].iter().map(|&(_, at)| at).filter(tells));
        self.callees.sort_by_key(|&at| service(at));
        self.callees.dedup_by_key(|at| service(*at));
        for &at in &self.callees {
            let row = &rows[at as usize];
            let Some(seen) = Seen::call(call).or_else(|| Seen::segment(row)) else { continue };
            let in_progress = || observer.node(key(row), Role::Segment, row.start);
            let Some(to) = self.nodes[at as usize].or_else(in_progress) else { continue };
            let alias = (call.r#type == REMOTE && call.name != row.name).then_some(&*call.name);
            observer.call(from, to, &seen, alias);
        }
    }
}

fn calls_of<'a>(rows: &[Row<'a>]) -> Vec<(u32, Call<'a>)> {
    let mut calls = Vec::new();
    for (at, row) in (0_u32..).zip(rows) {
        calls.extend(row.calls().into_iter().map(|call| (at, call)));
    }
    calls
}

fn key<'a>(row: &Row<'a>) -> Key<'a> {
    Key::of_segment(row.name, row.origin, row.account_id)
}

/// The node of a row that is a complete segment.
fn segment(row: &Row<'_>, end: f64, observer: &mut impl Observer) -> Option<Node> {
    let seen = Seen::segment(row).filter(|_| row.kind == Kind::Segment)?;
    let node = observer.node(key(row), Role::Segment, row.start)?;
    observer.count(node, &seen, micros_between(row.start, end).max(seen.micros));
    Some(node)
}

/// The client's edge has the times of the root.
fn entry(row: &Row<'_>, node: Option<Node>, observer: &mut impl Observer) {
    let (Some(to), Some(seen)) = (node, Seen::segment(row)) else { return };
    if let Some(client) = observer.node(key(row).client(), Role::Client, row.start) {
        observer.call(client, to, &seen, None);
    }
}

/// Where no segment answers, the call is all that is known of the callee.
fn unanswered(call: &Call<'_>, from: Option<Node>, observer: &mut impl Observer) {
    let Some(seen) = Seen::call(call) else { return };
    let role = if call.aws { Role::Aws } else { Role::Remote };
    let Some(to) = observer.node(Key::of_callee(call.callee(), &call.r#type), role, seen.start) else {
        return;
    };
    observer.count(to, &seen, seen.micros);
    if let Some(from) = from {
        observer.call(from, to, &seen, None);
    }
}
