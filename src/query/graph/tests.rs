//! Small traces and their whole graphs, written by hand from X-Ray's rules.

use super::super::record::Record;
use super::super::row::settle;
use super::*;
use crate::segment::{Document, Kind};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fmt::Write;

/// A document with what the tests have in common; `more` adds to it and may replace it.
#[expect(clippy::needless_pass_by_value, reason = "what the macro makes is passed on")]
fn document(id: u64, name: &str, start: f64, end: f64, more: Value) -> Value {
    let mut document = json!({ "id": format!("{id:016x}"), "name": name, "start_time": start, "end_time": end,
        "trace_id": "1-581cf771-a006649127e371903a2de979" });
    for (key, value) in more.as_object().unwrap() {
        let id = value.as_u64().filter(|_| key == "parent_id");
        document[key] = id.map_or_else(|| value.clone(), |id| format!("{id:016x}").into());
    }
    document
}

/// The records of a trace, received in this order, a second each.
fn records(documents: &[Value]) -> Vec<Record> {
    let record = |(at, document): (u32, &Value)| {
        Record::of(&Document::parse(document.to_string().as_bytes()).unwrap(), at.into(), f64::from(at))
    };
    (0..).zip(documents).map(record).collect()
}

fn add(graph: &mut Graph, records: &[Record]) {
    graph.add(&settled(records));
}

fn graph_of(traces: &[Vec<Record>]) -> Graph {
    let mut graph = Graph::default();
    for trace in traces {
        add(&mut graph, trace);
    }
    graph
}

/// A histogram, a value each or `value*count`.
fn histogram(entries: &Value) -> String {
    let Some(entries) = entries.as_array() else { return "null".to_owned() };
    let entry = |entry: &Value| match entry["Count"].as_u64().unwrap() {
        1 => entry["Value"].to_string(),
        count => format!("{}*{count}", entry["Value"]),
    };
    format!("[{}]", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
}

/// `ok+throttle+error+fault` and the time. The sums are checked here, once for all tests.
fn statistics(found: &Value) -> String {
    let number = |path: &str| found.pointer(path).and_then(Value::as_u64).expect(path);
    if found.is_null() {
        return "null".to_owned();
    }
    let (error, fault) = ("/ErrorStatistics", "/FaultStatistics");
    let (throttle, other) = (number("/ErrorStatistics/ThrottleCount"), number("/ErrorStatistics/OtherCount"));
    let faults = number("/FaultStatistics/OtherCount");
    assert_eq!(number(&format!("{error}/TotalCount")), throttle + other);
    assert_eq!(number(&format!("{fault}/TotalCount")), faults);
    assert_eq!(number("/TotalCount"), number("/OkCount") + throttle + other + faults);
    format!("{}+{throttle}+{other}+{faults} {}s", number("/OkCount"), found["TotalResponseTime"])
}

/// A whole graph, a line for each node and each edge.
fn shown(graph: &Value) -> String {
    let mut text = String::new();
    let plain = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let times = |value: &Value| match (value["StartTime"].as_f64(), value["EndTime"].as_f64()) {
        (Some(start), Some(end)) => format!(" {start}-{end}"),
        _ => String::new(),
    };
    for service in graph["Services"].as_array().unwrap() {
        assert_eq!(service["Names"], json!([service["Name"]]));
        let (name, kind) = (plain(&service["Name"]), plain(&service["Type"]));
        let root = if service["Root"] == true { " root" } else { "" };
        let optional = |key: &str| service[key].as_str().map_or(String::new(), |value| format!(" {value}"));
        write!(text, "{} {name} {kind} {}{root}", service["ReferenceId"], plain(&service["State"])).unwrap();
        write!(text, "{}{}{}", optional("AccountId"), optional("Region"), times(service)).unwrap();
        write!(text, ", {}", statistics(&service["SummaryStatistics"])).unwrap();
        let response = histogram(&service["ResponseTimeHistogram"]);
        writeln!(text, " {response} {}", histogram(&service["DurationHistogram"])).unwrap();
        for edge in service["Edges"].as_array().unwrap() {
            write!(text, "  > {}{}", edge["ReferenceId"], times(edge)).unwrap();
            write!(text, ", {}", statistics(&edge["SummaryStatistics"])).unwrap();
            write!(text, " {}", histogram(&edge["ResponseTimeHistogram"])).unwrap();
            for alias in edge["Aliases"].as_array().unwrap() {
                assert_eq!(alias["Names"], json!([alias["Name"]]));
                write!(text, " alias {} {}", plain(&alias["Name"]), plain(&alias["Type"])).unwrap();
            }
            text.push('\n');
        }
    }
    text
}

/// The service graph of some traces.
#[track_caller]
fn check(traces: &[&[Value]], expected: &str) {
    let traces: Vec<_> = traces.iter().map(|documents| records(documents)).collect();
    let found = shown(&serde_json::to_value(graph_of(&traces).service_graph()).unwrap());
    let expected: String = expected.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).fold(
        String::new(),
        |mut text, line| {
            writeln!(text, "{line}").unwrap();
            text
        },
    );
    assert_eq!(found.trim(), expected.trim(), "\n{found}");
}

fn remote(id: u64, name: &str, start: f64, end: f64) -> Value {
    json!({ "id": format!("{id:016x}"), "name": name, "namespace": "remote", "start_time": start, "end_time": end })
}

fn local(id: u64) -> Value {
    json!({ "id": format!("{id:016x}"), "name": "work", "start_time": 1, "end_time": 2 })
}

#[test]
fn the_answers_are_written_as_x_ray_writes_them() {
    let graph = graph_of(&[records(&[document(
        1,
        "api",
        10.25,
        12.75,
        json!({ "fault": true,
        "subsegments": [{ "id": "000000000000000a", "name": "S3", "namespace": "aws", "start_time": 10.5,
                          "end_time": 11.5 }] }),
    )])]);
    let statistics = |fault, ok, time| {
        json!({ "OkCount": ok, "ErrorStatistics": { "ThrottleCount": 0, "OtherCount": 0, "TotalCount": 0 },
                "FaultStatistics": { "OtherCount": fault, "TotalCount": fault }, "TotalCount": 1,
                "TotalResponseTime": time })
    };
    let histogram = |time| json!([{ "Value": time, "Count": 1 }]);
    let mut services = json!([
        { "ReferenceId": 0, "Name": "S3", "Names": ["S3"], "Root": null, "AccountId": null, "Type": "AWS::S3",
          "State": "unknown", "StartTime": 10.0, "EndTime": 11.0, "Edges": [],
          "SummaryStatistics": statistics(0, 1, 1.0), "DurationHistogram": histogram(1.0),
          "ResponseTimeHistogram": histogram(1.0), "Region": null, "HostedIn": {}, "KeyAttributes": {} },
        { "ReferenceId": 1, "Name": "api", "Names": ["api"], "Root": true, "AccountId": null, "Type": null,
          "State": "active", "StartTime": 10.0, "EndTime": 11.0, "Edges": [
            { "ReferenceId": 0, "StartTime": 10.0, "EndTime": 11.0, "Aliases": [],
              "SummaryStatistics": statistics(0, 1, 1.0), "ResponseTimeHistogram": histogram(1.0) }],
          "SummaryStatistics": statistics(1, 0, 2.5), "DurationHistogram": histogram(2.5),
          "ResponseTimeHistogram": histogram(2.5), "Region": null, "HostedIn": {}, "KeyAttributes": {} },
        { "ReferenceId": 2, "Name": "api", "Names": ["api"], "Root": null, "AccountId": null, "Type": "client",
          "State": "unknown", "StartTime": 10.0, "EndTime": 11.0, "Edges": [
            { "ReferenceId": 1, "StartTime": 10.0, "EndTime": 11.0, "Aliases": [],
              "SummaryStatistics": statistics(1, 0, 2.5), "ResponseTimeHistogram": histogram(2.5) }],
          "SummaryStatistics": null, "DurationHistogram": null, "ResponseTimeHistogram": null,
          "Region": null, "HostedIn": {}, "KeyAttributes": {} }]);
    let envelope = json!({ "StartTime": 10.0, "EndTime": 10.0, "Services": services,
                           "ContainsOldGroupVersions": false, "NextToken": null });
    assert_eq!(serde_json::to_value(graph.service_graph()).unwrap(), envelope);

    for service in services.as_array_mut().unwrap() {
        for key in ["StartTime", "EndTime", "HostedIn", "KeyAttributes"] {
            service[key] = Value::Null;
        }
        for edge in service["Edges"].as_array_mut().unwrap() {
            (edge["StartTime"], edge["EndTime"]) = (Value::Null, Value::Null);
        }
    }
    services[0]["Region"] = json!("eu-west-1");
    let envelope = json!({ "Services": services, "NextToken": null });
    assert_eq!(serde_json::to_value(graph.trace_graph("eu-west-1")).unwrap(), envelope);
}

#[test]
fn an_empty_graph_has_no_times() {
    let empty = json!({ "StartTime": null, "EndTime": null, "Services": [], "ContainsOldGroupVersions": false,
                        "NextToken": null });
    assert_eq!(serde_json::to_value(Graph::default().service_graph()).unwrap(), empty);
    let empty = json!({ "Services": [], "NextToken": null });
    assert_eq!(serde_json::to_value(Graph::default().trace_graph("eu-west-1")).unwrap(), empty);
}

#[test]
fn the_graph_ends_where_its_last_segment_begins() {
    let at = |start| records(&[document(1, "api", start, start + 100.0, json!({}))]);
    let answer = graph_of(&[at(59.5), at(20.0), at(41.0)]).service_graph();
    assert_eq!((answer.start_time, answer.end_time), (Some(20.0), Some(59.0)));
    check(
        &[&[document(1, "api", 59.5, 60.0, json!({}))], &[document(1, "api", 20.0, 20.75, json!({}))]],
        "0 api - active root 20-60, 2+0+0+0 1.25s [0.5 0.75] [0.5 0.75]
        1 api client unknown 20-60, null null null
          > 0 20-60, 2+0+0+0 1.25s [0.5 0.75]",
    );
}

#[test]
fn an_unanswered_call_is_a_node_of_its_own() {
    check(
        &[&[document(1, "api", 1.0, 3.0, json!({ "subsegments": [remote(10, "example.com", 2.0, 2.25)] }))]],
        "0 api - active root 1-2, 1+0+0+0 2.0s [2.0] [2.0]
          > 2 1-2, 1+0+0+0 0.25s [0.25]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 2.0s [2.0]
        2 example.com remote passive 2-3, 1+0+0+0 0.25s [0.25] [0.25]",
    );
}

#[test]
fn an_answered_call_is_an_edge_with_the_callers_times_and_the_callers_name() {
    let api = document(1, "api", 1.0, 4.0, json!({ "subsegments": [remote(10, "b.example.com", 2.0, 3.5)] }));
    let backend =
        document(2, "backend", 2.5, 3.5, json!({ "parent_id": 10, "origin": "AWS::EC2::Instance" }));
    let expected = "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 1.5s [1.5] alias b.example.com remote
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 backend AWS::EC2::Instance active 2-3, 1+0+0+0 1.0s [1.0] [1.0]";
    check(&[&[api.clone(), backend.clone()]], expected);
    check(&[&[backend, api.clone()]], expected);
    let same = document(2, "b.example.com", 2.5, 3.5, json!({ "parent_id": 10 }));
    check(
        &[&[api, same]],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 1.5s [1.5]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 b.example.com - active 2-3, 1+0+0+0 1.0s [1.0] [1.0]",
    );
}

#[test]
fn resources_and_databases_are_nodes() {
    let table = json!({ "id": "000000000000000a", "name": "DynamoDB", "namespace": "aws", "start_time": 1,
        "end_time": 1.5, "aws": { "operation": "GetItem", "table_name": "users" } });
    let sql = json!({ "id": "000000000000000b", "name": "db@host", "namespace": "remote", "sql": {},
        "start_time": 2, "end_time": 2.125 });
    let aws = json!({ "account_id": "123456789012" });
    let api = document(1, "api", 1.0, 3.0, json!({ "subsegments": [table, sql], "aws": aws }));
    check(
        &[&[api]],
        "0 api - active root 123456789012 1-2, 1+0+0+0 2.0s [2.0] [2.0]
          > 2 1-2, 1+0+0+0 0.125s [0.125]
          > 3 1-2, 1+0+0+0 0.5s [0.5]
        1 api client unknown 123456789012 1-2, null null null
          > 0 1-2, 1+0+0+0 2.0s [2.0]
        2 db@host Database::SQL passive 2-3, 1+0+0+0 0.125s [0.125] [0.125]
        3 users AWS::DynamoDB::Table unknown 1-2, 1+0+0+0 0.5s [0.5] [0.5]",
    );
}

#[test]
fn each_segment_is_counted_for_the_worst_that_it_was() {
    let one = |flags: Value| document(1, "api", 1.0, 2.0, flags);
    let status = |status: u16| json!({ "http": { "response": { "status": status } } });
    check(
        &[
            &[one(json!({ "throttle": true, "fault": true, "error": true }))],
            &[one(status(429))],
            &[one(json!({ "error": true, "fault": true }))],
            &[one(status(503))],
            &[one(json!({ "fault": true }))],
            &[one(status(404))],
            &[one(status(200))],
        ],
        "0 api - active root 1-2, 1+2+1+3 7.0s [1.0*7] [1.0*7]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+2+1+3 7.0s [1.0*7]",
    );
}

#[test]
fn the_time_is_rounded_to_milliseconds_and_never_negative() {
    check(
        &[&[document(1, "api", 1.0, 1.414_594_2, json!({}))], &[document(1, "api", 2.0, 1.0, json!({}))]],
        "0 api - active root 1-3, 2+0+0+0 0.415s [0.0 0.414594] [0.0 0.414594]
        1 api client unknown 1-3, null null null
          > 0 1-3, 2+0+0+0 0.415s [0.0 0.414594]",
    );
}

#[test]
fn a_call_without_a_start_took_no_time() {
    let mut call = remote(10, "peer", 0.0, 3.5);
    call.as_object_mut().unwrap().remove("start_time");
    check(
        &[&[document(1, "api", 1.0, 4.0, json!({ "subsegments": [call] }))]],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 0.0s [0.0]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 peer remote passive 3-4, 1+0+0+0 0.0s [0.0] [0.0]",
    );
}

/// Recorded: of a root in progress with a complete call only the callee is shown.
#[test]
fn a_segment_in_progress_is_no_node_and_what_it_calls_has_no_edge() {
    let open = json!({ "in_progress": true, "end_time": null });
    let call = document(
        10,
        "peer",
        2.0,
        3.0,
        json!({ "type": "subsegment", "parent_id": 1, "namespace": "remote" }),
    );
    let child = document(2, "child", 2.0, 2.5, json!({ "parent_id": 1 }));
    check(
        &[&[document(1, "api", 1.0, 0.0, open), call, child]],
        "0 child - active 2-3, 1+0+0+0 0.5s [0.5] [0.5]
        1 peer remote passive 2-3, 1+0+0+0 1.0s [1.0] [1.0]",
    );
}

#[test]
fn a_call_in_progress_is_not_counted_but_a_segment_that_answers_it_is_below_its_caller() {
    let mut open = remote(10, "peer", 2.0, 0.0);
    open["end_time"] = Value::Null;
    let api = document(1, "api", 1.0, 4.0, json!({ "subsegments": [open] }));
    check(
        &[std::slice::from_ref(&api)],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]",
    );
    check(
        &[&[api, document(2, "peer", 2.5, 3.0, json!({ "parent_id": 10 }))]],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 0.5s [0.5]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 peer - active 2-3, 1+0+0+0 0.5s [0.5] [0.5]",
    );
}

#[test]
fn of_several_answers_to_a_call_in_progress_the_complete_one_counts() {
    let mut call = remote(10, "peer", 2.0, 0.0);
    call["end_time"] = Value::Null;
    let open = json!({ "in_progress": true, "end_time": null, "parent_id": 10 });
    check(
        &[&[
            document(1, "api", 1.0, 4.0, json!({ "subsegments": [call] })),
            document(2, "peer", 2.5, 0.0, open),
            document(3, "peer", 2.5, 3.0, json!({ "parent_id": 10 })),
        ]],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 0.5s [0.5]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 peer - active 2-3, 1+0+0+0 0.5s [0.5] [0.5]",
    );
}

/// The service that runs a function has the name and the type that calls of it have.
#[test]
fn a_node_with_segments_is_active_whoever_else_calls_it() {
    let lambda = json!({ "id": "000000000000000a", "name": "Lambda", "namespace": "aws", "start_time": 1,
        "end_time": 2, "aws": { "operation": "Invoke", "function_name": "resize" } });
    let api = document(1, "api", 1.0, 2.0, json!({ "subsegments": [lambda] }));
    let resize = document(2, "resize", 1.0, 2.0, json!({ "origin": "AWS::Lambda" }));
    let found = |traces: &[&Value]| {
        let traces: Vec<_> = traces.iter().map(|&document| records(std::slice::from_ref(document))).collect();
        let graph = graph_of(&traces).trace_graph("eu-west-1");
        let node =
            graph.services.iter().find(|service| service.r#type.as_deref() == Some("AWS::Lambda")).unwrap();
        (node.state, node.region.clone(), node.summary_statistics.as_ref().unwrap().total_count)
    };
    assert_eq!(found(&[&api]), (State::Unknown, Some("eu-west-1".to_owned()), 1));
    assert_eq!(found(&[&api, &resize]), (State::Active, None, 2));
    assert_eq!(found(&[&resize, &api]), (State::Active, None, 2));
}

#[test]
fn a_complete_call_leads_to_a_segment_that_is_still_in_progress() {
    let open = json!({ "in_progress": true, "end_time": null, "parent_id": 10 });
    check(
        &[&[
            document(1, "api", 1.0, 4.0, json!({ "subsegments": [remote(10, "peer", 2.0, 3.0)] })),
            document(2, "peer", 2.5, 0.0, open),
        ]],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 1.0s [1.0]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 peer - active 2-3, 0+0+0+0 0.0s [] []",
    );
}

#[test]
fn what_has_lost_its_parent_is_attached_to_nothing() {
    let subsegment = json!({ "type": "subsegment", "parent_id": 99, "namespace": "remote" });
    check(&[&[document(10, "peer", 2.0, 3.0, subsegment.clone())]], "");
    check(
        &[&[
            document(2, "orphan", 2.0, 3.0, json!({ "parent_id": 98 })),
            document(10, "peer", 2.0, 3.0, subsegment),
        ]],
        "0 orphan - active 2-3, 1+0+0+0 1.0s [1.0] [1.0]",
    );
}

/// As Python and Java send them: the grandchild before the child before the segment.
#[test]
fn calls_of_independent_subsegments_are_those_of_the_segment_above_them() {
    let subsegment = |parent: u64| json!({ "type": "subsegment", "parent_id": parent });
    let mut call = subsegment(11);
    call["namespace"] = json!("remote");
    let mut work = subsegment(12);
    work["subsegments"] = json!([local(11)]);
    check(
        &[&[
            document(10, "peer", 2.0, 3.0, call),
            document(2, "peer", 2.25, 3.0, json!({ "parent_id": 10 })),
            document(9, "work", 1.0, 3.0, work),
            document(1, "api", 1.0, 4.0, json!({ "subsegments": [local(12)] })),
        ]],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 1.0s [1.0]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 peer - active 2-3, 1+0+0+0 0.75s [0.75] [0.75]",
    );
}

#[test]
fn a_call_in_two_documents_is_counted_once_and_as_it_ended() {
    let mut open = remote(10, "peer", 2.0, 0.0);
    open["end_time"] = Value::Null;
    let ended = document(
        10,
        "peer",
        2.0,
        3.0,
        json!({ "type": "subsegment", "parent_id": 1, "namespace": "remote" }),
    );
    let api = |call: Value| document(1, "api", 1.0, 4.0, json!({ "subsegments": [call] }));
    let expected = "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 1.0s [1.0]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 peer remote passive 2-3, 1+0+0+0 1.0s [1.0] [1.0]";
    check(&[&[api(open.clone()), ended.clone()]], expected);
    check(&[&[ended.clone(), api(open)]], expected);
    check(&[&[ended, api(remote(10, "peer", 2.0, 3.0))]], expected);
}

#[test]
fn without_a_call_the_callees_own_times_count() {
    check(
        &[&[
            document(1, "api", 1.0, 4.0, json!({ "subsegments": [local(11)] })),
            document(2, "worker", 2.0, 2.5, json!({ "parent_id": 11, "fault": true })),
            document(3, "worker", 2.0, 3.0, json!({ "parent_id": 1 })),
        ]],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+1 1.5s [0.5 1.0]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 worker - active 2-3, 1+0+0+1 1.5s [0.5 1.0] [0.5 1.0]",
    );
}

#[test]
fn a_service_may_call_itself() {
    check(
        &[&[
            document(1, "api", 1.0, 4.0, json!({ "subsegments": [remote(10, "localhost", 2.0, 3.0)] })),
            document(2, "api", 2.25, 2.75, json!({ "parent_id": 10 })),
        ]],
        "0 api - active root 1-3, 2+0+0+0 3.5s [0.5 3.0] [0.5 3.0]
          > 0 1-3, 1+0+0+0 1.0s [1.0] alias localhost remote
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]",
    );
}

#[test]
fn every_service_where_traces_enter_is_a_root_with_a_client() {
    let web = document(1, "web", 1.0, 4.0, json!({ "subsegments": [remote(10, "api", 2.0, 3.0)] }));
    check(
        &[
            &[web, document(2, "api", 2.0, 3.0, json!({ "parent_id": 10 }))],
            &[document(3, "api", 5.0, 6.0, json!({}))],
        ],
        "0 api - active root 2-6, 2+0+0+0 2.0s [1.0*2] [1.0*2]
        1 api client unknown 5-6, null null null
          > 0 5-6, 1+0+0+0 1.0s [1.0]
        2 web - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 0 1-2, 1+0+0+0 1.0s [1.0]
        3 web client unknown 1-2, null null null
          > 2 1-2, 1+0+0+0 3.0s [3.0]",
    );
}

#[test]
fn services_may_call_each_other_in_a_circle() {
    let call = |to: u64, name: &str| json!([remote(to, name, 1.0, 2.0)]);
    check(
        &[&[
            document(1, "a", 1.0, 2.0, json!({ "subsegments": call(10, "b") })),
            document(2, "b", 1.0, 2.0, json!({ "subsegments": call(11, "a"), "parent_id": 10 })),
            document(3, "a", 1.0, 2.0, json!({ "parent_id": 11 })),
        ]],
        "0 a - active root 1-2, 2+0+0+0 2.0s [1.0*2] [1.0*2]
          > 2 1-2, 1+0+0+0 1.0s [1.0]
        1 a client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 1.0s [1.0]
        2 b - active 1-2, 1+0+0+0 1.0s [1.0] [1.0]
          > 0 1-2, 1+0+0+0 1.0s [1.0]",
    );
}

#[test]
fn one_name_with_two_types_is_two_nodes() {
    let lambda = json!({ "id": "000000000000000a", "name": "Lambda", "namespace": "aws", "start_time": 1,
        "end_time": 3, "aws": { "operation": "Invoke", "function_name": "resize" } });
    check(
        &[&[
            document(1, "api", 1.0, 4.0, json!({ "subsegments": [lambda] })),
            document(2, "resize", 1.5, 3.0, json!({ "parent_id": 10, "origin": "AWS::Lambda" })),
            document(3, "resize", 2.0, 3.0, json!({ "parent_id": 2, "origin": "AWS::Lambda::Function" })),
        ]],
        "0 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 2 1-2, 1+0+0+0 2.0s [2.0]
        1 api client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 resize AWS::Lambda active 1-2, 1+0+0+0 1.5s [1.5] [1.5]
          > 3 1-2, 1+0+0+0 1.0s [1.0]
        3 resize AWS::Lambda::Function active 2-3, 1+0+0+0 1.0s [1.0] [1.0]",
    );
}

#[test]
fn a_call_with_several_answers_is_an_edge_to_each_service_and_counts_once_at_it() {
    let below = |id, name: &str| document(id, name, 2.0, 2.5, json!({ "parent_id": 10 }));
    check(
        &[&[
            document(1, "api", 1.0, 4.0, json!({ "subsegments": [remote(10, "a", 2.0, 3.0)] })),
            below(2, "a"),
            below(3, "b"),
            below(4, "a"),
        ]],
        "0 a - active 2-3, 2+0+0+0 1.0s [0.5*2] [0.5*2]
        1 api - active root 1-2, 1+0+0+0 3.0s [3.0] [3.0]
          > 0 1-2, 1+0+0+0 1.0s [1.0]
          > 3 1-2, 1+0+0+0 1.0s [1.0] alias a remote
        2 api client unknown 1-2, null null null
          > 1 1-2, 1+0+0+0 3.0s [3.0]
        3 b - active 2-3, 1+0+0+0 0.5s [0.5] [0.5]",
    );
}

#[test]
fn a_segment_lasts_until_the_last_part_of_it_has_ended_but_not_what_it_calls() {
    let late =
        document(10, "b", 3.0, 6.0, json!({ "type": "subsegment", "parent_id": 1, "namespace": "remote" }));
    check(
        &[&[
            document(1, "a", 1.0, 4.0, json!({ "subsegments": [remote(11, "c", 2.0, 5.0)] })),
            late,
            document(2, "b", 3.0, 9.0, json!({ "parent_id": 10 })),
        ]],
        "0 a - active root 1-2, 1+0+0+0 3.0s [3.0] [5.0]
          > 2 1-2, 1+0+0+0 3.0s [3.0]
          > 3 1-2, 1+0+0+0 3.0s [3.0]
        1 a client unknown 1-2, null null null
          > 0 1-2, 1+0+0+0 3.0s [3.0]
        2 b - active 3-4, 1+0+0+0 6.0s [6.0] [6.0]
        3 c remote passive 2-3, 1+0+0+0 3.0s [3.0] [3.0]",
    );
}

#[test]
fn documents_that_are_each_others_parents_end_somewhere() {
    let subsegment =
        |parent: u64| json!({ "type": "subsegment", "parent_id": parent, "namespace": "remote" });
    check(
        &[&[
            document(1, "a", 1.0, 2.0, json!({ "parent_id": 2 })),
            document(2, "b", 1.0, 3.0, json!({ "parent_id": 1 })),
            document(3, "c", 1.0, 4.0, json!({ "parent_id": 3 })),
            document(10, "x", 1.0, 2.0, subsegment(11)),
            document(11, "y", 1.0, 2.0, subsegment(10)),
            document(12, "z", 1.0, 2.0, subsegment(12)),
        ]],
        "0 a - active 1-2, 1+0+0+0 1.0s [1.0] [1.0]
          > 1 1-2, 1+0+0+0 2.0s [2.0]
        1 b - active 1-2, 1+0+0+0 2.0s [2.0] [2.0]
          > 0 1-2, 1+0+0+0 1.0s [1.0]
        2 c - active 1-2, 1+0+0+0 3.0s [3.0] [3.0]",
    );
}

#[test]
fn a_very_deep_trace_takes_no_stack_and_no_time() {
    let below = |id: u64| json!({ "type": "subsegment", "parent_id": id - 1, "namespace": "remote" });
    let mut documents = vec![document(1, "api", 1.0, 2.0, json!({}))];
    documents.extend(
        (2_u32..5_000).map(|id| document(id.into(), "peer", 1.0, 2.0 + f64::from(id), below(id.into()))),
    );
    let answer = graph_of(&[records(&documents)]).service_graph();
    let totals: Vec<_> = answer.services.iter().map(|service| service.edges[..].len()).collect();
    assert_eq!(totals, [1, 1, 0]);
    assert_eq!(answer.services[0].edges[0].summary_statistics.total_count, 4_998);
    let durations = serde_json::to_value(&answer.services[0].duration_histogram).unwrap();
    assert_eq!(durations, json!([{ "Value": 5000.0, "Count": 1 }]));
}

#[test]
fn of_very_many_aliases_the_first_in_the_alphabet_are_told() {
    let mut graph = Graph::default();
    for at in (0..200).rev() {
        let name = format!("host{at:03}");
        let calls = json!({ "subsegments": [remote(10, &name, 1.0, 2.0)] });
        let peer = document(2, "peer", 1.0, 2.0, json!({ "parent_id": 10 }));
        add(&mut graph, &records(&[document(1, "api", 1.0, 2.0, calls), peer]));
    }
    let aliases = &graph.service_graph().services[0].edges[0].aliases;
    assert_eq!((aliases.len(), &*aliases[49].name), (50, "host049"));
}

/// A document with ids from a few, so that parents are missing, doubled and in circles. Services are named `s…`, what
/// they call `c…`.
fn any_document() -> impl Strategy<Value = Value> {
    let id = || 1_u64..14;
    let call = (id(), 0..3, any::<bool>()).prop_map(|(id, name, complete)| {
        let mut call = remote(id, &format!("c{name}"), 2.0, 3.0);
        if !complete {
            call["end_time"] = Value::Null;
        }
        call
    });
    let inside = proptest::collection::vec(prop_oneof![call, id().prop_map(local)], 0..4);
    let parent = proptest::option::of(id());
    (id(), parent, 0..3, 0_u8..10, inside, 0_u8..8).prop_map(|(id, parent, name, kind, inside, flags)| {
        let mut document = document(
            id,
            &format!("s{name}"),
            1.0,
            1.0 + f64::from(flags),
            json!({ "subsegments": inside,
            "fault": flags & 1 != 0, "error": flags & 2 != 0, "throttle": flags & 4 != 0 }),
        );
        if let Some(parent) = parent {
            document["parent_id"] = format!("{parent:016x}").into();
            if kind < 4 {
                document["type"] = json!("subsegment");
            }
            if kind < 2 {
                (document["name"], document["namespace"]) = (json!(format!("c{name}")), json!("remote"));
            }
        }
        if kind == 9 || kind == 0 {
            (document["end_time"], document["in_progress"]) = (Value::Null, json!(true));
        }
        document
    })
}

/// The documents of one trace.
pub(crate) fn any_documents() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(any_document(), 1..9)
}

pub(crate) fn any_traces() -> impl Strategy<Value = Vec<Vec<Record>>> {
    let trace = any_documents().prop_map(|documents| records(&documents));
    proptest::collection::vec(trace, 0..6)
}

fn settled(records: &[Record]) -> Vec<Row<'_>> {
    let mut rows: Vec<_> = records.iter().map(Record::row).collect();
    settle(&mut rows);
    rows
}

proptest! {
    #[test]
    fn property_parts_put_together_are_the_whole(traces in any_traces(), at: prop::sample::Index) {
        let (left, right) = traces.split_at(at.index(traces.len() + 1));
        let mut together = graph_of(right);
        together.merge(&graph_of(left));
        prop_assert_eq!(together.service_graph(), graph_of(&traces).service_graph());
    }

    #[test]
    fn property_the_order_of_traces_does_not_matter(mut traces in any_traces()) {
        let forwards = graph_of(&traces).service_graph();
        traces.reverse();
        prop_assert_eq!(graph_of(&traces).service_graph(), forwards);
    }

    #[test]
    fn property_every_complete_segment_is_counted_once(traces in any_traces()) {
        let complete = |row: &&Row<'_>| row.kind == Kind::Segment && !row.is_in_progress();
        let rows: Vec<_> = traces.iter().flat_map(|trace| settled(trace)).collect();
        let expected = rows.iter().filter(complete).count() as u64;
        let entries = rows.iter().filter(complete).filter(|row| row.parent_id.is_none()).count() as u64;
        let below = rows.iter().filter(|row| row.kind == Kind::Segment && row.parent_id.is_some()).count();
        let calls: usize = rows.iter().map(|row| row.calls().len()).sum();

        let services = graph_of(&traces).service_graph().services;
        let (clients, others): (Vec<_>, Vec<_>) =
            services.iter().partition(|service| service.r#type.as_deref() == Some("client"));
        let total = |service: &&Service| service.summary_statistics.as_ref().map_or(0, |counts| counts.total_count);
        let segments = others.iter().filter(|service| service.name.starts_with('s')).map(total);
        prop_assert_eq!(segments.sum::<u64>(), expected);
        let edges = |services: &[&Service]| {
            let all = services.iter().flat_map(|service| &service.edges);
            all.map(|edge| edge.summary_statistics.total_count).sum::<u64>()
        };
        prop_assert_eq!(edges(&clients), entries);
        prop_assert!(edges(&others) <= (calls + below) as u64);
    }

    #[test]
    fn property_histograms_count_what_statistics_count(traces in any_traces()) {
        for service in graph_of(&traces).service_graph().services {
            let count = |entries: &[super::super::histogram::HistogramEntry]| {
                entries.iter().map(|entry| entry.count).sum::<u64>()
            };
            if let Some(statistics) = &service.summary_statistics {
                prop_assert_eq!(count(service.response_time_histogram.as_ref().unwrap()), statistics.total_count);
                prop_assert_eq!(count(service.duration_histogram.as_ref().unwrap()), statistics.total_count);
            }
            for edge in &service.edges {
                prop_assert_eq!(count(&edge.response_time_histogram), edge.summary_statistics.total_count);
            }
        }
    }
}
