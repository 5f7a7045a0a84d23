use super::*;
use crate::query::{By, Stored};
use crate::store::block::TRACE_SECONDS_MAX;
use crate::store::block::tests::{all_of, any_kept, block, sorted};
use crate::store::kept::Kept;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ALWAYS: Window = Window { by: By::Start, from: f64::NEG_INFINITY, until: f64::INFINITY };

/// What a fold shows, by trace.
fn shown(blocks: &[&Block], live: &[&Record], window: &Window, columns: Columns) -> Vec<Vec<Record>> {
    let each =
        |shown: &mut Vec<Vec<Record>>, rows: &[Row<'_>]| shown.push(rows.iter().map(Record::from).collect());
    let folded = fold(blocks, live, window, columns, &Vec::new, &each);
    assert!(folded.damaged.is_empty(), "{:?}", folded.damaged);
    let mut all: Vec<_> = folded.folded.into_iter().flatten().collect();
    all.sort_by_key(|rows| rows[0].trace_id);
    all
}

/// What it must show.
fn model(rows: &[Kept]) -> Vec<Vec<Record>> {
    let mut traces: BTreeMap<TraceId, Vec<Row<'_>>> = BTreeMap::new();
    for kept in rows {
        traces.entry(kept.record.trace_id).or_default().push(kept.record.row());
    }
    let settled = traces.into_values().map(|mut rows| {
        settle(&mut rows);
        rows.iter().map(Record::from).collect()
    });
    settled.collect()
}

/// Rows dealt out to blocks and, last, to the live head. Sequences are given once, as the store does.
fn any_parts() -> impl Strategy<Value = Vec<Vec<Kept>>> {
    prop::collection::vec((any_kept(), 0_usize..4), 0..120).prop_map(|rows| {
        let mut parts = vec![Vec::new(); 4];
        for (sequence, (mut kept, part)) in rows.into_iter().enumerate() {
            kept.record.sequence = sequence as u64;
            parts[part].push(kept);
        }
        parts.into_iter().map(sorted).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn property_a_fold_shows_what_a_list_of_rows_would(parts in any_parts()) {
        let (live, blocks) = parts.split_last().unwrap();
        let blocks: Vec<_> = blocks.iter().map(|rows| block(rows)).collect();
        let blocks: Vec<_> = blocks.iter().map(|(_, block)| block).collect();
        let live: Vec<_> = live.iter().map(|kept| &kept.record).collect();
        prop_assert_eq!(shown(&blocks, &live, &ALWAYS, Columns::ALL), model(&parts.concat()));
    }

    #[test]
    fn property_blocks_become_one_with_all_their_rows(parts in any_parts()) {
        let blocks: Vec<_> = parts.iter().map(|rows| block(rows)).collect();
        let mut inputs: Vec<_> = blocks.iter().map(|(_, block)| block).collect();
        inputs.push(inputs[0]);
        let output = blocks[0].0.path().join("output.parquet");
        let summary = compact(&inputs, &output).unwrap();
        let output = Block::open(&output).unwrap();
        prop_assert_eq!(&summary, output.summary());
        prop_assert_eq!(all_of(&output).unwrap(), sorted(parts.concat()));
    }
}

fn kept(trace: u128, id: u64, sequence: u64, time: f64) -> Kept {
    let document = format!(
        r#"{{"name":"api","id":"{id:016x}","trace_id":"{}","start_time":{time},"end_time":{},
            "origin":"AWS::Lambda","user":"u","http":{{"request":{{"url":"/"}},"response":{{"status":404}}}},
            "annotations":{{"a":1}},"subsegments":[{{"id":"000000000000000a","name":"work"}},
            {{"id":"000000000000000b","name":"peer","namespace":"remote"}}],"aws":{{"account_id":"1"}}}}"#,
        TraceId(trace),
        time + 1.0,
    );
    let record =
        Record::of(&crate::segment::Document::parse(document.as_bytes()).unwrap(), sequence, time + 2.0);
    Kept { record, document: document.into(), raw: None }
}

#[test]
fn only_columns_that_are_asked_for_are_there() {
    let (_folder, block) = block(&[kept(1, 1, 1, 0.0)]);
    let read = |columns| shown(&[&block], &[], &ALWAYS, columns)[0][0].clone();
    let all = read(Columns::ALL);
    assert_eq!(all, kept(1, 1, 1, 0.0).record);
    let none = read(Columns::NONE);
    assert_eq!((none.start, none.end, none.outcome), (0.0, Some(1.0), all.outcome));
    assert_eq!((&*none.name, none.origin, none.status, &*none.calls), ("", None, None, ""));
    let some = read(Columns::NAME.and(Columns::LOCALS));
    assert_eq!((&some.name, &some.origin, &some.locals), (&all.name, &all.origin, &all.locals));
    assert_eq!((some.user, some.status, &*some.annotations, &*some.calls), (None, None, "", ""));
    let others = read(Columns::ANNOTATIONS.and(Columns::CALLS).and(Columns::STATUS).and(Columns::HTTP));
    assert_eq!((&others.annotations, &others.calls), (&all.annotations, &all.calls));
    assert_eq!((others.status, others.url, &*others.name), (Some(404), all.url, ""));
}

/// Row groups that cannot have to do with the window are not read; those of a trace that is in it, are.
#[test]
fn what_is_far_from_the_window_is_not_read() {
    let hour = TRACE_SECONDS_MAX;
    let rows: Vec<_> =
        (0..100_u32).map(|n| kept(u128::from(n) << 90, 1, n.into(), f64::from(n) * hour / 10.0)).collect();
    let (_folder, block) = block(&rows);
    let read = |by, from: f64, until: f64| {
        let all = shown(&[&block], &[], &Window { by, from, until }, Columns::NONE);
        (all[0][0].sequence, all[all.len() - 1][0].sequence)
    };
    assert_eq!(read(By::Start, 0.0, 100.0 * hour), (0, 99));
    for by in [By::Start, By::Received, By::End] {
        let (first, last) = read(by, 5.0 * hour, 5.1 * hour);
        assert!((34..=40).contains(&first) && (60..=66).contains(&last), "{by:?} {first} {last}");
    }
}

#[test]
fn a_damaged_row_group_costs_its_own_rows_only() {
    let rows: Vec<_> = (0..60).map(|n| kept(n << 90, 1, 1, 0.0)).collect();
    let (_folder, whole) = block(&rows);
    let mut bytes = std::fs::read(whole.path()).unwrap();
    bytes[10] ^= 1;
    std::fs::write(whole.path(), bytes).unwrap();
    let block = Block::open(whole.path()).unwrap();
    let count = |count: &mut usize, _: &[Row<'_>]| *count += 1;
    let folded = fold(&[&block], &[], &ALWAYS, Columns::ALL, &|| 0, &count);
    assert_eq!((folded.folded.iter().sum::<usize>(), folded.damaged.len()), (54, 1));
    let output = whole.path().with_extension("output");
    assert!(matches!(compact(&[&block], &output), Err(BlockError::Damaged { .. })));
    assert!(!output.exists());
    let mut found: Vec<Stored> = Vec::new();
    block.documents(&[TraceId(50 << 90)], |_, stored| found.push(stored)).unwrap();
    assert_eq!(found, [rows[50].stored()]);
}
