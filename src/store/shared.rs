//! What all threads of a store share.

use super::block::BlockError;
use super::clock::Clock;
use super::event::chain;
use super::folder::Disk;
use super::intake::Intake;
use super::kept::Kept;
use super::syncer::Dirty;
use super::view::{Current, Part};
use super::{Event, Listener, Settings, Stopped};
use std::collections::BTreeMap;
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
    pub(super) tail: broadcast::Sender<Arc<Kept>>,
    pub(super) dirty: Dirty,
    /// Held while blocks are compacted: that is done by one thread at a time.
    pub(super) compacting: Mutex<()>,
    pub(super) expired: AtomicU64,
    work: Mutex<Work>,
    changed: Condvar,
    failing: Mutex<BTreeMap<Doing, String>>,
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
            work: Mutex::default(),
            changed: Condvar::new(),
            failing: Mutex::default(),
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
            match self.disk.remove_log(&name) {
                Ok(()) => self.works(Doing::Delete),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                // The next start finds that its documents are in a block, and tries again.
                Err(error) => self.failed(Doing::Delete, &error),
            }
        }
    }

    pub(super) fn count_expired(&self, documents: u64) {
        self.expired.fetch_add(documents, Relaxed);
    }
}
