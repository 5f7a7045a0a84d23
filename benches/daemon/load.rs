//! The load generator: documents with a number each, at an even rate or as fast as the core can.

use crate::pace::{self, AT_ONCE, Sent};
use crate::support::{self, MARK, MARK_DIGITS};
use crate::sys;
use anyhow::Context;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::Instant;

/// Sends datagrams to one address.
pub(crate) struct Generator {
    socket: UdpSocket,
    datagrams: Vec<Vec<u8>>,
    /// Where the digits stand in each datagram.
    digits: Vec<usize>,
}

impl Generator {
    /// Datagrams of exactly `datagram_bytes` bytes, header included.
    pub(crate) fn new(to: SocketAddr, datagram_bytes: usize) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        let smallest = support::HEADER.len() + 1;
        anyhow::ensure!(datagram_bytes > smallest, "no datagram is as small as {datagram_bytes} bytes");
        let datagrams = support::datagrams(AT_ONCE, datagram_bytes - support::HEADER.len());
        let digits = datagrams
            .iter()
            .map(|datagram| memchr::memmem::find(datagram, MARK.as_bytes()).map(|at| at + MARK.len()))
            .collect::<Option<_>>()
            .context("a document without a mark")?;
        Ok(Self { socket, datagrams, digits })
    }

    /// Sends documents with these marks, `rate` in a second.
    pub(crate) fn send_evenly(&mut self, marks: Range<u64>, rate: u64) -> anyhow::Result<Sent> {
        pace::evenly(marks, rate, |due| self.send_at_once(due).map(|_| ()))
    }

    /// Sends documents with these marks without a pause.
    pub(crate) fn send_at_once(&mut self, marks: Range<u64>) -> anyhow::Result<Sent> {
        let began = Instant::now();
        let mut next = marks.start;
        while next < marks.end {
            let count = usize::try_from(marks.end - next).unwrap_or(AT_ONCE).min(AT_ONCE);
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

fn write_digits(into: &mut [u8], mut number: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}
