//! The safe escaper: copies the run up to the next byte that needs escaping. For processors without SSSE3,
//! and the yardstick the vector version is tested against.

use super::escape_of;

/// Appends `text`, escaped for the inside of a JSON string, to `out`.
pub fn append(text: &str, out: &mut Vec<u8>) {
    append_bytes(text.as_bytes(), out);
}

/// The same for a part of a text that may begin inside a character.
pub(super) fn append_bytes(mut rest: &[u8], out: &mut Vec<u8>) {
    out.reserve(rest.len());
    while let Some(special) = rest.iter().position(|&byte| needs_escape(byte)) {
        out.extend_from_slice(&rest[..special]);
        let (escape, length) = escape_of(rest[special]);
        out.extend_from_slice(&escape[..length]);
        rest = &rest[special + 1..];
    }
    out.extend_from_slice(rest);
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
