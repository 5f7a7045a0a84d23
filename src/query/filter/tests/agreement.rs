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
