//! A disk that does not do what it should, and files that are not what was written.

use super::bad_disk::*;
use super::support::*;
use crate::store::ledger::DropReason;
use crate::store::{Doing, Event, PutError, Settings, Stopped, Store};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tempfile::tempdir;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn while_the_log_cannot_be_written_documents_are_in_memory_and_are_written_when_it_can() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    put(&store, &[document(1, 1)]).unwrap();
    broken.log.store(true, SeqCst);
    put(&store, &[document(1, 2)]).unwrap();
    put(&store, &[document(1, 3)]).unwrap();
    assert!(is_failing(&store, Doing::Log));
    assert_eq!(texts(&store), [document(1, 1), document(1, 2), document(1, 3)]);
    broken.log.store(false, SeqCst);
    put(&store, &[document(1, 4)]).unwrap();
    assert!(is_failing(&store, Doing::Log), "the disk is left alone for a second");
    world.advance(&store, Duration::from_secs(1));
    until(&store, || !is_failing(&store, Doing::Log));
    assert_eq!(files(folder.path(), ".wal").len(), 2, "nobody had to come for that");
    put(&store, &[document(1, 5)]).unwrap();
    let events = world.take_events();
    let failed = events.iter().filter(|event| matches!(event, Event::DiskFailed { .. })).count();
    assert_eq!(failed, 1, "it is said once: {events:?}");
    assert!(events.contains(&Event::DiskRecovered { doing: Doing::Log }));
    assert!(store.ledger().balances());
    let before = everything(&store);
    let image = tempdir().unwrap();
    copy(folder.path(), image.path());
    let after = World::new().open(settings(image.path()));
    assert_eq!(everything(&after), before, "also when it ends right now");
    drop(store);
    let store = world.open(settings(folder.path()));
    assert_eq!(everything(&store), before);
}

#[test]
fn a_disk_that_works_again_is_said_to_also_when_nothing_is_left_to_write() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, Settings { durable: true, ..settings(folder.path()) });
    broken.log.store(true, SeqCst);
    assert_eq!(put(&store, &[document(1, 1)]), Err(PutError::Disk));
    broken.log.store(false, SeqCst);
    world.advance(&store, Duration::from_secs(1));
    until(&store, || world.take_events().contains(&Event::DiskRecovered { doing: Doing::Log }));
    assert!(!is_failing(&store, Doing::Log));
}

#[test]
fn what_was_frozen_in_memory_alone_is_logged_when_the_log_works_and_blocks_do_not() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    broken.blocks.store(true, SeqCst);
    put(&store, &[document(1, 1)]).unwrap();
    broken.log.store(true, SeqCst);
    put(&store, &[document(1, 2)]).unwrap();
    assert!(store.seal_now().blocking_recv().is_err());
    put(&store, &[document(1, 3)]).unwrap();
    broken.log.store(false, SeqCst);
    world.advance(&store, Duration::from_secs(1));
    until(&store, || !is_failing(&store, Doing::Log));
    put(&store, &[document(1, 4)]).unwrap();
    let before = everything(&store);
    drop(store);
    assert_eq!(everything(&world.open(settings(folder.path()))), before);
}

#[test]
fn a_full_disk_does_not_get_a_file_with_each_try() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    put(&store, &[document(1, 1)]).unwrap();
    broken.append.store(true, SeqCst);
    for id in 2..6 {
        put(&store, &[document(1, id)]).unwrap();
        assert!(is_failing(&store, Doing::Log));
        world.advance(&store, Duration::from_secs(1));
    }
    flush(&store);
    until(&store, || files(folder.path(), ".wal").len() == 1);
    broken.append.store(false, SeqCst);
    world.advance(&store, Duration::from_secs(1));
    until(&store, || !is_failing(&store, Doing::Log));
    drop(store);
    assert_eq!(texts(&world.open(settings(folder.path()))).len(), 5);
}

#[test]
fn what_is_dropped_is_not_written_to_the_log() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let small = Settings { generation_bytes: 10_000, ..settings(folder.path()) };
    let (store, broken) = open(&world, small.clone());
    broken.blocks.store(true, SeqCst);
    let mut stored = Vec::new();
    for id in 0..200 {
        if put(&store, &[document(1, id)]).is_ok() {
            stored.push(document(1, id));
        }
    }
    let bytes =
        |path: &Path| files(path, ".wal").iter().map(|log| log.metadata().unwrap().len()).sum::<u64>();
    let before = bytes(folder.path());
    for id in 200..300 {
        assert_eq!(put(&store, &[document(1, id)]), Err(PutError::Disk));
    }
    assert_eq!(bytes(folder.path()), before, "the log has an end");
    drop(store);
    // Neither does it grow with each start.
    let (store, broken) = open(&world, small);
    broken.blocks.store(true, SeqCst);
    until(&store, || store.ledger().recovered == stored.len() as u64);
    assert_eq!(texts(&store), stored);
}

#[test]
fn the_log_does_not_push_out_blocks_beyond_its_part() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    put(&store, &[document(1, 1)]).unwrap();
    seal(&store);
    let block = store.status().bytes;
    store.stop(MINUTE);
    drop(store);
    let tight = Settings { max_bytes: block * 8 / 7 + 8, ..settings(folder.path()) };
    drop(broken);
    let (store, broken) = open(&world, tight);
    broken.blocks.store(true, SeqCst);
    let mut state = 1_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    let noise: String = (0..5_000).map(|_| noise()).collect();
    put(&store, &[document_with(1, 2, &format!(r#","metadata":"{noise}""#))]).unwrap();
    assert!(store.status().bytes > block * 8 / 7 + 8);
    world.advance(&store, 2 * MINUTE);
    let looked = || store.shared.looks.load(SeqCst);
    let before = looked();
    world.advance(&store, 2 * MINUTE);
    until(&store, || looked() > before);
    assert_eq!((store.status().blocks, store.status().expired), (1, 0));
}

#[test]
fn a_log_larger_than_memory_should_be_becomes_blocks_while_it_is_read() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    let all: Vec<_> = (0..300).map(|id| document(id, id)).collect();
    all.chunks(10).for_each(|some| drop(put(&store, some)));
    let before = everything(&store);
    drop(store);
    let image = tempdir().unwrap();
    copy(folder.path(), image.path());
    let small = |path: &Path| Settings { generation_bytes: 10_000, ..settings(path) };
    let folder_alone = crate::store::folder::Folder::lock(folder.path()).unwrap();
    let crate::store::folder::Lock::Ours(opened) = folder_alone else { panic!("it is in use") };
    let recovered =
        crate::store::recovery::recover(&opened, &crate::store::Listener::none(), 10_000).unwrap();
    assert!(
        recovered.view.blocks.len() > 5 && recovered.view.frozen.len() <= 4,
        "{:?}",
        recovered.view.blocks.len()
    );
    assert_eq!(recovered.documents, 300);
    drop((recovered, opened));
    let store = world.open(small(folder.path()));
    assert_eq!(everything(&store), before);
    until(&store, || files(folder.path(), ".wal").is_empty());
    // Where no block can be written, there is an end to what is kept in memory.
    std::fs::write(image.path().join("date=2026-11-25"), "").unwrap();
    let opened = Store::open(small(image.path()), world.clock.clone(), crate::store::Listener::none());
    let error = opened.unwrap_err();
    assert!(crate::store::event::chain(&error).contains("cannot be made into blocks"), "{error:?}");
    assert_eq!(files(image.path(), ".wal").len(), 1, "nothing is lost");
}

#[test]
fn a_small_document_does_not_hold_what_came_with_it() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    let refused = vec![b'x'; 60_000];
    let odd = document_with(1, 2, r#","metadata":NaN"#);
    put(&store, &[document(1, 1), refused, odd]).unwrap();
    let many: Vec<_> = (10..20).map(|id| document(1, id)).collect();
    put(&store, &many).unwrap();
    let kept = store.shared.view.get().active.snapshot();
    let has_its_own = |id: u64| {
        let kept = kept.iter().find(|kept| kept.record.id.0 == id).unwrap();
        kept.received().is_unique()
    };
    assert!(has_its_own(1) && has_its_own(2));
    assert!(!has_its_own(10), "what is kept as a whole is not copied");
}

#[test]
fn what_was_written_by_half_does_not_hide_what_comes_behind_it() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    broken.blocks.store(true, SeqCst);
    put(&store, &[document(1, 1)]).unwrap();
    broken.log.store(true, SeqCst);
    put(&store, &[document(1, 2)]).unwrap();
    broken.log.store(false, SeqCst);
    world.advance(&store, Duration::from_secs(1));
    put(&store, &[document(1, 3)]).unwrap();
    drop(store);
    let store = world.open(settings(folder.path()));
    assert_eq!(texts(&store), [document(1, 1), document(1, 2), document(1, 3)]);
}

#[test]
fn what_there_is_neither_disk_nor_memory_for_is_dropped_and_counted() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, Settings { generation_bytes: 10_000, ..settings(folder.path()) });
    broken.blocks.store(true, SeqCst);
    broken.log.store(true, SeqCst);
    let mut stored = Vec::new();
    let mut lost = 0;
    for id in 0..100 {
        match put(&store, &[document(1, id)]) {
            Ok(_) => stored.push(document(1, id)),
            Err(error) => {
                assert_eq!(error, PutError::Disk);
                lost += 1;
            }
        }
    }
    assert!(lost > 0 && stored.len() > 20, "{lost}");
    assert_eq!(texts(&store), stored);
    let ledger = store.ledger();
    assert!(ledger.dropped_by().any(|dropped| dropped == (DropReason::Disk, lost)) && ledger.balances());
    broken.blocks.store(false, SeqCst);
    broken.log.store(false, SeqCst);
    world.advance(&store, Duration::from_secs(5));
    until(&store, || !is_failing(&store, Doing::Seal));
    put(&store, &[document(1, 1_000)]).unwrap();
    stored.push(document(1, 1_000));
    assert_eq!(store.stop(MINUTE), Stopped { in_time: true, unsealed: 0, unwritten: 0, waiting: 0 });
    drop(store);
    assert_eq!(texts(&world.open(settings(folder.path()))), stored);
}

#[test]
fn a_durable_store_does_not_say_yes_before_the_disk_does() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, Settings { durable: true, ..settings(folder.path()) });
    broken.sync.store(true, SeqCst);
    assert_eq!(put(&store, &[document(1, 1)]), Err(PutError::Disk));
    offer(&store, &[document(1, 2)]);
    flush(&store);
    assert_eq!(texts(&store), [document(1, 2)], "who sends datagrams cannot be told");
    broken.sync.store(false, SeqCst);
    world.advance(&store, Duration::from_secs(1));
    put(&store, &[document(1, 3)]).unwrap();
    assert_eq!(texts(&store), [document(1, 2), document(1, 3)]);
    assert!(store.ledger().balances());
    broken.sync.store(true, SeqCst);
    assert_eq!(put(&store, &[document(1, 4)]), Err(PutError::Disk));
    broken.blocks.store(true, SeqCst);
    broken.sync.store(false, SeqCst);
    drop(store);
    let store = world.open(settings(folder.path()));
    assert_eq!(texts(&store), [document(1, 2), document(1, 3)], "what was refused does not come back");
}

#[test]
fn a_store_that_cannot_seal_says_what_is_in_the_log_alone_when_it_stops() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    broken.blocks.store(true, SeqCst);
    put(&store, &[document(1, 1)]).unwrap();
    assert!(store.seal_now().blocking_recv().is_err());
    broken.log.store(true, SeqCst);
    put(&store, &[document(1, 2), document(1, 3)]).unwrap();
    assert_eq!(store.stop(MINUTE), Stopped { in_time: true, unsealed: 1, unwritten: 2, waiting: 0 });
    drop(store);
    let store = world.open(settings(folder.path()));
    assert_eq!(texts(&store), [document(1, 1)]);
}

/// The files of a store with a block of two documents, one of one, and one document in the log.
fn three_files(directory: &Path) {
    let world = World::new();
    let store = world.open(settings(directory));
    put(&store, &[document(1, 1), document(2, 2)]).unwrap();
    seal(&store);
    put(&store, &[document(3, 3)]).unwrap();
    seal(&store);
    put(&store, &[document(4, 4)]).unwrap();
}

#[test]
fn a_block_that_was_cut_is_set_aside_and_the_others_answer() {
    let folder = tempdir().unwrap();
    three_files(folder.path());
    let block = files(folder.path(), ".parquet").remove(0);
    let length = block.metadata().unwrap().len();
    for cut in [0, 1, length / 2, length - 1] {
        let copied = tempdir().unwrap();
        copy(folder.path(), copied.path());
        let block = copied.path().join(block.strip_prefix(folder.path()).unwrap());
        std::fs::File::options().write(true).open(&block).unwrap().set_len(cut).unwrap();
        let world = World::new();
        let store = world.open(settings(copied.path()));
        assert_eq!(texts(&store), [document(3, 3), document(4, 4)], "{cut}");
        let events = world.take_events();
        let name = block.strip_prefix(copied.path()).unwrap().to_str().unwrap().to_owned();
        let aside = format!("{name}.damaged");
        assert!(
            events.iter().any(|event| matches!(event, Event::BlockDamaged { file, set_aside, .. }
                if *file == name && set_aside.as_ref() == Some(&aside))),
            "{events:?}"
        );
        assert!(!block.exists() && copied.path().join(aside).exists());
        put(&store, &[document(5, 5)]).unwrap();
        assert_eq!(everything(&store).last().unwrap().0, 5, "no sequence is given twice");
    }
}

#[test]
fn a_block_that_is_damaged_while_it_is_in_use_is_set_aside_when_that_is_seen() {
    let folder = tempdir().unwrap();
    three_files(folder.path());
    let world = World::new();
    let store = world.open(settings(folder.path()));
    until(&store, || store.status().blocks == 3);
    let block = files(folder.path(), ".parquet").remove(0);
    let mut bytes = std::fs::read(&block).unwrap();
    // The footer, which has been read, stays as it is.
    let data = 4..bytes.len() / 4;
    bytes[data].fill(0xaa);
    std::fs::write(&block, bytes).unwrap();
    let left = rows(&store);
    assert!(left.len() < 4 && left.iter().any(|row| row.0 == trace_id(4)), "{left:?}");
    until(&store, || store.status().blocks == 2);
    assert_eq!(texts(&store), [document(3, 3), document(4, 4)]);
    until(&store, || world.take_events().iter().any(|event| matches!(event, Event::BlockDamaged { .. })));
    assert_eq!(files(folder.path(), ".damaged").len(), 1);
}

#[test]
fn a_log_cut_anywhere_gives_what_is_whole_and_says_how_much_is_not() {
    let folder = tempdir().unwrap();
    let world = World::new();
    let store = world.open(settings(folder.path()));
    let log = || files(folder.path(), ".wal").remove(0);
    let mut lengths = vec![16];
    for id in 0..3 {
        put(&store, &[document(1, id)]).unwrap();
        lengths.push(log().metadata().unwrap().len());
    }
    let image = tempdir().unwrap();
    copy(folder.path(), image.path());
    for length in 0..=*lengths.last().unwrap() {
        if length % 7 > 1 && !lengths.contains(&length) {
            continue;
        }
        let copied = tempdir().unwrap();
        copy(image.path(), copied.path());
        let log = files(copied.path(), ".wal").remove(0);
        std::fs::File::options().write(true).open(&log).unwrap().set_len(length).unwrap();
        let world = World::new();
        let store = world.open(settings(copied.path()));
        let whole = lengths.iter().filter(|&&end| end <= length).count().saturating_sub(1);
        let expected: Vec<_> = (0..whole as u64).map(|id| document(1, id)).collect();
        assert_eq!(texts(&store), expected, "{length}");
        let damaged = world
            .take_events()
            .iter()
            .any(|event| matches!(event, Event::LogDamaged { torn_bytes, .. } if *torn_bytes > 0));
        assert_eq!(damaged, length > 0 && !lengths.contains(&length), "{length}");
    }
}

#[test]
fn rubbish_is_swept_and_the_files_of_others_are_left_alone() {
    let folder = tempdir().unwrap();
    three_files(folder.path());
    let day = folder.path().join("date=2026-11-25");
    let others = [day.join("mine.parquet"), folder.path().join("notes.txt"), folder.path().join("date=x")];
    let rubbish = [
        day.join("0000000000000009-0000000000000009.parquet.partial"),
        folder.path().join("account.json.partial"),
    ];
    for path in others.iter().chain(&rubbish) {
        std::fs::write(path, "x").unwrap();
    }
    let world = World::new();
    let store = world.open(settings(folder.path()));
    assert_eq!(everything(&store).len(), 4);
    assert!(others.iter().all(|path| path.exists()) && !rubbish.iter().any(|path| path.exists()));
}
