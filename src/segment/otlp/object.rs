//! JSON objects that leave out what there is not.

use serde_json::{Map, Value};

/// An object being written.
#[derive(Debug, Default)]
pub(super) struct Object(pub(super) Map<String, Value>);

impl Object {
    /// Writes a field, if there is a value.
    #[must_use]
    pub(super) fn with<V: Into<Value>>(mut self, key: &str, value: Option<V>) -> Self {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Writes an object, if there is anything in it.
    #[must_use]
    pub(super) fn with_object(self, key: &str, object: Self) -> Self {
        let value = (!object.0.is_empty()).then_some(Value::Object(object.0));
        self.with(key, value)
    }
}
