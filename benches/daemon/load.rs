//! The load generator: documents with a number each, at an even rate or as fast as the core can.

use crate::support::{self, MARK, MARK_DIGITS};
use crate::sys;
use anyhow::Context;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Shortest sleep between two looks at what is due.
const TICK: Duration = Duration::from_micros(200);

/// A generator that was kept from running catches up with what this time would have brought, and with no more
/// than one system call; it lets the rest of its schedule slip. A larger burst would measure the generator.
const CATCH_UP: Duration = Duration::from_millis(2);

/// Datagrams of one system call, and different documents there are. Fewer than the smallest receive buffer holds.
const DOCUMENTS: usize = 64;

/// Sends datagrams to one address.
pub(crate) struct Generator {
    socket: UdpSocket,
    datagrams: Vec<Vec<u8>>,
    /// Where the digits stand in each datagram.
    digits: Vec<usize>,
}

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

impl Generator {
    /// Datagrams of exactly `datagram_bytes` bytes, header included.
    pub(crate) fn new(to: SocketAddr, datagram_bytes: usize) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        let smallest = support::HEADER.len() + 1;
        anyhow::ensure!(datagram_bytes > smallest, "no datagram is as small as {datagram_bytes} bytes");
        let datagrams = support::datagrams(DOCUMENTS, datagram_bytes - support::HEADER.len());
        let digits = datagrams
            .iter()
            .map(|datagram| memchr::memmem::find(datagram, MARK.as_bytes()).map(|at| at + MARK.len()))
            .collect::<Option<_>>()
            .context("a document without a mark")?;
        Ok(Self { socket, datagrams, digits })
    }

    /// Sends documents with these marks, `rate` in a second.
    pub(crate) fn send_evenly(&mut self, marks: Range<u64>, rate: u64) -> anyhow::Result<Sent> {
        let began = Instant::now();
        let mut start = began;
        let mut next = marks.start;
        while next < marks.end {
            let now = Instant::now();
            let due = (marks.start + 1 + count_in(now - start, rate)).min(marks.end);
            if due > next {
                let most = count_in(CATCH_UP, rate).clamp(1, DOCUMENTS as u64);
                let late = (due - next).saturating_sub(most);
                start += time_of(late, rate);
                self.send_at_once(next..due - late)?;
                next = due - late;
            }
            pause((start + time_of(next - marks.start, rate)).max(now + TICK));
        }
        Ok(Sent { count: marks.end - marks.start, took: began.elapsed() })
    }

    /// Sends documents with these marks without a pause.
    pub(crate) fn send_at_once(&mut self, marks: Range<u64>) -> anyhow::Result<Sent> {
        let began = Instant::now();
        let mut next = marks.start;
        while next < marks.end {
            let count = usize::try_from(marks.end - next).unwrap_or(DOCUMENTS).min(DOCUMENTS);
            for ((datagram, &at), mark) in self.datagrams.iter_mut().zip(&self.digits).zip(next..marks.end) {
                write_digits(&mut datagram[at..at + MARK_DIGITS], mark);
            }
            next += self.send_first(count)?;
        }
        Ok(Sent { count: marks.end - marks.start, took: began.elapsed() })
    }

    fn send_first(&self, count: usize) -> anyhow::Result<u64> {
        match sys::send_many(&self.socket, &self.datagrams[..count]) {
            Ok(sent) => Ok(sent as u64),
            // What the port of a daemon that was not there yet has left behind.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(0),
            Err(error) => Err(error).context("sendmmsg"),
        }
    }
}

fn count_in(time: Duration, rate: u64) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(u64::MAX)
}

fn time_of(count: u64, rate: u64) -> Duration {
    Duration::from_nanos(count.saturating_mul(1_000_000_000) / rate.max(1))
}

fn write_digits(into: &mut [u8], mut number: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// Sleeps until then.
#[expect(clippy::disallowed_methods, reason = "the distance of two datagrams is what a generator waits for")]
fn pause(until: Instant) {
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
}
