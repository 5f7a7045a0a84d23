//! Searches that are read page by page.
//!
//! A token says where its page begins, so that it works for ever; the list of matches is kept for a while, so that
//! each page need not search again.

use crate::query::TraceId;
use crate::query::search::{Found, Match};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Searches that are kept.
const CURSORS_MAX: usize = 4;

/// A search is done again after this many seconds, so that pages asked late are of what is there now.
const CURSOR_AGE_SECS: f64 = 300.0;

/// Where a page begins: behind this match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token {
    pub(super) start: f64,
    pub(super) id: TraceId,
}

#[derive(Debug, Default)]
pub(super) struct Cursors(Vec<Cursor>);

#[derive(Debug)]
struct Cursor {
    search: u64,
    made_at: f64,
    found: Arc<Found>,
}

/// Tells searches apart. Tokens outlive a restart only as long as this stays the same, which the hasher does not
/// promise beyond one version of the program.
pub(super) fn fingerprint(search: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    search.hash(&mut hasher);
    hasher.finish()
}

impl Token {
    pub(super) fn write(self, search: u64) -> String {
        let mut text = format!("{search:016x}{:016x}{:032x}", self.start.to_bits(), self.id.0);
        // So that a token somebody changed is noticed.
        let check = fingerprint(&text);
        // Writing to a String does not fail.
        let _ = write!(text, "{check:016x}");
        text
    }

    /// None when it is not one that was given out for this search.
    pub(super) fn read(text: &str, search: u64) -> Option<Self> {
        let (written, check) = text.split_at_checked(64)?;
        if u64::from_str_radix(check, 16).ok()? != fingerprint(&written.to_owned()) {
            return None;
        }
        let number = |range: std::ops::Range<usize>| u128::from_str_radix(written.get(range)?, 16).ok();
        let bits = u64::try_from(number(16..32)?).ok()?;
        let token = Self { start: f64::from_bits(bits), id: TraceId(number(32..64)?) };
        (number(0..16)? == u128::from(search)).then_some(token)
    }

    /// Matches are newest first; this is the first one behind the token.
    pub(super) fn position(self, matches: &[Match]) -> usize {
        matches.partition_point(|found| {
            found.start > self.start || (found.start >= self.start && found.id <= self.id)
        })
    }
}

impl Cursors {
    pub(super) fn get(&mut self, search: u64, now: f64) -> Option<Arc<Found>> {
        self.0.retain(|cursor| now - cursor.made_at < CURSOR_AGE_SECS);
        self.0.iter().find(|cursor| cursor.search == search).map(|cursor| cursor.found.clone())
    }

    /// Keeps a search that has more than one page.
    pub(super) fn keep(&mut self, search: u64, now: f64, found: &Arc<Found>) {
        self.0.retain(|cursor| cursor.search != search);
        if self.0.len() == CURSORS_MAX {
            self.0.remove(0);
        }
        self.0.push(Cursor { search, made_at: now, found: found.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_search_alone() {
        let token = Token { start: 1.5e9 + 0.25, id: TraceId(7) };
        let text = token.write(5);
        assert_eq!(Token::read(&text, 5), Some(token));
        assert_eq!(Token::read(&text, 6), None);
        for at in 0..text.len() {
            let other = if &text[at..=at] == "0" { "1" } else { "0" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(Token::read(&changed, 5), None, "{changed}");
        }
        for bad in ["", "x", "é", &text[1..], &format!("{text}0")] {
            assert_eq!(Token::read(bad, 5), None, "{bad}");
        }
    }

    #[test]
    fn a_page_begins_behind_the_last_match_of_the_one_before() {
        let found = |start: f64, id| Match { start, id: TraceId(id), matched_at: start };
        let matches = [found(3.0, 1), found(2.0, 1), found(2.0, 5), found(1.0, 0)];
        for (at, one) in matches.iter().enumerate() {
            assert_eq!(Token { start: one.start, id: one.id }.position(&matches), at + 1);
        }
        assert_eq!(Token { start: 2.0, id: TraceId(3) }.position(&matches), 2, "one that is gone meanwhile");
        assert_eq!(Token { start: 9.0, id: TraceId(3) }.position(&matches), 0);
    }

    #[test]
    fn few_searches_are_kept_and_none_for_long() {
        let mut cursors = Cursors::default();
        for search in 0..6 {
            cursors.keep(search, 10.0, &Arc::default());
        }
        assert!(cursors.get(1, 11.0).is_none() && cursors.get(2, 11.0).is_some());
        assert!(cursors.get(5, 10.0 + CURSOR_AGE_SECS).is_none());
    }
}
