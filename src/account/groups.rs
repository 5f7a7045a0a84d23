//! Groups: names for filter expressions.

use super::tags::Tags;
use super::{Answer, Settings, model, unique_text};
use crate::query::filter::Expression;
use crate::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most groups of an account, `Default` included (X-Ray developer guide, "Configuring groups").
pub const GROUPS_MAX: usize = 25;
/// Letters at the end of a group's ARN.
const UNIQUE_LENGTH: usize = 52;
/// The group that every account has, and every trace is in.
const DEFAULT: &str = "Default";
const NOT_FOUND: &str = "Group not found";

/// All groups.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Groups {
    default: Group,
    others: BTreeMap<String, Group>,
}

/// One group.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    /// As its maker wrote it. `Default` has none.
    filter: Option<String>,
    /// End of the ARN, so that a group made again is not taken for the one of that name before. `Default` has none.
    unique: Option<String>,
    insights_enabled: bool,
    notifications_enabled: bool,
    tags: Tags,
    #[serde(skip)]
    expression: Option<Arc<Expression>>,
}

/// What every trace matches: there is no condition.
pub(super) fn everything() -> Expression {
    Expression::And(Vec::new())
}

impl Group {
    pub(super) fn expression(&self) -> Arc<Expression> {
        self.expression.clone().unwrap_or_else(|| Arc::new(everything()))
    }

    fn set_filter(&mut self, filter: &str) -> Result<(), Refusal> {
        self.expression = Some(Arc::new(parse(filter)?));
        self.filter = Some(filter.to_owned());
        Ok(())
    }

    fn set_insights(&mut self, body: &Value) {
        let Some(wanted) = body.get("InsightsConfiguration") else { return };
        let set = |name: &str, flag: &mut bool| {
            *flag = wanted.get(name).and_then(Value::as_bool).unwrap_or(*flag);
        };
        set("InsightsEnabled", &mut self.insights_enabled);
        set("NotificationsEnabled", &mut self.notifications_enabled);
    }

    fn arn(&self, settings: &Settings, name: &str) -> String {
        match &self.unique {
            Some(unique) => settings.arn(&format!("group/{name}/{unique}")),
            None => settings.arn(&format!("group/{name}")),
        }
    }

    /// As answers show it. Clients read both flags without looking whether they are there.
    fn show(&self, settings: &Settings, name: &str) -> Value {
        json!({
            "FilterExpression": self.filter,
            "GroupARN": self.arn(settings, name),
            "GroupName": name,
            "InsightsConfiguration": {
                "InsightsEnabled": self.insights_enabled,
                "NotificationsEnabled": self.notifications_enabled,
            },
        })
    }
}

impl Groups {
    /// Reads the filters of groups that come from JSON. One that cannot be read any more matches nothing.
    pub(super) fn compile(&mut self) {
        self.others.remove(DEFAULT);
        for group in self.others.values_mut() {
            let filter = group.filter.as_deref().unwrap_or_default();
            group.expression = Some(Arc::new(parse(filter).unwrap_or(Expression::Or(Vec::new()))));
        }
    }

    /// The group of this name.
    pub(super) fn by_name(&self, wanted: &str) -> Option<(&str, &Group)> {
        self.iter().find(|(name, _)| *name == wanted)
    }

    /// The group with this ARN.
    pub(super) fn by_arn(&self, settings: &Settings, arn: &str) -> Option<(&str, &Group)> {
        self.iter().find(|(name, group)| group.arn(settings, name) == arn)
    }

    /// The group that a request names, in one of two ways. None when there is no such group.
    pub(super) fn named(&self, settings: &Settings, body: &Value) -> Result<Option<(&str, &Group)>, Refusal> {
        match (model::text(body, "GroupName"), model::text(body, "GroupARN")) {
            (Some(name), None) => Ok(self.by_name(name)),
            (None, Some(arn)) => Ok(self.by_arn(settings, arn)),
            _ => Err(Refusal::invalid("Provide either GroupName or GroupARN")),
        }
    }

    fn existing(&self, settings: &Settings, body: &Value) -> Result<(&str, &Group), Refusal> {
        self.named(settings, body)?.ok_or_else(|| Refusal::invalid(NOT_FOUND))
    }

    /// `Default` first, the others by name.
    fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        let others = self.others.iter().map(|(name, group)| (name.as_str(), group));
        std::iter::once((DEFAULT, &self.default)).chain(others)
    }

    fn group_mut(&mut self, name: &str) -> Option<&mut Group> {
        if name == DEFAULT { Some(&mut self.default) } else { self.others.get_mut(name) }
    }

    pub(super) fn tags(&self, settings: &Settings, arn: &str) -> Option<&Tags> {
        self.by_arn(settings, arn).map(|(_, group)| &group.tags)
    }

    pub(super) fn tags_mut(&mut self, settings: &Settings, arn: &str) -> Option<&mut Tags> {
        let name = self.by_arn(settings, arn)?.0.to_owned();
        self.group_mut(&name).map(|group| &mut group.tags)
    }

    pub(super) fn get(&self, settings: &Settings, body: &Value) -> Answer {
        let (name, group) = self.existing(settings, body)?;
        Ok(json!({"Group": group.show(settings, name)}))
    }

    pub(super) fn list(&self, settings: &Settings, body: &Value) -> Answer {
        if model::text(body, "NextToken").is_some() {
            return Err(Refusal::invalid("Next Token not supported"));
        }
        let groups: Vec<Value> = self.iter().map(|(name, group)| group.show(settings, name)).collect();
        Ok(json!({"Groups": groups, "NextToken": null}))
    }

    pub(super) fn create(
        &mut self,
        settings: &Settings,
        body: &Value,
        random: &mut dyn FnMut() -> u64,
    ) -> Answer {
        let name = model::text(body, "GroupName").unwrap_or_default();
        let mut group = Group { tags: Tags::of_request(body)?, ..Group::default() };
        group.set_filter(model::text(body, "FilterExpression").unwrap_or_default())?;
        group.set_insights(body);
        // The guide names the letters; what the service says of others is not known.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(Refusal::invalid("Group name can only contain letters, numbers and hyphens"));
        }
        if self.iter().any(|(existing, _)| existing == name) {
            return Err(Refusal::invalid(format!("{name} already exists")));
        }
        if self.iter().count() >= GROUPS_MAX {
            return Err(Refusal::invalid(format!("An account cannot have more than {GROUPS_MAX} groups")));
        }
        group.unique = Some(unique_text(UNIQUE_LENGTH, random));
        let shown = group.show(settings, name);
        self.others.insert(name.to_owned(), group);
        Ok(json!({"Group": shown}))
    }

    pub(super) fn update(&mut self, settings: &Settings, body: &Value) -> Answer {
        let name = self.existing(settings, body)?.0.to_owned();
        let filter = model::text(body, "FilterExpression");
        let group = self.group_mut(&name).ok_or_else(|| Refusal::invalid(NOT_FOUND))?;
        match filter {
            // Insights of all traces can be switched, but there is no filter to change.
            None if name == DEFAULT => {}
            Some(_) if name == DEFAULT => {
                return Err(Refusal::invalid("The default group cannot have a filter expression"));
            }
            filter => group.set_filter(filter.unwrap_or_default())?,
        }
        group.set_insights(body);
        Ok(json!({"Group": group.show(settings, &name)}))
    }

    pub(super) fn delete(&mut self, settings: &Settings, body: &Value) -> Answer {
        let name = self.existing(settings, body)?.0.to_owned();
        if self.others.remove(&name).is_none() {
            return Err(Refusal::invalid("The default group cannot be deleted"));
        }
        Ok(json!({}))
    }
}

fn parse(filter: &str) -> Result<Expression, Refusal> {
    if filter.trim().is_empty() {
        return Err(Refusal::invalid("Filter Expression is empty"));
    }
    Expression::parse(filter).map_err(|error| Refusal::invalid(error.to_string()))
}
