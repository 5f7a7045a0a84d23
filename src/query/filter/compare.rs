//! What the operators say of values. A value of another type than the one asked for matches nothing and is no error, as
//! recorded of X-Ray; nor does a value that is not there, whatever the operator.

use super::super::node::cut;
use super::super::row::Outcome;
use super::{Flag, Operator, Selector, Test, Value};

/// What an annotation says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Annotated<'a> {
    Bool(bool),
    Number(f64),
    Text(&'a str),
}

impl Test {
    /// Of a flag. One that is not set is false, so that `ok = false` is `!ok`, as the guide has it.
    pub(super) fn flag(&self, flag: bool) -> bool {
        match self {
            Self::Is => flag,
            Self::Compare(Operator::Equal, Value::Bool(value)) => flag == *value,
            Self::Compare(Operator::NotEqual, Value::Bool(value)) => flag != *value,
            Self::Compare(..) => false,
        }
    }

    pub(super) fn number(&self, number: f64) -> bool {
        match self {
            Self::Is => true,
            Self::Compare(operator, Value::Number(value)) => compare_numbers(*operator, number, *value),
            Self::Compare(..) => false,
        }
    }

    /// Of a text, by its letters as they are: upper and lower case differ.
    pub(super) fn text(&self, text: &str) -> bool {
        match self {
            Self::Is => true,
            Self::Compare(operator, Value::Text(value)) => compare_texts(*operator, text, value),
            Self::Compare(..) => false,
        }
    }

    /// Of one value of an annotation. `annotation.key` alone asks whether it is set; of a boolean it asks for true, as
    /// every boolean word alone does.
    pub(super) fn annotation(&self, annotated: Annotated<'_>) -> bool {
        match annotated {
            Annotated::Bool(value) => self.flag(value),
            Annotated::Number(value) => self.number(value),
            Annotated::Text(value) => self.text(value),
        }
    }
}

#[expect(clippy::float_cmp, reason = "a user who writes = wants the very number")]
fn compare_numbers(operator: Operator, left: f64, right: f64) -> bool {
    match operator {
        Operator::Equal => left == right,
        Operator::NotEqual => left != right,
        Operator::Less => left < right,
        Operator::LessOrEqual => left <= right,
        Operator::Greater => left > right,
        Operator::GreaterOrEqual => left >= right,
        Operator::Contains | Operator::BeginsWith | Operator::EndsWith => false,
    }
}

fn compare_texts(operator: Operator, left: &str, right: &str) -> bool {
    match operator {
        Operator::Equal => left == right,
        Operator::NotEqual => left != right,
        Operator::Contains => left.contains(right),
        Operator::BeginsWith => left.starts_with(right),
        Operator::EndsWith => left.ends_with(right),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => false,
    }
}

/// What a flag says of an outcome. A 429 is no error but a throttle, as recorded of X-Ray.
pub(super) fn went(outcome: Outcome, flag: Flag) -> bool {
    match flag {
        Flag::Ok => outcome.is_ok(),
        Flag::Error => outcome.error && !outcome.throttle,
        Flag::Throttle => outcome.throttle,
        Flag::Fault => outcome.fault,
        Flag::Partial | Flag::Inferred | Flag::Root | Flag::First | Flag::Last | Flag::Remote => false,
    }
}

/// Seconds between two times, rounded to milliseconds: what X-Ray shows, and so what `=` can be asked of. None while
/// there is no end, and for an end before the start.
pub(super) fn seconds(start: f64, end: Option<f64>) -> Option<f64> {
    let seconds = end? - start;
    (seconds >= 0.0).then(|| (seconds * 1000.0).round() / 1000.0)
}

impl Selector {
    /// Type of the node that stands for whoever called the root.
    pub(super) const CLIENT: &str = "client";

    /// Whether a node is meant: the node of a segment, or the one a call leads to when no segment answers it.
    pub fn matches(&self, name: &str, r#type: Option<&str>, account_id: Option<&str>) -> bool {
        self.name.as_deref().is_none_or(|wanted| wanted == name || wanted == cut(name))
            && meets(self.r#type.as_deref(), r#type)
            && meets(self.account_id.as_deref(), account_id)
    }

    /// Whether the client of a trace is meant; the name and the account are those of the root. It bears the name of what
    /// it calls, so it is meant only where its type is asked for: `edge("api", "api")` is about calls `api` makes of
    /// itself, not about everybody who came to it.
    pub fn matches_client(&self, name: &str, account_id: Option<&str>) -> bool {
        self.r#type.is_some() && self.matches(name, Some(Self::CLIENT), account_id)
    }
}

fn meets(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none() || wanted == found
}
