//! What holds of every expression and every trace, however odd.

use super::super::super::cause::RootCauses;
use super::super::super::row::Outcome;
use super::super::super::{Row, SegmentId, TraceId};
use super::super::{Expression, NoGroups, View};
use super::traces::known_groups;
use super::{IN_USE, any_expression, parse};
use crate::segment::Kind;
use proptest::prelude::*;

/// A row with few different ids, so that parents are found, missing, and go in circles.
#[derive(Debug, Clone)]
struct AnyRow {
    id: u64,
    parent: Option<u64>,
    is_subsegment: bool,
    times: (f64, Option<f64>),
    outcome: Outcome,
    name: &'static str,
    annotations: &'static str,
    calls: String,
    locals: String,
}

impl AnyRow {
    fn row(&self) -> Row<'_> {
        Row {
            trace_id: TraceId(1),
            id: SegmentId(self.id),
            parent_id: self.parent.map(SegmentId),
            kind: if self.is_subsegment { Kind::Subsegment } else { Kind::Segment },
            sequence: 1,
            received_at: 0.0,
            start: self.times.0,
            end: self.times.1,
            outcome: self.outcome,
            status: Some(200),
            name: self.name,
            origin: None,
            account_id: None,
            url: None,
            method: None,
            user_agent: None,
            client_ip: None,
            user: None,
            availability_zone: None,
            instance_id: None,
            resource_arn: None,
            annotations: self.annotations,
            calls: &self.calls,
            locals: &self.locals,
        }
    }
}

const NAMES: [&str; 6] = ["api", "a", "b", "src", "dst", "n"];

fn any_rows() -> impl Strategy<Value = Vec<AnyRow>> {
    let id = || 1..8_u64;
    let calls = proptest::collection::vec((id(), proptest::sample::select(NAMES.to_vec())), 0..3);
    let annotations =
        ["", "{\"age\":30,\"a\":[\"x\",true]}", "{\"b\":\"y\"", "[]", "{\"account\":\"12345\"}"];
    let time = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), 0.0..10.0_f64];
    let row = (
        (id(), proptest::option::of(id()), any::<bool>()),
        (time.clone(), proptest::option::of(time)),
        any::<[bool; 3]>(),
        proptest::sample::select(NAMES.to_vec()),
        proptest::sample::select(annotations.to_vec()),
        calls,
        proptest::collection::vec(id(), 0..3),
    )
        .prop_map(|((id, parent, is_subsegment), times, flags, name, annotations, calls, locals)| AnyRow {
            id,
            parent,
            is_subsegment,
            times,
            outcome: Outcome { error: flags[0], fault: flags[1], throttle: flags[2] },
            name,
            annotations,
            calls: calls_text(&calls),
            locals: locals.into_iter().map(|id| SegmentId(id).to_string()).collect(),
        });
    proptest::collection::vec(row, 0..8)
}

fn calls_text(calls: &[(u64, &str)]) -> String {
    let call = |(id, name): &(u64, &str)| {
        format!(r#"{{"id":"{id:016x}","name":"{name}","type":"remote","start":1,"end":2,"fault":true}}"#)
    };
    format!("[{}]", calls.iter().map(call).collect::<Vec<_>>().join(","))
}

/// Expressions people write, and combinations of them.
fn any_filter() -> impl Strategy<Value = Expression> {
    let in_use = proptest::sample::select(IN_USE.to_vec()).prop_map(|(text, _)| parse(text));
    let odd = [
        "partial",
        "inferred",
        "edge(\"a\", \"a\")",
        "edge(\"api\", \"b\") { fault }",
        "service() { root fault }",
        "service() { duration > 1 OR annotation.age }",
        "edge(id(type: \"client\"), \"a\")",
        "duration != 3",
        "group.name = \"circle_one\"",
        "group.name = \"self\"",
        "group.name != \"nobody\"",
    ];
    let odd = proptest::sample::select(odd.to_vec()).prop_map(parse);
    let generated = any_expression().prop_map(|(_, expression)| expression);
    prop_oneof![in_use, odd, generated].prop_recursive(3, 8, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.prop_map(not),
            several.clone().prop_map(Expression::And),
            several.prop_map(Expression::Or),
        ]
    })
}

fn not(expression: Expression) -> Expression {
    Expression::Not(Box::new(expression))
}

fn matches(expression: &Expression, rows: &[AnyRow]) -> bool {
    let rows: Vec<_> = rows.iter().map(AnyRow::row).collect();
    expression.matches(&View::new(&rows, &RootCauses::default), &known_groups())
}

proptest! {
    #[test]
    fn property_not_is_the_complement(expression in any_filter(), rows in any_rows()) {
        prop_assert_eq!(matches(&not(expression.clone()), &rows), !matches(&expression, &rows));
    }

    #[test]
    fn property_and_or_and_not_are_those_of_de_morgan(
        one in any_filter(),
        other in any_filter(),
        rows in any_rows(),
    ) {
        let neither = not(Expression::Or(vec![one.clone(), other.clone()]));
        let both_not = Expression::And(vec![not(one.clone()), not(other.clone())]);
        prop_assert_eq!(matches(&neither, &rows), matches(&both_not, &rows));
        let both = Expression::And(vec![one.clone(), other.clone()]);
        prop_assert_eq!(matches(&both, &rows), matches(&one, &rows) && matches(&other, &rows));
        let either = Expression::Or(vec![one.clone(), other.clone()]);
        prop_assert_eq!(matches(&either, &rows), matches(&one, &rows) || matches(&other, &rows));
    }

    #[test]
    fn property_twice_is_once(expression in any_filter(), rows in any_rows()) {
        let twice = Expression::And(vec![expression.clone(), expression.clone()]);
        prop_assert_eq!(matches(&twice, &rows), matches(&expression, &rows));
    }

    /// Rows in whatever order tell the same, where no id is there twice and no start.
    #[test]
    fn property_the_order_of_rows_does_not_matter(expression in any_filter(), mut rows in any_rows()) {
        rows.sort_by_key(|row| row.id);
        rows.dedup_by_key(|row| row.id);
        for row in &mut rows {
            // Parents are rows, their subsegments (10 to 17), their calls (20 to 27), or missing.
            row.parent = row.parent.map(|parent| parent + 10 * (row.id % 3));
            row.times.0 = f64::from(u32::try_from(row.id).unwrap());
            row.locals = format!("{:016x}", 10 + row.id);
            row.calls = calls_text(&[(20 + row.id, row.name)]);
        }
        let forward = matches(&expression, &rows);
        rows.reverse();
        prop_assert_eq!(matches(&expression, &rows), forward);
    }

    /// The texts that are searched before anything is read are there in whatever is found.
    #[test]
    fn property_any_text_of_an_annotation_is_found(key in any::<String>(), value in any::<String>()) {
        let annotations = serde_json::json!({ "other": 1, key.as_str(): [true, value.as_str()] }).to_string();
        let row = AnyRow {
            id: 1, parent: None, is_subsegment: false, times: (0.0, None), outcome: Outcome::default(), name: "a",
            annotations: "", calls: String::new(), locals: String::new(),
        };
        let rows = [Row { annotations: &annotations, ..row.row() }];
        let (key, value) = (serde_json::to_string(&key).unwrap(), serde_json::to_string(&value).unwrap());
        let expression = parse(&format!("annotation[{key}] = {value}"));
        prop_assert!(expression.matches(&View::new(&rows, &RootCauses::default), &NoGroups));
    }
}
