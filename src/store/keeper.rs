//! The keeper of blocks: seals what the writer froze, deletes what is too old or too much, and sets aside what is
//! damaged.

use super::Event;
use super::block::BlockError;
use super::clock::{SECOND, micros};
use super::compaction::delete;
use super::day::Day;
use super::folder::{BlockName, Disk};
use super::head::Generation;
use super::retention::{Whole, expired};
use super::shared::{Doing, Shared};
use super::view::{Part, View};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Time between two tries with a disk that takes no block.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Time between two looks for what is too old.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// The thread.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// The disk is left alone until then.
    retry_at: Duration,
    retention_at: Duration,
    /// The end has come, and a disk that failed before has been tried once more.
    tried_last: bool,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, retry_at: Duration::ZERO, retention_at: Duration::ZERO, tried_last: false }
    }

    /// Works until the writer has ended and all is sealed, or cannot be.
    pub(super) fn run(mut self) {
        while self.wait() {
            self.set_damaged_aside();
            while self.seal_next() {}
            let now = self.shared.clock.monotonic();
            // Without a disk a frozen generation is a block.
            if now >= self.retention_at || !self.shared.has_disk() {
                self.retain();
            }
        }
    }

    /// Waits for work. False at the end.
    fn wait(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut work = shared.work();
        loop {
            let view = shared.view.get();
            let to_seal = shared.has_disk() && !view.frozen.is_empty();
            let now = shared.clock.monotonic();
            if !to_seal || shared.is_failing(Doing::Seal) {
                let sealed = !to_seal;
                for waiter in work.seals.drain(..) {
                    // Nobody may be left to hear it; a sender that is dropped says that it did not work.
                    let _ = if sealed { waiter.send(()) } else { Ok(()) };
                }
            }
            let nothing_left = !to_seal || shared.is_failing(Doing::Seal) || work.abandoned;
            if work.writer_ended && nothing_left {
                if to_seal && !work.abandoned && !self.tried_last {
                    (self.tried_last, self.retry_at) = (true, Duration::ZERO);
                    return true;
                }
                return false;
            }
            let due = to_seal && now >= self.retry_at;
            let too_much = !shared.has_disk() && memory_is_full(&shared, &view);
            if due || too_much || !work.damaged.is_empty() || now >= self.retention_at {
                return true;
            }
            let until = if to_seal { self.retention_at.min(self.retry_at) } else { self.retention_at };
            work = shared.wait(work, Some(until));
        }
    }

    /// Seals the oldest generation. True when it did.
    fn seal_next(&mut self) -> bool {
        let shared = &self.shared;
        let view = shared.view.get();
        let Some(generation) = view.frozen.first() else { return false };
        if !shared.has_disk() || shared.work().abandoned || shared.clock.monotonic() < self.retry_at {
            return false;
        }
        match seal(shared, generation) {
            Ok(event) => {
                shared.works(Doing::Seal);
                shared.say(&event);
                self.retain();
                // The writer may have waited for it.
                self.shared.tell(|_| {});
                true
            }
            Err(error) => {
                shared.failed(Doing::Seal, &error);
                self.retry_at = shared.clock.monotonic() + RETRY_INTERVAL;
                shared.tell(|_| {});
                false
            }
        }
    }

    /// Deletes what is too old or too much.
    fn retain(&mut self) {
        let shared = &self.shared;
        self.retention_at = shared.clock.monotonic() + RETENTION_INTERVAL;
        let retention = u64::try_from(shared.settings.retention.as_micros()).unwrap_or(u64::MAX);
        let keep_since = shared.clock.wall_micros().saturating_sub(retention);
        let view = shared.view.get();
        let documents = if shared.has_disk() {
            retain_blocks(shared, &view, keep_since)
        } else {
            retain_generations(shared, &view, keep_since)
        };
        if documents > 0 {
            shared.count_expired(documents);
            shared.say(&Event::Expired { documents });
        }
        #[cfg(test)]
        shared.looks.fetch_add(1, Relaxed);
    }

    fn set_damaged_aside(&self) {
        let shared = &self.shared;
        let damaged = std::mem::take(&mut shared.work().damaged);
        for (part, reason) in damaged {
            // It may have been compacted or deleted meanwhile.
            if shared.view.change(|view| view.remove(std::slice::from_ref(&part))) {
                let set_aside = shared.disk.set_block_aside(part.name);
                let documents = part.block.summary().rows;
                shared.damaged_documents.fetch_add(documents, Relaxed);
                let (file, set_aside) = (part.name.to_string(), set_aside.ok());
                shared.say(&Event::BlockDamaged { file, reason, set_aside, documents });
            }
        }
    }
}

/// Makes a block of a generation, and puts it in its place.
fn seal(shared: &Shared, generation: &Arc<Generation>) -> Result<Event, BlockError> {
    let under_way = shared.begin(Doing::Seal);
    let part = write(&*shared.disk, generation)?;
    drop(under_way);
    let event = Event::Sealed { documents: generation.documents(), bytes: part.block.summary().bytes };
    shared.view.change(|view| {
        view.frozen.retain(|frozen| !Arc::ptr_eq(frozen, generation));
        view.add(Arc::new(part));
    });
    shared.remove_logs(generation.take_logs());
    Ok(event)
}

/// Makes a block of a generation that nothing is added to any more.
pub(super) fn write(disk: &dyn Disk, generation: &Generation) -> Result<Part, BlockError> {
    let (first, last) = generation.sequences().unwrap_or_default();
    // Only an empty one has no day, and no such is sealed.
    let day = generation.day().unwrap_or_else(|| Day::of(generation.last_received()));
    let name = BlockName { day, first, last };
    let block = disk.write_block(name, generation.sorted())?;
    Ok(Part { name, block })
}

fn retain_blocks(shared: &Shared, view: &View, keep_since: u64) -> u64 {
    let whole = |part: &Arc<Part>| Whole {
        last_received: part.block.summary().receipts.map_or(0, |(_, last)| micros(last)),
        bytes: part.block.summary().bytes,
    };
    let wholes: Vec<_> = view.blocks.iter().map(whole).collect();
    let log_bytes: u64 = view.generations().map(|generation| generation.log_bytes()).sum();
    // What cannot become a block must not push out those there are.
    let other_bytes = log_bytes.min(shared.settings.log_bytes());
    let mut documents = 0;
    for at in expired(&wholes, other_bytes, keep_since, shared.settings.max_bytes) {
        let part = &view.blocks[at];
        // It may have been compacted meanwhile; the next look finds what became of it.
        if shared.view.change(|view| view.remove(std::slice::from_ref(part))) {
            delete(shared, part);
            documents += part.block.summary().rows;
        }
    }
    documents
}

fn retain_generations(shared: &Shared, view: &View, keep_since: u64) -> u64 {
    let whole = |generation: &Arc<Generation>| Whole {
        last_received: generation.last_received(),
        bytes: generation.bytes() as u64,
    };
    let wholes: Vec<_> = view.frozen.iter().map(whole).collect();
    let active = view.active.bytes() as u64;
    let gone: Vec<_> = expired(&wholes, active, keep_since, shared.settings.max_bytes).collect();
    let gone: Vec<_> = gone.into_iter().filter_map(|at| view.frozen.get(at)).collect();
    shared.view.change(|view| view.frozen.retain(|one| !gone.iter().any(|gone| Arc::ptr_eq(gone, one))));
    gone.iter().map(|generation| generation.documents()).sum()
}

fn memory_is_full(shared: &Shared, view: &View) -> bool {
    let bytes: usize = view.generations().map(|generation| generation.bytes()).sum();
    !view.frozen.is_empty() && bytes as u64 > shared.settings.max_bytes
}

/// Longest time documents are in the head: they are in the log as long, and a start has to read that.
pub(super) const HEAD_AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// Microseconds of a duration that is one of the settings.
pub(super) fn span(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(SECOND)
}
