//! A disk that fails, or hangs, when it is told to.

use super::support::*;
use crate::store::block::{Block, BlockError};
use crate::store::folder::{BlockName, Disk, Folder, LogFile};
use crate::store::kept::Kept;
use crate::store::{Doing, Settings, Store};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What does not work now.
#[derive(Debug, Default)]
pub(super) struct Broken {
    pub(super) log: AtomicBool,
    /// Files can be made, and nothing can be written to them.
    pub(super) append: AtomicBool,
    pub(super) blocks: AtomicBool,
    pub(super) sync: AtomicBool,
    pub(super) hanging: Arc<Hanging>,
}

/// Calls that do not return.
#[derive(Debug, Default)]
pub(super) struct Hanging {
    state: Mutex<(Option<Doing>, usize)>,
    changed: Condvar,
}

/// See [`Hanging::set`].
pub(super) struct Release(Arc<Hanging>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Hanging {
    /// Has calls of this kind hang, until what is returned is dropped: a test that fails must not hang too.
    pub(super) fn set(self: &Arc<Self>, doing: Doing) -> Release {
        self.state.lock().unwrap().0 = Some(doing);
        Release(self.clone())
    }

    /// All that hang return.
    pub(super) fn release(&self) {
        self.state.lock().unwrap().0 = None;
        self.changed.notify_all();
    }

    /// Waits until something hangs.
    pub(super) fn wait(&self) {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, Duration::from_secs(20), |state| state.1 == 0);
        assert!(!waited.unwrap().1.timed_out(), "nothing hangs");
    }

    fn pass(&self, doing: Doing) {
        let mut state = self.state.lock().unwrap();
        if state.0 != Some(doing) {
            return;
        }
        state.1 += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| state.0 == Some(doing)).unwrap();
        state.1 -= 1;
    }
}

#[derive(Debug)]
struct BadDisk {
    folder: Folder,
    broken: Arc<Broken>,
}

fn check(broken: &AtomicBool) -> io::Result<()> {
    if broken.load(SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

fn check_block(broken: &AtomicBool, name: BlockName) -> Result<(), BlockError> {
    check(broken).map_err(|source| BlockError::Io { path: name.to_string().into(), doing: "write", source })
}

impl Disk for BadDisk {
    fn check(&self) -> io::Result<()> {
        self.folder.check()
    }

    fn create_log(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        check(&self.broken.log)?;
        Ok(Arc::new(BadLog { file: self.folder.create_log(name)?, broken: self.broken.clone() }))
    }

    fn remove_log(&self, name: &str) -> io::Result<()> {
        self.folder.remove_log(name)
    }

    fn write_block(&self, name: BlockName, rows: &[Arc<Kept>]) -> Result<Block, BlockError> {
        self.broken.hanging.pass(Doing::Seal);
        check_block(&self.broken.blocks, name)?;
        self.folder.write_block(name, rows)
    }

    fn compact(&self, inputs: &[&Block], name: BlockName) -> Result<Block, BlockError> {
        check_block(&self.broken.blocks, name)?;
        self.folder.compact(inputs, name)
    }

    fn remove_block(&self, name: BlockName) -> io::Result<()> {
        self.folder.remove_block(name)
    }

    fn set_block_aside(&self, name: BlockName) -> io::Result<String> {
        self.folder.set_block_aside(name)
    }

    fn load_account(&self) -> io::Result<Option<Vec<u8>>> {
        self.folder.load_account()
    }

    fn save_account(&self, account: &[u8]) -> io::Result<()> {
        self.folder.save_account(account)
    }
}

#[derive(Debug)]
struct BadLog {
    file: Arc<dyn LogFile>,
    broken: Arc<Broken>,
}

impl LogFile for BadLog {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.broken.hanging.pass(Doing::Log);
        if self.broken.log.load(SeqCst) {
            // A full disk takes the beginning.
            self.file.append(&bytes[..bytes.len() / 2])?;
        }
        check(&self.broken.log)?;
        check(&self.broken.append)?;
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.broken.hanging.pass(Doing::Sync);
        check(&self.broken.sync)?;
        self.file.sync()
    }

    fn take_back(&self, bytes: usize) -> io::Result<()> {
        self.file.take_back(bytes)
    }
}

pub(super) fn open(world: &World, settings: Settings) -> (Store, Arc<Broken>) {
    let broken = Arc::new(Broken::default());
    let for_disk = broken.clone();
    (world.open_on(settings, move |folder| Arc::new(BadDisk { folder, broken: for_disk })), broken)
}

pub(super) fn is_failing(store: &Store, doing: Doing) -> bool {
    store.status().failing.iter().any(|(one, _)| *one == doing)
}
