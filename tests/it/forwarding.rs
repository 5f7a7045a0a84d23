//! From a datagram to the endpoint.

use crate::support::{Daemon, FakeXRay, HEADER, config};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xrayd::pipeline::BATCH_DOCUMENTS_MAX;

fn captures() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures");
    let mut found = Vec::new();
    for sdk in std::fs::read_dir(root).unwrap() {
        let sdk = sdk.unwrap().path();
        if !sdk.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(sdk).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "dgram") {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// What stands behind the header, split by hand.
fn document_of(datagram: &[u8]) -> &[u8] {
    let line_feed = datagram.iter().position(|&byte| byte == b'\n').unwrap();
    &datagram[line_feed + 1..]
}

#[tokio::test]
async fn every_datagram_captured_from_an_sdk_arrives_byte_for_byte_and_in_order() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let captures = captures();
    assert!(captures.len() > 100, "the fixtures are there");
    for (number, (_, datagram)) in captures.iter().enumerate() {
        daemon.send_raw(datagram);
        daemon.until_received(number as u64 + 1).await;
    }
    let arrived = fake.until_documents(captures.len()).await;
    // Batches are sent concurrently; within one the order is kept.
    let mut expected: Vec<_> = captures.iter().map(|(_, datagram)| document_of(datagram)).collect();
    let mut found: Vec<_> = arrived.iter().map(String::as_bytes).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert!(expected == found, "a document changed on its way");
    let report = daemon.stop().await;
    assert_eq!(report.snapshot.totals.sent, captures.len() as u64);
    assert_eq!(report.snapshot.totals.repaired, 0);
}

#[tokio::test]
async fn documents_that_are_no_json_go_on_as_they_are() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let documents = [
        "not json",
        "T1SCgYKBA==",
        "T1U=",
        "{\"a\":NaN}",
        "{\"a\":\"\\ud800\"}",
        "\n",
        " ",
        "\u{0}\u{1f}\u{7f}é🚀\u{2028}",
    ];
    for document in documents {
        daemon.send(document);
    }
    assert_eq!(fake.until_documents(documents.len()).await, documents);
    daemon.stop().await;
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_replaced_and_counted() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    daemon.send_raw(&[HEADER, b"{\"a\":\"\xff\xe2\x82\"}"].concat());
    assert_eq!(fake.until_documents(1).await, ["{\"a\":\"\u{fffd}\u{fffd}\u{fffd}\"}"]);
    assert_eq!(daemon.stop().await.snapshot.totals.repaired, 1);
}

#[tokio::test]
async fn a_full_batch_goes_at_once_and_the_rest_within_a_second() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let began = Instant::now();
    let documents = daemon.send_numbered(120).await;
    assert_eq!(fake.until_documents(120).await.len(), documents.len());
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(800), "the last batch was not full, so it waited: {took:?}");
    assert!(took < Duration::from_secs(3), "no longer than a second, on a busy machine: {took:?}");
    let sizes: Vec<_> = fake.seen().iter().map(|seen| seen.documents().len()).collect();
    assert_eq!(sizes, [BATCH_DOCUMENTS_MAX, BATCH_DOCUMENTS_MAX, 20]);
    daemon.stop().await;
}

#[tokio::test]
async fn the_largest_datagram_there_is_goes_through() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    // Every byte of it grows sixfold in the request.
    let largest = [HEADER, &vec![1; 65_507 - HEADER.len()]].concat();
    daemon.send_raw(&largest);
    let arrived = fake.until_documents(1).await;
    assert_eq!(arrived[0].len(), 65_507 - HEADER.len());
    daemon.stop().await;
}

#[tokio::test]
async fn large_documents_make_several_bodies_of_at_most_four_mebibytes() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let large = "\u{1}".repeat(60_000);
    for count in 1..=30 {
        daemon.send(&large);
        daemon.until_received(count).await;
    }
    assert_eq!(fake.until_documents(30).await, vec![large; 30]);
    assert!(fake.seen().iter().all(|seen| seen.body.len() <= 4 * 1024 * 1024));
    assert!(fake.seen().len() > 1);
    daemon.stop().await;
}

#[tokio::test]
async fn ipv6_senders_are_heard() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::start(config("-b [::1]:0", &fake.url()));
    daemon.send("over IPv6");
    assert_eq!(fake.until_documents(1).await, ["over IPv6"]);
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_no_document_is_refused_by_reason_and_loses_nothing_else() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    for datagram in
        [&b""[..], b"no line feed", HEADER, b"\nx", b"{}\nx", b"{\"format\":\"json\",\"version\":2}\nx"]
    {
        daemon.send_raw(datagram);
    }
    daemon.send("good");
    assert_eq!(fake.until_documents(1).await, ["good"]);
    let totals = daemon.stop().await.snapshot.totals;
    let refused: Vec<_> = totals
        .refused_by()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.label(), count))
        .collect();
    let expected = [
        ("empty", 1),
        ("missing_header", 1),
        ("empty_document", 1),
        ("invalid_header", 1),
        ("unsupported_header", 2),
    ];
    assert_eq!(refused, expected);
    assert_eq!(totals.received_total(), 7);
}

#[tokio::test]
async fn documents_over_http_join_those_from_udp() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    daemon.send("from udp");
    daemon.until_received(1).await;
    let body = serde_json::json!({ "TraceSegmentDocuments": ["{\"id\":\"1\"}", "é\n"] }).to_string();
    let answer = daemon.post("/TraceSegments", "Content-Type: application/json\r\n", &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"UnprocessedTraceSegments":[]}"#));
    assert_eq!(fake.until_documents(3).await, ["from udp", "{\"id\":\"1\"}", "é\n"]);
    let totals = daemon.stop().await.snapshot.totals;
    let received: Vec<_> =
        totals.received_by().map(|(transport, count)| (transport.label(), count)).collect();
    assert_eq!(received, [("udp", 1), ("http", 2)]);
}

#[tokio::test]
async fn documents_over_http_alone_leave_within_a_second_too() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let began = Instant::now();
    daemon.post("/TraceSegments", "", r#"{"TraceSegmentDocuments":["x"]}"#).await;
    fake.until_documents(1).await;
    let took = began.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{took:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_bad_request_over_http_is_refused_and_nothing_of_it_taken() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    for body in
        ["", "{}", "no json", r#"{"TraceSegmentDocuments":"x"}"#, r#"{"TraceSegmentDocuments":["x",""]}"#]
    {
        let answer = daemon.post("/TraceSegments", "", body).await;
        assert_eq!(
            (answer.status, answer.json()["__type"].as_str()),
            (400, Some("InvalidRequestException")),
            "{body}"
        );
    }
    assert_eq!(daemon.stop().await.snapshot.totals.received_total(), 0);
}
