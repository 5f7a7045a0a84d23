//! Fields of a segment document, read without believing their types.

use serde_json::{Map, Value};

/// An object field.
pub fn object<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    fields.get(key)?.as_object()
}

/// A text field.
pub fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key)?.as_str()
}

/// A number field.
pub fn number(fields: &Map<String, Value>, key: &str) -> Option<f64> {
    fields.get(key)?.as_f64()
}

/// `http.response.status`, a number or, from some translators, digits.
pub fn status(fields: &Map<String, Value>) -> Option<i32> {
    let status = object(fields, "http").and_then(|http| object(http, "response"))?.get("status")?;
    let status = status.as_i64().or_else(|| status.as_str()?.parse().ok())?;
    i32::try_from(status).ok()
}

/// The subsegments directly below.
pub fn subsegments(fields: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    fields.get("subsegments").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Rounded to milliseconds, as X-Ray gives durations.
pub fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
