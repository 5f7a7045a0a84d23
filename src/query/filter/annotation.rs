//! Looks for one annotation in the column of a row, without building what stands around it.
//!
//! A query asks a million rows, most of which do not have what it looks for: those are left after a search for its text.

use super::compare::Annotated;
use super::{Operator, Test, Value};
use memchr::{memchr_iter, memmem};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Longest JSON that is searched byte by byte.
const PLAIN_SEARCH_MAX_BYTES: usize = 512;

/// Whether one of the values of an annotation passes. What cannot be read has none.
pub(super) fn any(annotations: &str, key: &str, test: &Test) -> bool {
    may_contain(annotations, key)
        && necessary_text(test).is_none_or(|text| may_contain(annotations, text))
        && Values { key, test }
            .deserialize(&mut serde_json::Deserializer::from_str(annotations))
            .unwrap_or_default()
}

/// Whether JSON may have this text inside one of its texts.
pub(super) fn may_contain(json: &str, text: &str) -> bool {
    let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    !json.is_empty() && (find(json.as_bytes(), text.as_bytes()) || text.bytes().any(is_escaped))
}

/// Whether bytes contain others. To prepare the better search takes longer than a plain one in as few bytes as the
/// annotations of a row usually are; in many bytes a plain one could be led astray for long.
fn find(bytes: &[u8], wanted: &[u8]) -> bool {
    match wanted {
        [first, ..] if bytes.len() <= PLAIN_SEARCH_MAX_BYTES => {
            memchr_iter(*first, bytes).any(|at| bytes[at..].starts_with(wanted))
        }
        _ => memmem::find(bytes, wanted).is_some(),
    }
}

/// A text that stands in every value that passes.
fn necessary_text(test: &Test) -> Option<&str> {
    match test {
        Test::Compare(
            Operator::Equal | Operator::Contains | Operator::BeginsWith | Operator::EndsWith,
            Value::Text(value),
        ) => Some(value),
        Test::Is | Test::Compare(..) => None,
    }
}

/// Reads the object all annotations are in.
struct Values<'t> {
    key: &'t str,
    test: &'t Test,
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut passes = false;
        while let Some(is_it) = map.next_key_seed(Key(self.key))? {
            if is_it {
                passes |= map.next_value_seed(OneValue(self.test))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(passes)
    }
}

/// Reads a key: whether it is the one.
struct Key<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// Reads a value, or a list of them: whether one passes.
#[derive(Clone, Copy)]
struct OneValue<'t>(&'t Test);

impl<'de> DeserializeSeed<'de> for OneValue<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneValue<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an annotation")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        Ok(self.0.annotation(Annotated::Bool(value)))
    }

    #[expect(clippy::cast_precision_loss, reason = "annotations are floating point in X-Ray")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.visit_f64(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "annotations are floating point in X-Ray")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        Ok(self.0.annotation(Annotated::Number(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        Ok(self.0.annotation(Annotated::Text(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<bool, A::Error> {
        let mut passes = false;
        while let Some(one) = values.next_element_seed(self)? {
            passes |= one;
        }
        Ok(passes)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Annotation, Record};
    use super::*;

    #[track_caller]
    fn check(annotations: &str, key: &str, value: impl Into<Value>, expected: bool) {
        let test = Test::Compare(Operator::Equal, value.into());
        assert_eq!(any(annotations, key, &test), expected, "{annotations} {key} {test:?}");
    }

    #[test]
    fn values_of_every_type_are_found_alone_and_in_lists() {
        let all = r#"{"b":true,"n":-1,"u":7,"f":1.5,"t":"x","l":["y",2,false,"x"]}"#;
        check(all, "b", true, true);
        check(all, "b", false, false);
        check(all, "n", -1.0, true);
        check(all, "u", 7.0, true);
        check(all, "f", 1.5, true);
        check(all, "t", "x", true);
        check(all, "t", "y", false);
        check(all, "l", "x", true);
        check(all, "l", 2.0, true);
        check(all, "l", false, true);
        check(all, "l", 3.0, false);
        check(r#"{"t":"x","t":"y"}"#, "t", "x", true);
    }

    #[test]
    fn a_key_is_a_key_and_not_a_text_that_looks_like_one() {
        check(r#"{"a":"tenant","b":"t7"}"#, "tenant", "t7", false);
        check(r#"{"tenants":"t7"}"#, "tenant", "t7", false);
        check(r#"{"a\"b\\":"x\ny"}"#, "a\"b\\", "x\ny", true);
        check("{\"schlüssel\":\"größe\"}", "schlüssel", "größe", true);
    }

    #[test]
    fn long_annotations_are_searched_as_well_as_short_ones() {
        let long = format!(r#"{{"long":"{}","tenant":"t7"}}"#, "a".repeat(2 * PLAIN_SEARCH_MAX_BYTES));
        check(&long, "tenant", "t7", true);
        check(&long, "tenant", "t8", false);
        check(&long, "tenants", "t7", false);
    }

    #[test]
    fn what_is_no_annotation_is_none() {
        for broken in
            ["", "{", "[]", "\"tenant\"", "{\"tenant\":", "{\"tenant\":null}", "{\"tenant\":{\"t\":1}}"]
        {
            assert!(!any(broken, "tenant", &Test::Is), "{broken}");
        }
    }

    /// It finds what a row shows, however the row came by it.
    #[test]
    fn it_agrees_with_the_values_a_row_shows() {
        let document = serde_json::json!({
            "id": "000000000000000a", "trace_id": "1-581cf771-a006649127e371903a2de979", "name": "api",
            "start_time": 1, "end_time": 2, "annotations": { "a": 1, "b": "x\ty", "c\"": 2.5 },
            "subsegments": [{ "id": "000000000000000b", "annotations": { "a": "x", "b": true } },
                            { "id": "000000000000000c", "annotations": { "a": true } }]
        });
        let document = crate::segment::Document::parse(document.to_string().as_bytes()).unwrap();
        let record = Record::of(&document, 1, 0.0);
        let row = record.row();
        assert_eq!(row.annotations().len(), 6);
        for (key, value) in row.annotations() {
            let value = match value {
                Annotation::Bool(value) => Value::Bool(value),
                Annotation::Number(value) => Value::Number(value),
                Annotation::Text(value) => Value::Text(value),
            };
            check(row.annotations, &key, value, true);
        }
    }
}
