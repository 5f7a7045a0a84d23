//! The pipeline as threads and tasks share it: one lock, one wake-up for the sink.

use super::batch::BatchBuilder;
use super::budget::{Budget, Pool};
use super::{BATCH_DOCUMENTS_MAX, Batch, Next, NotTaken, Offer, Outcome, Pipeline, Settings, Snapshot};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// A handle to the pipeline. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared(Arc<State>);

#[derive(Debug)]
struct State {
    pipeline: Mutex<Pipeline>,
    changed: Notify,
    completed: Notify,
}

impl Shared {
    /// A new, empty pipeline.
    pub fn new(settings: &Settings) -> Self {
        Self(Arc::new(State {
            pipeline: Mutex::new(Pipeline::new(settings)),
            changed: Notify::new(),
            completed: Notify::new(),
        }))
    }

    /// No step of the pipeline can panic half-way with documents in hand, so a poisoned lock is taken as it is.
    fn lock(&self) -> MutexGuard<'_, Pipeline> {
        self.0.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
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
        drop(pipeline);
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
        self.lock().offer_documents(now, documents)?;
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
        self.lock().close_intake(now);
        self.0.changed.notify_one();
    }

    /// The next batch to send. `Err` says until when there is none.
    ///
    /// # Errors
    /// The time to ask again; without one, after [`Shared::changed`].
    pub fn next(&self, now: Instant) -> Result<Outgoing, Option<Instant>> {
        match self.lock().next(now) {
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

    /// Returns when nothing waits any more.
    pub async fn drained(&self) {
        loop {
            let mut completed = std::pin::pin!(self.0.completed.notified());
            // Listening before looking: a completion in between is not missed.
            completed.as_mut().enable();
            if self.snapshot().waiting.total() == 0 {
                return;
            }
            completed.await;
        }
    }

    /// Gives up everything that waits.
    pub fn drop_waiting(&self) {
        self.lock().drop_waiting();
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
            self.shared.lock().complete(self.id, batch, outcome, self.started, now);
            self.shared.0.changed.notify_one();
            self.shared.0.completed.notify_waiters();
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.shared.lock().abandon(self.id, batch);
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
    (builder.len() > 0).then(|| builder.close())
}
