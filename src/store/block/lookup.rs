//! Fetching single traces from a block: as few pages as possible are read and decompressed.

use super::page::Values;
use super::scan::seconds;
use super::schema::Column;
use super::{Block, BlockError, guarded};
use crate::query::{Stored, TraceId};
use bytes::Bytes;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::SerializedPageReader;
use std::ops::Range;
use std::sync::Arc;

impl Block {
    /// Shows all documents of these traces, which come sorted.
    ///
    /// # Errors
    /// When the block is damaged. What could be read has been shown.
    pub fn documents(
        &self,
        traces: &[TraceId],
        mut each: impl FnMut(TraceId, Stored),
    ) -> Result<(), BlockError> {
        let mut damaged = None;
        let mut show = |found: Vec<(TraceId, Stored)>| {
            for (trace, stored) in found {
                each(trace, stored);
            }
        };
        for (group, known) in self.groups.iter().enumerate() {
            let begin = traces.partition_point(|trace| *trace < known.first);
            let end = traces.partition_point(|trace| *trace <= known.last);
            let within = traces.get(begin..end).unwrap_or_default();
            if within.is_empty() {
                continue;
            }
            if let Ok(found) = guarded(|| self.documents_in(group, within)) {
                show(found);
                continue;
            }
            // What is damaged may be a page that only one of them needs.
            for trace in within {
                match guarded(|| self.documents_in(group, std::slice::from_ref(trace))) {
                    Ok(found) => show(found),
                    Err(reason) => damaged = Some(reason),
                }
            }
        }
        damaged.map_or(Ok(()), |reason| Err(self.damaged(reason)))
    }

    /// Of all traces at once: to begin reading a column costs as much as some pages of it.
    fn documents_in(&self, group: usize, traces: &[TraceId]) -> Result<Vec<(TraceId, Stored)>, String> {
        let ids = self.metadata.row_group(group).column(Column::TraceId.index());
        let filter = Sbbf::read_from_column_chunk(ids, &*self.handle).map_err(|error| error.to_string())?;
        let may_be_here = |text: &String| filter.as_ref().is_none_or(|filter| filter.check(text.as_str()));
        let wanted = traces.iter().map(|trace| (*trace, trace.to_string()));
        let wanted: Vec<_> = wanted.filter(|(_, text)| may_be_here(text)).collect();
        let found = self.rows_with(group, &wanted)?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<_> = found.iter().map(|(_, rows)| rows.clone()).collect();
        let traces = found.iter().flat_map(|(trace, rows)| rows.clone().map(|_| *trace));
        let mut documents = Vec::new();
        self.texts(group, Column::Document, &rows, |_, document| {
            documents.push(Bytes::copy_from_slice(document));
        })?;
        let sequences = self.longs(group, Column::Sequence, &rows)?;
        let received = self.longs(group, Column::ReceivedAt, &rows)?;
        let stored = documents.into_iter().zip(sequences).zip(received);
        let stored = stored.map(|((document, sequence), received)| Stored {
            sequence: sequence.cast_unsigned(),
            received_at: seconds(received),
            document,
        });
        Ok(traces.zip(stored).collect())
    }

    /// The rows of traces, which come sorted, as their rows do. Those of one stand together.
    fn rows_with(
        &self,
        group: usize,
        wanted: &[(TraceId, String)],
    ) -> Result<Vec<(TraceId, Range<usize>)>, String> {
        let spans = self.spans_of(group, wanted)?;
        let mut found: Vec<(TraceId, Range<usize>)> = Vec::new();
        let mut wanted = wanted.iter().peekable();
        self.texts(group, Column::TraceId, &spans, |row, id| {
            while wanted.next_if(|(_, text)| text.as_bytes() < id).is_some() {}
            let Some((trace, _)) = wanted.peek().filter(|(_, text)| text.as_bytes() == id) else { return };
            match found.last_mut() {
                Some((last, rows)) if last == trace => rows.end = row + 1,
                _ => found.push((*trace, row..row + 1)),
            }
        })?;
        Ok(found)
    }

    /// The rows of the pages that may hold these traces.
    fn spans_of(&self, group: usize, wanted: &[(TraceId, String)]) -> Result<Vec<Range<usize>>, String> {
        let index = self.metadata.page_index_for_row_group(group);
        let Some(ColumnIndexMetaData::BYTE_ARRAY(ranges)) = index.column_index(Column::TraceId.index())
        else {
            return Err("trace ids have no page index".to_owned());
        };
        let locations = self.locations(group, Column::TraceId)?;
        let all = self.groups[group].rows;
        let may_hold = |page: usize| {
            let first = ranges.min_value(page).unwrap_or_default();
            let from = wanted.partition_point(|(_, text)| text.as_bytes() < first);
            let last = ranges.max_value(page);
            wanted.get(from).is_some_and(|(_, text)| last.is_none_or(|last| text.as_bytes() <= last))
        };
        let pages = usize::try_from(ranges.num_pages()).unwrap_or_default();
        Ok((0..pages).filter(|&page| may_hold(page)).map(|page| page_rows(locations, page, all)).collect())
    }

    fn locations(&self, group: usize, column: Column) -> Result<&[PageLocation], String> {
        let index = self.metadata.page_index().and_then(|index| index.offset_index(group, column.index()));
        let index = index.ok_or_else(|| format!("column {} has no page index", column.name()))?;
        Ok(index.page_locations())
    }

    /// Shows the texts of these rows, which come sorted, with their numbers.
    fn texts(
        &self,
        group: usize,
        column: Column,
        rows: &[Range<usize>],
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<(), String> {
        let mut wanted = Wanted { rows };
        self.read_rows(group, column, rows, |mut row, values| {
            values.texts(&[], |place| {
                if wanted.has(row) {
                    each(row, place.map(|place| &values.bytes[place]).unwrap_or_default());
                }
                row += 1;
                Ok(())
            })
        })
    }

    fn longs(&self, group: usize, column: Column, rows: &[Range<usize>]) -> Result<Vec<i64>, String> {
        let mut longs = Vec::with_capacity(rows.iter().map(Range::len).sum());
        let mut wanted = Wanted { rows };
        self.read_rows(group, column, rows, |mut row, values| {
            values.numbers(&[], |long: Option<i64>| {
                if wanted.has(row) {
                    longs.push(long.unwrap_or_default());
                }
                row += 1;
            })
        })?;
        Ok(longs)
    }

    /// Shows the pages with these rows, and the number of the first row of each.
    fn read_rows(
        &self,
        group: usize,
        column: Column,
        rows: &[Range<usize>],
        mut each: impl FnMut(usize, &Values) -> Result<(), super::page::Reason>,
    ) -> Result<(), String> {
        let damaged = |reason: &dyn std::fmt::Display| format!("column {}: {reason}", column.name());
        let all = self.groups[group].rows;
        let locations = self.locations(group, column)?;
        let mut pages = SerializedPageReader::new_with_properties(
            Arc::clone(&self.handle),
            self.metadata.row_group(group).column(column.index()),
            all,
            Some(locations.to_vec()),
            Arc::clone(&self.properties),
        )
        .map_err(|error| damaged(&error))?;
        let mut wanted = Wanted { rows };
        for page in 0..locations.len() {
            let here = page_rows(locations, page, all);
            let Some(next) = wanted.next(here.start) else { break };
            if next.start >= here.end {
                pages.skip_next_page().map_err(|error| damaged(&error))?;
                continue;
            }
            let found = pages.get_next_page().map_err(|error| damaged(&error))?;
            let found = found.ok_or_else(|| damaged(&"it ends too soon"))?;
            let values = Values::of(found, column.is_optional(), all).map_err(|reason| damaged(&reason))?;
            if values.rows() != here.len() {
                return Err(damaged(&"its page index is wrong"));
            }
            each(here.start, &values).map_err(|reason| damaged(&reason))?;
        }
        Ok(())
    }
}

/// Rows that are wanted, sorted. They are gone through once.
struct Wanted<'r> {
    rows: &'r [Range<usize>],
}

impl<'r> Wanted<'r> {
    /// The first that ends behind a row.
    fn next(&mut self, row: usize) -> Option<&'r Range<usize>> {
        while let [first, rest @ ..] = self.rows {
            if first.end > row {
                return Some(first);
            }
            self.rows = rest;
        }
        None
    }

    fn has(&mut self, row: usize) -> bool {
        self.next(row).is_some_and(|rows| rows.start <= row)
    }
}

fn page_rows(locations: &[PageLocation], page: usize, all: usize) -> Range<usize> {
    let first = |page: usize| {
        let location = locations.get(page).map(|location| usize::try_from(location.first_row_index));
        location.map_or(all, |first| first.unwrap_or_default().min(all))
    };
    first(page)..first(page + 1)
}
