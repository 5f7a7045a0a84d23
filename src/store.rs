//! What is kept of documents on this machine: the only room, beside the spool, that knows there is a disk.
//!
//! ```text
//!  datagrams ─► intake ─► writer ─► log            until it is in a block
//!  put        (bounded)     └─────► head ─► keeper ─► blocks ─► compaction
//! ```
//!
//! Documents are read when they are written, and can be queried from then on. A generation of the head becomes a block
//! when it is large or old enough, on a thread of its own; small blocks become large ones on another. All documents are
//! somewhere in one `view`, each exactly once, and readers take that as a whole.
//!
//! Of a generation the sequences have no gap to speak of, its documents were all received on one day, and generations are
//! sealed in their order: so the names of files are enough to know what of the log is in blocks already, and which block
//! replaces which.

pub mod block;
mod clock;
mod compaction;
mod day;
mod event;
mod folder;
mod head;
mod intake;
mod judge;
mod keeper;
pub mod kept;
pub mod ledger;
mod logger;
pub mod merge;
mod read;
mod recovery;
mod retention;
mod settings;
mod shared;
mod syncer;
#[cfg(test)]
mod tests;
mod view;
mod wal;
mod writer;

pub use clock::{Clock, SystemClock};
pub use event::{Event, Listener};
pub use intake::{Judged, Put, PutError};
pub use settings::{Place, Settings};
pub use shared::Doing;

use crate::query::TraceId;
use crate::segment::DatagramError;
use folder::{Disk, Folder, Lock, NoDisk};
use intake::{Chunk, Job};
use keeper::Keeper;
use ledger::{Ledger, Refused, Transport};
use recovery::Recovered;
use shared::Shared;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use view::{Current, View};
use writer::Writer;

/// What waits when a store is dropped is written in this time, or not at all: the disk hangs.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two processes would destroy each other's files.
    #[error("another process uses the store in {}; stop it, or choose another directory", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot open the store in {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start a thread for the store")]
    Thread(#[source] io::Error),
}

/// A store of documents. Copies are the same store; when the last is dropped without [`Store::stop`], what waits is still
/// written to the log, and nothing is sealed.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What became of documents since it was opened.
    pub ledger: Ledger,
    /// Documents that can be read, also of earlier runs. One that came twice counts twice.
    pub documents: u64,
    /// Those of them that are in memory.
    pub head_documents: u64,
    /// Number of blocks.
    pub blocks: usize,
    /// Bytes of all files; of memory, where there are none.
    pub bytes: u64,
    /// Documents that were deleted since it was opened because they were too old or too much.
    pub expired: u64,
    /// Documents that were in blocks that were found to be damaged since it was opened. Of those that were damaged before,
    /// nobody knows how many they had.
    pub damaged_documents: u64,
    /// What the disk does not do at the moment, and why. Also what it has not answered for long.
    pub failing: Vec<(Doing, String)>,
}

/// How a store ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// All threads have ended within the time.
    pub in_time: bool,
    /// Documents that are in the log and in no block. The next start finds them.
    pub unsealed: u64,
    /// Documents that are in memory alone: the disk does not take them. The ledger has them as dropped, not as stored.
    pub unwritten: u64,
    /// Documents nobody has dealt with when the time was over. The ledger has them as dropped.
    pub waiting: u64,
}

impl Store {
    /// Opens a store, or makes one.
    ///
    /// # Errors
    /// When another process has it, or the directory cannot be used. Damaged files are no error; `listener` hears of them.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>, listener: Listener) -> Result<Self, OpenError> {
        Self::open_on(settings, clock, listener, |folder| Arc::new(folder))
    }

    /// With whatever `door` makes of the directory.
    fn open_on(
        mut settings: Settings,
        clock: Arc<dyn Clock>,
        listener: Listener,
        door: impl FnOnce(Folder) -> Arc<dyn Disk>,
    ) -> Result<Self, OpenError> {
        settings.generation_bytes = settings.generation_limit();
        let (disk, recovered): (Arc<dyn Disk>, _) = match settings.place.clone() {
            Place::Memory => (Arc::new(NoDisk::default()), Recovered::nothing()),
            Place::Directory(path) => {
                let io = |source| OpenError::Io { path: path.clone(), source };
                let folder = match Folder::lock(&path).map_err(io)? {
                    Lock::Ours(folder) => folder,
                    Lock::Busy => return Err(OpenError::Busy { path }),
                };
                let recovered =
                    recovery::recover(&folder, &listener, settings.generation_bytes).map_err(io)?;
                (door(folder), recovered)
            }
        };
        let view = Current::new(recovered.view);
        let shared = Arc::new(Shared::new(settings, disk, clock, listener, view));
        shared.intake.recovered(recovered.documents, &recovered.refused);
        let threads = Threads::start(&shared, recovered.next_sequence).map_err(OpenError::Thread)?;
        Ok(Self { shared, threads: Arc::new(threads) })
    }

    /// Takes the documents of datagrams, and never waits: what there is no room for is dropped and counted. The header of
    /// a datagram is checked here, its document later. For the thread that receives.
    pub fn offer_datagrams<'a>(
        &self,
        datagrams: impl Iterator<Item = &'a [u8]>,
        on_refused: impl FnMut(DatagramError),
    ) {
        self.shared.intake.offer(datagrams, on_refused);
    }

    /// Takes documents whose sender wants to know what became of them. Those of an import too count as received now.
    ///
    /// # Errors
    /// When none of them is taken.
    pub fn put<'a>(
        &self,
        transport: Transport,
        documents: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Put, PutError> {
        let received = self.shared.clock.wall_micros();
        let mut chunk = Chunk::new(transport);
        for document in documents {
            chunk.push(document, received);
        }
        // What documents need in memory is what they are charged.
        chunk.bytes.shrink_to_fit();
        self.shared.intake.put(chunk)
    }

    /// Counts documents that [`Store::put`] did not take as dropped, because their sender will not offer them again.
    pub fn not_taken(&self, transport: Transport, count: u64, why: PutError) {
        self.shared.intake.not_taken(transport, count, why);
    }

    /// Makes a block of what is in memory. The receiver gets an error when that does not work now.
    pub fn seal_now(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.shared.intake.after_all(Job::Seal(sender));
        receiver
    }

    /// Waits for what has been offered so far. The receiver gets an error when the store is stopping.
    pub fn flush(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.shared.intake.after_all(Job::Flush(sender));
        receiver
    }

    /// Hears of the trace of each document from now on when it is stored. Who is too slow misses some, and is told how
    /// many.
    pub fn subscribe(&self) -> broadcast::Receiver<TraceId> {
        self.shared.tail.subscribe()
    }

    /// What became of documents since the store was opened.
    pub fn ledger(&self) -> Ledger {
        self.shared.intake.ledger()
    }

    /// The last documents that were refused, newest first.
    pub fn refusals(&self) -> Vec<Refused> {
        self.shared.intake.refusals()
    }

    /// How the store is.
    pub fn status(&self) -> Status {
        let view = self.shared.view.get();
        let head_documents = view.generations().map(|generation| generation.documents()).sum::<u64>();
        let rows = view.blocks.iter().map(|part| part.block.summary().rows).sum::<u64>();
        let bytes = if self.shared.has_disk() {
            view.block_bytes() + view.generations().map(|generation| generation.log_bytes()).sum::<u64>()
        } else {
            view.generations().map(|generation| generation.bytes() as u64).sum()
        };
        Status {
            ledger: self.ledger(),
            documents: head_documents + rows,
            head_documents,
            blocks: view.blocks.len(),
            bytes,
            expired: self.shared.expired.load(Relaxed),
            damaged_documents: self.shared.damaged_documents.load(Relaxed),
            failing: self.shared.troubles(),
        }
    }

    /// What was last given to [`Store::save_account`].
    ///
    /// # Errors
    /// What the system says.
    pub fn load_account(&self) -> io::Result<Option<Vec<u8>>> {
        self.shared.disk.load_account()
    }

    /// Keeps what the account knows beside documents. It replaces what was kept before as a whole, or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn save_account(&self, account: &[u8]) -> io::Result<()> {
        self.shared.disk.save_account(account)
    }

    /// Takes nothing any more, writes and seals what there is, and waits for that for so long. Can still be read then.
    ///
    /// The ledger is final afterwards: what has not been stored by then, or is in memory alone, is dropped. Only the first
    /// call does anything; others return what it did.
    pub fn stop(&self, patience: Duration) -> Stopped {
        let mut stopped = self.threads.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        *stopped.get_or_insert_with(|| {
            let in_time = self.threads.stop(&self.shared, patience);
            self.shared.settle(in_time)
        })
    }
}

impl Recovered {
    fn nothing() -> Self {
        let view = View::default();
        Self { view, next_sequence: 1, documents: 0, refused: Vec::new() }
    }
}

/// The threads of a store. They end with it.
#[derive(Debug)]
struct Threads {
    shared: Arc<Shared>,
    running: Mutex<Vec<JoinHandle<()>>>,
    /// How it ended, once it has been stopped.
    stopped: Mutex<Option<Stopped>>,
}

impl Threads {
    fn start(shared: &Arc<Shared>, next_sequence: u64) -> io::Result<Self> {
        let threads = Self { shared: shared.clone(), running: Mutex::default(), stopped: Mutex::default() };
        let writer = Writer::new(shared.clone(), next_sequence)?;
        let keeper = Keeper::new(shared.clone());
        threads.spawn("store-write", move || writer.run())?;
        threads.spawn("store-seal", move || keeper.run())?;
        if shared.has_disk() {
            let (for_compaction, for_sync) = (shared.clone(), shared.clone());
            threads.spawn("store-compact", move || compaction::run(&for_compaction))?;
            threads.spawn("store-sync", move || syncer::run(&for_sync))?;
        }
        Ok(threads)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let shared = self.shared.clone();
        shared.work().threads += 1;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let ending = Ending(shared);
            run();
            drop(ending);
        });
        let thread = thread.inspect_err(|_| self.shared.work().threads -= 1)?;
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Ends the threads. False when that takes too long: a disk that hangs cannot be helped. They end when it answers.
    fn stop(&self, shared: &Shared, patience: Duration) -> bool {
        let until = shared.clock.monotonic() + patience;
        shared.intake.stop();
        shared.tell(|work| work.stopping = true);
        let mut work = shared.work();
        let mut synced = false;
        while work.threads > 0 {
            if shared.clock.monotonic() >= until {
                work.abandoned = true;
                drop(work);
                shared.dirty.end();
                shared.tell(|_| {});
                return false;
            }
            // The log is made durable when nothing is written to it any more.
            if work.writer_ended && !synced {
                synced = true;
                shared.dirty.end();
                continue;
            }
            work = shared.wait(work, Some(until));
        }
        drop(work);
        for thread in self.running.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
        true
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Who has stopped it has waited as long as it was worth.
        if self.stopped.get_mut().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.shared.work().abandoned = true;
            self.stop(&self.shared, DROP_PATIENCE);
        }
    }
}

/// Says that a thread has ended, however it did.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.tell(|work| work.threads -= 1);
    }
}
