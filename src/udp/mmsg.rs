//! Linux: `recvmmsg` into 64 buffers that live as long as the thread, and the kernel's own drop counter.

#![expect(
    unsafe_code,
    reason = "recvmmsg, SO_MEMINFO and SO_RCVBUFFORCE have no safe wrapper; `Portable` is the safe fallback \
              and the tests compare the two"
)]

use super::{Receive, Waker};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Datagrams one call takes. More of them fall out of the processor's cache before they are copied on.
const DATAGRAMS_PER_CALL: usize = 64;

/// Room for the largest datagram there is, so that none is ever cut.
const BUFFER_BYTES: usize = 64 * 1024;

/// Position of the drop counter in what `SO_MEMINFO` fills (`SK_MEMINFO_DROPS`, `linux/sock_diag.h`).
const MEMINFO_DROPS: usize = 8;

/// Numbers `SO_MEMINFO` fills (`SK_MEMINFO_VARS`).
const MEMINFO_COUNT: usize = 9;

/// Receives up to 64 datagrams a call.
pub(super) struct Mmsg {
    socket: UdpSocket,
    /// One allocation; its pages are touched only as far as datagrams reach.
    buffers: Box<[u8]>,
    lengths: [usize; DATAGRAMS_PER_CALL],
    count: usize,
    wake_here: UnixStream,
    wake_there: Arc<UnixStream>,
}

impl Mmsg {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let (wake_there, wake_here) = UnixStream::pair()?;
        wake_here.set_nonblocking(true)?;
        wake_there.set_nonblocking(true)?;
        Ok(Self {
            socket,
            buffers: vec![0; DATAGRAMS_PER_CALL * BUFFER_BYTES].into_boxed_slice(),
            lengths: [0; DATAGRAMS_PER_CALL],
            count: 0,
            wake_here,
            wake_there: Arc::new(wake_there),
        })
    }

    /// Takes what is there without waiting.
    fn take(&mut self) -> io::Result<usize> {
        let mut vectors: [libc::iovec; DATAGRAMS_PER_CALL] = std::array::from_fn(|at| libc::iovec {
            // `at` is below the number of buffers the allocation was made for.
            iov_base: self.buffers[at * BUFFER_BYTES..].as_mut_ptr().cast(),
            iov_len: BUFFER_BYTES,
        });
        let mut headers: [libc::mmsghdr; DATAGRAMS_PER_CALL] = std::array::from_fn(|at| {
            // SAFETY: all-zero is a valid mmsghdr: null pointers with lengths of 0.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = &raw mut vectors[at];
            header.msg_hdr.msg_iovlen = 1;
            header
        });
        // SAFETY: every header points to one iovec on this stack frame, each iovec to its own 64 KB of
        // `self.buffers`, which is borrowed mutably for the whole call. No name, control or timeout is given.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                DATAGRAMS_PER_CALL as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        };
        for (length, header) in self.lengths.iter_mut().zip(&headers[..count]) {
            *length = header.msg_len as usize;
        }
        self.count = count;
        Ok(count)
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let waiting = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut polled = [waiting(self.socket.as_raw_fd()), waiting(self.wake_here.as_raw_fd())];
        // Rounded up: waking a moment before the deadline would make a pass for nothing.
        let millis = timeout.as_micros().div_ceil(1000);
        let millis = libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX);
        // SAFETY: the array has two entries and lives through the call.
        let ready = unsafe { libc::poll(polled.as_mut_ptr(), 2, millis) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        if polled[1].revents != 0 {
            let mut bytes = [0; 16];
            // Only to be woken once for each call of the waker.
            let _ = self.wake_here.read(&mut bytes);
        }
        Ok(())
    }
}

impl Receive for Mmsg {
    fn receive(&mut self, timeout: Duration) -> io::Result<usize> {
        self.count = 0;
        let count = self.take()?;
        if count > 0 || timeout.is_zero() {
            return Ok(count);
        }
        self.wait(timeout)?;
        self.take()
    }

    fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let buffers = self.buffers.chunks_exact(BUFFER_BYTES);
        buffers.zip(self.lengths).take(self.count).map(|(buffer, length)| &buffer[..length])
    }

    fn capacity(&self) -> usize {
        DATAGRAMS_PER_CALL
    }

    fn kernel_dropped(&self) -> Option<u64> {
        let mut info = [0_u32; MEMINFO_COUNT];
        let mut length = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
        // SAFETY: the kernel writes at most `length` bytes into `info`, which has that many.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        (result == 0).then(|| u64::from(info[MEMINFO_DROPS]))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn waker(&self) -> Waker {
        let wake = self.wake_there.clone();
        Box::new(move || {
            // A full pipe means that the thread will wake anyway.
            let _ = (&*wake).write(&[1]);
        })
    }
}

/// Sets the receive buffer past `net.core.rmem_max`, which takes `CAP_NET_ADMIN`. Whether it worked.
pub(super) fn force_receive_buffer(socket: &UdpSocket, bytes: usize) -> bool {
    let Ok(bytes) = libc::c_int::try_from(bytes) else { return false };
    // SAFETY: the option takes an int, and gets a pointer to one with its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    result == 0
}
