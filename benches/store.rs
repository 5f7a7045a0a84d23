//! The store, part by part: reading documents, taking them in, blocks, folds over all of them, single traces, opening.
//!
//! `XRAYD_BENCH_SEGMENTS` says how many segments the store has that is read; 1,000,000 are worth a look by hand.

#[path = "local/traces.rs"]
mod traces;

mod support;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::cell::RefCell;
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::SIZES;
use tempfile::TempDir;
use traces::{SEGMENTS as SEGMENTS_OF_A_TRACE, Traces};
use xrayd::config::Environment;
use xrayd::query::filter::{Expression, NoGroups};
use xrayd::query::graph::Graph;
use xrayd::query::search::{NEVER, Search, search};
use xrayd::query::{By, Columns, Record, Row, Source, Stored, TraceId, Window};
use xrayd::store::block::{self, Block};
use xrayd::store::kept::Kept;
use xrayd::store::ledger::Transport;
use xrayd::store::merge;
use xrayd::store::{Listener, Place, Settings, Store, SystemClock};

/// Segments of the store that is read, unless something else is asked for: few enough for a test.
const SEGMENTS: u64 = 50_000;

/// Datagrams the receive thread takes in one pass, and passes of one iteration.
const PASS: usize = 64;
const PASSES: usize = 64;

/// Segments of a block that is written: about what the head has when it is sealed.
const BLOCK_SEGMENTS: u64 = 10_000;

/// Blocks that become one.
const BLOCKS: u64 = 8;

/// Traces are fetched in so many different fives.
const FIVES: u64 = 64;

/// Traces of a page of GetTraceSummaries.
const PAGE: u64 = 200;

const PATIENCE: Duration = Duration::from_secs(600);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn open(folder: &Path) -> Store {
    let settings = Settings::new(Place::Directory(folder.to_owned()));
    Store::open(settings, Arc::new(SystemClock::default()), Listener::none()).expect("the store opens")
}

/// A store with many segments, sealed.
struct Large {
    folder: TempDir,
    traces: Traces,
    store: Store,
}

/// Made when the first bench needs it.
fn large() -> &'static Large {
    static LARGE: OnceLock<Large> = OnceLock::new();
    LARGE.get_or_init(|| {
        let asked = Environment::of_process().get("XRAYD_BENCH_SEGMENTS").map(str::to_owned);
        let segments = asked.map_or(SEGMENTS, |text| text.parse().expect("XRAYD_BENCH_SEGMENTS is a number"));
        let traces = Traces::new(segments, now(), 3_600, 0);
        let folder = tempfile::tempdir().expect("there is a place for files");
        let store = open(folder.path());
        let numbers: Vec<_> = (0..traces.segments()).collect();
        for numbers in numbers.chunks(10_000) {
            let documents: Vec<_> = numbers.iter().map(|number| traces.document(*number)).collect();
            let put =
                store.put(Transport::Import, documents.iter().map(Vec::as_slice)).expect("there is room");
            put.wait().expect("the disk works");
        }
        store.seal_now().blocking_recv().expect("the disk works");
        Large { folder, traces, store }
    })
}

impl Large {
    fn throughput(&self) -> Throughput {
        Throughput::Elements(self.traces.segments())
    }

    fn window(&self, by: By) -> Window {
        let (from, until) = self.traces.seconds();
        Window { by, from: from as f64, until: until as f64 + 3_600.0 }
    }
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store/Record::read");
    for (size, bytes) in SIZES {
        let documents = support::documents(PASS, bytes);
        group.throughput(support::throughput(&documents));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                for document in &documents {
                    black_box(Record::read(document.as_bytes(), 1, 1.0).expect("it is a segment"));
                }
            });
        });
    }
    group.finish();
}

/// From datagrams in memory until all can be read and are in the log. What becomes blocks meanwhile costs too.
fn ingest(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is a place for files");
    let store = open(folder.path());
    let count = (PASS * PASSES) as u64;
    let mut group = criterion.benchmark_group("store/ingest, 64 datagrams a pass");
    group.throughput(Throughput::Elements(count));
    group.bench_function(BenchmarkId::from_parameter("1.3 KB"), |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for seed in 0..iterations {
                let traces = Traces::new(count, now(), 60, seed + 1);
                let header = support::HEADER.as_bytes();
                let datagrams: Vec<_> = (0..traces.segments())
                    .map(|number| [header, &traces.document(number)].concat())
                    .collect();
                let began = Instant::now();
                for pass in datagrams.chunks(PASS) {
                    store.offer_datagrams(pass.iter().map(Vec::as_slice), |error| panic!("{error}"));
                }
                store.flush().blocking_recv().expect("the store goes on");
                took += began.elapsed();
            }
            took
        });
    });
    group.finish();
    let ledger = store.ledger();
    assert_eq!(ledger.stored, ledger.received_total(), "{ledger:?}");
    assert!(store.stop(PATIENCE).in_time);
}

fn kept(traces: &Traces, numbers: std::ops::Range<u64>) -> Vec<Kept> {
    let read = |number| {
        let document = Bytes::from(traces.document(number));
        let (record, _) = Record::read(&document, number, now() as f64).expect("it is a segment");
        Kept { record, document, raw: None }
    };
    let mut rows: Vec<_> = numbers.map(read).collect();
    rows.sort_by_key(Kept::key);
    rows
}

fn blocks(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is a place for files");
    let path = |name: &str| folder.path().join(name);
    let traces = Traces::new(BLOCKS * BLOCK_SEGMENTS, now(), 3_600, 0);
    let rows = kept(&traces, 0..BLOCK_SEGMENTS);
    let mut group = criterion.benchmark_group("store/blocks");
    group.sample_size(10);
    group.throughput(Throughput::Elements(BLOCK_SEGMENTS));
    group.bench_function("write", |bencher| {
        bencher.iter(|| block::write(&path("one"), &rows).expect("the disk works"));
    });
    let inputs: Vec<_> = (0..BLOCKS)
        .map(|at| {
            let path = path(&at.to_string());
            let rows = kept(&traces, at * BLOCK_SEGMENTS..(at + 1) * BLOCK_SEGMENTS);
            block::write(&path, &rows).expect("the disk works");
            Block::open(&path).expect("it was just written")
        })
        .collect();
    let inputs: Vec<_> = inputs.iter().collect();
    group.throughput(Throughput::Elements(traces.segments()));
    group.bench_function("compact 8", |bencher| {
        bencher.iter(|| merge::compact(&inputs, &path("all")).expect("the disk works"));
    });
    group.finish();
}

/// Goes through everything there is with no more than these columns.
fn rows_of(large: &Large, columns: Columns) -> usize {
    let each = |rows: &mut usize, all: &[Row<'_>]| *rows += all.len();
    let folded = large.store.fold(&large.window(By::Start), columns, &|| 0, &each);
    folded.unwrap_or_default().into_iter().sum()
}

fn folds(criterion: &mut Criterion) {
    let large = large();
    let mut group = criterion.benchmark_group("store/fold");
    group.sample_size(10);
    group.throughput(large.throughput());
    for (name, columns) in [("no columns", Columns::NONE), ("annotations", Columns::ANNOTATIONS)] {
        group.bench_function(name, |bencher| bencher.iter(|| rows_of(large, columns)));
        assert_eq!(rows_of(large, columns) as u64, large.traces.segments());
    }
    let graph = || {
        let each = |graph: &mut Graph, rows: &[Row<'_>]| graph.add(rows);
        let parts = large.store.fold(&large.window(By::Received), Graph::COLUMNS, &Graph::default, &each);
        let mut whole = Graph::default();
        parts.unwrap_or_default().iter().for_each(|part| whole.merge(part));
        whole.service_graph().services.len()
    };
    group.bench_function("the service graph", |bencher| bencher.iter(graph));
    // Four services, a client, a table, a database and a bank.
    assert_eq!(graph(), 8);
    group.finish();
}

fn searches(criterion: &mut Criterion) {
    let large = large();
    let mut group = criterion.benchmark_group("store/search");
    group.sample_size(10);
    group.throughput(large.throughput());
    for (text, expected) in [
        ("annotation.tenant = \"t-7\"", large.traces.of_tenant(7)),
        ("service(\"orders\") { fault }", large.traces.faults()),
    ] {
        let expression = Expression::parse(text).expect("it is a filter expression");
        let asked = Search {
            window: large.window(By::Start),
            expression: Some(&expression),
            groups: &NoGroups,
            sample: 1.0,
            after: None,
            cancelled: &NEVER,
        };
        let found = || search(&large.store, &asked).map(|found| found.matches.len());
        group.bench_function(text, |bencher| bencher.iter(found));
        assert_eq!(found(), Ok(usize::try_from(expected).unwrap_or_default()));
    }
    group.finish();
}

fn fetches(criterion: &mut Criterion) {
    let large = large();
    let count = large.traces.count();
    let read = |ids: &dyn Fn() -> Vec<u64>| -> Vec<TraceId> {
        ids().into_iter().filter_map(|trace| TraceId::parse(&large.traces.id(trace))).collect()
    };
    let random = RefCell::new(fastrand::Rng::with_seed(1));
    let five = || (0..5).map(|_| random.borrow_mut().u64(0..count)).collect();
    let fives: Vec<_> = (0..FIVES).map(|_| read(&five)).collect();
    let newest = vec![read(&|| (count.saturating_sub(PAGE)..count).rev().collect())];
    let apart = vec![read(&|| (0..PAGE).map(|at| at * count / PAGE).collect())];
    let mut group = criterion.benchmark_group("store/documents");
    for (name, all) in [("of 5 traces", fives), ("of the newest 200", newest), ("of 200 apart", apart)] {
        let traces = all.first().map_or(0, Vec::len) as u64;
        let mut next = all.iter().cycle();
        group.throughput(Throughput::Elements(traces * SEGMENTS_OF_A_TRACE));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || next.next().cloned().unwrap_or_default(),
                |ids| {
                    let found = large.store.documents(&ids).unwrap_or_default();
                    let whole = |documents: &Vec<Stored>| documents.len() as u64 == SEGMENTS_OF_A_TRACE;
                    assert!(found.iter().all(whole), "{ids:?}");
                    found
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// The store of the other benches is open; this one is a copy.
fn opening(criterion: &mut Criterion) {
    let large = large();
    let folder = tempfile::tempdir().expect("there is a place for files");
    copy(large.folder.path(), folder.path()).expect("there is room for a copy");
    let mut group = criterion.benchmark_group("store/open");
    group.sample_size(10);
    group.throughput(large.throughput());
    group.bench_function("all sealed", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for _ in 0..iterations {
                let began = Instant::now();
                let store = open(folder.path());
                took += began.elapsed();
                assert_eq!(store.status().documents, large.traces.segments());
                assert!(store.stop(PATIENCE).in_time);
            }
            took
        });
    });
    group.finish();
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

criterion_group! {
    name = benches;
    config = support::criterion();
    targets = reading, ingest, blocks, folds, searches, fetches, opening
}
criterion_main!(benches);
