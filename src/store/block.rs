//! Blocks: files of documents that are not written to any more, in the Parquet format.
//!
//! What stands in them is said in `schema`; merging several is left to [`merge`](super::merge).
//!
//! Files are not believed: whatever is wrong with one is [`BlockError::Damaged`]. The crate that reads Parquet panics on
//! some files that are damaged, so what it does with a file is done under `guarded`.

mod columns;
mod handle;
mod lookup;
mod page;
pub(crate) mod scan;
mod schema;
#[cfg(test)]
pub(crate) mod tests;
mod write;

pub use write::write;
pub(crate) use write::{Limits, Writer};

use super::kept::Kept;
use crate::query::{By, TraceId, Window};
use handle::Handle;
use parquet::file::metadata::{
    ColumnChunkMask, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::properties::{ReaderProperties, ReaderPropertiesPtr};
use parquet::file::statistics::Statistics;
use scan::{Scan, seconds};
use schema::{COLUMNS, Column};
use std::fmt;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How far apart in time the documents of one trace may be. A trace is shown whole when it is shown, as long as its
/// documents start, end and were received within so many seconds of each other; what is farther from the window of a
/// query is not read. X-Ray itself puts an end to traces that go on for long.
pub const TRACE_SECONDS_MAX: f64 = 3600.0;

/// Rows of a row group that are believed: many times what is written. What a damaged footer says beyond it is not worth
/// the memory.
const GROUP_ROWS_MAX: usize = 1 << 20;

/// What a block holds. All of it can be had from the file again.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Number of documents.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// First and last trace id. None when there are no rows.
    pub trace_ids: Option<(TraceId, TraceId)>,
    /// Lowest and highest sequence.
    pub sequences: Option<(u64, u64)>,
    /// Earliest and latest start, seconds since 1970.
    pub starts: Option<(f64, f64)>,
    /// Earliest and latest end. None when all are in progress.
    pub ends: Option<(f64, f64)>,
    /// Earliest and latest receipt.
    pub receipts: Option<(f64, f64)>,
}

/// Why a block cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// It is cut, damaged, or none of ours.
    #[error("block {} is damaged: {reason}; move it out of the store to be rid of this message", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong first.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {doing} block {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Rows were given in the wrong order.
    #[error("rows of block {} are not sorted by trace id, id and sequence", path.display())]
    Unsorted {
        /// The file that was to be written.
        path: PathBuf,
    },
}

/// A block that can be read, by several threads at once. The file stays open: it can be read even when it has been
/// deleted.
pub struct Block {
    path: PathBuf,
    summary: Summary,
    groups: Vec<Group>,
    metadata: ParquetMetaData,
    checksums: Vec<u32>,
    handle: Arc<Handle>,
    properties: ReaderPropertiesPtr,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("path", &self.path)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

/// What is known of a row group. It never has a part of a trace only, unless that trace is larger than a few row groups.
#[derive(Debug, Clone, Copy)]
struct Group {
    rows: usize,
    first: TraceId,
    last: TraceId,
    sequences: (i64, i64),
    starts: (f64, f64),
    ends: Option<(f64, f64)>,
    received: (i64, i64),
    /// Some rows have no end yet.
    in_progress: bool,
}

impl Block {
    /// Opens a block. Its footer is read, and kept.
    ///
    /// # Errors
    /// When it cannot be read or is no block.
    pub fn open(path: &Path) -> Result<Self, BlockError> {
        let io = |source| BlockError::Io { path: path.to_owned(), doing: "open", source };
        let file = File::open(path).map_err(io)?;
        if !file.metadata().map_err(io)?.is_file() {
            return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let handle = Handle::new(file).map_err(io)?;
        guarded(|| Self::read(path, handle))
            .map_err(|reason| BlockError::Damaged { path: path.to_owned(), reason })
    }

    fn read(path: &Path, handle: Handle) -> Result<Self, String> {
        let searched = [Column::TraceId, Column::Document, Column::Sequence, Column::ReceivedAt];
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_column_index_mask(ColumnChunkMask::columns([Column::TraceId.index()]))
            .with_offset_index_mask(ColumnChunkMask::columns(searched.map(Column::index)))
            .parse_and_finish(&handle)
            .map_err(|error| error.to_string())?;
        check_schema(&metadata)?;
        let groups = metadata.row_groups().iter().map(Group::of).collect::<Result<Vec<_>, _>>()?;
        if groups.windows(2).any(|pair| pair[0].last > pair[1].first) {
            return Err("its row groups are not sorted".to_owned());
        }
        let checksums = checksums(&metadata, groups.len())?;
        let summary = summary(&groups, parquet::file::reader::Length::len(&handle));
        Ok(Self {
            path: path.to_owned(),
            summary,
            groups,
            metadata,
            checksums,
            handle: Arc::new(handle),
            properties: Arc::new(ReaderProperties::builder().build()),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Bytes of memory its footer takes, roughly. Everything else is read when it is asked for.
    pub fn memory_bytes(&self) -> usize {
        self.metadata.memory_size() + size_of_val(&*self.groups) + size_of_val(&*self.checksums)
    }

    /// Shows all rows in their order. A few thousand are in memory at a time.
    ///
    /// # Errors
    /// When the block is damaged. What could be read has been shown.
    pub fn kept(&self, mut each: impl FnMut(Kept)) -> Result<(), BlockError> {
        let mut scan = Scan::whole(self);
        scan.load();
        while scan.rows() > 0 {
            (0..scan.rows()).for_each(|row| each(scan.kept(row)));
            scan.discard(scan.rows());
            if scan.rows() == 0 {
                scan.load();
            }
        }
        scan.damaged().into_iter().next().map_or(Ok(()), Err)
    }

    /// The row groups that may have rows of traces in the window.
    pub(crate) fn groups_in(
        &self,
        window: &Window,
    ) -> impl Iterator<Item = (usize, TraceId, TraceId, usize)> {
        let groups = self.groups.iter().enumerate().filter(|(_, group)| group.may_be_in(window));
        groups.map(|(index, group)| (index, group.first, group.last, group.rows))
    }

    fn damaged(&self, reason: String) -> BlockError {
        BlockError::Damaged { path: self.path.clone(), reason }
    }
}

impl Group {
    fn of(group: &RowGroupMetaData) -> Result<Self, String> {
        let statistics = |column: Column| {
            let statistics = group.column(column.index()).statistics();
            statistics.ok_or_else(|| format!("column {} has no statistics", column.name()))
        };
        let doubles = |column| match statistics(column)? {
            Statistics::Double(range) => Ok(range.min_opt().copied().zip(range.max_opt().copied())),
            _ => Err(format!("column {} has no numbers", column.name())),
        };
        let longs = |column| {
            match statistics(column)? {
                Statistics::Int64(range) => range.min_opt().copied().zip(range.max_opt().copied()),
                _ => None,
            }
            .ok_or_else(|| format!("column {} has no statistics", column.name()))
        };
        let ids = statistics(Column::TraceId)?;
        let id = |bytes: Option<&[u8]>| TraceId::parse(std::str::from_utf8(bytes?).ok()?);
        let (first, last) =
            id(ids.min_bytes_opt()).zip(id(ids.max_bytes_opt())).ok_or("trace ids are none")?;
        let rows = usize::try_from(group.num_rows()).ok().filter(|rows| (1..=GROUP_ROWS_MAX).contains(rows));
        let rows = rows.ok_or("a row group has no rows, or too many")?;
        if first > last || group.columns().iter().any(|column| column.num_values() != group.num_rows()) {
            return Err("a row group does not fit together".to_owned());
        }
        Ok(Self {
            rows,
            first,
            last,
            sequences: longs(Column::Sequence)?,
            // None where all are not a number, which JSON cannot say.
            starts: doubles(Column::StartTime)?.unwrap_or((f64::NEG_INFINITY, f64::INFINITY)),
            ends: doubles(Column::EndTime)?,
            received: longs(Column::ReceivedAt)?,
            in_progress: statistics(Column::EndTime)?.null_count_opt() != Some(0),
        })
    }

    fn may_be_in(&self, window: &Window) -> bool {
        let near = |(first, last): (f64, f64)| {
            last >= window.from - TRACE_SECONDS_MAX && first < window.until + TRACE_SECONDS_MAX
        };
        match window.by {
            By::Start => near(self.starts),
            By::Received => near((seconds(self.received.0), seconds(self.received.1))),
            By::End => self.ends.is_some_and(near) || (self.in_progress && near(self.starts)),
        }
    }
}

/// Does something with a file that may be damaged. The Parquet crate panics on some of those; what the panic hook writes
/// then is all that is seen of it.
fn guarded<T>(action: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(text.unwrap_or("it cannot be read").to_owned())
    })
}

fn check_schema(metadata: &ParquetMetaData) -> Result<(), String> {
    let file = metadata.file_metadata();
    match value(metadata, schema::VERSION_KEY) {
        Some(schema::VERSION) => {}
        Some(other) => return Err(format!("its schema has version {other}, not {}", schema::VERSION)),
        None => return Err("it was not written by xrayd".to_owned()),
    }
    let expected = schema::message().map_err(|error| error.to_string())?;
    if file.schema_descr().root_schema().get_fields() != expected.get_fields() {
        return Err("its columns are not those of its schema".to_owned());
    }
    let odd = |group: &RowGroupMetaData| group.num_columns() != COLUMNS;
    if metadata.row_groups().iter().any(odd) {
        return Err("a row group lacks columns".to_owned());
    }
    Ok(())
}

fn value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let values = metadata.file_metadata().key_value_metadata()?;
    values.iter().find(|value| value.key == key)?.value.as_deref()
}

fn checksums(metadata: &ParquetMetaData, groups: usize) -> Result<Vec<u32>, String> {
    let text = value(metadata, schema::CHECKSUMS_KEY).unwrap_or_default();
    let (digits, rest) = text.as_bytes().as_chunks::<8>();
    let sums = digits.iter().map(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
    let sums: Option<Vec<_>> = sums.collect();
    sums.filter(|sums| rest.is_empty() && sums.len() == groups * COLUMNS)
        .ok_or_else(|| "its checksums are missing".to_owned())
}

fn summary(groups: &[Group], bytes: u64) -> Summary {
    fn span<T: PartialOrd + Copy>(all: impl Iterator<Item = (T, T)>) -> Option<(T, T)> {
        all.reduce(|(first, last), (other_first, other_last)| {
            (
                if other_first < first { other_first } else { first },
                if other_last > last { other_last } else { last },
            )
        })
    }
    let all = || groups.iter();
    let sequences = span(all().map(|group| group.sequences));
    let receipts = span(all().map(|group| group.received));
    Summary {
        rows: all().map(|group| group.rows as u64).sum(),
        bytes,
        trace_ids: span(all().map(|group| (group.first, group.last))),
        sequences: sequences.map(|(first, last)| (first.cast_unsigned(), last.cast_unsigned())),
        starts: span(all().map(|group| group.starts)),
        ends: span(all().filter_map(|group| group.ends)),
        receipts: receipts.map(|(first, last)| (seconds(first), seconds(last))),
    }
}
