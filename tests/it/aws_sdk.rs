//! The AWS SDK for Rust, as a client of `xrayd local`: what it sends is taken, what it gets it can read.

use crate::support::{Daemon, PATIENCE, local_config};
use aws_sdk_xray::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_xray::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_xray::primitives::DateTime;
use aws_sdk_xray::types::{Edge, SamplingRule, SamplingStatisticsDocument, TimeRangeType};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector as Plain;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// HTTP as it is. The daemon's own client would not notice what it and the daemon both get wrong.
#[derive(Debug, Clone)]
struct PlainHttp(Pool<Plain, SdkBody>);

impl PlainHttp {
    fn new() -> Self {
        Self(Pool::builder(TokioExecutor::new()).build_http())
    }
}

impl HttpClient for PlainHttp {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for PlainHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let pool = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let answer = pool.request(request).await.map_err(|error| ConnectorError::io(error.into()))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| ConnectorError::io(error.into()))?;
            let answer = http::Response::from_parts(head, SdkBody::from(body.to_bytes()));
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// As a program would be configured that knows nothing of us but the address.
fn client_of(daemon: &Daemon) -> aws_sdk_xray::Client {
    let config = aws_sdk_xray::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(PlainHttp::new())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "test"))
        .endpoint_url(format!("http://{}", daemon.tcp));
    aws_sdk_xray::Client::from_conf(config.build())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn at(seconds: f64) -> DateTime {
    DateTime::from_secs_f64(seconds)
}

/// The trace's id, and the segment that is the trace. A front calls a database that sends nothing.
fn trace(number: u32) -> (String, Value) {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 2;
    let (start, id) = (second as f64, format!("1-{second:08x}-{number:024x}"));
    let call = json!({ "name": "db", "id": format!("{:016x}", 0xd000_0000 + number), "namespace": "remote",
        "start_time": start + 0.25, "end_time": start + 0.75 });
    let segment = json!({ "name": "front", "id": format!("{:016x}", 1 + number), "trace_id": id,
        "start_time": start, "end_time": start + 1.0, "annotations": { "number": number }, "subsegments": [call] });
    (id, segment)
}

async fn put(client: &aws_sdk_xray::Client, segments: &[Value]) {
    for segments in segments.chunks(50) {
        let documents = segments.iter().map(ToString::to_string).collect();
        let put = client.put_trace_segments().set_trace_segment_documents(Some(documents)).send();
        let put = put.await.unwrap();
        assert!(put.unprocessed_trace_segments().is_empty(), "{put:?}");
    }
}

/// The error's code and text.
fn said<E: ProvideErrorMetadata>(error: &E) -> (&str, &str) {
    (error.code().unwrap_or_default(), error.message().unwrap_or_default())
}

#[tokio::test]
async fn the_paginator_gives_every_summary_once() {
    let daemon = Daemon::start(local_config("--store memory"));
    let client = client_of(&daemon);
    let (ids, segments): (BTreeSet<_>, Vec<_>) = (1..=450).map(trace).unzip();
    put(&client, &segments).await;
    let summaries = client.get_trace_summaries().start_time(at(now() - 600.0)).end_time(at(now()));
    let mut pages = summaries.filter_expression("annotation.number > 0").into_paginator().send();
    let (mut seen, mut page_count) = (BTreeSet::new(), 0);
    while let Some(page) = pages.next().await {
        page_count += 1;
        for summary in page.unwrap().trace_summaries() {
            assert_eq!(summary.duration(), Some(1.0), "{summary:?}");
            assert!(seen.insert(summary.id().unwrap().to_owned()), "{summary:?} came twice");
        }
    }
    assert!(page_count > 1, "{page_count}");
    assert_eq!(seen, ids);
    daemon.stop_local().await;
}

#[tokio::test]
async fn traces_and_graphs_are_read() {
    let daemon = Daemon::start(local_config("--store memory"));
    let client = client_of(&daemon);
    let (ids, segments): (Vec<_>, Vec<_>) = (1..=5).map(trace).unzip();
    put(&client, &segments).await;
    let unknown = trace(77).0;
    let asked = ids.iter().take(4).chain([&unknown]).cloned().collect();
    let traces = client.batch_get_traces().set_trace_ids(Some(asked)).send().await.unwrap();
    assert_eq!(traces.traces().len(), 4, "{traces:?}");
    assert_eq!(traces.unprocessed_trace_ids(), [""; 0]);
    for trace in traces.traces() {
        assert_eq!((trace.duration(), trace.limit_exceeded()), (Some(1.0), Some(false)), "{trace:?}");
        // The database is a segment that X-Ray made up.
        let documents = trace.segments().iter().map(|segment| segment.document().unwrap());
        let documents: Vec<Value> = documents.map(|text| serde_json::from_str(text).unwrap()).collect();
        assert!(documents.iter().any(|document| document["name"] == "front"), "{documents:?}");
        assert!(documents.iter().any(|document| document["inferred"] == true), "{documents:?}");
    }

    let graph = client.get_service_graph().start_time(at(now() - 600.0)).end_time(at(now())).send();
    let graph = graph.await.unwrap();
    let node = |name: &str, kind: Option<&str>| {
        let found = graph.services().iter().find(|node| node.name() == Some(name) && node.r#type() == kind);
        found.unwrap_or_else(|| panic!("no {name} {kind:?} in {graph:?}"))
    };
    let (front, database) = (node("front", None), node("db", Some("remote")));
    let statistics = front.summary_statistics().unwrap();
    assert_eq!((statistics.ok_count(), statistics.total_response_time()), (Some(5), Some(5.0)));
    assert_eq!(front.root(), Some(true));
    let edges = front.edges().iter().map(Edge::reference_id);
    assert!(edges.eq([database.reference_id()]), "{front:?}");
    node("front", Some("client"));

    let of_trace = client.get_trace_graph().trace_ids(&ids[0]).send().await.unwrap();
    assert_eq!(of_trace.services().len(), 3, "{of_trace:?}");
    // A minute is named by its end, which has yet to come.
    let series = client.get_time_series_service_statistics().start_time(at(now() - 600.0));
    let series = series.end_time(at(now() + 120.0)).period(60).send().await.unwrap();
    let counts = series.time_series_service_statistics().iter();
    let counts = counts.filter_map(|minute| minute.edge_summary_statistics()?.total_count());
    assert_eq!(counts.sum::<i64>(), 5, "{series:?}");
    daemon.stop_local().await;
}

#[tokio::test]
async fn groups_and_sampling_rules_are_made_and_applied() {
    let daemon = Daemon::start(local_config("--store memory"));
    let client = client_of(&daemon);
    let made = client.create_group().group_name("slow").filter_expression("responsetime > 0.5");
    let made = made.send().await.unwrap();
    assert!(made.group().unwrap().group_arn().unwrap().starts_with("arn:aws:xray:us-east-1:"), "{made:?}");
    let groups = client.get_groups().send().await.unwrap();
    let groups: Vec<_> = groups.groups().iter().filter_map(|group| group.group_name()).collect();
    assert_eq!(groups, ["Default", "slow"]);

    let rule = |version| {
        let rule = SamplingRule::builder().rule_name("half").priority(7).fixed_rate(0.5).reservoir_size(3);
        let rule = rule.service_name("*").service_type("*").host("*").http_method("*").url_path("*");
        rule.resource_arn("*").version(version).build().unwrap()
    };
    client.create_sampling_rule().sampling_rule(rule(1)).send().await.unwrap();
    let rules = client.get_sampling_rules().into_paginator().items().send();
    let rules = rules.collect::<Result<Vec<_>, _>>().await.unwrap();
    let names: Vec<_> =
        rules.iter().map(|record| record.sampling_rule().unwrap().rule_name().unwrap()).collect();
    assert_eq!(names, ["half", "Default"]);
    assert!((rules[0].created_at().unwrap().as_secs_f64() - now()).abs() < PATIENCE.as_secs_f64());
    let report =
        SamplingStatisticsDocument::builder().rule_name("half").client_id("0123456789abcdef01234567");
    let report = report.timestamp(at(now())).request_count(10).sampled_count(5).borrow_count(1);
    let targets = client.get_sampling_targets().sampling_statistics_documents(report.build().unwrap());
    let targets = targets.send().await.unwrap();
    let [target] = targets.sampling_target_documents() else { panic!("not one target: {targets:?}") };
    assert_eq!((target.rule_name(), target.fixed_rate()), (Some("half"), 0.5));
    assert_eq!((target.reservoir_quota(), target.interval()), (Some(3), Some(10)));
    daemon.stop_local().await;
}

#[tokio::test]
async fn refusals_are_errors_of_the_right_type() {
    let daemon = Daemon::start(local_config("--store memory"));
    let client = client_of(&daemon);
    let rule = SamplingRule::builder().rule_name("half").priority(7).fixed_rate(0.5).reservoir_size(3);
    let rule = rule.service_name("*").service_type("*").host("*").http_method("*").url_path("*");
    let rule = rule.resource_arn("*").version(2).build().unwrap();
    let error =
        client.create_sampling_rule().sampling_rule(rule).send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_request_exception(), "{error:?}");
    assert_eq!(said(&error), ("InvalidRequestException", "Sampling rule version must be 1"));

    let error =
        client.get_trace_summaries().start_time(at(1.0)).end_time(at(2.0)).filter_expression("madeup");
    let error = error.send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_request_exception(), "{error:?}");
    assert!(said(&error).1.contains("line 1"), "{error:?}");

    let arn = "arn:aws:xray:us-east-1:000000000000:group/none/ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let error = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
    assert!(error.into_service_error().is_resource_not_found_exception());

    // X-Ray's model does not know it, so that the SDK has no type for it.
    let error = client.get_trace_summaries().start_time(at(1.0)).time_range_type(TimeRangeType::TraceId);
    let error = error.send().await.unwrap_err();
    assert!(matches!(error, SdkError::ServiceError(_)), "{error:?}");
    let (code, text) = said(&error);
    assert_eq!(code, "ValidationException");
    assert!(text.contains("'endTime'"), "{text}");

    let wrong = json!({ "name": "front", "id": "1111111111111111" }).to_string();
    let put = client.put_trace_segments().trace_segment_documents(wrong).send().await.unwrap();
    let [refused] = put.unprocessed_trace_segments() else { panic!("not one: {put:?}") };
    assert_eq!((refused.id(), refused.error_code()), (Some("1111111111111111"), Some("MissingTraceId")));
    daemon.stop_local().await;
}
