//! The UDP port: a plain OS thread that moves datagrams from the kernel to those who take them.
//!
//! What receiving costs is the wake-up, not the system call: some 20 µs, whatever is done with the datagram.
//! An async runtime wakes for every datagram; this thread naps while they come close together, and so takes
//! many at once (`benches/README.md` has the figures with and without). The nap must never cost a document: it is bounded by
//! what the granted receive buffer can hold, see [`nap_for`].

#[cfg(target_os = "linux")]
mod mmsg;
mod portable;
mod socket;

use crate::events::Events;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use portable::Portable;
pub use socket::bind;

/// Largest UDP payload over IPv4; over IPv6 20 bytes less of the same 65,535 fit.
pub const DATAGRAM_MAX_BYTES: usize = 65_507;

/// Receive buffer asked for where memory is plenty. The kernel doubles it for its own use: 32 MiB hold 14,500
/// datagrams of 1 KB. Memory is used only while datagrams wait in it.
pub const RECEIVE_BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// Longest nap.
const NAP_MAX: Duration = Duration::from_millis(4);

/// A shorter nap saves nothing.
const NAP_MIN: Duration = Duration::from_micros(200);

/// What the kernel charges the receive buffer for a 1 KB datagram.
const CHARGE_PER_DATAGRAM_BYTES: u32 = 2304;

/// Distance of two datagrams in the worst burst. One sender core manages 1.3 µs; more of them share the lock
/// of the one socket they send to.
const BURST_SPACING: Duration = Duration::from_nanos(500);

/// Longest time a stopping thread takes what the socket still holds: a flood must not hold up the stop.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Pause after an error of the socket.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// Longest time without a look at the stop flag and the kernel's drop counter.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// What the receive thread is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Receive buffer to ask the kernel for.
    pub receive_buffer_bytes: usize,
    /// Whether to nap at all.
    pub nap: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { receive_buffer_bytes: RECEIVE_BUFFER_BYTES, nap: true }
    }
}

/// Whoever takes what is received.
pub trait Intake: Send + 'static {
    /// Takes the datagrams of one pass. Must not wait for anything: the sender cannot be slowed.
    fn take<'a>(&self, now: Instant, datagrams: impl Iterator<Item = &'a [u8]> + Clone);

    /// When it has to be called again although nothing came.
    fn deadline(&self) -> Option<Instant>;
}

/// A way to receive: many datagrams at once, or one.
pub trait Receive: Send + 'static {
    /// Waits until datagrams are there or `timeout` is over, and takes as many as there are room for without
    /// waiting for more. The number taken; 0 after the timeout.
    ///
    /// # Errors
    /// What the socket says.
    fn receive(&mut self, timeout: Duration) -> io::Result<usize>;

    /// Says that datagrams are likely to be there: the next call had better look before it waits.
    fn expect_datagrams(&mut self) {}

    /// The datagrams of the last pass.
    fn datagrams(&self) -> impl Iterator<Item = &[u8]> + Clone;

    /// Datagrams one pass can take.
    fn capacity(&self) -> usize;

    /// Datagrams the kernel dropped on this socket since it was opened, where the kernel tells.
    fn kernel_dropped(&self) -> Option<u64>;

    /// Where it listens.
    ///
    /// # Errors
    /// What the socket says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Something that makes a waiting [`Receive::receive`] return 0 soon.
    fn waker(&self) -> Waker;
}

/// See [`Receive::waker`].
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// The running receive thread.
pub struct Listener {
    address: SocketAddr,
    control: Arc<Control>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Control {
    stop: AtomicBool,
    began: Instant,
    /// Milliseconds after `began` of the last pass and of the last datagram.
    last_pass_ms: AtomicU64,
    last_datagram_ms: AtomicU64,
}

impl Control {
    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Listener {
    /// Starts the thread that receives from this socket.
    ///
    /// # Errors
    /// When the socket cannot be set up or the system gives no thread.
    pub fn start(
        socket: std::net::UdpSocket,
        settings: &Settings,
        intake: impl Intake,
        events: Events,
    ) -> io::Result<Self> {
        let granted = socket::enlarge_buffer(&socket, settings.receive_buffer_bytes);
        events.receive_buffer(granted, settings.receive_buffer_bytes);
        let nap = if settings.nap { nap_for(granted) } else { Duration::ZERO };
        tracing::debug!(nap_us = nap.as_micros(), "receive thread");
        #[cfg(target_os = "linux")]
        let receiver = mmsg::Mmsg::new(socket, settings.receive_buffer_bytes)?;
        #[cfg(not(target_os = "linux"))]
        let receiver = Portable::new(socket)?;
        Self::start_with(receiver, nap, intake, events)
    }

    /// Starts the thread with a receiver of the caller's choice.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_with(
        receiver: impl Receive,
        nap: Duration,
        intake: impl Intake,
        events: Events,
    ) -> io::Result<Self> {
        let (address, waker) = (receiver.local_addr()?, receiver.waker());
        let control = Arc::new(Control {
            stop: AtomicBool::new(false),
            began: Instant::now(),
            last_pass_ms: AtomicU64::new(0),
            last_datagram_ms: AtomicU64::new(0),
        });
        let receiving = Receiving {
            receiver,
            nap,
            intake,
            events,
            control: control.clone(),
            dropped_before: 0,
            last_taken: Instant::now(),
        };
        let thread =
            std::thread::Builder::new().name("udp-receive".to_owned()).spawn(move || receiving.run())?;
        Ok(Self { address, control, waker, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Whether the thread looked at its socket in the last few seconds.
    pub fn is_alive(&self) -> bool {
        let now = self.control.millis(Instant::now());
        let running = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        running && now - self.control.last_pass_ms.load(Relaxed).min(now) < 5_000
    }

    /// How long no datagram has come.
    pub fn silent_for(&self) -> Duration {
        let now = self.control.millis(Instant::now());
        Duration::from_millis(now - self.control.last_datagram_ms.load(Relaxed).min(now))
    }

    /// Takes what the socket still holds, closes it, and ends the thread.
    pub fn stop(&mut self) {
        self.control.stop.store(true, Relaxed);
        (self.waker)();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the receive thread panicked");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Receiving<R, I> {
    receiver: R,
    nap: Duration,
    intake: I,
    events: Events,
    control: Arc<Control>,
    dropped_before: u64,
    /// When the last pass that took anything ended.
    last_taken: Instant,
}

impl<R: Receive, I: Intake> Receiving<R, I> {
    fn run(mut self) {
        let mut next_look = Instant::now() + LOOK_AROUND;
        let mut stop_at = None;
        loop {
            let now = Instant::now();
            self.control.last_pass_ms.store(self.control.millis(now), Relaxed);
            if now >= next_look {
                self.count_kernel_drops();
                next_look = now + LOOK_AROUND;
            }
            let stopping = self.control.stop.load(Relaxed);
            let timeout = if stopping { Duration::ZERO } else { self.timeout(now) };
            let count = self.receiver.receive(timeout).unwrap_or_else(|error| self.failed(&error));
            self.take_in(count);
            if stopping && (count == 0 || now >= *stop_at.get_or_insert(now + DRAIN_MAX)) {
                break;
            }
            if !stopping && self.nap_pays(count) {
                #[expect(clippy::disallowed_methods, reason = "the nap: see the module's text")]
                std::thread::sleep(self.nap);
                self.receiver.expect_datagrams();
            }
        }
        self.count_kernel_drops();
    }

    /// An error that lasts must not keep a processor busy.
    fn failed(&self, error: &io::Error) -> usize {
        self.events.receive_failed(error);
        #[expect(clippy::disallowed_methods, reason = "there is no event to wait for")]
        std::thread::sleep(PAUSE_AFTER_ERROR);
        0
    }

    /// A nap costs a wake-up too, so it has to collect more than one datagram: it pays while they come closer
    /// together than a nap is long. A pass that took all it had room for goes on at once.
    fn nap_pays(&mut self, count: usize) -> bool {
        if count == 0 || self.nap.is_zero() {
            return false;
        }
        let now = Instant::now();
        let close = now.duration_since(self.last_taken) < self.nap * 2;
        self.last_taken = now;
        (close || count > 1) && count < self.receiver.capacity()
    }

    fn timeout(&self, now: Instant) -> Duration {
        let deadline = self.intake.deadline();
        deadline.map_or(LOOK_AROUND, |at| at.saturating_duration_since(now).min(LOOK_AROUND))
    }

    fn take_in(&self, count: usize) {
        let now = Instant::now();
        if count > 0 {
            self.control.last_datagram_ms.store(self.control.millis(now), Relaxed);
        }
        self.intake.take(now, self.receiver.datagrams());
    }

    fn count_kernel_drops(&mut self) {
        let Some(dropped) = self.receiver.kernel_dropped() else { return };
        let new = dropped.saturating_sub(self.dropped_before);
        if new > 0 {
            self.events.kernel_dropped(new);
            self.dropped_before = dropped;
        }
    }
}

/// How long the thread may sleep between two passes: at most 4 ms, at most what half of the receive buffer can
/// absorb of a burst, and not at all when that is too short to be of use.
pub fn nap_for(granted_bytes: usize) -> Duration {
    let datagrams = u32::try_from(granted_bytes / 2).unwrap_or(u32::MAX) / CHARGE_PER_DATAGRAM_BYTES;
    let nap = (BURST_SPACING * datagrams).min(NAP_MAX);
    if nap < NAP_MIN { Duration::ZERO } else { nap }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nap_is_what_half_of_the_buffer_absorbs() {
        assert_eq!(nap_for(212_992), Duration::ZERO, "the default buffer holds 92 datagrams: no nap");
        assert_eq!(nap_for(8 * 1024 * 1024), Duration::from_micros(910));
        assert_eq!(nap_for(2 * RECEIVE_BUFFER_BYTES), Duration::from_nanos(3_640_500));
        assert_eq!(nap_for(64 * 1024 * 1024), NAP_MAX);
    }
}
