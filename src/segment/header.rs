//! The daemon header in front of every document: `{"format":"json","version":1}` and one LF.
//!
//! Accepts what the official daemon accepts (`aws/aws-xray-daemon`, `cmd/tracing/daemon.go` `poll` and
//! `pkg/tracesegment/tracesegment.go` `IsValid`): JSON up to the first LF, `format` equal to "json" in any
//! case, `version` 1, further keys allowed. The document behind it is not looked at.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Both spellings the SDKs send; everything else takes the slow road through `serde_json`.
const COMMON_HEADERS: [&[u8]; 2] =
    [b"{\"format\":\"json\",\"version\":1}\n", b"{\"format\": \"json\", \"version\": 1}\n"];

/// Longest header that is parsed. A real one has 32 bytes; the bound keeps a stranger from making us parse
/// 64 KB of JSON for each datagram.
const HEADER_MAX_BYTES: usize = 1024;

/// A datagram whose header has been checked. The document has *not* been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Raw segment document bytes; never empty.
    pub document: &'a [u8],
}

/// Why a datagram was refused. The variants are also the values of the metric label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// No bytes at all.
    #[error("the datagram is empty")]
    Empty,
    /// No LF: either no header or no document.
    #[error("no line feed between daemon header and segment document")]
    MissingHeader,
    /// A header, an LF, and nothing behind it.
    #[error("nothing follows the daemon header")]
    EmptyDocument,
    /// What stands before the first LF is not a JSON object.
    #[error("the daemon header is not a JSON object")]
    InvalidHeader,
    /// A JSON object, but not format "json" and version 1.
    #[error("the daemon header does not say format \"json\" and version 1")]
    UnsupportedHeader,
}

impl DatagramError {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::MissingHeader, Self::EmptyDocument, Self::InvalidHeader, Self::UnsupportedHeader];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::MissingHeader => "missing_header",
            Self::EmptyDocument => "empty_document",
            Self::InvalidHeader => "invalid_header",
            Self::UnsupportedHeader => "unsupported_header",
        }
    }
}

impl<'a> Datagram<'a> {
    /// Checks the header of one datagram and borrows the document behind it.
    ///
    /// # Errors
    /// See [`DatagramError`].
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DatagramError> {
        for header in COMMON_HEADERS {
            if let Some(document) = datagram.strip_prefix(header) {
                return Self::with_document(document);
            }
        }
        Self::parse_unusual(datagram)
    }

    #[cold]
    fn parse_unusual(datagram: &'a [u8]) -> Result<Self, DatagramError> {
        if datagram.is_empty() {
            return Err(DatagramError::Empty);
        }
        let Some(line_feed) = memchr::memchr(b'\n', datagram) else {
            return Err(DatagramError::MissingHeader);
        };
        let (header, rest) = datagram.split_at(line_feed);
        let checked = Self::with_document(&rest[1..])?;
        check_header(header)?;
        Ok(checked)
    }

    fn with_document(document: &'a [u8]) -> Result<Self, DatagramError> {
        if document.is_empty() { Err(DatagramError::EmptyDocument) } else { Ok(Self { document }) }
    }
}

fn check_header(header: &[u8]) -> Result<(), DatagramError> {
    if header.len() > HEADER_MAX_BYTES {
        return Err(DatagramError::InvalidHeader);
    }
    match serde_json::from_slice(header) {
        Ok(Fields { format_is_json: true, version_is_one: true }) => Ok(()),
        Ok(_) => Err(DatagramError::UnsupportedHeader),
        Err(_) => Err(DatagramError::InvalidHeader),
    }
}

/// The fields that count, as Go's `encoding/json` fills them: it matches keys in any case and lets the last of
/// several win, but leaves a field as it is for a value of another type. A number with a fraction is no `int`.
#[derive(Default)]
struct Fields {
    format_is_json: bool,
    version_is_one: bool,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a daemon header")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    match value {
                        Value::String(format) if key.eq_ignore_ascii_case("format") => {
                            fields.format_is_json = format.eq_ignore_ascii_case("json");
                        }
                        Value::Number(version) if key.eq_ignore_ascii_case("version") && version.is_i64() => {
                            fields.version_is_one = version.as_i64() == Some(1);
                        }
                        _ => {}
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: Result<&str, DatagramError>) {
        let expected = expected.map(|document| Datagram { document: document.as_bytes() });
        assert_eq!(Datagram::parse(raw.as_bytes()), expected, "{raw:?}");
    }

    #[test]
    fn accepts_the_headers_that_sdks_send() {
        check("{\"format\":\"json\",\"version\":1}\n{}", Ok("{}"));
        check("{\"format\": \"json\", \"version\": 1}\n{}", Ok("{}"));
    }

    #[test]
    fn accepts_what_the_go_daemon_accepts() {
        check("{\"version\":1,\"format\":\"JSON\"}\nx", Ok("x"));
        check("{\"Format\":\"json\",\"VERSION\":1,\"more\":[1,{}]}\n{\n}", Ok("{\n}"));
        check(" {\"format\":\"json\",\"version\":1} \r\nT1SabC=", Ok("T1SabC="));
        check("{\"format\":\"xml\",\"version\":1,\"format\":\"json\"}\nx", Ok("x"));
        check("{\"format\":\"xml\",\"version\":1,\"Format\":\"json\"}\nx", Ok("x"));
        check("{\"format\":\"json\",\"format\":null,\"version\":1,\"version\":1.5}\nx", Ok("x"));
    }

    #[test]
    fn refuses_what_the_go_daemon_refuses() {
        check("", Err(DatagramError::Empty));
        check("{\"id\":\"x\"}", Err(DatagramError::MissingHeader));
        check("{\"format\":\"json\",\"version\":1}\\n{}", Err(DatagramError::MissingHeader));
        check("{\"format\":\"json\",\"version\":1}", Err(DatagramError::MissingHeader));
        check("{\"format\":\"json\",\"version\":1}\n", Err(DatagramError::EmptyDocument));
        check("\n{}", Err(DatagramError::InvalidHeader));
        check("\nx", Err(DatagramError::InvalidHeader));
        check("{\"format\":\"json\",\"version\":1}x\n{}", Err(DatagramError::InvalidHeader));
        check("[1]\n{}", Err(DatagramError::InvalidHeader));
        check("{\"format\":\"json\",\"version\":2}\n{}", Err(DatagramError::UnsupportedHeader));
        check("{\"format\":\"json\",\"version\":1.5}\n{}", Err(DatagramError::UnsupportedHeader));
        check("{\"format\":\"json\",\"version\":\"1\"}\n{}", Err(DatagramError::UnsupportedHeader));
        check("{\"format\":\"protobuf\",\"version\":1}\n{}", Err(DatagramError::UnsupportedHeader));
        check(
            "{\"format\":\"json\",\"Format\":\"xml\",\"version\":1}\n{}",
            Err(DatagramError::UnsupportedHeader),
        );
        check("{}\n{}", Err(DatagramError::UnsupportedHeader));
    }

    #[test]
    fn refuses_a_header_longer_than_its_bound_without_parsing_it() {
        let long =
            format!("{{\"format\":\"json\",\"version\":1,\"x\":\"{}\"}}\n{{}}", "y".repeat(HEADER_MAX_BYTES));
        check(&long, Err(DatagramError::InvalidHeader));
    }
}
