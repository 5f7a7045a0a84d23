//! What time it is. Tests move it.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

/// Microseconds of a second.
pub(super) const SECOND: u64 = 1_000_000;

/// Where the store has the time from.
pub trait Clock: Send + Sync + Debug {
    /// Microseconds since 1970, as the host's clock shows them. May jump.
    fn wall_micros(&self) -> u64;
    /// Time since some moment. Only ever rises.
    fn monotonic(&self) -> Duration;
}

/// The host's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn wall_micros(&self) -> u64 {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Seconds since 1970, as records have them.
pub(super) fn seconds(micros: u64) -> f64 {
    micros as f64 / SECOND as f64
}

/// Microseconds since 1970 of a record's time; 0 for what is before.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what does not fit becomes the nearest"
)]
pub(super) fn micros(seconds: f64) -> u64 {
    (seconds * SECOND as f64).round() as u64
}
