//! Reading: queries, whole traces, and everything that is to be exported.

use super::Store;
use super::kept::Kept;
use super::merge;
use crate::query::{By, Columns, Record, Row, Source, Stored, TraceId, Window};
use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

impl Source for Store {
    /// What cannot be read is left out and said to the listener.
    type Error = Infallible;

    fn fold<T: Send>(
        &self,
        window: &Window,
        columns: Columns,
        make: &(dyn Fn() -> T + Sync),
        each: &(dyn Fn(&mut T, &[Row<'_>]) + Sync),
    ) -> Result<Vec<T>, Infallible> {
        let view = self.shared.view.get();
        let mut live: Vec<Arc<Kept>> = Vec::new();
        for generation in &view.frozen {
            live.extend_from_slice(generation.sorted());
        }
        live.extend(view.active.snapshot());
        // The stable sort finds that these are a few sorted runs.
        live.sort_by_key(|kept| kept.key());
        let live: Vec<&Record> = live.iter().map(|kept| &kept.record).collect();
        let blocks: Vec<_> = view.blocks.iter().map(|part| &part.block).collect();
        let folded = merge::fold(&blocks, &live, window, columns, make, each);
        for error in &folded.damaged {
            self.shared.block_failed(error);
        }
        Ok(folded.folded)
    }

    fn documents(&self, traces: &[TraceId]) -> Result<Vec<Vec<Stored>>, Infallible> {
        let mut sorted = traces.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let view = self.shared.view.get();
        let mut found: HashMap<TraceId, Vec<Stored>> = HashMap::new();
        for part in &view.blocks {
            let (first, last) = part.block.summary().trace_ids.unwrap_or((TraceId(1), TraceId(0)));
            let begin = sorted.partition_point(|trace| *trace < first);
            let end = sorted.partition_point(|trace| *trace <= last);
            let Some(within) = sorted.get(begin..end).filter(|within| !within.is_empty()) else { continue };
            let read =
                part.block.documents(within, |trace, stored| found.entry(trace).or_default().push(stored));
            if let Err(error) = read {
                self.shared.block_failed(&error);
            }
        }
        for &trace in &sorted {
            for generation in view.generations() {
                let mut live = Vec::new();
                generation.documents_of(trace, &mut live);
                if !live.is_empty() {
                    found.entry(trace).or_default().append(&mut live);
                }
            }
        }
        for documents in found.values_mut() {
            documents.sort_unstable_by_key(|stored| stored.sequence);
        }
        Ok(traces.iter().map(|trace| found.get(trace).cloned().unwrap_or_default()).collect())
    }
}

impl Store {
    /// Shows every document in the window, for export: block by block, oldest first, and then what is in none. In a block
    /// they come by trace id. Of times a document's own start, end or receipt counts. `each` ends it with `Break`.
    pub fn each_raw(&self, window: &Window, mut each: impl FnMut(&Kept) -> ControlFlow<()>) {
        let view = self.shared.view.get();
        let mut ended = false;
        let mut show = |kept: &Kept| {
            if !ended && is_within(&kept.record, window) {
                ended = each(kept).is_break();
            }
            ended
        };
        for part in &view.blocks {
            let mut end = false;
            let read = part.block.kept(|kept| end = end || show(&kept));
            if let Err(error) = read {
                self.shared.block_failed(&error);
            }
            if end {
                return;
            }
        }
        for generation in view.generations() {
            for kept in generation.snapshot() {
                if show(&kept) {
                    return;
                }
            }
        }
    }
}

fn is_within(record: &Record, window: &Window) -> bool {
    let time = match window.by {
        By::Start => Some(record.start),
        By::Received => Some(record.received_at),
        By::End => record.end,
    };
    time.is_some_and(|time| window.from <= time && time < window.until)
}
