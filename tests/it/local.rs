//! `xrayd local`: X-Ray on this machine, from a document to the answer about it.

use crate::support::{Answer, Daemon, FakeXRay, PATIENCE, config, local_config};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A trace id of now, and the segment that is the trace.
fn segment(number: u32, changes: &Value) -> (String, Value) {
    let start = now() - 1.0;
    let trace =
        format!("1-{:08x}-{number:024x}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    let mut segment = json!({ "name": "api", "id": format!("{number:016x}"), "trace_id": trace,
        "start_time": start, "end_time": start + 0.25 });
    for (key, value) in changes.as_object().unwrap() {
        segment[key] = value.clone();
    }
    (trace, segment)
}

impl Daemon {
    async fn ask(&self, operation: &str, body: &Value) -> Answer {
        self.post_to("127.0.0.1:2000", &format!("/{operation}"), "", &body.to_string()).await
    }

    async fn answer(&self, operation: &str, body: &Value) -> Value {
        let answer = self.ask(operation, body).await;
        assert_eq!(answer.status, 200, "{operation} {body}: {answer:?}");
        answer.json()
    }

    async fn put(&self, segments: &[&Value]) -> Value {
        let documents: Vec<_> = segments.iter().map(ToString::to_string).collect();
        self.answer("TraceSegments", &json!({ "TraceSegmentDocuments": documents })).await
    }

    async fn summaries(&self, filter: &str) -> Vec<Value> {
        let body =
            json!({ "StartTime": now() - 3600.0, "EndTime": now() + 3600.0, "FilterExpression": filter });
        self.answer("TraceSummaries", &body).await["TraceSummaries"].as_array().unwrap().clone()
    }

    async fn traces(&self, ids: &[&str]) -> Vec<Value> {
        self.answer("Traces", &json!({ "TraceIds": ids })).await["Traces"].as_array().unwrap().clone()
    }

    /// Datagrams are stored a moment after they were sent; there is no event to wait for but the trace itself.
    async fn until_stored(&self, id: &str) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(trace) = self.traces(&[id]).await.pop() {
                return trace;
            }
            assert!(tokio::time::Instant::now() < deadline, "{id} did not come");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_datagram_becomes_a_trace_a_summary_and_a_node() {
    let daemon = Daemon::start(local_config("--store memory"));
    let (id, segment) = segment(1, &json!({ "annotations": { "tenant": "a" }, "fault": true }));
    daemon.send(&segment.to_string());
    let trace = daemon.until_stored(&id).await;
    let document: Value = serde_json::from_str(trace["Segments"][0]["Document"].as_str().unwrap()).unwrap();
    assert_eq!((&document["name"], &document["id"]), (&json!("api"), &segment["id"]));
    let found = daemon.summaries("annotation.tenant = \"a\" AND fault").await;
    assert_eq!((found.len(), &found[0]["Id"], &found[0]["HasFault"]), (1, &json!(id), &json!(true)));
    assert_eq!(daemon.summaries("annotation.tenant = \"b\"").await, [Value::Null; 0]);
    let range = json!({ "StartTime": now() - 60.0, "EndTime": now() + 60.0 });
    let graph = daemon.answer("ServiceGraph", &range).await;
    let names: Vec<_> =
        graph["Services"].as_array().unwrap().iter().map(|node| node["Type"].clone()).collect();
    assert_eq!((names.len(), names.contains(&json!("client"))), (2, true), "{graph}");
    daemon.stop_local().await;
}

#[tokio::test]
async fn what_was_put_over_http_can_be_read_at_once_and_what_was_refused_is_named() {
    let daemon = Daemon::start(local_config("--store memory"));
    let (id, good) = segment(2, &json!({}));
    let (_, bad) = segment(3, &json!({ "start_time": null }));
    let answer = daemon.put(&[&good, &bad]).await;
    let expected = json!([{ "Id": bad["id"], "ErrorCode": "MissingStartTime",
        "Message": "Invalid segment. ErrorCode: MissingStartTime" }]);
    assert_eq!(answer["UnprocessedTraceSegments"], expected);
    assert_eq!(daemon.traces(&[&id]).await.len(), 1);
    let empty = daemon.ask("TraceSegments", &json!({ "TraceSegmentDocuments": [] })).await;
    assert_eq!((empty.status, &empty.json()["Message"]), (400, &json!("Segments can not be empty")));
    let metrics = daemon.get("/metrics").await.body;
    for line in [
        "xrayd_documents_received_total{sink=\"store\",transport=\"http\"} 2",
        "xrayd_documents_stored_total{sink=\"store\"} 1",
        "xrayd_documents_refused_total{sink=\"store\",reason=\"MissingStartTime\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    daemon.stop_local().await;
}

#[tokio::test]
async fn traces_groups_and_rules_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Daemon::start(local_config(&format!("--store {}", folder.path().display())));
    let daemon = start();
    let (id, segment) = segment(4, &json!({}));
    daemon.put(&[&segment]).await;
    daemon
        .answer("CreateGroup", &json!({ "GroupName": "slow", "FilterExpression": "responsetime > 5" }))
        .await;
    let rule = json!({ "SamplingRule": { "RuleName": "all", "ResourceARN": "*", "Priority": 5, "FixedRate": 0.5,
        "ReservoirSize": 3, "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": "*",
        "Version": 1 } });
    daemon.answer("CreateSamplingRule", &rule).await;
    daemon.stop_local().await;

    let daemon = start();
    assert_eq!(daemon.traces(&[&id]).await.len(), 1);
    let group = daemon.answer("GetGroup", &json!({ "GroupName": "slow" })).await;
    assert_eq!(group["Group"]["FilterExpression"], "responsetime > 5");
    let rules = daemon.answer("GetSamplingRules", &json!({})).await;
    let names = rules["SamplingRuleRecords"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|record| record["SamplingRule"]["RuleName"].clone()).collect();
    assert_eq!(names, ["all", "Default"]);
    daemon.stop_local().await;
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let daemon = Daemon::start(local_config("--store memory"));
    let segments: Vec<_> = (0..450).map(|number| segment(1000 + number, &json!({})).1).collect();
    for chunk in segments.chunks(50) {
        daemon.put(&chunk.iter().collect::<Vec<_>>()).await;
    }
    let mut body = json!({ "StartTime": now() - 3600.0, "EndTime": now() + 3600.0 });
    let (mut seen, mut pages) = (std::collections::BTreeSet::new(), 0);
    loop {
        let page = daemon.answer("TraceSummaries", &body).await;
        pages += 1;
        for summary in page["TraceSummaries"].as_array().unwrap() {
            assert!(seen.insert(summary["Id"].as_str().unwrap().to_owned()), "{summary} came twice");
        }
        assert_eq!(page["TracesProcessedCount"], 450);
        if page["NextToken"].is_null() {
            break;
        }
        body["NextToken"] = page["NextToken"].clone();
    }
    assert_eq!((seen.len(), pages > 1), (450, true));
    body["NextToken"] = json!("nonsense");
    let refused = daemon.ask("TraceSummaries", &body).await;
    assert_eq!((refused.status, &refused.json()["Message"]), (400, &json!("Invalid token nonsense")));
    daemon.stop_local().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_x_rays_words() {
    let daemon = Daemon::start(local_config("--store memory"));
    let times = |filter: &str| json!({ "StartTime": 1.0, "EndTime": 2.0, "FilterExpression": filter });
    for (path, body, status, kind, message) in [
        (
            "TraceSummaries",
            times("service(\"a\""),
            400,
            "InvalidRequestException",
            "Error Location: line 1, position 12 : missing ')' at end of expression",
        ),
        (
            "TraceSummaries",
            json!({ "StartTime": 2.0, "EndTime": 1.0 }),
            400,
            "InvalidRequestException",
            "End time cannot be earlier than start time",
        ),
        (
            "Traces",
            json!({}),
            400,
            "ValidationException",
            "1 validation error detected: Value null at 'traceIds' failed to satisfy constraint: Member must not be null",
        ),
        (
            "Traces",
            json!({ "TraceIds": ["x"] }),
            400,
            "InvalidRequestException",
            "Invalid trace id x: incorrect id format",
        ),
        ("TraceGraph", json!({ "TraceIds": [] }), 400, "InvalidRequestException", "Zero trace ids provided"),
        ("GetGroup", json!({ "GroupName": "none" }), 400, "InvalidRequestException", "Group not found"),
        (
            "TimeSeriesServiceStatistics",
            json!({ "StartTime": 1, "EndTime": 2, "Period": 7 }),
            400,
            "InvalidRequestException",
            "Time period must be one of [60, 300]",
        ),
    ] {
        let answer = daemon.ask(path, &body).await;
        let said = answer.json();
        let text = said.get("Message").or_else(|| said.get("message")).cloned();
        assert_eq!(
            (answer.status, &said["__type"], text),
            (status, &json!(kind), Some(json!(message))),
            "{path}"
        );
    }
    let nowhere = daemon.ask("GetTraceSummaries", &json!({})).await;
    assert_eq!((nowhere.status, &nowhere.json()["__type"]), (404, &json!("UnknownOperationException")));
    daemon.stop_local().await;
}

#[tokio::test]
async fn foreign_pages_and_rebound_names_read_no_trace_and_sdks_are_answered_all_the_same() {
    let daemon = Daemon::start(local_config("--store memory --allowed-host xray.test"));
    let body = json!({ "TraceIds": [] }).to_string();
    for (host, headers, expected) in [
        ("127.0.0.1:2000", "", 200),
        ("localhost:2000", "", 200),
        ("xray.test", "", 200),
        ("evil.example", "", 403),
        ("127.0.0.1:2000", "Origin: http://evil.example\r\n", 403),
        ("127.0.0.1:2000", "Sec-Fetch-Site: cross-site\r\n", 403),
    ] {
        let answer = daemon.post_to(host, "/Traces", headers, &body).await;
        assert_eq!(answer.status, expected, "{host} {headers}: {answer:?}");
    }
    for path in ["/GetSamplingRules", "/SamplingTargets"] {
        let body = r#"{"SamplingStatisticsDocuments":[]}"#;
        assert_eq!(daemon.post_to("xray-daemon:2000", path, "", body).await.status, 200, "{path}");
    }
    let import = daemon.post_to("127.0.0.1:2000", "/import", "", r#"{"TraceSegmentDocuments":["{}"]}"#).await;
    assert_eq!(import.status, 403, "without a header of our own: {import:?}");
    daemon.stop_local().await;
}

#[tokio::test]
async fn whoever_tails_sees_the_traces_that_match_as_they_come() {
    let daemon = Daemon::start(local_config("--store memory"));
    let mut tail = daemon.open("/tail?filter=annotation.tenant%20%3D%20%22a%22").await;
    tail.until("traces as they come").await;
    let (other, not_wanted) = segment(7, &json!({ "annotations": { "tenant": "b" } }));
    let (id, wanted) = segment(8, &json!({ "annotations": { "tenant": "a" } }));
    daemon.put(&[&not_wanted]).await;
    daemon.put(&[&wanted]).await;
    let seen = tail.until(&id).await;
    assert!(seen.contains("event: trace\ndata: {") && !seen.contains(&other), "{seen}");
    let bad = daemon.get("/tail?filter=nonsense").await;
    assert!(bad.status == 400 && bad.body.contains("line 1, position 1"), "{bad:?}");
    drop(tail);
    daemon.stop_local().await;
}

#[tokio::test]
async fn beside_forwarding_documents_go_both_ways_and_x_ray_is_asked_for_rules() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::start(config("--store memory", &fake.url()));
    let (id, segment) = segment(9, &json!({}));
    daemon.send(&segment.to_string());
    daemon.until_stored(&id).await;
    daemon.until("sent", |snapshot| snapshot.totals.sent == 1).await;
    assert_eq!(fake.documents(), [segment.to_string()]);
    let (other, put) = segment_put();
    daemon.put(&[&put]).await;
    assert_eq!(daemon.traces(&[&other]).await.len(), 1);
    daemon.until("sent", |snapshot| snapshot.totals.sent == 2).await;
    assert_eq!(daemon.post("/SamplingTargets", "", "{}").await.status, 200);
    assert!(!fake.seen_at("/SamplingTargets").is_empty(), "X-Ray was asked");
    daemon.stop().await;
}

fn segment_put() -> (String, Value) {
    segment(10, &json!({}))
}

#[tokio::test]
async fn without_a_store_queries_are_refused() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    for path in ["/TraceSummaries", "/Traces", "/CreateGroup"] {
        assert_eq!(daemon.post_to("127.0.0.1", path, "", "{}").await.status, 404, "{path}");
    }
    assert_eq!(daemon.get("/export?from=0&to=1").await.status, 404);
    assert_eq!(daemon.get("/tail").await.status, 404);
    daemon.stop().await;
}

#[tokio::test]
async fn who_does_not_read_an_export_holds_up_nobody() {
    let daemon = Daemon::start(local_config("--store memory"));
    // More than sockets and the daemon hold for a reader.
    for number in 0..10 {
        let large = json!({ "metadata": { "default": { "text": "x".repeat(60_000) } } });
        let segments: Vec<_> = (0..20).map(|at| segment(20_000 + number * 20 + at, &large).1).collect();
        daemon.put(&segments.iter().collect::<Vec<_>>()).await;
    }
    let mut unread = Vec::new();
    for _ in 0..4 {
        let mut export = daemon.open("/export?from=0&to=9999999999").await;
        export.until("200 OK").await;
        unread.push(export);
    }
    assert_eq!(daemon.summaries("").await.len(), 200);
    let one_too_many = daemon.get("/export?from=0&to=1").await;
    assert!(one_too_many.status == 503 && one_too_many.body.contains("too many exports"), "{one_too_many:?}");
    drop(unread);
    daemon.stop_local().await;
}

#[tokio::test]
async fn sampling_rules_are_answered_although_nothing_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    let daemon = Daemon::start(local_config(&format!("--store {}", place.display())));
    std::fs::remove_dir_all(&place).unwrap();
    daemon.answer("GetSamplingRules", &json!({})).await;
    let group = json!({ "GroupName": "slow", "FilterExpression": "responsetime > 5" });
    let refused = daemon.ask("CreateGroup", &group).await;
    assert_eq!((refused.status, &refused.json()["__type"]), (500, &json!("InternalFailure")));
    daemon.answer("GetSamplingRules", &json!({})).await;
    daemon.stop_local().await;
}
