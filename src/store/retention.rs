//! What is kept no longer.

/// Something that is deleted as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole {
    /// When the last document in it was received, microseconds since 1970.
    pub(super) last_received: u64,
    pub(super) bytes: u64,
}

/// What is to go, by position: what is too old as a whole, and of the rest, which comes oldest first, as many as it takes
/// for all to fit. `other_bytes` belong to what cannot be deleted.
pub(super) fn expired(
    wholes: &[Whole],
    other_bytes: u64,
    keep_since: u64,
    max_bytes: u64,
) -> impl Iterator<Item = usize> {
    let is_old = move |whole: &Whole| whole.last_received < keep_since;
    let left = wholes.iter().filter(|whole| !is_old(whole)).map(|whole| whole.bytes).sum::<u64>();
    let mut over = (left + other_bytes).saturating_sub(max_bytes);
    wholes.iter().enumerate().filter_map(move |(at, whole)| {
        if is_old(whole) {
            return Some(at);
        }
        let goes = over > 0;
        over = over.saturating_sub(whole.bytes);
        goes.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wholes: &[(u64, u64)], other_bytes: u64, max_bytes: u64, expected: &[usize]) {
        let wholes: Vec<_> =
            wholes.iter().map(|&(last_received, bytes)| Whole { last_received, bytes }).collect();
        let gone: Vec<_> = expired(&wholes, other_bytes, 100, max_bytes).collect();
        assert_eq!(gone, expected);
    }

    #[test]
    fn what_is_too_old_goes_wherever_it_stands() {
        check(&[(99, 10), (100, 10), (98, 10), (101, 10)], 0, 1_000, &[0, 2]);
    }

    #[test]
    fn the_oldest_make_room() {
        check(&[(100, 10), (101, 10), (102, 10)], 0, 30, &[]);
        check(&[(100, 10), (101, 10), (102, 10)], 0, 29, &[0]);
        check(&[(100, 10), (101, 10), (102, 10)], 5, 20, &[0, 1]);
        check(&[(99, 10), (101, 10), (102, 10)], 0, 20, &[0]);
        check(&[(100, 10)], 50, 20, &[0]);
        check(&[], 50, 20, &[]);
    }
}
