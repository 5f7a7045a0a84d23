//! What keeps a flood of events readable.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines about the same thing.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets one line through every ten seconds and counts the others.
#[derive(Debug, Default)]
pub(super) struct LogLimit(Mutex<LimitState>);

#[derive(Debug, Default)]
struct LimitState {
    last: Option<Instant>,
    held_back: u64,
}

impl LogLimit {
    /// `Some(n)`: say it, and that it happened `n` more times since it was said last.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.duration_since(last) < INTERVAL) {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }

    /// The next event is said at once.
    pub(super) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last = None;
    }
}

/// A state that is said once, when it begins or its reason changes.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<Option<String>>);

impl Said {
    /// Returns whether this reason is new.
    pub(super) fn changed(&self, reason: &str) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_deref() == Some(reason) {
            return false;
        }
        *current = Some(reason.to_owned());
        true
    }

    /// Returns whether there was a reason.
    pub(super) fn cleared(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    pub(super) fn current(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_every_ten_seconds_that_says_how_many_it_stands_for() {
        let limit = LogLimit::default();
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let seen: Vec<_> = [0, 1, 9, 10, 11, 30].map(|secs| limit.admit(at(secs))).into();
        assert_eq!(seen, [Some(0), None, None, Some(2), None, Some(1)]);
        limit.reset();
        assert_eq!(limit.admit(at(31)), Some(0));
    }

    #[test]
    fn a_state_is_said_again_only_when_its_reason_changes() {
        let said = Said::default();
        assert!(said.changed("no region"));
        assert!(!said.changed("no region"));
        assert!(said.changed("no credentials"));
        assert!(said.cleared());
        assert!(!said.cleared());
    }
}
