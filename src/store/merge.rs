//! Reading many blocks, and what is not in blocks yet, as one.
//!
//! Each block gives its rows sorted by trace id, and so does the live head. They are merged step by step: a bound is
//! found up to which every source has its rows in memory, the traces before it are shown, and whoever sets the bound
//! reads on. Blocks that lie behind the bound are not touched yet, so that memory depends on how many blocks overlap, not
//! on how many there are.

mod compact;
#[cfg(test)]
mod tests;

pub use compact::compact;

use super::block::scan::Scan;
use super::block::{Block, BlockError};
use crate::query::row::settle;
use crate::query::{Columns, Record, Row, SegmentId, TraceId, Window};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Pieces of the work for each thread. More: the threads end at more nearly the same time. Fewer: less is decompressed
/// twice where blocks overlap.
const PIECES_PER_THREAD: usize = 4;

/// Fewer rows than this are not worth another piece. Tests want to see several.
const PIECE_ROWS: usize = if cfg!(test) { 16 } else { 16 * 1024 };

/// What a fold gave, and what could not be read of the blocks.
#[derive(Debug)]
pub struct Folded<T> {
    /// One of each thread.
    pub folded: Vec<T>,
    /// What is damaged has been left out.
    pub damaged: Vec<BlockError>,
}

/// Shows each trace of the blocks and of `live` once, as [`Source::fold`](crate::query::Source::fold) demands. `live`
/// comes sorted by trace id.
///
/// Rows of a trace that are more than [`TRACE_SECONDS_MAX`](super::block::TRACE_SECONDS_MAX) from the window may be
/// missing.
pub fn fold<T: Send>(
    blocks: &[&Block],
    live: &[&Record],
    window: &Window,
    columns: Columns,
    make: &(dyn Fn() -> T + Sync),
    each: &(dyn Fn(&mut T, &[Row<'_>]) + Sync),
) -> Folded<T> {
    let work = Work { blocks: groups_in(blocks, window), live, columns };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let pieces = work.pieces(threads * PIECES_PER_THREAD);
    let next = AtomicUsize::new(0);
    let worker = || {
        let (mut to, mut damaged) = (make(), Vec::new());
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            work.fold(*piece, &mut damaged, &mut |rows| each(&mut to, rows));
        }
        (to, damaged)
    };
    let all = thread::scope(|scope| {
        let helpers = (1..threads.min(pieces.len())).map(|_| scope.spawn(worker));
        let helpers: Vec<_> = helpers.collect();
        let mut all = vec![worker()];
        for helper in helpers {
            match helper.join() {
                Ok(one) => all.push(one),
                // What `each` did is its caller's affair, on whatever thread it was.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    let mut folded = Folded { folded: Vec::with_capacity(all.len()), damaged: Vec::new() };
    for (to, damaged) in all {
        folded.folded.push(to);
        folded.damaged.extend(damaged);
    }
    folded
}

/// A row group that is to be read.
#[derive(Debug, Clone, Copy)]
struct Group {
    index: usize,
    first: TraceId,
    last: TraceId,
    rows: usize,
}

fn groups_in<'b>(blocks: &[&'b Block], window: &Window) -> Vec<(&'b Block, Vec<Group>)> {
    let groups = |block: &Block| {
        let groups = block.groups_in(window);
        groups.map(|(index, first, last, rows)| Group { index, first, last, rows }).collect()
    };
    blocks.iter().map(|block| (*block, groups(block))).collect()
}

/// Trace ids from one, to before another.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: TraceId,
    until: Option<TraceId>,
}

struct Work<'b> {
    blocks: Vec<(&'b Block, Vec<Group>)>,
    live: &'b [&'b Record],
    columns: Columns,
}

impl<'b> Work<'b> {
    /// Cuts the work where row groups begin, so that few are read for two pieces.
    fn pieces(&self, count: usize) -> Vec<Piece> {
        let mut starts: Vec<_> = self
            .blocks
            .iter()
            .flat_map(|(_, groups)| groups)
            .map(|group| (group.first, group.rows))
            .collect();
        starts.extend(self.live.chunks(PIECE_ROWS).map(|rows| (rows[0].trace_id, rows.len())));
        starts.sort_unstable();
        let rows: usize = starts.iter().map(|(_, rows)| rows).sum();
        let piece_rows = (rows / count.max(1)).max(PIECE_ROWS);
        let (mut cuts, mut have) = (Vec::new(), 0);
        for (first, rows) in starts {
            if have >= piece_rows && cuts.last() != Some(&first) {
                cuts.push(first);
                have = 0;
            }
            have += rows;
        }
        let from = [TraceId(0)].into_iter().chain(cuts.iter().copied());
        let until = cuts.iter().copied().map(Some).chain([None]);
        from.zip(until).map(|(from, until)| Piece { from, until }).collect()
    }

    fn fold(&self, piece: Piece, damaged: &mut Vec<BlockError>, each: &mut dyn FnMut(&[Row<'_>])) {
        let mut lanes = self.lanes(piece);
        while let Some(head) = lanes.iter().filter_map(Lane::head).min() {
            if piece.until.is_some_and(|until| head >= until) {
                break;
            }
            let bound = lanes.iter().filter_map(Lane::bound).chain(piece.until).min();
            if bound.is_some_and(|bound| bound <= head) {
                lanes.iter_mut().filter(|lane| lane.bound() == bound).for_each(Lane::load);
            } else {
                show(&mut lanes, bound, each);
            }
        }
        for lane in lanes {
            if let Lane::Block(mut scan) = lane {
                damaged.extend(scan.damaged());
            }
        }
    }

    fn lanes(&self, piece: Piece) -> Vec<Lane<'b>> {
        let inside =
            |group: &&Group| group.last >= piece.from && piece.until.is_none_or(|until| group.first < until);
        let blocks = self.blocks.iter().filter_map(|(block, groups)| {
            let mut groups = groups.iter().filter(inside).map(|group| group.index).peekable();
            groups.peek()?;
            let mut scan = Scan::new(block, groups, self.columns);
            scan.skip_to(piece.from);
            Some(Lane::Block(Box::new(scan)))
        });
        let from = self.live.partition_point(|record| record.trace_id < piece.from);
        blocks.chain([Lane::Live(&self.live[from..])]).collect()
    }
}

/// One source of rows.
enum Lane<'b> {
    Block(Box<Scan<'b>>),
    Live(&'b [&'b Record]),
}

impl Lane<'_> {
    fn head(&self) -> Option<TraceId> {
        match self {
            Self::Block(scan) => scan.head(),
            Self::Live(records) => records.first().map(|record| record.trace_id),
        }
    }

    fn bound(&self) -> Option<TraceId> {
        match self {
            Self::Block(scan) => scan.bound(),
            Self::Live(_) => None,
        }
    }

    fn load(&mut self) {
        if let Self::Block(scan) = self {
            scan.load();
        }
    }

    /// Number of the first row that is not before the bound.
    fn end(&self, bound: Option<TraceId>) -> usize {
        match (self, bound) {
            (Self::Block(scan), Some(bound)) => scan.place_of(bound),
            (Self::Block(scan), None) => scan.rows(),
            (Self::Live(records), Some(bound)) => records.partition_point(|record| record.trace_id < bound),
            (Self::Live(records), None) => records.len(),
        }
    }

    fn discard(&mut self, rows: usize) {
        match self {
            Self::Block(scan) => scan.discard(rows),
            Self::Live(records) => *records = &records[rows..],
        }
    }

    #[inline]
    fn trace_id(&self, row: usize) -> TraceId {
        match self {
            Self::Block(scan) => scan.trace_id(row),
            Self::Live(records) => records[row].trace_id,
        }
    }

    #[inline]
    fn order(&self, row: usize) -> (SegmentId, u64) {
        match self {
            Self::Block(scan) => (scan.id(row), scan.sequence(row)),
            Self::Live(records) => (records[row].id, records[row].sequence),
        }
    }

    #[inline]
    fn row(&self, row: usize) -> Row<'_> {
        match self {
            Self::Block(scan) => scan.row(row),
            Self::Live(records) => records[row].row(),
        }
    }
}

/// Shows all traces before the bound. They are whole in memory.
fn show(lanes: &mut [Lane<'_>], bound: Option<TraceId>, each: &mut dyn FnMut(&[Row<'_>])) {
    let ends: Vec<_> = lanes.iter().map(|lane| lane.end(bound)).collect();
    let mut active: Vec<_> = lanes
        .iter()
        .zip(&ends)
        .filter(|(_, end)| **end > 0)
        .map(|(lane, &end)| Active { lane, at: 0, end })
        .collect();
    let mut trace = Trace { rows: Vec::new(), found: Vec::new() };
    while let Some(id) = active.iter().filter_map(Active::head).min() {
        trace.gather(id, &mut active);
        each(&trace.rows);
    }
    drop(trace);
    drop(active);
    for (lane, end) in lanes.iter_mut().zip(ends) {
        if end > 0 {
            lane.discard(end);
        }
    }
}

/// A lane with rows to show.
struct Active<'a, 'b> {
    lane: &'a Lane<'b>,
    at: usize,
    end: usize,
}

impl Active<'_, '_> {
    fn head(&self) -> Option<TraceId> {
        (self.at < self.end).then(|| self.lane.trace_id(self.at))
    }
}

/// The rows of one trace. Kept from one to the next for the sake of its memory.
struct Trace<'a, 'b> {
    rows: Vec<Row<'a>>,
    found: Vec<Found<'a, 'b>>,
}

/// A row that has not been read yet.
#[derive(Clone, Copy)]
struct Found<'a, 'b> {
    id: SegmentId,
    sequence: u64,
    lane: &'a Lane<'b>,
    row: usize,
}

impl<'a, 'b> Trace<'a, 'b> {
    /// Takes the rows of this trace, and settles them.
    fn gather(&mut self, id: TraceId, active: &mut [Active<'a, 'b>]) {
        self.rows.clear();
        self.found.clear();
        for active in active {
            let lane = active.lane;
            while active.at < active.end && lane.trace_id(active.at) == id {
                let (id, sequence) = lane.order(active.at);
                self.found.push(Found { id, sequence, lane, row: active.at });
                active.at += 1;
            }
        }
        let repeated = self.has_repeated_ids();
        if !repeated {
            // What settling comes to where every id is there once, without moving rows about.
            self.found.sort_by_key(|found| (found.sequence, found.id));
        }
        self.rows.extend(self.found.iter().map(|found| found.lane.row(found.row)));
        if repeated {
            settle(&mut self.rows);
        }
    }

    fn has_repeated_ids(&mut self) -> bool {
        if !self.found.is_sorted_by(|one, other| one.id < other.id) {
            self.found.sort_by_key(|found| found.id);
        }
        self.found.windows(2).any(|pair| pair[0].id == pair[1].id)
    }
}
