//! Sampling rules: which requests are traced, as every SDK asks for it.

use super::tags::Tags;
use super::{Answer, Settings, model};
use crate::refusal::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Most rules of an account, `Default` not counted (recorded answers, X-Ray developer guide).
pub const RULES_MAX: usize = 25;
/// The rule that matches whatever no other rule matches.
pub(super) const DEFAULT: &str = "Default";
/// Priority of [`DEFAULT`], after all others.
const DEFAULT_PRIORITY: i64 = 10_000;
const DOES_NOT_EXIST: &str = "Sampling rule does not exist";

/// All sampling rules.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Rules {
    default: Rule,
    others: BTreeMap<String, Rule>,
    /// When one of them was last made, changed or deleted. SDKs fetch all rules again when it moves.
    pub(super) changed_at: f64,
}

/// One sampling rule. Made of nothing, it is the rule `Default`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Rule {
    resource_arn: String,
    priority: i64,
    pub(super) fixed_rate: f64,
    reservoir_size: i64,
    service_name: String,
    service_type: String,
    host: String,
    http_method: String,
    url_path: String,
    attributes: BTreeMap<String, String>,
    pub(super) boost: Option<Boost>,
    created_at: f64,
    modified_at: f64,
    tags: Tags,
}

/// How far, and how often, the rate may be raised for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Boost {
    pub(super) rate_max: f64,
    pub(super) cooldown_minutes: i64,
}

impl Default for Rule {
    fn default() -> Self {
        let any = || "*".to_owned();
        Self {
            resource_arn: any(),
            priority: DEFAULT_PRIORITY,
            fixed_rate: 1.0,
            reservoir_size: 1,
            service_name: any(),
            service_type: any(),
            host: any(),
            http_method: any(),
            url_path: any(),
            attributes: BTreeMap::new(),
            boost: None,
            created_at: 0.0,
            modified_at: 0.0,
            tags: Tags::default(),
        }
    }
}

impl Rule {
    /// Requests a second that are traced before the rate applies.
    pub(super) fn reservoir(&self) -> u64 {
        u64::try_from(self.reservoir_size).unwrap_or(0)
    }

    /// Takes over what a request says. A boost that it leaves out is gone (recorded), all else stays.
    fn apply(&mut self, members: &Value) {
        for (name, field) in [
            ("ResourceARN", &mut self.resource_arn),
            ("ServiceName", &mut self.service_name),
            ("ServiceType", &mut self.service_type),
            ("Host", &mut self.host),
            ("HTTPMethod", &mut self.http_method),
            ("URLPath", &mut self.url_path),
        ] {
            if let Some(text) = model::text(members, name) {
                text.clone_into(field);
            }
        }
        self.priority = model::integer(members, "Priority").unwrap_or(self.priority);
        self.fixed_rate = model::number(members, "FixedRate").unwrap_or(self.fixed_rate);
        self.reservoir_size = model::integer(members, "ReservoirSize").unwrap_or(self.reservoir_size);
        if let Some(attributes) = members.get("Attributes").and_then(Value::as_object) {
            let texts = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
            self.attributes = attributes.iter().filter_map(texts).collect();
        }
        self.boost = members.get("SamplingRateBoost").filter(|boost| boost.is_object()).map(|boost| Boost {
            rate_max: model::number(boost, "MaxRate").unwrap_or_default(),
            cooldown_minutes: model::integer(boost, "CooldownWindowMinutes").unwrap_or_default(),
        });
    }

    /// Whether its numbers are what the service takes and SDKs can read: integers of 32 bits.
    fn is_valid(&self) -> bool {
        (1..DEFAULT_PRIORITY).contains(&self.priority) && self.has_valid_numbers()
    }

    fn has_valid_numbers(&self) -> bool {
        let fits = |number: i64| i32::try_from(number).is_ok_and(|number| number >= 0);
        let rate = 0.0..=1.0;
        // Recorded: a boost without a cooldown is not taken; one below the fixed rate is.
        let boost_is_valid = |boost: Boost| {
            rate.contains(&boost.rate_max) && boost.cooldown_minutes >= 1 && fits(boost.cooldown_minutes)
        };
        rate.contains(&self.fixed_rate) && fits(self.reservoir_size) && self.boost.is_none_or(boost_is_valid)
    }

    /// Whether it is still the rule `Default`, of which the rate and the reservoir can be changed.
    fn is_default(&self) -> bool {
        let untouched = Self {
            fixed_rate: self.fixed_rate,
            reservoir_size: self.reservoir_size,
            created_at: self.created_at,
            modified_at: self.modified_at,
            tags: self.tags.clone(),
            ..Self::default()
        };
        *self == untouched && self.has_valid_numbers()
    }

    /// A `SamplingRuleRecord`. SDKs refuse rules that lack a member, or whose whole numbers have a point; only the
    /// boost is left out when there is none, as in recorded answers.
    fn show(&self, settings: &Settings, name: &str) -> Value {
        let mut rule = json!({
            "Attributes": self.attributes,
            "FixedRate": self.fixed_rate,
            "HTTPMethod": self.http_method,
            "Host": self.host,
            "Priority": self.priority,
            "ReservoirSize": self.reservoir_size,
            "ResourceARN": self.resource_arn,
            "RuleARN": arn(settings, name),
            "RuleName": name,
            "ServiceName": self.service_name,
            "ServiceType": self.service_type,
            "URLPath": self.url_path,
            "Version": 1,
        });
        if let Some(boost) = self.boost {
            rule["SamplingRateBoost"] =
                json!({"CooldownWindowMinutes": boost.cooldown_minutes, "MaxRate": boost.rate_max});
        }
        json!({"CreatedAt": self.created_at, "ModifiedAt": self.modified_at, "SamplingRule": rule})
    }

    fn answer(&self, settings: &Settings, name: &str) -> Value {
        json!({"SamplingRuleRecord": self.show(settings, name)})
    }
}

impl Rules {
    pub(super) fn new(default_rate: f64, now: f64) -> Self {
        let default = Rule { fixed_rate: default_rate, ..Rule::default() };
        Self { default, others: BTreeMap::new(), changed_at: now.floor() }
    }

    pub(super) fn set_default_rate(&mut self, rate: f64, now: f64) {
        self.default.fixed_rate = rate;
        self.changed_at = now.floor();
    }

    /// By name, `Default` last.
    fn iter(&self) -> impl Iterator<Item = (&str, &Rule)> {
        let others = self.others.iter().filter(|(name, _)| *name != DEFAULT);
        others.map(|(name, rule)| (name.as_str(), rule)).chain(std::iter::once((DEFAULT, &self.default)))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Rule> {
        if name == DEFAULT { Some(&self.default) } else { self.others.get(name) }
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Rule> {
        if name == DEFAULT { Some(&mut self.default) } else { self.others.get_mut(name) }
    }

    pub(super) fn tags(&self, settings: &Settings, arn: &str) -> Option<&Tags> {
        self.get(name_in(settings, arn)?).map(|rule| &rule.tags)
    }

    pub(super) fn tags_mut(&mut self, settings: &Settings, arn: &str) -> Option<&mut Tags> {
        self.get_mut(name_in(settings, arn)?).map(|rule| &mut rule.tags)
    }

    pub(super) fn list(&self, settings: &Settings) -> Value {
        let records: Vec<Value> = self.iter().map(|(name, rule)| rule.show(settings, name)).collect();
        json!({"NextToken": null, "SamplingRuleRecords": records})
    }

    pub(super) fn create(&mut self, settings: &Settings, body: &Value, now: f64) -> Answer {
        let none = Value::Object(Map::new());
        let members = body.get("SamplingRule").unwrap_or(&none);
        let name = named(settings, members)?.ok_or_else(|| Refusal::invalid("Invalid sampling rule ARN"))?;
        if model::integer(members, "Version") != Some(1) {
            return Err(Refusal::invalid("Sampling rule version must be 1"));
        }
        let now = now.floor();
        let tags = Tags::of_request(body)?;
        let mut rule = Rule { created_at: now, modified_at: now, tags, ..Rule::default() };
        rule.apply(members);
        if !rule.is_valid() || !(1..=32).contains(&name.chars().count()) {
            return Err(Refusal::invalid("Invalid sampling rule"));
        }
        if self.get(name).is_some() {
            return Err(Refusal::invalid("Sampling rule already exists"));
        }
        if self.others.len() >= RULES_MAX {
            let text = format!("An account cannot have more than {RULES_MAX} sampling rules");
            return Err(Refusal::new(Code::RuleLimitExceeded, text));
        }
        let answer = rule.answer(settings, name);
        self.others.insert(name.to_owned(), rule);
        self.changed_at = now;
        Ok(answer)
    }

    pub(super) fn update(&mut self, settings: &Settings, body: &Value, now: f64) -> Answer {
        let none = Value::Object(Map::new());
        let members = body.get("SamplingRuleUpdate").unwrap_or(&none);
        let name = named(settings, members)?.unwrap_or_default();
        let rule = self.get_mut(name).ok_or_else(|| Refusal::invalid(DOES_NOT_EXIST))?;
        let mut updated = rule.clone();
        updated.apply(members);
        let is_valid = if name == DEFAULT { updated.is_default() } else { updated.is_valid() };
        if !is_valid {
            return Err(Refusal::invalid("Invalid update request for sampling rule"));
        }
        // Recorded: an update that changes nothing is an update all the same.
        updated.modified_at = now.floor();
        *rule = updated;
        let answer = rule.answer(settings, name);
        self.changed_at = now.floor();
        Ok(answer)
    }

    pub(super) fn delete(&mut self, settings: &Settings, body: &Value, now: f64) -> Answer {
        let name = named(settings, body)?.unwrap_or_default();
        if name == DEFAULT {
            return Err(Refusal::invalid("The default sampling rule cannot be deleted"));
        }
        let rule = self.others.remove(name).ok_or_else(|| Refusal::invalid(DOES_NOT_EXIST))?;
        self.changed_at = now.floor();
        Ok(rule.answer(settings, name))
    }
}

/// The name of the rule that a request is about. None when it names an ARN that is no rule's.
fn named<'a>(settings: &Settings, members: &'a Value) -> Result<Option<&'a str>, Refusal> {
    match (model::text(members, "RuleName"), model::text(members, "RuleARN")) {
        (Some(name), None) => Ok(Some(name)),
        (None, Some(arn)) => Ok(name_in(settings, arn)),
        // Recorded: also when they agree.
        (Some(_), Some(_)) => {
            Err(Refusal::invalid("Request cannot contain both sampling rule name and sampling rule ARN"))
        }
        (None, None) => {
            Err(Refusal::invalid("Request must contain either sampling rule name or sampling rule ARN"))
        }
    }
}

fn arn(settings: &Settings, name: &str) -> String {
    settings.arn(&format!("sampling-rule/{name}"))
}

/// The name in a rule's ARN, whether there is such a rule or not.
fn name_in<'a>(settings: &Settings, of_rule: &'a str) -> Option<&'a str> {
    of_rule.strip_prefix(arn(settings, "").as_str())
}
