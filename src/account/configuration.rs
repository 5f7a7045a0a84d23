//! Switches of an account that change nothing here but what is answered when they are read: encryption, where
//! segments go, how many spans are indexed.

use super::{Answer, model};
use crate::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The only indexing rule.
const INDEXING_RULE: &str = "Default";

/// All switches.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Configuration {
    encryption_type: String,
    encryption_key: Option<String>,
    destination: String,
    indexing_percentage: f64,
    indexing_modified_at: f64,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            encryption_type: "NONE".into(),
            encryption_key: None,
            destination: "XRay".into(),
            indexing_percentage: 1.0,
            indexing_modified_at: 0.0,
        }
    }
}

impl Configuration {
    pub(super) fn new(now: f64) -> Self {
        Self { indexing_modified_at: now.floor(), ..Self::default() }
    }

    pub(super) fn encryption(&self) -> Value {
        json!({"EncryptionConfig": {
            "KeyId": self.encryption_key,
            "Status": "ACTIVE",
            "Type": self.encryption_type,
        }})
    }

    pub(super) fn set_encryption(&mut self, body: &Value) -> Answer {
        let kind = model::text(body, "Type").unwrap_or_default();
        let key = model::text(body, "KeyId").filter(|_| kind == "KMS");
        if kind == "KMS" && key.is_none() {
            return Err(Refusal::invalid("Encryption of type KMS needs a KeyId"));
        }
        kind.clone_into(&mut self.encryption_type);
        self.encryption_key = key.map(str::to_owned);
        Ok(self.encryption())
    }

    /// The service also has a member here that its model does not know.
    pub(super) fn destination(&self) -> Value {
        json!({"CompositeConfiguration": null, "Destination": self.destination, "Status": "ACTIVE"})
    }

    pub(super) fn set_destination(&mut self, body: &Value) -> Value {
        if let Some(destination) = model::text(body, "Destination") {
            destination.clone_into(&mut self.destination);
        }
        self.destination()
    }

    pub(super) fn indexing_rules(&self) -> Value {
        json!({"IndexingRules": [self.indexing_rule()], "NextToken": null})
    }

    fn indexing_rule(&self) -> Value {
        json!({
            "ModifiedAt": self.indexing_modified_at,
            "Name": INDEXING_RULE,
            "Rule": {"Probabilistic": {
                "ActualSamplingPercentage": self.indexing_percentage,
                "DesiredSamplingPercentage": self.indexing_percentage,
            }},
        })
    }

    pub(super) fn update_indexing_rule(&mut self, body: &Value, now: f64) -> Answer {
        let name = model::text(body, "Name").unwrap_or_default();
        if name != INDEXING_RULE {
            return Err(Refusal::not_found(name));
        }
        let rule = body.get("Rule").and_then(|rule| rule.get("Probabilistic"));
        let percentage = rule.and_then(|rule| model::number(rule, "DesiredSamplingPercentage"));
        let Some(percentage) = percentage.filter(|percentage| (0.0..=100.0).contains(percentage)) else {
            return Err(Refusal::invalid("DesiredSamplingPercentage must be between 0 and 100"));
        };
        self.indexing_percentage = percentage;
        self.indexing_modified_at = now.floor();
        Ok(json!({"IndexingRule": self.indexing_rule()}))
    }
}
