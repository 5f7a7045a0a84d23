//! `/healthz`, `/readyz` and `/metrics`.

use crate::support::{Daemon, FakeXRay, Mode, config};
use std::collections::HashMap;

#[tokio::test]
async fn healthy_without_region_xray_or_credentials_and_ready_with_what_is_missing() {
    let mut config = config("", "http://127.0.0.1:1");
    config.aws.region = None;
    let daemon = Daemon::start(config);
    let health = daemon.get("/healthz").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    daemon.send("kept");
    daemon.until_received(1).await;
    let ready = daemon.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["status"].as_str()), (200, Some("ready")));
    assert_eq!(ready.json()["degraded"][0]["what"], "aws", "{ready:?}");
    assert!(ready.json()["degraded"][0]["why"].as_str().unwrap().contains("AWS_REGION"));
    daemon.stop().await;
}

#[tokio::test]
async fn readiness_tells_that_sending_fails_and_that_it_works_again() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Fail(500, ""));
    let daemon = Daemon::beside(&fake);
    daemon.send_numbered(50).await;
    daemon.until("a failed try", |snapshot| snapshot.waiting.retry > 0).await;
    assert_eq!(daemon.get("/readyz").await.json()["degraded"][0]["what"], "sending");
    fake.set(Mode::Take);
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 50).await;
    assert_eq!(daemon.get("/readyz").await.json(), serde_json::json!({ "status": "ready", "degraded": [] }));
    daemon.stop().await;
}

/// Name and labels, and the number behind them.
fn parse(metrics: &str) -> HashMap<String, f64> {
    metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap()
        })
        .collect()
}

fn sum(metrics: &HashMap<String, f64>, name: &str) -> f64 {
    let family = |key: &&String| key.split('{').next() == Some(name);
    assert!(metrics.keys().any(|key| family(&key)), "no {name}");
    metrics.iter().filter(|(key, _)| family(key)).map(|(_, value)| value).sum()
}

#[tokio::test]
async fn the_metrics_of_one_answer_add_up_while_documents_are_moving() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    for _ in 0..20 {
        daemon.send_numbered(30).await;
        daemon.send_raw(b"nothing");
        let metrics = parse(&daemon.get("/metrics").await.body);
        let total = |name: &str| sum(&metrics, &format!("xrayd_documents_{name}"));
        let accounted =
            ["sent_total", "stored_total", "refused_total", "dropped_total", "waiting"].map(total);
        let came = total("received_total") + total("recovered_total");
        assert!((came - accounted.iter().sum::<f64>()).abs() < 0.5, "{came} {accounted:?}");
    }
    fake.until_documents(600).await;
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 600).await;
    let metrics = parse(&daemon.get("/metrics").await.body);
    assert!(sum(&metrics, "xrayd_send_seconds_count") >= 12.0);
    assert!(sum(&metrics, "xrayd_budget_bytes") >= 4.0 * 1024.0 * 1024.0);
    assert!(metrics.contains_key("xrayd_documents_refused_total{sink=\"intake\",reason=\"missing_header\"}"));
    daemon.stop().await;
}
