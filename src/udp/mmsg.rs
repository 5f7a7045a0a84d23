//! Linux: `recvmmsg` into buffers that live as long as the thread, and the kernel's own drop counter.

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
const DATAGRAMS_PER_CALL_MAX: usize = 64;

/// In little memory a call takes fewer: a flood of the largest datagrams fills every buffer.
const DATAGRAMS_PER_CALL_MIN: usize = 16;

/// Room for the largest datagram there is, so that none is ever cut.
const BUFFER_BYTES: usize = 64 * 1024;

/// Position of the drop counter in what `SO_MEMINFO` fills (`SK_MEMINFO_DROPS`, `linux/sock_diag.h`).
const MEMINFO_DROPS: usize = 8;

/// Numbers `SO_MEMINFO` fills (`SK_MEMINFO_VARS`).
const MEMINFO_COUNT: usize = 9;

/// Receives many datagrams a call.
///
/// The headers are built once: a pass that takes one datagram then touches one of them, not all 64. After a
/// sleep the processor's cache is cold, and that is most of what such a pass costs.
pub(super) struct Mmsg {
    socket: UdpSocket,
    arena: Arena,
    count: usize,
    /// The last call took fewer than it could: the next one had better wait than ask.
    drained: bool,
    wake_receiver: UnixStream,
    wake_sender: Arc<UnixStream>,
}

/// Buffers, and headers that point into them.
struct Arena {
    /// How many.
    slots: usize,
    /// One allocation; its pages are touched only as far as datagrams reach. Owned through a raw pointer
    /// because the kernel writes into it behind the compiler's back.
    buffers: *mut [u8; BUFFER_BYTES],
    headers: Box<[libc::mmsghdr]>,
    /// What the headers point to; owned in the same way.
    vectors: *mut libc::iovec,
}

// SAFETY: the pointers lead to memory that only this value owns.
unsafe impl Send for Arena {}

impl Arena {
    fn new(slots: usize) -> Self {
        // Bytes, not arrays: zeroed memory then comes from the system untouched.
        let buffers = vec![0_u8; slots * BUFFER_BYTES].into_boxed_slice();
        let buffers = Box::into_raw(buffers).cast::<[u8; BUFFER_BYTES]>();
        let vectors: Box<[libc::iovec]> = (0..slots)
            .map(|at| libc::iovec {
                // SAFETY: `at` is below the number of buffers that were allocated.
                iov_base: unsafe { buffers.add(at) }.cast(),
                iov_len: BUFFER_BYTES,
            })
            .collect();
        let vectors = Box::into_raw(vectors).cast::<libc::iovec>();
        let headers = (0..slots)
            .map(|at| {
                // SAFETY: all-zero is a valid mmsghdr: null pointers with lengths of 0.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                // SAFETY: `at` is below the number of vectors that were allocated.
                header.msg_hdr.msg_iov = unsafe { vectors.add(at) };
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Self { slots, buffers, headers, vectors }
    }

    fn datagram(&self, at: usize) -> &[u8] {
        let length = self.headers[at].msg_len as usize;
        // SAFETY: the index was checked above; the buffers are initialised, live as long as `self`, and are
        // written to only by calls that borrow it mutably.
        let buffer: &[u8; BUFFER_BYTES] = unsafe { &*self.buffers.add(at) };
        &buffer[..length]
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let bytes = self.slots * BUFFER_BYTES;
        let buffers = std::ptr::slice_from_raw_parts_mut(self.buffers.cast::<u8>(), bytes);
        let vectors = std::ptr::slice_from_raw_parts_mut(self.vectors, self.slots);
        // SAFETY: both were made by `Box::into_raw` from slices of these lengths, and not freed before.
        unsafe {
            drop(Box::from_raw(buffers));
            drop(Box::from_raw(vectors));
        }
    }
}

impl Mmsg {
    /// As many buffers as suit a receive buffer of this size, which goes by the memory there is.
    pub(super) fn new(socket: UdpSocket, receive_buffer_bytes: usize) -> io::Result<Self> {
        let slots = receive_buffer_bytes / BUFFER_BYTES;
        let arena = Arena::new(slots.clamp(DATAGRAMS_PER_CALL_MIN, DATAGRAMS_PER_CALL_MAX));
        let (wake_sender, wake_receiver) = UnixStream::pair()?;
        wake_receiver.set_nonblocking(true)?;
        wake_sender.set_nonblocking(true)?;
        let wake_sender = Arc::new(wake_sender);
        Ok(Self { socket, arena, count: 0, drained: true, wake_receiver, wake_sender })
    }

    /// Takes what is there without waiting.
    fn take(&mut self) -> io::Result<usize> {
        // SAFETY: every header points to an iovec of the arena, each iovec to its own buffer there; the arena is
        // borrowed mutably for the whole call. No name, control data or timeout is asked for.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                self.arena.headers.as_mut_ptr(),
                libc::c_uint::try_from(self.arena.slots).expect("at most 64"),
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            self.drained = true;
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        };
        self.drained = count < self.arena.slots;
        self.count = count;
        Ok(count)
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let waiting = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut polled = [waiting(self.socket.as_raw_fd()), waiting(self.wake_receiver.as_raw_fd())];
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
            let _ = self.wake_receiver.read(&mut bytes);
        }
        Ok(())
    }
}

impl Receive for Mmsg {
    fn receive(&mut self, timeout: Duration) -> io::Result<usize> {
        self.count = 0;
        if self.drained && !timeout.is_zero() {
            self.wait(timeout)?;
        }
        self.take()
    }

    fn expect_datagrams(&mut self) {
        self.drained = false;
    }

    fn datagrams(&self) -> impl Iterator<Item = &[u8]> + Clone {
        (0..self.count).map(|at| self.arena.datagram(at))
    }

    fn capacity(&self) -> usize {
        self.arena.slots
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
        let wake = self.wake_sender.clone();
        Box::new(move || {
            // A full pipe means that the thread will wake anyway.
            let _ = (&*wake).write(&[1]);
        })
    }
}

/// Sets the receive buffer past `net.core.rmem_max`, which takes `CAP_NET_ADMIN`. Whether it worked.
pub(super) fn force_receive_buffer(socket: &UdpSocket, bytes: usize) -> bool {
    let Ok(bytes) = libc::c_int::try_from(bytes) else { return false };
    let Ok(length) = libc::socklen_t::try_from(size_of_val(&bytes)) else { return false };
    // SAFETY: the option takes an int, and gets a pointer to one with its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const bytes).cast(),
            length,
        )
    };
    result == 0
}
