//! X-Ray fails in every way it can, each for a while under load: at the end no document is missing, and every one
//! that came twice is counted as a possible duplicate.

use crate::support::{Daemon, FakeXRay, Judge, Load, Mode, config, numbered};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use xrayd::pipeline::Snapshot;
use xrayd::spool::Settings;

/// Documents a second.
const RATE: u32 = 1000;

/// Runs a load through a time of each mode, with X-Ray well for a moment between them.
async fn through(modes: &[Mode], each: Duration) {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let mut config = config("", &fake.url());
    config.spool = Some(Settings::in_directory(directory.path(), 64 << 20));
    let daemon = Daemon::start(config);
    let load = Load::start(&daemon.udp.to_string(), RATE, numbered);
    for mode in modes {
        fake.set(mode.clone());
        tokio::time::sleep(each).await;
        fake.set(Mode::Take);
        let sent = daemon.snapshot().totals.sent;
        daemon.until("X-Ray to take documents again", |snapshot| snapshot.totals.sent > sent).await;
    }
    let sent = load.stop().len();
    let received = daemon.until_received(sent as u64).await;
    assert_eq!(received.totals.received_total(), sent as u64, "the test's own datagrams are all there");
    let done = |snapshot: &Snapshot| snapshot.waiting.total() == 0;
    let end = daemon.until("nothing to wait", done).await;
    assert_eq!((end.totals.dropped_total(), end.totals.refused_total()), (0, 0), "{end:?}");

    let mut times: HashMap<String, u64> = HashMap::new();
    for document in fake.documents() {
        *times.entry(document).or_default() += 1;
    }
    let missing = (0..sent).filter(|&number| !times.contains_key(&numbered(number))).count();
    assert_eq!((missing, times.len()), (0, sent), "of {sent}");
    let doubled: u64 = times.values().map(|times| times - 1).sum();
    assert!(doubled <= end.totals.duplicates_possible, "{doubled} came twice: {end:?}");
    daemon.stop().await;
}

const WHILE: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_every_kind() {
    let errors = [
        Mode::Fail(500, "InternalFailure"),
        Mode::Fail(503, "ServiceUnavailable"),
        Mode::Fail(429, "ThrottledException"),
        Mode::Fail(400, "ThrottlingException"),
    ];
    through(&errors, WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_look_like_ours() {
    // After each of these the next try waits for 2.5 s at least.
    let errors = [
        Mode::Fail(403, "AccessDeniedException"),
        Mode::Fail(400, "ExpiredTokenException"),
        Mode::Html(400),
        Mode::Html(200),
    ];
    through(&errors, WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_hang_break_or_drag() {
    let drag = Mode::TakeAfter(Duration::from_millis(1200));
    through(&[Mode::Reset, Mode::Hang, drag, Mode::Reset], WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_leave_documents_unprocessed() {
    let throttled: Judge = Arc::new(|document: &str| {
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        let id = document["id"].as_str().unwrap();
        // One in three, another one each time.
        (fastrand::u8(0..3) == 0)
            .then(|| serde_json::json!({ "Id": id, "ErrorCode": "ThrottledException", "Message": "m" }))
    });
    through(&[Mode::Unprocessed(throttled.clone()), Mode::Unprocessed(throttled)], WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_refused() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let mut config = config("", &fake.url());
    config.spool = Some(Settings::in_directory(directory.path(), 64 << 20));
    let daemon = Daemon::start(config);
    let load = Load::start(&daemon.udp.to_string(), RATE, numbered);
    let address = fake.address;
    fake.until_documents(500).await;
    drop(fake);
    daemon.until("the spool", |snapshot| snapshot.waiting.spool > 1000).await;
    let before = daemon.snapshot().totals.sent;
    let fake = FakeXRay::start_at(address).await;
    daemon.until("X-Ray to take documents again", |snapshot| snapshot.totals.sent > before).await;
    let sent = load.stop().len() as u64;
    let end = daemon.until("all sent", |snapshot| snapshot.totals.sent == sent).await;
    assert_eq!(fake.documents_len() as u64, sent - before);
    assert_eq!(end.totals.duplicates_possible, 0);
    daemon.stop().await;
}
