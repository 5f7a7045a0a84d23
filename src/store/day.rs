//! Days of the calendar: the partitions of the store are named by them.

use super::clock::SECOND;
use std::fmt;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// A day in UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(u64);

impl Day {
    /// The day of a moment in microseconds since 1970.
    pub(super) fn of(micros: u64) -> Self {
        Self(micros / SECOND / DAY_SECONDS)
    }

    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| part.parse::<u64>().ok());
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        let read = Self(days_before(year, month)? + day.checked_sub(1)?);
        // Whatever else was read as this day was another way to write it, and none of ours.
        (read.to_string() == text).then_some(read)
    }
}

/// Days from 1970-01-01 to the first of a month. The rule of the Gregorian calendar, with years that begin in March, so
/// that the day that comes and goes is their last.
fn days_before(year: u64, month: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5;
    // 1970-01-01 by the same count.
    days.checked_sub(719_468)
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins = |year: u64, month: u64| days_before(year, month).unwrap_or(u64::MAX);
        // The estimate is at most one year late.
        let estimate = 1970 + self.0 / 365;
        let year = (1970..=estimate).rev().find(|&year| begins(year, 1) <= self.0).unwrap_or(1970);
        let month = (1..=12).rev().find(|&month| begins(year, month) <= self.0).unwrap_or(1);
        write!(f, "{year:04}-{month:02}-{:02}", self.0 - begins(year, month).min(self.0) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, text) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (20_782, "2026-11-25"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Day(days).to_string(), text);
            assert_eq!(Day::parse(text), Some(Day(days)), "{text}");
        }
        assert_eq!(Day::of(86_399_999_999).to_string(), "1970-01-01");
        assert_eq!(Day::of(86_400_000_000).to_string(), "1970-01-02");
    }

    #[test]
    fn each_day_reads_as_it_is_written() {
        for days in 0..60_000 {
            let text = Day(days).to_string();
            assert_eq!(Day::parse(&text), Some(Day(days)), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_a_day() {
        for text in
            ["", "2026-11", "2026-02-29", "2026-13-01", "2026-1-1", "1969-12-31", "2026-01-00", "x-y-z"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
