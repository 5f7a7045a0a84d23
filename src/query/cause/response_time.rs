//! The way to what took so long.
//!
//! As recorded of X-Ray: from the root always to the subsegment that took longest, as long as it covers more than half of
//! the root's time. A call of another service ends it; a service that is not traced is named behind its call.

use super::super::json::milliseconds;
use super::super::node::NodeId;
use super::super::trace::{Part, Trace};
use super::{CauseEntity, CauseService, RootCause};
use std::cmp::Reverse;

/// A subsegment that covers no more of the root's time than this is no cause of it.
const COVERAGE_MIN: f64 = 0.5;

/// The cause of the response time; none where no part of the root took most of it.
pub(super) fn find(trace: &Trace) -> Option<RootCause> {
    let root = trace.root()?;
    let total = root.duration().filter(|total| *total > 0.0)?;
    let mut entities = vec![entity(root, 1.0, false)];
    let mut services = Vec::new();
    let mut part = root;
    while let Some((next, coverage)) = longest_below(part, total) {
        let callee = next.callee();
        entities.push(entity(next, coverage, callee.is_some()));
        part = next;
        if let Some(callee) = callee {
            if next.answers().next().is_none() {
                let path = vec![entity(next, coverage, false)];
                services.push(CauseService::new(NodeId::from(callee), true, path));
            }
            break;
        }
    }
    if entities.len() < 2 {
        return None;
    }
    services.insert(0, CauseService::new(root.node(), false, entities));
    Some(RootCause { services, client_impacting: true })
}

fn longest_below(part: Part<'_>, total: f64) -> Option<(Part<'_>, f64)> {
    let timed = part.children().filter_map(|child| Some((child, child.duration()?)));
    let (longest, seconds) = timed.max_by(|(one, time), (other, other_time)| {
        time.total_cmp(other_time).then_with(|| Reverse(one.id()).cmp(&Reverse(other.id())))
    })?;
    // Seconds since 1970 are exact to a quarter of a microsecond; what X-Ray was seen to call a half must be one.
    let coverage = milliseconds(seconds / total);
    (coverage > COVERAGE_MIN).then_some((longest, coverage))
}

fn entity(part: Part<'_>, coverage: f64, remote: bool) -> CauseEntity {
    CauseEntity { name: part.name().to_owned(), exceptions: None, coverage: Some(coverage), remote }
}
