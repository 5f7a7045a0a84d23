//! Filters find what summaries and graphs show.

use super::super::super::cause::RootCauses;
use super::super::super::graph::{Graph, any_documents};
use super::super::super::row::settle;
use super::super::super::source::Stored;
use super::super::super::{NodeId, Record, Row, Summary, Trace, TraceId};
use super::super::{Condition, Expression, NoGroups, Selector, View};
use super::parse;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;

/// One trace as each of them sees it.
struct Seen {
    records: Vec<Record>,
    trace: Trace,
}

impl Seen {
    fn of(documents: &[Value]) -> Self {
        let texts = documents.iter().map(|document| document.to_string().into());
        let stored: Vec<_> = (1..)
            .zip(texts)
            .map(|(sequence, document)| Stored { sequence, received_at: sequence as f64, document })
            .collect();
        let read = |one: &Stored| Record::read(&one.document, one.sequence, one.received_at).unwrap().0;
        let records: Vec<_> = stored.iter().map(read).collect();
        let id = TraceId::parse(documents[0]["trace_id"].as_str().unwrap()).unwrap();
        Self { records, trace: Trace::assemble(id, stored) }
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self.records.iter().map(Record::row).collect();
        settle(&mut rows);
        rows
    }

    fn matches(&self, expression: &Expression) -> bool {
        expression.matches(&View::new(&self.rows(), &RootCauses::default), &NoGroups)
    }

    fn has(&self, filter: &str) -> bool {
        self.matches(&parse(filter))
    }

    /// Edges of the graph: from, to, how many went well, how many failed with a 5xx alone.
    fn edges(&self) -> Vec<(NodeId, NodeId, u64, u64)> {
        let mut graph = Graph::default();
        graph.add(&self.rows());
        let services = graph.trace_graph("").services;
        let node = |at: usize| {
            let service = &services[at];
            NodeId {
                name: service.name.clone(),
                r#type: service.r#type.clone(),
                account_id: service.account_id.clone(),
            }
        };
        let mut edges = Vec::new();
        for (from, service) in services.iter().enumerate() {
            for edge in &service.edges {
                let counts = &edge.summary_statistics;
                let to = usize::try_from(edge.reference_id).unwrap();
                let faults = counts.fault_statistics.total_count;
                edges.push((node(from), node(to), counts.ok_count, faults));
            }
        }
        edges
    }
}

/// What the name alone means, and what the name and the type do.
fn selectors(node: &NodeId) -> [Selector; 2] {
    let name = Some(node.name.clone());
    [
        Selector { name: name.clone(), ..Selector::default() },
        Selector { name, r#type: node.r#type.clone(), ..Selector::default() },
    ]
}

fn means(selector: &Selector, node: &NodeId) -> bool {
    match node.r#type.as_deref() {
        Some(NodeId::CLIENT) => selector.matches_client(&node.name, node.account_id.as_deref()),
        kind => selector.matches(&node.name, kind, node.account_id.as_deref()),
    }
}

fn document(id: u64, start: f64, more: Value) -> Value {
    let mut document = json!({ "trace_id": "1-581cf771-a006649127e371903a2de979", "id": format!("{id:016x}"),
        "name": format!("s{id}"), "start_time": start, "end_time": start + 1.0 });
    let Value::Object(more) = more else { panic!("an object of fields") };
    document.as_object_mut().unwrap().extend(more);
    document
}

fn open() -> Value {
    json!({ "in_progress": true, "end_time": null })
}

/// Without what comes twice: which of several the filter, the graph and the summary take is not what is asked here.
fn each_id_once(mut documents: Vec<Value>) -> Vec<Value> {
    let mut known: HashSet<String> = HashSet::new();
    let mut is_new = |one: &Value| known.insert(one["id"].as_str().unwrap().to_owned());
    documents.retain(&mut is_new);
    for document in &mut documents {
        document["subsegments"].as_array_mut().unwrap().retain(&mut is_new);
    }
    documents
}

#[track_caller]
fn check(seen: &Seen, matching: &[&str], others: &[&str]) {
    for filter in matching {
        assert!(seen.has(filter), "{filter}");
    }
    for filter in others {
        assert!(!seen.has(filter), "{filter}");
    }
}

#[test]
fn of_roots_that_start_together_the_one_with_the_lowest_id_counts() {
    let seen = Seen::of(&[document(2, 10.0, json!({ "fault": true })), document(1, 10.0, json!({}))]);
    assert_eq!(seen.trace.root().unwrap().name(), "s1");
    check(&seen, &["ok", "service(\"s1\") { root }"], &["fault", "service(\"s2\") { root }"]);
}

#[test]
fn every_segment_without_parent_has_a_client() {
    let seen = Seen::of(&[
        document(1, 10.0, json!({})),
        document(2, 11.0, json!({ "fault": true })),
        document(3, 12.0, json!({ "parent_id": "0000000000000001" })),
        document(4, 12.0, json!({ "parent_id": "0000000000000099" })),
    ]);
    let client = |name: &str| NodeId::of_segment(name, None, None).client();
    let summary = Summary::of(&seen.trace, None);
    assert_eq!(summary.service_ids[4..], [client("s1"), client("s2")]);
    assert_eq!(summary.entry_point.unwrap().name, "s1");
    let callers: Vec<_> = seen.edges().into_iter().map(|edge| edge.0).collect();
    assert!(callers.contains(&client("s1")) && callers.contains(&client("s2")));
    check(
        &seen,
        &[
            "service(id(name: \"s2\", type: \"client\"))",
            "edge(id(type: \"client\"), \"s1\") { ok }",
            "edge(id(type: \"client\"), \"s2\") { fault }",
            "edge(id(name: \"s2\", type: \"client\"), \"s2\")",
        ],
        &[
            "service(id(name: \"s3\", type: \"client\"))",
            "edge(id(type: \"client\"), \"s3\")",
            "edge(id(type: \"client\"), \"s4\")",
            "edge(id(name: \"s1\", type: \"client\"), \"s2\")",
            "service(\"s2\") { root }",
        ],
    );
}

fn call(id: u64, more: Value) -> Value {
    let mut call = json!({ "id": format!("{id:016x}"), "name": "peer", "namespace": "remote", "start_time": 10.0,
        "end_time": 13.0 });
    let Value::Object(more) = more else { panic!("an object of fields") };
    call.as_object_mut().unwrap().extend(more);
    call
}

#[test]
fn what_is_in_progress_is_no_edge() {
    let below = |calls: Value| json!({ "subsegments": calls });
    let root = Seen::of(&[document(1, 10.0, open())]);
    check(
        &root,
        &["service(id(type: \"client\"))", "service(\"s1\")"],
        &["edge(id(type: \"client\"), \"s1\")"],
    );
    // A call that nothing answers, and one in a segment that goes on.
    let waiting = Seen::of(&[document(1, 10.0, below(json!([call(2, open())])))]);
    check(&waiting, &["service(\"peer\")"], &["edge(\"s1\", \"peer\")"]);
    let mut going_on = open();
    going_on["subsegments"] = json!([call(2, json!({}))]);
    let waiting = Seen::of(&[document(1, 10.0, going_on)]);
    check(&waiting, &["service(\"peer\")"], &["edge(\"s1\", \"peer\")"]);
    // A call that goes on says nothing of itself: its callee does.
    let answer = |mut more: Value| {
        more["parent_id"] = json!("0000000000000002");
        document(3, 10.0, more)
    };
    let caller = document(1, 10.0, below(json!([call(2, open())])));
    let answered = Seen::of(&[caller.clone(), answer(json!({ "fault": true }))]);
    check(
        &answered,
        &["edge(\"s1\", \"s3\") { fault AND responsetime = 1 }"],
        &["edge(\"s1\", \"s3\") { ok }"],
    );
    check(&Seen::of(&[caller, answer(open())]), &["service(\"s3\")"], &["edge(\"s1\", \"s3\")"]);
    // A complete call leads to a callee that goes on.
    let caller = document(1, 10.0, below(json!([call(2, json!({}))])));
    check(&Seen::of(&[caller, answer(open())]), &["edge(\"s1\", \"s3\") { ok AND responsetime = 3 }"], &[]);
}

#[test]
fn a_call_without_a_start_took_no_time() {
    let call = call(2, json!({ "start_time": null }));
    let seen = Seen::of(&[document(1, 10.0, json!({ "subsegments": [call] }))]);
    check(&seen, &["edge(\"s1\", \"peer\") { responsetime = 0 }"], &["service(\"peer\") { duration > 0 }"]);
}

#[test]
fn what_stands_in_itself_makes_a_trace_partial() {
    let alone = |id: u64, parent: u64| {
        document(id, 10.0, json!({ "type": "subsegment", "parent_id": format!("{parent:016x}") }))
    };
    let inside = json!({ "subsegments": [{ "id": "0000000000000002", "name": "work", "start_time": 10 }] });
    let row = |documents: &[Value], expected: bool| {
        let seen = Seen::of(documents);
        assert_eq!(seen.trace.is_partial(), expected, "{documents:#?}");
        assert_eq!(seen.has("partial"), expected, "{documents:#?}");
    };
    row(&[document(1, 10.0, json!({})), alone(2, 2)], true);
    row(&[document(1, 10.0, json!({})), alone(2, 3), alone(3, 4), alone(4, 2)], true);
    row(&[alone(2, 3), alone(3, 2)], true);
    row(&[document(1, 10.0, json!({ "parent_id": "0000000000000001" }))], false);
    let mut mentions_itself = alone(2, 1);
    mentions_itself["subsegments"] = inside["subsegments"].clone();
    row(&[document(1, 10.0, json!({})), mentions_itself], false);
    // Its parent is not needed where it stands in a document.
    row(&[document(1, 10.0, inside.clone()), alone(2, 9)], false);
    row(&[document(1, 10.0, inside), alone(2, 2), alone(3, 2)], false);
}

proptest! {
    #[test]
    fn property_edges_are_those_of_the_graph(documents in any_documents().prop_map(each_id_once)) {
        let seen = Seen::of(&documents);
        let edges = seen.edges();
        let mut graph = Graph::default();
        graph.add(&seen.rows());
        let nodes: Vec<_> = graph.trace_graph("").services.into_iter()
            .map(|service| NodeId { name: service.name, r#type: service.r#type, account_id: service.account_id })
            .collect();
        for from in nodes.iter().flat_map(selectors) {
            for to in nodes.iter().flat_map(selectors) {
                let between: Vec<_> =
                    edges.iter().filter(|edge| means(&from, &edge.0) && means(&to, &edge.1)).collect();
                let has = |inner: Option<&str>| {
                    let inner = inner.map(|inner| Box::new(parse(inner)));
                    seen.matches(&Expression::Condition(Condition::Edge(from.clone(), to.clone(), inner)))
                };
                prop_assert_eq!(has(None), !between.is_empty(), "{:?} {:?}", from, to);
                // Of several services with one name that answer a call in progress the graph counts the first alone.
                for (inner, counts) in [("ok", between.iter().any(|edge| edge.2 > 0)),
                                        ("fault AND !throttle", between.iter().any(|edge| edge.3 > 0))] {
                    prop_assert!(has(Some(inner)) || !counts, "{:?} {:?} {}", from, to, inner);
                }
            }
        }
    }

    #[test]
    fn property_a_trace_is_partial_in_a_filter_when_its_summary_says_so(documents in any_documents()) {
        let seen = Seen::of(&documents);
        prop_assert_eq!(seen.has("partial"), seen.trace.is_partial());
    }

    #[test]
    fn property_services_are_those_of_the_summary(documents in any_documents().prop_map(each_id_once)) {
        let seen = Seen::of(&documents);
        let summary = Summary::of(&seen.trace, None);
        prop_assert_eq!(seen.has("service() { root }"), summary.entry_point.is_some());
        for node in &summary.service_ids {
            let [_, selector] = selectors(node);
            let condition = Condition::Service(selector, None);
            prop_assert!(seen.matches(&Expression::Condition(condition)), "{:?}", node);
        }
        for flag in ["fault", "throttle"] {
            let shown = if flag == "fault" { summary.has_fault } else { summary.has_throttle };
            prop_assert_eq!(seen.has(flag), shown);
        }
    }
}
