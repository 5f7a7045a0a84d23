//! X-Ray fails in all its ways, and nothing is lost.

use crate::support::{Daemon, FakeXRay, HEADER, Mode, config, numbered, sigv4};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Fails for a while, then takes: everything has to arrive, once or counted as a possible duplicate.
async fn delivered_after(mode: Mode, tries: usize) -> Daemon {
    let fake = FakeXRay::start().await;
    fake.set(mode);
    let daemon = Daemon::beside(&fake);
    let documents = daemon.send_numbered(120).await;
    fake.until_requests("/TraceSegments", tries).await;
    assert_eq!(daemon.snapshot().totals.sent, 0);
    fake.set(Mode::Take);
    let arrived = fake.until_documents(120).await;
    assert_eq!(arrived.iter().collect::<HashSet<_>>(), documents.iter().collect::<HashSet<_>>());
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 120).await;
    daemon
}

#[tokio::test]
async fn a_server_error_is_tried_again_and_may_have_made_duplicates() {
    let daemon = delivered_after(Mode::Fail(500, "InternalFailure"), 3).await;
    assert!(daemon.stop().await.snapshot.totals.duplicates_possible >= 50);
}

#[tokio::test]
async fn throttling_is_tried_again_whatever_its_status() {
    for status in [429, 400] {
        let daemon = delivered_after(Mode::Fail(status, "ThrottledException"), 2).await;
        assert_eq!(daemon.stop().await.snapshot.totals.duplicates_possible, 0);
    }
}

#[tokio::test]
async fn a_hanging_server_is_given_up_after_five_seconds_and_tried_again() {
    let daemon = delivered_after(Mode::Hang, 1).await;
    let report = daemon.stop().await;
    assert!(report.snapshot.totals.duplicates_possible >= 50, "it may have taken them: {report:?}");
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_makes_no_duplicates() {
    let fake = FakeXRay::start().await;
    let address = fake.address;
    let daemon = Daemon::beside(&fake);
    drop(fake);
    daemon.send_numbered(70).await;
    daemon.until("a failed try", |snapshot| snapshot.waiting.retry >= 50).await;
    let fake = FakeXRay::start_at(address).await;
    assert_eq!(fake.until_documents(70).await.len(), 70);
    assert_eq!(daemon.stop().await.snapshot.totals.duplicates_possible, 0);
}

#[tokio::test]
async fn one_bad_document_costs_only_itself_and_at_most_two_calls_for_each_document() {
    for status in [400, 413] {
        let fake = FakeXRay::start().await;
        fake.set(Mode::RefuseBatchWith("poison", status));
        let daemon = Daemon::beside(&fake);
        for number in 0..50 {
            daemon.send(&if number == 31 { "poison".to_owned() } else { numbered(number) });
        }
        assert_eq!(fake.until_documents(49).await.len(), 49);
        let snapshot =
            daemon.until("the bad one refused", |snapshot| snapshot.totals.refused_total() == 1).await;
        assert_eq!(snapshot.totals.sent, 49);
        assert!(fake.seen().len() <= 2 * 50, "{} calls", fake.seen().len());
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_batch_of_bad_documents_ends_too() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::RefuseBatchWith("poison", 400));
    let daemon = Daemon::beside(&fake);
    for _ in 0..50 {
        daemon.send("poison");
    }
    daemon.until("all refused", |snapshot| snapshot.totals.refused_total() == 50).await;
    assert!(fake.seen().len() < 2 * 50, "{} calls", fake.seen().len());
    daemon.stop().await;
}

#[tokio::test]
async fn unprocessed_documents_are_read_from_every_200() {
    let fake = FakeXRay::start().await;
    let first_time = AtomicUsize::new(0);
    fake.set(Mode::Unprocessed(Arc::new(move |document| {
        let id = document.get(7..23)?;
        let code = match id.parse::<usize>().ok()? {
            3 => "InvalidSegment",
            5 if first_time.fetch_add(1, Ordering::Relaxed) == 0 => "ThrottledException",
            _ => return None,
        };
        Some(json!({ "Id": id, "ErrorCode": code, "Message": "as the test asked" }))
    })));
    let daemon = Daemon::beside(&fake);
    daemon.send_numbered(50).await;
    fake.until_requests("/TraceSegments", 2).await;
    let again = fake.seen()[1].documents();
    assert_eq!(again.len(), 1);
    assert!(again[0].contains("0000000000000005"), "{again:?}");
    let report = daemon.stop().await;
    assert_eq!((report.snapshot.totals.sent, report.snapshot.totals.refused_total()), (49, 1));
}

/// Hands out keys X-Ray does not know, until it was asked often enough.
#[derive(Debug)]
struct Expired {
    asked: Arc<AtomicUsize>,
    good_from: usize,
}

impl ProvideCredentials for Expired {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let count = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let key = if count >= self.good_from { sigv4::ACCESS_KEY } else { "AKIDEXPIRED" };
        future::ProvideCredentials::ready(Ok(Credentials::new(key, sigv4::SECRET_KEY, None, None, "test")))
    }
}

#[tokio::test]
async fn credentials_that_xray_refuses_are_asked_for_again() {
    let fake = FakeXRay::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let mut config = config("", &fake.url());
    let provider = Expired { asked: asked.clone(), good_from: 2 };
    config.aws.credentials = Some(SharedCredentialsProvider::new(provider));
    let daemon = Daemon::start(config);
    let documents = daemon.send_numbered(50).await;
    assert_eq!(fake.until_documents(50).await, documents);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "forgotten once, then kept");
    daemon.stop().await;
}

#[tokio::test]
async fn memory_that_is_used_up_costs_the_oldest_documents_and_counts_them() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Fail(500, ""));
    let daemon = Daemon::start(config("-m 3", &fake.url()));
    let large = "x".repeat(20_000);
    for count in 0..400_u64 {
        daemon.send_raw(&[HEADER, format!("{count:04}{large}").as_bytes()].concat());
        let snapshot = daemon.until_received(count + 1).await;
        assert!(snapshot.budget_used_bytes <= snapshot.budget_bytes, "{snapshot:?}");
    }
    let dropped = daemon.snapshot().totals.dropped_total();
    assert!(dropped > 200, "8 MB do not fit in 3: {dropped}");
    fake.set(Mode::Take);
    let kept = usize::try_from(400 - dropped).unwrap();
    let arrived = fake.until_documents(kept).await;
    let newest = arrived.iter().map(|document| document[..4].parse::<usize>().unwrap()).max();
    assert_eq!(newest, Some(399), "the newest are kept");
    let report = daemon.stop().await;
    assert_eq!(report.snapshot.totals.sent + report.snapshot.totals.dropped_total(), 400);
}

#[tokio::test]
async fn a_slow_server_gets_more_requests_at_once() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::TakeAfter(Duration::from_millis(200)));
    let daemon = Daemon::start(config("--max-in-flight 40", &fake.url()));
    daemon.send_numbered(50 * 60).await;
    let most = daemon.until("more than eight at once", |snapshot| snapshot.sends_open > 8).await;
    assert!(most.sends_open <= 40);
    fake.until_documents(50 * 60).await;
    daemon.stop().await;
}
