//! How times spread: counts in bins whose width grows with the time.
//!
//! X-Ray draws its histograms with t-digests, whose bins nobody can reproduce; what clients can rely on is that the counts
//! add up and that each value is the mean of the times in its bin. Both hold here, and fixed bins have the same result
//! in whatever order, and on however many threads, the times were counted.

use serde::Serialize;

/// Times below this, 64 µs, are one bin.
const SHORTEST_BITS: u32 = 6;
/// Times from this on, some 18 minutes, are one bin.
const LONGEST_BITS: u32 = 30;
/// Each doubling of the time is cut into this many bins, as a power of two: a bin is at most 6 % wide.
const CUT_BITS: u32 = 4;
/// Most entries of an answer, as many as X-Ray was seen to give. Neighbours are put together until it is so.
const ENTRIES_MAX: usize = 100;
const MICROS_PER_SECOND: f64 = 1e6;

/// Counts of times, in seconds. Two of them can be put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Only those that are not empty, by place.
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bin {
    place: u16,
    count: u64,
    micros: u64,
}

impl Bin {
    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.micros = self.micros.saturating_add(other.micros);
    }
}

/// A bin, as X-Ray writes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HistogramEntry {
    /// Mean of the times in it, in seconds.
    pub value: f64,
    /// How many there are.
    pub count: u64,
}

/// The time between two moments, both in seconds, as whole microseconds: whole numbers have the same sum in any order.
/// None is negative: X-Ray takes segments that end before they start.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` goes to the nearest bound")]
pub fn micros_between(start: f64, end: f64) -> u64 {
    ((end - start) * MICROS_PER_SECOND).round() as u64
}

/// Microseconds as seconds.
pub fn seconds(micros: u64) -> f64 {
    micros as f64 / MICROS_PER_SECOND
}

impl Histogram {
    /// Counts a time.
    pub fn add(&mut self, micros: u64) {
        self.put(&Bin { place: place(micros), count: 1, micros });
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for bin in &other.bins {
            self.put(bin);
        }
    }

    fn put(&mut self, bin: &Bin) {
        match self.bins.binary_search_by_key(&bin.place, |known| known.place) {
            Ok(at) => self.bins[at].merge(bin),
            Err(at) => self.bins.insert(at, *bin),
        }
    }

    /// From the shortest time to the longest.
    pub fn entries(&self) -> Vec<HistogramEntry> {
        let mut bins = self.bins.clone();
        while bins.len() > ENTRIES_MAX {
            for bin in &mut bins {
                bin.place /= 2;
            }
            bins.dedup_by(|next, kept| {
                let same = next.place == kept.place;
                if same {
                    kept.merge(next);
                }
                same
            });
        }
        bins.iter()
            .map(|bin| HistogramEntry { value: seconds(bin.micros / bin.count), count: bin.count })
            .collect()
    }
}

/// The bin of a time: 0, then 16 for each doubling from the shortest on, then the last.
fn place(micros: u64) -> u16 {
    let bits = micros.checked_ilog2().unwrap_or(0).min(LONGEST_BITS);
    if bits < SHORTEST_BITS {
        return 0;
    }
    let cut = if bits == LONGEST_BITS { 0 } else { (micros >> (bits - CUT_BITS)) & ((1 << CUT_BITS) - 1) };
    let place = (u64::from(bits - SHORTEST_BITS) << CUT_BITS) + cut + 1;
    u16::try_from(place).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &micros in times {
            histogram.add(micros);
        }
        histogram
    }

    #[track_caller]
    fn check(times: &[u64], expected: &[(f64, u64)]) {
        let found: Vec<_> = of(times).entries().iter().map(|entry| (entry.value, entry.count)).collect();
        assert_eq!(found, expected, "{times:?}");
    }

    #[test]
    fn a_value_is_the_mean_of_the_times_in_its_bin() {
        check(&[], &[]);
        check(&[1_250_000], &[(1.25, 1)]);
        check(&[2_500_000, 1_250_000, 1_250_000], &[(1.25, 2), (2.5, 1)]);
        check(&[1_000_000, 1_010_000], &[(1.005, 2)]);
        check(&[0, 63, 64], &[(0.000_031, 2), (0.000_064, 1)]);
        check(&[1_073_741_824, 5_000_000_000], &[(3_036.870_912, 2)]);
    }

    #[test]
    fn there_are_never_more_entries_than_x_ray_gives() {
        let longer = |time: &u64| Some(time + time / 200 + 1);
        let spread: Vec<u64> = std::iter::successors(Some(1), longer).take(4_000).collect();
        let histogram = of(&spread);
        assert!(histogram.bins.len() > 2 * ENTRIES_MAX, "{}", histogram.bins.len());
        let entries = histogram.entries();
        assert!((ENTRIES_MAX / 2..=ENTRIES_MAX).contains(&entries.len()), "{}", entries.len());
        assert_eq!(entries.iter().map(|entry| entry.count).sum::<u64>(), 4_000);
        assert!(entries.windows(2).all(|pair| pair[0].value < pair[1].value));
    }

    #[test]
    fn a_time_is_whole_microseconds_and_never_negative() {
        assert_eq!(micros_between(1_790_161_971.125, 1_790_161_971.135), 10_000);
        assert_eq!(micros_between(10.0, 9.0), 0);
        assert_eq!(micros_between(f64::NEG_INFINITY, 1.0), u64::MAX);
        assert_eq!(micros_between(f64::NAN, 1.0), 0);
    }

    proptest! {
        #[test]
        fn property_a_longer_time_is_in_no_earlier_bin(one: u64, other: u64) {
            let (shorter, longer) = (one.min(other), one.max(other));
            prop_assert!(place(shorter) <= place(longer));
        }

        #[test]
        fn property_parts_put_together_are_the_whole(times: Vec<u64>, at: prop::sample::Index) {
            let (left, right) = times.split_at(at.index(times.len() + 1));
            let mut together = of(right);
            together.merge(&of(left));
            prop_assert_eq!(together, of(&times));
        }
    }
}
