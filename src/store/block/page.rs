//! The values in a page, in the encodings that blocks are written in.
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

/// How values stand in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// Numbers of places in the dictionary.
    Dictionary,
    /// Numbers, each as its difference from the one before.
    Deltas,
    /// The lengths of all texts as such numbers, then all texts.
    Lengths,
}

/// A page of values.
#[derive(Debug)]
pub(super) struct Values {
    /// What places refer to.
    pub(super) bytes: Bytes,
    data: usize,
    form: Form,
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
        let form = match encoding {
            Encoding::PLAIN => Form::Plain,
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => Form::Dictionary,
            Encoding::DELTA_BINARY_PACKED => Form::Deltas,
            Encoding::DELTA_LENGTH_BYTE_ARRAY => Form::Lengths,
            _ => return Err(ODD),
        };
        let rows = usize::try_from(num_values).unwrap_or(usize::MAX);
        if rows > rows_max {
            return Err("a page has more rows than its row group");
        }
        let mut values = Self { bytes, data: 0, form, rows, present: None };
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
        self.form == Form::Dictionary
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
        match self.form {
            Form::Plain => plain_texts(&self.bytes, self.data, count, each),
            Form::Dictionary => self.in_dictionary(count, dictionary, |place, count| {
                (0..count).try_for_each(|_| each(place.clone()))
            }),
            Form::Lengths => self.joined_texts(count, each),
            Form::Deltas => Err(ODD),
        }
    }

    /// Shows what each value refers to, and how often it stands there.
    fn in_dictionary<T>(
        &self,
        count: usize,
        dictionary: &[T],
        mut each: impl FnMut(&T, usize) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let Some((&width, indexes)) = self.bytes.get(self.data..).and_then(<[u8]>::split_first) else {
            return if count == 0 { Ok(()) } else { Err(SHORT) };
        };
        Hybrid::new(indexes, width)?.each(count, |index, count| {
            let value = usize::try_from(index).ok().and_then(|index| dictionary.get(index));
            each(value.ok_or("a page refers to what is not in its dictionary")?, count)
        })
    }

    fn joined_texts(
        &self,
        count: usize,
        mut each: impl FnMut(Place) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let mut lengths = Vec::with_capacity(count);
        let rest = deltas(self.bytes.get(self.data..).ok_or(SHORT)?, count, |length| lengths.push(length))?;
        let mut at = self.bytes.len() - rest.len();
        for length in lengths {
            let length = usize::try_from(length).map_err(|_| "a text has a negative length")?;
            let end = at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(SHORT)?;
            each(at..end)?;
            at = end;
        }
        Ok(())
    }

    /// Shows the number of each row.
    pub(super) fn numbers<N: Number>(
        &self,
        dictionary: &[N],
        mut each: impl FnMut(Option<N>),
    ) -> Result<(), Reason> {
        let Some(present) = &self.present else {
            return self.present_numbers(self.rows, dictionary, |number| each(Some(number)));
        };
        let count = present.iter().filter(|present| **present).count();
        let mut numbers = Vec::with_capacity(count);
        self.present_numbers(count, dictionary, |number| numbers.push(number))?;
        let mut numbers = numbers.into_iter();
        for &present in present {
            each(if present { numbers.next() } else { None });
        }
        Ok(())
    }

    fn present_numbers<N: Number>(
        &self,
        count: usize,
        dictionary: &[N],
        mut each: impl FnMut(N),
    ) -> Result<(), Reason> {
        let data = self.bytes.get(self.data..).ok_or(SHORT)?;
        match self.form {
            Form::Plain => N::plain(data, count, each),
            Form::Dictionary => self.in_dictionary(count, dictionary, |number, count| {
                (0..count).for_each(|_| each(*number));
                Ok(())
            }),
            Form::Deltas => {
                let mut fits = true;
                deltas(data, count, |number| match N::from_long(number) {
                    Some(number) => each(number),
                    None => fits = false,
                })?;
                if fits { Ok(()) } else { Err(ODD) }
            }
            Form::Lengths => Err(ODD),
        }
    }
}

/// What numbers there are in blocks.
pub(super) trait Number: Copy {
    /// Shows so many numbers, as they stand one behind the other.
    fn plain(bytes: &[u8], count: usize, each: impl FnMut(Self)) -> Result<(), Reason>;
    /// From a number that was kept as a difference; floating point is not.
    fn from_long(long: i64) -> Option<Self>;
}

macro_rules! number {
    ($($number:ty, $from_long:expr;)*) => {$(
        impl Number for $number {
            fn plain(bytes: &[u8], count: usize, mut each: impl FnMut(Self)) -> Result<(), Reason> {
                let (numbers, _) = bytes.as_chunks();
                numbers.get(..count).ok_or(SHORT)?.iter().for_each(|bytes| each(Self::from_le_bytes(*bytes)));
                Ok(())
            }

            fn from_long(long: i64) -> Option<Self> {
                $from_long(long)
            }
        }
    )*};
}
number! {
    i32, |long| i32::try_from(long).ok();
    i64, Some;
    f64, |_| None;
}

/// The numbers in a dictionary page.
pub(super) fn number_dictionary<N: Number>(page: Page) -> Result<Vec<N>, Reason> {
    let Page::DictionaryPage { buf, num_values, .. } = page else { return Err(ODD) };
    let mut numbers = Vec::new();
    N::plain(&buf, usize::try_from(num_values).unwrap_or(usize::MAX), |number| numbers.push(number))?;
    Ok(numbers)
}

/// The places of the texts in a dictionary page, and what they refer to.
pub(super) fn dictionary(page: Page) -> Result<(Bytes, Vec<Place>), Reason> {
    let Page::DictionaryPage { buf, num_values, encoding, .. } = page else { return Err(ODD) };
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

/// Shows numbers that stand as their differences (`DELTA_BINARY_PACKED`): blocks of miniblocks, whose differences are
/// packed in as few bits as the largest needs. Gives what stands behind them.
fn deltas(bytes: &[u8], count: usize, mut each: impl FnMut(i64)) -> Result<&[u8], Reason> {
    let mut hybrid = Hybrid { bytes, width: 0 };
    let block = usize::try_from(hybrid.varint()?).map_err(|_| ODD)?;
    let miniblocks = usize::try_from(hybrid.varint()?).map_err(|_| ODD)?;
    if miniblocks == 0
        || miniblocks > 64
        || block > 1 << 16
        || !block.is_multiple_of(miniblocks * 8)
        || block == 0
    {
        return Err(ODD);
    }
    let total = usize::try_from(hybrid.varint()?).map_err(|_| ODD)?;
    if total != count {
        return Err("a page has not as many numbers as rows");
    }
    let mut number = zigzag(hybrid.varint()?);
    if count > 0 {
        each(number);
    }
    let mut left = count.saturating_sub(1);
    while left > 0 {
        let least = zigzag(hybrid.varint()?);
        for &width in hybrid.take(miniblocks)?.iter().take(left.div_ceil(block / miniblocks)) {
            let values = block / miniblocks;
            let packed = hybrid.take(values / 8 * usize::from(width))?;
            let here = values.min(left);
            unpack(packed, width, here, |difference| {
                number = number.wrapping_add(least).wrapping_add(difference.cast_signed());
                each(number);
            })?;
            left -= here;
        }
    }
    Ok(hybrid.bytes)
}

fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Shows so many numbers of so many bits, the lowest bits first.
fn unpack(packed: &[u8], width: u8, count: usize, mut each: impl FnMut(u64)) -> Result<(), Reason> {
    if width > 64 || packed.len() * 8 < count * usize::from(width) {
        return Err(SHORT);
    }
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let (words, rest) = packed.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    let (mut bits, mut have) = (0_u128, 0);
    for _ in 0..count {
        if have < width {
            bits |= u128::from(words.next().ok_or(SHORT)?) << have;
            have += 64;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the mask leaves no more")]
        each(bits as u64 & mask);
        bits >>= width;
        have -= width;
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

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Reason> {
        let (taken, rest) = self.bytes.split_at_checked(bytes).ok_or(SHORT)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Reason> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
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
        let value = self.take(usize::from(self.width.div_ceil(8)))?;
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
        let packed = self.take(count.div_ceil(8) * usize::from(self.width))?;
        let mut result = Ok(());
        unpack(packed, self.width, count, |value| {
            if result.is_ok() {
                result = each(value, 1);
            }
        })?;
        result?;
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
        assert_eq!(hybrid(&[0xff; 10], 1, 8), Err("a page has a number without an end"));
        assert_eq!(hybrid(&[2, 1], 33, 1), Err(ODD));
        assert_eq!(hybrid(&[2, 1], 1, 2), Err(SHORT));
        let mut places = Vec::new();
        let found = plain_texts(&[1, 0, 0, 0, b'a', 9, 0, 0, 0, b'b'], 0, 2, |place| {
            places.push(place);
            Ok(())
        });
        assert_eq!(found, Err(SHORT));
        assert_eq!(places.first(), Some(&(4..5)));
    }

    fn differences(bytes: &[u8], count: usize) -> Result<(Vec<i64>, usize), Reason> {
        let mut numbers = Vec::new();
        deltas(bytes, count, |number| numbers.push(number)).map(|rest| (numbers, rest.len()))
    }

    /// The first two are the examples of the format's own description, with blocks of 8 numbers.
    #[test]
    fn differences_are_added_up() {
        assert_eq!(differences(&[8, 1, 5, 2, 2, 0, 99], 5), Ok((vec![1, 2, 3, 4, 5], 1)));
        let falling = [8, 1, 8, 14, 3, 2, 0xc0, 0x3f, 99];
        assert_eq!(differences(&falling, 8), Ok((vec![7, 5, 3, 1, 2, 3, 4, 5], 1)));
        assert_eq!(differences(&[8, 1, 1, 1], 1), Ok((vec![-1], 0)));
        assert_eq!(differences(&[8, 1, 0, 0], 0), Ok((vec![], 0)));
        assert_eq!(differences(&falling, 7), Err("a page has not as many numbers as rows"));
        assert_eq!(differences(&falling[..7], 8), Err(SHORT));
        assert_eq!(differences(&[8, 1, 8, 14, 3, 65], 8), Err(SHORT));
        assert_eq!(differences(&[8, 0, 8, 14], 8), Err(ODD));
        assert_eq!(differences(&[0, 1, 8, 14], 8), Err(ODD));
        assert_eq!(differences(&[12, 1, 8, 14], 8), Err(ODD));
    }
}
