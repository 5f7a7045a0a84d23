//! A store with a clock that is moved by hand, and what is to be known of it.

use crate::query::{By, Columns, Source, Stored, TraceId, Window};
use crate::store::clock::Clock;
use crate::store::folder::{Disk, Folder};
use crate::store::{Event, Judged, Listener, Place, PutError, Settings, Store, ledger::Transport};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// 2026-11-25T00:00:00Z.
pub(super) const BEGIN: u64 = 1_795_564_800_000_000;

pub(super) const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct HandClock {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl Clock for HandClock {
    fn wall_micros(&self) -> u64 {
        self.wall.load(SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic.load(SeqCst))
    }
}

/// Everything a store was told and has told.
#[derive(Clone)]
pub(super) struct World {
    pub(super) clock: Arc<HandClock>,
    pub(super) events: Arc<Mutex<Vec<Event>>>,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = HandClock { wall: AtomicU64::new(BEGIN), monotonic: AtomicU64::new(0) };
        Self { clock: Arc::new(clock), events: Arc::default() }
    }

    pub(super) fn open(&self, settings: Settings) -> Store {
        self.open_on(settings, |folder| Arc::new(folder))
    }

    pub(super) fn open_on(&self, settings: Settings, door: impl FnOnce(Folder) -> Arc<dyn Disk>) -> Store {
        let events = self.events.clone();
        let listener = Listener::new(move |event| events.lock().unwrap().push(event.clone()));
        Store::open_on(settings, self.clock.clone(), listener, door).unwrap()
    }

    pub(super) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// Moves the clock, and has everybody look at it.
    pub(super) fn advance(&self, store: &Store, time: Duration) {
        self.advance_closed(time);
        store.shared.intake.wake();
        store.shared.tell(|_| {});
    }

    /// Time since the beginning, by the clock.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Moves the clock while no store is open.
    pub(super) fn advance_closed(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap();
        self.clock.wall.fetch_add(micros, SeqCst);
        self.clock.monotonic.fetch_add(micros, SeqCst);
    }

    /// Moves what the host calls the time, as somebody who sets the clock does.
    pub(super) fn set_back(&self, time: Duration) {
        self.clock.wall.fetch_sub(u64::try_from(time.as_micros()).unwrap(), SeqCst);
    }
}

pub(super) fn settings(path: &Path) -> Settings {
    Settings::new(Place::Directory(path.to_owned()))
}

/// Trace ids, as texts and as numbers.
pub(super) fn trace_id(trace: u64) -> TraceId {
    TraceId::parse(&format!("1-581cf771-{trace:024x}")).unwrap()
}

pub(super) fn document(trace: u64, id: u64) -> Vec<u8> {
    document_with(trace, id, "")
}

/// A document with something more in it.
pub(super) fn document_with(trace: u64, id: u64, more: &str) -> Vec<u8> {
    let trace = trace_id(trace);
    format!(r#"{{"name":"api","id":"{id:016x}","trace_id":"{trace}","start_time":1.5,"end_time":2.5{more}}}"#)
        .into_bytes()
}

pub(super) fn datagram(document: &[u8]) -> Vec<u8> {
    [b"{\"format\":\"json\",\"version\":1}\n", document].concat()
}

pub(super) fn offer(store: &Store, documents: &[Vec<u8>]) {
    let datagrams: Vec<_> = documents.iter().map(|document| datagram(document)).collect();
    store.offer_datagrams(datagrams.iter().map(Vec::as_slice), |_| {});
}

pub(super) fn put(store: &Store, documents: &[Vec<u8>]) -> Result<Judged, PutError> {
    store.put(Transport::Http, documents.iter().map(Vec::as_slice))?.wait()
}

pub(super) fn flush(store: &Store) {
    store.flush().blocking_recv().unwrap();
}

pub(super) fn seal(store: &Store) {
    store.seal_now().blocking_recv().unwrap();
}

/// All times there are.
pub(super) fn always() -> Window {
    Window { by: By::Start, from: 0.0, until: 1e12 }
}

/// A document as it is found: its sequence, when it was received, and its bytes.
pub(super) type FoundDocument = (u64, u64, Vec<u8>);

/// All documents, in the order of their sequence. Fails when one of the three ways to read says something else than the
/// others, or one of them shows a document twice.
#[track_caller]
pub(super) fn everything(store: &Store) -> Vec<FoundDocument> {
    let (raw, by_trace, rows, count) = read_all(store);
    let mut sequences: Vec<_> = by_trace.iter().flatten().map(|stored| stored.sequence).collect();
    sequences.sort_unstable();
    assert!(sequences.iter().eq(raw.keys()), "{sequences:?} {:?}", raw.keys());
    let mut settled: BTreeMap<(TraceId, u64), u64> = BTreeMap::new();
    for (sequence, (trace, (_, _, document))) in &raw {
        let id = crate::segment::Document::parse(document).unwrap().id;
        let id = u64::from_str_radix(&id, 16).unwrap();
        settled.entry((*trace, id)).or_insert(*sequence);
    }
    let settled: Vec<_> = settled.into_iter().map(|((trace, id), sequence)| (trace, id, sequence)).collect();
    assert_eq!(rows, settled);
    assert_eq!(count, raw.len() as u64);
    raw.into_values().map(|(_, found)| found).collect()
}

type Raw = BTreeMap<u64, (TraceId, FoundDocument)>;

/// A row: trace, id and sequence.
type FoundRow = (TraceId, u64, u64);

/// Reads in all ways while nothing is deleted: what is between two of them is no fault.
#[track_caller]
fn read_all(store: &Store) -> (Raw, Vec<Vec<Stored>>, Vec<FoundRow>, u64) {
    loop {
        let before = store.shared.view.get();
        let raw = read_raw(store);
        let mut traces: Vec<_> = raw.values().map(|(trace, _)| *trace).collect();
        traces.sort_unstable();
        traces.dedup();
        let by_trace = store.documents(&traces).unwrap();
        let (rows, count) = (rows(store), store.status().documents);
        if Arc::ptr_eq(&before, &store.shared.view.get()) {
            return (raw, by_trace, rows, count);
        }
    }
}

#[track_caller]
fn read_raw(store: &Store) -> Raw {
    let mut raw = Raw::new();
    store.each_raw(&always(), |kept| {
        let sequence = kept.record.sequence;
        let received = crate::store::clock::micros(kept.record.received_at);
        let found = (sequence, received, kept.received().to_vec());
        assert!(raw.insert(sequence, (kept.record.trace_id, found)).is_none(), "{sequence} is there twice");
        std::ops::ControlFlow::Continue(())
    });
    raw
}

/// Trace, id and sequence of every row a query is shown. Each trace must be shown once.
#[track_caller]
pub(super) fn rows(store: &Store) -> Vec<FoundRow> {
    let folded = store.fold(&always(), Columns::NONE, &Vec::new, &|all: &mut Vec<_>, rows| {
        all.push(rows.iter().map(|row| (row.trace_id, row.id.0, row.sequence)).collect::<Vec<_>>());
    });
    let mut traces: Vec<_> = folded.unwrap().into_iter().flatten().collect();
    traces.sort_unstable();
    for pair in traces.windows(2) {
        assert_ne!(pair[0][0].0, pair[1][0].0, "a trace is shown twice");
    }
    let mut rows: Vec<_> = traces.into_iter().flatten().collect();
    rows.sort_unstable();
    rows
}

/// The documents alone.
#[track_caller]
pub(super) fn texts(store: &Store) -> Vec<Vec<u8>> {
    everything(store).into_iter().map(|(_, _, document)| document).collect()
}

/// A copy of a directory with all that is in it.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All files below a directory whose name ends like this.
pub(super) fn files(directory: &Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Waits until something is so. Gives up after a time nothing takes.
#[track_caller]
pub(super) fn until(store: &Store, mut is_so: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    let mut work = store.shared.work();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it never came to be");
        let soon = store.shared.clock.monotonic() + Duration::from_millis(5);
        work = store.shared.wait(work, Some(soon));
    }
}
