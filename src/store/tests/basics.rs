//! What a store is for.

use super::support::*;
use crate::query::{By, Source, Window};
use crate::segment::{DatagramError, InvalidCode, InvalidDocument};
use crate::store::intake::{Chunk, Intake};
use crate::store::ledger::{DropReason, RefusedReason, Transport};
use crate::store::{
    Event, Listener, OpenError, Place, PutError, Settings, Stopped, Store, SystemClock, compaction,
};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::tempdir;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn what_was_put_can_be_read_when_the_answer_is_there() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    let bad = br#"{"id":"70de5b6f19ff9a0a"}"#.to_vec();
    let judged = put(&store, &[document(1, 1), bad, document(1, 2)]).unwrap();
    let refused = InvalidDocument { id: Some("70de5b6f19ff9a0a".to_owned()), code: InvalidCode::MissingName };
    assert_eq!(judged, [Ok(()), Err(refused), Ok(())]);
    assert_eq!(texts(&store), [document(1, 1), document(1, 2)]);
    let ledger = store.ledger();
    assert_eq!((ledger.received_total(), ledger.stored, ledger.waiting), (3, 2, 0));
    assert!(ledger.balances());
}

#[test]
fn datagrams_are_stored_after_a_moment_and_bad_ones_are_remembered() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    let invalid = document_with(7, 1, r#","parent_id":"x","secret":"s""#);
    let datagrams = [datagram(&document(1, 1)), b"no header".to_vec(), datagram(&invalid)];
    let mut refused = Vec::new();
    store.offer_datagrams(datagrams.iter().map(Vec::as_slice), |error| refused.push(error));
    assert_eq!(refused, [DatagramError::MissingHeader]);
    assert_eq!((store.ledger().waiting, store.ledger().balances()), (2, true));
    world.advance(&store, Duration::from_millis(50));
    until(&store, || store.ledger().waiting == 0);
    assert_eq!(texts(&store), [document(1, 1)]);
    assert!(store.ledger().balances());
    let reasons: Vec<_> = store.ledger().refused_by().filter(|(_, count)| *count > 0).collect();
    let invalid = RefusedReason::Invalid(InvalidCode::InvalidParentId);
    assert_eq!(reasons, [(RefusedReason::Datagram(DatagramError::MissingHeader), 1), (invalid, 1)]);
    let newest = store.refusals().remove(0);
    assert_eq!((newest.reason, newest.transport), (invalid, Transport::Udp));
    assert_eq!(newest.id.as_deref(), Some("0000000000000001"));
    assert_eq!(newest.trace_id, Some(trace_id(7).to_string()));
    assert!(!format!("{newest:?}").contains("secret"));
}

#[test]
fn a_document_that_is_not_quite_json_is_kept_both_as_it_is_and_repaired() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    let odd = document_with(1, 1, r#","metadata":{"x":NaN}"#);
    for sealed in [false, true] {
        if sealed {
            seal(&store);
        } else {
            offer(&store, std::slice::from_ref(&odd));
            flush(&store);
        }
        assert_eq!(texts(&store), [odd.as_slice()], "{sealed}");
        let stored = store.documents(&[trace_id(1)]).unwrap().remove(0).remove(0);
        let read: serde_json::Value = serde_json::from_slice(&stored.document).unwrap();
        assert_eq!(read["metadata"]["x"], serde_json::Value::Null);
    }
}

#[test]
fn spans_become_documents_and_those_that_were_not_sampled_are_counted() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures/otel-python");
    let capture = |name: &str| std::fs::read(captures.join(name)).unwrap();
    let body = |name: &str| capture(name).splitn(2, |&byte| byte == b'\n').nth(1).unwrap().to_vec();
    let bytes = |name: &str| BASE64_STANDARD.decode(&body(name)[3..]).unwrap();
    // Two messages behind each other are one with the spans of both.
    let both = [bytes("001-otlp-T1S.dgram"), bytes("002-otlp-T1S.dgram")].concat();
    let sampled = format!("T1S{}", BASE64_STANDARD.encode(both)).into_bytes();
    let spans = crate::segment::otlp::documents(&sampled).unwrap();
    assert_eq!(spans.len(), 2);
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    let datagrams = [datagram(&sampled), capture("003-otlp-T1U.dgram"), datagram(b"T1SAAAA")];
    store.offer_datagrams(datagrams.iter().map(Vec::as_slice), |_| {});
    flush(&store);
    assert_eq!(texts(&store), spans.iter().map(String::as_bytes).collect::<Vec<_>>());
    let ledger = store.ledger();
    assert_eq!((ledger.stored, ledger.received_total()), (spans.len() as u64, spans.len() as u64 + 2));
    let reasons: Vec<_> = ledger.refused_by().filter(|(_, count)| *count > 0).collect();
    assert_eq!(reasons, [(RefusedReason::Otlp, 1), (RefusedReason::Unsampled, 1)]);
    assert!(ledger.balances());
    assert_eq!(store.refusals().len(), 1);
    let parse_error = InvalidDocument { id: None, code: InvalidCode::ParseError };
    assert_eq!(put(&store, &[b"T1SAAAA".to_vec(), sampled]), Ok(vec![Err(parse_error), Ok(())]));
}

#[test]
fn a_full_intake_drops_datagrams_and_tells_others_to_come_again() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(Settings { intake_bytes: 1000, ..settings(folder.path()) });
    let large = document_with(1, 1, &format!(r#","metadata":"{}""#, "x".repeat(600)));
    offer(&store, &[large.clone(), large.clone()]);
    let dropped: Vec<_> = store.ledger().dropped_by().collect();
    assert_eq!(dropped[0], (DropReason::Memory, 1));
    assert_eq!(put(&store, std::slice::from_ref(&large)), Err(PutError::Busy));
    assert_eq!(put(&store, &[large.clone(), large.clone()]), Err(PutError::TooLarge));
    flush(&store);
    assert_eq!(put(&store, &[large]), Ok(vec![Ok(())]), "there is room again");
    assert!(store.ledger().balances());
}

#[test]
fn what_is_sealed_is_read_from_a_block_also_by_the_next_run() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    offer(&store, &[document(2, 1), document(1, 2), document(2, 3)]);
    seal(&store);
    let status = store.status();
    assert_eq!((status.blocks, status.head_documents, status.documents), (1, 0, 3));
    assert!(files(folder.path(), ".wal").is_empty());
    let names = files(folder.path(), ".parquet");
    let name = names[0].strip_prefix(folder.path()).unwrap().to_str().unwrap();
    assert_eq!(name, "date=2026-11-25/0000000000000001-0000000000000003.parquet");
    offer(&store, &[document(1, 4)]);
    let before = {
        flush(&store);
        everything(&store)
    };
    let stopped = store.stop(MINUTE);
    assert_eq!(stopped, Stopped { in_time: true, unsealed: 0, unwritten: 0, waiting: 0 });
    assert_eq!(everything(&store), before, "a stopped store can still be read");
    assert_eq!(put(&store, &[document(1, 1)]), Err(PutError::Stopping));
    offer(&store, &[document(1, 1)]);
    assert!(store.ledger().balances());
    drop(store);
    let store = world.open(settings(folder.path()));
    assert_eq!(everything(&store), before);
    assert_eq!(store.ledger().recovered, 0);
    put(&store, &[document(1, 5)]).unwrap();
    assert_eq!(everything(&store).last().unwrap().0, 5, "sequences go on");
}

#[test]
fn what_is_in_the_log_alone_is_recovered() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    put(&store, &[document(2, 1), document(1, 2)]).unwrap();
    offer(&store, &[document(3, 3)]);
    let received = everything(&store)[0].1;
    drop(store);
    world.advance_closed(HOUR);
    let store = world.open(settings(folder.path()));
    let found = everything(&store);
    assert_eq!(found.len(), 3, "what waited was written when the store was dropped");
    assert!(found.iter().all(|(_, at, _)| *at == received), "the time of receipt stays");
    let ledger = store.ledger();
    assert_eq!((ledger.recovered, ledger.stored, ledger.received_total()), (3, 3, 0));
    assert!(ledger.balances());
    until(&store, || store.status().blocks == 1);
    assert_eq!(everything(&store), found);
}

#[test]
fn one_directory_has_one_store() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    let second = Store::open(settings(folder.path()), Arc::new(SystemClock::default()), Listener::none());
    assert!(matches!(&second, Err(OpenError::Busy { path }) if path == folder.path()), "{second:?}");
    assert!(second.unwrap_err().to_string().contains("another process uses the store"));
    drop(store);
    world.open(settings(folder.path()));
}

#[test]
fn a_directory_that_cannot_be_one_is_an_error() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "").unwrap();
    let opened = Store::open(settings(&path), Arc::new(SystemClock::default()), Listener::none());
    assert!(matches!(opened, Err(OpenError::Io { .. })));
}

#[test]
fn documents_become_a_block_when_they_are_many_or_old() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(Settings { generation_bytes: 20_000, ..settings(folder.path()) });
    put(&store, &[document(1, 1)]).unwrap();
    world.advance(&store, 29 * MINUTE);
    flush(&store);
    assert_eq!(store.status().blocks, 0);
    world.advance(&store, MINUTE);
    until(&store, || store.status().blocks == 1);
    let many: Vec<_> = (0..40).map(|id| document(2, id)).collect();
    put(&store, &many).unwrap();
    until(&store, || store.status().blocks == 2);
    assert_eq!(everything(&store).len(), 41);
}

#[test]
fn each_day_has_blocks_of_its_own_even_when_the_clock_is_set_back() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    put(&store, &[document(1, 1)]).unwrap();
    world.set_back(HOUR);
    put(&store, &[document(1, 2)]).unwrap();
    world.advance(&store, 2 * HOUR);
    put(&store, &[document(1, 3)]).unwrap();
    seal(&store);
    let days = |day: &str| files(&folder.path().join(format!("date={day}")), ".parquet").len();
    assert_eq!((days("2026-11-24"), days("2026-11-25")), (1, 2));
    assert_eq!(texts(&store), [document(1, 1), document(1, 2), document(1, 3)]);
    assert_eq!(store.ledger().waiting, 0);
}

#[test]
fn documents_that_were_received_around_midnight_are_all_dealt_with() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    // One chunk, since what is between the documents is no time that passes.
    offer(&store, &[document(1, 1), b"{}".to_vec()]);
    world.set_back(HOUR);
    offer(&store, &[document(1, 2), b"{}".to_vec()]);
    flush(&store);
    let ledger = store.ledger();
    assert_eq!((ledger.stored, ledger.refused_total(), ledger.waiting), (2, 2, 0));
    assert!(ledger.balances());
    // What they were charged is given back, once.
    assert_eq!(store.shared.intake.charged(), 0);
}

#[test]
fn datagrams_do_not_wait_behind_what_comes_over_http() {
    let clock = World::new();
    let intake = Intake::new(1_000_000, clock.clock.clone());
    let first = datagram(&document(1, 1));
    intake.offer([first.as_slice()].into_iter(), |_| {});
    let chunk = |id| {
        let mut chunk = Chunk::new(Transport::Http);
        chunk.push(&document(1, id), 0);
        chunk
    };
    let _put = intake.put(chunk(2)).unwrap();
    assert_eq!(intake.take(None).jobs.len(), 1, "the datagram may still wait for others");
    clock.advance_closed(Duration::from_millis(50));
    let _put = intake.put(chunk(3)).unwrap();
    assert_eq!(intake.take(None).jobs.len(), 2);
}

#[test]
fn a_block_of_what_was_in_memory_has_small_row_groups_and_one_of_blocks_has_large_ones() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    let groups = || {
        let view = store.shared.view.get();
        view.blocks.iter().map(|part| part.block.groups_in(&always()).count()).collect::<Vec<_>>()
    };
    for first in [0, 5_000, 10_000] {
        let documents: Vec<_> = (first..first + 5_000).map(|id| document(id, id)).collect();
        put(&store, &documents).unwrap();
        seal(&store);
    }
    assert_eq!(groups(), [2, 2, 2]);
    world.advance_closed(24 * HOUR);
    // The store's own thread may have begun, or be done.
    until(&store, || {
        compaction::compact_once(&store.shared);
        groups() == [1]
    });
}

#[test]
fn what_is_too_old_is_deleted() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(Settings { retention: 48 * HOUR, ..settings(folder.path()) });
    put(&store, &[document(1, 1)]).unwrap();
    seal(&store);
    world.advance(&store, 24 * HOUR);
    put(&store, &[document(1, 2)]).unwrap();
    seal(&store);
    world.advance(&store, 24 * HOUR + MINUTE);
    until(&store, || store.status().blocks == 1);
    assert_eq!(texts(&store), [document(1, 2)]);
    until(&store, || store.status().expired == 1);
    assert!(store.ledger().balances(), "what has expired was stored");
    until(&store, || !folder.path().join("date=2026-11-25").exists());
    until(&store, || world.take_events().contains(&Event::Expired { documents: 1 }));
}

#[test]
fn the_oldest_blocks_make_room() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    for id in 0..4 {
        put(&store, &[document(1, id)]).unwrap();
        seal(&store);
    }
    let bytes = store.status().bytes;
    store.stop(MINUTE);
    drop(store);
    let store = world.open(Settings { max_bytes: bytes - 1, ..settings(folder.path()) });
    until(&store, || store.status().blocks == 3);
    assert_eq!(texts(&store), [document(1, 1), document(1, 2), document(1, 3)]);
    until(&store, || files(folder.path(), ".parquet").len() == 3);
}

#[test]
fn many_small_blocks_become_one() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    for id in 0..8 {
        put(&store, &[document(id % 3, id)]).unwrap();
        seal(&store);
    }
    let before = everything(&store);
    until(&store, || store.status().blocks == 1);
    assert_eq!(everything(&store), before);
    until(&store, || files(folder.path(), ".parquet").len() == 1);
    let names = files(folder.path(), ".parquet");
    assert!(names[0].ends_with("0000000000000001-0000000000000008.parquet"));
    assert_eq!(compaction::compact_once(&store.shared), compaction::Compacted::Nothing);
}

#[test]
fn whoever_listens_hears_of_each_document() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    put(&store, &[document(1, 1)]).unwrap();
    let mut tail = store.subscribe();
    put(&store, &[document(2, 2), b"{}".to_vec(), document(3, 3)]).unwrap();
    let heard: Vec<_> = std::iter::from_fn(|| tail.try_recv().ok()).collect();
    assert_eq!(heard, [trace_id(2), trace_id(3)]);
}

#[test]
fn export_shows_what_is_in_the_window_until_it_is_told_to_end() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    put(&store, &[document(1, 1)]).unwrap();
    seal(&store);
    world.advance(&store, HOUR);
    put(&store, &[document(2, 2), document(3, 3)]).unwrap();
    let shown = |window: &Window, most: usize| {
        let mut shown = Vec::new();
        store.each_raw(window, |kept| {
            shown.push(kept.record.id.0);
            if shown.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        shown
    };
    assert_eq!(shown(&always(), 9), [1, 2, 3]);
    assert_eq!(shown(&always(), 1), [1]);
    assert_eq!(shown(&always(), 2), [1, 2]);
    let begin = BEGIN as f64 / 1e6;
    assert_eq!(shown(&Window { by: By::Received, from: begin, until: begin + 3600.0 }, 9), [1]);
    assert_eq!(shown(&Window { by: By::Received, from: begin + 3600.0, until: 1e12 }, 9), [2, 3]);
    assert_eq!(shown(&Window { by: By::End, from: 0.0, until: 2.5 }, 9), [0_u64; 0]);
}

#[track_caller]
fn check_account(settings: &Settings, survives: bool) {
    let world = World::new();
    let store = world.open(settings.clone());
    assert_eq!(store.load_account().unwrap(), None);
    for account in [&b"{}"[..], b"more"] {
        store.save_account(account).unwrap();
        assert_eq!(store.load_account().unwrap().as_deref(), Some(account));
    }
    drop(store);
    assert_eq!(world.open(settings.clone()).load_account().unwrap().is_some(), survives);
}

#[test]
fn the_account_is_kept_beside_the_documents() {
    let folder = tempdir().unwrap();
    check_account(&settings(folder.path()), true);
    check_account(&Settings::new(Place::Memory), false);
}

#[test]
fn a_store_in_memory_keeps_the_newest() {
    let world = World::new();
    let store = world.open(Settings { max_bytes: 200_000, retention: HOUR, ..Settings::new(Place::Memory) });
    let all: Vec<_> = (0..1_000).map(|id| document(id / 2, id)).collect();
    for some in all.chunks(10) {
        put(&store, some).unwrap();
    }
    until(&store, || store.status().bytes <= 200_000);
    let left = texts(&store);
    assert!(left.len() > 100 && all.ends_with(&left), "{}", left.len());
    until(&store, || store.status().expired == 1_000 - left.len() as u64);
    assert_eq!((store.ledger().stored, store.ledger().balances()), (1_000, true));
    seal(&store);
    world.advance(&store, HOUR + 2 * MINUTE);
    until(&store, || store.status().documents == 0);
    assert_eq!(store.stop(MINUTE), Stopped { in_time: true, unsealed: 0, unwritten: 0, waiting: 0 });
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, world) = (tempdir().unwrap(), World::new());
    let path = folder.path().join("store");
    let store = world.open(settings(&path));
    put(&store, &[document(1, 1)]).unwrap();
    seal(&store);
    put(&store, &[document(1, 2)]).unwrap();
    store.save_account(b"{}").unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let all = files(&path, "");
    assert!(all.len() >= 4, "{all:?}");
    for file in all {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn what_nobody_offers_again_is_counted() {
    let (folder, world) = (tempdir().unwrap(), World::new());
    let store = world.open(settings(folder.path()));
    store.not_taken(Transport::Http, 2, PutError::Busy);
    store.not_taken(Transport::Http, 1, PutError::Stopping);
    let ledger = store.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    assert_eq!((ledger.received_total(), ledger.dropped_total()), (3, 3));
}
