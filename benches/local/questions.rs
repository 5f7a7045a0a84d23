//! What is asked of a daemon that has everything, how long it takes, and whether the answers are right.

use crate::client::Client;
use crate::options::Options;
use crate::process::Daemon;
use crate::report;
use crate::traces::{SEGMENTS, Traces};
use anyhow::ensure;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The tenant that is looked for.
const TENANT: u64 = 7;

/// How often each question is asked, and how often traces are fetched.
const TIMES: usize = 10;
const FETCHES: usize = 200;

/// Traces of one fetch: X-Ray's limit.
const TRACES: u64 = 5;

/// Asks everything.
pub(crate) fn ask_all(daemon: &Daemon, traces: &Traces, options: &Options) -> anyhow::Result<()> {
    let mut client = Client::connect(daemon.tcp())?;
    let times = if options.test { 2 } else { TIMES };
    report::head(
        &format!("{} stored segments are asked, over one connection", traces.segments()),
        &["question", "first ms", "median ms", "p99 ms", "CPU ms each", "answer KB"],
    );
    let (from, until) = times_of(traces);
    let range = json!({ "StartTime": from, "EndTime": until });
    let with = |key: &str, value: Value| {
        let mut body = range.clone();
        body[key] = value;
        body
    };
    let tenant = format!("annotation.tenant = \"t-{TENANT}\"");
    let fault = "service(\"orders\") { fault }";
    for (name, operation, body) in [
        (
            "GetTraceSummaries, `annotation.tenant = \"t-7\"`",
            "TraceSummaries",
            with("FilterExpression", json!(tenant)),
        ),
        ("GetTraceSummaries, no filter, a page", "TraceSummaries", range.clone()),
        (
            "GetTraceSummaries, `service(\"orders\") { fault }`",
            "TraceSummaries",
            with("FilterExpression", json!(fault)),
        ),
        ("GetServiceGraph", "ServiceGraph", range.clone()),
        (
            "GetTimeSeriesServiceStatistics, a minute",
            "TimeSeriesServiceStatistics",
            with("Period", json!(60)),
        ),
    ] {
        let mut asked = Asked::default();
        for _ in 0..times {
            asked.ask(daemon, &mut client, operation, &body)?;
        }
        asked.tell(name);
    }
    fetch(daemon, &mut client, traces, if options.test { 20 } else { FETCHES })?;
    check(&mut client, traces, &range, [&tenant, fault])
}

/// Everything, by start and by receipt.
fn times_of(traces: &Traces) -> (u64, u64) {
    let (from, until) = traces.seconds();
    (from, until + 3_600)
}

fn fetch(daemon: &Daemon, client: &mut Client, traces: &Traces, times: usize) -> anyhow::Result<()> {
    let mut asked = Asked::default();
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..times {
        let mut ids: Vec<_> = (0..TRACES).map(|_| random.u64(0..traces.count())).collect();
        ids.sort_unstable();
        ids.dedup();
        let wanted: Vec<_> = ids.iter().map(|trace| traces.id(*trace)).collect();
        let answer = asked.ask(daemon, client, "Traces", &json!({ "TraceIds": wanted }))?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let found = answer["Traces"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure!(found.len() == ids.len() && found.iter().all(is_complete), "not all of {wanted:?} came");
    }
    asked.tell("BatchGetTraces of 5 traces");
    Ok(())
}

/// Whether all segments are there that were sent. Beside them are those X-Ray makes of calls nobody answers.
fn is_complete(trace: &Value) -> bool {
    let documents = trace["Segments"].as_array().into_iter().flatten();
    let texts = documents.filter_map(|segment| segment["Document"].as_str());
    texts.filter(|document| !document.contains("\"inferred\":true")).count() as u64 == SEGMENTS
}

/// What one question took, each time.
#[derive(Default)]
struct Asked {
    took: Vec<f64>,
    cpu: Duration,
    bytes: usize,
}

impl Asked {
    fn ask(
        &mut self,
        daemon: &Daemon,
        client: &mut Client,
        operation: &str,
        body: &Value,
    ) -> anyhow::Result<Vec<u8>> {
        let (cpu, began) = (daemon.cpu_of_all()?, Instant::now());
        let answer = client.post(operation, body)?;
        self.took.push(began.elapsed().as_secs_f64() * 1e3);
        self.cpu += daemon.cpu_of_all()?.saturating_sub(cpu);
        self.bytes = answer.len();
        Ok(answer)
    }

    fn tell(&self, name: &str) {
        let mut sorted = self.took.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted.get((sorted.len() * part / 100).min(sorted.len().saturating_sub(1)));
        let shown = |value: Option<&f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
        report::row(&[
            name.to_owned(),
            shown(self.took.first()),
            shown(at(50)),
            shown(at(99)),
            format!("{:.2}", self.cpu.as_secs_f64() * 1e3 / self.took.len().max(1) as f64),
            format!("{:.1}", self.bytes as f64 / 1e3),
        ]);
    }
}

/// Whether the answers are those that follow from what was sent.
fn check(client: &mut Client, traces: &Traces, range: &Value, filters: [&str; 2]) -> anyhow::Result<()> {
    let all = client.ask("TraceSummaries", range)?;
    ensure!(
        all["TracesProcessedCount"] == traces.count(),
        "of {} traces: {}",
        traces.count(),
        all["TracesProcessedCount"]
    );
    for (filter, expected) in filters.into_iter().zip([traces.of_tenant(TENANT), traces.faults()]) {
        let found = count(client, range, filter)?;
        ensure!(found == expected, "{filter}: {found} traces, not {expected}");
    }
    let graph = client.ask("ServiceGraph", range)?;
    for (name, segments) in [("api", 1), ("orders", 1), ("payments", 1), ("stock", 2)] {
        let of = |service: &&Value| service["Name"] == name && service["Type"] != "client";
        let service = graph["Services"].as_array().into_iter().flatten().find(of);
        let total = service.map(|service| &service["SummaryStatistics"]["TotalCount"]);
        ensure!(total == Some(&json!(segments * traces.count())), "{name}: {service:?}");
    }
    let series = client.ask("TimeSeriesServiceStatistics", range)?;
    let statistics = series["TimeSeriesServiceStatistics"].as_array();
    ensure!(statistics.is_some_and(|statistics| !statistics.is_empty()), "no statistics: {series}");
    Ok(())
}

/// Reads all pages.
fn count(client: &mut Client, range: &Value, filter: &str) -> anyhow::Result<u64> {
    let mut body = range.clone();
    body["FilterExpression"] = json!(filter);
    let mut found = 0;
    loop {
        let page = client.ask("TraceSummaries", &body)?;
        found += page["TraceSummaries"].as_array().map_or(0, Vec::len) as u64;
        if page["NextToken"].is_null() {
            return Ok(found);
        }
        body["NextToken"] = page["NextToken"].clone();
    }
}
