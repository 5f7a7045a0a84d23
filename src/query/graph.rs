//! The service graph: which services there are, who calls whom, how often, how long it took and how it went.
//!
//! It is counted trace by trace, by several threads if need be, and put together at the end. The rules are those of
//! X-Ray's recorded answers to `GetServiceGraph` and `GetTraceGraph`: a node counts the callee's own segments, an edge
//! the calls as the caller saw them.

mod answer;
mod counts;
mod nodes;
mod places;
mod tally;
mod walk;

pub use answer::{Alias, Edge, NoMembers, Service, ServiceGraph, State, TraceGraph};
pub use tally::{ErrorStatistics, FaultStatistics, Statistics};

pub(super) use nodes::{Key, Node};
pub(super) use tally::{Seen, Tally};
pub(super) use walk::{Observer, Role, Walk};

use super::row::Row;
use super::source::Columns;
use counts::{Counts, Form};

/// Counts traces.
#[derive(Debug, Default)]
pub struct Graph {
    walk: Walk,
    counts: Counts,
}

impl Graph {
    /// What is read of each row.
    pub const COLUMNS: Columns = Columns::NAME.and(Columns::ACCOUNT).and(Columns::CALLS).and(Columns::LOCALS);

    /// Counts a trace: all its rows, settled. Whether it belongs to the graph is up to the caller.
    pub fn add(&mut self, rows: &[Row<'_>]) {
        self.walk.trace(rows, &mut self.counts);
    }

    /// Adds what another one, of another thread, has counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
    }

    /// How often something was left out because there were too many different nodes or edges.
    pub fn left_out(&self) -> u64 {
        self.counts.left_out()
    }

    /// The answer of `GetServiceGraph`.
    pub fn service_graph(&self) -> ServiceGraph {
        let (start_time, end_time) = self.counts.span().unzip();
        let services = self.counts.services(Form::Service);
        ServiceGraph { start_time, end_time, services, ..ServiceGraph::default() }
    }

    /// The answer of `GetTraceGraph`, for which one trace has been added. There are no times in it, and AWS services
    /// that send no segments have the region.
    pub fn trace_graph(&self, region: &str) -> TraceGraph {
        TraceGraph { services: self.counts.services(Form::Trace { region }), ..TraceGraph::default() }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::{any_documents, any_traces};
