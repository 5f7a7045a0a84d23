//! A small world of traces, for expressions to find.

use super::super::super::cause::{CauseEntity, CauseException, CauseService, RootCause, RootCauses};
use super::super::super::{Record, Row};
use super::super::{Expression, GroupBy, Groups, View};
use crate::segment::Document;
use serde_json::{Value, json};
use std::sync::Arc;

/// A trace with a name to tell it by.
pub(super) struct Trace {
    pub(super) name: &'static str,
    records: Vec<Record>,
    causes: RootCauses,
}

impl Trace {
    /// Documents may have numbers for ids, and need not have end and trace.
    pub(super) fn new(name: &'static str, documents: Value) -> Self {
        let Value::Array(documents) = documents else { panic!("a list of documents") };
        let record = |mut document: Value| {
            document["trace_id"] = json!("1-581cf771-a006649127e371903a2de979");
            with_ids(&mut document);
            let document = Document::parse(document.to_string().as_bytes()).unwrap();
            Record::of(&document, 1, 0.0)
        };
        Self { name, records: documents.into_iter().map(record).collect(), causes: RootCauses::default() }
    }

    fn with_causes(self, causes: RootCauses) -> Self {
        Self { causes, ..self }
    }

    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        self.records.iter().map(Record::row).collect()
    }

    pub(super) fn causes(&self) -> RootCauses {
        self.causes.clone()
    }

    #[track_caller]
    pub(super) fn matches(&self, expression: &str) -> bool {
        let expression = super::parse(expression);
        let rows = self.rows();
        let causes = || self.causes();
        expression.matches(&View::new(&rows, &causes), &known_groups())
    }
}

/// Asks one expression of the world.
#[track_caller]
pub(super) fn check(expression: &str, expected: &str) {
    let matching: Vec<_> =
        traces().iter().filter(|trace| trace.matches(expression)).map(|trace| trace.name).collect();
    assert_eq!(matching.join(", "), expected, "{expression}");
}

/// Of all of them.
pub(super) fn all_names() -> String {
    traces().iter().map(|trace| trace.name).collect::<Vec<_>>().join(", ")
}

/// `7` becomes `"0000000000000007"`.
fn with_ids(document: &mut Value) {
    for key in ["id", "parent_id"] {
        if let Some(id) = document[key].as_u64() {
            document[key] = json!(format!("{id:016x}"));
        } else if document[key].is_null() {
            document.as_object_mut().unwrap().remove(key);
        }
    }
    for subsegment in document["subsegments"].as_array_mut().into_iter().flatten() {
        with_ids(subsegment);
    }
}

/// A segment from 100 to `end`, with what else it has.
pub(super) fn segment(id: u64, parent: Option<u64>, name: &str, end: f64, more: Value) -> Value {
    let mut segment =
        json!({ "id": id, "parent_id": parent, "name": name, "start_time": 100, "end_time": end });
    add(&mut segment, more);
    segment
}

/// A call of something remote from 100.1 to `end`, with what else it has.
pub(super) fn call(id: u64, name: &str, end: f64, more: Value) -> Value {
    let mut call =
        json!({ "id": id, "name": name, "namespace": "remote", "start_time": 100.1, "end_time": end });
    add(&mut call, more);
    call
}

fn add(document: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("an object of fields") };
    document.as_object_mut().unwrap().extend(more);
}

pub(super) fn status(status: i32) -> Value {
    json!({ "response": { "status": status } })
}

/// Groups of the world.
pub(super) struct Known(Vec<(&'static str, Expression)>);

pub(super) fn known_groups() -> Known {
    let filters = [
        ("high_response_time", "responsetime > 5"),
        ("either", "service(\"api\") OR service(\"web\")"),
        ("slow_again", "group.name = \"high_response_time\" AND ok"),
        ("circle_one", "group.name = \"circle_two\" OR ok"),
        ("circle_two", "group.name = \"circle_one\" AND duration < 1"),
        ("self", "!group.name = \"self\""),
    ];
    let mut known: Vec<_> = filters.into_iter().map(|(name, text)| (name, super::parse(text))).collect();
    known.push(("Default", Expression::everything()));
    Known(known)
}

impl Groups for Known {
    fn expression(&self, by: GroupBy, value: &str) -> Option<Arc<Expression>> {
        let name = match by {
            GroupBy::Name => value,
            GroupBy::Arn => value.strip_prefix("arn:")?,
        };
        self.0.iter().find(|(known, _)| *known == name).map(|(_, filter)| Arc::new(filter.clone()))
    }
}

/// All of them. They are small, and each is there for a reason of its own.
pub(super) fn traces() -> Vec<Trace> {
    let mut traces = of_the_web();
    traces.extend(of_other_services());
    traces.extend(with_causes());
    traces
}

fn request(url: &str, status: i32) -> Value {
    json!({ "request": { "url": url }, "response": { "status": status } })
}

/// Traces that differ in how they were asked for, and in what was noted of them.
fn of_the_web() -> Vec<Trace> {
    vec![
        Trace::new(
            "plain",
            json!([segment(1, None, "web", 100.2, json!({ "http": request("http://www/", 200) }))]),
        ),
        Trace::new(
            "game",
            json!([segment(
                1,
                None,
                "api.amazon.com",
                106.0,
                json!({
                "http": request("http://example/game/api/game/1", 500), "fault": true, "user": "alice",
                "annotations": { "gameid": "817DL6VO", "age": 30, "foo": "bar" } })
            )]),
        ),
        // Its parent is not there: nothing is its root.
        Trace::new(
            "orphan",
            json!([segment(
                2,
                Some(0xdead),
                "worker",
                101.0,
                json!({
                "user": "bob", "annotations": { "age": 20, "account": "12345" } })
            )]),
        ),
        // What fails downstream is handled by the root.
        Trace::new(
            "shop",
            json!([
                segment(
                    1,
                    None,
                    "api.example.com",
                    102.5,
                    json!({
                    "http": request("http://api.example.com/v2/items", 200),
                    "subsegments": [call(2, "backend.example.com", 100.5, json!({ "http": status(404) }))] })
                ),
                segment(
                    3,
                    Some(2),
                    "backend.example.com",
                    100.4,
                    json!({ "error": true, "http": status(404) })
                )
            ]),
        ),
        Trace::new(
            "gateway",
            json!([segment(
                1,
                None,
                "frontend",
                103.0,
                json!({
                "http": request("http://api.example.com/v2/items", 200),
                "annotations": { "aws.local.environment": "k8s:default", "aws.remote.operation": "ListOwners" } })
            )]),
        ),
    ]
}

/// Traces that differ in what their services are and how they went.
fn of_other_services() -> Vec<Trace> {
    vec![
        Trace::new(
            "lambda",
            json!([
                segment(1, None, "function-name", 100.4, json!({ "origin": "AWS::Lambda", "error": true })),
                segment(2, Some(1), "function-name", 100.3, json!({ "origin": "AWS::Lambda::Function" }))
            ]),
        ),
        Trace::new(
            "random",
            json!([
                segment(1, None, "random-name", 100.4, json!({ "origin": "AWS::Lambda" })),
                segment(
                    2,
                    Some(1),
                    "random-name",
                    100.3,
                    json!({ "origin": "AWS::Lambda::Function", "error": true })
                )
            ]),
        ),
        Trace::new("data", json!([segment(1, None, "data-plane", 107.0, json!({ "fault": true }))])),
        Trace::new("typed", typed(Some("t"), "account-id")),
        Trace::new("untyped", typed(None, "other")),
        // No segment answers.
        Trace::new(
            "pair",
            json!([segment(
                1,
                None,
                "src",
                100.8,
                json!({ "subsegments": [
                call(2, "dst", 100.3, json!({})), call(3, "example.com", 100.6, json!({ "error": true })),
                call(4, "api.example.com", 100.7, json!({ "http": status(503) }))] })
            )]),
        ),
        Trace::new(
            "annotated",
            json!([segment(
                1,
                None,
                "api",
                100.9,
                json!({ "fault": true, "annotations": {
                "a": "z", "b": "y", "aws_local_service": "x", "aws_local_operation": "z",
                "aws.local.operation": "GET /x" } })
            )]),
        ),
        Trace::new(
            "throttled",
            json!([segment(
                1,
                None,
                "busy",
                100.1,
                json!({ "error": true, "throttle": true, "http": status(429) })
            )]),
        ),
        Trace::new(
            "open",
            json!([{ "id": 1, "name": "x", "start_time": 100, "in_progress": true, "user": "" }]),
        ),
    ]
}

/// `a` calls `b` and fails with it; `n` and `N` are there, too.
fn typed(r#type: Option<&str>, account: &str) -> Value {
    let typed = |more: Value| {
        let mut fields = more;
        if let Some(origin) = r#type {
            fields["origin"] = json!(origin);
        }
        fields
    };
    let mut upper = typed(json!({ "aws": { "account_id": account } }));
    if r#type.is_some() {
        upper["origin"] = json!("T");
    }
    json!([
        segment(
            1,
            None,
            "a",
            101.5,
            typed(json!({
            "subsegments": [call(2, "b", 100.5, json!({ "error": true }))] }))
        ),
        segment(3, Some(2), "b", 100.4, typed(json!({}))),
        segment(4, Some(1), "n", 100.4, typed(json!({ "fault": true }))),
        segment(5, Some(1), "N", 100.4, upper),
    ])
}

fn with_causes() -> Vec<Trace> {
    let root = |end: f64| json!([segment(1, None, "origin", end, json!({ "fault": true }))]);
    let table = CauseService { inferred: true, ..service("traces", "AWS::DynamoDB", vec![entity("traces")]) };
    let remote = CauseEntity { remote: true, coverage: Some(0.75), ..entity("traces") };
    let own = CauseEntity { coverage: Some(1.0), ..entity("origin") };
    let slow = CauseEntity { coverage: Some(0.85), ..entity("traces") };
    let denied = CauseEntity {
        exceptions: Some(vec![
            exception("Unauthorized", "who are you"),
            exception("AccessDenied", "Access Denied for account_id: 1234567890"),
        ]),
        ..entity("deserialize")
    };
    let mut deep: Vec<_> = (0..6).map(|n| service(&format!("s{n}"), "", vec![entity("call")])).collect();
    deep.push(service("Auth", "", vec![entity("Auth"), denied]));
    let fault = |services| RootCauses { fault: vec![cause(services)], ..RootCauses::default() };
    let time = |services| RootCauses { response_time: vec![cause(services)], ..RootCauses::default() };
    let way = |services: &[(&str, &[&str])]| {
        services
            .iter()
            .map(|(name, path)| service(name, "", path.iter().map(|name| entity(name)).collect()))
            .collect::<Vec<_>>()
    };
    vec![
        Trace::new("slow table", json!([segment(1, None, "origin", 104.0, json!({}))])).with_causes(time(
            vec![
                service("origin", "", vec![own, remote]),
                CauseService { entity_path: vec![slow], ..table.clone() },
            ],
        )),
        Trace::new("bad table", root(101.0))
            .with_causes(fault(vec![service("origin", "", vec![entity("origin")]), table])),
        Trace::new("deep", root(101.0)).with_causes(fault(deep)),
        Trace::new("weather", root(101.0)).with_causes(fault(way(&[
            ("Door", &["Door"]),
            ("GetWeatherData", &["GetWeatherData", "retry", "get_temperature"]),
            ("GetTemperature", &["GetTemperature"]),
        ]))),
        Trace::new("weather turned", root(101.0)).with_causes(fault(way(&[
            ("GetTemperature", &["GetTemperature"]),
            ("GetWeatherData", &["get_temperature", "GetWeatherData"]),
        ]))),
    ]
}

fn cause(services: Vec<CauseService>) -> RootCause {
    RootCause { services, client_impacting: true }
}

fn service(name: &str, r#type: &str, entity_path: Vec<CauseEntity>) -> CauseService {
    CauseService {
        name: name.to_owned(),
        names: vec![name.to_owned()],
        r#type: r#type.to_owned(),
        account_id: None,
        entity_path,
        inferred: false,
    }
}

fn entity(name: &str) -> CauseEntity {
    CauseEntity { name: name.to_owned(), exceptions: None, coverage: None, remote: false }
}

fn exception(name: &str, message: &str) -> CauseException {
    CauseException { name: name.to_owned(), message: message.to_owned() }
}
