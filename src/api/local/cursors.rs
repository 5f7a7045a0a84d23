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
    /// It has only what follows behind this.
    after: Option<Token>,
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

    /// In the order of matches.
    fn is_before(self, other: Self) -> bool {
        self.start > other.start || (self.start >= other.start && self.id < other.id)
    }

    /// Matches are newest first; this is the first one behind the token.
    pub(super) fn position(self, matches: &[Match]) -> usize {
        matches.partition_point(|found| {
            found.start > self.start || (found.start >= self.start && found.id <= self.id)
        })
    }
}

impl Cursors {
    /// The matches of a search in which the page behind `token` stands.
    pub(super) fn get(&mut self, search: u64, token: Token, now: f64) -> Option<Arc<Found>> {
        self.0.retain(|cursor| now - cursor.made_at < CURSOR_AGE_SECS);
        let has = |cursor: &&Cursor| {
            let begins = cursor.after.is_none_or(|after| after == token || after.is_before(token));
            // At the end of a list that was cut there is more to be found.
            let ends =
                cursor.found.cut && token.position(&cursor.found.matches) == cursor.found.matches.len();
            cursor.search == search && begins && !ends
        };
        self.0.iter().find(has).map(|cursor| cursor.found.clone())
    }

    /// Keeps a search that has more than one page, from this place on.
    pub(super) fn keep(&mut self, search: u64, after: Option<Token>, now: f64, found: &Arc<Found>) {
        self.0.retain(|cursor| !Arc::ptr_eq(&cursor.found, found));
        if self.0.len() == CURSORS_MAX {
            self.0.remove(0);
        }
        self.0.push(Cursor { search, after, made_at: now, found: found.clone() });
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
        let token = Token { start: 1.0, id: TraceId(1) };
        for search in 0..6 {
            cursors.keep(search, None, 10.0, &Arc::default());
        }
        assert!(cursors.get(1, token, 11.0).is_none() && cursors.get(2, token, 11.0).is_some());
        assert!(cursors.get(5, token, 10.0 + CURSOR_AGE_SECS).is_none());
    }

    #[test]
    fn a_search_that_was_begun_in_the_middle_serves_no_page_before_that() {
        let at = |start| Token { start, id: TraceId(1) };
        let mut cursors = Cursors::default();
        cursors.keep(1, Some(at(5.0)), 10.0, &Arc::default());
        let mut has = |start| cursors.get(1, at(start), 11.0).is_some();
        assert!(!has(9.0) && has(5.0) && has(2.0));
    }

    #[test]
    fn at_the_end_of_a_list_that_was_cut_the_search_goes_on() {
        let matches = vec![Match { start: 3.0, id: TraceId(1), matched_at: 3.0 }];
        let mut cursors = Cursors::default();
        cursors.keep(1, None, 10.0, &Arc::new(Found { matches, processed: 9, cut: true }));
        assert!(cursors.get(1, Token { start: 4.0, id: TraceId(1) }, 11.0).is_some());
        assert!(cursors.get(1, Token { start: 3.0, id: TraceId(1) }, 11.0).is_none());
    }
}
