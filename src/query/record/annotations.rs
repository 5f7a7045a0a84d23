//! The annotations of one segment or subsegment.

use super::entity::{Field, Fill, Text};
use super::skip::{Skip, Skipped, check_key};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// The annotations of one segment or subsegment, each key once.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Annotations<'a>(pub(super) Vec<(Cow<'a, str>, Scalar<'a>)>);

impl<'a> Visitor<'a> for Fill<'_, Annotations<'a>> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let mut pairs = Vec::new();
        while let Some((Text(key), value)) = map.next_entry()? {
            check_key(&key)?;
            pairs.push((key, value));
        }
        *self.0 = Annotations::of_pairs(pairs);
        Ok(())
    }
}

impl<'a> Annotations<'a> {
    /// Of a key that stands there twice the last counts, as in `serde_json`'s maps.
    fn of_pairs(mut pairs: Vec<(Cow<'a, str>, Scalar<'a>)>) -> Self {
        pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
        pairs.dedup_by(|(later, value), (earlier, kept)| {
            let same = later == earlier;
            if same {
                std::mem::swap(value, kept);
            }
            same
        });
        pairs.retain(|(_, value)| *value != Scalar::None);
        Self(pairs)
    }
}

impl<'a> Field<'a> for Annotations<'a> {
    fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Fill(self))
    }

    fn of(value: Option<&'a Value>, _depth: usize) -> Self {
        let fields = value.and_then(Value::as_object).into_iter().flatten();
        Self::of_pairs(fields.map(|(key, value)| (Cow::Borrowed(key.as_str()), Scalar::of(value))).collect())
    }
}

/// The value of an annotation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// X-Ray takes no lists, objects or nulls for annotations.
    None,
}

impl<'a> Deserialize<'a> for Scalar<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalars)
    }
}

struct Scalars;

impl<'a> Visitor<'a> for Scalars {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'a str) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Scalar<'a>, E> {
        Ok(Scalar::None)
    }

    fn visit_seq<S: SeqAccess<'a>>(self, seq: S) -> Result<Scalar<'a>, S::Error> {
        Skip.visit_seq(seq).map(|Skipped| Scalar::None)
    }

    fn visit_map<M: MapAccess<'a>>(self, map: M) -> Result<Scalar<'a>, M::Error> {
        Skip.visit_map(map).map(|Skipped| Scalar::None)
    }
}

impl<'a> Scalar<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::String(value) => Self::Text(Cow::Borrowed(value)),
            Value::Number(number) => {
                let float = || number.as_f64().map(Self::Float);
                let whole = number.as_u64().map(Self::Unsigned).or_else(|| number.as_i64().map(Self::Signed));
                whole.or_else(float).unwrap_or(Self::None)
            }
            Value::Null | Value::Array(_) | Value::Object(_) => Self::None,
        }
    }
}

impl Serialize for Scalar<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::None => serializer.serialize_unit(),
        }
    }
}
