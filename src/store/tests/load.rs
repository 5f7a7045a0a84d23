//! Many threads at once.

use super::support::*;
use crate::query::Source;
use crate::store::{Listener, Settings, Store, SystemClock, compaction};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use tempfile::tempdir;

const TRACES: u64 = 5;

/// A store with the host's clock that seals all the time.
fn busy_store(directory: &std::path::Path) -> Store {
    let settings = Settings { generation_bytes: 30_000, ..settings(directory) };
    Store::open(settings, Arc::new(SystemClock::default()), Listener::none()).unwrap()
}

/// Each document there is an answer for is seen by whoever looks from then on, and none is seen twice, while generations
/// are sealed and blocks compacted all the time.
#[test]
fn every_reader_sees_each_document_exactly_once() {
    let folder = tempdir().unwrap();
    let store = busy_store(folder.path());
    let (stored, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let looks = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for batch in 0..150 {
                let ids = batch * 10..(batch + 1) * 10;
                let documents: Vec<_> = ids.map(|id| document(id % TRACES, id)).collect();
                put(&store, &documents).unwrap();
                stored.fetch_add(10, SeqCst);
            }
            ended.store(true, SeqCst);
        });
        scope.spawn(|| {
            while !ended.load(SeqCst) {
                compaction::compact_once(&store.shared);
            }
        });
        scope.spawn(|| {
            // What is wrong between two steps is so for less than a microsecond; only who looks all the time sees that.
            let mut least = 0;
            while !ended.load(SeqCst) {
                let view = store.shared.view.get();
                let rows: u64 = view.blocks.iter().map(|part| part.block.summary().rows).sum();
                let all = rows + view.generations().map(|generation| generation.documents()).sum::<u64>();
                assert!(all >= least, "{all} of {least} documents are left");
                assert!(all <= stored.load(SeqCst) + 10, "{all} documents are more than there are");
                least = all;
            }
        });
        scope.spawn(|| {
            while !ended.load(SeqCst) {
                let before = stored.load(SeqCst);
                let ids: Vec<_> = rows(&store).into_iter().map(|(_, id, _)| id).collect();
                check_seen(&ids, before);
                looks.fetch_add(1, SeqCst);
            }
        });
        scope.spawn(|| {
            let traces: Vec<_> = (0..TRACES).map(trace_id).collect();
            while !ended.load(SeqCst) {
                let before = stored.load(SeqCst);
                let documents = store.documents(&traces).unwrap();
                // Ids and sequences rise together here, one behind the other.
                let ids: Vec<_> = documents.iter().flatten().map(|stored| stored.sequence - 1).collect();
                check_seen(&ids, before);
                looks.fetch_add(1, SeqCst);
            }
        });
    });
    assert!(looks.load(SeqCst) > 10 && store.status().blocks > 0);
    assert_eq!(everything(&store).len(), 1_500);
}

#[track_caller]
fn check_seen(ids: &[u64], at_least: u64) {
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "a document was seen twice");
    let missing: Vec<_> = (0..at_least).filter(|id| !unique.contains(id)).collect();
    assert!(missing.is_empty(), "not seen: {missing:?}");
}

#[test]
fn the_ledger_adds_up_at_every_moment() {
    let folder = tempdir().unwrap();
    let settings = Settings { intake_bytes: 60_000, generation_bytes: 50_000, ..settings(folder.path()) };
    let store = Store::open(settings, Arc::new(SystemClock::default()), Listener::none()).unwrap();
    let ended = AtomicBool::new(false);
    let offered = AtomicU64::new(0);
    thread::scope(|scope| {
        let senders = [0, 1].map(|sender| {
            let (store, offered) = (&store, &offered);
            scope.spawn(move || {
                for id in 0..400_u64 {
                    let good = document(id, id);
                    offer(store, &[good.clone(), b"{}".to_vec(), good.clone()]);
                    store.offer_datagrams([&b"x"[..]].into_iter(), |_| {});
                    offered.fetch_add(4, SeqCst);
                    if sender == 1 && put(store, &[good, b"[]".to_vec()]).is_ok() {
                        offered.fetch_add(2, SeqCst);
                    }
                }
            })
        });
        scope.spawn(|| {
            while !ended.load(SeqCst) {
                let ledger = store.ledger();
                assert!(ledger.balances(), "{ledger:?}");
            }
        });
        for sender in senders {
            sender.join().unwrap();
        }
        ended.store(true, SeqCst);
    });
    assert!(store.stop(Duration::from_secs(60)).in_time);
    let ledger = store.ledger();
    assert!(ledger.balances() && ledger.waiting == 0);
    assert_eq!(ledger.received_total(), offered.load(SeqCst));
    assert_eq!(store.status().documents, ledger.stored);
}

/// With the host's clock nothing has to be pushed: what is offered is stored within a second.
#[test]
fn datagrams_are_stored_soon_by_themselves() {
    let folder = tempdir().unwrap();
    let store = busy_store(folder.path());
    let mut tail = store.subscribe();
    let began = std::time::Instant::now();
    offer(&store, &[document(1, 1)]);
    assert_eq!(tail.blocking_recv().unwrap(), trace_id(1));
    // A busy machine needs more than the 50 ms it takes.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
