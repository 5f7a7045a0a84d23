//! Sends the documents of [`Traces`] as datagrams.

use crate::pace::{self, AT_ONCE, Sent};
use crate::sys;
use crate::traces::{DOCUMENT_BYTES, Traces};
use anyhow::Context;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;

/// What SDKs put in front of a document, as most of them write it.
const HEADER: &[u8] = b"{\"format\":\"json\",\"version\":1}\n";

/// Sends to one address.
pub(crate) struct Sender {
    socket: UdpSocket,
    datagrams: Vec<Vec<u8>>,
}

impl Sender {
    pub(crate) fn new(to: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        let datagram = || {
            let mut datagram = Vec::with_capacity(HEADER.len() + DOCUMENT_BYTES);
            datagram.extend_from_slice(HEADER);
            datagram
        };
        Ok(Self { socket, datagrams: (0..AT_ONCE).map(|_| datagram()).collect() })
    }

    /// Sends all documents, `rate` in a second.
    pub(crate) fn send(&mut self, traces: &Traces, rate: u64) -> anyhow::Result<Sent> {
        pace::evenly(0..traces.segments(), rate, |due| self.send_now(traces, due))
    }

    fn send_now(&mut self, traces: &Traces, numbers: Range<u64>) -> anyhow::Result<()> {
        let mut next = numbers.start;
        while next < numbers.end {
            let count = usize::try_from(numbers.end - next).unwrap_or(AT_ONCE).min(AT_ONCE);
            for (datagram, number) in self.datagrams.iter_mut().zip(next..numbers.end) {
                datagram.truncate(HEADER.len());
                traces.append(number, datagram);
            }
            let mut sent = 0;
            while sent < count {
                sent += sys::send_many(&self.socket, &self.datagrams[sent..count]).context("sendmmsg")?;
            }
            next += count as u64;
        }
        Ok(())
    }
}
