use super::super::record::Record;
use super::super::row::settle;
use super::*;
use crate::segment::Document;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A front that calls a back, both with this fault; received at this second.
fn trace(received_at: f64, seconds: f64, fault: bool) -> Vec<Record> {
    let call = json!({ "id": "000000000000000a", "name": "back.example.com", "namespace": "remote", "start_time": 1,
        "end_time": 0.75 + seconds, "fault": fault });
    let document = |id: &str, name: &str, end: f64| {
        json!({ "id": id, "trace_id": "1-581cf771-a006649127e371903a2de979", "name": name, "start_time": 1,
                "end_time": end, "fault": fault })
    };
    let mut front = document("0000000000000001", "front", 1.0 + seconds);
    front["subsegments"] = json!([call]);
    let mut back = document("0000000000000002", "back", 0.5 + seconds);
    (back["parent_id"], back["origin"]) = (json!("000000000000000a"), json!("AWS::EC2::Instance"));
    // The callee's document is received first, in the minute before.
    vec![record(&back, 1, received_at - 60.0), record(&front, 2, received_at)]
}

fn record(document: &Value, sequence: u64, received_at: f64) -> Record {
    Record::of(&Document::parse(document.to_string().as_bytes()).unwrap(), sequence, received_at)
}

fn add(series: &mut Series, records: &[Record]) {
    let mut rows: Vec<_> = records.iter().map(Record::row).collect();
    settle(&mut rows);
    series.add(&rows);
}

fn traces() -> [Vec<Record>; 4] {
    [
        trace(5_940.5, 2.0, false),
        trace(6_000.0, 4.0, true),
        trace(6_000.5, 1.0, false),
        trace(6_300.5, 8.0, false),
    ]
}

/// A line for each stretch: its end, and of edges (`e`) or services (`s`) how many, of them faulty, and in what time.
#[track_caller]
fn check(wanted: &Wanted, period: i64, window: (f64, f64), expected: &[&str]) {
    let of = |traces: &[Vec<Record>]| {
        let mut series = Series::new(wanted.clone(), Period::of_seconds(period).unwrap(), window.0, window.1);
        for trace in traces {
            add(&mut series, trace);
        }
        series
    };
    let mut series = of(&traces()[2..]);
    series.merge(&of(&traces()[..2]));
    assert_eq!(series.statistics(), of(&traces()).statistics());
    let line = |stretch: &TimeSeriesServiceStatistics| {
        let statistics = match (&stretch.edge_summary_statistics, &stretch.service_summary_statistics) {
            (Some(edge), None) => ("e", edge),
            (None, Some(service)) => ("s", service),
            (None, None) => return format!("{}", stretch.timestamp),
            (Some(_), Some(_)) => panic!("both"),
        };
        let (kind, counts) = statistics;
        let histogram = stretch.response_time_histogram.as_ref().unwrap();
        assert_eq!(histogram.iter().map(|entry| entry.count).sum::<u64>(), counts.total_count);
        let faults = counts.fault_statistics.total_count;
        format!("{} {kind}{}/{faults} {}s", stretch.timestamp, counts.total_count, counts.total_response_time)
    };
    assert_eq!(series.statistics().iter().map(line).collect::<Vec<_>>(), expected);
}

fn named(name: &str) -> Selector {
    Selector { name: Some(name.to_owned()), ..Selector::default() }
}

const ALL: (f64, f64) = (0.0, 10_000.0);

#[test]
fn a_trace_counts_where_its_root_was_received_in_the_stretch_named_by_its_end() {
    check(&Wanted::Entries, 60, ALL, &["6360 e1/0 8s", "6060 e1/0 1s", "6000 e2/1 6s"]);
    check(&Wanted::Entries, 300, ALL, &["6600 e1/0 8s", "6300 e1/0 1s", "6000 e2/1 6s"]);
}

#[test]
fn of_several_roots_the_one_the_trace_began_with_tells_the_stretch() {
    let document = |id: u32, start: f64| {
        json!({ "id": format!("{id:016x}"), "trace_id": "1-581cf771-a006649127e371903a2de979", "name": "a",
                "start_time": start, "end_time": 9 })
    };
    let mut series = Series::new(Wanted::Entries, Period::Minute, 0.0, 1_000.0);
    let late = record(&document(1, 2.0), 1, 30.0);
    add(&mut series, &[late, record(&document(3, 1.0), 2, 90.0), record(&document(2, 1.0), 3, 150.0)]);
    let stretches: Vec<_> = series.statistics().iter().map(|stretch| stretch.timestamp.to_bits()).collect();
    assert_eq!(stretches, [180.0_f64.to_bits()]);
}

#[test]
fn the_end_of_a_stretch_is_within_the_window() {
    check(&Wanted::Entries, 60, (6_000.0, 6_360.0), &["6060 e1/0 1s", "6000 e2/1 6s"]);
    check(&Wanted::Entries, 60, (6_000.5, 6_360.5), &["6360 e1/0 8s", "6060 e1/0 1s"]);
    check(&Wanted::Entries, 60, (6_000.0, 6_000.0), &[]);
    check(&Wanted::Entries, 60, (6_060.5, 6_300.0), &[]);
}

#[test]
fn a_service_has_its_own_times_and_an_edge_those_of_the_caller() {
    let window = (0.0, 6_360.0);
    check(&Wanted::Service(named("front")), 60, window, &["6060 s1/0 1s", "6000 s2/1 6s"]);
    check(&Wanted::Service(named("back")), 60, window, &["6060 s1/0 0.5s", "6000 s2/1 5s"]);
    let edge = |from, to| Wanted::Edge(named(from), named(to));
    check(&edge("front", "back"), 60, window, &["6060 e1/0 0.75s", "6000 e2/1 5.5s"]);
    check(&edge("front", "front"), 60, window, &["6060 e1/0 1s", "6000 e2/1 6s"]);
}

#[test]
fn a_stretch_without_what_is_asked_for_is_told_of_without_statistics() {
    let window = (0.0, 6_360.0);
    check(&Wanted::Service(named("none")), 60, window, &["6060", "6000"]);
    check(&Wanted::Edge(named("back"), named("front")), 60, window, &["6060", "6000"]);
    let mut series = Series::new(Wanted::Service(named("none")), Period::Minute, 0.0, 100.0);
    add(&mut series, &trace(60.0, 1.0, false));
    let written = json!([{ "Timestamp": 60.0, "EdgeSummaryStatistics": null, "ServiceSummaryStatistics": null,
                           "ServiceForecastStatistics": {}, "ResponseTimeHistogram": null }]);
    assert_eq!(serde_json::to_value(series.statistics()).unwrap(), written);
}

#[test]
fn a_type_or_an_account_selects_too() {
    let window = (0.0, 6_000.5);
    let of_type = |name: &str| Selector { r#type: Some(name.to_owned()), ..Selector::default() };
    check(&Wanted::Service(of_type("AWS::EC2::Instance")), 60, window, &["6000 s2/1 5s"]);
    check(&Wanted::Service(of_type("remote")), 60, window, &["6000"]);
    check(&Wanted::Edge(of_type("client"), Selector::default()), 60, window, &["6000 e2/1 6s"]);
    let account = Selector { account_id: Some("123456789012".to_owned()), ..Selector::default() };
    check(&Wanted::Service(account), 60, window, &["6000"]);
}

#[test]
fn x_ray_has_two_periods() {
    for seconds in [0, -1, 1, 61, 120, 3600] {
        assert_eq!(Period::of_seconds(seconds), None);
    }
}

#[test]
fn a_trace_without_a_complete_segment_is_in_no_stretch() {
    let mut series = Series::new(Wanted::Entries, Period::Minute, 0.0, 1_000.0);
    let mut open = json!({ "id": "0000000000000001", "trace_id": "1-581cf771-a006649127e371903a2de979",
        "name": "front", "start_time": 1, "in_progress": true });
    add(&mut series, &[record(&open, 1, 60.0)]);
    assert_eq!(series.statistics(), []);
    (open["end_time"], open["in_progress"], open["parent_id"]) =
        (json!(2), json!(false), json!("0000000000000009"));
    add(&mut series, &[record(&open, 1, 60.0)]);
    assert_eq!(series.statistics().len(), 1, "an orphan is received too");
}

proptest! {
    /// The sum over all stretches is what the graph has.
    #[test]
    fn property_stretches_are_the_graph_cut_by_time(traces in super::super::graph::any_traces()) {
        let mut graph = super::super::graph::Graph::default();
        let mut series = Series::new(Wanted::Service(Selector::default()), Period::Minute, 0.0, 1_000.0);
        let mut edges = Series::new(
            Wanted::Edge(Selector::default(), Selector::default()), Period::FiveMinutes, 0.0, 1_000.0);
        for trace in &traces {
            let mut rows: Vec<_> = trace.iter().map(Record::row).collect();
            settle(&mut rows);
            if received(&rows).is_some() {
                graph.add(&rows);
                series.add(&rows);
                edges.add(&rows);
            }
        }
        let services = graph.service_graph().services;
        let total = |statistics: &Statistics| statistics.total_count;
        let nodes: u64 = services.iter().filter_map(|service| service.summary_statistics.as_ref()).map(total).sum();
        let calls: u64 =
            services.iter().flat_map(|service| &service.edges).map(|edge| total(&edge.summary_statistics)).sum();
        let found = |series: &Series| series.stretches.values().map(Tally::total).sum::<u64>();
        prop_assert_eq!(found(&series), nodes);
        prop_assert_eq!(found(&edges), calls);
    }
}
