//! The pipeline against a simple model of it, and its single rules.

use super::*;
use proptest::prelude::*;

const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

fn settings(budget_bytes: usize) -> Settings {
    Settings { budget_bytes, concurrency: 4, in_flight_max: 16 }
}

fn datagram(document: &str) -> Vec<u8> {
    format!("{HEADER}{document}").into_bytes()
}

fn offer(pipeline: &mut Pipeline, now: Instant, document: &str) -> Offer {
    pipeline.offer_datagram(now, &datagram(document))
}

fn documents(batch: &Batch) -> Vec<String> {
    batch.documents().map(|document| document.unescape()).collect()
}

fn send_next(pipeline: &mut Pipeline, now: Instant) -> (u64, Batch) {
    match pipeline.next(now) {
        Next::Send(id, batch) => (id, batch),
        Next::Wait(until) => panic!("nothing to send before {until:?}"),
    }
}

const ALL: Outcome = Outcome::Answered { again: Vec::new(), refused: 0, throttled: false };

#[test]
fn a_body_is_the_request_x_ray_expects() {
    let batch = build_body([&b"{\"a\":\"\\n\"}"[..], b"T1S", b"\xff"]).unwrap();
    let body: serde_json::Value = serde_json::from_slice(batch.body()).unwrap();
    assert_eq!(body, serde_json::json!({ "TraceSegmentDocuments": ["{\"a\":\"\\n\"}", "T1S", "\u{fffd}"] }));
    assert_eq!(documents(&batch), ["{\"a\":\"\\n\"}", "T1S", "\u{fffd}"]);
}

#[test]
fn a_batch_closes_when_it_is_full_and_when_its_first_document_has_waited_a_second() {
    let (start, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 24)));
    for count in 1..=50 {
        let closed = Offer::Accepted { closed: count == 50, repaired: false };
        assert_eq!(offer(&mut pipeline, start, "x"), closed);
    }
    assert_eq!(send_next(&mut pipeline, start).1.len(), 50);
    let later = start + Duration::from_millis(300);
    let _ = offer(&mut pipeline, later, "y");
    let _ = offer(&mut pipeline, later + Duration::from_millis(600), "z");
    assert_eq!(pipeline.deadline(), Some(later + BATCH_DELAY_MAX), "the first document counts");
    assert!(matches!(pipeline.next(later + Duration::from_millis(999)), Next::Wait(Some(_))));
    assert_eq!(documents(&send_next(&mut pipeline, later + BATCH_DELAY_MAX).1), ["y", "z"]);
}

#[test]
fn a_document_that_could_outgrow_a_body_is_refused() {
    let mut pipeline = Pipeline::new(&settings(1 << 24));
    let large = "\"".repeat(BODY_MAX_BYTES / 2);
    assert_eq!(offer(&mut pipeline, Instant::now(), &large), Offer::Refused(RefusedReason::TooLarge));
    assert!(pipeline.snapshot().balances());
}

#[test]
fn documents_over_http_are_taken_all_or_none() {
    let mut pipeline = Pipeline::new(&settings(64 * 1024));
    let large = "x".repeat(20_000);
    let three = [large.as_str(); 3];
    assert_eq!(pipeline.offer_documents(Instant::now(), three.into_iter()), Err(NotTaken::Full));
    let endless = "\n".repeat(BODY_MAX_BYTES / 6);
    assert_eq!(
        pipeline.offer_documents(Instant::now(), ["x", &endless].into_iter()),
        Err(NotTaken::TooLarge)
    );
    assert_eq!(pipeline.snapshot().totals, Totals::default());
    assert_eq!(pipeline.offer_documents(Instant::now(), ["x"].into_iter()), Ok(false));
    pipeline.close_intake(Instant::now());
    assert_eq!(pipeline.offer_documents(Instant::now(), ["x"].into_iter()), Err(NotTaken::Stopping));
}

#[test]
fn a_stop_does_not_wait_for_the_next_try() {
    let (now, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 24)));
    let _ = offer(&mut pipeline, now, "x");
    pipeline.close_open(now);
    let (id, _) = send_next(&mut pipeline, now);
    pipeline.complete(id, &Outcome::Misconfigured, now, now);
    assert!(matches!(pipeline.next(now), Next::Wait(Some(_))));
    pipeline.close_intake(now);
    assert_eq!(documents(&send_next(&mut pipeline, now).1), ["x"]);
}

#[test]
fn documents_given_up_are_told_once() {
    let (now, mut pipeline) = (Instant::now(), Pipeline::new(&settings(128 * 1024)));
    for _ in 0..400 {
        let _ = offer(&mut pipeline, now, &"x".repeat(1000));
    }
    let dropped = pipeline.snapshot().totals.dropped_total();
    assert!(dropped > 0);
    assert_eq!(pipeline.take_given_up() as u64, dropped);
    assert_eq!(pipeline.take_given_up(), 0);
}

#[test]
fn a_batch_x_ray_cannot_take_does_not_stand_in_the_way_of_others() {
    let (start, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 24)));
    let mut now = start;
    for document in ["poison", "good"] {
        let _ = offer(&mut pipeline, now, document);
        pipeline.close_open(now);
    }
    let mut tried = Vec::new();
    for _ in 0..6 {
        now += Duration::from_secs(10);
        let (id, batch) = send_next(&mut pipeline, now);
        tried.push(documents(&batch).remove(0));
        let outcome = if tried.last().unwrap() == "poison" {
            Outcome::Failed { delivered: true, timed_out: false }
        } else {
            ALL
        };
        pipeline.complete(id, &outcome, now, now);
    }
    assert!(tried[..2].contains(&"good".to_owned()), "{tried:?}");
}

#[test]
fn a_large_batch_that_timed_out_twice_is_halved() {
    let (mut now, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 26)));
    for _ in 0..40 {
        let _ = offer(&mut pipeline, now, &"x".repeat(60_000));
    }
    pipeline.close_open(now);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        now += Duration::from_secs(10);
        let (id, batch) = send_next(&mut pipeline, now);
        sizes.push(batch.len());
        pipeline.complete(id, &Outcome::Failed { delivered: true, timed_out: true }, now, now);
    }
    assert_eq!(sizes, [40, 40, 20]);
}

#[test]
fn waiting_batches_keep_no_more_memory_than_their_bytes() {
    let (now, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 24)));
    // One full batch makes the pooled body large.
    for _ in 0..50 {
        let _ = offer(&mut pipeline, now, &"x".repeat(2000));
    }
    let (id, _) = send_next(&mut pipeline, now);
    pipeline.complete(id, &Outcome::Throttled, now, now);
    let before = pipeline.budget().used();
    for _ in 0..10 {
        let _ = offer(&mut pipeline, now, "small");
        pipeline.close_open(now);
    }
    assert!(pipeline.budget().used() - before < 10 * 1024, "{} bytes", pipeline.budget().used() - before);
}

const DISK_CAN: DiskCan = DiskCan { write: true, read: true };

/// Documents of the batches that have to be written now, or when to ask again.
fn to_write(pipeline: &mut Pipeline, now: Instant) -> Result<Vec<String>, Option<Instant>> {
    let work = pipeline.spool_work(now, DISK_CAN)?;
    Ok(work.write.iter().flat_map(documents).collect())
}

fn offer_batch(pipeline: &mut Pipeline, now: Instant, document: &str) {
    let _ = offer(pipeline, now, document);
    pipeline.close_open(now);
}

#[test]
fn a_batch_that_is_not_sent_belongs_on_disk_a_second_after_it_was_closed() {
    let (start, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 24)));
    pipeline.spool_opened(0);
    assert_eq!(to_write(&mut pipeline, start), Err(None), "nothing to write, ever");
    offer_batch(&mut pipeline, start, "waits");
    assert!(pipeline.take_spool_wake(), "who slept for ever has to look again");
    assert_eq!(to_write(&mut pipeline, start), Err(Some(start + UNSENT_MAX)));
    let (_id, _) = send_next(&mut pipeline, start);
    let just_before = start + Duration::from_millis(999);
    assert_eq!(to_write(&mut pipeline, just_before), Err(Some(start + UNSENT_MAX)), "sent, but not answered");
    assert_eq!(to_write(&mut pipeline, start + UNSENT_MAX), Ok(vec!["waits".to_owned()]));
}

#[test]
fn while_x_ray_fails_batches_belong_on_disk_after_half_a_second_and_then_at_once() {
    let (start, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 24)));
    pipeline.spool_opened(0);
    offer_batch(&mut pipeline, start, "failed");
    let (id, _) = send_next(&mut pipeline, start);
    pipeline.complete(id, &Outcome::Failed { delivered: false, timed_out: false }, start, start);
    let grace = start + Duration::from_millis(500);
    assert_eq!(to_write(&mut pipeline, start), Err(Some(grace)), "one failed try may be nothing");
    assert_eq!(to_write(&mut pipeline, grace), Ok(vec!["failed".to_owned()]));
    offer_batch(&mut pipeline, grace, "known to be in vain");
    assert_eq!(to_write(&mut pipeline, grace), Ok(vec!["known to be in vain".to_owned()]));
}

#[test]
fn a_stop_and_the_want_of_memory_send_everything_to_disk_at_once() {
    let (now, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 24)));
    pipeline.spool_opened(0);
    offer_batch(&mut pipeline, now, "closed");
    let _ = offer(&mut pipeline, now, "open");
    assert!(to_write(&mut pipeline, now).is_err());
    pipeline.close_intake(now);
    assert_eq!(to_write(&mut pipeline, now), Ok(vec!["closed".to_owned(), "open".to_owned()]));

    let mut small = Pipeline::new(&settings(200_000));
    small.spool_opened(0);
    for _ in 0..6 {
        offer_batch(&mut small, now, &"x".repeat(20_000));
    }
    assert!(to_write(&mut small, now).is_ok_and(|written| !written.is_empty()));
}

#[test]
fn what_is_on_disk_waits_for_fresh_documents_and_after_a_throttle() {
    let (start, mut pipeline) = (Instant::now(), Pipeline::new(&settings(1 << 24)));
    let record = |offset| Record { file: 1, offset, documents: 1 };
    let wants = |pipeline: &mut Pipeline, now| pipeline.spool_work(now, DISK_CAN).is_ok_and(|work| work.read);
    let read = |pipeline: &mut Pipeline, now, offset| {
        let batch = build_body([&b"from disk"[..]]).unwrap();
        pipeline.offer_spooled(now, batch.body().to_vec(), batch.ends().to_vec(), record(offset)).unwrap();
    };
    pipeline.spool_opened(10);
    assert!(wants(&mut pipeline, start));
    read(&mut pipeline, start, 1);
    assert!(!wants(&mut pipeline, start), "one at first, until X-Ray has taken it");
    let (id, _) = send_next(&mut pipeline, start);
    pipeline.complete(id, &ALL, start, start);
    for offset in 2..4 {
        assert!(wants(&mut pipeline, start), "then more");
        read(&mut pipeline, start, offset);
    }
    offer_batch(&mut pipeline, start, "fresh");
    let (id, _) = send_next(&mut pipeline, start);
    assert!(!wants(&mut pipeline, start), "one at most while fresh ones wait");
    pipeline.complete(id, &Outcome::Throttled, start, start);
    let soon = start + Duration::from_millis(900);
    while let Next::Send(id, _) = pipeline.next(soon) {
        pipeline.complete(id, &ALL, soon, soon);
    }
    assert!(!wants(&mut pipeline, soon), "a second's rest after a throttle");
    assert!(wants(&mut pipeline, start + Duration::from_millis(1001)));
    assert!(pipeline.snapshot().balances());
}

/// One step of the random test.
#[derive(Debug, Clone)]
enum Step {
    Document(usize),
    Nonsense,
    Http(usize),
    Pass(u64),
    Take,
    Finish(u8),
    Abandon,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1_usize..4000).prop_map(Step::Document),
        1 => Just(Step::Nonsense),
        2 => (1_usize..30).prop_map(Step::Http),
        4 => (0_u64..3000).prop_map(Step::Pass),
        8 => Just(Step::Take),
        8 => any::<u8>().prop_map(Step::Finish),
        1 => Just(Step::Abandon),
    ]
}

/// One step of the random test with a disk.
#[derive(Debug, Clone)]
enum DiskStep {
    Document(usize),
    Pass(u64),
    Take,
    Finish(u8),
    /// The one who writes looks what there is to do.
    Disk,
    /// A batch reaches the disk, or does not.
    Written(bool),
}

fn disk_step() -> impl Strategy<Value = DiskStep> {
    prop_oneof![
        12 => (1_usize..6000).prop_map(DiskStep::Document),
        5 => (0_u64..3000).prop_map(DiskStep::Pass),
        8 => Just(DiskStep::Take),
        8 => any::<u8>().prop_map(DiskStep::Finish),
        6 => Just(DiskStep::Disk),
        6 => proptest::bool::weighted(0.8).prop_map(DiskStep::Written),
    ]
}

/// A disk that keeps batches as they are.
#[derive(Default)]
struct FakeDisk {
    records: std::collections::BTreeMap<Record, Batch>,
    /// Records that are not in memory.
    alone: std::collections::BTreeSet<Record>,
    writing: VecDeque<Batch>,
    next_offset: u64,
}

impl FakeDisk {
    fn work(&mut self, pipeline: &mut Pipeline, now: Instant) {
        let Ok(work) = pipeline.spool_work(now, DiskCan { write: true, read: true }) else { return };
        for record in work.finished {
            assert!(self.records.remove(&record).is_some(), "finished twice: {record:?}");
            self.alone.remove(&record);
        }
        for record in work.released {
            assert!(self.alone.insert(record), "released twice: {record:?}");
        }
        self.writing.extend(work.write);
        if work.read
            && let Some(record) = self.alone.pop_first()
        {
            let batch = &self.records[&record];
            pipeline.offer_spooled(now, batch.body().to_vec(), batch.ends().to_vec(), record).unwrap();
        }
    }

    fn written(&mut self, pipeline: &mut Pipeline, well: bool) {
        let Some(batch) = self.writing.pop_front() else { return };
        if !well {
            return pipeline.not_spooled(batch.number());
        }
        let documents = u32::try_from(batch.len()).unwrap();
        let record = Record { file: 1, offset: self.next_offset, documents };
        self.next_offset += 1;
        self.records.insert(record, batch.clone());
        match pipeline.spooled(batch.number(), record) {
            Written::Alone => assert!(self.alone.insert(record)),
            Written::InFlight => {}
            Written::Gone => assert!(self.records.remove(&record).is_some()),
        }
    }
}

/// Ends a send in one of the ways a send can end.
fn finish(
    pipeline: &mut Pipeline,
    (id, batch, started): (u64, &Batch, Instant),
    kind: u8,
    now: Instant,
    delivered: &mut Vec<String>,
) {
    let outcome = match kind % 8 {
        0 => Outcome::Throttled,
        1 => Outcome::Failed { delivered: kind > 99, timed_out: kind > 150 },
        3 => Outcome::Rejected,
        4 => Outcome::Answered {
            again: (0..batch.len()).step_by(3).collect(),
            refused: 0,
            throttled: kind > 100,
        },
        5 => return pipeline.abandon(id),
        6 => Outcome::Misconfigured,
        _ => ALL,
    };
    if let Outcome::Answered { again, .. } = &outcome {
        let taken = documents(batch).into_iter().enumerate().filter(|(at, _)| !again.contains(at));
        delivered.extend(taken.map(|(_, document)| document));
    }
    pipeline.complete(id, &outcome, started, now);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens, every document is in exactly one place: counted out, or in a batch that waits or is out
    /// with the test. Documents are numbered, so that a lost or doubled one shows.
    #[test]
    fn property_no_document_is_lost_or_doubled(steps in proptest::collection::vec(step(), 1..400), budget in 60_000_usize..400_000) {
        let mut pipeline = Pipeline::new(&settings(budget));
        let mut now = Instant::now();
        let mut out: Vec<(u64, Batch, Instant)> = Vec::new();
        let (mut next_number, mut delivered) = (0_u64, Vec::new());
        for step in steps {
            match step {
                Step::Document(length) => {
                    let document = format!("{next_number}:{}", "\"".repeat(length));
                    next_number += 1;
                    let _ = offer(&mut pipeline, now, &document);
                }
                Step::Nonsense => { let _ = pipeline.offer_datagram(now, b"nonsense"); }
                Step::Http(count) => {
                    let padding = "\"".repeat(count * 100);
                    let documents: Vec<_> = (0..count as u64).map(|at| format!("{}:{padding}", next_number + at)).collect();
                    let dropped = pipeline.snapshot().totals.dropped_total();
                    if pipeline.offer_documents(now, documents.iter().map(String::as_str)).is_ok() {
                        next_number += count as u64;
                    }
                    let now_dropped = pipeline.snapshot().totals.dropped_total();
                    prop_assert_eq!(now_dropped, dropped, "nothing is given up for HTTP");
                }
                Step::Pass(millis) => { now += Duration::from_millis(millis); pipeline.close_due(now); }
                Step::Take => if let Next::Send(id, batch) = pipeline.next(now) { out.push((id, batch, now)); },
                Step::Finish(kind) if !out.is_empty() => {
                    let (id, batch, started) = out.swap_remove(usize::from(kind) % out.len());
                    let outcome = match kind % 7 {
                        0 => Outcome::Throttled,
                        1 => Outcome::Failed { delivered: kind > 99, timed_out: kind > 150 },
                        2 => Outcome::Misconfigured,
                        3 => Outcome::Rejected,
                        4 => Outcome::Answered { again: (0..batch.len()).step_by(3).collect(), refused: 0, throttled: false },
                        _ => ALL,
                    };
                    if let Outcome::Answered { again, .. } = &outcome {
                        let taken = documents(&batch).into_iter().enumerate().filter(|(at, _)| !again.contains(at));
                        delivered.extend(taken.map(|(_, document)| document));
                    }
                    pipeline.complete(id, &outcome, started, now);
                }
                Step::Abandon => if let Some((id, ..)) = out.pop() { pipeline.abandon(id); },
                Step::Finish(_) => {}
            }
            let snapshot = pipeline.snapshot();
            prop_assert!(snapshot.balances(), "{:?}", snapshot);
            prop_assert_eq!(snapshot.waiting.in_flight, out.iter().map(|(_, batch, _)| batch.len() as u64).sum::<u64>());
        }
        let numbers: Vec<&str> = delivered.iter().map(|document| document.split(':').next().unwrap()).collect();
        let unique: std::collections::HashSet<_> = numbers.iter().collect();
        prop_assert_eq!(unique.len(), numbers.len(), "a document was delivered twice");
        prop_assert_eq!(delivered.len() as u64, pipeline.snapshot().totals.sent);
    }

    /// With a disk beside it, which takes batches late or not at all, every document is still sent once or counted.
    #[test]
    fn property_a_disk_neither_loses_nor_doubles(steps in proptest::collection::vec(disk_step(), 1..300), budget in 100_000_usize..600_000) {
        let mut pipeline = Pipeline::new(&settings(budget));
        let mut disk = FakeDisk::default();
        let mut now = Instant::now();
        let mut out: Vec<(u64, Batch, Instant)> = Vec::new();
        let (mut next_number, mut delivered) = (0_u64, Vec::new());
        pipeline.spool_opened(0);
        for step in steps {
            match step {
                DiskStep::Document(length) => {
                    let _ = offer(&mut pipeline, now, &format!("{next_number}:{}", "\"".repeat(length)));
                    next_number += 1;
                }
                DiskStep::Pass(millis) => { now += Duration::from_millis(millis); pipeline.close_due(now); }
                DiskStep::Take => if let Next::Send(id, batch) = pipeline.next(now) { out.push((id, batch, now)); },
                DiskStep::Finish(kind) if !out.is_empty() => {
                    let (id, batch, started) = out.swap_remove(usize::from(kind) % out.len());
                    finish(&mut pipeline, (id, &batch, started), kind, now, &mut delivered);
                }
                DiskStep::Finish(_) => {}
                DiskStep::Disk => disk.work(&mut pipeline, now),
                DiskStep::Written(well) => disk.written(&mut pipeline, well),
            }
            let snapshot = pipeline.snapshot();
            prop_assert!(snapshot.balances(), "{:?}", snapshot);
            prop_assert!(snapshot.budget_used_bytes <= budget + 2 * BODY_MAX_BYTES);
        }
        // X-Ray is back, and the disk is quick.
        for (id, batch, started) in out {
            finish(&mut pipeline, (id, &batch, started), 250, now, &mut delivered);
        }
        for _ in 0..5000 {
            now += Duration::from_secs(31);
            disk.work(&mut pipeline, now);
            while !disk.writing.is_empty() {
                disk.written(&mut pipeline, true);
            }
            if let Next::Send(id, batch) = pipeline.next(now) {
                finish(&mut pipeline, (id, &batch, now), 250, now, &mut delivered);
            }
            if pipeline.snapshot().waiting.total() == 0 {
                break;
            }
        }
        disk.work(&mut pipeline, now);
        let snapshot = pipeline.snapshot();
        prop_assert_eq!(snapshot.waiting.total(), 0, "{:?}", snapshot);
        prop_assert!(disk.records.is_empty(), "left on disk: {:?}", disk.records.keys());
        let numbers: std::collections::HashSet<_> = delivered.iter().map(|document: &String| document.split(':').next().unwrap()).collect();
        prop_assert_eq!(numbers.len(), delivered.len(), "a document was delivered twice");
        prop_assert_eq!(delivered.len() as u64 + snapshot.totals.dropped_total() + snapshot.totals.refused_total(), next_number);
        prop_assert_eq!(delivered.len() as u64, snapshot.totals.sent);
    }

    /// Whole batches against a model that knows only the three rules: fifty documents, a second, and the largest body.
    #[test]
    fn property_batches_are_those_of_a_simple_model(documents in proptest::collection::vec((0_u64..200, 1_usize..90_000), 1..300)) {
        const LARGEST: usize = 1 << 20;
        let mut pipeline = Pipeline::new(&settings(LARGEST * BODIES_IN_BUDGET));
        let (start, mut millis) = (Instant::now(), 0);
        let mut model: Vec<Vec<String>> = vec![vec![]];
        let (mut opened, mut room_taken) = (0, 0);
        let mut batches: Vec<Vec<String>> = Vec::new();
        let mut take = |pipeline: &mut Pipeline, now| while let Next::Send(id, batch) = pipeline.next(now) {
            batches.push(self::documents(&batch));
            pipeline.complete(id, &ALL, now, now);
        };
        for (at, (pause, length)) in documents.into_iter().enumerate() {
            millis += pause;
            let now = start + Duration::from_millis(millis);
            take(&mut pipeline, now);
            let document = format!("{at}:{}", "x".repeat(length));
            // Nothing in it has to be escaped: a quarter more is what the escaper wants to have at hand.
            let needed = document.len() / 4 * 5 + 256;
            let full = model.last().unwrap().len() == BATCH_DOCUMENTS_MAX;
            if full || millis >= opened + 1000 || room_taken + needed > LARGEST {
                model.push(vec![]);
            }
            if model.last().unwrap().is_empty() {
                (opened, room_taken) = (millis, 27);
            } else {
                room_taken += 3;
            }
            room_taken += document.len();
            model.last_mut().unwrap().push(document.clone());
            let _ = offer(&mut pipeline, now, &document);
        }
        let end = start + Duration::from_millis(millis + 1000);
        take(&mut pipeline, end);
        model.retain(|batch| !batch.is_empty());
        prop_assert_eq!(
            batches.iter().map(Vec::len).collect::<Vec<_>>(),
            model.iter().map(Vec::len).collect::<Vec<_>>()
        );
        prop_assert!(batches == model);
    }

    /// The budget bounds what waits, whatever the documents grow to when they are escaped.
    #[test]
    fn property_the_budget_is_kept(lengths in proptest::collection::vec(1_usize..60_000, 1..200), budget in 500_000_usize..2_000_000) {
        let (now, mut pipeline) = (Instant::now(), Pipeline::new(&settings(budget)));
        for length in lengths {
            let kinds: [&[u8]; 3] = [b"\x01", b"\xff", b"a"];
            let datagram = [HEADER.as_bytes(), &kinds[length % 3].repeat(length)].concat();
            let _ = pipeline.offer_datagram(now, &datagram);
            let snapshot = pipeline.snapshot();
            prop_assert!(snapshot.budget_used_bytes <= budget, "{:?}", snapshot);
            prop_assert!(snapshot.balances());
        }
        prop_assert!(pipeline.budget().used() > 0);
        pipeline.drop_waiting();
        prop_assert_eq!(pipeline.budget().used(), 0, "everything was given back");
    }
}
