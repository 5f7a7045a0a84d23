//! What keeps a flood of events readable.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines about the same thing.
const INTERVAL: Duration = Duration::from_secs(10);

/// Time before another reason for the same state is said.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

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
}

/// A state that is said once, when it begins, and again when its reason changes, but not more than once a minute.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<SaidState>);

#[derive(Debug, Default)]
struct SaidState {
    reason: Option<String>,
    said: Option<Instant>,
}

impl Said {
    /// Remembers the reason, and returns whether it is to be said.
    pub(super) fn changed(&self, reason: &str, now: Instant) -> bool {
        let mut state = self.lock();
        if state.reason.as_deref() == Some(reason) {
            return false;
        }
        state.reason = Some(reason.to_owned());
        if state.said.is_some_and(|at| now.duration_since(at) < SAY_AGAIN_AFTER) {
            return false;
        }
        state.said = Some(now);
        true
    }

    /// Returns whether there was a reason.
    pub(super) fn cleared(&self) -> bool {
        self.lock().reason.take().is_some()
    }

    pub(super) fn current(&self) -> Option<String> {
        self.lock().reason.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SaidState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    }

    #[test]
    fn a_state_is_said_when_it_begins_and_not_at_every_change_of_its_reason() {
        let (said, start) = (Said::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        assert!(said.changed("no region", at(0)));
        assert!(!said.changed("no region", at(70)));
        assert!(said.changed("no credentials", at(70)));
        assert!(!said.changed("no region", at(71)), "two reasons in turn are no news");
        assert_eq!(said.current().as_deref(), Some("no region"));
        assert!(said.cleared());
        assert!(!said.cleared());
        assert!(said.changed("no region", at(140)));
    }
}
