//! The end of a daemon.

use crate::support::{Daemon, FakeXRay, Mode, config};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_stop_delivers_everything_that_was_received() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::TakeAfter(Duration::from_millis(300)));
    let daemon = Daemon::beside(&fake);
    daemon.send_numbered(130).await;
    let report = daemon.stop().await;
    assert_eq!((report.snapshot.totals.sent, report.dropped_at_stop()), (130, 0));
    assert_eq!(fake.documents().len(), 130);
}

#[tokio::test]
async fn a_stopping_daemon_still_receives_until_its_senders_are_silent() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::start(config("--linger 10", &fake.url()));
    daemon.send("before");
    daemon.until_received(1).await;
    let began = Instant::now();
    daemon.ask_to_stop();
    for number in 0..8 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        daemon.send(&format!("after {number}"));
    }
    let ready = daemon.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["status"].as_str()), (503, Some("stopping")));
    assert_eq!(daemon.get("/healthz").await.status, 200);
    let report = daemon.ended().await.unwrap();
    let took = began.elapsed();
    assert_eq!(report.snapshot.totals.sent, 9);
    assert!(
        (Duration::from_millis(1200)..Duration::from_secs(5)).contains(&took),
        "500 ms after the last one: {took:?}"
    );
}

#[tokio::test]
async fn a_stop_waits_for_the_parts_of_a_batch_with_a_bad_document() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::RefuseBatchWith("\"bad\"", 400));
    let daemon = Daemon::beside(&fake);
    daemon.send_numbered(39).await;
    daemon.send("{\"id\":\"bad\"}");
    daemon.until_received(40).await;
    let report = daemon.stop().await;
    let totals = &report.snapshot.totals;
    assert_eq!((totals.sent, totals.refused_total(), report.dropped_at_stop()), (39, 1, 0));
}

#[tokio::test]
async fn what_cannot_be_delivered_in_time_is_counted() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Hang);
    let daemon = Daemon::start(config("--shutdown-timeout 1", &fake.url()));
    daemon.send_numbered(70).await;
    let began = Instant::now();
    let report = daemon.stop().await;
    assert_eq!((report.snapshot.totals.sent, report.dropped_at_stop()), (0, 70));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn asked_a_second_time_it_ends_at_once() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Hang);
    let daemon = Daemon::start(config("--linger 60 --shutdown-timeout 60", &fake.url()));
    daemon.send_numbered(10).await;
    let began = Instant::now();
    daemon.ask_to_stop();
    let report = daemon.stop().await;
    assert_eq!(report.dropped_at_stop(), 10);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn while_it_delivers_it_still_receives_datagrams_and_takes_no_more_requests() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Hang);
    let daemon = Daemon::start(config("--shutdown-timeout 60", &fake.url()));
    daemon.send_numbered(10).await;
    daemon.ask_to_stop();
    let stopping = async {
        while daemon.post("/TraceSegments", "", r#"{"TraceSegmentDocuments":["late"]}"#).await.status != 503 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, stopping).await.unwrap();
    let before = daemon.snapshot().totals.received_total();
    daemon.send("a datagram has nowhere else to go");
    daemon.until_received(before + 1).await;
    assert_eq!(daemon.get("/healthz").await.status, 200);
    assert_eq!(daemon.get("/readyz").await.status, 503);
    fake.set(Mode::Take);
    let report = daemon.ended().await.unwrap();
    assert_eq!((report.snapshot.totals.sent, report.dropped_at_stop()), (before + 1, 0));
}

#[tokio::test]
async fn a_sender_that_never_pauses_does_not_hold_up_the_end() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::start(config("--linger 1 --shutdown-timeout 2", &fake.url()));
    let (to, over) = (daemon.udp, std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let flood = std::thread::spawn({
        let over = over.clone();
        move || {
            let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = sender.send_to(b"{\"format\":\"json\",\"version\":1}\n{}", to);
            }
        }
    });
    daemon.until_received(1000).await;
    let began = Instant::now();
    daemon.stop().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    flood.join().unwrap();
}
