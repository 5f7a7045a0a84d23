//! Which blocks become one.
//!
//! Only neighbours do, so that the sequences of one block never lie between those of another. A block that is much larger
//! than the others is left alone, so that no byte is written often.

use super::block::BlockError;
use super::folder::BlockName;
use super::shared::{Doing, Shared};
use super::view::{Part, View};
use super::{Event, clock, day::Day};
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// So many small blocks of the day become one.
const FAN_IN: usize = 8;

/// Of a day that is over, any number does: nothing will come to go with them.
const FAN_IN_OF_THE_PAST: usize = 2;

/// Blocks that are read at once; each needs memory.
const INPUTS_MAX: usize = 8;

/// The largest of them is at most this part of all: no byte is written again before its block grows by as much.
const LARGEST: u64 = 4;

/// The same of a day that is over.
const LARGEST_OF_THE_PAST: u64 = 2;

/// While documents come in fast, blocks are compacted only when there are so many of them: it costs as much as taking the
/// documents did, and queries can live with some.
const BLOCKS_UNCOMFORTABLE: usize = 64;

/// A generation that was full before this is over means that documents come in fast.
const FAST: Duration = Duration::from_secs(2);

/// Time between two tries after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Time between two looks without a cause: another day may have begun.
const LOOK_INTERVAL: Duration = Duration::from_secs(600);

/// What has to be known of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) day: Day,
    pub(super) bytes: u64,
    /// First and last receipt, microseconds since 1970.
    pub(super) receipts: (u64, u64),
    /// Between the one before and this is one that cannot be read now: they are no neighbours.
    pub(super) behind_gap: bool,
}

/// How far compaction goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of a block.
    pub(super) max_bytes: u64,
    /// Between its first and its last receipt: a block is deleted when its last document is too old.
    pub(super) max_span: u64,
    /// The day on which documents are received now.
    pub(super) today: Day,
}

/// The longest run of neighbours that is worth it. The candidates come in their order.
pub(super) fn choose(candidates: &[Candidate], limits: Limits) -> Option<Range<usize>> {
    let runs = (0..candidates.len()).filter_map(|from| run_from(candidates, from, limits));
    // Of equal ones the first.
    runs.rev().max_by_key(ExactSizeIterator::len)
}

fn run_from(candidates: &[Candidate], from: usize, limits: Limits) -> Option<Range<usize>> {
    let first = candidates.get(from)?;
    let is_past = first.day < limits.today;
    let (fan_in, part) = if is_past { (FAN_IN_OF_THE_PAST, LARGEST_OF_THE_PAST) } else { (FAN_IN, LARGEST) };
    let (mut bytes, mut largest, mut best) = (0, 0, None);
    for (at, one) in candidates.iter().enumerate().skip(from).take(INPUTS_MAX) {
        bytes += one.bytes;
        largest = largest.max(one.bytes);
        let span = one.receipts.1.saturating_sub(first.receipts.0);
        let is_neighbour = at == from || !one.behind_gap;
        if one.day != first.day || !is_neighbour || bytes > limits.max_bytes || span > limits.max_span {
            break;
        }
        if at + 1 - from >= fan_in && largest <= bytes / part {
            best = Some(from..at + 1);
        }
    }
    best
}

/// The thread: compacts as long as there is something to compact.
pub(super) fn run(shared: &Shared) {
    // What was looked at in vain, and until when that is enough.
    let mut seen = None;
    let mut until = Duration::ZERO;
    while wait(shared, seen, until) {
        let now = blocks_now(shared);
        let pause = match compact_once(shared) {
            Compacted::One => Duration::ZERO,
            Compacted::Nothing => LOOK_INTERVAL,
            Compacted::Failed => RETRY_INTERVAL,
        };
        seen = Some(now);
        until = shared.clock.monotonic() + pause;
    }
}

/// Waits until it is time to look at the blocks. False at the end.
fn wait(shared: &Shared, seen: Option<Blocks>, until: Duration) -> bool {
    let mut work = shared.work();
    while !work.stopping {
        let view = shared.view.get();
        let now = shared.clock.monotonic();
        let slow_at = work.last_full.map_or(Duration::ZERO, |last_full| last_full + FAST);
        let many = view.blocks.len() >= BLOCKS_UNCOMFORTABLE;
        let news = seen != Some(blocks_now(shared)) && !shared.is_failing(Doing::Compact);
        let due = if news { now } else { until }.max(if many { now } else { slow_at });
        if due <= now {
            return true;
        }
        work = shared.wait(work, Some(due));
    }
    false
}

/// Enough of the blocks to see that they are not the same any more.
type Blocks = (usize, Option<BlockName>);

fn blocks_now(shared: &Shared) -> Blocks {
    let view = shared.view.get();
    (view.blocks.len(), view.blocks.last().map(|part| part.name))
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compacted {
    One,
    Nothing,
    Failed,
}

/// Makes one block of several, if there are such.
pub(super) fn compact_once(shared: &Shared) -> Compacted {
    let _alone = shared.compacting.lock().unwrap_or_else(PoisonError::into_inner);
    let view = shared.view.get();
    let candidates = candidates(&view);
    let limits = Limits {
        max_bytes: shared.settings.block_bytes(),
        max_span: shared.settings.block_span(),
        today: Day::of(shared.clock.wall_micros()),
    };
    let Some(run) = choose(&candidates, limits) else {
        // What failed is not wanted any more.
        shared.works(Doing::Compact);
        return Compacted::Nothing;
    };
    let inputs = &view.blocks[run];
    let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else { return Compacted::Nothing };
    let name = BlockName { day: first.name.day, first: first.name.first, last: last.name.last };
    let blocks: Vec<_> = inputs.iter().map(|part| &part.block).collect();
    let under_way = shared.begin(Doing::Compact);
    let compacted = shared.disk.compact(&blocks, name);
    drop(under_way);
    match compacted {
        Ok(block) => {
            shared.works(Doing::Compact);
            let event = Event::Compacted { blocks: inputs.len(), bytes: block.summary().bytes };
            exchange(shared, inputs, Arc::new(Part { name, block }));
            shared.say(&event);
            Compacted::One
        }
        Err(error @ BlockError::Damaged { .. }) => {
            // The disk is not to blame for it today, and it is set aside.
            shared.block_failed(&error);
            Compacted::Failed
        }
        Err(error) => {
            shared.failed(Doing::Compact, &error);
            Compacted::Failed
        }
    }
}

fn exchange(shared: &Shared, inputs: &[Arc<Part>], output: Arc<Part>) {
    let exchanged = shared.view.change(|view| {
        let all = view.remove(inputs);
        if all {
            view.add(output.clone());
        }
        all
    });
    // When an input is gone, its documents are not wanted any more, and the output has them.
    let gone = if exchanged { inputs } else { &[output] };
    for part in gone {
        delete(shared, part);
    }
}

/// Deletes the file of a block that does not count any more. Readers that have it open are not disturbed.
pub(super) fn delete(shared: &Shared, part: &Part) {
    let under_way = shared.begin(Doing::Delete);
    let deleted = shared.disk.remove_block(part.name);
    drop(under_way);
    shared.deleted(deleted);
}

fn candidates(view: &View) -> Vec<Candidate> {
    let mut before = None;
    let candidate = |part: &Arc<Part>| {
        let summary = part.block.summary();
        let (first, last) = summary.receipts.unwrap_or_default();
        let before = before.replace(part.name);
        // What became one with others would count as replaced at the next start.
        let between = |name: &BlockName| before.is_some_and(|before| before < *name && *name < part.name);
        Candidate {
            day: part.name.day,
            bytes: summary.bytes,
            receipts: (clock::micros(first), clock::micros(last)),
            behind_gap: view.unreadable.iter().any(between),
        }
    };
    view.blocks.iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TODAY: &str = "2026-11-25";
    const YESTERDAY: &str = "2026-11-24";

    fn limits() -> Limits {
        Limits { max_bytes: 1_000, max_span: 1_000, today: Day::parse(TODAY).unwrap() }
    }

    fn candidates(day: &str, sizes: &[u64]) -> Vec<Candidate> {
        let one = |(at, &bytes): (usize, &u64)| Candidate {
            day: Day::parse(day).unwrap(),
            bytes,
            receipts: (at as u64 * 10, at as u64 * 10 + 9),
            behind_gap: false,
        };
        sizes.iter().enumerate().map(one).collect()
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "rows are easier to read without a borrow")]
    fn check(candidates: &[Candidate], expected: Option<Range<usize>>) {
        assert_eq!(choose(candidates, limits()), expected);
    }

    #[test]
    fn many_small_blocks_of_the_day_become_one() {
        check(&candidates(TODAY, &[1; 7]), None);
        check(&candidates(TODAY, &[1; 8]), Some(0..8));
        check(&candidates(TODAY, &[1; 40]), Some(0..8));
        check(&candidates(TODAY, &[100, 1, 1, 1, 1, 1, 1, 1]), None);
        check(&candidates(TODAY, &[100, 1, 1, 1, 1, 1, 1, 1, 1]), Some(1..9));
        check(&candidates(TODAY, &[3, 1, 1, 1, 1, 1, 1, 1]), None);
        check(&candidates(TODAY, &[2, 1, 1, 1, 1, 1, 1, 1]), Some(0..8));
        check(&candidates(TODAY, &[]), None);
    }

    #[test]
    fn of_a_day_that_is_over_all_go_that_fit() {
        check(&candidates(YESTERDAY, &[1, 1]), Some(0..2));
        check(&candidates(YESTERDAY, &[3, 1]), None);
        check(&candidates(YESTERDAY, &[600, 600]), None);
        check(&candidates(YESTERDAY, &[600, 400, 300, 300]), Some(1..4));
    }

    #[test]
    fn neither_days_nor_what_is_too_far_apart_are_mixed() {
        let mut two_days = candidates(YESTERDAY, &[1]);
        two_days.extend(candidates(TODAY, &[1; 7]));
        check(&two_days, None);
        let mut apart = candidates(YESTERDAY, &[1, 1]);
        apart[1].receipts.1 = 5_000;
        check(&apart, None);
    }

    /// One small block after the other, for days, leaves few, and no byte is written often.
    #[test]
    fn a_day_of_half_hours_leaves_few_blocks() {
        let (mut blocks, mut most, mut written) = (Vec::<Candidate>::new(), 0, 0);
        for at in 0..1_000_u64 {
            let day = Day::parse(TODAY).unwrap();
            blocks.push(Candidate { day, bytes: 1, receipts: (at, at), behind_gap: false });
            while let Some(run) = choose(&blocks, limits()) {
                let merged = &blocks[run.clone()];
                let bytes = merged.iter().map(|one| one.bytes).sum();
                written += bytes;
                let receipts = (merged[0].receipts.0, merged[merged.len() - 1].receipts.1);
                blocks.splice(run, [Candidate { bytes, receipts, ..blocks[0] }]);
            }
            most = most.max(blocks.len());
        }
        assert!(most <= 50, "{most}");
        assert!(written <= 6 * 1_000, "{written}");
    }

    proptest! {
        #[test]
        fn property_a_choice_keeps_the_limits(sizes in proptest::collection::vec(0_u64..1_200, 0..40), past: bool) {
            let day = if past { YESTERDAY } else { TODAY };
            let candidates = candidates(day, &sizes);
            if let Some(run) = choose(&candidates, limits()) {
                let chosen = &sizes[run.clone()];
                let least = if past { 2 } else { 8 };
                prop_assert!((least..=INPUTS_MAX).contains(&run.len()));
                prop_assert!(chosen.iter().sum::<u64>() <= 1_000);
            }
        }
    }
}
