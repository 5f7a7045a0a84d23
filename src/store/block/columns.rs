//! Columns in memory: what has been decoded of them and not been used yet.

use super::page::{self, Number, Place, Reason, Values};
use super::schema::{flags, kind};
use crate::query::{Outcome, SegmentId, TraceId};
use bytes::Bytes;
use parquet::column::page::Page;
use std::collections::VecDeque;

/// A column that is filled page by page, and emptied from the front.
pub(super) trait Buffer: Default {
    /// Takes a dictionary page; it holds until the next one.
    fn dictionary(&mut self, page: Page) -> Result<(), Reason>;
    /// Takes the rows of a page.
    fn values(&mut self, values: Values) -> Result<(), Reason>;
    /// Number of rows.
    fn len(&self) -> usize;
    /// Forgets rows at the front.
    fn discard(&mut self, rows: usize);
    /// Forgets all rows but so many at the front.
    fn truncate(&mut self, rows: usize);
}

/// Texts, where they were decompressed.
#[derive(Debug, Default)]
pub(super) struct Texts {
    spans: Vec<Span>,
    /// Number of pages that have been dropped.
    dropped: u32,
    pages: VecDeque<Bytes>,
    dictionaries: Vec<Bytes>,
    places: Vec<Place>,
}

/// Where one text is.
#[derive(Debug, Clone, Copy)]
struct Span {
    page: u32,
    start: u32,
    end: u32,
}

/// Set in [`Span::page`] when a dictionary is meant.
const IN_DICTIONARY: u32 = 1 << 31;

/// [`Span::page`] of a null.
const NULL: u32 = u32::MAX;

impl Span {
    fn new(page: u32, place: &Place) -> Result<Self, Reason> {
        let number = |value| u32::try_from(value).map_err(|_| "a page is larger than 4 GB");
        Ok(Self { page, start: number(place.start)?, end: number(place.end)? })
    }
}

impl Texts {
    /// The bytes of a row; none when it is null or there is no such row.
    pub(super) fn bytes(&self, row: usize) -> Option<&[u8]> {
        self.place(row).map(|(bytes, place)| &bytes[place])
    }

    fn place(&self, row: usize) -> Option<(&Bytes, Place)> {
        let span = self.spans.get(row).filter(|span| span.page != NULL)?;
        let bytes = if span.page & IN_DICTIONARY == 0 {
            self.pages.get((span.page - self.dropped) as usize)?
        } else {
            self.dictionaries.get((span.page & !IN_DICTIONARY) as usize)?
        };
        Some((bytes, span.start as usize..span.end as usize))
    }

    /// The text of a row. One that is not UTF-8 is none: whoever wrote it, it was not us.
    pub(super) fn text(&self, row: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes(row)?).ok()
    }
}

impl Buffer for Texts {
    fn dictionary(&mut self, page: Page) -> Result<(), Reason> {
        if self.spans.is_empty() {
            self.dictionaries.clear();
        }
        let (bytes, places) = page::dictionary(page)?;
        self.dictionaries.push(bytes);
        self.places = places;
        Ok(())
    }

    fn values(&mut self, values: Values) -> Result<(), Reason> {
        let page = if values.are_in_dictionary() {
            u32::try_from(self.dictionaries.len()).unwrap_or(NULL).wrapping_sub(1) | IN_DICTIONARY
        } else {
            self.pages.push_back(values.bytes.clone());
            self.dropped + u32::try_from(self.pages.len()).unwrap_or(NULL) - 1
        };
        let spans = &mut self.spans;
        spans.reserve(values.rows());
        values.texts(&self.places, |place| {
            spans.push(match place {
                Some(place) => Span::new(page, &place)?,
                None => Span { page: NULL, start: 0, end: 0 },
            });
            Ok(())
        })
    }

    fn len(&self) -> usize {
        self.spans.len()
    }

    fn discard(&mut self, rows: usize) {
        self.spans.drain(..rows.min(self.spans.len()));
        let used = self.spans.iter().map(|span| span.page).filter(|page| page & IN_DICTIONARY == 0).min();
        let unused = used.map_or(self.pages.len(), |page| (page - self.dropped) as usize);
        self.pages.drain(..unused);
        self.dropped += u32::try_from(unused).unwrap_or_default();
    }

    fn truncate(&mut self, rows: usize) {
        self.spans.truncate(rows);
    }
}

/// Trace ids, which come sorted: an id is read only where it differs from the one before.
#[derive(Debug, Default)]
pub(super) struct TraceIds(pub(super) Vec<TraceId>);

impl Buffer for TraceIds {
    fn dictionary(&mut self, _: Page) -> Result<(), Reason> {
        Err("trace ids have a dictionary")
    }

    fn values(&mut self, values: Values) -> Result<(), Reason> {
        let mut known: Option<(Place, TraceId)> = None;
        values.texts(&[], |place| {
            let place = place.ok_or("a trace id is null")?;
            let id = match &known {
                Some((same, id)) if values.bytes[same.clone()] == values.bytes[place.clone()] => *id,
                _ => TraceId::parse_bytes(&values.bytes[place.clone()]).ok_or("a trace id is none")?,
            };
            if self.0.last().is_some_and(|last| *last > id) {
                return Err("trace ids are not sorted");
            }
            known = Some((place, id));
            self.0.push(id);
            Ok(())
        })
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn discard(&mut self, rows: usize) {
        self.0.drain(..rows.min(self.0.len()));
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }
}

/// Ids of segments.
#[derive(Debug, Default)]
pub(super) struct Ids(pub(super) Vec<Option<SegmentId>>);

impl Buffer for Ids {
    fn dictionary(&mut self, _: Page) -> Result<(), Reason> {
        Err("ids have a dictionary")
    }

    fn values(&mut self, values: Values) -> Result<(), Reason> {
        self.0.reserve(values.rows());
        values.texts(&[], |place| {
            let id = match place {
                Some(place) => {
                    let id = values.bytes.get(place).and_then(SegmentId::parse_bytes);
                    Some(id.ok_or("an id is none")?)
                }
                None => None,
            };
            self.0.push(id);
            Ok(())
        })
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn discard(&mut self, rows: usize) {
        self.0.drain(..rows.min(self.0.len()));
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }
}

/// Which rows are subsegments.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    pub(super) subsegments: Vec<bool>,
    dictionary: Bytes,
    places: Vec<Place>,
}

impl Buffer for Kinds {
    fn dictionary(&mut self, page: Page) -> Result<(), Reason> {
        (self.dictionary, self.places) = page::dictionary(page)?;
        Ok(())
    }

    fn values(&mut self, values: Values) -> Result<(), Reason> {
        let bytes = if values.are_in_dictionary() { &self.dictionary } else { &values.bytes };
        values.texts(&self.places, |place| {
            let text = &bytes[place.ok_or("a type is null")?];
            let subsegment = text == kind::SUBSEGMENT.as_bytes();
            if !subsegment && text != kind::SEGMENT.as_bytes() {
                return Err("a type is neither segment nor subsegment");
            }
            self.subsegments.push(subsegment);
            Ok(())
        })
    }

    fn len(&self) -> usize {
        self.subsegments.len()
    }

    fn discard(&mut self, rows: usize) {
        self.subsegments.drain(..rows.min(self.subsegments.len()));
    }

    fn truncate(&mut self, rows: usize) {
        self.subsegments.truncate(rows);
    }
}

/// A column of numbers.
#[derive(Debug)]
pub(super) struct Numbers<N> {
    rows: Vec<Option<N>>,
    dictionary: Vec<N>,
}

impl<N> Default for Numbers<N> {
    fn default() -> Self {
        Self { rows: Vec::new(), dictionary: Vec::new() }
    }
}

impl<N: Copy> Numbers<N> {
    pub(super) fn get(&self, row: usize) -> Option<N> {
        self.rows.get(row).copied().flatten()
    }
}

impl<N: Number> Buffer for Numbers<N> {
    fn dictionary(&mut self, page: Page) -> Result<(), Reason> {
        self.dictionary = page::number_dictionary(page)?;
        Ok(())
    }

    fn values(&mut self, values: Values) -> Result<(), Reason> {
        self.rows.reserve(values.rows());
        values.numbers(&self.dictionary, |number| self.rows.push(number))
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn discard(&mut self, rows: usize) {
        self.rows.drain(..rows.min(self.rows.len()));
    }

    fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }
}

/// What flags say.
pub(super) fn outcome(bits: i32) -> Outcome {
    let has = |bit| bits & bit != 0;
    Outcome { error: has(flags::ERROR), fault: has(flags::FAULT), throttle: has(flags::THROTTLE) }
}
