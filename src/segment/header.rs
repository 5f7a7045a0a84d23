//! The daemon header in front of every document: `{"format":"json","version":1}` and one LF.
//!
//! Accepts what the official daemon accepts (`aws/aws-xray-daemon`, `cmd/tracing/daemon.go` `poll` and
//! `pkg/tracesegment/tracesegment.go` `IsValid`): JSON up to the first LF, `format` equal to "json" in any
//! case, `version` 1, further keys allowed. The document behind it is not looked at.

use serde_json::Value;

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

/// Go's `encoding/json` matches keys in any case and lets the last of two equal keys win; a number with a
/// fraction does not fit its `int` field and leaves it 0.
fn check_header(header: &[u8]) -> Result<(), DatagramError> {
    if header.len() > HEADER_MAX_BYTES {
        return Err(DatagramError::InvalidHeader);
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice(header) else {
        return Err(DatagramError::InvalidHeader);
    };
    let (mut format_is_json, mut version_is_one) = (false, false);
    for (key, value) in &fields {
        if key.eq_ignore_ascii_case("format") {
            format_is_json = value.as_str().is_some_and(|format| format.eq_ignore_ascii_case("json"));
        } else if key.eq_ignore_ascii_case("version") {
            version_is_one = value.as_u64() == Some(1);
        }
    }
    if format_is_json && version_is_one { Ok(()) } else { Err(DatagramError::UnsupportedHeader) }
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
        check("{}\n{}", Err(DatagramError::UnsupportedHeader));
    }

    #[test]
    fn refuses_a_header_longer_than_its_bound_without_parsing_it() {
        let long =
            format!("{{\"format\":\"json\",\"version\":1,\"x\":\"{}\"}}\n{{}}", "y".repeat(HEADER_MAX_BYTES));
        check(&long, Err(DatagramError::InvalidHeader));
    }
}
