//! How many sends may be open, and when the next one may start after a failure: one shared, jittered backoff
//! for all batches, so that a thousand waiting batches knock at X-Ray like one.

use std::time::{Duration, Instant};

/// First wait after X-Ray failed.
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// Longest wait while X-Ray fails: an outage is noticed to be over this soon.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// First and longest wait when credentials, permissions or the endpoint are wrong.
const MISCONFIGURED_BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// An answer slower than this is slow: eight sends of 50 documents then carry no more than 40,000 a second.
const SLOW_ANSWER: Duration = Duration::from_millis(10);

/// After a throttle the number of open sends does not grow above its floor for this long.
const CALM_AFTER_THROTTLE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Gate {
    /// Sends open at once while X-Ray is quick.
    floor: usize,
    /// Sends open at once at most.
    ceiling: usize,
    limit: usize,
    /// Failures in a row; while there are any, one probe at a time is sent.
    failures: u32,
    last_failure: Option<Instant>,
    /// When the first failure of the present row was noticed.
    failing_since: Option<Instant>,
    last_throttle: Option<Instant>,
    resume_at: Option<Instant>,
    /// Moving average of the time an answer takes.
    answer_time: Duration,
    random: fastrand::Rng,
}

impl Gate {
    pub(super) fn new(floor: usize, ceiling: usize) -> Self {
        Self {
            floor,
            ceiling: ceiling.max(floor),
            limit: floor,
            failures: 0,
            last_failure: None,
            failing_since: None,
            last_throttle: None,
            resume_at: None,
            answer_time: Duration::ZERO,
            random: fastrand::Rng::new(),
        }
    }

    /// Sends allowed at once now.
    pub(super) fn limit(&self) -> usize {
        if self.failures > 0 { 1 } else { self.limit }
    }

    /// Does not wait any longer for the next try.
    pub(super) fn hurry(&mut self) {
        self.resume_at = None;
    }

    /// When X-Ray was last known to work, if it does not now.
    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }

    /// When the next send may start, if not now.
    pub(super) fn resumes_at(&self, now: Instant) -> Option<Instant> {
        self.resume_at.filter(|&at| at > now)
    }

    pub(super) fn is_closed(&self, now: Instant) -> bool {
        self.failures > 0 || self.resume_at.is_some_and(|at| at > now)
    }

    /// None: send now. `Some(None)`: when a send completes. `Some(at)`: not before.
    #[expect(clippy::option_option, reason = "three answers, all used in one place")]
    pub(super) fn wait(&mut self, now: Instant, open: usize) -> Option<Option<Instant>> {
        if let Some(at) = self.resumes_at(now) {
            return Some(Some(at));
        }
        if open < self.limit() {
            return None;
        }
        if self.may_grow(now) {
            self.limit += 1;
            return None;
        }
        Some(None)
    }

    /// A batch waits and every send is open: worth another one while answers are slow for want of distance
    /// or speed, not for want of capacity.
    fn may_grow(&self, now: Instant) -> bool {
        let calm = self.last_throttle.is_none_or(|at| now.duration_since(at) >= CALM_AFTER_THROTTLE);
        self.failures == 0 && calm && self.answer_time >= SLOW_ANSWER && self.limit < self.ceiling
    }

    pub(super) fn succeeded(&mut self, started: Instant, now: Instant, queue_empty: bool) {
        let took = now.duration_since(started);
        self.answer_time = (self.answer_time * 7 + took) / 8;
        // An answer to a request from before the failure says nothing about X-Ray after it.
        if self.last_failure.is_some_and(|at| started < at) {
            return;
        }
        self.failures = 0;
        self.failing_since = None;
        self.resume_at = None;
        if self.limit < self.floor {
            self.limit += 1;
        } else if self.limit > self.floor && queue_empty {
            self.limit -= 1;
        }
    }

    pub(super) fn failed(&mut self, started: Instant, now: Instant) {
        self.back_off(started, now, BACKOFF_MIN, BACKOFF_MAX);
    }

    pub(super) fn misconfigured(&mut self, started: Instant, now: Instant) {
        self.back_off(started, now, MISCONFIGURED_BACKOFF.0, MISCONFIGURED_BACKOFF.1);
    }

    pub(super) fn throttled(&mut self, started: Instant, now: Instant) {
        if self.back_off(started, now, BACKOFF_MIN, BACKOFF_MAX) {
            self.limit = (self.limit / 2).max(1);
        }
        self.last_throttle = Some(now);
    }

    /// Failures of requests that were under way together count once.
    fn back_off(&mut self, started: Instant, now: Instant, min: Duration, max: Duration) -> bool {
        if self.last_failure.is_some_and(|at| started < at) {
            return false;
        }
        let doubled = min.saturating_mul(1 << self.failures.min(16)).min(max);
        self.failures += 1;
        self.last_failure = Some(now);
        self.failing_since.get_or_insert(now);
        // Half fixed, half random: never at once, never all together.
        self.resume_at = Some(now + doubled / 2 + doubled.mul_f64(self.random.f64() / 2.0));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(start: Instant, secs: f64) -> Instant {
        start + Duration::from_secs_f64(secs)
    }

    #[test]
    fn opens_no_more_than_its_floor_while_answers_are_quick() {
        let start = Instant::now();
        let mut gate = Gate::new(8, 128);
        gate.succeeded(start, seconds(start, 0.001), false);
        assert_eq!(gate.wait(start, 7), None);
        assert_eq!(gate.wait(start, 8), Some(None));
    }

    #[test]
    fn grows_to_its_ceiling_while_answers_are_slow_and_comes_back_when_the_queue_is_empty() {
        let start = Instant::now();
        let mut gate = Gate::new(8, 128);
        gate.succeeded(start, seconds(start, 0.1), false);
        for open in 0..128 {
            assert_eq!(gate.wait(start, open), None, "{open}");
        }
        assert_eq!(gate.wait(start, 128), Some(None));
        for _ in 0..500 {
            gate.succeeded(start, seconds(start, 0.1), true);
        }
        assert_eq!(gate.limit(), 8);
    }

    #[test]
    fn a_throttle_halves_and_forbids_growth_for_a_while() {
        let start = Instant::now();
        let mut gate = Gate::new(8, 128);
        gate.throttled(start, seconds(start, 0.1));
        assert_eq!(gate.limit(), 1, "one probe until it is answered");
        gate.succeeded(seconds(start, 1.0), seconds(start, 1.5), false);
        assert_eq!(gate.limit(), 5, "half, and one for the success");
        let mut probe = |secs| gate.wait(seconds(start, secs), 5).is_none();
        assert!(!probe(9.0));
        assert!(probe(10.2));
    }

    #[test]
    fn failures_in_a_row_double_the_wait_up_to_its_bound() {
        let start = Instant::now();
        let mut gate = Gate::new(8, 128);
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..8 {
            gate.failed(now, now);
            let Some(Some(resume_at)) = gate.wait(now, 0) else {
                panic!("the gate is closed after a failure")
            };
            waits.push(resume_at.duration_since(now).as_secs_f64());
            now = resume_at;
        }
        for (count, wait) in waits.iter().enumerate() {
            let doubled = (0.1 * 2_f64.powi(i32::try_from(count).unwrap())).min(5.0);
            assert!((doubled / 2.0..=doubled).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn failures_of_requests_that_were_under_way_together_count_once() {
        let start = Instant::now();
        let mut gate = Gate::new(8, 128);
        for _ in 0..8 {
            gate.failed(start, seconds(start, 5.0));
        }
        let Some(Some(resume_at)) = gate.wait(seconds(start, 5.0), 0) else { panic!("closed") };
        assert!(resume_at <= seconds(start, 5.0) + BACKOFF_MIN);
    }

    #[test]
    fn an_answer_to_an_earlier_request_does_not_end_a_backoff() {
        let start = Instant::now();
        let mut gate = Gate::new(8, 128);
        gate.failed(start, seconds(start, 1.0));
        gate.succeeded(start, seconds(start, 1.01), false);
        assert!(matches!(gate.wait(seconds(start, 1.02), 0), Some(Some(_))));
        gate.succeeded(seconds(start, 1.5), seconds(start, 1.6), false);
        assert_eq!(gate.wait(seconds(start, 1.6), 7), None);
    }

    #[test]
    fn wrong_credentials_are_tried_again_every_5_to_30_seconds() {
        let start = Instant::now();
        let mut gate = Gate::new(8, 128);
        let mut now = start;
        for _ in 0..6 {
            gate.misconfigured(now, now);
            let Some(Some(resume_at)) = gate.wait(now, 0) else { panic!("closed") };
            let wait = resume_at.duration_since(now).as_secs_f64();
            assert!((2.5..=30.0).contains(&wait), "{wait}");
            now = resume_at;
        }
    }
}
