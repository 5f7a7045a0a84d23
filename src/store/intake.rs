//! Where documents wait for the writer: bounded, and with the ledger under the same lock, so that at no moment a
//! document is in two columns of it or in none.
//!
//! Datagrams are copied behind each other into an open chunk, which goes to the writer when it is full or has been open
//! for a moment. Whoever offers datagrams never waits; who puts documents over HTTP is told to come again.

use super::clock::Clock;
use super::ledger::{DropReason, Ledger, Refusals, Refused, RefusedReason, Transport};
use crate::segment::{Datagram, DatagramError, InvalidDocument};
use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// An open chunk of this size is closed. It is about what the log compresses at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// So is one that has been open for this long: it is what a document waits at most before it is written.
const CHUNK_AGE: Duration = Duration::from_millis(50);

/// The writer takes this much at once. More would make the first of it wait for the last.
const ROUND_BYTES: usize = 1024 * 1024;

/// What a waiting document is charged beside its own bytes.
const CHARGE_BYTES: usize = 32;

/// Why documents were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Worth another try soon.
    #[error("more documents come in than can be written; try again")]
    Busy,
    /// Will never be taken.
    #[error("the documents are larger than all the memory for documents that wait; send fewer at once")]
    TooLarge,
    /// Worth another try when the disk works again.
    #[error("the disk of the store takes nothing; try again later")]
    Disk,
    /// The store is being closed.
    #[error("the store is stopping")]
    Stopping,
}

/// What became of each document, in the order they were given.
pub type Judged = Vec<Result<(), InvalidDocument>>;

/// Documents that are on their way into the store.
#[derive(Debug)]
#[must_use = "whether the documents were stored is known only when it has been waited for"]
pub struct Put(oneshot::Receiver<Result<Judged, PutError>>);

impl Put {
    /// Waits until the documents can be read and have been written, and says what became of each.
    ///
    /// # Errors
    /// When they were not stored, all of them or some.
    pub async fn judged(self) -> Result<Judged, PutError> {
        self.0.await.unwrap_or(Err(PutError::Stopping))
    }

    /// Like [`Put::judged`], for threads.
    ///
    /// # Errors
    /// See [`Put::judged`].
    pub fn wait(self) -> Result<Judged, PutError> {
        self.0.blocking_recv().unwrap_or(Err(PutError::Stopping))
    }
}

/// Documents behind each other.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) parts: Vec<Part>,
    pub(super) transport: Transport,
}

/// One document of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Where it ends in the chunk.
    pub(super) end: usize,
    /// Microseconds since 1970.
    pub(super) received: u64,
}

impl Chunk {
    pub(super) fn new(transport: Transport) -> Self {
        Self { bytes: Vec::new(), parts: Vec::new(), transport }
    }

    pub(super) fn push(&mut self, document: &[u8], received: u64) {
        self.bytes.extend_from_slice(document);
        self.parts.push(Part { end: self.bytes.len(), received });
    }

    pub(super) fn charge(&self) -> usize {
        self.bytes.len() + self.parts.len() * CHARGE_BYTES
    }
}

/// What the writer is to do.
#[derive(Debug)]
pub(super) enum Job {
    Store(Chunk, Option<oneshot::Sender<Result<Judged, PutError>>>),
    /// Seal the head; the sender is dropped when that is done, or cannot be done.
    Seal(oneshot::Sender<()>),
    /// Say when everything before it is stored.
    Flush(oneshot::Sender<()>),
}

/// What the writer did with what it took.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Done {
    pub(super) charge: usize,
    pub(super) stored: u64,
    pub(super) refused: Vec<Refused>,
    pub(super) dropped_memory: u64,
    pub(super) dropped_disk: u64,
    /// What was one document turned out to be several: so many more have been received.
    pub(super) more: Vec<(Transport, u64)>,
}

impl Done {
    /// Whether there is nothing to enter. Of a chunk that is stored in two steps only the first has a charge.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What [`Intake::take`] gives.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) jobs: Vec<Job>,
    /// Nothing will come any more.
    pub(super) ended: bool,
}

/// The documents that wait.
#[derive(Debug)]
pub(super) struct Intake {
    state: Mutex<State>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
    max_bytes: usize,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    refusals: Refusals,
    open: Chunk,
    /// When the open chunk got its first document.
    opened: Duration,
    queue: VecDeque<Job>,
    /// Charged for all that waits, and for what the writer has taken and not dealt with.
    charged: usize,
    stopping: bool,
    /// What waited has been dropped.
    given_up: bool,
    writer_waits: bool,
}

impl Intake {
    pub(super) fn new(max_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            ledger: Ledger::default(),
            refusals: Refusals::default(),
            open: Chunk::new(Transport::Udp),
            opened: Duration::ZERO,
            queue: VecDeque::new(),
            charged: 0,
            stopping: false,
            given_up: false,
            writer_waits: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), clock, max_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is good of these datagrams. What there is no room for is dropped.
    pub(super) fn offer<'a>(
        &self,
        datagrams: impl Iterator<Item = &'a [u8]>,
        mut on_refused: impl FnMut(DatagramError),
    ) {
        let received = self.clock.wall_micros();
        let mut guard = self.lock();
        let state = &mut *guard;
        let was_empty = state.open.parts.is_empty();
        let mut closed = false;
        for datagram in datagrams {
            state.ledger.received(Transport::Udp, 1);
            let document = match Datagram::parse(datagram) {
                Ok(datagram) => datagram.document,
                Err(error) => {
                    state.refuse_datagram(error, received);
                    on_refused(error);
                    continue;
                }
            };
            let charge = document.len() + CHARGE_BYTES;
            if state.stopping {
                state.ledger.dropped(DropReason::Shutdown, 1);
            } else if state.charged + charge > self.max_bytes {
                state.ledger.dropped(DropReason::Memory, 1);
            } else {
                state.charged += charge;
                state.ledger.waiting += 1;
                state.open.push(document, received);
                if state.open.bytes.len() >= CHUNK_BYTES {
                    state.close();
                    closed = true;
                }
            }
        }
        let began = was_empty && !state.open.parts.is_empty() || closed;
        if began {
            state.opened = self.clock.monotonic();
        }
        if (closed || began) && state.writer_waits {
            state.writer_waits = false;
            drop(guard);
            self.changed.notify_all();
        }
    }

    /// Takes documents whose fate somebody wants to know.
    pub(super) fn put(&self, chunk: Chunk) -> Result<Put, PutError> {
        let charge = chunk.charge();
        let mut state = self.lock();
        if state.stopping {
            return Err(PutError::Stopping);
        }
        if charge > self.max_bytes {
            return Err(PutError::TooLarge);
        }
        if state.charged + charge > self.max_bytes {
            return Err(PutError::Busy);
        }
        let (sender, receiver) = oneshot::channel();
        state.charged += charge;
        let count = chunk.parts.len() as u64;
        state.ledger.received(chunk.transport, count);
        state.ledger.waiting += count;
        state.queue.push_back(Job::Store(chunk, Some(sender)));
        drop(state);
        self.changed.notify_all();
        Ok(Put(receiver))
    }

    /// Counts documents that [`Intake::put`] did not take and that nobody will offer again.
    pub(super) fn not_taken(&self, transport: Transport, count: u64, why: PutError) {
        let reason = if why == PutError::Stopping { DropReason::Shutdown } else { DropReason::Memory };
        let mut state = self.lock();
        state.ledger.received(transport, count);
        state.ledger.dropped(reason, count);
    }

    /// Has something done when all that waits now is stored. Nothing happens any more once the store is stopping.
    pub(super) fn after_all(&self, job: Job) {
        let mut state = self.lock();
        if state.stopping {
            return;
        }
        state.close();
        state.queue.push_back(job);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for work, until `until` at most.
    pub(super) fn take(&self, until: Option<Duration>) -> Round {
        let mut state = self.lock();
        loop {
            let now = self.clock.monotonic();
            let chunk_due = state.opened + CHUNK_AGE;
            let open = !state.open.parts.is_empty();
            // Also while others wait: whatever comes over HTTP must not keep datagrams from being written.
            if open && (state.stopping || now >= chunk_due) {
                state.close();
            }
            let jobs = state.round();
            if !jobs.is_empty() || until.is_some_and(|until| now >= until) {
                return Round { jobs, ended: false };
            }
            if state.stopping {
                return Round { jobs, ended: true };
            }
            let due = open.then_some(chunk_due).into_iter().chain(until).min();
            state.writer_waits = true;
            state = match due {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let waited = self.changed.wait_timeout(state, due.saturating_sub(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.writer_waits = false;
        }
    }

    /// Enters what became of documents.
    pub(super) fn done(&self, done: Done) {
        let mut state = self.lock();
        if state.given_up {
            return;
        }
        let State { ledger, refusals, .. } = &mut *state;
        for (transport, count) in done.more {
            ledger.received(transport, count);
            ledger.waiting += count;
        }
        ledger.waiting -= done.stored + done.refused.len() as u64 + done.dropped_memory + done.dropped_disk;
        ledger.stored += done.stored;
        ledger.dropped(DropReason::Memory, done.dropped_memory);
        ledger.dropped(DropReason::Disk, done.dropped_disk);
        for refused in done.refused {
            ledger.refused(refused.reason, 1);
            refusals.add(refused);
        }
        state.charged -= done.charge;
    }

    /// Drops what has not been dealt with, and says how much that is. What the writer may still do counts no more.
    pub(super) fn give_up(&self) -> u64 {
        let mut state = self.lock();
        state.given_up = true;
        // Those who wait for an answer get one: their sender is dropped.
        let queue = mem::take(&mut state.queue);
        state.open = Chunk::new(Transport::Udp);
        let waiting = mem::take(&mut state.ledger.waiting);
        state.ledger.dropped(DropReason::Shutdown, waiting);
        drop(state);
        drop(queue);
        waiting
    }

    /// Documents that were stored are lost: they are in memory alone, and the end has come.
    pub(super) fn lost(&self, documents: u64) {
        let ledger = &mut self.lock().ledger;
        let documents = documents.min(ledger.stored);
        ledger.stored -= documents;
        ledger.dropped(DropReason::Disk, documents);
    }

    /// Enters what was found in the log of an earlier run.
    pub(super) fn recovered(&self, stored: u64, refused: &[RefusedReason]) {
        let mut state = self.lock();
        state.ledger.recovered += stored + refused.len() as u64;
        state.ledger.stored += stored;
        for reason in refused {
            state.ledger.refused(*reason, 1);
        }
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.lock().ledger.clone()
    }

    pub(super) fn refusals(&self) -> Vec<Refused> {
        self.lock().refusals.list()
    }

    /// Takes nothing any more. What waits is still given to the writer.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Bytes that are charged now.
    #[cfg(test)]
    pub(super) fn charged(&self) -> usize {
        self.lock().charged
    }

    /// Has the writer look at the clock again.
    #[cfg(test)]
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }
}

impl State {
    fn refuse_datagram(&mut self, error: DatagramError, at_micros: u64) {
        let reason = RefusedReason::Datagram(error);
        self.ledger.refused(reason, 1);
        self.refusals.add(Refused { at_micros, reason, transport: Transport::Udp, id: None, trace_id: None });
    }

    /// Hands the open chunk to the writer.
    fn close(&mut self) {
        if self.open.parts.is_empty() {
            return;
        }
        let mut next = Chunk::new(Transport::Udp);
        // The next will be like this one: growing it step by step would copy it several times, and leave half of it empty.
        next.bytes.reserve(self.open.bytes.len().min(CHUNK_BYTES) * 9 / 8);
        next.parts.reserve(self.open.parts.len());
        self.queue.push_back(Job::Store(mem::replace(&mut self.open, next), None));
    }

    fn round(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while bytes < ROUND_BYTES
            && let Some(job) = self.queue.pop_front()
        {
            if let Job::Store(chunk, _) = &job {
                bytes += chunk.bytes.len();
            }
            jobs.push(job);
        }
        jobs
    }
}
