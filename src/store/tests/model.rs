//! A store beside a list of documents: after any steps both say the same.

use super::support::*;
use crate::store::{Settings, Store, compaction};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const RETENTION: Duration = Duration::from_secs(60 * 3600);

/// A block goes when its last document is too old; none holds more than a day.
const SLACK: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone)]
enum Step {
    /// Offers documents of these traces, a bad one among them.
    Offer(Vec<u64>),
    /// Puts documents of these traces.
    Put(Vec<u64>),
    /// Sends the first document once more.
    Again,
    Seal,
    Compact,
    /// Stops and opens again.
    Reopen,
    /// Opens what is on disk now, and leaves the rest.
    Crash,
    Minutes(u64),
    Days,
    SetBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let traces = || proptest::collection::vec(0_u64..6, 1..8);
    let step = prop_oneof![
        4 => traces().prop_map(Step::Offer),
        4 => traces().prop_map(Step::Put),
        1 => Just(Step::Again),
        4 => Just(Step::Seal),
        2 => Just(Step::Compact),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        2 => (1_u64..200).prop_map(Step::Minutes),
        1 => Just(Step::Days),
        1 => Just(Step::SetBack),
    ];
    proptest::collection::vec(step, 1..40)
}

struct Tried {
    world: World,
    folder: TempDir,
    store: Store,
    /// What must be found, in the order of receipt: when it was received, and the document.
    model: Vec<(u64, Vec<u8>)>,
    next_id: u64,
}

fn open(world: &World, path: &Path) -> Store {
    world.open(Settings { retention: RETENTION, generation_bytes: 30_000, ..settings(path) })
}

impl Tried {
    fn new() -> Self {
        let (world, folder) = (World::new(), tempdir().unwrap());
        let store = open(&world, folder.path());
        Self { world, folder, store, model: Vec::new(), next_id: 0 }
    }

    fn documents(&mut self, traces: &[u64]) -> Vec<Vec<u8>> {
        let begin = self.next_id;
        self.next_id += traces.len() as u64;
        (begin..).zip(traces).map(|(id, trace)| document(*trace, id)).collect()
    }

    fn expect(&mut self, documents: Vec<Vec<u8>>) {
        let now = self.store.shared.clock.wall_micros();
        self.model.extend(documents.into_iter().map(|document| (now, document)));
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Offer(traces) => {
                let documents = self.documents(traces);
                offer(&self.store, &documents);
                offer(&self.store, &[b"{\"id\":1}".to_vec()]);
                self.expect(documents);
            }
            Step::Put(traces) => {
                let documents = self.documents(traces);
                put(&self.store, &documents).unwrap();
                self.expect(documents);
            }
            Step::Again => {
                if let Some((_, first)) = self.model.first().cloned() {
                    put(&self.store, std::slice::from_ref(&first)).unwrap();
                    self.expect(vec![first]);
                }
            }
            Step::Seal => seal(&self.store),
            Step::Compact => drop(compaction::compact_once(&self.store.shared)),
            Step::Reopen => {
                assert!(self.store.stop(Duration::from_secs(3600)).in_time);
                self.reopen_copy();
            }
            Step::Crash => {
                flush(&self.store);
                self.reopen_copy();
            }
            Step::Minutes(minutes) => self.world.advance(&self.store, Duration::from_secs(minutes * 60)),
            Step::Days => self.world.advance(&self.store, RETENTION / 2),
            Step::SetBack => {
                // What was offered has its time.
                flush(&self.store);
                self.world.set_back(Duration::from_secs(600));
            }
        }
    }

    /// Of a store that is not writing at the moment; but its blocks may be compacted meanwhile.
    fn reopen_copy(&mut self) {
        let folder = tempdir().unwrap();
        {
            let _alone = self.store.shared.compacting.lock().unwrap();
            until(&self.store, || self.store.shared.view.get().frozen.is_empty());
            until(&self.store, || files(self.folder.path(), ".wal").len() <= 1);
            copy(self.folder.path(), folder.path());
        }
        self.store = open(&self.world, folder.path());
        self.folder = folder;
    }

    /// What is young enough is there, each as often as it was sent, and nothing that was not sent. Once all that is due has
    /// gone, nothing is there that is too old for any block.
    fn check(&self, all_gone: bool) {
        flush(&self.store);
        let now = self.store.shared.clock.wall_micros();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap();
        let found = everything(&self.store);
        let found: Vec<_> = found.into_iter().map(|(_, received, document)| (received, document)).collect();
        let keep_since = now.saturating_sub(micros(RETENTION));
        let expected: Vec<_> = self.model.iter().filter(|one| one.0 >= keep_since).cloned().collect();
        let young: Vec<_> = found.iter().filter(|one| one.0 >= keep_since).cloned().collect();
        assert_eq!(young, expected);
        let gone_before = keep_since.saturating_sub(micros(SLACK + 2 * HOUR));
        let mut model = self.model.iter();
        for one in &found {
            assert!(model.any(|known| known == one), "nobody has sent {one:?}");
            assert!(!all_gone || one.0 >= gone_before, "{one:?} should be gone at {now}");
        }
        assert!(self.store.ledger().balances());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn property_a_store_is_a_list_of_documents(steps in steps()) {
        let mut tried = Tried::new();
        for step in &steps {
            tried.step(step);
            tried.check(false);
        }
        // What is due to go goes when somebody looks, which is once a minute.
        tried.world.advance(&tried.store, Duration::from_secs(61));
        flush(&tried.store);
        let store = &tried.store;
        let keep_since = store.shared.clock.wall_micros() - u64::try_from(RETENTION.as_micros()).unwrap();
        until(store, || {
            store.shared.view.get().blocks.iter().all(|part| {
                part.block.summary().receipts.is_some_and(|(_, last)| crate::store::clock::micros(last) >= keep_since)
            })
        });
        tried.check(true);
    }
}
