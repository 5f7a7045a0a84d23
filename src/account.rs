//! What X-Ray keeps for an account beside traces: groups, sampling rules, tags, policies and a few switches.
//!
//! An [`Account`] answers every operation that needs no documents. It is a plain value: time and random numbers are
//! given to it, and it is kept as JSON by whoever owns it.

mod configuration;
mod groups;
pub mod model;
mod policies;
mod retrieval;
mod rules;
mod summaries;
mod tags;
mod targets;

pub use groups::GROUPS_MAX;
pub use policies::{POLICIES_MAX, POLICY_MAX_BYTES};
pub use retrieval::Retrieval;
pub use rules::RULES_MAX;

use crate::query::filter::{Expression, GroupBy};
use crate::refusal::Refusal;
use configuration::Configuration;
use groups::Groups;
use model::Operation;
use policies::Policies;
use retrieval::Retrievals;
use rules::Rules;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tags::Tags;
use targets::Reports;

/// Version of the JSON that [`Account::to_json`] writes.
const FORMAT_VERSION: u32 = 1;

/// What an account is told by whoever runs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Part of every ARN.
    pub region: String,
    /// Part of every ARN.
    pub account_id: String,
    /// Fixed rate of the rule `Default`, between 0 and 1. When another one is given than before, it replaces what
    /// was set by an update of the rule.
    pub sampling_rate: f64,
}

/// Why a kept account cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is not what [`Account::to_json`] writes.
    #[error("the account's state cannot be read: {0}; move it away to begin with an empty account")]
    Broken(#[from] serde_json::Error),
    /// A later version of this program wrote it.
    #[error(
        "the account's state has format version {found}, and only versions up to {known} can be read; \
         use the newer program that wrote it, or move it away to begin with an empty account"
    )]
    TooNew {
        /// The version it has.
        found: u32,
        /// The last version that is known here.
        known: u32,
    },
}

/// What an operation answers.
type Answer = Result<Value, Refusal>;

/// All that is kept for one account.
#[derive(Debug)]
pub struct Account {
    settings: Settings,
    state: State,
    /// What samplers reported lately. Not kept: they report again within seconds.
    reports: Reports,
    is_unsaved: bool,
}

/// What outlives the program.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    version: u32,
    /// The setting when the account was last used; a change of it is a change of the rule `Default`.
    sampling_rate: f64,
    groups: Groups,
    rules: Rules,
    policies: Policies,
    configuration: Configuration,
    retrievals: Retrievals,
}

/// The version alone, so that a later format is recognised whatever else has changed in it.
#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    version: u32,
}

impl Account {
    /// An account in which nothing was ever done. `now` is in seconds since 1970, here as everywhere.
    pub fn new(settings: Settings, now: f64) -> Self {
        let state = State {
            version: FORMAT_VERSION,
            sampling_rate: settings.sampling_rate,
            rules: Rules::new(settings.sampling_rate, now),
            configuration: Configuration::new(now),
            ..State::default()
        };
        Self { settings, state, reports: Reports::default(), is_unsaved: false }
    }

    /// An account as [`to_json`](Self::to_json) wrote it. What is missing in it is as in a new account.
    ///
    /// # Errors
    /// When it is not what `to_json` writes, or when a later version of this program wrote it.
    pub fn load(json: &[u8], settings: Settings, now: f64) -> Result<Self, LoadError> {
        let found = serde_json::from_slice::<Version>(json)?.version;
        if found > FORMAT_VERSION {
            return Err(LoadError::TooNew { found, known: FORMAT_VERSION });
        }
        let mut state: State = serde_json::from_slice(json)?;
        state.version = FORMAT_VERSION;
        state.groups.compile();
        let mut account = Self { settings, state, reports: Reports::default(), is_unsaved: false };
        account.heed_sampling_rate(now);
        Ok(account)
    }

    /// A sampling rate other than at the last start is meant to have an effect now.
    #[expect(clippy::float_cmp, reason = "whether the same number was given")]
    fn heed_sampling_rate(&mut self, now: f64) {
        let rate = self.settings.sampling_rate;
        if self.state.sampling_rate != rate {
            self.state.sampling_rate = rate;
            self.state.rules.set_default_rate(rate, now);
            self.is_unsaved = true;
        }
    }

    /// What is to be kept of the account.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.state).expect("maps with text keys, and numbers, can be written as JSON")
    }

    /// Whether something changed since [`set_saved`](Self::set_saved).
    pub fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// What [`to_json`](Self::to_json) gave is kept now; or it was said to be, and is not after all.
    pub fn set_saved(&mut self, is_saved: bool) {
        self.is_unsaved = !is_saved;
    }

    /// The filter of a group; that of `Default` matches everything. None when there is no such group.
    pub fn expression(&self, by: GroupBy, value: &str) -> Option<Arc<Expression>> {
        let found = match by {
            GroupBy::Name => self.state.groups.by_name(value),
            GroupBy::Arn => self.state.groups.by_arn(&self.settings, value),
        };
        found.map(|(_, group)| group.expression())
    }

    /// The filter of the group that a query names by `GroupName` or `GroupARN`, or of `Default` when it names none.
    ///
    /// Whether a trace belongs to a group is found out when it is asked for, with the filter the group has then. X-Ray
    /// decides when a trace comes in and remembers; its `ContainsOldGroupVersions` is always false here.
    ///
    /// # Errors
    /// When there is no such group, or when it is named twice.
    pub fn expression_for(&self, body: &Value) -> Result<Arc<Expression>, Refusal> {
        let names = ["GroupName", "GroupARN"].map(|name| model::text(body, name));
        if names == [None, None] {
            return Ok(Arc::new(groups::everything()));
        }
        // Recorded: graph operations end the sentence with a full stop, those on groups do not.
        let found = self.state.groups.named(&self.settings, body)?;
        found.map(|(_, group)| group.expression()).ok_or_else(|| Refusal::invalid("Group not found."))
    }

    /// The traces that a retrieval is about.
    ///
    /// # Errors
    /// `ResourceNotFoundException` for a token that was never given, or long ago.
    pub fn retrieval(&self, token: &str) -> Result<&Retrieval, Refusal> {
        self.state.retrievals.find(token)
    }

    /// Does an operation whose `body` has passed [`model::check`]. None when it is one that needs documents.
    /// `random` gives numbers that nobody can guess: they become part of ARNs and tokens.
    pub fn call(
        &mut self,
        operation: &Operation,
        body: &Value,
        now: f64,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Result<Value, Refusal>> {
        if let Some(answer) = self.read(operation.name, body, now) {
            return Some(answer);
        }
        let answer = self.write(operation.name, body, now, random)?;
        self.is_unsaved |= answer.is_ok();
        Some(answer)
    }

    /// Operations that leave everything that is kept as it is.
    fn read(&mut self, operation: &str, body: &Value, now: f64) -> Option<Answer> {
        let (settings, state) = (&self.settings, &self.state);
        Some(match operation {
            "GetGroup" => state.groups.get(settings, body),
            "GetGroups" => state.groups.list(settings, body),
            // Recorded: a NextToken means nothing here, and none is ever given, since SDKs follow none.
            "GetSamplingRules" => Ok(state.rules.list(settings)),
            "GetSamplingTargets" => Ok(self.reports.take(&state.rules, body, now)),
            "GetSamplingStatisticSummaries" => Ok(self.reports.summaries(now)),
            "ListTagsForResource" => self.tags(body).map(Tags::list),
            "ListResourcePolicies" => Ok(state.policies.list()),
            "GetEncryptionConfig" => Ok(state.configuration.encryption()),
            "GetTraceSegmentDestination" => Ok(state.configuration.destination()),
            "GetIndexingRules" => Ok(state.configuration.indexing_rules()),
            "GetInsightSummaries" => {
                self.expression_for(body).map(|_| json!({"InsightSummaries": [], "NextToken": null}))
            }
            // There are no insights, so none has any id.
            "GetInsight" | "GetInsightEvents" | "GetInsightImpactGraph" => {
                Err(Refusal::invalid("Insight not found"))
            }
            "PutTelemetryRecords" => Ok(json!({})),
            _ => return None,
        })
    }

    /// Operations that change what is kept, unless they refuse.
    fn write(
        &mut self,
        operation: &str,
        body: &Value,
        now: f64,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Answer> {
        let (settings, state) = (&self.settings, &mut self.state);
        Some(match operation {
            "CreateGroup" => state.groups.create(settings, body, random),
            "UpdateGroup" => state.groups.update(settings, body),
            "DeleteGroup" => state.groups.delete(settings, body),
            "CreateSamplingRule" => state.rules.create(settings, body, now),
            "UpdateSamplingRule" => state.rules.update(settings, body, now),
            "DeleteSamplingRule" => state.rules.delete(settings, body, now),
            "TagResource" => self.tags_mut(body).and_then(|tags| tags.add(model::list(body, "Tags"))),
            "UntagResource" => self.tags_mut(body).and_then(|tags| tags.remove(model::list(body, "TagKeys"))),
            "PutResourcePolicy" => state.policies.put(body, now),
            "DeleteResourcePolicy" => state.policies.delete(body),
            "PutEncryptionConfig" => state.configuration.set_encryption(body),
            "UpdateTraceSegmentDestination" => Ok(state.configuration.set_destination(body)),
            "UpdateIndexingRule" => state.configuration.update_indexing_rule(body, now),
            "StartTraceRetrieval" => state.retrievals.start(body, now, random),
            "CancelTraceRetrieval" => state.retrievals.cancel(body),
            _ => return None,
        })
    }

    /// The tags of the resource that a request names.
    fn tags(&self, body: &Value) -> Result<&Tags, Refusal> {
        let arn = model::text(body, "ResourceARN").unwrap_or_default();
        let (settings, state) = (&self.settings, &self.state);
        let tags = state.groups.tags(settings, arn).or_else(|| state.rules.tags(settings, arn));
        tags.ok_or_else(|| Refusal::not_found(arn))
    }

    fn tags_mut(&mut self, body: &Value) -> Result<&mut Tags, Refusal> {
        let arn = model::text(body, "ResourceARN").unwrap_or_default();
        let (settings, state) = (&self.settings, &mut self.state);
        let tags = match state.groups.tags_mut(settings, arn) {
            None => state.rules.tags_mut(settings, arn),
            tags => tags,
        };
        tags.ok_or_else(|| Refusal::not_found(arn))
    }
}

impl Settings {
    /// The ARN of something X-Ray keeps: `group/Default`.
    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:xray:{}:{}:{resource}", self.region, self.account_id)
    }
}

/// Text that nobody can guess, of the letters that X-Ray uses in ARNs: A to Z and 2 to 7.
fn unique_text(length: usize, random: &mut dyn FnMut() -> u64) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    /// A number has 64 bits, a letter 5.
    const LETTERS_A_NUMBER: usize = 12;
    let mut number = 0;
    let letter = |index: usize| {
        if index.is_multiple_of(LETTERS_A_NUMBER) {
            number = random();
        }
        let letter = LETTERS[(number & 31) as usize];
        number >>= 5;
        char::from(letter)
    };
    (0..length).map(letter).collect()
}

#[cfg(test)]
mod tests;
