//! The live head: documents that are in no block yet, by trace id.
//!
//! There is one generation that documents are added to, by one thread, and there are those that are being sealed. A
//! document is in exactly one of them; [`View`](super::view::View) says which of them count.

use super::clock::micros;
use super::day::Day;
use super::kept::Kept;
use crate::query::{Record, Stored, TraceId};
use dashmap::DashMap;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What a document costs in memory beside what [`weight`] can see: its place in the map, and what the allocator rounds
/// up.
const OVERHEAD_BYTES: usize = 200;

/// Documents that become one block together.
#[derive(Debug, Default)]
pub(super) struct Generation {
    by_trace: DashMap<TraceId, Vec<Arc<Kept>>>,
    /// All documents, in a block's order. Once this is asked for nothing is added any more.
    sorted: OnceLock<Vec<Arc<Kept>>>,
    documents: AtomicU64,
    bytes: AtomicUsize,
    log_bytes: AtomicU64,
    /// Documents that are in memory alone, as they came.
    unlogged: Mutex<Vec<Arc<Kept>>>,
    last_received: AtomicU64,
    sequences: Mutex<Option<(u64, u64)>>,
    day: OnceLock<Day>,
    /// Names of the files of the log its documents are in.
    logs: Mutex<Vec<String>>,
}

impl Generation {
    /// All documents of a generation are received on one day, so that it becomes one block.
    pub(super) fn takes(&self, day: Day) -> bool {
        *self.day.get_or_init(|| day) == day
    }

    /// When its documents were received. None before the first of them.
    pub(super) fn day(&self) -> Option<Day> {
        self.day.get().copied()
    }

    /// Adds a document; the sequence is higher than that of any before. Only the writer does this.
    pub(super) fn insert(&self, kept: Arc<Kept>) {
        let sequence = kept.record.sequence;
        let mut sequences = self.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        *sequences = Some((sequences.map_or(sequence, |(first, _)| first), sequence));
        drop(sequences);
        self.bytes.fetch_add(weight(&kept), Relaxed);
        self.last_received.fetch_max(micros(kept.record.received_at), Relaxed);
        self.documents.fetch_add(1, Relaxed);
        self.by_trace.entry(kept.record.trace_id).or_insert_with(|| Vec::with_capacity(1)).push(kept);
    }

    /// First and last sequence. None when it is empty.
    pub(super) fn sequences(&self) -> Option<(u64, u64)> {
        *self.sequences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents() == 0
    }

    pub(super) fn documents(&self) -> u64 {
        self.documents.load(Relaxed)
    }

    /// Memory in use, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// When the last of its documents was received, in microseconds since 1970.
    pub(super) fn last_received(&self) -> u64 {
        self.last_received.load(Relaxed)
    }

    /// Bytes of the files of the log it is in.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Relaxed)
    }

    /// Documents that are in memory alone.
    pub(super) fn unlogged(&self) -> u64 {
        self.lock_unlogged().len() as u64
    }

    /// The first of them.
    pub(super) fn first_unlogged(&self, most: usize) -> Vec<Arc<Kept>> {
        self.lock_unlogged().iter().take(most).cloned().collect()
    }

    pub(super) fn add_unlogged(&self, kept: Arc<Kept>) {
        self.lock_unlogged().push(kept);
    }

    /// So many of the first are in the log now.
    pub(super) fn logged(&self, documents: usize) {
        let mut unlogged = self.lock_unlogged();
        let documents = documents.min(unlogged.len());
        unlogged.drain(..documents);
    }

    /// The files it was in are gone: all of it is in memory alone.
    pub(super) fn lose_log(&self) {
        let mut all = self.snapshot();
        all.sort_unstable_by_key(|kept| kept.record.sequence);
        *self.lock_unlogged() = all;
        self.take_logs();
        self.log_bytes.store(0, Relaxed);
    }

    fn lock_unlogged(&self) -> MutexGuard<'_, Vec<Arc<Kept>>> {
        self.unlogged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_log_bytes(&self, bytes: usize) {
        self.log_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn add_log(&self, name: String) {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    pub(super) fn forget_log(&self, name: &str) {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known != name);
    }

    pub(super) fn take_logs(&self) -> Vec<String> {
        std::mem::take(&mut self.logs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All documents there are now, in a block's order.
    pub(super) fn snapshot(&self) -> Vec<Arc<Kept>> {
        if let Some(sorted) = self.sorted.get() {
            return sorted.clone();
        }
        let mut all = Vec::with_capacity(usize::try_from(self.documents()).unwrap_or_default());
        for of_trace in &self.by_trace {
            all.extend(of_trace.value().iter().cloned());
        }
        all.sort_unstable_by_key(|kept| kept.key());
        all
    }

    /// All documents in a block's order, of a generation that nothing is added to any more.
    pub(super) fn sorted(&self) -> &[Arc<Kept>] {
        self.sorted.get_or_init(|| self.snapshot())
    }

    /// Adds the documents of a trace.
    pub(super) fn documents_of(&self, trace: TraceId, found: &mut Vec<Stored>) {
        // The guard must not be held while anything else is done: it locks part of the map.
        if let Some(of_trace) = self.by_trace.get(&trace) {
            found.extend(of_trace.iter().map(|kept| kept.stored()));
        }
    }
}

/// Bytes of memory a document takes, about.
fn weight(kept: &Kept) -> usize {
    let Record { name, url, user_agent, annotations, calls, locals, .. } = &kept.record;
    let texts = [url, user_agent].into_iter().flatten().chain([name, annotations, calls, locals]);
    size_of::<Kept>()
        + OVERHEAD_BYTES
        + texts.map(|text| text.len()).sum::<usize>()
        + kept.document.len()
        + kept.raw.as_ref().map_or(0, bytes::Bytes::len)
}
