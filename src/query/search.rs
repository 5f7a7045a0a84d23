//! Which traces match, newest first.

use super::cause::RootCauses;
use super::filter::{Expression, Groups, View};
use super::id::TraceId;
use super::row::Row;
use super::source::{By, Columns, Source, Window};
use super::trace::Trace;
use crate::segment::Kind;
use std::cmp::Ordering;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// For searches that nobody stops. Never set.
pub static NEVER: AtomicBool = AtomicBool::new(false);

/// Most matches that are kept of one search, the newest ones. Who pages beyond them searches again, behind the last.
pub const MATCHES_MAX: usize = 500_000;

/// What is looked for.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// When.
    pub window: Window,
    /// What must hold; everything when there is none.
    pub expression: Option<&'a Expression>,
    /// What `group.name` stands for.
    pub groups: &'a (dyn Groups + Sync),
    /// Part of the traces that is looked at, chosen by their ids; 1 is all of them.
    pub sample: f64,
    /// Only what comes behind this one in the order of matches is a match: where an earlier search was cut. All in the
    /// window is counted as processed all the same, and [`fold`] shows all of it.
    pub after: Option<(f64, TraceId)>,
    /// Once it is set traces are skipped, and the result is void. [`NEVER`] for a search that nobody stops.
    pub cancelled: &'a AtomicBool,
}

/// A trace that matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Earliest start, seconds since 1970.
    pub start: f64,
    /// The trace.
    pub id: TraceId,
    /// The time that was compared with the window, the latest one.
    pub matched_at: f64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Newest first, at most [`MATCHES_MAX`].
    pub matches: Vec<Match>,
    /// Traces in the window, matching or not.
    pub processed: u64,
    /// There were more matches, older than all of these.
    pub cut: bool,
}

/// Newest first; traces that began together by their ids.
fn order(one: (f64, TraceId), other: (f64, TraceId)) -> Ordering {
    other.0.total_cmp(&one.0).then(one.1.cmp(&other.1))
}

impl Found {
    fn add(&mut self, found: Match) {
        self.matches.push(found);
        // Doubling keeps the sorting rare.
        if self.matches.len() >= 2 * MATCHES_MAX {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.matches.sort_unstable_by(|one, other| order((one.start, one.id), (other.start, other.id)));
        self.cut |= self.matches.len() > MATCHES_MAX;
        self.matches.truncate(MATCHES_MAX);
    }
}

/// Looks through everything in the window.
///
/// # Errors
/// What the source says.
pub fn search<S: Source>(source: &S, search: &Search<'_>) -> Result<Found, S::Error> {
    let columns = columns_of(search);
    let is_behind = |found: &Match| {
        search.after.is_none_or(|after| order((found.start, found.id), after) == Ordering::Greater)
    };
    let each = |found: &mut Found, rows: &[Row<'_>]| {
        if search.cancelled.load(Relaxed) {
            return;
        }
        let Some(matched) = time_of(&search.window, rows) else { return };
        if !is_sampled(matched.id, search.sample) {
            return;
        }
        found.processed += 1;
        if is_behind(&matched) && matches(source, search, rows) {
            found.add(matched);
        }
    };
    let parts = source.fold(&search.window, columns, &Found::default, &each)?;
    let mut found = Found::default();
    for part in parts {
        found.processed += part.processed;
        found.cut |= part.cut;
        found.matches.extend(part.matches);
    }
    found.settle();
    Ok(found)
}

/// Shows every trace that is in the window and matches to `each`, as [`Source::fold`] does.
///
/// # Errors
/// What the source says.
pub fn fold<S: Source, T: Send>(
    source: &S,
    search: &Search<'_>,
    columns: Columns,
    make: &(dyn Fn() -> T + Sync),
    each: &(dyn Fn(&mut T, &[Row<'_>]) + Sync),
) -> Result<Vec<T>, S::Error> {
    let is_inside = |rows: &[Row<'_>]| time_of(&search.window, rows).is_some();
    fold_if(source, search, &is_inside, columns, make, each)
}

/// Shows every trace that matches and of which any document was received in the window, whatever the window is by.
/// [`fold`] shows a trace in the window of its last receipt alone; this is for who places it by another one, as
/// [`Series`](super::series::Series) does by its root's.
///
/// # Errors
/// What the source says.
pub fn fold_received<S: Source, T: Send>(
    source: &S,
    search: &Search<'_>,
    columns: Columns,
    make: &(dyn Fn() -> T + Sync),
    each: &(dyn Fn(&mut T, &[Row<'_>]) + Sync),
) -> Result<Vec<T>, S::Error> {
    let window = Window { by: By::Received, ..search.window };
    let search = Search { window, ..*search };
    let is_inside = |rows: &[Row<'_>]| rows.iter().any(|row| is_within(&window, row.received_at));
    fold_if(source, &search, &is_inside, columns, make, each)
}

fn fold_if<S: Source, T: Send>(
    source: &S,
    search: &Search<'_>,
    is_inside: &(dyn Fn(&[Row<'_>]) -> bool + Sync),
    columns: Columns,
    make: &(dyn Fn() -> T + Sync),
    each: &(dyn Fn(&mut T, &[Row<'_>]) + Sync),
) -> Result<Vec<T>, S::Error> {
    let columns = columns.and(columns_of(search));
    source.fold(&search.window, columns, make, &|so_far, rows| {
        if !search.cancelled.load(Relaxed) && is_inside(rows) && matches(source, search, rows) {
            each(so_far, rows);
        }
    })
}

fn columns_of(search: &Search<'_>) -> Columns {
    search.expression.map_or(Columns::NONE, |expression| expression.columns(search.groups))
}

fn matches<S: Source>(source: &S, search: &Search<'_>, rows: &[Row<'_>]) -> bool {
    let Some(expression) = search.expression else { return true };
    // Read only for expressions that ask for them. What cannot be read has no causes.
    let causes = || {
        let id = rows.first().map(|row| row.trace_id);
        let documents = id.and_then(|id| Some((id, source.documents(&[id]).ok()?.pop()?)));
        documents.map_or_else(RootCauses::default, |(id, documents)| {
            RootCauses::of(&Trace::assemble(id, documents))
        })
    };
    expression.matches(&View::new(rows, &causes), search.groups)
}

fn is_within(window: &Window, time: f64) -> bool {
    (window.from..window.until).contains(&time)
}

/// The trace with the time that counts, if that is in the window. A trace starts and was received once, so that it is in
/// one of two windows that have nothing in common; its segments may end in both.
fn time_of(window: &Window, rows: &[Row<'_>]) -> Option<Match> {
    let id = rows.first()?.trace_id;
    let segments = || rows.iter().filter(|row| row.kind == Kind::Segment);
    let earliest = |one: f64, row: &Row<'_>| one.min(row.start);
    // As `Trace::start` has it: subsegments count only as long as there is no segment.
    let start = match segments().next() {
        Some(_) => segments().fold(f64::INFINITY, earliest),
        None => rows.iter().fold(f64::INFINITY, earliest),
    };
    let matched_at = match window.by {
        By::Start => Some(start),
        By::Received => rows.iter().map(|row| row.received_at).reduce(f64::max),
        By::End => {
            segments().filter_map(|row| row.end).filter(|&end| is_within(window, end)).reduce(f64::max)
        }
    };
    let matched_at = matched_at.filter(|&time| is_within(window, time))?;
    Some(Match { start, id, matched_at })
}

/// The same traces are in every sample of at least this size.
fn is_sampled(id: TraceId, part: f64) -> bool {
    // SplitMix64's finalizer, over both halves: ids of one second differ in few bits as a rule.
    let halves =
        [id.0, id.0 >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
    let mut mixed = halves[0] ^ halves[1].rotate_left(32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    part >= 1.0 || (mixed as f64) < part * 2_f64.powi(64)
}

#[cfg(test)]
mod tests {
    use super::super::filter::NoGroups;
    use super::super::row::settle;
    use super::super::{Record, Stored};
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    /// Documents in memory, by trace.
    #[derive(Default)]
    struct Memory(BTreeMap<TraceId, Vec<Stored>>);

    impl Memory {
        fn add(
            &mut self,
            trace: u32,
            id: u32,
            times: (f64, f64),
            received_at: f64,
            changes: &serde_json::Value,
        ) {
            let mut document = json!({ "name": "api", "id": format!("{id:016x}"), "start_time": times.0,
                "end_time": times.1, "trace_id": format!("1-00000000-{trace:024x}") });
            for (key, value) in changes.as_object().unwrap() {
                document[key] = value.clone();
            }
            let stored =
                Stored { sequence: u64::from(id), received_at, document: document.to_string().into() };
            self.0.entry(TraceId(u128::from(trace))).or_default().push(stored);
        }
    }

    impl Source for Memory {
        type Error = Infallible;

        fn fold<T: Send>(
            &self,
            _: &Window,
            _: Columns,
            make: &(dyn Fn() -> T + Sync),
            each: &(dyn Fn(&mut T, &[Row<'_>]) + Sync),
        ) -> Result<Vec<T>, Infallible> {
            // As several threads would: one accumulator for each trace.
            let folded = self.0.values().map(|documents| {
                let read = documents.iter().map(|stored| {
                    Record::read(&stored.document, stored.sequence, stored.received_at).unwrap().0
                });
                let records: Vec<_> = read.collect();
                let mut rows: Vec<_> = records.iter().map(Record::row).collect();
                settle(&mut rows);
                let mut to = make();
                each(&mut to, &rows);
                to
            });
            Ok(folded.collect())
        }

        fn documents(&self, traces: &[TraceId]) -> Result<Vec<Vec<Stored>>, Infallible> {
            Ok(traces.iter().map(|id| self.0.get(id).cloned().unwrap_or_default()).collect())
        }
    }

    fn memory() -> Memory {
        let mut memory = Memory::default();
        let failed =
            json!({ "fault": true, "cause": { "exceptions": [{ "type": "Broken", "message": "m" }] } });
        memory.add(1, 1, (10.0, 11.0), 20.0, &json!({}));
        memory.add(1, 2, (10.5, 15.0), 25.0, &json!({ "parent_id": "0000000000000001" }));
        memory.add(2, 3, (12.0, 12.5), 13.0, &failed);
        memory.add(3, 4, (9.0, 30.0), 31.0, &json!({}));
        memory
    }

    fn everything(by: By, from: f64, until: f64) -> Search<'static> {
        let window = Window { by, from, until };
        Search { window, expression: None, groups: &NoGroups, sample: 1.0, after: None, cancelled: &NEVER }
    }

    fn ids(found: &Found) -> Vec<u128> {
        found.matches.iter().map(|one| one.id.0).collect()
    }

    fn found(by: By, from: f64, until: f64, filter: &str) -> (Vec<u128>, u64) {
        let expression = (!filter.is_empty()).then(|| Expression::parse(filter).unwrap());
        let wanted = Search { expression: expression.as_ref(), ..everything(by, from, until) };
        let found = search(&memory(), &wanted).unwrap();
        (ids(&found), found.processed)
    }

    #[test]
    fn the_window_is_about_the_start_the_receipt_or_the_end() {
        assert_eq!(found(By::Start, 0.0, 99.0, ""), (vec![2, 1, 3], 3), "newest first");
        assert_eq!(found(By::Start, 10.0, 12.0, ""), (vec![1], 1), "the end does not belong to it");
        assert_eq!(found(By::Received, 25.0, 26.0, ""), (vec![1], 1), "the last document");
        assert_eq!(found(By::Received, 20.0, 25.0, ""), (vec![], 0), "the last document alone");
        assert_eq!(found(By::End, 12.5, 15.5, ""), (vec![2, 1], 2));
    }

    #[test]
    fn what_does_not_match_was_looked_at_all_the_same() {
        assert_eq!(found(By::Start, 0.0, 99.0, "fault"), (vec![2], 3));
        assert_eq!(found(By::Start, 0.0, 11.0, "fault"), (vec![], 2));
        let causes = "rootcause.fault.exception { name = \"Broken\" }";
        assert_eq!(found(By::Start, 0.0, 99.0, causes), (vec![2], 3), "causes come from the documents");
    }

    #[test]
    fn a_trace_starts_with_its_first_segment_as_its_summary_says() {
        let mut memory = Memory::default();
        let below = json!({ "type": "subsegment", "parent_id": "0000000000000001" });
        memory.add(1, 1, (10.0, 11.0), 1.0, &json!({}));
        memory.add(1, 2, (8.0, 9.0), 1.0, &below);
        // Of subsegments alone the earliest, though it stands in the other.
        memory.add(2, 3, (7.0, 9.0), 1.0, &below);
        memory.add(2, 4, (6.0, 9.0), 1.0, &json!({ "type": "subsegment", "parent_id": "0000000000000003" }));
        let found = search(&memory, &everything(By::Start, 0.0, 99.0)).unwrap();
        let starts: Vec<_> = found.matches.iter().map(|one| (one.id.0, one.start)).collect();
        assert_eq!(starts, [(1, 10.0), (2, 6.0)]);
        for one in &found.matches {
            assert_eq!(Trace::assemble(one.id, memory.0[&one.id].clone()).start(), Some(one.start));
        }
    }

    #[test]
    fn who_places_traces_by_another_receipt_than_the_last_sees_them_too() {
        let seen = |received: bool, from: f64, until: f64| {
            let (memory, wanted) = (memory(), everything(By::Received, from, until));
            let each = |ids: &mut Vec<u128>, rows: &[Row<'_>]| ids.push(rows[0].trace_id.0);
            let parts = if received {
                fold_received(&memory, &wanted, Columns::NONE, &Vec::new, &each)
            } else {
                fold(&memory, &wanted, Columns::NONE, &Vec::new, &each)
            };
            parts.unwrap().concat()
        };
        assert_eq!((seen(false, 20.0, 25.0), seen(true, 20.0, 25.0)), (vec![], vec![1]));
        assert_eq!((seen(false, 25.0, 26.0), seen(true, 25.0, 26.0)), (vec![1], vec![1]));
        assert_eq!(seen(true, 21.0, 25.0), []);
    }

    #[test]
    fn a_search_that_is_stopped_goes_no_further() {
        let stopped = AtomicBool::new(true);
        let wanted = Search { cancelled: &stopped, ..everything(By::Start, 0.0, 99.0) };
        assert_eq!(search(&memory(), &wanted).unwrap(), Found::default());
        let each = |shown: &mut u32, _: &[Row<'_>]| {
            *shown += 1;
            // The first of them ends it.
            stopped.store(true, Relaxed);
        };
        for (set, expected) in [(true, 0), (false, 1)] {
            stopped.store(set, Relaxed);
            let parts = fold(&memory(), &wanted, Columns::NONE, &u32::default, &each).unwrap();
            assert_eq!(parts.iter().sum::<u32>(), expected);
        }
    }

    #[test]
    fn behind_the_last_match_of_a_search_the_next_one_begins() {
        let mut memory = memory();
        memory.add(5, 5, (12.0, 13.0), 14.0, &json!({}));
        let found = |after| {
            let found = search(&memory, &Search { after, ..everything(By::Start, 0.0, 99.0) }).unwrap();
            (ids(&found), found.processed)
        };
        let all = search(&memory, &everything(By::Start, 0.0, 99.0)).unwrap();
        assert_eq!(ids(&all), [2, 5, 1, 3]);
        for (at, one) in all.matches.iter().enumerate() {
            assert_eq!(found(Some((one.start, one.id))), (ids(&all)[at + 1..].to_vec(), 4));
        }
        assert_eq!(found(Some((12.0, TraceId(3)))), (vec![5, 1, 3], 4), "one that is gone meanwhile");
    }

    #[test]
    fn a_larger_sample_has_all_of_a_smaller_one() {
        let sample = |part| {
            let ids = (0..2000_u128).map(|id| TraceId(0x6000_0000 << 96 | id));
            ids.filter(|id| is_sampled(*id, part)).collect::<Vec<_>>()
        };
        let (all, half, tenth) = (sample(1.0), sample(0.5), sample(0.1));
        assert_eq!((all.len(), sample(0.0).len()), (2000, 0));
        assert!((900..1100).contains(&half.len()) && (140..260).contains(&tenth.len()), "{}", tenth.len());
        assert!(tenth.iter().all(|id| half.contains(id)));
    }

    #[test]
    fn of_too_many_matches_the_newest_are_kept() {
        let mut found = Found::default();
        for number in 0..2 * MATCHES_MAX + 10 {
            found.add(Match { start: number as f64, id: TraceId(0), matched_at: 0.0 });
        }
        found.settle();
        assert!(found.cut && found.matches.len() == MATCHES_MAX);
        assert_eq!(found.matches[0].start.to_bits(), ((2 * MATCHES_MAX + 9) as f64).to_bits());
    }
}
