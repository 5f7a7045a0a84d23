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
        for &trace in traces {
            let first = self.groups.partition_point(|group| group.last < trace);
            let groups = self.groups.iter().enumerate().skip(first);
            for (group, _) in groups.take_while(|(_, group)| group.first <= trace) {
                match guarded(|| self.documents_in(group, trace)) {
                    Ok(found) => found.into_iter().for_each(|stored| each(trace, stored)),
                    Err(reason) => damaged = Some(reason),
                }
            }
        }
        damaged.map_or(Ok(()), |reason| Err(self.damaged(reason)))
    }

    fn documents_in(&self, group: usize, trace: TraceId) -> Result<Vec<Stored>, String> {
        let text = trace.to_string();
        let ids = self.metadata.row_group(group).column(Column::TraceId.index());
        let filter = Sbbf::read_from_column_chunk(ids, &*self.handle).map_err(|error| error.to_string())?;
        if filter.is_some_and(|filter| !filter.check(text.as_str())) {
            return Ok(Vec::new());
        }
        let rows = self.rows_with(group, &text)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut documents = Vec::with_capacity(rows.len());
        self.texts(group, Column::Document, &rows, |document| {
            documents.push(Bytes::copy_from_slice(document));
        })?;
        let sequences = self.longs(group, Column::Sequence, &rows)?;
        let received = self.longs(group, Column::ReceivedAt, &rows)?;
        let rows = documents.into_iter().zip(sequences).zip(received);
        Ok(rows
            .map(|((document, sequence), received)| Stored {
                sequence: sequence.cast_unsigned(),
                received_at: seconds(received),
                document,
            })
            .collect())
    }

    /// The rows of a trace. They stand together.
    fn rows_with(&self, group: usize, text: &str) -> Result<Range<usize>, String> {
        let index = self.metadata.page_index_for_row_group(group);
        let Some(ColumnIndexMetaData::BYTE_ARRAY(ranges)) = index.column_index(Column::TraceId.index())
        else {
            return Err("trace ids have no page index".to_owned());
        };
        let may_hold = |page: usize| {
            let (first, last) = (ranges.min_value(page), ranges.max_value(page));
            first.is_none_or(|first| first <= text.as_bytes())
                && last.is_none_or(|last| text.as_bytes() <= last)
        };
        let pages = usize::try_from(ranges.num_pages()).unwrap_or_default();
        let Some(first) = (0..pages).find(|&page| may_hold(page)) else { return Ok(0..0) };
        let last = (first..pages).take_while(|&page| may_hold(page)).last().unwrap_or(first);
        let locations = self.locations(group, Column::TraceId)?;
        let all = self.groups[group].rows;
        let start = page_rows(locations, first, all).start;
        let span = start..page_rows(locations, last, all).end;
        let (mut row, mut found) = (span.start, None::<Range<usize>>);
        self.texts(group, Column::TraceId, &span, |id| {
            if id == text.as_bytes() {
                let start = found.as_ref().map_or(row, |found| found.start);
                found = Some(start..row + 1);
            }
            row += 1;
        })?;
        Ok(found.unwrap_or(0..0))
    }

    fn locations(&self, group: usize, column: Column) -> Result<&[PageLocation], String> {
        let index = self.metadata.page_index().and_then(|index| index.offset_index(group, column.index()));
        let index = index.ok_or_else(|| format!("column {} has no page index", column.name()))?;
        Ok(index.page_locations())
    }

    fn texts(
        &self,
        group: usize,
        column: Column,
        rows: &Range<usize>,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), String> {
        self.read_rows(group, column, rows, |mut row, values| {
            values.texts(&[], |place| {
                if rows.contains(&row) {
                    each(place.map(|place| &values.bytes[place]).unwrap_or_default());
                }
                row += 1;
                Ok(())
            })
        })
    }

    fn longs(&self, group: usize, column: Column, rows: &Range<usize>) -> Result<Vec<i64>, String> {
        let mut longs = Vec::with_capacity(rows.len());
        self.read_rows(group, column, rows, |mut row, values| {
            values.numbers(&[], |long: Option<i64>| {
                if rows.contains(&row) {
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
        rows: &Range<usize>,
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
        for page in 0..locations.len() {
            let here = page_rows(locations, page, all);
            if here.start >= rows.end {
                break;
            }
            if here.end <= rows.start {
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

fn page_rows(locations: &[PageLocation], page: usize, all: usize) -> Range<usize> {
    let first = |page: usize| {
        let location = locations.get(page).map(|location| usize::try_from(location.first_row_index));
        location.map_or(all, |first| first.unwrap_or_default().min(all))
    };
    first(page)..first(page + 1)
}
