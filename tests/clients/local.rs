//! What the SDKs send to `xrayd local`, read back and searched.

use crate::daemon::Daemon;
use crate::programs::run;
use crate::sent::{self, Parts};
use crate::support::fake_xray::PATIENCE;
use crate::taps::UdpTap;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Traces X-Ray gives out at once.
const TRACES_AT_ONCE: usize = 5;

impl Daemon {
    /// Everything these traces consist of. Their documents are JSON in a string, as X-Ray has it.
    async fn parts(&self, traces: &[&str]) -> Parts {
        let mut documents = Vec::new();
        for traces in traces.chunks(TRACES_AT_ONCE) {
            let answer = self.ask("Traces", &json!({ "TraceIds": traces })).await;
            assert_eq!(answer["UnprocessedTraceIds"], json!([]), "{answer}");
            let segments = answer["Traces"].as_array().unwrap().iter().flat_map(|trace| {
                trace["Segments"].as_array().unwrap().iter().map(move |segment| (&trace["Id"], segment))
            });
            for (trace, segment) in segments {
                let text = segment["Document"].as_str().unwrap();
                let mut document: Value = serde_json::from_str(text).unwrap();
                assert_eq!(document["id"], segment["Id"]);
                // Of subsegments without a segment X-Ray does not say it.
                document["trace_id"] = trace.clone();
                documents.push(document.to_string());
            }
        }
        sent::parts(&documents)
    }

    async fn found(&self, filter: &str) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let body = json!({ "StartTime": now - 600.0, "EndTime": now + 5.0, "FilterExpression": filter });
        let answer = self.ask("TraceSummaries", &body).await;
        assert_eq!(answer["NextToken"], Value::Null, "{answer}");
        let ids = answer["TraceSummaries"].as_array().unwrap().iter();
        ids.map(|summary| summary["Id"].as_str().unwrap().to_owned()).collect()
    }
}

/// Emits with one SDK, reads every trace, and finds each by its annotation.
async fn everything_is_kept_and_found(client: &'static str, numbers: usize, more_parts: usize) {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::local(&format!("--store {}", folder.path().display()));
    let tap = UdpTap::before(daemon.udp);
    let address = format!("tcp:{} udp:{}", daemon.tcp, tap.address);
    let printed = run(client, address, vec!["emit".to_owned(), numbers.to_string()]).await;
    assert_eq!(printed, json!({ "emitted": numbers }));

    let sent = sent::parts(&tap.documents());
    // Counted by hand in the client's program: were some not seen on the way, they would not be missed below.
    assert_eq!(sent.len(), numbers + more_parts, "{client}: {:?}", sent.keys());
    let traces: BTreeSet<&str> = sent.keys().map(|(trace, _)| trace.as_str()).collect();
    let traces: Vec<&str> = traces.into_iter().collect();
    assert_eq!(traces.len(), numbers);
    until_stored(&daemon, &traces, &sent).await;
    sent::compare(client, &sent, daemon.parts(&traces).await);

    let mut found = BTreeSet::new();
    for number in 0..numbers {
        let ids = daemon.found(&format!("annotation.number = {number}")).await;
        assert_eq!(ids.len(), 1, "{client}: number {number}: {ids:?}");
        found.extend(ids);
    }
    assert!(found.iter().map(String::as_str).eq(traces.iter().copied()), "{client}: {found:?} of {traces:?}");
    assert_eq!(daemon.found(&format!("annotation.number >= {}", numbers - 3)).await.len(), 3);
    assert_eq!(daemon.found(&format!("annotation.number = {numbers}")).await, [""; 0]);
    nothing_is_lost(&daemon).await;
    daemon.stop();

    let daemon = Daemon::local(&format!("--store {}", folder.path().display()));
    sent::compare(client, &sent, daemon.parts(&traces).await);
    daemon.stop();
}

/// A datagram is stored a moment after it was sent, and there is no event of that to wait for.
async fn until_stored(daemon: &Daemon, traces: &[&str], sent: &Parts) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let given = daemon.parts(traces).await;
        let missing = sent.keys().find(|key| !given.contains_key(key));
        let Some(missing) = missing else { return };
        assert!(Instant::now() < deadline, "{missing:?} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn nothing_is_lost(daemon: &Daemon) {
    let metrics = daemon.metrics().await;
    assert!(metrics.balances(), "{}", metrics.0);
    for name in ["refused_total", "dropped_total", "waiting"] {
        assert_eq!(metrics.sum(&format!("xrayd_documents_{name}")), 0, "{name}: {}", metrics.0);
    }
    assert_eq!(metrics.sum("xrayd_kernel_dropped_datagrams_total"), 0, "{}", metrics.0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn python_segments_are_kept_and_found() {
    everything_is_kept_and_found("python", 20, 55).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn node_segments_are_kept_and_found() {
    everything_is_kept_and_found("node", 20, 125).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn go_segments_are_kept_and_found() {
    everything_is_kept_and_found("go", 20, 45).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn java_segments_are_kept_and_found() {
    everything_is_kept_and_found("java", 20, 125).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn adot_spans_are_kept_and_found() {
    everything_is_kept_and_found("adot", 20, 37).await;
}
