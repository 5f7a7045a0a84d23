//! The attributes of a span, a resource or an event.

use super::BASE64;
use super::proto::{Any, AnyValue, KeyValue};
use base64::Engine;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Attributes by their keys. What has been asked for is remembered: the rest has no field of its own in a document.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    all: BTreeMap<&'a str, &'a Any>,
    told: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(attributes: &'a [KeyValue]) -> Self {
        let usable = attributes.iter().filter(|pair| !is_private(&pair.key));
        let known = usable.filter_map(|pair| Some((pair.key.as_str(), any(pair.value.as_ref())?)));
        Self { all: known.collect(), told: RefCell::default() }
    }

    fn get<T>(&self, key: &str, read: impl Fn(&'a Any) -> Option<T>) -> Option<T> {
        let (key, value) = self.all.get_key_value(key)?;
        let value = read(value)?;
        self.told.borrow_mut().insert(key);
        Some(value)
    }

    /// The text under the first of these keys that has one.
    pub(super) fn text(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.get(key, text))
    }

    /// The same, for a decision: it is not asked for by that.
    pub(super) fn peek(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| text(self.all.get(key)?))
    }

    /// The whole number under the first of these keys that has one, be it written as text.
    pub(super) fn number(&self, keys: &[&str]) -> Option<i64> {
        let read = |value: &Any| match value {
            Any::Int(number) => Some(*number),
            Any::Text(digits) => digits.parse().ok(),
            _ => None,
        };
        keys.iter().find_map(|key| self.get(key, read))
    }

    /// The texts in a list, or the one text.
    pub(super) fn texts(&self, key: &str) -> Vec<&'a str> {
        let read = |value: &'a Any| match value {
            Any::Text(text) => Some(vec![text.as_str()]),
            Any::List(list) => Some(list.values.iter().filter_map(text_of).collect()),
            _ => None,
        };
        self.get(key, read).unwrap_or_default()
    }

    pub(super) fn has(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.all.contains_key(key))
    }

    /// All of them, as JSON.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, Value)> {
        self.all.iter().map(|(key, value)| (*key, json(value)))
    }

    /// Whether it has been asked for.
    pub(super) fn is_told(&self, key: &str) -> bool {
        self.told.borrow().contains(key)
    }
}

/// Keys that `serde_json` gives a meaning of its own when it reads a document.
pub(super) fn is_private(key: &str) -> bool {
    key.starts_with("$serde_json::private::")
}

fn any(value: Option<&AnyValue>) -> Option<&Any> {
    value?.value.as_ref()
}

fn text(value: &Any) -> Option<&str> {
    match value {
        Any::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn text_of(value: &AnyValue) -> Option<&str> {
    match any(Some(value))? {
        Any::Text(text) => Some(text),
        _ => None,
    }
}

/// Decoding has bounded how deep it is.
fn json(value: &Any) -> Value {
    let or_null = |value: Option<&AnyValue>| any(value).map_or(Value::Null, json);
    match value {
        Any::Text(text) => Value::from(text.as_str()),
        Any::Bool(flag) => Value::from(*flag),
        Any::Int(number) => Value::from(*number),
        Any::Double(number) => Value::from(*number),
        Any::Bytes(bytes) => Value::from(BASE64.encode(bytes)),
        Any::List(list) => list.values.iter().map(|value| or_null(Some(value))).collect(),
        Any::Map(map) => {
            let usable = map.values.iter().filter(|pair| !is_private(&pair.key));
            let pairs = usable.map(|pair| (pair.key.clone(), or_null(pair.value.as_ref())));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}
