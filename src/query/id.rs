//! Ids as numbers: they are compared and looked up far more often than shown.

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A trace id, `1-8hex-24hex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub u128);

/// The id of a segment or subsegment, 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

impl TraceId {
    /// Reads X-Ray's form, in any case. Nothing else: what SDKs write is brought into it by
    /// [`crate::segment::normal_trace_id`].
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 35] = text.as_bytes().try_into().ok()?;
        let [b'1', b'-', rest @ ..] = bytes else { return None };
        if rest[8] != b'-' {
            return None;
        }
        let [time, high, low] =
            [&rest[..8], &rest[9..17], &rest[17..]].map(|digits| hex(digits).map(u128::from));
        Some(Self(time? << 96 | high? << 64 | low?))
    }
}

impl SegmentId {
    /// Reads 16 hex digits, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 16 {
            return None;
        }
        hex(text.as_bytes()).map(Self)
    }

    /// Its 16 hex digits in ASCII, in lower case. Formatting takes several times as long, and ids are written for
    /// every document that comes.
    pub fn digits(self) -> [u8; 16] {
        let digit = |byte: u8| if byte < 10 { b'0' + byte } else { b'a' - 10 + byte };
        let bytes = self.0.to_be_bytes();
        std::array::from_fn(|place| {
            let byte = bytes[place / 2];
            digit(if place % 2 == 0 { byte >> 4 } else { byte & 0xf })
        })
    }
}

/// At most 16 digits.
fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1-{:08x}-{:024x}", self.0 >> 96, self.0 & (u128::MAX >> 32))
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for SegmentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.digits();
        serializer.serialize_str(std::str::from_utf8(&digits).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for SegmentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a segment id has 16 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_they_are_read() {
        for text in ["1-581cf771-a006649127e371903a2de979", "1-00000000-000000000000000000000001"] {
            assert_eq!(TraceId::parse(text).unwrap().to_string(), text);
        }
        let upper = TraceId::parse("1-581CF771-A006649127E371903A2DE979").unwrap();
        assert_eq!(upper.to_string(), "1-581cf771-a006649127e371903a2de979");
        let id = SegmentId::parse("00DE5b6f19ff9a0a").unwrap();
        assert_eq!(id.to_string(), "00de5b6f19ff9a0a");
        assert_eq!(&id.digits(), b"00de5b6f19ff9a0a");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"00de5b6f19ff9a0a\"");
    }

    #[test]
    fn nothing_else_is_an_id() {
        for text in ["", "1-581cf771-a006649127e371903a2de97", "2-581cf771-a006649127e371903a2de979"] {
            assert_eq!(TraceId::parse(text), None, "{text}");
        }
        assert_eq!(TraceId::parse("1-581cf771-a006649127e371903a2de97g"), None);
        assert_eq!(TraceId::parse("1-581cf7710a006649127e371903a2de979"), None);
        for text in ["", "70de5b6f19ff9a0", "70de5b6f19ff9a0g", "70de5b6f19ff9a0aa"] {
            assert_eq!(SegmentId::parse(text), None, "{text}");
        }
    }
}
