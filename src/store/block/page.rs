//! The values in a page, as blocks are written: plain, or places in a dictionary.
//!
//! The crate's own readers make one owned value of each; here values stay where they were decompressed. Pages come
//! from files, so nothing in them is believed.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use std::ops::Range;

/// Why a page cannot be read.
pub(super) type Reason = &'static str;

const SHORT: Reason = "a page ends too soon";
const ODD: Reason = "a page has an encoding that blocks do not have";

/// Where texts are in the page they came from.
pub(super) type Place = Range<usize>;

/// A page of values.
#[derive(Debug)]
pub(super) struct Values {
    /// What places refer to.
    pub(super) bytes: Bytes,
    data: usize,
    in_dictionary: bool,
    rows: usize,
    /// Which rows have a value; none when all have.
    present: Option<Vec<bool>>,
}

impl Values {
    /// The values of a data page. `rows_max` is how many the column still has.
    pub(super) fn of(page: Page, optional: bool, rows_max: usize) -> Result<Self, Reason> {
        let Page::DataPage { buf: bytes, num_values, encoding, def_level_encoding, .. } = page else {
            return Err(ODD);
        };
        let in_dictionary = match encoding {
            Encoding::PLAIN => false,
            #[expect(deprecated, reason = "the format's first version calls it so")]
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => true,
            _ => return Err(ODD),
        };
        let rows = usize::try_from(num_values).unwrap_or(usize::MAX);
        if rows > rows_max {
            return Err("a page has more rows than its row group");
        }
        let mut values = Self { bytes, data: 0, in_dictionary, rows, present: None };
        if optional {
            if def_level_encoding != Encoding::RLE {
                return Err(ODD);
            }
            values.levels()?;
        }
        Ok(values)
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether places refer to the dictionary.
    pub(super) fn are_in_dictionary(&self) -> bool {
        self.in_dictionary
    }

    fn levels(&mut self) -> Result<(), Reason> {
        let length = length(&self.bytes, 0)?;
        let levels = self.bytes.get(4..4 + length).ok_or(SHORT)?;
        let mut present = Vec::with_capacity(self.rows);
        Hybrid::new(levels, 1)?.each(self.rows, |level, count| {
            present.resize(present.len() + count, level == 1);
            Ok(())
        })?;
        self.data = 4 + length;
        self.present = present.contains(&false).then_some(present);
        Ok(())
    }

    /// Shows the place of the text of each row.
    pub(super) fn texts(
        &self,
        dictionary: &[Place],
        mut each: impl FnMut(Option<Place>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let Some(present) = &self.present else {
            return self.present_texts(self.rows, dictionary, |place| each(Some(place)));
        };
        let (mut row, count) = (0, present.iter().filter(|present| **present).count());
        self.present_texts(count, dictionary, |place| {
            while !present[row] {
                row += 1;
                each(None)?;
            }
            row += 1;
            each(Some(place))
        })?;
        (row..self.rows).try_for_each(|_| each(None))
    }

    fn present_texts(
        &self,
        count: usize,
        dictionary: &[Place],
        mut each: impl FnMut(Place) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        if !self.in_dictionary {
            return plain_texts(&self.bytes, self.data, count, each);
        }
        let Some((&width, indexes)) = self.bytes.get(self.data..).and_then(<[u8]>::split_first) else {
            return if count == 0 { Ok(()) } else { Err(SHORT) };
        };
        Hybrid::new(indexes, width)?.each(count, |index, count| {
            let place = usize::try_from(index).ok().and_then(|index| dictionary.get(index));
            let place = place.ok_or("a page refers to what is not in its dictionary")?;
            (0..count).try_for_each(|_| each(place.clone()))
        })
    }

    /// Shows the number of each row, little-endian.
    pub(super) fn numbers<const N: usize>(
        &self,
        mut each: impl FnMut(Option<[u8; N]>),
    ) -> Result<(), Reason> {
        if self.in_dictionary {
            return Err(ODD);
        }
        let (numbers, _) = self.bytes.get(self.data..).ok_or(SHORT)?.as_chunks::<N>();
        let mut numbers = numbers.iter().copied();
        for row in 0..self.rows {
            let present = self.present.as_ref().is_none_or(|present| present[row]);
            each(if present { Some(numbers.next().ok_or(SHORT)?) } else { None });
        }
        Ok(())
    }
}

/// The places of the texts in a dictionary page, and what they refer to.
pub(super) fn dictionary(page: Page) -> Result<(Bytes, Vec<Place>), Reason> {
    let Page::DictionaryPage { buf, num_values, encoding, .. } = page else { return Err(ODD) };
    #[expect(deprecated, reason = "the format's first version calls it so")]
    if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
        return Err(ODD);
    }
    let mut places = Vec::new();
    let count = usize::try_from(num_values).unwrap_or(usize::MAX);
    plain_texts(&buf, 0, count, |place| {
        places.push(place);
        Ok(())
    })?;
    Ok((buf, places))
}

fn length(bytes: &[u8], at: usize) -> Result<usize, Reason> {
    let length = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).ok_or(SHORT)?;
    // On a 32-bit machine two such lengths could be more than the address space has.
    usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= bytes.len()).ok_or(SHORT)
}

fn plain_texts(
    bytes: &[u8],
    mut at: usize,
    count: usize,
    mut each: impl FnMut(Place) -> Result<(), Reason>,
) -> Result<(), Reason> {
    for _ in 0..count {
        let start = at + 4;
        let end = start + length(bytes, at)?;
        if end > bytes.len() {
            return Err(SHORT);
        }
        each(start..end)?;
        at = end;
    }
    Ok(())
}

/// Parquet's mix of runs and packed bits.
struct Hybrid<'a> {
    bytes: &'a [u8],
    width: u8,
}

impl<'a> Hybrid<'a> {
    fn new(bytes: &'a [u8], width: u8) -> Result<Self, Reason> {
        if width <= 32 { Ok(Self { bytes, width }) } else { Err(ODD) }
    }

    /// Shows each value, and how often it stands there.
    fn each(
        &mut self,
        count: usize,
        mut each: impl FnMut(u64, usize) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let mut left = count;
        while left > 0 {
            let header = self.varint()?;
            let run = usize::try_from(header >> 1).unwrap_or(usize::MAX);
            if header & 1 == 0 {
                let run = run.min(left);
                each(self.value()?, run)?;
                left -= run;
                if run == 0 {
                    return Err("a page has a run of nothing");
                }
            } else {
                left -= self.packed(run.saturating_mul(8).min(left), &mut each)?;
            }
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Reason> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let (&byte, rest) = self.bytes.split_first().ok_or(SHORT)?;
            self.bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a page has a number without an end")
    }

    fn value(&mut self) -> Result<u64, Reason> {
        let (value, rest) = self.bytes.split_at_checked(usize::from(self.width.div_ceil(8))).ok_or(SHORT)?;
        self.bytes = rest;
        Ok(value.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// Eight values have as many bytes as one has bits.
    fn packed(
        &mut self,
        count: usize,
        each: &mut impl FnMut(u64, usize) -> Result<(), Reason>,
    ) -> Result<usize, Reason> {
        if count == 0 {
            return Err("a page has a run of nothing");
        }
        let width = usize::from(self.width);
        let mask = (1_u64 << width) - 1;
        let (packed, rest) = self.bytes.split_at_checked(count.div_ceil(8) * width).ok_or(SHORT)?;
        self.bytes = rest;
        let mut packed = packed.iter();
        let (mut bits, mut have) = (0_u64, 0);
        for _ in 0..count {
            while have < width {
                bits |= u64::from(*packed.next().ok_or(SHORT)?) << have;
                have += 8;
            }
            each(bits & mask, 1)?;
            bits >>= width;
            have -= width;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hybrid(bytes: &[u8], width: u8, count: usize) -> Result<Vec<u64>, Reason> {
        let mut values = Vec::new();
        Hybrid::new(bytes, width)?.each(count, |value, count| {
            values.resize(values.len() + count, value);
            Ok(())
        })?;
        Ok(values)
    }

    /// The first two are the examples of the format's own description.
    #[test]
    fn runs_and_packed_bits_are_read() {
        assert_eq!(hybrid(&[3, 0x88, 0xc6, 0xfa], 3, 8), Ok(vec![0, 1, 2, 3, 4, 5, 6, 7]));
        assert_eq!(hybrid(&[8, 1, 4, 0], 1, 6), Ok(vec![1, 1, 1, 1, 0, 0]));
        assert_eq!(hybrid(&[3, 0b101], 1, 3), Ok(vec![1, 0, 1]), "the last group is not full");
        assert_eq!(hybrid(&[0x80, 1, 0x12, 0x01], 9, 64), Ok(vec![0x112; 64]));
        assert_eq!(hybrid(&[6], 0, 3), Ok(vec![0; 3]), "a dictionary of one needs no bits");
        assert_eq!(hybrid(&[], 1, 0), Ok(vec![]));
    }

    #[test]
    fn bytes_that_are_no_page_are_refused() {
        assert_eq!(hybrid(&[3, 0x88], 3, 8), Err(SHORT));
        assert_eq!(hybrid(&[0, 1], 1, 8), Err("a page has a run of nothing"));
        assert_eq!(hybrid(&[1, 1], 1, 8), Err("a page has a run of nothing"));
        assert_eq!(hybrid(&[0xff; 9], 1, 8), Err("a page has a number without an end"));
        assert_eq!(hybrid(&[2, 1], 33, 1), Err(ODD));
        assert_eq!(hybrid(&[2, 1], 1, 2), Err(SHORT));
        let mut places = Vec::new();
        let found = plain_texts(&[1, 0, 0, 0, b'a', 9, 0, 0, 0, b'b'], 0, 2, |place| {
            places.push(place);
            Ok(())
        });
        assert_eq!((found, places), (Err(SHORT), vec![4..5]));
    }
}
