//! The TCP port: what SDKs ask, and what nobody should.

use crate::support::{Daemon, FakeXRay, Mode, ask, config, read_answer, rules};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Raw requests captured from SDKs, by file name.
fn captured_requests() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures");
    let mut found = Vec::new();
    for sdk in std::fs::read_dir(root).unwrap() {
        let Ok(files) = std::fs::read_dir(sdk.unwrap().path().join("http")) else { continue };
        for file in files {
            let path = file.unwrap().path();
            found.push((path.display().to_string(), std::fs::read(path).unwrap()));
        }
    }
    found
}

#[tokio::test]
async fn every_request_captured_from_an_sdk_is_signed_forwarded_and_answered() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let captured = captured_requests();
    assert!(captured.len() > 15, "the fixtures are there");
    // The first answers before the region is known are 503; wait for the first good one.
    until_rules_are_there(&daemon).await;
    for (name, request) in captured {
        let answer = ask(daemon.tcp, &request).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let expected =
            if name.contains("GetSamplingRules") { "SamplingRuleRecords" } else { "SamplingTargetDocuments" };
        assert!(answer.json()[expected].is_array(), "{name}: {answer:?}");
    }
    assert!(fake.seen().iter().all(|seen| seen.status == 200), "a signature was wrong");
    daemon.stop().await;
}

async fn until_rules_are_there(daemon: &Daemon) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while daemon.post("/GetSamplingRules", "", "{}").await.status != 200 {
        assert!(Instant::now() < deadline, "no rules");
    }
}

#[tokio::test]
async fn a_foreign_signature_and_unknown_headers_are_dropped_and_the_body_kept() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    until_rules_are_there(&daemon).await;
    let headers = "Authorization: AWS4-HMAC-SHA256 Credential=dummy\r\nX-Amz-Date: 20200101T000000Z\r\n\
                   X-Amz-Security-Token: theirs\r\nX-Envoy-Expected-Rq-Timeout-Ms: 1\r\n";
    let body = r#"{"SamplingStatisticsDocuments": [{"RuleName": "r", "Timestamp": 1795345152124}]}"#;
    assert_eq!(daemon.post("/SamplingTargets", headers, body).await.status, 200);
    let seen = fake.seen_at("/SamplingTargets").pop().unwrap();
    assert_eq!(seen.body, body.as_bytes());
    assert!(
        seen.headers.get("x-amz-security-token").is_none()
            && seen.headers.get("x-envoy-expected-rq-timeout-ms").is_none()
    );
    daemon.stop().await;
}

#[tokio::test]
async fn no_client_waits_two_seconds_for_an_xray_that_hangs() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    until_rules_are_there(&daemon).await;
    fake.set(Mode::Hang);
    for path in ["/SamplingTargets", "/GetSamplingRules"] {
        let began = Instant::now();
        let answer = daemon.post(path, "", "{}").await;
        assert!(began.elapsed() < Duration::from_secs(2), "{path} took {:?}", began.elapsed());
        let expected = if path == "/GetSamplingRules" { 200 } else { 503 };
        assert_eq!(answer.status, expected, "{path}: {answer:?}");
    }
    // An SDK that tries three times in a row does not wait three times.
    let began = Instant::now();
    for _ in 0..3 {
        let answer = daemon.post("/SamplingTargets", "", "{}").await;
        assert_eq!(
            (answer.status, answer.json()["__type"].as_str()),
            (503, Some("ServiceUnavailableException"))
        );
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    daemon.stop().await;
}

#[tokio::test]
async fn the_last_good_rules_are_given_while_xray_is_away() {
    let fake = FakeXRay::start().await;
    fake.set_rules(rules("kept", 0.5));
    let daemon = Daemon::beside(&fake);
    until_rules_are_there(&daemon).await;
    for mode in [
        Mode::Fail(500, ""),
        Mode::Fail(429, "ThrottledException"),
        Mode::Fail(403, "AccessDeniedException"),
        Mode::Hang,
    ] {
        fake.set(mode);
        let answer = daemon.post("/GetSamplingRules", "", "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["SamplingRuleRecords"][0]["SamplingRule"]["RuleName"], "kept");
    }
    drop(fake);
    assert_eq!(daemon.post("/GetSamplingRules", "", "").await.status, 200);
    let metrics = daemon.get("/metrics").await.body;
    assert!(metrics.contains("xrayd_proxied_requests_total{result=\"cached\"} 5"), "{metrics}");
    daemon.stop().await;
}

#[tokio::test]
async fn an_error_never_holds_rules() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Fail(500, "InternalFailure"));
    let daemon = Daemon::beside(&fake);
    fake.until("the region", |_| true).await;
    for _ in 0..3 {
        let answer = daemon.post("/GetSamplingRules", "", "{}").await;
        assert!(answer.status >= 500, "{answer:?}");
        assert!(answer.json().get("SamplingRuleRecords").is_none() && answer.json()["message"].is_string());
    }
    daemon.stop().await;
}

#[tokio::test]
async fn before_the_region_is_known_the_answer_is_at_once_that_there_is_none() {
    let mut config = config("", "http://127.0.0.1:1");
    config.aws.region = None;
    let daemon = Daemon::start(config);
    for path in ["/GetSamplingRules", "/SamplingTargets"] {
        let answer = daemon.post(path, "", "{}").await;
        assert_eq!(answer.status, 503);
        assert!(answer.json()["message"].as_str().unwrap().contains("region"), "{answer:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn those_who_ask_for_rules_at_the_same_time_share_one_request() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    until_rules_are_there(&daemon).await;
    let before = fake.seen_at("/GetSamplingRules").len();
    fake.set(Mode::TakeAfter(Duration::from_millis(300)));
    let asking = (0..20).map(|_| daemon.post("/GetSamplingRules", "", "{\"NextToken\": null}"));
    let answers = futures_join(asking).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(fake.seen_at("/GetSamplingRules").len() - before, 1);
    daemon.stop().await;
}

async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    // All are polled before the first is waited for.
    std::future::poll_fn(|context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn connections_are_kept_here_and_upstream() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    until_rules_are_there(&daemon).await;
    let mut stream = TcpStream::connect(daemon.tcp).await.unwrap();
    for _ in 0..5 {
        stream
            .write_all(
                b"POST /SamplingTargets HTTP/1.1\r\nHost: xray-daemon:2000\r\nContent-Length: 0\r\n\r\n",
            )
            .await
            .unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 200);
    }
    assert!(
        fake.seen_at("/SamplingTargets").iter().all(|seen| &seen.body[..] == b"{}"),
        "an empty body means {{}}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn what_no_sdk_asks_is_refused_unless_the_user_wants_it_forwarded() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let answer = daemon.post("/CreateGroup", "", "{}").await;
    assert_eq!((answer.status, answer.json()["__type"].as_str()), (404, Some("UnknownOperationException")));
    assert!(answer.json()["message"].as_str().unwrap().contains("--proxy-all"));
    assert_eq!(daemon.get("/GetSamplingRules").await.status, 404);
    daemon.stop().await;
    assert!(fake.seen().is_empty());

    let daemon = Daemon::start(config("--proxy-all --allowed-host mesh.internal", &fake.url()));
    until_rules_are_there(&daemon).await;
    let as_host =
        |host: &str| format!("POST /CreateGroup HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}");
    for (host, expected) in [("127.0.0.1:2000", 200), ("mesh.internal", 200), ("rebound.example:2000", 403)] {
        assert_eq!(ask(daemon.tcp, as_host(host).as_bytes()).await.status, expected, "{host}");
    }
    assert_eq!(fake.seen_at("/CreateGroup").len(), 2);
    daemon.stop().await;
}

#[tokio::test]
async fn pages_of_foreign_sites_get_nothing() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    for headers in ["Origin: https://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n", "Origin: null\r\n"]
    {
        assert_eq!(
            daemon.post("/TraceSegments", headers, r#"{"TraceSegmentDocuments":["x"]}"#).await.status,
            403
        );
    }
    assert_eq!(daemon.stop().await.snapshot.totals.received_total(), 0);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let large = "x".repeat(300 * 1024);
    assert_eq!(daemon.post("/SamplingTargets", "", &large).await.status, 413);
    let announced = "POST /TraceSegments HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(ask(daemon.tcp, announced.as_bytes()).await.status, 413);
    daemon.stop().await;
}

#[tokio::test]
async fn documents_that_find_no_memory_are_told_so_and_not_counted() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Fail(500, ""));
    let daemon = Daemon::start(config("-m 3", &fake.url()));
    let body = serde_json::json!({ "TraceSegmentDocuments": ["x".repeat(150_000)] }).to_string();
    let mut taken = 0;
    let refusal = loop {
        let answer = daemon.post("/TraceSegments", "", &body).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
    };
    assert_eq!(
        (refusal.status, refusal.json()["__type"].as_str()),
        (503, Some("ServiceUnavailableException"))
    );
    let snapshot = daemon.snapshot();
    assert_eq!((snapshot.totals.received_total(), snapshot.totals.dropped_total()), (taken, 0));
    fake.set(Mode::Take);
    daemon.stop().await;
}

#[tokio::test]
async fn a_request_that_stalls_takes_no_memory_from_datagrams() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::start(config("-m 4", &fake.url()));
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(daemon.tcp).await.unwrap();
        stream
            .write_all(b"POST /TraceSegments HTTP/1.1\r\nHost: x\r\nContent-Length: 190000\r\n\r\n[")
            .await
            .unwrap();
        stalled.push(stream);
    }
    daemon.send_numbered(1000).await;
    assert_eq!(fake.until_documents(1000).await.len(), 1000);
    drop(stalled);
    assert_eq!(daemon.stop().await.snapshot.totals.dropped_total(), 0);
}

#[tokio::test]
async fn rules_are_given_while_the_memory_for_documents_is_full() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::start(config("-m 3 --shutdown-timeout 0", &fake.url()));
    until_rules_are_there(&daemon).await;
    fake.set(Mode::Fail(500, ""));
    let large = "x".repeat(50_000);
    while daemon.snapshot().totals.dropped_total() == 0 {
        let received = daemon.snapshot().totals.received_total();
        daemon.send(&large);
        daemon.until_received(received + 1).await;
    }
    assert_eq!(daemon.post("/GetSamplingRules", "", "{}").await.status, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn an_xray_that_is_far_away_is_heard_again_after_it_hung() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    until_rules_are_there(&daemon).await;
    fake.set(Mode::Hang);
    assert_eq!(daemon.post("/SamplingTargets", "", "{}").await.status, 503);
    // Longer than the patience of the next few seconds, shorter than that of an ordinary day.
    fake.set(Mode::TakeAfter(Duration::from_millis(250)));
    let began = Instant::now();
    while daemon.post("/SamplingTargets", "", "{}").await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(10), "asking again and again must not keep it deaf");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn somebody_who_holds_all_connections_does_not_hide_the_daemons_health() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let mut held = Vec::new();
    for _ in 0..560 {
        held.push(TcpStream::connect(daemon.tcp).await.unwrap());
    }
    assert_eq!(daemon.get("/healthz").await.status, 200);
    drop(held);
    daemon.stop().await;
}

#[tokio::test]
async fn more_documents_than_anybody_sends_at_once_are_refused_before_they_cost_memory() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let body = serde_json::json!({ "TraceSegmentDocuments": vec!["x"; 1001] }).to_string();
    let answer = daemon.post("/TraceSegments", "", &body).await;
    assert!(answer.status == 400 && answer.body.contains("more than 1000"), "{answer:?}");
    let large = serde_json::json!({ "TraceSegmentDocuments": ["\n".repeat(700_000)] }).to_string();
    let answer = daemon.post("/TraceSegments", "", &large).await;
    assert!(answer.status == 400 && answer.body.contains("larger than a request"), "{answer:?}");
    assert_eq!(daemon.stop().await.snapshot.totals.received_total(), 0);
}

#[tokio::test]
async fn what_is_no_object_with_a_list_of_documents_is_refused() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    for body in [r#"[["x"]]"#, "[]", "null", "{}", r#"{"TraceSegmentDocuments":"x"}"#] {
        let answer = daemon.post("/TraceSegments", "", body).await;
        assert!(answer.status == 400 && answer.body.contains("no PutTraceSegments request"), "{answer:?}");
    }
    assert_eq!(daemon.stop().await.snapshot.totals.received_total(), 0);
}
