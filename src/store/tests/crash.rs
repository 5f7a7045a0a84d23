//! What an end at any moment leaves: a copy of the directory is made after every single step on the disk, and each copy
//! is opened as the next run would.

use super::support::*;
use crate::store::block::{Block, BlockError};
use crate::store::folder::{BlockName, Disk, Folder, LogFile};
use crate::store::kept::Kept;
use crate::store::{Settings, compaction};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::{TempDir, tempdir};

/// Copies of a directory.
#[derive(Debug)]
struct Camera {
    directory: PathBuf,
    copies: TempDir,
    state: Mutex<Pictures>,
}

#[derive(Debug, Default)]
struct Pictures {
    /// Documents that must be in every copy from now on.
    stored: u64,
    /// For each copy, how many documents must be in it, and after which step it was made.
    taken: Vec<(u64, &'static str)>,
}

impl Camera {
    /// Does one step, and keeps what it leaves. No other step is done meanwhile.
    fn step<T>(&self, name: &'static str, step: impl FnOnce() -> T) -> T {
        let mut state = self.state.lock().unwrap();
        let result = step();
        copy(&self.directory, &self.copies.path().join(state.taken.len().to_string()));
        let stored = state.stored;
        state.taken.push((stored, name));
        result
    }
}

#[derive(Debug)]
struct WatchedDisk {
    folder: Folder,
    camera: Arc<Camera>,
}

impl Disk for WatchedDisk {
    fn check(&self) -> io::Result<()> {
        self.folder.check()
    }

    fn create_log(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = self.camera.step("create log", || self.folder.create_log(name))?;
        Ok(Arc::new(WatchedLog { file, camera: self.camera.clone() }))
    }

    fn remove_log(&self, name: &str) -> io::Result<()> {
        self.camera.step("remove log", || self.folder.remove_log(name))
    }

    fn write_block(&self, name: BlockName, rows: &[Arc<Kept>]) -> Result<Block, BlockError> {
        self.camera.step("write block", || self.folder.write_block(name, rows))
    }

    fn compact(&self, inputs: &[&Block], name: BlockName) -> Result<Block, BlockError> {
        self.camera.step("compact", || self.folder.compact(inputs, name))
    }

    fn remove_block(&self, name: BlockName) -> io::Result<()> {
        self.camera.step("remove block", || self.folder.remove_block(name))
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
struct WatchedLog {
    file: Arc<dyn LogFile>,
    camera: Arc<Camera>,
}

impl LogFile for WatchedLog {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.camera.step("append", || self.file.append(bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn take_back(&self, bytes: usize) -> io::Result<()> {
        self.file.take_back(bytes)
    }
}

/// Opens a copy: what was stored when it was made is there once, and nothing nobody has put.
fn check(copied: &Path, stored: u64, what: &str) {
    let world = World::new();
    for run in ["first", "second"] {
        let store = world.open(settings(copied));
        let found = texts(&store);
        let unique: BTreeSet<_> = found.iter().collect();
        assert_eq!(unique.len(), found.len(), "{run} run after {what}: a document is there twice");
        for id in 0..stored {
            assert!(
                unique.contains(&document(id % 7, id)),
                "{run} run after {what}: {id} of {stored} is lost"
            );
        }
        for (id, text) in (0..).zip(&found) {
            assert_eq!(*text, document(id % 7, id), "{run} run after {what}");
        }
        assert!(store.ledger().balances());
        let events = world.take_events();
        let complaints = events.iter().filter(|event| {
            use crate::store::Event;
            !matches!(event, Event::Sealed { .. } | Event::Compacted { .. } | Event::Expired { .. })
        });
        assert_eq!(complaints.count(), 0, "{run} run after {what}: {events:?}");
    }
}

#[test]
fn an_end_after_any_step_loses_nothing_that_was_stored_and_doubles_nothing() {
    let folder = tempdir().unwrap();
    let camera = Arc::new(Camera {
        directory: folder.path().to_owned(),
        copies: tempdir().unwrap(),
        state: Mutex::default(),
    });
    let world = World::new();
    let for_disk = camera.clone();
    let settings = Settings { generation_bytes: 20_000, ..settings(folder.path()) };
    let store = world.open_on(settings, move |folder| Arc::new(WatchedDisk { folder, camera: for_disk }));
    for batch in 0..30 {
        let ids = batch * 10..(batch + 1) * 10;
        let documents: Vec<_> = ids.clone().map(|id| document(id % 7, id)).collect();
        put(&store, &documents).unwrap();
        camera.state.lock().unwrap().stored = ids.end;
        if batch % 4 == 0 {
            seal(&store);
        }
        if batch == 15 {
            // The blocks of a day that is over are compacted however few there are.
            world.advance(&store, 24 * HOUR);
        }
        compaction::compact_once(&store.shared);
    }
    store.stop(HOUR);
    let taken = std::mem::take(&mut camera.state.lock().unwrap().taken);
    let steps: BTreeSet<_> = taken.iter().map(|(_, step)| *step).collect();
    let all = ["append", "compact", "create log", "remove block", "remove log", "write block"];
    assert!(steps.iter().copied().eq(all), "{steps:?}");
    for (number, (stored, step)) in taken.iter().enumerate() {
        check(&camera.copies.path().join(number.to_string()), *stored, &format!("step {number}, {step}"));
    }
}

#[test]
fn what_a_block_holds_of_the_log_is_not_read_twice() {
    let folder = tempdir().unwrap();
    let world = World::new();
    let store = world.open(settings(folder.path()));
    put(&store, &[document(0, 0), document(1, 1)]).unwrap();
    let log = files(folder.path(), ".wal").remove(0);
    let written = std::fs::read(&log).unwrap();
    seal(&store);
    put(&store, &[document(2, 2)]).unwrap();
    drop(store);
    // The end came before the log was deleted.
    std::fs::write(&log, written).unwrap();
    let store = world.open(settings(folder.path()));
    assert_eq!(texts(&store), [document(0, 0), document(1, 1), document(2, 2)]);
    assert_eq!(store.ledger().recovered, 1);
    assert!(!log.exists());
}
