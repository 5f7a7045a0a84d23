//! The way to what failed.
//!
//! As recorded of X-Ray: the way leads from the root over parts that are marked as failed to one that says why, by an
//! exception, or to a call whose service is not traced. Marks alone are no cause. Where two ways are as good, X-Ray's
//! choice follows the ids in a manner of its own; here it is the lower one.

use super::super::node::NodeId;
use super::super::row::Outcome;
use super::super::trace::{Part, Trace};
use super::exceptions::Exceptions;
use super::{CauseEntity, CauseService, RootCause};
use crate::segment::Kind;
use std::cmp::Reverse;

/// What a cause is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// A 5xx.
    Fault,
    /// A 4xx, a 429 among them.
    Error,
}

impl Failure {
    fn marks(self, outcome: Outcome) -> bool {
        match self {
            Self::Fault => outcome.fault,
            Self::Error => outcome.error || outcome.throttle,
        }
    }
}

/// How much a way says about the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// It is only marked.
    None,
    /// It ends at a call whose service is not traced.
    Untraced,
    /// It ends at an exception.
    Exception,
}

/// The cause of a failure, if the trace says more than that there was one.
pub(super) fn find(trace: &Trace, exceptions: &Exceptions<'_>, failure: Failure) -> Option<RootCause> {
    let mut search = Search { exceptions, failure, reasons: vec![None; trace.len()] };
    for segment in trace.segments() {
        search.weigh(segment);
    }
    let root = trace.root().filter(|root| search.reason(*root) > Reason::None);
    let client_impacting = root.is_some();
    let way = match root {
        Some(root) => search.way(root),
        None => search.way_below(trace)?,
    };
    Some(RootCause { services: search.services(&way), client_impacting })
}

struct Search<'a, 'b> {
    exceptions: &'b Exceptions<'a>,
    failure: Failure,
    /// Of each part of the trace that was weighed.
    reasons: Vec<Option<Reason>>,
}

impl<'a> Search<'a, '_> {
    fn is_marked(&self, part: Part<'_>) -> bool {
        self.failure.marks(part.outcome())
    }

    /// What failed below a part: subsegments in it, segments that answer it.
    fn failed_below(&self, part: Part<'a>) -> impl Iterator<Item = Part<'a>> {
        part.children().chain(part.answers()).filter(|below| self.is_marked(*below))
    }

    fn reason(&self, part: Part<'_>) -> Reason {
        self.reasons[part.at()].unwrap_or(Reason::None)
    }

    /// Weighs a part and all that failed below it, each once. Services may call each other for as long as they like, so
    /// that this keeps a list of its own of where it is. A way back to where it is counts for nothing.
    fn weigh(&mut self, segment: Part<'a>) {
        let mut waiting = vec![(segment, false)];
        while let Some((part, below_is_done)) = waiting.pop() {
            if below_is_done {
                let below = self.failed_below(part).map(|below| self.reason(below)).max();
                self.reasons[part.at()] = Some(self.own_reason(part).max(below.unwrap_or(Reason::None)));
            } else if self.reasons[part.at()].is_none() {
                self.reasons[part.at()] = Some(Reason::None);
                if self.is_marked(part) {
                    waiting.push((part, true));
                    waiting.extend(self.failed_below(part).map(|below| (below, false)));
                }
            }
        }
    }

    fn own_reason(&self, part: Part<'a>) -> Reason {
        if !self.exceptions.thrown_in(part).is_empty() {
            Reason::Exception
        } else if is_untraced_call(part) {
            Reason::Untraced
        } else {
            Reason::None
        }
    }

    /// From a part to the cause.
    fn way(&self, from: Part<'a>) -> Vec<Part<'a>> {
        let mut way = vec![from];
        let mut passed = vec![false; self.reasons.len()];
        let mut part = from;
        loop {
            passed[part.at()] = true;
            let ahead = self.failed_below(part).filter(|next| !passed[next.at()]);
            let Some(next) = ahead
                .filter(|next| self.reason(*next) > Reason::None)
                .max_by_key(|next| (self.reason(*next), next.kind() == Kind::Segment, Reverse(next.id())))
            else {
                return way;
            };
            way.push(next);
            part = next;
        }
    }

    /// Where the root knows nothing of it, the way begins at the service that failed: a segment, or the service of a
    /// call that is not traced, below what did not fail.
    fn way_below(&self, trace: &'a Trace) -> Option<Vec<Part<'a>>> {
        let explains = |part: Part<'a>| self.reason(part) > Reason::None;
        let is_first = |caller: Option<Part<'a>>| !caller.and_then(Part::segment).is_some_and(explains);
        let segments = trace.segments().filter(|segment| explains(*segment) && is_first(segment.caller()));
        let calls = trace.unanswered().map(|(call, _)| call);
        let calls = calls.filter(|call| self.is_marked(*call) && is_first(Some(*call)));
        let reason = |part: Part<'a>| match part.kind() {
            Kind::Segment => self.reason(part),
            Kind::Subsegment => Reason::Untraced,
        };
        let from = segments.chain(calls).min_by(|one, other| {
            reason(*other)
                .cmp(&reason(*one))
                .then(one.start().total_cmp(&other.start()))
                .then(one.id().cmp(&other.id()))
        })?;
        Some(if from.kind() == Kind::Segment { self.way(from) } else { vec![from] })
    }

    fn services(&self, way: &[Part<'a>]) -> Vec<CauseService> {
        let mut services: Vec<CauseService> = Vec::new();
        for &part in way {
            match services.last_mut() {
                _ if part.kind() == Kind::Segment => {
                    services.push(CauseService::new(part.node(), false, vec![self.entity(part)]));
                }
                Some(service) => service.entity_path.push(self.entity(part)),
                None => {}
            }
        }
        let last = way.last().copied().filter(|last| is_untraced_call(*last));
        if let Some((last, callee)) = last.and_then(|last| Some((last, last.callee()?))) {
            let entity = entity(last, false, Vec::new());
            services.push(CauseService::new(NodeId::from(callee), true, vec![entity]));
        }
        services
    }

    fn entity(&self, part: Part<'a>) -> CauseEntity {
        entity(part, part.callee().is_some(), self.exceptions.thrown_in(part))
    }
}

fn entity(part: Part<'_>, remote: bool, exceptions: Vec<super::CauseException>) -> CauseEntity {
    CauseEntity { name: part.name().to_owned(), exceptions: Some(exceptions), coverage: None, remote }
}

fn is_untraced_call(part: Part<'_>) -> bool {
    part.id().is_some() && part.answers().next().is_none() && part.callee().is_some()
}
