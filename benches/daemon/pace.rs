//! Datagrams at an even rate, and short waits for what nobody tells.

use std::ops::Range;
use std::time::{Duration, Instant};

/// Shortest sleep between two looks at what is due.
const TICK: Duration = Duration::from_micros(200);

/// A generator that was kept from running catches up with what this time would have brought, and with no more
/// than one system call; it lets the rest of its schedule slip. A larger burst would measure the generator.
const CATCH_UP: Duration = Duration::from_millis(2);

/// Datagrams of one system call. Fewer than the smallest receive buffer holds.
pub(crate) const AT_ONCE: usize = 64;

/// How a load went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) count: u64,
    pub(crate) took: Duration,
}

impl Sent {
    /// Datagrams per second that were really sent.
    pub(crate) fn rate(self) -> f64 {
        self.count as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Has these numbers sent, `rate` in a second. `send` gets those that are due, some [`AT_ONCE`] of them.
pub(crate) fn evenly(
    numbers: Range<u64>,
    rate: u64,
    mut send: impl FnMut(Range<u64>) -> anyhow::Result<()>,
) -> anyhow::Result<Sent> {
    let began = Instant::now();
    let mut start = began;
    let mut next = numbers.start;
    while next < numbers.end {
        let now = Instant::now();
        let due = (numbers.start + 1 + count_in(now - start, rate)).min(numbers.end);
        if due > next {
            let most = count_in(CATCH_UP, rate).clamp(1, AT_ONCE as u64);
            let late = (due - next).saturating_sub(most);
            start += time_of(late, rate);
            send(next..due - late)?;
            next = due - late;
        }
        pause((start + time_of(next - numbers.start, rate)).max(now + TICK));
    }
    Ok(Sent { count: numbers.end - numbers.start, took: began.elapsed() })
}

fn count_in(time: Duration, rate: u64) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(u64::MAX)
}

fn time_of(count: u64, rate: u64) -> Duration {
    Duration::from_nanos(count.saturating_mul(1_000_000_000) / rate.max(1))
}

/// Sleeps until then.
#[expect(clippy::disallowed_methods, reason = "the distance of two datagrams is what a generator waits for")]
fn pause(until: Instant) {
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
}

/// A short sleep between two looks at counters that nobody can wait for.
#[expect(clippy::disallowed_methods, reason = "counters and files of another process cannot be waited for")]
pub(crate) fn poll_again() {
    std::thread::sleep(Duration::from_millis(2));
}
