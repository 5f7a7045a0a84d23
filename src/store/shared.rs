//! What all threads of a store share.

use super::block::BlockError;
use super::clock::Clock;
use super::event::chain;
use super::folder::Disk;
use super::intake::Intake;
use super::syncer::Dirty;
use super::view::{Current, Part};
use super::{Event, Listener, Settings, Stopped};
use crate::query::TraceId;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};

/// See the fields.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) listener: Listener,
    pub(super) intake: Intake,
    pub(super) view: Current,
    pub(super) tail: broadcast::Sender<TraceId>,
    pub(super) dirty: Dirty,
    /// Held while blocks are compacted: that is done by one thread at a time.
    pub(super) compacting: Mutex<()>,
    pub(super) expired: AtomicU64,
    pub(super) damaged_documents: AtomicU64,
    /// Looks for what is to be deleted. Tests wait for them.
    #[cfg(test)]
    pub(super) looks: AtomicU64,
    work: Mutex<Work>,
    changed: Condvar,
    failing: Mutex<BTreeMap<Doing, String>>,
    under_way: Mutex<Vec<(Doing, Duration)>>,
}

/// What the disk is used for. Each can fail by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doing {
    /// Writing documents to the log.
    Log,
    /// Making the log durable.
    Sync,
    /// Writing a block.
    Seal,
    /// Making one block of several.
    Compact,
    /// Deleting what is not needed any more.
    Delete,
}

impl Doing {
    /// What takes longer than this hangs.
    const fn patience(self) -> Duration {
        match self {
            Self::Log | Self::Sync | Self::Delete => Duration::from_secs(5),
            // Some 40 MB, and up to 256: on a slow machine that takes its time.
            Self::Seal => Duration::from_secs(30),
            Self::Compact => Duration::from_secs(300),
        }
    }

    /// For messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Log => "write documents to the log",
            Self::Sync => "make the log durable",
            Self::Seal => "write a block",
            Self::Compact => "compact blocks",
            Self::Delete => "delete a file",
        }
    }
}

/// A call to the disk. See [`Shared::begin`].
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    shared: &'a Shared,
    call: (Doing, Duration),
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut calls = self.shared.under_way();
        if let Some(at) = calls.iter().position(|call| *call == self.call) {
            calls.swap_remove(at);
        }
    }
}

/// What threads tell each other.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// They wait until nothing is left to be sealed.
    pub(super) seals: Vec<oneshot::Sender<()>>,
    /// Blocks that were found to be damaged, and why.
    pub(super) damaged: Vec<(Arc<Part>, String)>,
    /// When a generation was full the last time.
    pub(super) last_full: Option<Duration>,
    /// Time to end.
    pub(super) stopping: bool,
    /// Nothing is to be sealed any more.
    pub(super) abandoned: bool,
    /// The writer has ended: nothing is added to what there is to seal.
    pub(super) writer_ended: bool,
    /// Threads that have not ended.
    pub(super) threads: usize,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        listener: Listener,
        view: Current,
    ) -> Self {
        Self {
            intake: Intake::new(settings.intake_bytes, clock.clone()),
            tail: broadcast::Sender::new(settings.tail_documents.max(1)),
            settings,
            disk,
            clock,
            listener,
            view,
            dirty: Dirty::default(),
            compacting: Mutex::default(),
            expired: AtomicU64::new(0),
            damaged_documents: AtomicU64::new(0),
            #[cfg(test)]
            looks: AtomicU64::new(0),
            work: Mutex::default(),
            changed: Condvar::new(),
            failing: Mutex::default(),
            under_way: Mutex::default(),
        }
    }

    pub(super) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all threads that wait for work, or for an end of it.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Work)) {
        change(&mut self.work());
        self.changed.notify_all();
    }

    /// Waits until somebody [tells](Self::tell) something, or until the time is over.
    pub(super) fn wait<'a>(
        &'a self,
        work: MutexGuard<'a, Work>,
        until: Option<Duration>,
    ) -> MutexGuard<'a, Work> {
        let Some(until) = until else {
            return self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        };
        let left = until.saturating_sub(self.clock.monotonic());
        self.changed.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Enters what is lost at the end, and says what is left.
    pub(super) fn settle(&self, in_time: bool) -> Stopped {
        let waiting = self.intake.give_up();
        let (mut unsealed, mut unwritten) = (0, 0);
        if self.has_disk() {
            for generation in self.view.get().generations() {
                let unlogged = generation.unlogged();
                unwritten += unlogged;
                unsealed += generation.documents() - unlogged;
            }
        }
        self.intake.lost(unwritten);
        Stopped { in_time, unsealed, unwritten, waiting }
    }

    /// Documents of another room than memory.
    pub(super) fn has_disk(&self) -> bool {
        self.settings.place.is_directory()
    }

    pub(super) fn say(&self, event: &Event) {
        (self.listener.0)(event);
    }

    /// The disk is asked to do something, until what is returned is dropped.
    pub(super) fn begin(&self, doing: Doing) -> UnderWay<'_> {
        let call = (doing, self.clock.monotonic());
        self.under_way().push(call);
        UnderWay { shared: self, call }
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<(Doing, Duration)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long the disk has not answered, where that is longer than it should be.
    pub(super) fn hanging(&self) -> Vec<(Doing, Duration)> {
        let now = self.clock.monotonic();
        let calls = self.under_way().clone();
        let since = calls.into_iter().map(|(doing, since)| (doing, now.saturating_sub(since)));
        since.filter(|(doing, time)| *time > doing.patience()).collect()
    }

    /// All that is wrong with the disk now.
    pub(super) fn troubles(&self) -> Vec<(Doing, String)> {
        let mut troubles: BTreeMap<_, _> = self.failing().clone();
        for (doing, time) in self.hanging() {
            troubles.insert(doing, format!("the disk has not answered for {} s", time.as_secs()));
        }
        troubles.into_iter().collect()
    }

    /// The disk did not do what it should. Said once, until it does.
    pub(super) fn failed(&self, doing: Doing, error: &dyn std::error::Error) {
        let error = chain(error);
        let before = self.failing().insert(doing, error.clone());
        if before.is_none() {
            self.say(&Event::DiskFailed { doing, error });
        }
    }

    /// The disk did what it should.
    pub(super) fn works(&self, doing: Doing) {
        if self.failing().remove(&doing).is_some() {
            self.say(&Event::DiskRecovered { doing });
        }
    }

    pub(super) fn is_failing(&self, doing: Doing) -> bool {
        self.failing().contains_key(&doing)
    }

    /// Whether it is of no use to wait for this.
    pub(super) fn is_stuck(&self, doing: Doing) -> bool {
        self.is_failing(doing) || self.hanging().iter().any(|(one, _)| *one == doing)
    }

    /// What the disk does not do now, and why.
    pub(super) fn failing(&self) -> MutexGuard<'_, BTreeMap<Doing, String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block could not be read. One that is damaged is not asked again; if it was the disk, the next one may be luckier.
    pub(super) fn block_failed(&self, error: &BlockError) {
        let BlockError::Damaged { path, reason } = error else { return };
        let view = self.view.get();
        let Some(part) = view.blocks.iter().find(|part| part.block.path() == path) else { return };
        let (part, reason) = (part.clone(), reason.clone());
        self.tell(|work| {
            if !work.damaged.iter().any(|(known, _)| Arc::ptr_eq(known, &part)) {
                work.damaged.push((part, reason));
            }
        });
    }

    pub(super) fn remove_logs(&self, logs: Vec<String>) {
        for name in logs {
            let under_way = self.begin(Doing::Delete);
            let deleted = self.disk.remove_log(&name);
            drop(under_way);
            // The next start finds that its documents are in a block, and tries again.
            self.deleted(deleted);
        }
    }

    /// What came of deleting something. What is not there any more need not be deleted.
    pub(super) fn deleted(&self, result: io::Result<()>) {
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.failed(Doing::Delete, &error),
            _ => self.works(Doing::Delete),
        }
    }

    pub(super) fn count_expired(&self, documents: u64) {
        self.expired.fetch_add(documents, Relaxed);
    }
}
