//! How a store ends, also when the disk hangs.

use super::bad_disk::*;
use super::support::*;
use crate::store::ledger::DropReason;
use crate::store::{Doing, PutError, Stopped, Store};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::tempdir;

const MINUTE: Duration = Duration::from_secs(60);

/// Does something that must end when the time it has is over: the clock is moved until it does.
#[track_caller]
fn in_time<T: Send>(world: &World, store: &Store, action: impl FnOnce() -> T + Send) -> T {
    let shared = store.shared.clone();
    in_time_of(world, &shared, action)
}

#[track_caller]
fn in_time_of<T: Send>(
    world: &World,
    shared: &crate::store::shared::Shared,
    action: impl FnOnce() -> T + Send,
) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || sender.send(action()).unwrap());
        for _ in 0..400 {
            world.advance_closed(Duration::from_secs(1));
            shared.tell(|_| {});
            if let Ok(result) = receiver.recv_timeout(Duration::from_millis(50)) {
                return result;
            }
        }
        // The threads cannot be ended: without this the test would hang.
        std::process::abort();
    })
}

fn dropped(store: &Store, reason: DropReason) -> u64 {
    store.ledger().dropped_by().find(|(known, _)| *known == reason).unwrap().1
}

#[test]
fn a_disk_that_hangs_does_not_keep_a_stopped_store() {
    for doing in [Doing::Log, Doing::Sync, Doing::Seal] {
        let (folder, world) = (tempdir().unwrap(), World::new());
        let (store, broken) = open(&world, settings(folder.path()));
        put(&store, &[document(1, 1)]).unwrap();
        let _release = broken.hanging.set(doing);
        offer(&store, &[document(1, 2)]);
        let stopped = in_time(&world, &store, || store.stop(MINUTE));
        assert!(!stopped.in_time, "{doing:?}");
        broken.hanging.wait();
        let ledger = store.ledger();
        assert!(ledger.balances() && ledger.waiting == 0, "{doing:?} {ledger:?}");
        let shared = store.shared.clone();
        let before = world.now();
        in_time_of(&world, &shared, || drop(store));
        assert!(world.now() <= before + Duration::from_secs(1), "{doing:?}: it was waited for again");
    }
}

#[test]
fn a_disk_that_hangs_does_not_keep_a_store_that_is_dropped() {
    for doing in [Doing::Log, Doing::Sync] {
        let (folder, world) = (tempdir().unwrap(), World::new());
        let (store, broken) = open(&world, settings(folder.path()));
        let _release = broken.hanging.set(doing);
        offer(&store, &[document(1, 2)]);
        let shared = store.shared.clone();
        in_time_of(&world, &shared, || drop(store));
        broken.hanging.wait();
    }
}

#[test]
fn what_nobody_has_dealt_with_at_the_end_is_dropped() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    let _release = broken.hanging.set(Doing::Log);
    let first = store.put(crate::store::ledger::Transport::Http, [document(1, 1).as_slice()]).unwrap();
    broken.hanging.wait();
    let second = store.put(crate::store::ledger::Transport::Http, [document(1, 2).as_slice()]).unwrap();
    offer(&store, &[document(1, 3)]);
    let stopped = in_time(&world, &store, || store.stop(MINUTE));
    assert_eq!(stopped, Stopped { in_time: false, unsealed: 0, unwritten: 0, waiting: 3 });
    assert_eq!((dropped(&store, DropReason::Shutdown), store.ledger().waiting), (3, 0));
    assert_eq!(second.wait(), Err(PutError::Stopping));
    assert_eq!(store.stop(MINUTE), stopped, "the first call counts");
    broken.hanging.release();
    // The writer goes on, and nothing it does is counted twice.
    let _ = first.wait();
    assert!(store.ledger().balances() && store.ledger().stored == 0);
}

#[test]
fn what_is_in_memory_alone_at_the_end_is_dropped() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let (store, broken) = open(&world, settings(folder.path()));
    broken.log.store(true, SeqCst);
    broken.blocks.store(true, SeqCst);
    put(&store, &[document(1, 1), document(1, 2)]).unwrap();
    assert_eq!(store.ledger().stored, 2);
    assert_eq!(store.stop(MINUTE), Stopped { in_time: true, unsealed: 0, unwritten: 2, waiting: 0 });
    assert_eq!((store.ledger().stored, dropped(&store, DropReason::Disk)), (0, 2));
    assert!(store.ledger().balances());
}

#[test]
fn the_end_is_one_more_try_for_the_disk() {
    for blocks_work in [true, false] {
        let (folder, world) = (tempdir().unwrap(), World::new());
        let (store, broken) = open(&world, settings(folder.path()));
        broken.log.store(true, SeqCst);
        broken.blocks.store(true, SeqCst);
        put(&store, &[document(1, 1)]).unwrap();
        assert!(store.seal_now().blocking_recv().is_err());
        put(&store, &[document(1, 2)]).unwrap();
        broken.log.store(false, SeqCst);
        broken.blocks.store(!blocks_work, SeqCst);
        // No time has passed: but for the end nobody would try yet.
        let unsealed = if blocks_work { 0 } else { 2 };
        assert_eq!(store.stop(MINUTE), Stopped { in_time: true, unsealed, unwritten: 0, waiting: 0 });
        assert_eq!(store.ledger().stored, 2);
        drop(store);
        assert_eq!(texts(&world.open(settings(folder.path()))), [document(1, 1), document(1, 2)]);
    }
}
