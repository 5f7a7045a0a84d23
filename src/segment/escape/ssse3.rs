//! The vector escaper: SSSE3, which every x86-64 server processor since 2006 has.
//!
//! Per 16 bytes: one comparison finds the bytes that need escaping. None: store and go on. Otherwise each half
//! of eight bytes is expanded by one `pshufb`, whose index comes from a table of 256 entries (one bit for
//! each byte that is a quote or a backslash): the shuffle repeats such a byte, and the table's second half turns the first
//! copy into a backslash. Control bytes are rare in documents; a half that has one is written byte by byte.

#![expect(unsafe_code, reason = "vector instructions; compared with the safe escaper by property tests")]

use super::{escape_of, portable};
use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8, _mm_shuffle_epi8, _mm_srli_si128, _mm_storeu_si128,
};

/// Bytes a group of 16 can become: all control characters, six bytes each.
const GROUP_MAX_BYTES: usize = 16 * 6;

/// How one group of eight is expanded.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Expansion {
    /// Source index of each output byte.
    shuffle: [u8; 16],
    /// 0xff where the output byte is the inserted backslash.
    backslash: [u8; 16],
}

/// Indexed by the mask of the bytes to be escaped in a group of eight.
static EXPANSIONS: [Expansion; 256] = expansions();

const fn expansions() -> [Expansion; 256] {
    let mut table = [Expansion { shuffle: [0x80; 16], backslash: [0; 16] }; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut from, mut to) = (0_u8, 0);
        while from < 8 {
            if mask >> from & 1 == 1 {
                // 0x80 makes the shuffle write 0, so that the backslash can be or-ed in.
                table[mask].backslash[to] = 0xff;
                to += 1;
            }
            table[mask].shuffle[to] = from;
            to += 1;
            from += 1;
        }
        mask += 1;
    }
    table
}

/// Appends `text`, escaped for the inside of a JSON string, to `out`. Call only where SSSE3 was detected.
pub(super) fn append(text: &str, out: &mut Vec<u8>) {
    // SAFETY: the caller has detected SSSE3.
    unsafe { append_ssse3(text, out) }
}

#[target_feature(enable = "ssse3")]
fn append_ssse3(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let (groups, tail) = bytes.split_at(bytes.len() & !15);
    let mut done = 0;
    while done < groups.len() {
        // Room for the rest at its usual growth, and for this run's worst case, checked once for each run.
        out.reserve((groups.len() - done) * 5 / 4 + 2 * GROUP_MAX_BYTES);
        // SAFETY: `groups[done..]` has a multiple of 16 bytes, and the spare capacity was just reserved.
        let (read, written) = unsafe { expand(&groups[done..], out.spare_capacity_mut()) };
        let length = out.len() + written;
        // SAFETY: `expand` initialised the first `written` bytes of the spare capacity.
        unsafe { out.set_len(length) };
        done += read;
    }
    portable::append_bytes(tail, out);
}

/// Expands groups of 16 until the input ends or the output might not hold another. Returns bytes read and written.
#[target_feature(enable = "ssse3")]
unsafe fn expand(input: &[u8], output: &mut [std::mem::MaybeUninit<u8>]) -> (usize, usize) {
    debug_assert!(input.len().is_multiple_of(16));
    let quote = _mm_set1_epi8(0x22);
    let backslash = _mm_set1_epi8(0x5c);
    let control = _mm_set1_epi8(0x1f);
    let (mut read, mut written) = (0, 0);
    let to = output.as_mut_ptr().cast::<u8>();
    while read < input.len() && output.len() - written >= GROUP_MAX_BYTES {
        // SAFETY: `read` is a multiple of 16 below the length, itself a multiple of 16.
        let group = unsafe { _mm_loadu_si128(input.as_ptr().add(read).cast()) };
        let specials = _mm_or_si128(_mm_cmpeq_epi8(group, quote), _mm_cmpeq_epi8(group, backslash));
        let controls = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(group, control), control));
        let mask = _mm_movemask_epi8(specials).cast_unsigned() as usize;
        // SAFETY: each half writes 16 bytes at most 16 behind `written`, and GROUP_MAX_BYTES are free.
        unsafe {
            if mask | controls.cast_unsigned() as usize == 0 {
                _mm_storeu_si128(to.add(written).cast(), group);
                written += 16;
            } else if controls == 0 {
                written += expand_half(group, mask & 0xff, to.add(written));
                written += expand_half(_mm_srli_si128::<8>(group), mask >> 8, to.add(written));
            } else {
                for &byte in &input[read..read + 16] {
                    written += write_one(byte, to.add(written));
                }
            }
        }
        read += 16;
    }
    (read, written)
}

/// Writes 16 bytes at `to`, of which the returned number count.
#[inline]
#[target_feature(enable = "ssse3")]
unsafe fn expand_half(group: __m128i, mask: usize, to: *mut u8) -> usize {
    let expansion = &EXPANSIONS[mask];
    // SAFETY: both table rows have 16 bytes; the caller promises 16 writable bytes at `to`.
    unsafe {
        let shuffle = _mm_loadu_si128(expansion.shuffle.as_ptr().cast());
        let inserted = _mm_loadu_si128(expansion.backslash.as_ptr().cast());
        let expanded = _mm_shuffle_epi8(group, shuffle);
        let slashes = _mm_and_si128(inserted, _mm_set1_epi8(0x5c));
        _mm_storeu_si128(to.cast(), _mm_or_si128(expanded, slashes));
    }
    8 + mask.count_ones() as usize
}

/// Writes one byte, escaped if it must be, at `to`, where six bytes are free. Returns how many it wrote.
#[inline]
unsafe fn write_one(byte: u8, to: *mut u8) -> usize {
    if byte >= 0x20 && byte != b'"' && byte != b'\\' {
        // SAFETY: the caller promises room.
        unsafe { to.write(byte) };
        return 1;
    }
    let (escape, length) = escape_of(byte);
    // SAFETY: the caller promises room for six bytes; an escape has at most six.
    unsafe { std::ptr::copy_nonoverlapping(escape.as_ptr(), to, length) };
    length
}
