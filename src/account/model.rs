//! The shapes of X-Ray's operations: where each is asked for, what its request holds, and what is refused before
//! anything is done, in the words of the service's front end.
//!
//! The table is written by hand after the service's public model (version 2016-04-12).

mod check;
mod operations;
mod time;

pub use check::check;
pub use operations::OPERATIONS;

use crate::refusal::{Code, Refusal};
use serde_json::{Map, Value};

/// One of X-Ray's operations.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// `BatchGetTraces`
    pub name: &'static str,
    /// What is posted to: `/Traces`.
    pub path: &'static str,
    /// Members of the request.
    pub input: &'static [Member],
}

/// A member of a structure.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// As it stands in the request.
    pub name: &'static str,
    /// Whether it may be missing.
    pub presence: Presence,
    /// What it holds.
    pub shape: Shape,
}

/// Whether a member may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It may be.
    Optional,
    /// It may not be.
    Required,
    /// X-Ray's model wants it, and some SDKs leave it out all the same: they are answered.
    Expected,
}

/// What a member holds.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A string, with its length in characters.
    Text(Length),
    /// A string of a certain form.
    Pattern(Length, &'static Pattern),
    /// One of these strings. In the order in which the service names them.
    Enum(&'static [&'static str]),
    /// A whole number.
    Integer(Range<i64>),
    /// A number.
    Double(Range<f64>),
    /// True or false.
    Boolean,
    /// Seconds since 1970, or text as in ISO 8601.
    Timestamp,
    /// A list, with its length.
    List(Length, &'static Shape),
    /// An object whose keys are free, with the number of them.
    Map(Length, &'static Shape, &'static Shape),
    /// An object whose keys are known.
    Structure(&'static [Member]),
}

/// How long something may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Length {
    /// Not shorter than this.
    pub min: Option<usize>,
    /// Not longer than this.
    pub max: Option<usize>,
}

/// How large a number may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range<T> {
    /// Not less than this.
    pub min: Option<T>,
    /// Not more than this.
    pub max: Option<T>,
}

/// The form of a string.
#[derive(Debug)]
pub struct Pattern {
    /// The regular expression of the service's model, which is what a refusal names.
    pub expression: &'static str,
    /// Whether all of a text has the form.
    pub matches: fn(&str) -> bool,
}

/// The operation that is posted to this path.
pub fn by_path(path: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.path == path)
}

/// Reads a request's body. An empty one means no members: SDKs send it for operations that want none.
///
/// # Errors
/// `SerializationException` when it is no JSON.
pub fn parse(body: &[u8]) -> Result<Value, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|error| {
        Refusal::new(Code::Serialization, format!("the request's body cannot be read as JSON: {error}"))
    })
}

/// A string member. None when it is missing or null.
pub fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str()
}

/// A list member. Empty when it is missing or null.
pub fn list<'a>(body: &'a Value, name: &str) -> &'a [Value] {
    body.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A whole number member. What stands behind the point is cut off, as the service does.
pub fn integer(body: &Value, name: &str) -> Option<i64> {
    let value = body.get(name)?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates, which no range lets pass")]
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}

/// A number member.
pub fn number(body: &Value, name: &str) -> Option<f64> {
    body.get(name)?.as_f64()
}

/// A timestamp member, in seconds since 1970.
pub fn seconds(body: &Value, name: &str) -> Option<f64> {
    let value = body.get(name)?;
    value.as_f64().or_else(|| time::parse(value.as_str()?))
}

#[cfg(test)]
mod tests;
