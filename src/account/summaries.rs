//! What samplers reported, summed up by rule and minute.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Length of a window.
const WINDOW_SECONDS: f64 = 60.0;
/// For how many windows sums are kept: an hour.
const WINDOWS_KEPT: i64 = 60;
/// Most sums that are kept, however many rules are made and deleted within the hour.
const SUMS_MAX: usize = 4_096;

/// Sums by window and rule, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Summaries(BTreeMap<(i64, String), Counts>);

/// How many requests matched a rule, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) sampled: u64,
    pub(super) borrowed: u64,
}

impl Summaries {
    pub(super) fn add(&mut self, rule: &str, counts: Counts, now: f64) {
        let sum = self.0.entry((window(now), rule.to_owned())).or_default();
        sum.requests = sum.requests.saturating_add(counts.requests);
        sum.sampled = sum.sampled.saturating_add(counts.sampled);
        sum.borrowed = sum.borrowed.saturating_add(counts.borrowed);
        self.forget(now);
    }

    fn forget(&mut self, now: f64) {
        let oldest = window(now).saturating_sub(WINDOWS_KEPT);
        while self.0.first_key_value().is_some_and(|((at, _), _)| *at <= oldest || self.0.len() > SUMS_MAX) {
            self.0.pop_first();
        }
    }

    pub(super) fn list(&mut self, now: f64) -> Value {
        self.forget(now);
        let summaries: Vec<Value> = self.0.iter().map(|((at, rule), sum)| show(*at, rule, *sum)).collect();
        json!({"NextToken": null, "SamplingStatisticSummaries": summaries})
    }
}

fn show(at: i64, rule: &str, sum: Counts) -> Value {
    // Clients read integers of 32 bits.
    let count = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
    json!({
        "BorrowCount": count(sum.borrowed),
        "RequestCount": count(sum.requests),
        "RuleName": rule,
        "SampledCount": count(sum.sampled),
        "Timestamp": at as f64 * WINDOW_SECONDS,
    })
}

/// Number of the window that a moment is in.
#[expect(clippy::cast_possible_truncation, reason = "saturates, some billions of years from now")]
fn window(now: f64) -> i64 {
    (now / WINDOW_SECONDS).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64) -> Counts {
        Counts { requests, sampled: 1, borrowed: 0 }
    }

    #[track_caller]
    fn check(summaries: &mut Summaries, now: f64, expected: &[(&str, f64, u64)]) {
        let listed = summaries.list(now);
        let listed: Vec<_> = listed["SamplingStatisticSummaries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sum| {
                let requests = sum["RequestCount"].as_u64().unwrap();
                (sum["RuleName"].as_str().unwrap(), sum["Timestamp"].as_f64().unwrap(), requests)
            })
            .collect();
        assert_eq!(listed, expected);
    }

    #[test]
    fn reports_are_summed_up_by_rule_and_minute() {
        let mut summaries = Summaries::default();
        for (rule, requests, now) in [("a", 1, 61.0), ("b", 2, 62.0), ("a", 3, 119.9), ("a", 4, 120.0)] {
            summaries.add(rule, counts(requests), now);
        }
        check(&mut summaries, 120.0, &[("a", 60.0, 4), ("b", 60.0, 2), ("a", 120.0, 4)]);
    }

    #[test]
    fn sums_are_kept_for_an_hour() {
        let mut summaries = Summaries::default();
        summaries.add("a", counts(1), 60.0);
        check(&mut summaries, 3_659.0, &[("a", 60.0, 1)]);
        check(&mut summaries, 3_660.0, &[]);
    }

    #[test]
    fn there_are_never_more_sums_than_the_limit() {
        let mut summaries = Summaries::default();
        for rule in 0..SUMS_MAX + 10 {
            summaries.add(&format!("{rule:05}"), counts(1), 0.0);
        }
        assert_eq!(summaries.0.len(), SUMS_MAX);
        assert!(!summaries.0.contains_key(&(0, "00009".to_owned())));
    }

    #[test]
    fn sums_fit_what_clients_read() {
        let mut summaries = Summaries::default();
        summaries.add("a", counts(u64::MAX), 0.0);
        summaries.add("a", counts(u64::MAX), 0.0);
        check(&mut summaries, 0.0, &[("a", 0.0, 2_147_483_647)]);
    }
}
