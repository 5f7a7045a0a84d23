//! Binding the socket and asking the kernel for a receive buffer.

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Opens the socket. `[::]` also takes IPv4, as it does for the official daemon.
///
/// # Errors
/// What the system says, a port in use for example.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Asks for a receive buffer of `bytes`, past the system's limit where the process may, and returns what the
/// kernel granted: twice the number asked for when all went well.
pub(super) fn enlarge_buffer(socket: &UdpSocket, bytes: usize) -> usize {
    #[cfg(target_os = "linux")]
    let forced = super::mmsg::force_receive_buffer(socket, bytes);
    #[cfg(not(target_os = "linux"))]
    let forced = false;
    let socket = SockRef::from(socket);
    if !forced && let Err(error) = socket.set_recv_buffer_size(bytes) {
        tracing::debug!(%error, "SO_RCVBUF");
    }
    socket.recv_buffer_size().unwrap_or_default()
}
