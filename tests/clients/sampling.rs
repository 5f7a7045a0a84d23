//! Sampling by rules of `xrayd local`, as the SDKs and OpenTelemetry's samplers apply them.

use crate::aws_cli::aws;
use crate::daemon::Daemon;
use crate::programs::{CLIENTS, SAMPLERS, run};
use crate::taps::{TcpTap, UdpTap};
use serde_json::{Value, json};
use std::time::Duration;

/// Seconds a client gets to apply its rule.
const APPLY_SECONDS: &str = "20";

/// The same for a rule that is made later. SDKs ask for rules every five minutes only, but report every ten seconds,
/// and are told then that there are new ones.
const LATE_RULE_SECONDS: &str = "40";

/// Those that ask again when a report is answered that there are new rules. The SDK for Java and OpenTelemetry's sampler
/// for Java do not look at that; the SDK for Node takes its seconds for milliseconds (`dateToEpoch` in
/// `service_connector.js`).
const TOLD: [&str; 4] = ["python", "go", "adot", "otel-js"];

/// A rule that only this client's requests match, made as a user would.
async fn make_rule(daemon: &Daemon, client: &str, priority: usize) {
    let rule = json!({ "SamplingRule": { "RuleName": rule_of(client), "Priority": priority, "FixedRate": 1.0,
        "ReservoirSize": 50, "ServiceName": format!("cap-{client}"), "ServiceType": "*", "Host": "example.*",
        "HTTPMethod": "GET", "URLPath": "/c?p", "ResourceARN": "*", "Version": 1 } });
    let made = aws(daemon, &["create-sampling-rule", "--cli-input-json", &rule.to_string()]).await;
    let made = &made["SamplingRuleRecord"]["SamplingRule"];
    assert_eq!(made["RuleName"], json!(rule_of(client)), "{made}");
}

fn rule_of(client: &str) -> String {
    format!("rule-{client}")
}

/// What was reported of a rule: requests, and how many of them were sampled.
fn reported(summaries: &Value, rule: &str) -> (u64, u64) {
    let of_rule = summaries["SamplingStatisticSummaries"].as_array().unwrap().iter();
    let of_rule = of_rule.filter(|summary| summary["RuleName"] == rule);
    of_rule.fold((0, 0), |(requests, sampled), summary| {
        let count = |name: &str| summary[name].as_u64().unwrap();
        (requests + count("RequestCount"), sampled + count("SampledCount"))
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn every_sampler_applies_a_rule_made_with_the_aws_command_line() {
    // What no rule of a client takes is not sampled, so that a sampler without rules would be seen.
    let daemon = Daemon::local("--store memory --sampling-rate 0");
    for (priority, client) in samplers().enumerate() {
        make_rule(&daemon, client, priority + 1).await;
    }
    let mut running = Vec::new();
    for client in samplers() {
        let arguments = ["sample", &rule_of(client), APPLY_SECONDS].map(str::to_owned).to_vec();
        running.push((client, tokio::spawn(run(client, daemon.address(), arguments))));
    }
    for (client, running) in running {
        applied(&daemon, client, &running.await.unwrap()).await;
    }
    daemon.stop();
}

fn samplers() -> impl Iterator<Item = &'static str> {
    CLIENTS.into_iter().chain(SAMPLERS)
}

/// The client says so, and has reported it. No client can take another's rule for its own: each has its own service.
async fn applied(daemon: &Daemon, client: &str, printed: &Value) {
    assert_eq!(printed["rule"], json!(rule_of(client)), "{client}: {printed}");
    let summaries = aws(daemon, &["get-sampling-statistic-summaries"]).await;
    let (requests, sampled) = reported(&summaries, &rule_of(client));
    assert!(requests > 10 && sampled > 10, "{client}: {requests} requests, {sampled} sampled: {summaries}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn a_rule_made_while_samplers_run_is_applied_with_their_next_report() {
    let daemon = Daemon::local("--store memory --sampling-rate 0");
    let mut running = Vec::new();
    for client in TOLD {
        let tap = TcpTap::before(daemon.tcp).await;
        let address = format!("tcp:{} udp:{}", tap.address, daemon.udp);
        let arguments = ["sample", &rule_of(client), LATE_RULE_SECONDS].map(str::to_owned).to_vec();
        running.push((client, tap, tokio::spawn(run(client, address, arguments))));
    }
    for (_, tap, _) in &running {
        tap.until_asked().await;
    }
    // Answers tell whole seconds, and the rules they have must be of an earlier one.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for (priority, client) in TOLD.into_iter().enumerate() {
        make_rule(&daemon, client, priority + 1).await;
    }
    for (client, _, running) in running {
        applied(&daemon, client, &running.await.unwrap()).await;
    }
    daemon.stop();
}

/// What one SDK decided without a rule of its own, and how many segments it sent.
async fn decide_by_default(arguments: &str) -> (u64, usize) {
    let daemon = Daemon::local(&format!("--store memory {arguments}"));
    let tap = UdpTap::before(daemon.udp);
    let address = format!("tcp:{} udp:{}", daemon.tcp, tap.address);
    let printed = run("python", address, ["sample", "nobody", "6"].map(str::to_owned).to_vec()).await;
    assert_eq!(printed["rules_seen"], json!(["Default"]), "{printed}");
    daemon.stop();
    (printed["decisions"].as_u64().unwrap(), tap.documents().len())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn the_default_rule_samples_everything() {
    let (decisions, sent) = decide_by_default("").await;
    // The SDK's own rule decides until it has X-Ray's.
    assert!(sent as u64 + 5 >= decisions, "{sent} of {decisions}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn the_default_rule_samples_at_the_rate_that_is_set() {
    let (decisions, sent) = decide_by_default("--sampling-rate 0").await;
    // One a second from the reservoir, in six seconds and what is left of a seventh; before there are rules the SDK
    // takes one a second and 5 % of its own.
    assert!((1..=10).contains(&sent), "{sent} of {decisions}");
    assert!(decisions > 40, "{decisions}");
}
