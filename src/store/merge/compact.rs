//! One block of many.

use crate::query::SegmentId;
use crate::store::block::scan::Scan;
use crate::store::block::{Block, BlockError, Limits, Summary, Writer};
use crate::store::kept::Key;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

/// Writes one block with the rows of several, each once. The inputs stay. Readers settle what came twice; only a row
/// that stands in two inputs, because a deletion was not finished, is left out.
///
/// In memory are one row group of the output, and the compressed row group that is being read of each input; of
/// inputs that do not overlap, of one at a time.
///
/// # Errors
/// When an input is damaged or the disk refuses. No file is left then.
pub fn compact(inputs: &[&Block], output: &Path) -> Result<Summary, BlockError> {
    let mut writer = Writer::create(output, Limits::default())?;
    let mut lanes: Vec<_> = inputs.iter().map(|block| Lane { scan: Scan::whole(block), at: 0 }).collect();
    let heads =
        lanes.iter().enumerate().filter_map(|(index, lane)| lane.head().map(|head| Reverse((head, index))));
    let mut heads: BinaryHeap<_> = heads.collect();
    let mut last = None;
    while let Some(Reverse((key, index))) = heads.pop() {
        let lane = &mut lanes[index];
        if lane.scan.rows() == 0 {
            lane.scan.load();
        } else {
            if last != Some(key) {
                writer.push(&lane.scan.kept(lane.at))?;
                last = Some(key);
            }
            lane.advance();
        }
        if let Some(damaged) = lane.scan.damaged().into_iter().next() {
            return Err(damaged);
        }
        heads.extend(lane.head().map(|head| Reverse((head, index))));
    }
    writer.finish()
}

/// A block that is being read.
struct Lane<'b> {
    scan: Scan<'b>,
    at: usize,
}

impl Lane<'_> {
    /// The next row, or a place before it when its row group has not been begun.
    fn head(&self) -> Option<Key> {
        if self.scan.rows() > 0 {
            return Some(self.scan.key(self.at));
        }
        self.scan.head().map(|trace_id| Key { trace_id, id: SegmentId(0), sequence: 0 })
    }

    fn advance(&mut self) {
        self.at += 1;
        if self.at == self.scan.rows() {
            self.scan.discard(self.at);
            self.at = 0;
        }
    }
}
