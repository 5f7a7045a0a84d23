//! Tags of groups and sampling rules.

use super::{Answer, model};
use crate::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most tags of one resource.
const TAGS_MAX: usize = 50;

/// Keys and values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Tags of something that is just made.
    pub(super) fn of_request(body: &Value) -> Result<Self, Refusal> {
        let mut tags = Self::default();
        tags.add(model::list(body, "Tags"))?;
        Ok(tags)
    }

    /// Puts tags beside those that are there; the same key gets the new value. All or none.
    pub(super) fn add(&mut self, tags: &[Value]) -> Answer {
        let mut merged = self.0.clone();
        let mut seen = BTreeSet::new();
        for tag in tags {
            let (key, value) = (model::text(tag, "Key"), model::text(tag, "Value"));
            let (Some(key), Some(value)) = (key, value) else { continue };
            refuse_system_key(key)?;
            // Recorded: the same key twice in one request is a failure of the service, without a message.
            if !seen.insert(key) {
                return Err(Refusal::internal(""));
            }
            merged.insert(key.to_owned(), value.to_owned());
        }
        if merged.len() > TAGS_MAX {
            let text = format!("The resultant tag set must not have more than {TAGS_MAX} user tags.");
            return Err(Refusal::invalid(text));
        }
        self.0 = merged;
        Ok(json!({}))
    }

    /// Takes tags away. A key that is not there is no error.
    pub(super) fn remove(&mut self, keys: &[Value]) -> Answer {
        let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
        keys.iter().try_for_each(|key| refuse_system_key(key))?;
        self.0.retain(|key, _| !keys.contains(&key.as_str()));
        Ok(json!({}))
    }

    /// All of them, whatever `NextToken` says.
    pub(super) fn list(&self) -> Value {
        let tags: Vec<Value> =
            self.0.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        json!({"NextToken": null, "Tags": tags})
    }
}

/// Keys that begin with `aws:` are the service's own.
fn refuse_system_key(key: &str) -> Result<(), Refusal> {
    if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
        return Err(Refusal::invalid("Caller is an end user and not allowed to mutate system tags"));
    }
    Ok(())
}
