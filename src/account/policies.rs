//! Resource policies. They are kept and given back; nobody is kept out by them.

use super::{Answer, model};
use crate::refusal::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most resource policies of an account (API reference, `PutResourcePolicy`).
pub const POLICIES_MAX: usize = 5;
/// Longest policy document (API reference, `PutResourcePolicy`).
pub const POLICY_MAX_BYTES: usize = 5 * 1024;

/// All resource policies, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Policies(BTreeMap<String, Policy>);

/// One resource policy.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Policy {
    document: String,
    /// From 1, one more with each change.
    revision: u64,
    updated_at: f64,
}

impl Policy {
    fn show(&self, name: &str) -> Value {
        json!({
            "LastUpdatedTime": self.updated_at,
            "PolicyDocument": self.document,
            "PolicyName": name,
            "PolicyRevisionId": self.revision.to_string(),
        })
    }
}

impl Policies {
    pub(super) fn list(&self) -> Value {
        let policies: Vec<Value> = self.0.iter().map(|(name, policy)| policy.show(name)).collect();
        json!({"NextToken": null, "ResourcePolicies": policies})
    }

    /// Makes or replaces a policy. With a revision, only when that is the one it has; 0 is that of none.
    pub(super) fn put(&mut self, body: &Value, now: f64) -> Answer {
        let name = model::text(body, "PolicyName").unwrap_or_default();
        let document = model::text(body, "PolicyDocument").unwrap_or_default();
        refuse_document(document)?;
        let found = self.0.get(name).map(|policy| policy.revision);
        let wanted = model::text(body, "PolicyRevisionId");
        if wanted.is_some_and(|wanted| wanted != found.unwrap_or(0).to_string()) {
            return Err(Refusal::new(
                Code::InvalidPolicyRevisionId,
                format!("Another concurrent request has modified the resource policy {name}"),
            ));
        }
        if found.is_none() && self.0.len() >= POLICIES_MAX {
            let text = format!("An account cannot have more than {POLICIES_MAX} resource policies");
            return Err(Refusal::new(Code::PolicyCountLimitExceeded, text));
        }
        let policy = Policy {
            document: document.to_owned(),
            revision: found.unwrap_or(0).saturating_add(1),
            updated_at: now.floor(),
        };
        let shown = policy.show(name);
        self.0.insert(name.to_owned(), policy);
        Ok(json!({"ResourcePolicy": shown}))
    }

    pub(super) fn delete(&mut self, body: &Value) -> Answer {
        let name = model::text(body, "PolicyName").unwrap_or_default();
        let found = self.0.get(name).map(|policy| policy.revision.to_string());
        let wanted = model::text(body, "PolicyRevisionId");
        if wanted.is_some() && wanted != found.as_deref() {
            return Err(Refusal::new(
                Code::InvalidPolicyRevisionId,
                format!("Another concurrent request has modified or deleted the resource policy {name}"),
            ));
        }
        if self.0.remove(name).is_none() {
            return Err(Refusal::invalid(format!("The resource policy {name} does not exist.")));
        }
        Ok(json!({}))
    }
}

/// A policy is an object with statements, and not too long. What the service says of others is not known.
fn refuse_document(document: &str) -> Result<(), Refusal> {
    if document.len() > POLICY_MAX_BYTES {
        let text = format!("A resource policy cannot be longer than {POLICY_MAX_BYTES} bytes");
        return Err(Refusal::new(Code::PolicySizeLimitExceeded, text));
    }
    let refuse = |why: String| Err(Refusal::new(Code::MalformedPolicyDocument, why));
    match serde_json::from_str::<Value>(document) {
        Err(error) => refuse(format!("The policy document is not JSON: {error}")),
        Ok(Value::Object(policy)) if policy.contains_key("Statement") => Ok(()),
        Ok(_) => refuse("The policy document has no Statement".into()),
    }
}
