//! What was counted, and what waits. Every way a document can leave has a counter here.

use crate::segment::DatagramError;

/// How a document came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A datagram from an SDK.
    Udp,
    /// PutTraceSegments on the TCP port.
    Http,
}

impl Transport {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 2] = [Self::Udp, Self::Http];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Http => "http",
        }
    }
}

/// Why a document was refused: it is no document, or X-Ray does not want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedReason {
    /// The datagram has no valid header.
    Datagram(DatagramError),
    /// Too large for a request body of its own.
    TooLarge,
    /// X-Ray named it in `UnprocessedTraceSegments`.
    Unprocessed,
    /// X-Ray refused a request that held it alone.
    Rejected,
}

impl RefusedReason {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 8] = [
        Self::Datagram(DatagramError::ALL[0]),
        Self::Datagram(DatagramError::ALL[1]),
        Self::Datagram(DatagramError::ALL[2]),
        Self::Datagram(DatagramError::ALL[3]),
        Self::Datagram(DatagramError::ALL[4]),
        Self::TooLarge,
        Self::Unprocessed,
        Self::Rejected,
    ];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Datagram(error) => error.label(),
            Self::TooLarge => "too_large",
            Self::Unprocessed => "unprocessed",
            Self::Rejected => "rejected",
        }
    }

    /// The sink that refused it, if one did.
    pub const fn by_xray(self) -> bool {
        matches!(self, Self::Unprocessed | Self::Rejected)
    }
}

/// Why a good document was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The memory budget was used up.
    Memory,
    /// X-Ray could not be reached before the shutdown's time was over.
    Shutdown,
    /// The spool was full; the oldest made room.
    SpoolFull,
    /// They waited in the spool for longer than X-Ray takes documents.
    Expired,
    /// The disk does not give back what was written to it.
    SpoolDamaged,
}

impl DropReason {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 5] =
        [Self::Memory, Self::Shutdown, Self::SpoolFull, Self::Expired, Self::SpoolDamaged];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Shutdown => "shutdown",
            Self::SpoolFull => "spool_full",
            Self::Expired => "expired",
            Self::SpoolDamaged => "spool_damaged",
        }
    }
}

/// Everything counted since start, in documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    received: [u64; Transport::ALL.len()],
    refused: [u64; RefusedReason::ALL.len()],
    dropped: [u64; DropReason::ALL.len()],
    /// Taken over from an earlier run.
    pub recovered: u64,
    /// X-Ray took them.
    pub sent: u64,
    /// The store took them.
    pub stored: u64,
    /// Had bytes that are not UTF-8; they went on all the same.
    pub repaired: u64,
    /// Sent in a try whose answer was lost, so that X-Ray may have them twice.
    pub duplicates_possible: u64,
}

impl Totals {
    pub(super) fn received(&mut self, transport: Transport, count: usize) {
        self.received[position(&Transport::ALL, transport)] += count as u64;
    }

    pub(super) fn refused(&mut self, reason: RefusedReason, count: usize) {
        self.refused[position(&RefusedReason::ALL, reason)] += count as u64;
    }

    pub(super) fn dropped(&mut self, reason: DropReason, count: usize) {
        self.dropped[position(&DropReason::ALL, reason)] += count as u64;
    }

    /// Received, by transport.
    pub fn received_by(&self) -> impl Iterator<Item = (Transport, u64)> {
        Transport::ALL.into_iter().zip(self.received)
    }

    /// Refused, by reason.
    pub fn refused_by(&self) -> impl Iterator<Item = (RefusedReason, u64)> {
        RefusedReason::ALL.into_iter().zip(self.refused)
    }

    /// Dropped, by reason.
    pub fn dropped_by(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().zip(self.dropped)
    }

    /// All that came in.
    pub fn received_total(&self) -> u64 {
        self.received.iter().sum()
    }

    /// All that was refused.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// All that was given up.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

fn position<T: PartialEq + Copy>(all: &[T], wanted: T) -> usize {
    all.iter().position(|one| *one == wanted).expect("ALL has every variant")
}

/// Documents that wait, by place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// In the open batch, or in a closed one that was not tried yet.
    pub batch: u64,
    /// Being sent.
    pub in_flight: u64,
    /// Tried without success.
    pub retry: u64,
    /// On disk and nowhere else, or read from it to be sent next.
    pub spool: u64,
}

impl Waiting {
    /// All that waits.
    pub fn total(&self) -> u64 {
        self.batch + self.in_flight + self.retry + self.spool
    }

    /// By place, for the metric label.
    pub fn by_place(&self) -> [(&'static str, u64); 4] {
        [("batch", self.batch), ("inflight", self.in_flight), ("retry", self.retry), ("spool", self.spool)]
    }
}

/// The whole pipeline at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Counted since start.
    pub totals: Totals,
    /// Waiting now.
    pub waiting: Waiting,
    /// Requests under way.
    pub sends_open: usize,
    /// Requests allowed at once now.
    pub sends_allowed: usize,
    /// Bytes of the budget in use.
    pub budget_used_bytes: usize,
    /// The whole budget.
    pub budget_bytes: usize,
}

impl Snapshot {
    /// Whether every document is accounted for.
    pub fn balances(&self) -> bool {
        let Totals { recovered, sent, stored, .. } = self.totals;
        self.totals.received_total() + recovered
            == sent
                + stored
                + self.totals.refused_total()
                + self.totals.dropped_total()
                + self.waiting.total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_label() {
        let labels: Vec<_> = RefusedReason::ALL.iter().map(|reason| reason.label()).collect();
        let mut unique = labels.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), labels.len(), "{labels:?}");
        for error in DatagramError::ALL {
            let mut totals = Totals::default();
            totals.refused(RefusedReason::Datagram(error), 1);
            assert_eq!(totals.refused_total(), 1);
        }
    }
}
