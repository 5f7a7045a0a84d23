//! Ids as numbers: they are compared and looked up far more often than shown.

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};
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
        Self::parse_bytes(text.as_bytes())
    }

    /// The same, of text in ASCII.
    pub fn parse_bytes(text: &[u8]) -> Option<Self> {
        let text: &[u8; 35] = text.try_into().ok()?;
        let [b'1', b'-', rest @ ..] = text else { return None };
        if rest[8] != b'-' {
            return None;
        }
        let (time, high, low) =
            (eight_digits(&rest[..8])?, eight_digits(&rest[9..17])?, digits(&rest[17..])?);
        Some(Self(u128::from(time) << 96 | u128::from(high) << 64 | u128::from(low)))
    }
}

impl SegmentId {
    /// Reads 16 hex digits, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_bytes(text.as_bytes())
    }

    /// The same, of text in ASCII.
    pub fn parse_bytes(text: &[u8]) -> Option<Self> {
        digits(text).map(Self)
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

/// Reads 16 hex digits.
fn digits(text: &[u8]) -> Option<u64> {
    let (high, low) = text.split_at_checked(8)?;
    Some(u64::from(eight_digits(high)?) << 32 | u64::from(eight_digits(low)?))
}

/// Reads eight hex digits at once: there are four such readings in each row of a scan, and half its time would go
/// into them digit by digit.
fn eight_digits(text: &[u8]) -> Option<u32> {
    let text = u64::from_be_bytes(text.try_into().ok()?);
    let each = |byte: u64| byte * 0x0101_0101_0101_0101;
    // Letters have bit 6 set, and their low four bits are 1 to 6.
    let letters = (text >> 6) & each(1);
    let values = (text & each(0x0f)) + letters * 9;
    // A digit is 0 to 9, a letter 10 to 15, and written again it is what it was, but for the case.
    let is_letter = letters * 0xff;
    let lower = ((values + each(0x57)) & is_letter) | ((values + each(0x30)) & !is_letter);
    let large = (values + each(6)) >> 4 & each(1);
    if values & each(0xf0) != 0 || large != letters || lower != text | (letters << 5) {
        return None;
    }
    let pairs = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    u32::try_from((fours | fours >> 16) & 0xffff_ffff).ok()
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
        deserializer.deserialize_str(Digits)
    }
}

/// Reads the digits where they stand: ids are read by the million.
struct Digits;

impl Visitor<'_> for Digits {
    type Value = SegmentId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a segment id of 16 hex digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SegmentId, E> {
        SegmentId::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    /// Digit by digit.
    fn slowly(text: &[u8]) -> Option<TraceId> {
        let text = std::str::from_utf8(text).ok()?;
        let (head, tail) = text.strip_prefix("1-")?.split_at_checked(8)?;
        let digits = [head, tail.strip_prefix('-')?].concat();
        let is_id = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u128::from_str_radix(&digits, 16).ok().filter(|_| is_id).map(TraceId)
    }

    proptest! {
        #[test]
        fn property_eight_digits_at_once_are_read_as_one_by_one(
            id in any::<u128>(), byte in any::<u8>(), at in 0_usize..35, upper in any::<bool>()
        ) {
            let text = TraceId(id).to_string();
            let text = if upper { text.to_ascii_uppercase() } else { text };
            prop_assert_eq!(TraceId::parse(&text), Some(TraceId(id)));
            let mut changed = text.into_bytes();
            changed[at] = byte;
            let shown = changed.escape_ascii().to_string();
            prop_assert_eq!(TraceId::parse_bytes(&changed), slowly(&changed), "{:?}", shown);
        }
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
