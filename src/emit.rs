//! Sends segment documents to a daemon, as the SDKs do: for programs in Rust, and for `xrayd send`.

use crate::address::{DaemonAddress, LazyAddress, RESOLVE_TTL_MAX};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

/// The daemon header most SDKs write, with its line feed.
pub const HEADER: &[u8] = b"{\"format\":\"json\",\"version\":1}\n";

/// Sends documents over UDP. The socket is not connected, so a daemon that restarts is found again.
#[derive(Debug)]
pub struct Emitter {
    to: LazyAddress,
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    datagram: Vec<u8>,
}

impl Emitter {
    /// Nothing is looked up or sent yet.
    pub fn new(address: &DaemonAddress) -> Self {
        let to = LazyAddress::new(address.udp.clone(), RESOLVE_TTL_MAX);
        Self { to, v4: None, v6: None, datagram: Vec::new() }
    }

    /// Sends one segment document.
    ///
    /// # Errors
    /// When the name cannot be resolved, or the document is larger than a datagram can be (65,478 bytes over
    /// IPv4). That the daemon received it cannot be known: this is UDP.
    pub fn send(&mut self, document: &[u8]) -> io::Result<()> {
        let mut datagram = std::mem::take(&mut self.datagram);
        datagram.clear();
        datagram.extend_from_slice(HEADER);
        datagram.extend_from_slice(document);
        let sent = self.send_raw(&datagram);
        self.datagram = datagram;
        sent
    }

    /// Sends a whole datagram, header included, as it is.
    ///
    /// # Errors
    /// As [`Emitter::send`].
    pub fn send_raw(&mut self, datagram: &[u8]) -> io::Result<()> {
        let to = *self.to.resolve(Instant::now())?.first().ok_or(io::ErrorKind::NotFound)?;
        let (slot, any): (_, SocketAddr) = match to {
            SocketAddr::V4(_) => (&mut self.v4, (Ipv4Addr::UNSPECIFIED, 0).into()),
            SocketAddr::V6(_) => (&mut self.v6, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        let socket = match slot {
            Some(socket) => socket,
            None => slot.insert(UdpSocket::bind(any)?),
        };
        socket.send_to(datagram, to).map(|_| ())
    }
}
