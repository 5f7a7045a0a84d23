//! The system calls the standard library has no words for.

#![expect(
    unsafe_code,
    reason = "affinity, capabilities, sendmmsg, SO_RCVBUFFORCE and CPU clocks have no safe wrapper"
)]
#![allow(dead_code, reason = "every bench takes the parts it needs")]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// `CAP_NET_ADMIN` of `linux/capability.h`: its holder may exceed `net.core.rmem_max`.
pub(crate) const CAP_NET_ADMIN: u8 = 12;

/// The cores this process may run on, in order.
pub(crate) fn allowed_cores() -> Vec<usize> {
    // SAFETY: all-zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most as many bytes as the set has.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    let most = if result == 0 { 8 * size_of_val(&set) } else { 0 };
    // SAFETY: `core` is below the number of bits the set has.
    (0..most).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect()
}

/// Binds the calling thread, and every thread it starts from now on, to one core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    bind_to(&only(core))
}

fn only(core: usize) -> libc::cpu_set_t {
    // SAFETY: all-zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set has room for 1024 cores; `CPU_SET` checks the bound.
    unsafe { libc::CPU_SET(core, &mut set) };
    set
}

fn bind_to(set: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as the set has.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(set), set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a child that dies with this process, runs on one core, and may be denied large receive buffers.
pub(crate) fn before_exec(command: &mut Command, core: Option<usize>, drop_net_admin: bool) {
    let set = core.map(only);
    let prepare = move || {
        // SAFETY: two flags of the child itself; no memory is touched.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if drop_net_admin {
                // Fails where the capability is missing already, or cannot be given up: looked at afterwards.
                libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(CAP_NET_ADMIN));
            }
        }
        set.as_ref().map_or(Ok(()), bind_to)
    };
    // SAFETY: between fork and exec only system calls are made, nothing is allocated or locked.
    unsafe { command.pre_exec(prepare) };
}

/// CPU time a process has had, user and system, all its threads.
pub(crate) fn cpu_time(process: u32) -> io::Result<Duration> {
    let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the call writes one clock id.
    let result = unsafe { libc::clock_getcpuclockid(process, &raw mut clock) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    // SAFETY: all-zero is a time.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one time.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Ok(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default()))
}

/// CPU time of the calling process.
pub(crate) fn own_cpu_time() -> io::Result<Duration> {
    cpu_time(0)
}

/// Lets the calling thread's sleeps end when they should, not up to 50 µs later.
pub(crate) fn exact_sleeps() {
    // SAFETY: a setting of the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Sends datagrams with one system call; how many went.
pub(crate) fn send_many(socket: &UdpSocket, datagrams: &[Vec<u8>]) -> io::Result<usize> {
    let mut vectors: Vec<_> = datagrams
        .iter()
        .map(|datagram| libc::iovec {
            iov_base: datagram.as_ptr().cast_mut().cast(),
            iov_len: datagram.len(),
        })
        .collect();
    let mut headers: Vec<_> = vectors
        .iter_mut()
        .map(|vector| {
            // SAFETY: all-zero is a valid mmsghdr: null pointers with lengths of 0.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect();
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: headers, vectors and datagrams outlive the call; the kernel only reads the datagrams.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Asks for a receive buffer past the system's limit; whether the process may.
pub(crate) fn force_receive_buffer(socket: &UdpSocket, bytes: usize) -> bool {
    let Ok(bytes) = libc::c_int::try_from(bytes) else { return false };
    let Ok(length) = libc::socklen_t::try_from(size_of_val(&bytes)) else { return false };
    // SAFETY: the option takes an int and gets a pointer to one, with its size.
    let result = unsafe {
        let value = (&raw const bytes).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value, length)
    };
    result == 0
}
