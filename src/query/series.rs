//! Statistics by the minute, or by five: `GetTimeSeriesServiceStatistics`.
//!
//! As recorded of X-Ray: a trace counts when its root was received, whenever it happened; a stretch of time is named by
//! its end; only stretches in which something was received are told of, and one without anything that was asked for has
//! no statistics.

use super::filter::Selector;
use super::graph::{Key, Node, Observer, Role, Seen, Statistics, Tally, Walk};
use super::histogram::HistogramEntry;
use super::row::Row;
use super::source::Columns;
use crate::segment::Kind;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Without a selector: what clients see, the edges to the entries of traces.
    #[default]
    Entries,
    /// `service(…)`: the segments of these services.
    Service(Selector),
    /// `edge(…, …)`: the calls of these by those.
    Edge(Selector, Selector),
}

/// How long each stretch of time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A minute.
    Minute,
    /// Five minutes.
    FiveMinutes,
}

impl Period {
    /// X-Ray has 60 and 300 seconds, and nothing else.
    pub fn of_seconds(seconds: i64) -> Option<Self> {
        match seconds {
            60 => Some(Self::Minute),
            300 => Some(Self::FiveMinutes),
            _ => None,
        }
    }

    /// Its length in seconds.
    pub fn seconds(self) -> f64 {
        match self {
            Self::Minute => 60.0,
            Self::FiveMinutes => 300.0,
        }
    }
}

/// Counts traces by when they were received.
#[derive(Debug)]
pub struct Series {
    wanted: Wanted,
    period: Period,
    from: f64,
    until: f64,
    walk: Walk,
    /// By their number since 1970.
    stretches: BTreeMap<u64, Tally>,
}

/// A stretch of time, as X-Ray writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TimeSeriesServiceStatistics {
    /// The end of it, in seconds since 1970.
    pub timestamp: f64,
    /// Of calls.
    pub edge_summary_statistics: Option<Statistics>,
    /// Of services.
    pub service_summary_statistics: Option<Statistics>,
    /// Nothing is forecast.
    pub service_forecast_statistics: Forecast,
    /// Times until the response.
    pub response_time_histogram: Option<Vec<HistogramEntry>>,
}

/// `{}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Forecast {}

impl Series {
    /// What is read of each row.
    pub const COLUMNS: Columns = super::graph::Graph::COLUMNS;

    /// Of the stretches that end from `from` on and before `until`, in seconds since 1970. The documents of the first
    /// of them may have been received earlier than `from`, by up to a period: a [`Window`](super::Window) has to be wide
    /// enough. Other documents of a trace may come later than its root:
    /// [`fold_received`](super::search::fold_received) shows it whenever they came.
    pub fn new(wanted: Wanted, period: Period, from: f64, until: f64) -> Self {
        Self { wanted, period, from, until, walk: Walk::default(), stretches: BTreeMap::new() }
    }

    /// Counts a trace: all its rows, settled. Whether it is asked for is up to the caller.
    pub fn add(&mut self, rows: &[Row<'_>]) {
        let Some(stretch) = received(rows).and_then(|received| self.stretch(received)) else { return };
        let tally = self.stretches.entry(stretch).or_default();
        self.walk.trace(rows, &mut Count { wanted: &self.wanted, tally });
    }

    /// Adds what another one, of another thread, has counted.
    pub fn merge(&mut self, other: &Self) {
        for (&stretch, tally) in &other.stretches {
            self.stretches.entry(stretch).or_default().merge(tally);
        }
    }

    /// The stretches, the newest first.
    pub fn statistics(&self) -> Vec<TimeSeriesServiceStatistics> {
        let newest_first = self.stretches.iter().rev();
        newest_first.map(|(&stretch, tally)| self.answer(self.end(stretch), tally)).collect()
    }

    fn answer(&self, timestamp: f64, tally: &Tally) -> TimeSeriesServiceStatistics {
        let counted = Some(tally).filter(|tally| tally.total() > 0);
        let statistics = counted.map(Tally::statistics);
        let (edge, service) = match self.wanted {
            Wanted::Entries | Wanted::Edge(..) => (statistics, None),
            Wanted::Service(_) => (None, statistics),
        };
        TimeSeriesServiceStatistics {
            timestamp,
            edge_summary_statistics: edge,
            service_summary_statistics: service,
            service_forecast_statistics: Forecast {},
            response_time_histogram: counted.map(Tally::histogram),
        }
    }

    /// The stretch of a moment, if it is asked for.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` goes to the nearest bound"
    )]
    fn stretch(&self, received: f64) -> Option<u64> {
        let stretch = (received / self.period.seconds()).ceil() as u64;
        (self.from..self.until).contains(&self.end(stretch)).then_some(stretch)
    }

    fn end(&self, stretch: u64) -> f64 {
        stretch as f64 * self.period.seconds()
    }
}

/// When a trace was received: its root, of several the one it began with, or without one the first of its segments. None
/// while none is complete.
fn received(rows: &[Row<'_>]) -> Option<f64> {
    let mut complete = rows.iter().filter(|row| row.kind == Kind::Segment && !row.is_in_progress());
    let roots = complete.clone().filter(|row| row.parent_id.is_none());
    let root = roots.min_by(|one, other| one.start.total_cmp(&other.start).then(one.id.cmp(&other.id)));
    root.or_else(|| complete.next()).map(|row| row.received_at)
}

/// A caller that is asked for.
const CALLER: Node = 1;
/// A callee, or a service by itself, that is asked for.
const CALLEE: Node = 2;

/// Counts what is asked for. The number of a node says no more than what it is asked for as.
struct Count<'a> {
    wanted: &'a Wanted,
    tally: &'a mut Tally,
}

impl Observer for Count<'_> {
    fn node(&mut self, key: Key<'_>, role: Role, _: f64) -> Option<Node> {
        let flag = |wanted, flag| if wanted { flag } else { 0 };
        Some(match self.wanted {
            Wanted::Entries => flag(role == Role::Client, CALLER) | CALLEE,
            Wanted::Service(service) => flag(selects(service, &key), CALLEE),
            Wanted::Edge(from, to) => flag(selects(from, &key), CALLER) | flag(selects(to, &key), CALLEE),
        })
    }

    fn count(&mut self, node: Node, seen: &Seen, _: u64) {
        if node & CALLEE != 0 && matches!(self.wanted, Wanted::Service(_)) {
            self.tally.add(seen);
        }
    }

    fn call(&mut self, from: Node, to: Node, seen: &Seen, _: Option<&str>) {
        if from & CALLER != 0 && to & CALLEE != 0 && !matches!(self.wanted, Wanted::Service(_)) {
            self.tally.add(seen);
        }
    }
}

fn selects(selector: &Selector, key: &Key<'_>) -> bool {
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
    };
    is(&selector.name, Some(&key.name))
        && is(&selector.r#type, key.r#type.as_deref())
        && is(&selector.account_id, key.account_id.as_deref())
}

#[cfg(test)]
mod tests;
