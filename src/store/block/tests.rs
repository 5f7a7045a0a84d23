use super::write::write_with;
use super::*;
use crate::query::{Outcome, Record, SegmentId, Stored};
use crate::segment::Kind;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::fs;

/// Small enough that a few dozen rows make several row groups of several pages.
pub(crate) const SMALL: Limits = Limits { group_rows: 6, group_bytes: 4096, page_rows: 4 };

/// A block of these rows, in a folder that goes with it.
pub(crate) fn block(rows: &[Kept]) -> (tempfile::TempDir, Block) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block.parquet");
    write_with(&path, SMALL, rows).unwrap();
    let block = Block::open(&path).unwrap();
    (folder, block)
}

pub(crate) fn all_of(block: &Block) -> Result<Vec<Kept>, BlockError> {
    let mut all = Vec::new();
    block.kept(|kept| all.push(kept)).map(|()| all)
}

fn optional(text: &'static str) -> impl Strategy<Value = Option<Box<str>>> {
    prop::option::of(text.prop_map(String::into_boxed_str))
}

fn ids() -> impl Strategy<Value = (u128, u64, Option<u64>, bool)> {
    let trace = prop_oneof![0_u128..12, any::<u128>()];
    (trace, prop_oneof![0_u64..4, any::<u64>()], prop::option::of(any::<u64>()), any::<bool>())
}

fn times() -> impl Strategy<Value = (u64, i64, f64, Option<f64>)> {
    let start =
        prop_oneof![0.0..1e4, any::<f64>().prop_filter("JSON has no others", |start| start.is_finite())];
    let sequence = prop_oneof![0_u64..1000, 0..i64::MAX.cast_unsigned()];
    (sequence, 0_i64..10_000_000_000, start, prop::option::of(0.0..1e4))
}

prop_compose! {
    /// A document whose texts are not always plain.
    pub(crate) fn any_kept()(
        (trace_id, id, parent_id, segment) in ids(),
        (sequence, received, start, end) in times(),
        (error, fault, throttle, status) in any::<(bool, bool, bool, Option<i32>)>(),
        name in "[a-c\u{e9}]{0,3}",
        (origin, account_id, url, method) in (optional("[ab]"), optional("[0-9]{0,3}"), optional(".{0,9}"), optional("GET|PUT")),
        (user_agent, client_ip, user) in (optional("[a-z]{2}"), optional("[0-9.]{0,5}"), optional(".{0,3}")),
        (availability_zone, instance_id, resource_arn) in (optional("[ab]"), optional("[ab]"), optional("[ab]")),
        (annotations, calls, locals) in ("(\\{\"a\":[0-9]{1,5}\\})?", "(\\[[0-9]{1,60}\\])?", "([0-9a-f]{16}){0,2}"),
        document in "\\{\"a\":\".{0,200}\"\\}",
        raw in prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
    ) -> Kept {
        let record = Record {
            trace_id: TraceId(trace_id), id: SegmentId(id), parent_id: parent_id.map(SegmentId),
            kind: if segment { Kind::Segment } else { Kind::Subsegment },
            sequence, received_at: seconds(received), start, end,
            outcome: Outcome { error, fault, throttle }, status, name: name.into(), origin, account_id, url, method,
            user_agent, client_ip, user, availability_zone, instance_id, resource_arn,
            annotations: annotations.into(), calls: calls.into(), locals: locals.into(),
        };
        Kept { record, document: document.into(), raw: raw.map(Bytes::from) }
    }
}

/// As blocks hold them.
pub(crate) fn sorted(mut rows: Vec<Kept>) -> Vec<Kept> {
    rows.sort_by_key(Kept::key);
    rows.dedup_by_key(|kept| kept.key());
    rows
}

/// Rows of many traces, one of them longer than a row group may be.
fn rows() -> Vec<Kept> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let made = (0..90_u64).map(|number| {
        let mut kept = any_kept().new_tree(&mut runner).unwrap().current();
        kept.record.trace_id = TraceId(if number < 40 { 7 << 90 } else { u128::from(number / 3) << 90 });
        kept.record.sequence = number;
        kept
    });
    sorted(made.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn property_what_is_written_is_read(rows in prop::collection::vec(any_kept(), 1..60)) {
        let rows = sorted(rows);
        let (_folder, block) = block(&rows);
        prop_assert_eq!(all_of(&block).unwrap(), rows.clone());
        let summary = block.summary();
        prop_assert_eq!(summary.rows, rows.len() as u64);
        prop_assert_eq!(summary.trace_ids, Some((rows[0].record.trace_id, rows[rows.len() - 1].record.trace_id)));
        let range = |of: &dyn Fn(&Record) -> Option<f64>| {
            let all = rows.iter().filter_map(|kept| of(&kept.record));
            all.fold(None, |range: Option<(f64, f64)>, time| {
                Some(range.map_or((time, time), |(first, last)| (first.min(time), last.max(time))))
            })
        };
        prop_assert_eq!(summary.starts, range(&|record| Some(record.start)));
        prop_assert_eq!(summary.ends, range(&|record| record.end));
        prop_assert_eq!(summary.receipts, range(&|record| Some(record.received_at)));
        prop_assert_eq!(summary.sequences.map(|(first, last)| (first as f64, last as f64)),
            range(&|record| Some(record.sequence as f64)));
        let mut asked: Vec<_> = rows.iter().map(|kept| kept.record.trace_id).chain([TraceId(5), TraceId(77)]).collect();
        asked.sort();
        asked.dedup();
        let mut shown = Vec::new();
        block.documents(&asked, |trace, stored| shown.push((trace, stored))).unwrap();
        let expected: Vec<(TraceId, Stored)> = rows.iter().map(|kept| (kept.record.trace_id, kept.stored())).collect();
        prop_assert_eq!(shown, expected);
    }
}

#[test]
fn a_trace_is_split_only_when_it_is_larger_than_four_row_groups() {
    let (_folder, block) = block(&rows());
    let split = block.groups.windows(2).filter(|pair| pair[0].last == pair[1].first);
    assert_eq!(split.map(|pair| (pair[0].last, pair[0].rows)).collect::<Vec<_>>(), [(TraceId(7 << 90), 24)]);
    assert!(
        block.groups.len() > 5 && block.groups[2..].iter().all(|group| group.rows < 24),
        "{:?}",
        block.groups
    );
}

#[test]
fn a_block_is_there_as_a_whole_or_not_at_all() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block.parquet");
    let names = || fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let mut rows = rows();
    let summary = write(&path, &rows).unwrap();
    assert_eq!(names(), ["block.parquet"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(summary, *Block::open(&path).unwrap().summary());
    assert_eq!(summary.bytes, fs::metadata(&path).unwrap().len());
    rows.swap(3, 50);
    let other = folder.path().join("other.parquet");
    assert!(matches!(write(&other, &rows), Err(BlockError::Unsorted { .. })));
    assert_eq!(names(), ["block.parquet"], "what was begun is gone");
    assert!(matches!(write(&folder.path().join("no/such"), &rows), Err(BlockError::Io { .. })));
}

#[test]
fn a_block_without_rows_is_a_block() {
    let (_folder, block) = block(&[]);
    assert_eq!((block.summary().rows, block.summary().trace_ids, block.summary().starts), (0, None, None));
    assert_eq!(all_of(&block).unwrap(), []);
    block.documents(&[TraceId(1)], |_, _| unreachable!("there is none")).unwrap();
}

#[test]
fn a_file_that_is_no_block_of_ours_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block.parquet");
    let damaged = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        match Block::open(&path) {
            Err(BlockError::Damaged { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    damaged(b"");
    damaged(&[0; 100]);
    damaged(b"PAR1\0\0\0\0PAR1");
    write(&path, rows()).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        damaged(&whole[..length]);
    }
    let version = whole.windows(12).rposition(|bytes| bytes == schema::VERSION_KEY.as_bytes()).unwrap();
    let mut newer = whole.clone();
    newer[version + 14] = b'2';
    assert_eq!(damaged(&newer), "its schema has version 2, not 1");
    newer[version] = b'y';
    assert_eq!(damaged(&newer), "it was not written by xrayd");
    assert!(matches!(Block::open(folder.path()), Err(BlockError::Io { .. })));
}

/// Whatever byte is changed: it is noticed, or it did not matter.
#[test]
fn a_changed_byte_is_never_a_changed_row() {
    let rows = &rows()[30..50];
    let (folder, whole) = block(rows);
    let traces: Vec<_> = whole.groups.iter().map(|group| group.first).collect();
    let bytes = fs::read(whole.path()).unwrap();
    let path = folder.path().join("changed.parquet");
    let (mut noticed, mut unhurt) = (0, 0);
    for at in (0..bytes.len()).step_by(37) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, &changed).unwrap();
        let Ok(block) = Block::open(&path) else {
            noticed += 1;
            continue;
        };
        match all_of(&block) {
            Ok(read) => {
                assert_eq!(read, rows, "byte {at}");
                unhurt += 1;
            }
            Err(BlockError::Damaged { .. }) => noticed += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
        // The single pages that this reads have no checksum; but it must come back.
        let _ = block.documents(&traces, |_, _| {});
    }
    assert!(noticed > 100 && unhurt > 10, "{noticed} {unhurt}");
}
