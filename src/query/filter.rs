//! X-Ray's filter expressions: `service("api") { fault } AND annotation.user = "alice"`.
//!
//! The language is that of the X-Ray developer guide ("Use filter expressions"), with what AWS is known to accept beside
//! it: any case of keywords and operators, conditions side by side for AND, `annotation[key]`. A word that is not of the
//! language is an error with its line and position, in the words of AWS; it never means "everything".

mod annotation;
mod causes;
mod columns;
mod compare;
mod element;
mod evaluate;
mod lexer;
mod parser;
mod scope;
mod shape;

pub use evaluate::{Groups, NoGroups, View};
use std::fmt;

/// A whole expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// All of them hold. Two or more.
    And(Vec<Expression>),
    /// One of them holds. Two or more.
    Or(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// A single condition.
    Condition(Condition),
}

/// What is asked of a trace, or of a part of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// `fault`, `ok = false`.
    Flag(Flag, Test),
    /// `duration >= 5`.
    Measure(Measure, Test),
    /// `http.url CONTAINS "/api"`.
    Text(Text, Test),
    /// `annotation.user = "alice"`.
    Annotation(Side, String, Test),
    /// `service("api") { fault }`: the trace has such a service, for which the inner expression holds.
    Service(Selector, Option<Box<Expression>>),
    /// `edge("api", "table") { error }`: the trace has such a call.
    Edge(Selector, Selector, Option<Box<Expression>>),
    /// `group.name = "slow"`.
    Group(GroupBy, Test),
    /// `rootcause.fault.entity { last and name = "query" }`: the root cause has such an element.
    RootCause(Cause, CauseElement, Box<Expression>),
    /// `rootcause.json = #[{ "Services": [ … ] }]`: the root cause contains this shape.
    RootCauseJson(Option<Cause>, serde_json::Value),
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// No operator: a flag is set, a text or an annotation is there.
    Is,
    /// An operator and what stands on its right. A value of another type than the left one matches nothing; it is no
    /// error, as in X-Ray.
    Compare(Operator, Value),
}

/// Between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `CONTAINS`
    Contains,
    /// `BEGINSWITH`
    BeginsWith,
    /// `ENDSWITH`
    EndsWith,
}

/// What a user writes behind an operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `"text"`, or a single word.
    Text(String),
    /// `-1.5e3`
    Number(f64),
    /// `true` or `false`
    Bool(bool),
}

/// Keywords that hold or do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// 2xx
    Ok,
    /// 4xx
    Error,
    /// 429
    Throttle,
    /// 5xx
    Fault,
    /// The trace is not complete.
    Partial,
    /// The element has no segment of its own.
    Inferred,
    /// The service is the entry point.
    Root,
    /// First in a root cause.
    First,
    /// Last in a root cause.
    Last,
    /// The entity of a root cause is a remote one.
    Remote,
}

/// Keywords with a number behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Seconds until the response.
    ResponseTime,
    /// Seconds from the earliest start to the latest end.
    Duration,
    /// Status of the response.
    HttpStatus,
    /// Position in a root cause, from 0.
    Index,
    /// Time of the entity by response time of the root.
    Coverage,
}

/// Keywords with a text behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// `http.url`
    HttpUrl,
    /// `http.method`
    HttpMethod,
    /// `http.useragent`
    HttpUserAgent,
    /// `http.clientip`
    HttpClientIp,
    /// `user`
    User,
    /// `availabilityzone`
    AvailabilityZone,
    /// `instance.id`
    InstanceId,
    /// `resource.arn`
    ResourceArn,
    /// `name`, of a service, an entity or an exception
    Name,
    /// `type`, of a service
    Type,
    /// `account.id`, of a service
    AccountId,
    /// `message`, of an exception
    Message,
}

/// Whose annotation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `annotation.key`
    Any,
    /// `source.annotation.key`, inside an edge
    Source,
    /// `destination.annotation.key`, inside an edge
    Destination,
}

/// Which services are meant. What is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Name of the service.
    pub name: Option<String>,
    /// Type of the service.
    pub r#type: Option<String>,
    /// Account the service runs in.
    pub account_id: Option<String>,
}

/// How a group is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// `group.name`
    Name,
    /// `group.arn`
    Arn,
}

/// What a root cause is the cause of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A 5xx.
    Fault,
    /// A 4xx.
    Error,
    /// The time it took.
    ResponseTime,
}

/// What a root cause consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseElement {
    /// Services on the way to the cause.
    Service,
    /// Segments and subsegments on the way.
    Entity,
    /// Exceptions at its end.
    Exception,
}

/// What is wrong with an expression. Prints as X-Ray says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Error Location: line {line}, position {position} : {reason}")]
pub struct FilterError {
    /// From 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub position: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// This does not belong there.
    Symbol(String),
    /// A parenthesis was not closed.
    MissingParenthesis,
    /// A brace was not closed.
    MissingBrace,
    /// The expression goes on for too long, or too deep.
    TooLarge(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(symbol) => write!(f, "Invalid input symbol: '{symbol}'"),
            Self::MissingParenthesis => f.write_str("missing ')' at end of expression"),
            Self::MissingBrace => f.write_str("missing '}' at end of expression"),
            Self::TooLarge(what) => f.write_str(what),
        }
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first thing in it that is not of the language, and where it is. An empty text is no expression.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parser::parse(text)
    }
}

/// Reads a single service or edge: see [`EntitySelector`](super::selector::EntitySelector).
pub(super) fn parse_entity(text: &str) -> Result<(Selector, Option<Selector>), FilterError> {
    parser::parse_entity(text)
}

#[cfg(test)]
mod tests;
