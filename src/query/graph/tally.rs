//! What is counted at a node and at an edge.

use super::super::histogram::{Histogram, HistogramEntry, micros_between, seconds};
use super::super::row::{Call, Outcome, Row};
use serde::Serialize;

/// One segment or one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    /// Seconds since 1970.
    pub(crate) start: f64,
    /// Until the response, in microseconds.
    pub(crate) micros: u64,
    pub(crate) outcome: Outcome,
}

impl Seen {
    /// None while it is in progress: X-Ray does not count that.
    pub(crate) fn segment(row: &Row<'_>) -> Option<Self> {
        Some(Self { start: row.start, micros: micros_between(row.start, row.end?), outcome: row.outcome })
    }

    /// None while it is in progress.
    pub(crate) fn call(call: &Call<'_>) -> Option<Self> {
        let (start, end) = (call.began()?, call.end?);
        Some(Self { start, micros: micros_between(start, end), outcome: call.outcome() })
    }
}

/// Counts of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    ok: u64,
    throttle: u64,
    error: u64,
    fault: u64,
    micros: u64,
    times: Histogram,
}

impl Tally {
    /// Counts one, in the first of throttle, fault, error and ok that it is: X-Ray counts nothing twice.
    pub(crate) fn add(&mut self, seen: &Seen) {
        let Outcome { error, fault, throttle } = seen.outcome;
        match (throttle, fault, error) {
            (true, _, _) => self.throttle += 1,
            (_, true, _) => self.fault += 1,
            (_, _, true) => self.error += 1,
            _ => self.ok += 1,
        }
        self.micros = self.micros.saturating_add(seen.micros);
        self.times.add(seen.micros);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        self.throttle += other.throttle;
        self.error += other.error;
        self.fault += other.fault;
        self.micros = self.micros.saturating_add(other.micros);
        self.times.merge(&other.times);
    }

    pub(crate) fn total(&self) -> u64 {
        self.ok + self.throttle + self.error + self.fault
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            ok_count: self.ok,
            error_statistics: ErrorStatistics {
                throttle_count: self.throttle,
                other_count: self.error,
                total_count: self.throttle + self.error,
            },
            fault_statistics: FaultStatistics { other_count: self.fault, total_count: self.fault },
            total_count: self.total(),
            // In whole milliseconds, as recorded.
            total_response_time: (seconds(self.micros) * 1e3).round() / 1e3,
        }
    }

    pub(crate) fn histogram(&self) -> Vec<HistogramEntry> {
        self.times.entries()
    }
}

/// `SummaryStatistics` of X-Ray's API. All members are always there: clients read them without asking.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statistics {
    /// Neither of the others.
    pub ok_count: u64,
    /// 4xx.
    pub error_statistics: ErrorStatistics,
    /// 5xx.
    pub fault_statistics: FaultStatistics,
    /// All.
    pub total_count: u64,
    /// Sum of the times until the response, in seconds.
    pub total_response_time: f64,
}

/// `ErrorStatistics` of X-Ray's API.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorStatistics {
    /// 429.
    pub throttle_count: u64,
    /// The other 4xx.
    pub other_count: u64,
    /// Both.
    pub total_count: u64,
}

/// `FaultStatistics` of X-Ray's API.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FaultStatistics {
    /// 5xx.
    pub other_count: u64,
    /// The same.
    pub total_count: u64,
}
