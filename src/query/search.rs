//! Which traces match, newest first.

use super::cause::RootCauses;
use super::filter::{Expression, Groups, View};
use super::id::TraceId;
use super::row::Row;
use super::source::{By, Columns, Source, Window};
use super::trace::Trace;
use crate::segment::Kind;

/// Most matches that are kept of one search, the newest ones. Who pages beyond them searches again.
pub const MATCHES_MAX: usize = 500_000;

/// What is looked for.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// When.
    pub window: Window,
    /// What must hold; everything when there is none.
    pub expression: Option<&'a Expression>,
    /// What `group.name` stands for.
    pub groups: &'a dyn Groups,
    /// Part of the traces that is looked at, chosen by their ids; 1 is all of them.
    pub sample: f64,
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

impl Found {
    fn add(&mut self, found: Match) {
        self.matches.push(found);
        // Doubling keeps the sorting rare.
        if self.matches.len() >= 2 * MATCHES_MAX {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.matches.sort_unstable_by(|a, b| b.start.total_cmp(&a.start).then(a.id.cmp(&b.id)));
        self.cut |= self.matches.len() > MATCHES_MAX;
        self.matches.truncate(MATCHES_MAX);
    }
}

/// Looks through everything in the window.
///
/// # Errors
/// What the source says.
pub fn search<S: Source>(source: &S, search: &Search<'_>) -> Result<Found, S::Error> {
    let columns = search.expression.map_or(Columns::NONE, Expression::columns);
    let each = |found: &mut Found, rows: &[Row<'_>]| {
        let Some(matched) = time_of(&search.window, rows) else { return };
        if !is_sampled(matched.id, search.sample) {
            return;
        }
        found.processed += 1;
        if matches(source, search, rows) {
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
    let columns = columns.and(search.expression.map_or(Columns::NONE, Expression::columns));
    source.fold(&search.window, columns, make, &|so_far, rows| {
        if time_of(&search.window, rows).is_some() && matches(source, search, rows) {
            each(so_far, rows);
        }
    })
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

/// The trace with the time that counts, if that is in the window.
fn time_of(window: &Window, rows: &[Row<'_>]) -> Option<Match> {
    let id = rows.first()?.trace_id;
    let start = rows.iter().map(|row| row.start).fold(f64::INFINITY, f64::min);
    let inside = |time: &f64| (window.from..window.until).contains(time);
    let latest = |times: &mut dyn Iterator<Item = f64>| {
        times.filter(inside).fold(None, |latest: Option<f64>, time| Some(latest.map_or(time, |one| one.max(time))))
    };
    let matched_at = match window.by {
        By::Start => inside(&start).then_some(start),
        By::Received => latest(&mut rows.iter().map(|row| row.received_at)),
        By::End => latest(
            &mut rows.iter().filter(|row| row.kind == Kind::Segment).filter_map(|row| row.end),
        ),
    };
    Some(Match { start, id, matched_at: matched_at? })
}

/// The same traces are in every sample of at least this size.
fn is_sampled(id: TraceId, part: f64) -> bool {
    // SplitMix64's finalizer, over both halves: ids of one second differ in few bits as a rule.
    let halves = [id.0, id.0 >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
    let mut mixed = halves[0] ^ halves[1].rotate_left(32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    part >= 1.0 || (mixed as f64) < part * 2_f64.powi(64)
}
