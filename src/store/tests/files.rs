//! Files that are not what this store has written, and files that are gone.

use super::bad_disk::*;
use super::support::*;
use crate::store::compaction::{self, Compacted};
use crate::store::ledger::DropReason;
use crate::store::{Doing, Event, Stopped};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tempfile::tempdir;

const MINUTE: Duration = Duration::from_secs(60);

/// A directory with documents in the log alone, one frame each.
fn log_of(directory: &Path, documents: u64) -> PathBuf {
    let store = World::new().open(settings(directory));
    for id in 0..documents {
        put(&store, &[document(1, id)]).unwrap();
    }
    drop(store);
    files(directory, ".wal").remove(0)
}

/// Opens it twice, with a block made in between: what cannot be read is kept, and said once.
#[track_caller]
fn check_set_aside(directory: &Path, log: &Path, expected: &[Vec<u8>]) {
    let written = std::fs::read(log).unwrap();
    let world = World::new();
    let store = world.open(settings(directory));
    assert_eq!(texts(&store), expected);
    let aside = log.with_extension("wal.damaged");
    let name = format!("wal/{}", aside.file_name().unwrap().to_str().unwrap());
    let said = world.take_events();
    assert!(
        said.iter().any(|event| matches!(event, Event::LogUnreadable { set_aside, .. }
            if set_aside.as_ref() == Some(&name))),
        "{said:?}"
    );
    until(&store, || files(directory, ".wal").is_empty());
    assert_eq!(std::fs::read(&aside).unwrap(), written);
    put(&store, &[document(2, 100)]).unwrap();
    let before = everything(&store);
    store.stop(MINUTE);
    drop(store);
    let store = world.open(settings(directory));
    assert_eq!(everything(&store), before);
    assert!(!world.take_events().iter().any(|event| matches!(event, Event::LogUnreadable { .. })));
    put(&store, &[document(2, 101)]).unwrap();
    assert!(files(directory, ".wal").iter().all(|log| log.with_extension("wal.damaged") != aside));
}

#[test]
fn a_log_of_another_version_is_set_aside() {
    let folder = tempdir().unwrap();
    let log = log_of(folder.path(), 3);
    let other = [b"xrayd wal v2\n\0\0\0".as_slice(), &[0xee; 3_000]].concat();
    std::fs::write(&log, other).unwrap();
    check_set_aside(folder.path(), &log, &[]);
}

#[test]
fn a_log_with_something_changed_is_kept_and_what_is_good_in_it_is_read() {
    for (at, left) in [(3, vec![0, 1, 2]), (60, vec![1, 2])] {
        let folder = tempdir().unwrap();
        let log = log_of(folder.path(), 3);
        let mut bytes = std::fs::read(&log).unwrap();
        bytes[at] ^= 0x55;
        std::fs::write(&log, bytes).unwrap();
        let left: Vec<_> = left.into_iter().map(|id| document(1, id)).collect();
        check_set_aside(folder.path(), &log, &left);
    }
}

#[test]
fn only_what_this_store_left_unfinished_is_swept() {
    let folder = tempdir().unwrap();
    let log = log_of(folder.path(), 1);
    let day = folder.path().join("date=2026-11-24");
    std::fs::create_dir(&day).unwrap();
    let others = [
        folder.path().join("download.partial"),
        day.join("movie.partial"),
        day.join("0000000000000001-0000000000000002.parquet.bak.partial"),
        log.with_file_name("mine.wal"),
        folder.path().join("date=2026-11-23"),
    ];
    let rubbish = [
        folder.path().join("account.json.partial"),
        day.join("0000000000000001-0000000000000002.parquet.partial"),
    ];
    for path in others.iter().chain(&rubbish) {
        std::fs::write(path, "x").unwrap();
    }
    // What cannot be swept stops nobody.
    std::fs::create_dir(day.join("0000000000000003-0000000000000003.parquet.partial")).unwrap();
    let store = World::new().open(settings(folder.path()));
    assert_eq!(texts(&store), [document(1, 0)]);
    seal(&store);
    let left: Vec<_> = others.iter().filter(|path| !path.exists()).collect();
    assert!(left.is_empty(), "gone: {left:?}");
    assert!(!rubbish.iter().any(|path| path.exists()));
}

#[test]
fn a_failure_is_forgotten_when_there_is_nothing_left_to_do() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    for id in 0..3 {
        put(&store, &[document(1, id)]).unwrap();
        seal(&store);
    }
    broken.blocks.store(true, SeqCst);
    // The blocks of a day that is over are compacted, and cannot be.
    world.advance(&store, 24 * HOUR);
    until(&store, || is_failing(&store, Doing::Compact));
    // All but one are gone: there is nothing to compact any more.
    let gone = store.shared.view.get().blocks[0].clone();
    store.shared.view.change(|view| view.blocks.truncate(1));
    assert_eq!(compaction::compact_once(&store.shared), Compacted::Nothing);
    assert!(!is_failing(&store, Doing::Compact));
    store.shared.failed(Doing::Delete, &std::io::Error::other("busy"));
    std::fs::remove_file(gone.block.path()).unwrap();
    compaction::delete(&store.shared, &gone);
    assert!(!is_failing(&store, Doing::Delete), "what is gone need not be deleted");
}

#[test]
fn a_damaged_block_is_no_failure_of_the_disk_and_its_documents_are_counted() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    put(&store, &[document(1, 1), document(2, 2)]).unwrap();
    seal(&store);
    for id in 3..5 {
        put(&store, &[document(id, id)]).unwrap();
        seal(&store);
    }
    let block = files(folder.path(), ".parquet").remove(0);
    let mut bytes = std::fs::read(&block).unwrap();
    let data = 4..bytes.len() / 4;
    bytes[data].fill(0xaa);
    std::fs::write(&block, bytes).unwrap();
    world.advance_closed(24 * HOUR);
    assert_eq!(compaction::compact_once(&store.shared), Compacted::Failed);
    until(&store, || store.status().damaged_documents == 2);
    assert!(!is_failing(&store, Doing::Compact));
    assert_eq!(texts(&store), [document(3, 3), document(4, 4)]);
    until(&store, || {
        let said = world.take_events();
        said.iter().any(|event| matches!(event, Event::BlockDamaged { documents: 2, .. }))
    });
}

#[test]
fn a_block_that_cannot_be_opened_now_is_neither_damaged_nor_replaced() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    for id in 0..3 {
        put(&store, &[document(1, id)]).unwrap();
        seal(&store);
    }
    let before = everything(&store);
    store.stop(MINUTE);
    drop(store);
    let block = files(folder.path(), ".parquet").remove(1);
    let hidden = folder.path().join("hidden");
    std::fs::rename(&block, &hidden).unwrap();
    // Opening a folder as a file fails, for whatever user this runs.
    std::fs::create_dir(&block).unwrap();
    let store = world.open(settings(folder.path()));
    let said = world.take_events();
    assert!(said.iter().any(|event| matches!(event, Event::BlockUnreadable { .. })), "{said:?}");
    assert!(!said.iter().any(|event| matches!(event, Event::BlockDamaged { .. })), "{said:?}");
    world.advance(&store, 24 * HOUR);
    assert_eq!(compaction::compact_once(&store.shared), Compacted::Nothing, "it lies between the two");
    store.stop(MINUTE);
    drop(store);
    std::fs::remove_dir(&block).unwrap();
    std::fs::rename(&hidden, &block).unwrap();
    assert_eq!(everything(&world.open(settings(folder.path()))), before);
}

#[test]
fn a_disk_that_does_not_answer_is_said_to() {
    for (doing, patience) in [(Doing::Log, 5), (Doing::Sync, 5), (Doing::Seal, 30)] {
        let (folder, world) = (tempdir().unwrap(), World::new());
        let (store, broken) = open(&world, settings(folder.path()));
        let _release = broken.hanging.set(doing);
        offer(&store, &[document(1, 1)]);
        world.advance(&store, Duration::from_secs(1));
        if doing == Doing::Seal {
            flush(&store);
            drop(store.seal_now());
        } else {
            drop(store.flush());
        }
        if doing == Doing::Sync {
            until(&store, || store.ledger().waiting == 0);
            world.advance(&store, Duration::from_secs(1));
            store.shared.dirty.wake();
        }
        broken.hanging.wait();
        let mut seconds = 0;
        while !is_failing(&store, doing) && seconds < 2 * patience {
            world.advance(&store, Duration::from_secs(1));
            seconds += 1;
        }
        // It began before, but not by more than this.
        assert!((patience - 1..=patience + 1).contains(&seconds), "{doing:?}: {seconds}");
        let text = format!("the disk has not answered for {} s", patience + 1);
        assert!(store.status().failing.contains(&(doing, text)));
        broken.hanging.release();
        until(&store, || store.status().failing.is_empty());
    }
}

#[test]
fn a_directory_that_was_deleted_is_noticed_and_nothing_is_said_to_be_stored_that_is_not() {
    for exchanged in [false, true] {
        let (folder, world) = (tempdir().unwrap(), World::new());
        let path = folder.path().join("store");
        let store = world.open(settings(&path));
        put(&store, &[document(1, 1)]).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        let other = exchanged.then(|| World::new().open(settings(&path)));
        world.advance(&store, Duration::from_secs(1));
        until(&store, || is_failing(&store, Doing::Log));
        put(&store, &[document(1, 2)]).unwrap();
        assert!(store.seal_now().blocking_recv().is_err());
        assert_eq!(texts(&store), [document(1, 1), document(1, 2)], "it goes on in memory");
        if let Some(other) = &other {
            put(other, &[document(2, 1)]).unwrap();
            assert_eq!((files(&path, ".wal").len(), files(&path, ".parquet").len()), (1, 0));
        } else {
            assert!(!path.exists(), "nothing is written there without a lock");
        }
        assert_eq!(store.stop(MINUTE), Stopped { in_time: true, unsealed: 0, unwritten: 2, waiting: 0 });
        assert!(store.ledger().dropped_by().any(|dropped| dropped == (DropReason::Disk, 2)));
        assert!(store.ledger().stored == 0 && store.ledger().balances());
    }
}

#[test]
fn a_directory_that_comes_back_is_used_again() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (path, away) = (folder.path().join("store"), folder.path().join("away"));
    let (store, broken) = open(&world, settings(&path));
    broken.blocks.store(true, SeqCst);
    for id in 0..2 {
        put(&store, &[document(1, id)]).unwrap();
        // The second goes to another file.
        broken.log.store(id == 0, SeqCst);
    }
    world.advance(&store, Duration::from_secs(1));
    flush(&store);
    std::fs::rename(&path, &away).unwrap();
    world.advance(&store, Duration::from_secs(2));
    until(&store, || is_failing(&store, Doing::Log));
    put(&store, &[document(1, 2)]).unwrap();
    std::fs::rename(&away, &path).unwrap();
    world.advance(&store, Duration::from_secs(1));
    until(&store, || !is_failing(&store, Doing::Log));
    let before = everything(&store);
    drop(store);
    assert_eq!(everything(&world.open(settings(&path))), before, "each is there once");
}
