//! Batches on disk: what X-Ray does not take waits here and outlives the process.
//!
//! One thread of its own reads and writes, so that a slow disk holds up neither receiving nor sending. What belongs
//! on disk, and by when, is the pipeline's to say ([`Shared::spool_work`]); how it lies there is `log` and `record`;
//! [`Disk`] is the door to the disk. `write(2)` guards against the death of the process, `fdatasync(2)` every
//! second against a loss of power.

mod disk;
#[cfg(unix)]
mod folder;
#[cfg(fuzzing)]
pub mod fuzzing;
mod log;
#[cfg(any(test, fuzzing))]
mod memory;
mod record;

use crate::events::Events;
use crate::pipeline::{Batch, DiskCan, DropReason, Shared, Written};
use log::{Log, Note, ReadError, Taken};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::oneshot;

pub use disk::{Disk, DiskFile, Lock, Space};
#[cfg(unix)]
pub use folder::Folder;

/// Smallest spool that makes sense: a few of the largest batches.
pub const MIN_BYTES: u64 = 16 * 1024 * 1024;

/// Time between two looks at a lock that another daemon holds.
const LOCK_INTERVAL: Duration = Duration::from_millis(250);

/// An overlapping rollout is over by then; who still waits says so.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Time between two tries with a directory that cannot be used.
const OPEN_INTERVAL: Duration = Duration::from_secs(5);

/// Time between two tries with a disk that takes nothing.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// A disk from which nothing can be read for this long has lost the file that was asked for.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// Time between two such tries.
const READ_AGAIN_INTERVAL: Duration = Duration::from_secs(1);

/// A disk that did not give back what was written is not trusted with more for this long.
const DISTRUST_INTERVAL: Duration = Duration::from_secs(30);

/// Time between two looks at a disk that takes nothing and that nobody needs.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Time to the next look when nothing could be read.
const READ_INTERVAL: Duration = Duration::from_millis(100);

/// What is written is durable against a loss of power after this long.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Where the spool is and how large it may be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Bytes of all files together, [`MIN_BYTES`] at least.
    pub max_bytes: u64,
}

impl Settings {
    /// A spool in a folder of this directory, which is made when it is not there.
    #[cfg(unix)]
    pub fn in_directory(directory: &Path, max_bytes: u64) -> Self {
        Self { disk: Arc::new(Folder::in_directory(directory)), max_bytes }
    }
}

/// The running spool.
#[derive(Debug)]
pub struct Spool {
    pipeline: Shared,
    ended: oneshot::Receiver<()>,
    outlives: Arc<AtomicBool>,
}

impl Spool {
    /// Starts the thread. A directory that cannot be used, now or later, is told to `events` and tried again.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(settings: Settings, pipeline: Shared, events: Events) -> io::Result<Self> {
        let (end, ended) = oneshot::channel();
        let outlives = Arc::new(AtomicBool::new(false));
        let keeper = Keeper {
            settings,
            pipeline: pipeline.clone(),
            events,
            outlives: outlives.clone(),
            clock: Clock::start(),
        };
        std::thread::Builder::new().name("xrayd-spool".to_owned()).spawn(move || {
            keeper.run();
            // Nobody may be left to hear it.
            let _ = end.send(());
        })?;
        Ok(Self { pipeline, ended, outlives })
    }

    /// What is on disk will be there for the next run, as far as can be known from here.
    pub fn outlives_this_run(&self) -> bool {
        self.outlives.load(Ordering::Relaxed)
    }

    /// Writes what is in memory and stops. False when that was not done in time.
    pub async fn finish(self, until: tokio::time::Instant) -> bool {
        self.pipeline.finish_spool();
        tokio::time::timeout_at(until, self.ended).await.is_ok()
    }
}

/// Wall-clock time that a change of the clock does not move.
#[derive(Debug)]
struct Clock {
    started: Instant,
    started_ms: u64,
}

impl Clock {
    fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_ms: millis(since_1970) }
    }

    fn now_ms(&self) -> u64 {
        self.started_ms + millis(self.started.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// When to leave the disk alone.
#[derive(Debug, Default)]
struct Pauses {
    /// It took nothing, or is not trusted, until then.
    write: Option<Instant>,
    /// It had nothing to give, until then.
    read: Option<Instant>,
    /// Since when nothing could be read.
    unread: Option<Instant>,
}

impl Pauses {
    fn can(&self) -> DiskCan {
        let now = Instant::now();
        let over = |pause: Option<Instant>| pause.is_none_or(|until| until <= now);
        DiskCan { write: over(self.write), read: over(self.read) }
    }

    /// When the first of them is over.
    fn until(&self) -> Option<Instant> {
        let now = Instant::now();
        self.write.into_iter().chain(self.read.filter(|&until| until > now)).min()
    }

    fn write_is_over(&self) -> bool {
        self.write.is_some_and(|until| until <= Instant::now())
    }

    fn after_write(&mut self, written: Result<(), ()>, pause: Duration) {
        self.write = written.is_err().then(|| Instant::now() + pause);
    }
}

/// What the thread has.
struct Keeper {
    settings: Settings,
    pipeline: Shared,
    events: Events,
    outlives: Arc<AtomicBool>,
    clock: Clock,
}

impl Keeper {
    fn run(self) {
        let mut first_number = 1;
        while let Some((lock, log)) = self.open(first_number) {
            match self.keep(log) {
                None => return,
                Some(number) => first_number = number,
            }
            drop(lock);
        }
    }

    /// Waits for the directory. None when the daemon ends before.
    fn open(&self, first_number: u64) -> Option<(Box<dyn Send + std::fmt::Debug>, Log)> {
        let began = Instant::now();
        loop {
            let wait = match self.try_open(first_number) {
                Ok(Some(opened)) => return Some(opened),
                Ok(None) => {
                    if began.elapsed() >= LOCK_PATIENCE {
                        let place = self.settings.disk.place();
                        self.events.spool_unavailable(&format!("another daemon uses {place}"));
                    }
                    LOCK_INTERVAL
                }
                Err(error) => {
                    self.events.spool_unavailable(&format!("{}: {error}", self.settings.disk.place()));
                    OPEN_INTERVAL
                }
            };
            let cannot = DiskCan { write: false, read: false };
            if self.pipeline.spool_work(cannot, Some(Instant::now() + wait)).finish {
                return None;
            }
        }
    }

    fn try_open(&self, first_number: u64) -> io::Result<Option<(Box<dyn Send + std::fmt::Debug>, Log)>> {
        let disk = &self.settings.disk;
        let Lock::Ours(lock) = disk.lock()? else { return Ok(None) };
        let log = Log::open(disk.clone(), self.settings.max_bytes, first_number)?;
        let volatile = disk.is_volatile();
        self.outlives.store(!volatile, Ordering::Relaxed);
        self.events.spool_opened(&disk.place(), log.waiting(), volatile);
        self.pipeline.spool_opened(log.waiting());
        Ok(Some((lock, log)))
    }

    /// Serves the pipeline until the end. Should the folder vanish, returns the number for the next file in a new one.
    fn keep(&self, mut log: Log) -> Option<u64> {
        let mut syncer = Syncer::start(self.settings.disk.clone(), self.events.clone());
        let mut pauses = Pauses::default();
        self.tell(&mut log);
        loop {
            let work =
                self.pipeline.spool_work(pauses.can(), pauses.until().into_iter().chain(syncer.due()).min());
            for record in work.finished {
                log.finished(record);
            }
            for record in work.released {
                log.released(record);
            }
            if pauses.write_is_over() && work.write.is_empty() && !work.finish {
                // Nobody needs the disk just now, but somebody may ask whether it works.
                let works = log.probe().inspect(|()| self.events.spool_written(log.bytes()));
                pauses.after_write(works.map_err(|error| self.failed(&error)), PROBE_INTERVAL);
            }
            if !work.write.is_empty() {
                let written = self.write(&mut log, work.write);
                if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                    let next = log.forget();
                    let left = self.pipeline.spool_closed();
                    self.pipeline.spool_lost(DropReason::SpoolDamaged, left);
                    self.tell(&mut log);
                    let place = self.settings.disk.place();
                    self.events
                        .spool_unavailable(&format!("{place}: somebody has deleted it; making it anew"));
                    return Some(next);
                }
                pauses.after_write(written.map_err(drop), WRITE_INTERVAL);
            }
            if work.read {
                pauses.read = self.read(&mut log, &mut pauses.unread).map(|pause| Instant::now() + pause);
            }
            if self.tell(&mut log) {
                self.events.spool_distrusted(&self.settings.disk.place());
                pauses.write = Some(Instant::now() + DISTRUST_INTERVAL);
            }
            syncer.add(log.take_unsynced());
            if work.finish {
                self.finish(&mut log);
                syncer.add(log.take_unsynced());
                syncer.finish();
                return None;
            }
            syncer.sync_if_due();
        }
    }

    /// Writes all that is left.
    fn finish(&self, log: &mut Log) {
        loop {
            let rest = self.pipeline.spool_work(DiskCan { write: true, read: false }, None);
            for record in rest.finished {
                log.finished(record);
            }
            for record in rest.released {
                log.released(record);
            }
            let done = rest.write.is_empty() || self.write(log, rest.write).is_err();
            if done {
                log.forget_deleted();
            }
            self.tell(log);
            if done {
                return;
            }
        }
    }

    /// Writes batches until one fails.
    fn write(&self, log: &mut Log, batches: Vec<Batch>) -> io::Result<()> {
        let mut batches = batches.into_iter();
        while let Some(batch) = batches.next() {
            self.events.spool_busy(true);
            let written = log.append(&batch, self.clock.now_ms());
            self.events.spool_busy(false);
            match written {
                Ok(record) => {
                    match self.pipeline.spooled(batch.number(), record) {
                        Written::Alone => {}
                        Written::InFlight => log.hold(record),
                        Written::Gone => log.finished(record),
                    }
                    self.events.spool_written(log.bytes());
                }
                Err(error) => {
                    self.failed(&error);
                    for batch in std::iter::once(batch).chain(batches) {
                        self.pipeline.not_spooled(batch.number());
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) {
        self.events.spool_failed(&self.settings.disk.place(), error);
    }

    /// Reads the next batch and hands it over. When there is none, no memory for it, or the disk does not answer, says
    /// for how long not to ask again. `unread` is since when nothing could be read.
    fn read(&self, log: &mut Log, unread: &mut Option<Instant>) -> Option<Duration> {
        self.events.spool_busy(true);
        let read = log.next(self.clock.now_ms()).and_then(|next| match next {
            Some(next) if self.pipeline.has_room_for_spooled(next.bytes()) => log.take(&next).map(Some),
            _ => Ok(None),
        });
        self.events.spool_busy(false);
        match read {
            Ok(None) => return Some(READ_INTERVAL),
            Ok(Some(None)) => {}
            Ok(Some(Some(Taken { record, body, ends }))) => {
                if unread.take().is_some() {
                    self.events.spool_written(log.bytes());
                }
                if let Err(error) = self.pipeline.offer_spooled(Instant::now(), body, ends, record) {
                    log.unreadable(record, &error);
                }
            }
            Err(ReadError { file, error }) => {
                self.failed(&error);
                if unread.get_or_insert_with(Instant::now).elapsed() >= READ_PATIENCE {
                    log.give_up_reading(file, &error);
                    *unread = None;
                    if log.probe().is_ok() {
                        self.events.spool_written(log.bytes());
                    }
                }
                return Some(READ_AGAIN_INTERVAL);
            }
        }
        None
    }

    /// Says what happened to files. True when one of this run is damaged: the disk is not to be trusted.
    fn tell(&self, log: &mut Log) -> bool {
        let mut damaged = false;
        for note in log.take_notes() {
            match note {
                Note::Lost { reason, documents } => {
                    self.pipeline.spool_lost(reason, documents);
                    self.events.spool_lost(reason, documents);
                }
                Note::Torn { file, bytes } => self.events.spool_torn(&file, bytes),
                Note::Damaged { file, why, ours } => {
                    damaged |= ours;
                    self.events.spool_damaged(&file, &why);
                }
                Note::SetAside { file, name } => self.events.spool_set_aside(&file, &name),
            }
        }
        self.events.spool_bytes(log.bytes());
        damaged
    }
}

type Files = Vec<Arc<dyn DiskFile>>;

/// Makes files durable on a thread of its own: on a slow disk that takes seconds, and what comes meanwhile has to
/// be written.
struct Syncer {
    disk: Arc<dyn Disk>,
    events: Events,
    work: Option<SyncSender<Files>>,
    thread: Option<std::thread::JoinHandle<()>>,
    unsynced: Files,
    next: Option<Instant>,
}

impl Syncer {
    fn start(disk: Arc<dyn Disk>, events: Events) -> Self {
        Self { disk, events, work: None, thread: None, unsynced: Vec::new(), next: None }
    }

    fn add(&mut self, files: Files) {
        for file in files {
            if !self.unsynced.iter().any(|known| Arc::ptr_eq(known, &file)) {
                self.unsynced.push(file);
            }
        }
        if !self.unsynced.is_empty() && self.next.is_none() {
            self.next = Some(Instant::now() + SYNC_INTERVAL);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.next
    }

    fn sync_if_due(&mut self) {
        if self.next.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.next = None;
        let files = std::mem::take(&mut self.unsynced);
        if let Err(TrySendError::Full(files) | TrySendError::Disconnected(files)) = self.hand_over(files) {
            // The last ones are still being made durable.
            self.add(files);
        }
    }

    /// The thread is made when it is first needed: most daemons never write.
    fn hand_over(&mut self, files: Files) -> Result<(), TrySendError<Files>> {
        if self.work.is_none() {
            let (sender, receiver) = sync_channel::<Files>(1);
            let (disk, events) = (self.disk.clone(), self.events.clone());
            let thread = std::thread::Builder::new().name("xrayd-sync".to_owned()).spawn(move || {
                while let Ok(files) = receiver.recv() {
                    sync(&*disk, &files, &events);
                }
            });
            let Ok(thread) = thread else { return Err(TrySendError::Disconnected(files)) };
            (self.work, self.thread) = (Some(sender), Some(thread));
        }
        self.work.as_ref().map_or(Ok(()), |work| work.try_send(files))
    }

    fn finish(mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        sync(&*self.disk, &self.unsynced, &self.events);
    }
}

fn sync(disk: &dyn Disk, files: &[Arc<dyn DiskFile>], events: &Events) {
    if files.is_empty() {
        return;
    }
    // All of them, whatever becomes of the first.
    let results: Vec<_> = files.iter().map(|file| file.sync()).chain([disk.sync()]).collect();
    if let Some(error) = results.into_iter().find_map(Result::err) {
        events.spool_not_durable(&disk.place(), &error);
    }
}

#[cfg(test)]
mod clock_tests {
    use super::*;

    #[test]
    fn the_clock_goes_by_the_time_that_passed_whatever_the_systems_clock_does() {
        let started_ms = 1_790_000_000_000;
        let an_hour_ago = Instant::now().checked_sub(Duration::from_secs(3600)).unwrap();
        let clock = Clock { started: an_hour_ago, started_ms };
        let passed = clock.now_ms() - started_ms;
        assert!((3_600_000..3_660_000).contains(&passed), "{passed}");
    }
}

#[cfg(test)]
mod tests;
