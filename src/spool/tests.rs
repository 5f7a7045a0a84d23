//! The log against a simple model of it on a disk that lives in memory, fails on command and can be cut anywhere;
//! and the folder on a real disk.

use super::disk::{Disk, DiskFile, Lock};
use super::folder::Folder;
use super::log::{Log, Note};
use super::memory::MemoryDisk;
use super::record::{FIRST_RECORD, record_bytes};
use crate::pipeline::{Batch, DropReason, Record, build_body};
use proptest::prelude::*;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// Some time in 2026, in milliseconds.
const NOW: u64 = 1_790_000_000_000;

const DAY: u64 = 24 * 3600 * 1000;

fn open(disk: &Arc<MemoryDisk>) -> Log {
    Log::open(disk.clone(), 64 << 20, 1).unwrap()
}

fn batch(documents: &[String]) -> Batch {
    build_body(documents.iter().map(String::as_bytes)).unwrap()
}

fn one(document: &str) -> Batch {
    batch(&[document.to_owned()])
}

fn texts(body: &[u8], ends: &[u32]) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let documents = body["TraceSegmentDocuments"].as_array().unwrap();
    assert_eq!(documents.len(), ends.len());
    documents.iter().map(|document| document.as_str().unwrap().to_owned()).collect()
}

fn take(log: &mut Log, now: u64) -> Option<(Record, Vec<String>)> {
    loop {
        let next = log.next(now).unwrap()?;
        if let Some(taken) = log.take(&next).unwrap() {
            return Some((taken.record, texts(&taken.body, &taken.ends)));
        }
    }
}

/// Everything that can be read, dealt with as it comes.
fn drain(log: &mut Log) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((record, documents)) = take(log, NOW) {
        all.extend(documents);
        log.finished(record);
    }
    all
}

fn lost(notes: &[Note]) -> Vec<(DropReason, usize)> {
    let lost = notes.iter().filter_map(|note| match note {
        Note::Lost { reason, documents } => Some((*reason, *documents)),
        _ => None,
    });
    lost.collect()
}

#[test]
fn what_was_written_is_read_oldest_first_and_leaves_no_file() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    for document in ["a", "b", "c"] {
        log.append(&one(document), NOW).unwrap();
    }
    assert_eq!((log.waiting(), disk.waiting_files().len()), (3, 1));
    assert_eq!(drain(&mut log), ["a", "b", "c"]);
    assert_eq!((log.waiting(), log.bytes()), (0, 0));
    assert!(disk.waiting_files().is_empty());
    log.append(&one("d"), NOW).unwrap();
    assert_eq!(drain(&mut open(&disk)), ["d"]);
}

#[test]
fn a_record_whose_try_failed_comes_again_and_one_under_way_does_not() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    for document in ["a", "b"] {
        log.append(&one(document), NOW).unwrap();
    }
    let (a, _) = take(&mut log, NOW).unwrap();
    let (b, _) = take(&mut log, NOW).unwrap();
    assert!(take(&mut log, NOW).is_none());
    log.released(a);
    assert_eq!(take(&mut log, NOW).unwrap(), (a, vec!["a".to_owned()]));
    log.finished(a);
    log.finished(b);
    assert!(disk.waiting_files().is_empty());
    // A new record that is being sent at the same time.
    let c = log.append(&one("c"), NOW).unwrap();
    log.hold(c);
    assert!(take(&mut log, NOW).is_none());
    log.released(c);
    assert_eq!(drain(&mut log), ["c"]);
}

#[test]
fn what_was_dealt_with_does_not_come_again_after_the_death_of_the_process() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    for document in ["a", "b", "c"] {
        log.append(&one(document), NOW).unwrap();
    }
    let (a, _) = take(&mut log, NOW).unwrap();
    let (_under_way, _) = take(&mut log, NOW).unwrap();
    log.finished(a);
    let mut log = open(&disk);
    assert_eq!(log.waiting(), 2);
    assert_eq!(drain(&mut log), ["b", "c"]);
}

#[test]
fn a_torn_end_is_cut_wherever_it_is_torn() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    log.append(&one("whole"), NOW).unwrap();
    let whole = usize::try_from(log.bytes()).unwrap();
    log.append(&one("torn"), NOW).unwrap();
    let all = usize::try_from(log.bytes()).unwrap();
    let name = disk.waiting_files().remove(0);
    for length in whole..all {
        let torn = disk.copy();
        torn.change(&name, |bytes| bytes.truncate(length));
        let mut log = open(&torn);
        let bytes = (length - whole) as u64;
        let cut = if bytes == 0 { vec![] } else { vec![Note::Torn { file: name.clone(), bytes }] };
        assert_eq!(log.take_notes(), cut);
        assert_eq!(drain(&mut log), ["whole"], "{length}");
    }
    for length in 0..whole {
        let torn = disk.copy();
        torn.change(&name, |bytes| bytes.truncate(length));
        assert_eq!(drain(&mut open(&torn)), [""; 0], "{length}");
        assert!(torn.waiting_files().is_empty());
    }
}

/// Whatever byte changes, all other records are read, what is lost is counted, and the file is set aside or was
/// whole in all that matters.
#[test]
fn any_damaged_byte_costs_at_most_its_own_record() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    for document in ["first", "second", "third"] {
        log.append(&one(document), NOW).unwrap();
    }
    let name = disk.waiting_files().remove(0);
    let length = usize::try_from(disk.file(&name).unwrap().len().unwrap()).unwrap();
    for at in 0..length {
        let damaged = disk.copy();
        damaged.change(&name, |bytes| bytes[at] ^= 0x55);
        let mut log = open(&damaged);
        let recovered = log.waiting();
        let read = drain(&mut log);
        let notes = log.take_notes();
        let counted: usize = lost(&notes).iter().map(|(_, documents)| documents).sum();
        assert!(read.len() >= 2, "byte {at}: {read:?}");
        assert_eq!(recovered, (read.len() + counted) as u64, "byte {at}");
        assert!(damaged.waiting_files().is_empty());
        let harmed = read.len() < 3 || at < usize::try_from(FIRST_RECORD).unwrap();
        let told = notes.iter().any(|note| matches!(note, Note::Damaged { .. } | Note::Torn { .. }));
        assert!(!harmed || told, "byte {at}: {notes:?}");
    }
}

#[test]
fn damaged_files_are_kept_for_people_but_not_for_ever() {
    let disk = MemoryDisk::new();
    for round in 0..40 {
        let mut log = open(&disk);
        assert_eq!(log.waiting(), 0, "what is set aside is not read again");
        log.append(&one("document"), NOW).unwrap();
        let name = disk.waiting_files().remove(0);
        disk.change(&name, |bytes| *bytes.last_mut().unwrap() ^= 1);
        assert_eq!(drain(&mut log), [""; 0]);
        let notes = log.take_notes();
        assert_eq!(lost(&notes), [(DropReason::SpoolDamaged, 1)]);
        assert!(notes.iter().any(|note| matches!(note, Note::SetAside { file, .. } if *file == name)));
        assert_eq!(disk.names().unwrap().len(), usize::min(round + 1, 32));
    }
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let disk = MemoryDisk::new();
    for name in ["notes.txt", "lock", "x.spool", "0000000000000001.spool.bak"] {
        disk.create(name).unwrap();
    }
    let mut log = open(&disk);
    log.append(&one("document"), NOW).unwrap();
    assert_eq!(drain(&mut log), ["document"]);
    assert_eq!(disk.names().unwrap().len(), 4);
    assert!(log.take_notes().is_empty());
}

#[test]
fn a_full_log_gives_up_its_oldest_documents() {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk.clone(), 4 << 20, 1).unwrap();
    let padding = "x".repeat(100_000);
    let mut given_up = 0;
    for number in 0..100 {
        log.append(&one(&format!("{number}:{padding}")), NOW).unwrap();
        assert!(log.bytes() <= 4 << 20);
        for (reason, documents) in lost(&log.take_notes()) {
            assert_eq!(reason, DropReason::SpoolFull);
            given_up += documents;
        }
    }
    assert!(given_up > 50, "{given_up}");
    let rest = drain(&mut log);
    assert_eq!(rest.len() + given_up, 100);
    let first: usize = rest[0].split(':').next().unwrap().parse().unwrap();
    assert_eq!(first, given_up, "the oldest were given up");
}

#[test]
fn documents_under_way_are_not_lost_with_their_file() {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk, 2 << 20, 1).unwrap();
    let large = one(&"x".repeat(700_000));
    log.append(&large, NOW).unwrap();
    log.append(&large, NOW).unwrap();
    let (sent, _) = take(&mut log, NOW).unwrap();
    let (failed, _) = take(&mut log, NOW).unwrap();
    for _ in 0..3 {
        log.append(&large, NOW).unwrap();
    }
    assert_eq!(
        lost(&log.take_notes()),
        [(DropReason::SpoolFull, 1)],
        "one of three, none of the two under way"
    );
    log.finished(sent);
    assert_eq!(lost(&log.take_notes()), []);
    log.released(failed);
    assert_eq!(lost(&log.take_notes()), [(DropReason::SpoolFull, 1)]);
}

#[test]
fn a_full_disk_costs_nothing_that_is_on_it() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    log.append(&one("before"), NOW).unwrap();
    for room in 0..200 {
        disk.room.store(room, SeqCst);
        let written = log.append(&one(&"y".repeat(200)), NOW);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull, "{room}");
    }
    disk.room.store(-1, SeqCst);
    log.append(&one("after"), NOW).unwrap();
    assert_eq!(drain(&mut open(&disk.copy())), ["before", "after"]);
    assert_eq!(drain(&mut log), ["before", "after"]);
    assert!(log.take_notes().is_empty());
}

#[test]
fn a_tenth_of_the_disk_is_left_free_and_nothing_is_given_up_in_vain() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    disk.available.store(500_000, SeqCst);
    log.append(&one("kept"), NOW).unwrap();
    disk.available.store(50_000, SeqCst);
    let refused = log.append(&one(&"y".repeat(1000)), NOW).unwrap_err();
    assert_eq!(refused.to_string(), "less than a tenth of the disk is free");
    disk.available.store(102_000, SeqCst);
    log.append(&one(&"y".repeat(1000)), NOW).unwrap();
    assert_eq!(drain(&mut log).len(), 2);
}

#[test]
fn on_a_small_disk_a_part_of_it_is_given_up_at_a_time() {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk.clone(), 512 << 20, 1).unwrap();
    let large = one(&"y".repeat(100_000));
    // Twenty million bytes are left at first.
    disk.total.store(20_000_000, SeqCst);
    let mut most = 0;
    for _ in 0..400 {
        disk.available.store(20_000_000 - disk.bytes(), SeqCst);
        log.append(&large, NOW).unwrap();
        most = lost(&log.take_notes()).iter().map(|(_, documents)| *documents).fold(most, usize::max);
    }
    assert!((1..20).contains(&most), "{most} of some 170 at once");
}

/// With bodies of all sizes, and a disk that takes deleted space back at once.
#[test]
fn the_part_of_the_disk_that_is_for_others_is_left_to_them() {
    let disk = MemoryDisk::new();
    disk.total.store(60_000_000, SeqCst);
    let mut log = Log::open(disk.clone(), 512 << 20, 1).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        disk.available.store(60_000_000 - disk.bytes(), SeqCst);
        log.append(&one(&"y".repeat(random.usize(20_000..3_200_000))), NOW).unwrap();
        assert!(disk.bytes() <= 54_000_000, "{}", disk.bytes());
    }
}

#[test]
fn looking_whether_the_disk_works_gives_nothing_up() {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk.clone(), 4 << 20, 1).unwrap();
    for _ in 0..40 {
        log.append(&one(&"y".repeat(100_000)), NOW).unwrap();
    }
    log.take_notes();
    let waiting = log.waiting();
    log.probe().unwrap();
    disk.total.store(60_000_000, SeqCst);
    disk.available.store(1_000_000, SeqCst);
    log.probe().unwrap_err();
    assert_eq!((log.waiting(), log.take_notes()), (waiting, vec![]));
    assert!(!disk.names().unwrap().contains(&"probe".to_owned()));
}

#[test]
fn nothing_is_added_to_a_damaged_file() {
    let disk = MemoryDisk::new();
    open(&disk).append(&batch(&["a".to_owned(), "b".to_owned()]), NOW).unwrap();
    let mut log = open(&disk);
    log.append(&one("c"), NOW).unwrap();
    let (under_way, _) = take(&mut log, NOW).unwrap();
    disk.unreadable.store(true, SeqCst);
    let error = log.next(NOW).unwrap_err();
    log.give_up_reading(error.file, &error.error);
    disk.unreadable.store(false, SeqCst);
    let added = log.append(&one("d"), NOW).unwrap();
    assert_ne!(added.file, under_way.file);
}

#[test]
fn two_spellings_of_a_number_are_not_one_file_twice() {
    let disk = MemoryDisk::new();
    open(&disk).append(&one("document"), NOW).unwrap();
    for name in ["1.spool", "+1.spool", "18446744073709551615.spool"] {
        disk.create(name).unwrap();
    }
    let mut log = open(&disk);
    assert_eq!(log.waiting(), 1);
    log.append(&one("another"), NOW).unwrap();
    assert_eq!(drain(&mut log), ["document", "another"]);
}

#[test]
fn a_disk_that_others_filled_keeps_what_is_there() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    for _ in 0..10 {
        log.append(&one(&"y".repeat(1000)), NOW).unwrap();
    }
    // A tenth of a million bytes should be free, and much less is: all of the log would not make up for it.
    disk.available.store(50_000, SeqCst);
    log.append(&one("one more"), NOW).unwrap_err();
    assert_eq!((log.waiting(), lost(&log.take_notes())), (10, vec![]));
}

#[test]
fn space_that_comes_back_late_is_counted_on() {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk.clone(), 64 << 20, 1).unwrap();
    let large = one(&"y".repeat(1_500_000));
    for _ in 0..10 {
        log.append(&large, NOW).unwrap();
    }
    // The disk has room for nothing more, and goes on saying so although files were deleted.
    disk.available.store(100_000, SeqCst);
    log.append(&one("one more"), NOW).unwrap();
    log.append(&one("and another"), NOW).unwrap();
    assert_eq!(lost(&log.take_notes()), [(DropReason::SpoolFull, 1)]);
    assert_eq!(log.waiting(), 11);
}

#[test]
fn a_disk_that_cannot_be_read_for_a_moment_loses_nothing() {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk.clone(), 64 << 20, 1).unwrap();
    for number in 0..5 {
        log.append(&one(&format!("{number}{}", "y".repeat(1_500_000))), NOW).unwrap();
    }
    disk.unreadable.store(true, SeqCst);
    for _ in 0..3 {
        assert!(log.next(NOW).is_err());
    }
    disk.unreadable.store(false, SeqCst);
    let next = log.next(NOW).unwrap().unwrap();
    disk.unreadable.store(true, SeqCst);
    log.take(&next).unwrap_err();
    disk.unreadable.store(false, SeqCst);
    assert_eq!(drain(&mut log).len(), 5);
    assert!(log.take_notes().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_at_all_costs_itself_and_is_kept_for_people() {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk.clone(), 64 << 20, 1).unwrap();
    for _ in 0..3 {
        log.append(&one(&"y".repeat(1_500_000)), NOW).unwrap();
    }
    let next = log.next(NOW).unwrap().unwrap();
    let taken = log.take(&next).unwrap().unwrap();
    log.released(taken.record);
    disk.unreadable.store(true, SeqCst);
    let error = log.next(NOW).unwrap_err();
    log.give_up_reading(error.file, &error.error);
    disk.unreadable.store(false, SeqCst);
    assert_eq!(lost(&log.take_notes()), [(DropReason::SpoolDamaged, 1)]);
    assert_eq!(drain(&mut log).len(), 2);
    let names = disk.names().unwrap();
    assert!(names.len() == 1 && names[0].ends_with(".damaged"), "{names:?}");
}

#[test]
fn a_daemon_that_is_killed_again_and_again_goes_on_in_the_same_file() {
    let disk = MemoryDisk::new();
    for _ in 0..50 {
        open(&disk).append(&one("document"), NOW).unwrap();
    }
    assert_eq!(disk.waiting_files().len(), 1);
    assert_eq!(drain(&mut open(&disk)).len(), 50);
}

#[test]
fn damage_of_an_earlier_run_says_nothing_of_this_one() {
    let disk = MemoryDisk::new();
    open(&disk).append(&one("document"), NOW).unwrap();
    let name = disk.waiting_files().remove(0);
    disk.change(&name, |bytes| *bytes.last_mut().unwrap() ^= 1);
    let mut log = open(&disk);
    assert_eq!(drain(&mut log), [""; 0]);
    assert!(log.take_notes().iter().any(|note| matches!(note, Note::Damaged { ours: false, .. })));
    log.append(&one("document"), NOW).unwrap();
    let name = disk.waiting_files().remove(0);
    disk.change(&name, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(drain(&mut log), [""; 0]);
    assert!(log.take_notes().iter().any(|note| matches!(note, Note::Damaged { ours: true, .. })));
}

#[test]
fn files_that_somebody_deleted_do_not_stand_in_the_way() {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk.clone(), 4 << 20, 1).unwrap();
    let large = one(&"y".repeat(700_000));
    for _ in 0..3 {
        log.append(&large, NOW).unwrap();
    }
    for name in disk.waiting_files() {
        disk.remove(&name).unwrap();
    }
    for _ in 0..10 {
        log.append(&large, NOW).unwrap();
    }
    assert!(log.bytes() <= 4 << 20);
}

#[test]
fn documents_older_than_x_ray_takes_are_dropped_and_counted() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk);
    log.append(&one("old"), NOW - 31 * DAY).unwrap();
    log.append(&one("clock not set"), 5000).unwrap();
    log.append(&one("clock ahead"), NOW + 400 * DAY).unwrap();
    log.append(&one("young"), NOW - 29 * DAY).unwrap();
    let mut log = open(&disk);
    assert_eq!(drain(&mut log), ["clock not set", "clock ahead", "young"]);
    assert_eq!(lost(&log.take_notes()), [(DropReason::Expired, 1)]);
    assert!(disk.waiting_files().is_empty());
}

/// One step of the random test.
#[derive(Debug, Clone)]
enum Step {
    /// So many documents of a length, on a disk with room for so many bytes.
    Append(usize, usize, Option<i64>),
    Take,
    Finish(usize),
    Release(usize),
    /// The process dies and another one opens the log.
    Kill,
    /// The same, and the power is gone: the last file loses part of its last record.
    Tear(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1_usize..50, 1_usize..9000).prop_map(|(count, length)| Step::Append(count, length, None)),
        8 => Just(Step::Take),
        6 => any::<usize>().prop_map(Step::Finish),
        3 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::Kill),
        1 => any::<usize>().prop_map(Step::Tear),
        1 => (0_i64..3000).prop_map(|room| Step::Append(50, 9000, Some(room))),
    ]
}

/// What the log should hold: the documents of each record, and which are under way.
#[derive(Default)]
struct Model {
    waiting: HashMap<Record, Vec<String>>,
    under_way: HashMap<Record, Vec<String>>,
    given_up: usize,
}

impl Model {
    /// Records of files that are gone were given up.
    fn forget_files(&mut self, log: &mut Log, disk: &MemoryDisk) -> usize {
        let files = disk.waiting_files();
        let there = |record: &Record| files.contains(&format!("{:016}.spool", record.file));
        let before: usize = self.waiting.values().map(Vec::len).sum();
        self.waiting.retain(|record, _| there(record));
        let lost = lost(&log.take_notes()).iter().map(|(_, documents)| documents).sum::<usize>();
        self.given_up += lost;
        before - self.waiting.values().map(Vec::len).sum::<usize>() - lost
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever happens, each document is read until it is dealt with, exactly as it was written, or counted as
    /// given up.
    #[test]
    fn property_the_log_keeps_what_it_was_given(steps in proptest::collection::vec(step(), 1..150)) {
        const MAX_BYTES: u64 = 3 << 20;
        let disk = MemoryDisk::new();
        let mut log = Log::open(disk.clone(), MAX_BYTES, 1).unwrap();
        let mut model = Model::default();
        let mut number = 0_usize;
        for step in steps {
            match step {
                Step::Append(count, length, room) => {
                    let padding = "\"".repeat(length / 10);
                    let documents: Vec<_> = (number..number + count).map(|at| format!("{at}:{padding}")).collect();
                    number += count;
                    disk.room.store(room.unwrap_or(-1), SeqCst);
                    let written = log.append(&batch(&documents), NOW);
                    disk.room.store(-1, SeqCst);
                    prop_assert_eq!(written.is_ok(), room.is_none());
                    if let Ok(record) = written {
                        model.waiting.insert(record, documents);
                    }
                }
                Step::Take => if let Some((record, documents)) = take(&mut log, NOW) {
                    let expected = model.waiting.remove(&record);
                    prop_assert_eq!(expected.as_ref(), Some(&documents));
                    model.under_way.insert(record, documents);
                },
                Step::Finish(which) | Step::Release(which) if !model.under_way.is_empty() => {
                    let mut records: Vec<_> = model.under_way.keys().copied().collect();
                    records.sort_unstable();
                    let record = records[which % records.len()];
                    let documents = model.under_way.remove(&record).unwrap();
                    if matches!(step, Step::Finish(_)) {
                        log.finished(record);
                    } else {
                        log.released(record);
                        model.waiting.insert(record, documents);
                    }
                }
                Step::Kill | Step::Tear(_) => {
                    if let (Step::Tear(by), Some(name)) = (&step, disk.waiting_files().last()) {
                        let last = model.waiting.keys().chain(model.under_way.keys()).max().copied();
                        let file: u64 = name.trim_end_matches(".spool").parse().unwrap();
                        // The last record that waits is torn, with what is behind it and dealt with.
                        if let Some(record) = last.filter(|record| record.file == file) {
                            let documents = model.waiting.get(&record).or_else(|| model.under_way.get(&record)).unwrap();
                            let whole = record_bytes(documents.len(), batch(documents).body_bytes());
                            let keep = record.offset + (*by as u64) % whole;
                            disk.change(name, |bytes| bytes.truncate(usize::try_from(keep).unwrap()));
                            model.waiting.remove(&record);
                            model.under_way.remove(&record);
                        }
                    }
                    model.waiting.extend(model.under_way.drain());
                    // Of a file that is gone nothing comes back.
                    let files = disk.waiting_files();
                    model.waiting.retain(|record, _| files.contains(&format!("{:016}.spool", record.file)));
                    log = Log::open(disk.clone(), MAX_BYTES, 1).unwrap();
                    let notes = log.take_notes();
                    prop_assert!(lost(&notes).is_empty() && notes.len() <= 1, "{:?}", notes);
                }
                Step::Finish(_) | Step::Release(_) => {}
            }
            let unaccounted = model.forget_files(&mut log, &disk);
            prop_assert_eq!(unaccounted, 0);
            let files = disk.waiting_files();
            let in_files = |(record, documents): (&Record, &Vec<String>)| {
                if files.contains(&format!("{:016}.spool", record.file)) { documents.len() as u64 } else { 0 }
            };
            let under_way: u64 = model.under_way.iter().map(in_files).sum();
            let waiting: u64 = model.waiting.values().map(|documents| documents.len() as u64).sum();
            prop_assert_eq!(log.waiting(), waiting + under_way);
            prop_assert!(log.bytes() <= MAX_BYTES);
        }
        for (record, documents) in model.under_way.drain() {
            log.released(record);
            model.waiting.insert(record, documents);
        }
        model.forget_files(&mut log, &disk);
        while let Some((record, documents)) = take(&mut log, NOW) {
            prop_assert_eq!(model.waiting.remove(&record), Some(documents));
            log.finished(record);
        }
        prop_assert!(model.waiting.is_empty(), "never read: {:?}", model.waiting.keys());
        prop_assert!(disk.waiting_files().is_empty());
    }

    /// Files of any content at all neither stop the log nor make it believe anything that was not written.
    #[test]
    fn property_a_file_of_anything_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2000), begin in any::<bool>()) {
        let disk = MemoryDisk::new();
        disk.create("0000000000000007.spool").unwrap();
        disk.change("0000000000000007.spool", |file| {
            if begin {
                file.extend_from_slice(&super::record::FILE_HEADER);
            }
            file.extend_from_slice(&bytes);
        });
        let mut log = open(&disk);
        prop_assert_eq!(log.waiting(), 0);
        log.append(&one("document"), NOW).unwrap();
        prop_assert_eq!(drain(&mut log), ["document"]);
    }
}

#[cfg(unix)]
mod folder {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &std::path::Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_and_its_files_are_closed_to_others() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("made/on/the/way");
        let folder = Folder::in_directory(&directory);
        let Lock::Ours(_lock) = folder.lock().unwrap() else { panic!("nobody else is there") };
        let mut log = Log::open(Arc::new(folder), 64 << 20, 1).unwrap();
        log.append(&one("document"), NOW).unwrap();
        let inside = directory.join("v1");
        assert_eq!(mode(&inside), 0o700);
        for entry in std::fs::read_dir(&inside).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o755)).unwrap();
        let _ = Folder::in_directory(&directory).lock().unwrap();
        assert_eq!(mode(&inside), 0o700, "closed again");
    }

    #[test]
    fn one_daemon_at_a_time_holds_the_folder() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::in_directory(directory.path());
        let first = folder.lock().unwrap();
        assert!(matches!(folder.lock().unwrap(), Lock::Busy));
        drop(first);
        assert!(matches!(folder.lock().unwrap(), Lock::Ours(_)));
    }

    #[test]
    fn a_folder_that_leads_elsewhere_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), directory.path().join("v1")).unwrap();
        let error = Folder::in_directory(directory.path()).lock().unwrap_err();
        assert!(error.to_string().ends_with("v1 is not a directory"), "{error}");
    }

    /// Somebody who may change the folder above puts a link where ours was.
    #[test]
    fn a_folder_that_is_swapped_while_it_is_used_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("0000000000000001.spool"), "content").unwrap();
        let folder = Folder::in_directory(directory.path());
        let _lock = folder.lock().unwrap();
        let mut log = Log::open(Arc::new(folder), 64 << 20, 1).unwrap();
        log.append(&one("document"), NOW).unwrap();
        std::fs::rename(directory.path().join("v1"), directory.path().join("moved")).unwrap();
        symlink(elsewhere.path(), directory.path().join("v1")).unwrap();
        log.append(&one("another"), NOW).unwrap();
        assert_eq!(drain(&mut log), ["document", "another"]);
        assert_eq!(std::fs::read_dir(directory.path().join("moved")).unwrap().count(), 1, "the lock file");
        let content = std::fs::read_to_string(elsewhere.path().join("0000000000000001.spool")).unwrap();
        assert_eq!(content, "content");
    }

    #[test]
    fn a_file_that_leads_elsewhere_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::in_directory(directory.path());
        let _lock = folder.lock().unwrap();
        let target = directory.path().join("precious");
        std::fs::write(&target, "content").unwrap();
        symlink(&target, directory.path().join("v1/0000000000000001.spool")).unwrap();
        let mut log = Log::open(Arc::new(folder), 64 << 20, 1).unwrap();
        assert!(matches!(&log.take_notes()[..], [Note::Damaged { .. }]));
        log.append(&one("document"), NOW).unwrap();
        assert_eq!(drain(&mut log), ["document"]);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "content");
    }
}
