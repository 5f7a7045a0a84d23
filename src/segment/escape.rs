//! Writes a document as the inside of a JSON string, straight into the request body.
//!
//! A segment document has a quote every nine bytes or so. An escaper that copies the run up to the next
//! special byte restarts for each of them and tops out near 1 GB/s. The vector version below expands every
//! byte of a group of eight in one shuffle instead; `benches/escape.rs` measures both beside `serde_json`.

mod portable;
#[cfg(target_arch = "x86_64")]
mod ssse3;

pub use portable::append as append_escaped_portable;

/// What [`append_escaped`] had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a repaired document has to be counted"]
pub enum Escaped {
    /// The document was UTF-8; a JSON parser gives back exactly its bytes.
    Verbatim,
    /// Bytes that are not UTF-8 were replaced by U+FFFD, one for each byte.
    Repaired,
}

/// Appends `document`, escaped for the inside of a JSON string, to `out`.
///
/// Bytes that are not UTF-8 become U+FFFD, one each, as Go's JSON encoders do for the official daemon.
pub fn append_escaped(document: &[u8], out: &mut Vec<u8>) -> Escaped {
    if let Ok(text) = std::str::from_utf8(document) {
        append_text(text, out);
        return Escaped::Verbatim;
    }
    for chunk in document.utf8_chunks() {
        append_text(chunk.valid(), out);
        for _ in chunk.invalid() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    Escaped::Repaired
}

/// Most bytes a byte can become: a control character, or a byte that is not UTF-8 as U+FFFD.
pub const ESCAPED_BYTE_MAX: usize = 6;

/// Bytes a UTF-8 document can have at most once escaped: exact but for line feeds, tabs and their like, which
/// count as the six bytes other control characters need.
pub fn escaped_len_max(document: &[u8]) -> usize {
    // Sixteen sums of one byte each: the compiler makes vector instructions of them.
    const LANES: usize = 16;
    // So many groups can add to a sum of one byte before it is full.
    const GROUPS: usize = 255 / (ESCAPED_BYTE_MAX - 1);
    let more = |byte: u8| u8::from(byte == b'"') + u8::from(byte == b'\\') + 5 * u8::from(byte < 0x20);
    let mut extra = 0;
    for run in document.chunks(LANES * GROUPS) {
        let mut sums = [0_u8; LANES];
        let (groups, rest) = run.as_chunks::<LANES>();
        for group in groups {
            for (sum, &byte) in sums.iter_mut().zip(group) {
                *sum += more(byte);
            }
        }
        extra += sums.into_iter().chain(rest.iter().map(|&byte| more(byte))).map(usize::from).sum::<usize>();
    }
    document.len() + extra
}

fn append_text(text: &str, out: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("ssse3") {
        return ssse3::append(text, out);
    }
    portable::append(text, out);
}

/// What a byte below 0x20, a quote or a backslash becomes. Only for bytes that need it.
fn escape_of(byte: u8) -> ([u8; 6], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            return ([b'\\', b'u', b'0', b'0', high, low], 6);
        }
    };
    ([b'\\', short, 0, 0, 0, 0], 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(document: &[u8]) -> (String, Escaped) {
        let mut out = b"kept".to_vec();
        let how = append_escaped(document, &mut out);
        (String::from_utf8(out).unwrap().strip_prefix("kept").unwrap().to_owned(), how)
    }

    #[track_caller]
    fn check(text: &str) {
        let expected = serde_json::to_string(text).unwrap();
        let expected = &expected[1..expected.len() - 1];
        assert_eq!(escaped(text.as_bytes()), (expected.to_owned(), Escaped::Verbatim));
        let mut portable = Vec::new();
        append_escaped_portable(text, &mut portable);
        assert_eq!(String::from_utf8(portable).unwrap(), expected);
        let shorts = text.matches(['\u{8}', '\t', '\n', '\u{c}', '\r']).count();
        assert_eq!(escaped_len_max(text.as_bytes()), expected.len() + 4 * shorts);
    }

    #[test]
    fn every_ascii_character_at_every_offset_of_a_vector() {
        for character in 0..128_u8 {
            for offset in 0..40 {
                let text =
                    format!("{}{}{}", "a".repeat(offset), char::from(character), "b".repeat(40 - offset));
                check(&text);
            }
        }
    }

    #[test]
    fn all_specials_in_a_row_grow_as_far_as_they_must() {
        check(&"\u{1}".repeat(1000));
        check(&"\"\\".repeat(1000));
        check("");
    }

    #[test]
    fn bytes_that_are_not_utf8_become_one_replacement_each() {
        assert_eq!(escaped(b"a\xffb"), ("a\u{fffd}b".to_owned(), Escaped::Repaired));
        // A cut three-byte sequence: Go decodes byte by byte and replaces twice.
        assert_eq!(escaped(b"\xe2\x82\""), ("\u{fffd}\u{fffd}\\\"".to_owned(), Escaped::Repaired));
    }

    proptest! {
        #[test]
        fn property_any_text_is_escaped_as_serde_json_does(text in any::<String>()) {
            check(&text);
        }

        #[test]
        fn property_documents_with_quotes_controls_and_wide_characters(
            text in proptest::collection::vec(
                prop_oneof![Just('"'), Just('\\'), Just('\n'), Just('\u{0}'), Just('é'), Just('🚀'), any::<char>()], 0..400)
        ) {
            check(&text.into_iter().collect::<String>());
        }

        #[test]
        fn property_any_bytes_come_back_as_go_would_decode_them(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (text, _) = escaped(&bytes);
            let back: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            let mut expected = String::new();
            for chunk in bytes.utf8_chunks() {
                expected.push_str(chunk.valid());
                expected.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
            }
            prop_assert_eq!(back, expected);
        }
    }
}
