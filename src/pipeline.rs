//! From documents to request bodies: batches, the byte budget, what waits for another try, and the ledger.
//!
//! [`Pipeline`] is a plain struct that takes `now`. Receiving threads offer documents; the sink takes
//! [`Outgoing`] batches and says what became of them. All of it happens under the one lock of [`Shared`],
//! so that every [`Snapshot`] adds up:
//!
//! ```text
//! received + recovered = sent + stored + refused + dropped + waiting
//! ```
//!
//! `waiting` is counted at the queues each time a snapshot is taken; it is never derived from the rest.
//!
//! What X-Ray does not take goes to disk: `spooling` says which batches and when, and takes them back. Who writes
//! them is told by [`Shared::spool_work`].

mod batch;
mod budget;
mod gate;
mod ledger;
mod shared;
mod spooling;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

pub use batch::{Batch, Document, MalformedBody};
pub use budget::{Budget, Charge};
pub use ledger::{DropReason, RefusedReason, Snapshot, Totals, Transport, Waiting};
pub use shared::{Outgoing, Settled, Shared, build_body};
pub use spooling::{DiskCan, Record, SpoolWork, UNSENT_MAX, Written};

use crate::segment::{Datagram, DatagramError, Escaped};
use batch::{BatchBuilder, Pushed};
use budget::Pool;
use gate::Gate;
use spooling::Spooling;

/// Most documents X-Ray takes in one PutTraceSegments (API reference, `TraceSegmentDocuments`).
pub const BATCH_DOCUMENTS_MAX: usize = 50;

/// Longest time a document waits for its batch to fill.
pub const BATCH_DELAY_MAX: Duration = Duration::from_secs(1);

/// Largest request body.
pub const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Bodies the budget has room for at least, unless single documents are larger.
const BODIES_IN_BUDGET: usize = 8;

/// A timed-out batch with a larger body is halved for its next try: the link may be too slow for it.
const SLOW_BODY_BYTES: usize = 1024 * 1024;

/// What the pipeline is told at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes all bodies together may occupy, by capacity.
    pub budget_bytes: usize,
    /// Sends open at once while X-Ray is quick.
    pub concurrency: usize,
    /// Sends open at once while X-Ray is slow.
    pub in_flight_max: usize,
}

/// What became of a datagram or document that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a document that was not taken is a lost document; log it or tell the sender"]
pub enum Offer {
    /// Waiting in a batch. `closed` says that a batch became ready to send.
    Accepted {
        /// A batch is ready; wake the sink.
        closed: bool,
        /// The document had bytes that are not UTF-8.
        repaired: bool,
    },
    /// Not a document; counted.
    Refused(RefusedReason),
    /// No memory left for it and nothing older to give up; counted.
    Dropped,
}

/// Why nothing of an HTTP request was taken. Nothing was counted either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// There is no room now; the sender may try again later.
    #[error("the memory budget is used up; try again later")]
    Full,
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
    /// A document that no request body can hold.
    #[error("a segment document is larger than a request to X-Ray can be")]
    TooLarge,
}

/// What the sink is to do next.
#[derive(Debug)]
pub enum Next {
    /// Send this. The id has to be given back to [`Pipeline::complete`].
    Send(u64, Batch),
    /// Nothing now. Ask again at this time, or when something happens.
    Wait(Option<Instant>),
}

/// What became of one try to send a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// X-Ray answered 200 and named these documents as unprocessed.
    Answered {
        /// Positions of documents to send again.
        again: Vec<usize>,
        /// How many documents X-Ray refused.
        refused: usize,
        /// X-Ray said that it is throttling.
        throttled: bool,
    },
    /// X-Ray is throttling.
    Throttled,
    /// X-Ray failed or could not be reached. `delivered` says whether it may have taken the documents.
    Failed {
        /// The request may have arrived, so that another try may make duplicates.
        delivered: bool,
        /// No answer came in time.
        timed_out: bool,
    },
    /// Credentials, permission or address are wrong. Worth another try, but a slow one.
    Misconfigured,
    /// X-Ray refuses the body: one of its documents is bad, or it is too large.
    Rejected,
}

#[derive(Debug)]
struct InFlight {
    batch: Batch,
    /// It came from the disk.
    spooled: bool,
}

/// Batches, what waits, and what was counted.
#[derive(Debug)]
pub struct Pipeline {
    pool: Pool,
    /// A body is closed before it is larger. A small budget has to hold several bodies.
    body_max_bytes: usize,
    open: Option<BatchBuilder>,
    /// Closed and not tried yet, oldest first.
    ready: VecDeque<Batch>,
    /// Tried without success, oldest first.
    retry: VecDeque<Batch>,
    /// What is being sent.
    in_flight: HashMap<u64, InFlight>,
    /// The next number of a batch, and the next id of a send.
    next_number: u64,
    spooling: Spooling,
    gate: Gate,
    /// Whether the next pick prefers a batch that failed before over a fresh one.
    prefer_retry: bool,
    /// Nothing more is taken over HTTP.
    intake_closed: bool,
    /// Sends that ended, with whatever outcome.
    tries: u64,
    /// Dropped for want of memory and not told to the log yet.
    given_up: usize,
    totals: Totals,
}

impl Pipeline {
    /// An empty pipeline.
    pub fn new(settings: &Settings) -> Self {
        Self {
            pool: Pool::new(Budget::new(settings.budget_bytes)),
            body_max_bytes: BODY_MAX_BYTES.min(settings.budget_bytes / BODIES_IN_BUDGET),
            open: None,
            ready: VecDeque::new(),
            retry: VecDeque::new(),
            in_flight: HashMap::new(),
            next_number: 0,
            spooling: Spooling::new(),
            gate: Gate::new(settings.concurrency, settings.in_flight_max),
            prefer_retry: true,
            intake_closed: false,
            tries: 0,
            given_up: 0,
            totals: Totals::default(),
        }
    }

    /// The budget all bodies are charged to.
    pub fn budget(&self) -> &Budget {
        self.pool.budget()
    }

    /// Takes one datagram: header check, UTF-8 check, and a copy of the document into the open batch.
    pub fn offer_datagram(&mut self, now: Instant, datagram: &[u8]) -> Offer {
        self.totals.received(Transport::Udp, 1);
        match Datagram::parse(datagram) {
            Ok(datagram) => self.accept(now, datagram.document),
            Err(error) => self.refuse(RefusedReason::Datagram(error)),
        }
    }

    /// Takes the documents of one HTTP request, all or none. Returns whether a batch became ready.
    ///
    /// # Errors
    /// When they do not fit; HTTP senders can wait, so nothing older is given up for them.
    pub fn offer_documents<'a>(
        &mut self,
        now: Instant,
        documents: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<bool, NotTaken> {
        if self.intake_closed {
            return Err(NotTaken::Stopping);
        }
        let (mut count, mut room) = (0, 0);
        for document in documents.clone() {
            let needed = batch::room_for(document.as_bytes());
            if needed > BODY_MAX_BYTES {
                return Err(NotTaken::TooLarge);
            }
            count += 1;
            room += needed;
        }
        // Bodies grow by doubling, and each new one has a pooled body's capacity.
        let open = self.open.as_ref().map_or(0, BatchBuilder::capacity);
        let bodies =
            (count / BATCH_DOCUMENTS_MAX + room / self.body_max_bytes + 2) * self.pool.next_capacity();
        if self.budget().available() < open + 2 * room + bodies {
            return Err(NotTaken::Full);
        }
        let mut any_closed = false;
        for document in documents {
            self.totals.received(Transport::Http, 1);
            if let Offer::Accepted { closed, .. } = self.accept(now, document.as_bytes()) {
                any_closed |= closed;
            }
        }
        Ok(any_closed)
    }

    fn refuse(&mut self, reason: RefusedReason) -> Offer {
        self.totals.refused(reason, 1);
        Offer::Refused(reason)
    }

    fn accept(&mut self, now: Instant, document: &[u8]) -> Offer {
        if let Some(open) = &mut self.open
            && open.surely_fits(document.len(), self.body_max_bytes)
        {
            let pushed = open.push(document);
            return self.accepted(now, &pushed, false);
        }
        let room = batch::room_for(document);
        if room > BODY_MAX_BYTES {
            return self.refuse(RefusedReason::TooLarge);
        }
        let closed = self.open.as_ref().is_some_and(|open| !open.fits(room, self.body_max_bytes))
            && self.close_open(now);
        let Some(capacity) = self.make_room(room) else {
            self.give_up(1);
            return Offer::Dropped;
        };
        let open = self.open.get_or_insert_with(|| BatchBuilder::new(&self.pool, now));
        open.grow_to(capacity);
        let pushed = open.push(document);
        self.accepted(now, &pushed, closed)
    }

    fn accepted(&mut self, now: Instant, pushed: &Pushed, closed_before: bool) -> Offer {
        let closed = (pushed.full && self.close_open(now)) || closed_before;
        let repaired = pushed.how == Escaped::Repaired;
        self.totals.repaired += u64::from(repaired);
        Offer::Accepted { closed, repaired }
    }

    /// Gives up the oldest waiting batches until the open body may have the capacity it needs.
    fn make_room(&mut self, room: usize) -> Option<usize> {
        loop {
            let (capacity, wanted) = BatchBuilder::capacity_for(self.open.as_ref(), &self.pool, room);
            if self.budget().available() >= wanted - capacity {
                return Some(wanted);
            }
            if !self.evict_oldest() {
                return None;
            }
        }
    }

    /// Drops the oldest batch that waits, and counts it; one that came from the disk goes back there. What is
    /// being written leaves soon by itself. False when nothing waits.
    fn evict_oldest(&mut self) -> bool {
        if let Some(read) = self.spooling.read.pop_front() {
            self.spooling.release(&read);
            return true;
        }
        let oldest = take_idle(&mut self.retry).or_else(|| take_idle(&mut self.ready));
        let Some(oldest) = oldest else { return false };
        self.spooling.detach(oldest.record);
        self.give_up(oldest.len());
        true
    }

    fn give_up(&mut self, count: usize) {
        self.totals.dropped(DropReason::Memory, count);
        self.given_up += count;
    }

    /// Documents given up for want of memory since this was asked last, for the log.
    pub fn take_given_up(&mut self) -> usize {
        std::mem::take(&mut self.given_up)
    }

    /// Takes nothing more over HTTP, closes the open batch, and tries at once what waits for another try: the
    /// daemon is stopping.
    pub fn close_intake(&mut self, now: Instant) {
        self.intake_closed = true;
        self.spooling.stop();
        self.close_open(now);
        self.gate.hurry();
        self.note_due(now, now);
    }

    /// When the open batch has to be closed, if there is one.
    pub fn deadline(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.opened_at() + BATCH_DELAY_MAX)
    }

    /// Closes the open batch when its time has come. Returns whether it did.
    pub fn close_due(&mut self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now) && self.close_open(now)
    }

    /// Closes the open batch. Returns whether there was one.
    pub fn close_open(&mut self, now: Instant) -> bool {
        let Some(open) = self.open.take() else { return false };
        let others_wait = !self.ready.is_empty() || self.gate.is_closed(now);
        let batch = open.close(self.next_number(), now);
        self.ready.push_back(if others_wait { self.pool.compact(batch) } else { batch });
        self.note_due(now, now);
        true
    }

    fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// The next batch to send, or how long to wait for one.
    pub fn next(&mut self, now: Instant) -> Next {
        self.close_due(now);
        // Read ahead: the next send should not have to wait for the disk.
        self.spooling.wake |= self.wants_spooled(now);
        if self.ready.is_empty() && self.retry.is_empty() && self.spooling.read.is_empty() {
            let spooled = if self.spooling.waiting() > 0 { self.gate.resumes_at(now) } else { None };
            return Next::Wait(spooled.into_iter().chain(self.deadline()).min());
        }
        if let Some(resume_at) = self.gate.wait(now, self.in_flight.len()) {
            // Without a time, a completion is what opens the gate.
            return Next::Wait(resume_at.into_iter().chain(self.deadline()).min());
        }
        let Some((batch, spooled)) = self.pick() else { return Next::Wait(self.deadline()) };
        let id = self.next_number();
        self.spooling.sending += usize::from(spooled);
        self.in_flight.insert(id, InFlight { batch: batch.clone(), spooled });
        Next::Send(id, batch)
    }

    /// Old and fresh batches in turn: a batch X-Ray cannot take must not stand in the way of the others. What was
    /// read from the disk is one batch while others wait, so that it may go first.
    fn pick(&mut self) -> Option<(Batch, bool)> {
        if let Some(batch) = self.spooling.read.pop_front() {
            return Some((batch, true));
        }
        let (first, second) = if self.prefer_retry {
            (&mut self.retry, &mut self.ready)
        } else {
            (&mut self.ready, &mut self.retry)
        };
        self.prefer_retry = !self.prefer_retry;
        first.pop_front().or_else(|| second.pop_front()).map(|batch| (batch, false))
    }

    fn take_in_flight(&mut self, id: u64) -> Batch {
        let open = self.in_flight.remove(&id).expect("a send ends once, with the id it was given out with");
        self.spooling.sending -= usize::from(open.spooled);
        open.batch
    }

    /// Takes back a batch after one try that began at `started`.
    pub fn complete(&mut self, id: u64, outcome: &Outcome, started: Instant, now: Instant) {
        let mut batch = self.take_in_flight(id);
        batch.tries += 1;
        self.tries += 1;
        match *outcome {
            Outcome::Answered { ref again, refused, throttled } => {
                let count = batch.len();
                self.totals.refused(RefusedReason::Unprocessed, refused);
                self.totals.sent += (count - refused - again.len()) as u64;
                if throttled {
                    self.throttled(started, now);
                } else {
                    self.succeeded(started, now);
                }
                if !again.is_empty() {
                    let part = self.part(&batch, again);
                    self.keep_for_later(part, now);
                }
                self.spooling.detach(batch.record);
            }
            Outcome::Throttled => {
                self.throttled(started, now);
                self.keep_for_later(batch, now);
            }
            Outcome::Failed { delivered, timed_out } => {
                self.gate.failed(started, now);
                self.spooling.failed();
                if delivered {
                    self.totals.duplicates_possible += batch.len() as u64;
                }
                if timed_out && batch.tries > 1 && batch.body_bytes() > SLOW_BODY_BYTES && batch.len() > 1 {
                    self.split(&batch, now);
                } else {
                    self.keep_for_later(batch, now);
                }
            }
            Outcome::Misconfigured => {
                self.gate.misconfigured(started, now);
                self.spooling.failed();
                self.keep_for_later(batch, now);
            }
            Outcome::Rejected => {
                self.succeeded(started, now);
                if batch.len() == 1 {
                    self.totals.refused(RefusedReason::Rejected, 1);
                    self.spooling.detach(batch.record);
                } else {
                    self.split(&batch, now);
                }
            }
        }
    }

    fn succeeded(&mut self, started: Instant, now: Instant) {
        self.gate.succeeded(started, now, self.ready.is_empty());
        self.spooling.succeeded();
    }

    fn throttled(&mut self, started: Instant, now: Instant) {
        self.gate.throttled(started, now);
        self.spooling.throttled(now);
    }

    /// A batch whose try failed waits for another one: on disk, if it is there already.
    fn keep_for_later(&mut self, batch: Batch, now: Instant) {
        if self.spooling.release(&batch) {
            return;
        }
        let batch = self.pool.compact(batch);
        self.note_due(batch.closed_at, now);
        self.retry.push_back(batch);
    }

    /// Some documents of a batch, as a batch of their own.
    fn part(&mut self, batch: &Batch, positions: &[usize]) -> Batch {
        let number = self.next_number();
        let part = self.pool.subset(batch, number, positions);
        self.spooling.attach(&part);
        part
    }

    /// Halves a batch to find the document X-Ray refuses. Both halves go next, so that the search is over
    /// after at most twice as many calls as the batch has documents.
    fn split(&mut self, batch: &Batch, now: Instant) {
        let middle = batch.len() / 2;
        let halves = [(middle..batch.len()).collect::<Vec<_>>(), (0..middle).collect()];
        for half in halves {
            let part = self.part(batch, &half);
            self.note_due(part.closed_at, now);
            self.retry.push_front(part);
        }
        self.spooling.detach(batch.record);
    }

    /// A try ended without an outcome: the sender was stopped. The documents wait again.
    pub fn abandon(&mut self, id: u64) {
        let batch = self.take_in_flight(id);
        self.totals.duplicates_possible += batch.len() as u64;
        if !self.spooling.release(&batch) {
            self.spooling.due(batch.closed_at);
            self.retry.push_front(batch);
        }
    }

    /// Gives up everything that waits and is not on disk, at the end of a shutdown that could not deliver it.
    pub fn drop_waiting(&mut self) {
        let mut lost = self.open.take().map_or(0, |open| open.len());
        let read = std::mem::take(&mut self.spooling.read);
        for batch in self.ready.drain(..).chain(self.retry.drain(..)).chain(read) {
            if !self.spooling.leave(&batch) {
                lost += batch.len();
            }
        }
        self.totals.dropped(DropReason::Shutdown, lost);
    }

    /// Sends that ended so far.
    pub fn tries(&self) -> u64 {
        self.tries
    }

    /// Everything counted so far and everything that waits, at one moment.
    pub fn snapshot(&self) -> Snapshot {
        let documents = |queue: &VecDeque<Batch>| queue.iter().map(|batch| batch.len() as u64).sum::<u64>();
        Snapshot {
            totals: self.totals.clone(),
            waiting: Waiting {
                batch: self.open.as_ref().map_or(0, |open| open.len() as u64) + documents(&self.ready),
                in_flight: self.in_flight.values().map(|open| open.batch.len() as u64).sum(),
                retry: documents(&self.retry),
                spool: self.spooling.waiting(),
            },
            sends_open: self.in_flight.len(),
            sends_allowed: self.gate.limit(),
            budget_used_bytes: self.budget().used(),
            budget_bytes: self.budget().limit(),
        }
    }
}

/// The oldest batch that is not being written.
fn take_idle(queue: &mut VecDeque<Batch>) -> Option<Batch> {
    let position = queue.iter().position(|batch| !batch.writing)?;
    queue.remove(position)
}

impl From<DatagramError> for RefusedReason {
    fn from(error: DatagramError) -> Self {
        Self::Datagram(error)
    }
}

#[cfg(test)]
mod tests;
