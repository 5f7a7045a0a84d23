//! Segment documents as SDKs really write them, which is not always JSON.
//!
//! Python writes `NaN` and `Infinity`; Python and Node write halves of surrogate pairs (`"\ud800"`). Such a document is
//! read from a repaired copy; the original stays what is kept and forwarded.

use serde_json::Value;
use std::borrow::Cow;

const REPLACEMENT: &str = "\u{fffd}";

/// Reads a document: as it is, or with what is not JSON in it replaced. Numbers that are none, or too large for 64 bits
/// of floating point, become null; halves of surrogate pairs and bytes that are not UTF-8 become U+FFFD; control
/// characters in texts are kept.
///
/// # Errors
/// When it is not JSON for any other reason; what the first reading said.
pub fn parse_lenient(document: &[u8]) -> Result<Value, serde_json::Error> {
    parse_and_repair(document).map(|(read, _)| read)
}

/// The same, with the JSON text that was read: the document itself where nothing had to be repaired.
///
/// # Errors
/// When it is not JSON for any other reason; what the first reading said.
pub(super) fn parse_and_repair(document: &[u8]) -> Result<(Value, Cow<'_, [u8]>), serde_json::Error> {
    let error = match serde_json::from_slice(document) {
        Ok(read) => return Ok((read, Cow::Borrowed(document))),
        Err(error) => error,
    };
    let repaired = repair(document).into_bytes();
    match serde_json::from_slice(&repaired) {
        Ok(read) => Ok((read, Cow::Owned(repaired))),
        Err(_) => Err(error),
    }
}

fn repair(document: &[u8]) -> String {
    let document = String::from_utf8_lossy(document);
    let mut repaired = String::with_capacity(document.len() + 16);
    let mut rest = &*document;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_alphanumeric()) {
        let (before, from) = rest.split_at(at);
        repaired.push_str(before);
        rest = match from.strip_prefix('"') {
            Some(text) => {
                repaired.push('"');
                repair_text(text, &mut repaired)
            }
            None => repair_word(from, &mut repaired),
        };
    }
    repaired + rest
}

/// A number, `true`, `NaN`, or the like.
fn repair_word<'a>(from: &'a str, repaired: &mut String) -> &'a str {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
    let (word, rest) = from.split_at(from.find(|c| !inside(c)).unwrap_or(from.len()));
    let none = matches!(word, "NaN" | "Infinity" | "-Infinity");
    let too_large = || {
        word.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && word.parse::<f64>().is_ok_and(f64::is_infinite)
    };
    repaired.push_str(if none || too_large() { "null" } else { word });
    rest
}

/// What stands behind an opening quote, up to and with the closing one.
fn repair_text<'a>(mut rest: &'a str, repaired: &mut String) -> &'a str {
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c.is_control()) {
        let (before, from) = rest.split_at(at);
        repaired.push_str(before);
        if let Some(behind) = from.strip_prefix('"') {
            repaired.push('"');
            return behind;
        }
        rest =
            if from.starts_with('\\') { repair_escape(from, repaired) } else { keep_control(from, repaired) };
    }
    repaired.push_str(rest);
    ""
}

/// A backslash and what belongs to it.
fn repair_escape<'a>(from: &'a str, repaired: &mut String) -> &'a str {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let is_high = |unit: u16| (0xd800..0xdc00).contains(&unit);
    let is_low = |unit: u16| (0xdc00..0xe000).contains(&unit);
    let length = match unit(from) {
        Some(high) if is_high(high) && from.get(6..).and_then(unit).is_some_and(is_low) => 12,
        Some(half) if is_high(half) || is_low(half) => {
            repaired.push_str(REPLACEMENT);
            return &from[6..];
        }
        Some(_) => 6,
        None => 1 + from[1..].chars().next().map_or(0, char::len_utf8),
    };
    repaired.push_str(&from[..length]);
    &from[length..]
}

/// JSON wants control characters escaped.
fn keep_control<'a>(from: &'a str, repaired: &mut String) -> &'a str {
    let mut characters = from.chars();
    if let Some(control) = characters.next() {
        match u32::from(control) {
            code @ 0..0x20 => {
                use std::fmt::Write;
                // Writing to a String does not fail.
                let _ = write!(repaired, "\\u{code:04x}");
            }
            _ => repaired.push(control),
        }
    }
    characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[track_caller]
    fn check(document: &[u8], expected: &Value) {
        assert_eq!(parse_lenient(document).ok().as_ref(), Some(expected), "{}", document.escape_ascii());
    }

    #[test]
    fn what_sdks_write_that_is_not_json_is_read() {
        check(br#"{"a":NaN,"b":[Infinity,-Infinity]}"#, &json!({ "a": null, "b": [null, null] }));
        check(br#"{"a":1e400,"b":-1e400,"c":1e-400}"#, &json!({ "a": null, "b": null, "c": 0.0 }));
        check(br#"{"a":"\ud800 x","b":"x\udc00"}"#, &json!({ "a": "\u{fffd} x", "b": "x\u{fffd}" }));
        check(br#""\ud83d\ude00 \ud800\ud83d\ude00 \ud83d""#, &json!("\u{1f600} \u{fffd}\u{1f600} \u{fffd}"));
        check(b"\"\xff\"", &json!("\u{fffd}"));
        check(b"{\"a\":\"one\ntwo\t\x01\"}", &json!({ "a": "one\ntwo\t\u{1}" }));
    }

    #[test]
    fn words_in_texts_and_keys_are_left_alone() {
        check(
            br#"{"NaN":"Infinity \" NaN \\","x":NaN,"1e999":true}"#,
            &json!({ "NaN": "Infinity \" NaN \\", "x": null, "1e999": true }),
        );
    }

    #[test]
    fn what_is_no_json_at_all_is_an_error() {
        for document in ["", "{", "nan", "{\"a\":NaNa}", "{\"a\":\"\\u12\"}", "[1e400", "'a'", "\"open"] {
            assert!(parse_lenient(document.as_bytes()).is_err(), "{document}");
        }
    }

    /// Of all that SDKs were seen to send, only what is no JSON at all (OTLP in base64) is not read.
    #[test]
    fn every_captured_document_is_read_and_is_one_x_ray_takes() {
        let mut folders =
            vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures")];
        let (mut strict, mut repaired) = (0, 0);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|found| found == "dgram") {
                    let datagram = std::fs::read(&path).unwrap();
                    let document = datagram.split(|&byte| byte == b'\n').next_back().unwrap();
                    if document.starts_with(b"T1") || document.starts_with(b"M1") {
                        continue;
                    }
                    assert!(parse_lenient(document).is_ok_and(|read| read.is_object()), "{}", path.display());
                    let taken = crate::segment::Document::parse(document);
                    assert!(taken.is_ok(), "{}: {taken:?}", path.display());
                    match serde_json::from_slice::<Value>(document) {
                        Ok(_) => strict += 1,
                        Err(_) => repaired += 1,
                    }
                }
            }
        }
        assert!(strict > 50 && repaired > 0, "{strict} {repaired}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// A repaired copy of what needs no repair says the same.
        #[test]
        fn property_good_documents_are_not_changed(value in any_json()) {
            let text = value.to_string();
            let repaired = repair(text.as_bytes());
            prop_assert_eq!(serde_json::from_str::<Value>(&repaired).ok(), Some(value), "{}", text);
        }

        /// Broken numbers and texts are repaired wherever they stand, and nothing else changes.
        #[test]
        fn property_broken_parts_are_replaced_in_place(values in proptest::collection::vec(any_json(), 1..4)) {
            let mut written = Vec::new();
            let mut expected = Vec::new();
            for value in values {
                written.extend([value.to_string(), "NaN".to_owned(), r#""\udfff""#.to_owned()]);
                expected.extend([value, Value::Null, json!("\u{fffd}")]);
            }
            let read = parse_lenient(format!("[{}]", written.join(" ,")).as_bytes());
            prop_assert_eq!(read.ok(), Some(Value::Array(expected)));
        }

        /// Anything at all gives an answer.
        #[test]
        fn property_any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse_lenient(&bytes);
        }
    }
}
