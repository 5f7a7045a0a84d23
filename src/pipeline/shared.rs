//! The pipeline as threads and tasks share it: one lock, one wake-up for the sink.

use super::batch::BatchBuilder;
use super::budget::{Budget, Pool};
use super::{
    BATCH_DOCUMENTS_MAX, Batch, DiskCan, DropReason, MalformedBody, Next, NotTaken, Offer, Outcome, Pipeline,
    Record, Settings, Snapshot, SpoolWork, Written,
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A handle to the pipeline. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared(Arc<State>);

#[derive(Debug)]
struct State {
    pipeline: Mutex<Pipeline>,
    changed: Notify,
    completed: Notify,
    /// Wakes the one who writes to disk.
    spool: Condvar,
}

/// Why a stopping daemon need not wait any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// X-Ray has everything.
    Delivered,
    /// The disk has everything, and X-Ray takes nothing.
    OnDisk,
}

/// A stopping daemon that has everything on disk and nothing to send it with, no region for example, gives up after this
/// long: longer than a throttle holds up what is on disk.
const NOTHING_SENT_PATIENCE: Duration = Duration::from_secs(2);

/// Time between two looks at what completes nothing: a batch that reaches the disk, for example.
const SETTLED_INTERVAL: Duration = Duration::from_millis(100);

impl Shared {
    /// A new, empty pipeline.
    pub fn new(settings: &Settings) -> Self {
        Self(Arc::new(State {
            pipeline: Mutex::new(Pipeline::new(settings)),
            changed: Notify::new(),
            completed: Notify::new(),
            spool: Condvar::new(),
        }))
    }

    /// No step of the pipeline can panic half-way with documents in hand, so a poisoned lock is taken as it is.
    fn lock(&self) -> MutexGuard<'_, Pipeline> {
        self.0.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a change, and wakes the one who writes if it has to look again.
    fn release(&self, mut pipeline: MutexGuard<'_, Pipeline>) {
        let wake = pipeline.take_spool_wake();
        drop(pipeline);
        if wake {
            self.0.spool.notify_one();
        }
    }

    /// One change under the lock.
    fn with<T>(&self, change: impl FnOnce(&mut Pipeline) -> T) -> T {
        let mut pipeline = self.lock();
        let result = change(&mut pipeline);
        self.release(pipeline);
        result
    }

    /// Takes the datagrams of one pass over the socket. `report` sees what became of each. Returns how many
    /// documents were given up for want of memory.
    #[must_use = "lost documents have to be told"]
    pub fn offer_datagrams<'a>(
        &self,
        now: Instant,
        datagrams: impl Iterator<Item = &'a [u8]>,
        mut report: impl FnMut(Offer, &'a [u8]),
    ) -> usize {
        let mut wake = false;
        let mut pipeline = self.lock();
        for datagram in datagrams {
            let offer = pipeline.offer_datagram(now, datagram);
            // A batch may have been closed before its document was dropped.
            wake |= matches!(offer, Offer::Accepted { closed: true, .. } | Offer::Dropped);
            report(offer, datagram);
        }
        wake |= pipeline.close_due(now);
        let given_up = pipeline.take_given_up();
        self.release(pipeline);
        if wake {
            self.0.changed.notify_one();
        }
        given_up
    }

    /// Takes the documents of one HTTP request, all or none.
    ///
    /// # Errors
    /// Why not.
    pub fn offer_documents<'a>(
        &self,
        now: Instant,
        documents: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), NotTaken> {
        let mut pipeline = self.lock();
        let taken = pipeline.offer_documents(now, documents);
        self.release(pipeline);
        taken?;
        // The sink also has to learn of the new deadline.
        self.0.changed.notify_one();
        Ok(())
    }

    /// When the open batch has to be closed, if there is one.
    pub fn deadline(&self) -> Option<Instant> {
        self.lock().deadline()
    }

    /// Takes nothing more over HTTP and closes the open batch: the daemon is stopping.
    pub fn close_intake(&self, now: Instant) {
        self.with(|pipeline| pipeline.close_intake(now));
        self.0.changed.notify_one();
    }

    /// The next batch to send. `Err` says until when there is none.
    ///
    /// # Errors
    /// The time to ask again; without one, after [`Shared::changed`].
    pub fn next(&self, now: Instant) -> Result<Outgoing, Option<Instant>> {
        match self.with(|pipeline| pipeline.next(now)) {
            Next::Send(id, batch) => {
                Ok(Outgoing { shared: self.clone(), id, batch: Some(batch), started: now })
            }
            Next::Wait(until) => Err(until),
        }
    }

    /// Returns after something happened that may change what [`Shared::next`] says.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Returns when nothing waits of what was closed until this call, and nothing on disk; or, with a spool that outlives this run, when
    /// all of that is on disk and X-Ray was asked once more in vain.
    pub async fn settled(&self, spool_outlives: bool) -> Settled {
        let (last, began) = {
            let pipeline = self.lock();
            (pipeline.last_number(), pipeline.tries())
        };
        let mut progress = (Instant::now(), 0);
        loop {
            let mut completed = std::pin::pin!(self.0.completed.notified());
            // Listening before looking: a completion in between is not missed.
            completed.as_mut().enable();
            {
                let pipeline = self.lock();
                if !pipeline.waits_up_to(last) {
                    return Settled::Delivered;
                }
                let snapshot = pipeline.snapshot();
                // An answer that takes long is an answer all the same; one that never comes is a failed try soon.
                if snapshot.sends_open > 0 || snapshot.totals.sent != progress.1 {
                    progress = (Instant::now(), snapshot.totals.sent);
                }
                let in_vain = pipeline.is_failing() && pipeline.tries() > began
                    || progress.0.elapsed() >= NOTHING_SENT_PATIENCE;
                if spool_outlives && in_vain && pipeline.is_safe_up_to(last) {
                    return Settled::OnDisk;
                }
            }
            let _ = tokio::time::timeout(SETTLED_INTERVAL, completed).await;
        }
    }

    /// Gives up everything that waits and is not on disk.
    pub fn drop_waiting(&self) {
        self.lock().drop_waiting();
    }

    /// A spool with this many documents of earlier runs is there from now on.
    pub fn spool_opened(&self, documents: u64) {
        self.with(|pipeline| pipeline.spool_opened(documents));
        self.0.changed.notify_one();
    }

    /// Blocks until there is something to do for the disk, or until the time.
    pub fn spool_work(&self, can: DiskCan, until: Option<Instant>) -> SpoolWork {
        let mut pipeline = self.lock();
        loop {
            let now = Instant::now();
            let due = match pipeline.spool_work(now, can) {
                Ok(work) => return work,
                Err(due) => due,
            };
            if until.is_some_and(|until| until <= now) {
                return SpoolWork::default();
            }
            pipeline = match due.into_iter().chain(until).min() {
                None => self.0.spool.wait(pipeline).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let waited = self.0.spool.wait_timeout(pipeline, at.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// A batch of [`Shared::spool_work`] is on disk.
    pub fn spooled(&self, number: u64, record: Record) -> Written {
        self.with(|pipeline| pipeline.spooled(number, record))
    }

    /// A batch of [`Shared::spool_work`] could not be written; it stays in memory.
    pub fn not_spooled(&self, number: u64) {
        self.with(|pipeline| pipeline.not_spooled(number));
    }

    /// The spool is gone, with what only it had. That has to be counted with [`Shared::spool_lost`], and so have the
    /// documents whose number this returns: they were left to the spool in these moments.
    pub fn spool_closed(&self) -> usize {
        self.with(Pipeline::spool_closed)
    }

    /// The disk has lost or given up documents that nothing else has.
    pub fn spool_lost(&self, reason: DropReason, documents: usize) {
        self.with(|pipeline| pipeline.spool_lost(reason, documents));
    }

    /// Whether memory has room for a body of this size from the disk.
    pub fn has_room_for_spooled(&self, bytes: usize) -> bool {
        self.lock().has_room_for_spooled(bytes)
    }

    /// A batch that was read from the disk.
    ///
    /// # Errors
    /// When it is no batch.
    pub fn offer_spooled(
        &self,
        now: Instant,
        body: Vec<u8>,
        ends: Vec<u32>,
        record: Record,
    ) -> Result<(), MalformedBody> {
        self.with(|pipeline| pipeline.offer_spooled(now, body, ends, record))?;
        self.0.changed.notify_one();
        Ok(())
    }

    /// The one who writes is to write what there is and stop.
    pub fn finish_spool(&self) {
        self.with(Pipeline::finish_spool);
    }

    /// All counters and queues at one moment.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }
}

/// A batch on its way out. Dropped without an outcome, its documents wait again.
#[derive(Debug)]
pub struct Outgoing {
    shared: Shared,
    id: u64,
    batch: Option<Batch>,
    started: Instant,
}

impl Outgoing {
    /// The batch to send.
    pub fn batch(&self) -> &Batch {
        self.batch.as_ref().expect("taken only by complete and drop, which end this value")
    }

    /// Says what became of the try.
    pub fn complete(mut self, outcome: &Outcome, now: Instant) {
        if let Some(batch) = self.batch.take() {
            // The pipeline's clone may be the last: what returns to the pool does so with the rest.
            drop(batch);
            self.shared.with(|pipeline| pipeline.complete(self.id, outcome, self.started, now));
            self.shared.0.changed.notify_one();
            self.shared.0.completed.notify_waiters();
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if self.batch.take().is_some() {
            self.shared.with(|pipeline| pipeline.abandon(self.id));
            self.shared.0.changed.notify_one();
        }
    }
}

/// Builds one body from documents, for benches and tools. At most [`BATCH_DOCUMENTS_MAX`] are taken.
pub fn build_body<'a>(documents: impl IntoIterator<Item = &'a [u8]>) -> Option<Batch> {
    let pool = Pool::new(Budget::new(usize::MAX));
    let mut builder = BatchBuilder::new(&pool, Instant::now());
    for document in documents.into_iter().take(BATCH_DOCUMENTS_MAX) {
        let _ = builder.push(document).how;
    }
    (builder.len() > 0).then(|| builder.close(0, Instant::now()))
}
