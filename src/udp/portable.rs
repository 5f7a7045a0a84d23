//! One datagram a call, with nothing but the standard library: for systems other than Linux. The tests run it
//! beside the Linux receiver.

use super::{DATAGRAM_MAX_BYTES, Receive, Waker};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Longest single wait: nothing can wake this receiver but a datagram.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Receives with `recv_from`.
#[derive(Debug)]
pub struct Portable {
    socket: UdpSocket,
    buffer: Box<[u8]>,
    length: Option<usize>,
}

impl Portable {
    /// Takes over the socket.
    ///
    /// # Errors
    /// What the socket says.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        Ok(Self { socket, buffer: vec![0; DATAGRAM_MAX_BYTES].into_boxed_slice(), length: None })
    }
}

impl Receive for Portable {
    fn receive(&mut self, timeout: Duration) -> io::Result<usize> {
        self.length = None;
        // A timeout of zero would mean for ever.
        let wait = timeout.clamp(Duration::from_millis(1), WAIT_MAX);
        self.socket.set_read_timeout(Some(wait))?;
        match self.socket.recv_from(&mut self.buffer) {
            Ok((length, _)) => {
                self.length = Some(length);
                Ok(1)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    fn datagrams(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.length.map(|length| &self.buffer[..length]).into_iter()
    }

    fn capacity(&self) -> usize {
        1
    }

    fn kernel_dropped(&self) -> Option<u64> {
        None
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn waker(&self) -> Waker {
        Box::new(|| {})
    }
}
