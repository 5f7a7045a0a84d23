//! What a client sent, taken apart, and held against what X-Ray gives out.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use xrayd::segment::otlp;

/// Members that are given out as they came. The others are X-Ray's to change.
const KEPT: [&str; 12] = [
    "name",
    "start_time",
    "end_time",
    "error",
    "fault",
    "throttle",
    "namespace",
    "user",
    "annotations",
    "metadata",
    "sql",
    "cause",
];

/// Segments and subsegments by trace id and id, without what is below them.
pub type Parts = BTreeMap<(String, String), Map<String, Value>>;

/// Takes documents and OTLP bodies apart. Of those with the same id the one that is complete counts.
pub fn parts(bodies: &[String]) -> Parts {
    let mut parts = Parts::new();
    for body in bodies {
        let documents = if otlp::is_otlp(body.as_bytes()) {
            otlp::documents(body.as_bytes()).unwrap()
        } else {
            vec![body.clone()]
        };
        for document in documents {
            let document: Value = serde_json::from_str(&document).unwrap();
            let trace = document["trace_id"].as_str().unwrap().to_owned();
            add(&mut parts, &trace, document);
        }
    }
    parts
}

fn add(parts: &mut Parts, trace: &str, mut part: Value) {
    for below in part["subsegments"].take().as_array_mut().into_iter().flatten() {
        add(parts, trace, below.take());
    }
    let Value::Object(mut fields) = part else { panic!("{part} is no segment") };
    fields.remove("subsegments");
    let id = fields["id"].as_str().unwrap().to_owned();
    if fields.get("in_progress") == Some(&Value::Bool(true)) {
        parts.entry((trace.to_owned(), id)).or_insert(fields);
    } else {
        parts.insert((trace.to_owned(), id), fields);
    }
}

/// Everything that was sent is there as it was sent, and nothing else is but what X-Ray made up itself.
pub fn compare(client: &str, sent: &Parts, mut given: Parts) {
    for (key, sent) in sent {
        let given = given.remove(key).unwrap_or_else(|| panic!("{client}: {key:?} is missing: {sent:?}"));
        for name in KEPT {
            let (sent, given) = (sent.get(name), given.get(name));
            let is_same = match (sent, given) {
                (Some(sent), Some(given)) => is_same(sent, given),
                // Said or not, it is no.
                (None | Some(Value::Bool(false) | Value::Null), None) => true,
                (Some(Value::Object(sent)), None) => sent.is_empty(),
                _ => false,
            };
            assert!(is_same, "{client}: {name} of {key:?} was {sent:?} and is {given:?}");
        }
    }
    for (key, given) in given {
        assert_eq!(
            given.get("inferred"),
            Some(&Value::Bool(true)),
            "{client}: nobody sent {key:?}: {given:?}"
        );
    }
}

/// The same to a reader of JSON: X-Ray makes floats of the whole numbers of annotations.
fn is_same(sent: &Value, given: &Value) -> bool {
    match (sent, given) {
        (Value::Number(sent), Value::Number(given)) => sent.as_f64() == given.as_f64(),
        (Value::Array(sent), Value::Array(given)) => {
            sent.len() == given.len() && sent.iter().zip(given).all(|(sent, given)| is_same(sent, given))
        }
        (Value::Object(sent), Value::Object(given)) => {
            sent.len() == given.len()
                && sent.iter().all(|(key, sent)| given.get(key).is_some_and(|given| is_same(sent, given)))
        }
        _ => sent == given,
    }
}
