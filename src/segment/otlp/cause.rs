//! How a span went, and why.

use super::attributes::Attributes;
use super::http;
use super::object::Object;
use super::proto::{Span, StatusCode};
use serde_json::Value;

/// X-Ray's flags: by the status of the response where there is one that says it, else a failed span is a fault.
pub(super) fn flags(span: &Span, attributes: &Attributes<'_>) -> Object {
    let set = |flag: bool| flag.then_some(true);
    match http::status(attributes) {
        Some(status @ 400..=499) => {
            Object::default().with("error", Some(true)).with("throttle", set(status == 429))
        }
        Some(500..=599) => Object::default().with("fault", Some(true)),
        _ => Object::default().with("fault", set(failed(span))),
    }
}

fn failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// `cause`: the exceptions of its events, else what its status says. Stack traces are texts in the form of each
/// language; they are kept as they are, in `metadata` ([`stacks`]).
pub(super) fn block(span: &Span, attributes: &Attributes<'_>, remote: bool) -> Object {
    let mut exceptions: Vec<Value> = exceptions(span)
        .enumerate()
        .map(|(place, event)| {
            exception(span, place)
                .with("type", event.text(&["exception.type"]))
                .with("message", event.text(&["exception.message"]))
                .with("remote", remote.then_some(true))
        })
        .map(|object| Value::Object(object.0))
        .collect();
    let message =
        span.status.as_ref().map(|status| status.message.as_str()).filter(|message| !message.is_empty());
    let message = message.or_else(|| attributes.text(&["http.status_text"]));
    if let (true, true, Some(message)) = (exceptions.is_empty(), failed(span), message) {
        let said =
            exception(span, 0).with("type", attributes.text(&["error.type"])).with("message", Some(message));
        exceptions.push(Value::Object(said.0));
    }
    Object::default().with("exceptions", (!exceptions.is_empty()).then_some(exceptions))
}

/// The stack traces of its exceptions, as texts.
pub(super) fn stacks(span: &Span) -> Option<Value> {
    let stacks: Vec<&str> =
        exceptions(span).filter_map(|event| event.text(&["exception.stacktrace"])).collect();
    (!stacks.is_empty()).then(|| Value::from(stacks))
}

fn exceptions(span: &Span) -> impl Iterator<Item = Attributes<'_>> {
    let events = span.events.iter().filter(|event| event.name == "exception");
    events.map(|event| Attributes::of(&event.attributes))
}

/// With an id of its own: the span's, counted on, so that the same span always becomes the same document.
fn exception(span: &Span, place: usize) -> Object {
    let id = span.id.iter().fold(0_u64, |id, byte| id << 8 | u64::from(*byte));
    let id = id.wrapping_add(place as u64).wrapping_add(1);
    Object::default().with("id", Some(format!("{id:016x}")))
}
