//! Holds a request against the model, and says what is wrong with it as the service's front end does.
//!
//! Types are looked at first: a wrong one is a `SerializationException` by itself. Then come the constraints, all of
//! which are told at once. The texts are those of recorded answers; the public documentation does not name them.

use super::{Length, Member, Operation, Pattern, Presence, Range, Shape};
use crate::refusal::{Code, Refusal};
use serde_json::{Map, Value};
use std::fmt::{self, Display, Write};

/// Most violations that are told. A request may hold any number of them, and the first few help as much.
const VIOLATIONS_MAX: usize = 100;
/// Most characters of a value that are shown back, for the same reason.
const SHOWN_MAX: usize = 1_000;

/// Holds a request's body against the operation's model. Members that the model does not know are let be, as are
/// nulls, which mean that a member is missing.
///
/// # Errors
/// `SerializationException` for a value of another type, `ValidationException` for one that violates a constraint.
pub fn check(operation: &Operation, body: &Value) -> Result<(), Refusal> {
    if !body.is_null() {
        convert(&Shape::Structure(operation.input), body)?;
    }
    let mut found = Violations::default();
    let none = Map::new();
    found.structure("", operation.input, body.as_object().unwrap_or(&none));
    found.into_refusal().map_or(Ok(()), Err)
}

/// Whether a value has the type of its shape, at any depth.
fn convert(shape: &Shape, value: &Value) -> Result<(), Refusal> {
    match (shape, value) {
        (Shape::List(_, element), Value::Array(values)) => each(element, values.iter()),
        (Shape::Map(_, _, element), Value::Object(values)) => each(element, values.values()),
        (Shape::Structure(members), Value::Object(values)) => members.iter().try_for_each(|member| {
            values.get(member.name).map_or(Ok(()), |value| each(&member.shape, [value].into_iter()))
        }),
        (Shape::Text(_) | Shape::Pattern(..) | Shape::Enum(_), Value::String(_))
        | (Shape::Integer(_) | Shape::Double(_) | Shape::Timestamp, Value::Number(_))
        | (Shape::Boolean, Value::Bool(_)) => Ok(()),
        (Shape::Timestamp, Value::String(text)) if super::time::parse(text).is_some() => Ok(()),
        (shape, value) => Err(Refusal::new(Code::Serialization, unconvertible(shape, value))),
    }
}

/// All of the values. Null has every type.
fn each<'a>(shape: &Shape, mut values: impl Iterator<Item = &'a Value>) -> Result<(), Refusal> {
    values.try_for_each(|value| if value.is_null() { Ok(()) } else { convert(shape, value) })
}

/// Why a value cannot be what it should be.
fn unconvertible(shape: &Shape, value: &Value) -> String {
    let found = match value {
        Value::Array(_) if !matches!(shape, Shape::List(..)) => {
            return "Start of list found where not expected".into();
        }
        Value::Object(_) => return "Start of structure or map found where not expected.".into(),
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        _ => "STRING_VALUE",
    };
    let wanted = match shape {
        Shape::Text(_) | Shape::Pattern(..) | Shape::Enum(_) => "a String",
        Shape::Integer(_) => "an Integer",
        Shape::Double(_) => "a Double",
        Shape::Boolean => "a Boolean",
        Shape::Timestamp => "milliseconds since epoch",
        Shape::List(..) => return "Expected list or null".into(),
        Shape::Map(..) | Shape::Structure(_) => return "Unexpected field type".into(),
    };
    format!("{found} can not be converted to {wanted}")
}

/// Constraints that are not met.
#[derive(Default)]
struct Violations {
    texts: Vec<String>,
}

impl Violations {
    fn into_refusal(self) -> Option<Refusal> {
        let plural = if self.texts.len() == 1 { "" } else { "s" };
        let message =
            format!("{} validation error{plural} detected: {}", self.texts.len(), self.texts.join("; "));
        (!self.texts.is_empty()).then(|| Refusal::new(Code::Validation, message))
    }

    fn is_full(&self) -> bool {
        self.texts.len() >= VIOLATIONS_MAX
    }

    fn add(&mut self, value: &dyn Display, path: &str, constraint: &dyn Display) {
        if !self.is_full() {
            self.texts.push(format!("Value {value} at '{path}' failed to satisfy constraint: {constraint}"));
        }
    }

    fn structure(&mut self, path: &str, members: &[Member], values: &Map<String, Value>) {
        for member in members {
            let path = below(path, member.name);
            match values.get(member.name) {
                None | Some(Value::Null) => {
                    if member.presence == Presence::Required {
                        self.add(&"null", &path, &"Member must not be null");
                    }
                }
                Some(value) => self.value(&path, &member.shape, value),
            }
        }
    }

    fn value(&mut self, path: &str, shape: &Shape, value: &Value) {
        if self.is_full() {
            return;
        }
        match (shape, value) {
            (Shape::Structure(members), Value::Object(values)) => self.structure(path, members, values),
            (Shape::List(length, element), Value::Array(values)) => {
                for constraint in violated_length(*length, values.len()) {
                    self.add(&Shown(shape, value), path, &constraint);
                }
                self.elements(path, shape, element, value, values);
            }
            (Shape::Map(length, key, element), Value::Object(values)) => {
                for constraint in violated_length(*length, values.len()) {
                    self.add(&Shown(shape, value), path, &constraint);
                }
                let keys: Vec<Value> = values.keys().map(|key| Value::from(key.as_str())).collect();
                if keys.iter().any(|value| !violated(key, value).is_empty()) {
                    let constraint = format!("Map keys must satisfy constraint: {}", all(key));
                    self.add(&Shown(shape, value), path, &constraint);
                }
                if values.values().any(|value| value.is_null() || !violated(element, value).is_empty()) {
                    let constraint = format!("Map value must satisfy constraint: {}", all(element));
                    self.add(&Shown(shape, value), path, &constraint);
                }
            }
            _ => {
                for constraint in violated(shape, value) {
                    self.add(&Shown(shape, value), path, &constraint);
                }
            }
        }
    }

    /// Elements that are structures are told one by one; of others the list is told, with all they must be.
    fn elements(&mut self, path: &str, list: &Shape, element: &Shape, value: &Value, values: &[Value]) {
        if let Shape::Structure(members) = element {
            for (index, value) in values.iter().enumerate() {
                if self.is_full() {
                    return;
                }
                let path = format!("{path}.{}.member", index + 1);
                match value {
                    Value::Object(values) => self.structure(&path, members, values),
                    _ => self.add(&"null", &path, &"Member must not be null"),
                }
            }
        } else if values.iter().any(|value| value.is_null() || !violated(element, value).is_empty()) {
            let constraint = format!("Member must satisfy constraint: {}", all(element));
            self.add(&Shown(list, value), path, &constraint);
        }
    }
}

/// `tags.1.member` and `Key` make `tags.1.member.key`: the service tells members by the names of its own fields, which
/// begin with a small letter.
fn below(path: &str, name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    let dot = if path.is_empty() { "" } else { "." };
    format!("{path}{dot}{}{}", first.map(String::from).unwrap_or_default(), characters.as_str())
}

/// The constraints of a shape that has no members.
fn constraints(shape: &Shape) -> Vec<Constraint> {
    match shape {
        Shape::Text(length) => length_constraints(*length),
        Shape::Pattern(length, pattern) => {
            let mut constraints = length_constraints(*length);
            constraints.insert(0, Constraint::Pattern(pattern));
            constraints
        }
        Shape::Enum(values) => vec![Constraint::Enum(values)],
        Shape::Integer(Range { min, max }) => {
            let max = max.map(Constraint::MaxInteger);
            max.into_iter().chain(min.map(Constraint::MinInteger)).collect()
        }
        Shape::Double(Range { min, max }) => {
            let max = max.map(Constraint::MaxDouble);
            max.into_iter().chain(min.map(Constraint::MinDouble)).collect()
        }
        _ => Vec::new(),
    }
}

fn length_constraints(Length { min, max }: Length) -> Vec<Constraint> {
    // Everything is at least so long.
    let min = min.filter(|min| *min > 0);
    max.map(Constraint::MaxLength).into_iter().chain(min.map(Constraint::MinLength)).collect()
}

fn violated(shape: &Shape, value: &Value) -> Vec<Constraint> {
    constraints(shape).into_iter().filter(|constraint| !constraint.is_met(value)).collect()
}

fn violated_length(length: Length, found: usize) -> Vec<Constraint> {
    length_constraints(length).into_iter().filter(|constraint| !constraint.is_met_by_length(found)).collect()
}

/// All constraints of what a list or map holds, whichever of them is violated.
fn all(shape: &Shape) -> String {
    let mut text = String::from("[");
    for constraint in constraints(shape) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{constraint}, ");
    }
    text + "Member must not be null]"
}

/// What must hold of a value.
enum Constraint {
    Pattern(&'static Pattern),
    Enum(&'static [&'static str]),
    MinLength(usize),
    MaxLength(usize),
    MinInteger(i64),
    MaxInteger(i64),
    MinDouble(f64),
    MaxDouble(f64),
}

impl Constraint {
    fn is_met(&self, value: &Value) -> bool {
        let text = value.as_str().unwrap_or_default();
        let number = value.as_f64().unwrap_or_default();
        match self {
            Self::Pattern(pattern) => (pattern.matches)(text),
            Self::Enum(values) => values.contains(&text),
            Self::MinLength(_) | Self::MaxLength(_) => self.is_met_by_length(text.chars().count()),
            // Limits are far below 2^53, where these are exact.
            Self::MinInteger(min) => number >= *min as f64,
            Self::MaxInteger(max) => number <= *max as f64,
            Self::MinDouble(min) => number >= *min,
            Self::MaxDouble(max) => number <= *max,
        }
    }

    fn is_met_by_length(&self, length: usize) -> bool {
        match self {
            Self::MinLength(min) => length >= *min,
            Self::MaxLength(max) => length <= *max,
            _ => true,
        }
    }
}

impl Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => {
                write!(f, "Member must satisfy regular expression pattern: {}", pattern.expression)
            }
            Self::Enum(values) => {
                write!(f, "Member must satisfy enum value set: [{}]", values.join(", "))
            }
            Self::MinLength(min) => write!(f, "Member must have length greater than or equal to {min}"),
            Self::MaxLength(max) => write!(f, "Member must have length less than or equal to {max}"),
            Self::MinInteger(min) => write!(f, "Member must have value greater than or equal to {min}"),
            Self::MaxInteger(max) => write!(f, "Member must have value less than or equal to {max}"),
            Self::MinDouble(min) => write!(f, "Member must have value greater than or equal to {min}"),
            Self::MaxDouble(max) => write!(f, "Member must have value less than or equal to {max}"),
        }
    }
}

/// A value as the service shows it back: as Java prints it, in quotes.
struct Shown<'a>(&'a Shape, &'a Value);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Cut(String::new());
        // The only error is that the text is as long as it may be.
        let _ = java(&mut text, self.0, self.1);
        write!(f, "'{}'", text.0)
    }
}

/// Text that takes no more than [`SHOWN_MAX`] bytes.
struct Cut(String);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = text.floor_char_boundary(SHOWN_MAX.saturating_sub(self.0.len()));
        self.0.push_str(&text[..room]);
        if room < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

fn java(out: &mut Cut, shape: &Shape, value: &Value) -> fmt::Result {
    match (shape, value) {
        (_, Value::String(text)) => out.write_str(text),
        (Shape::Double(_), Value::Number(number)) => write!(out, "{:?}", number.as_f64().unwrap_or_default()),
        (Shape::List(_, element), Value::Array(values)) => {
            out.write_str("[")?;
            for (index, value) in values.iter().enumerate() {
                out.write_str(if index == 0 { "" } else { ", " })?;
                java(out, element, value)?;
            }
            out.write_str("]")
        }
        (Shape::Map(_, _, element), Value::Object(values)) => {
            out.write_str("{")?;
            for (index, (key, value)) in values.iter().enumerate() {
                write!(out, "{}{key}=", if index == 0 { "" } else { ", " })?;
                java(out, element, value)?;
            }
            out.write_str("}")
        }
        _ => write!(out, "{value}"),
    }
}
