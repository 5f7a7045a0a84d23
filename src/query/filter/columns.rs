//! What has to be read to tell whether a trace matches.

use super::super::source::Columns;
use super::evaluate::Groups;
use super::{Condition, Expression, Flag, GroupBy, Measure, Selector, Test, Text, Value};
use std::sync::Arc;

impl Expression {
    /// The columns that are read for it and for the groups it names.
    pub fn columns(&self, groups: &dyn Groups) -> Columns {
        let mut columns = Columns::NONE;
        self.each_with_groups(groups, &mut |condition| columns = columns.and(columns_of(condition)));
        columns
    }

    /// Whether it, or a group it names, asks for root causes, which only whole documents tell.
    pub fn needs_causes(&self, groups: &dyn Groups) -> bool {
        let mut needs = false;
        self.each_with_groups(groups, &mut |condition| {
            needs |= matches!(condition, Condition::RootCause(..) | Condition::RootCauseJson(..));
        });
        needs
    }

    /// Whether it names groups.
    pub fn uses_groups(&self) -> bool {
        let mut uses = false;
        self.each(&mut |condition| uses |= matches!(condition, Condition::Group(..)));
        uses
    }

    /// Every condition on the trace and its rows, also in braces. What is asked of a root cause is not among them.
    fn each(&self, visit: &mut dyn FnMut(&Condition)) {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.each(visit)),
            Self::Not(inner) => inner.each(visit),
            Self::Condition(condition) => {
                visit(condition);
                if let Condition::Service(_, Some(inner)) | Condition::Edge(_, _, Some(inner)) = condition {
                    inner.each(visit);
                }
            }
        }
    }

    /// Every condition in it and in the groups it names, each group once.
    fn each_with_groups(&self, groups: &dyn Groups, visit: &mut dyn FnMut(&Condition)) {
        let mut met: Vec<(GroupBy, String)> = Vec::new();
        let mut waiting: Vec<Arc<Self>> = Vec::new();
        let mut one = |expression: &Self, waiting: &mut Vec<Arc<Self>>| {
            expression.each(&mut |condition| {
                visit(condition);
                if let Condition::Group(by, Test::Compare(_, Value::Text(value))) = condition
                    && !met.iter().any(|(known, name)| known == by && name == value)
                {
                    met.push((*by, value.clone()));
                    waiting.extend(groups.expression(*by, value));
                }
            });
        };
        one(self, &mut waiting);
        while let Some(expression) = waiting.pop() {
            one(&expression, &mut waiting);
        }
    }
}

/// What puts a trace together: parents are named by ids, and those of subsegments are in these columns.
const SHAPE: Columns = Columns::CALLS.and(Columns::LOCALS);

fn columns_of(condition: &Condition) -> Columns {
    match condition {
        Condition::Flag(Flag::Partial | Flag::Inferred, _) => SHAPE,
        Condition::Measure(Measure::HttpStatus, _) => Columns::STATUS,
        Condition::Text(text, _) => columns_of_text(*text),
        Condition::Annotation(..) => Columns::ANNOTATIONS,
        Condition::Service(selector, _) => SHAPE.and(columns_of_selector(selector)),
        Condition::Edge(from, to, _) => SHAPE.and(columns_of_selector(from)).and(columns_of_selector(to)),
        Condition::Flag(..)
        | Condition::Measure(..)
        | Condition::Group(..)
        | Condition::RootCause(..)
        | Condition::RootCauseJson(..) => Columns::NONE,
    }
}

fn columns_of_selector(selector: &Selector) -> Columns {
    let account = if selector.account_id.is_some() { Columns::ACCOUNT } else { Columns::NONE };
    Columns::NAME.and(account)
}

fn columns_of_text(text: Text) -> Columns {
    match text {
        Text::HttpUrl | Text::HttpMethod | Text::HttpUserAgent | Text::HttpClientIp => Columns::HTTP,
        Text::User => Columns::USER,
        Text::AvailabilityZone | Text::InstanceId | Text::ResourceArn => Columns::RESOURCE,
        Text::Name | Text::Type => Columns::NAME,
        Text::AccountId => Columns::ACCOUNT,
        Text::Message => Columns::NONE,
    }
}
