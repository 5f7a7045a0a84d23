//! What became of the documents that were offered to the store: every way out has a counter here.
//!
//! `received + recovered = stored + refused + dropped + waiting`, in every [`Ledger`] anybody can get. Documents of an
//! earlier run that are found in the log are `recovered` and, once they are back in the head, `stored` too: what this
//! run took anew is `stored - recovered`, as long as nothing of the recovered was refused or dropped. Documents in blocks
//! of an earlier run are in no counter. What retention deletes was stored, and stays so.

use crate::segment::{DatagramError, InvalidCode};
use std::collections::VecDeque;
use std::fmt::{self, Display};

/// Refusals that are remembered.
const REFUSALS: usize = 100;

/// Longest id that is remembered; a real one has 35 characters. Whatever else stands there may be anything.
const ID_MAX_BYTES: usize = 64;

/// How a document came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A datagram from an SDK.
    Udp,
    /// PutTraceSegments.
    Http,
    /// A file of exported documents.
    Import,
}

impl Transport {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Http, Self::Import];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Http => "http",
            Self::Import => "import",
        }
    }
}

/// Why a document was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedReason {
    /// The datagram has no valid header.
    Datagram(DatagramError),
    /// X-Ray would not take it.
    Invalid(InvalidCode),
    /// It claims to be OTLP, and cannot be read as that.
    Otlp,
    /// Spans of OTLP that the sender's sampler decided against. They are sent to be counted, and belong to no trace.
    Unsampled,
}

impl RefusedReason {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 19] = [
        Self::Datagram(DatagramError::ALL[0]),
        Self::Datagram(DatagramError::ALL[1]),
        Self::Datagram(DatagramError::ALL[2]),
        Self::Datagram(DatagramError::ALL[3]),
        Self::Datagram(DatagramError::ALL[4]),
        Self::Invalid(InvalidCode::ParseError),
        Self::Invalid(InvalidCode::MissingId),
        Self::Invalid(InvalidCode::InvalidId),
        Self::Invalid(InvalidCode::MissingName),
        Self::Invalid(InvalidCode::MissingTraceId),
        Self::Invalid(InvalidCode::InvalidTraceId),
        Self::Invalid(InvalidCode::UnknownType),
        Self::Invalid(InvalidCode::MissingStartTime),
        Self::Invalid(InvalidCode::MissingEndTime),
        Self::Invalid(InvalidCode::InProgressSegmentHasEndTime),
        Self::Invalid(InvalidCode::MissingParentId),
        Self::Invalid(InvalidCode::InvalidParentId),
        Self::Otlp,
        Self::Unsampled,
    ];

    /// The metric label. X-Ray's own codes are written as X-Ray writes them.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Datagram(error) => error.label(),
            Self::Invalid(code) => match code {
                InvalidCode::ParseError => "ParseError",
                InvalidCode::MissingId => "MissingId",
                InvalidCode::InvalidId => "InvalidId",
                InvalidCode::MissingName => "MissingName",
                InvalidCode::MissingTraceId => "MissingTraceId",
                InvalidCode::InvalidTraceId => "InvalidTraceId",
                InvalidCode::UnknownType => "UnknownType",
                InvalidCode::MissingStartTime => "MissingStartTime",
                InvalidCode::MissingEndTime => "MissingEndTime",
                InvalidCode::InProgressSegmentHasEndTime => "InProgressSegmentHasEndTime",
                InvalidCode::MissingParentId => "MissingParentId",
                InvalidCode::InvalidParentId => "InvalidParentId",
            },
            Self::Otlp => "otlp",
            Self::Unsampled => "unsampled",
        }
    }
}

/// Why a good document was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// More came in than could be written, and the memory for what waits was used up.
    Memory,
    /// The disk takes nothing, and there is no memory for more.
    Disk,
    /// It came while the store was stopping.
    Shutdown,
}

impl DropReason {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Disk, Self::Shutdown];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A document that was refused, for people to look at. Nothing of what stands in it is kept but its ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Microseconds since 1970.
    pub at_micros: u64,
    /// Why.
    pub reason: RefusedReason,
    /// How it came in.
    pub transport: Transport,
    /// Its id, as it was written, if it can be read.
    pub id: Option<String>,
    /// Its trace id, as it was written, if it can be read.
    pub trace_id: Option<String>,
}

/// Everything counted since the store was opened, in documents, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    received: [u64; Transport::ALL.len()],
    refused: [u64; RefusedReason::ALL.len()],
    dropped: [u64; DropReason::ALL.len()],
    /// Found in the log of an earlier run.
    pub recovered: u64,
    /// Can be read. Without a failure of the disk, they have also been written to it.
    pub stored: u64,
    /// Received, and not dealt with yet.
    pub waiting: u64,
}

impl Ledger {
    /// Received, by transport. A datagram of OTLP counts as one document until it is taken apart, and from then on as
    /// many as were in it.
    pub fn received_by(&self) -> impl Iterator<Item = (Transport, u64)> + use<> {
        Transport::ALL.into_iter().zip(self.received)
    }

    /// Refused, by reason.
    pub fn refused_by(&self) -> impl Iterator<Item = (RefusedReason, u64)> + use<> {
        RefusedReason::ALL.into_iter().zip(self.refused)
    }

    /// Dropped, by reason.
    pub fn dropped_by(&self) -> impl Iterator<Item = (DropReason, u64)> + use<> {
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

    /// Whether every document is accounted for.
    pub fn balances(&self) -> bool {
        self.received_total() + self.recovered
            == self.stored + self.refused_total() + self.dropped_total() + self.waiting
    }

    pub(super) fn received(&mut self, transport: Transport, count: u64) {
        self.received[position(&Transport::ALL, transport)] += count;
    }

    pub(super) fn refused(&mut self, reason: RefusedReason, count: u64) {
        self.refused[position(&RefusedReason::ALL, reason)] += count;
    }

    pub(super) fn dropped(&mut self, reason: DropReason, count: u64) {
        self.dropped[position(&DropReason::ALL, reason)] += count;
    }
}

fn position<T: PartialEq + Copy>(all: &[T], wanted: T) -> usize {
    all.iter().position(|one| *one == wanted).expect("ALL has every variant")
}

impl Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The last refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals(VecDeque<Refused>);

impl Refusals {
    /// What was not sampled is as it should be, and nothing anybody has to look into.
    pub(super) fn add(&mut self, mut refused: Refused) {
        if refused.reason == RefusedReason::Unsampled {
            return;
        }
        refused.id = refused.id.filter(|id| is_plausible(id));
        refused.trace_id = refused.trace_id.filter(|id| is_plausible(id));
        if self.0.len() == REFUSALS {
            self.0.pop_front();
        }
        self.0.push_back(refused);
    }

    /// Newest first.
    pub(super) fn list(&self) -> Vec<Refused> {
        self.0.iter().rev().cloned().collect()
    }
}

/// What stands where an id belongs may be anything, and must not be shown then.
fn is_plausible(id: &str) -> bool {
    id.len() <= ID_MAX_BYTES && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_label() {
        let mut ledger = Ledger::default();
        for (count, reason) in (1..).zip(RefusedReason::ALL) {
            ledger.refused(reason, count);
        }
        let labels: Vec<_> = RefusedReason::ALL.iter().map(|reason| reason.label()).collect();
        let mut unique = labels.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), labels.len(), "{labels:?}");
        assert!(ledger.refused_by().map(|(_, count)| count).eq(1..=RefusedReason::ALL.len() as u64));
    }

    #[test]
    fn only_the_last_refusals_are_remembered_and_only_what_may_be_an_id() {
        let mut refusals = Refusals::default();
        for at_micros in 0..=REFUSALS as u64 {
            refusals.add(Refused {
                at_micros,
                reason: RefusedReason::Otlp,
                transport: Transport::Udp,
                id: Some("70de5b6f19ff9a0g".to_owned()),
                trace_id: Some("a secret".to_owned()),
            });
        }
        let list = refusals.list();
        assert_eq!((list.len(), list[0].at_micros), (REFUSALS, REFUSALS as u64));
        assert_eq!((list[0].id.as_deref(), list[0].trace_id.as_deref()), (Some("70de5b6f19ff9a0g"), None));
    }
}
