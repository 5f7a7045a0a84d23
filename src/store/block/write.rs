//! Writing a block, row group by row group.

use super::handle::Handle;
use super::schema::{self, CHECKSUMS_KEY, Column, flags, kind};
use super::{Block, BlockError, Summary};
use crate::query::Record;
use crate::segment::Kind;
use crate::store::kept::{Kept, Key};
use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use std::borrow::Borrow;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::take;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How large the parts of a block become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// A row group ends behind the trace with which it has so many rows. Fewer: more bytes a row, and a larger footer;
    /// more: more memory for each block of a merge.
    pub(crate) group_rows: usize,
    /// Or so many bytes: large documents must not need more memory than small ones.
    pub(crate) group_bytes: usize,
    /// Rows of a page. A scan reads ahead no further than to the end of the page.
    pub(crate) page_rows: usize,
}

impl Limits {
    /// Of a block that is made of documents in memory. There may be many of these, all of them with traces of the same
    /// time: a query reads a row group of each at once.
    pub(crate) const SEALED: Self =
        Self { group_rows: 4 * 1024, group_bytes: 8 * 1024 * 1024, page_rows: 1024 };
}

impl Default for Limits {
    fn default() -> Self {
        Self { group_rows: 16 * 1024, group_bytes: 32 * 1024 * 1024, page_rows: 2048 }
    }
}

/// A trace that is larger than so many row groups is split all the same: no trace, however long, needs more memory to be
/// written than this. Readers look at the next row group before they take a trace for complete.
const TRACE_GROUPS: usize = 4;

/// Texts between two looks at the size of a page: it may be too large by so many.
const TEXTS_AT_A_TIME: usize = 32;

/// End of the name while a block is written. What has it after a crash is rubbish.
const PARTIAL: &str = ".partial";

/// Writes a block: to a name beside it first, so that there is never half a block. Rows come sorted by
/// [`Kept::key`].
///
/// # Errors
/// When rows are not sorted, or the disk refuses. No file is left then.
pub fn write<K: Borrow<Kept>>(path: &Path, rows: impl IntoIterator<Item = K>) -> Result<Summary, BlockError> {
    write_with(path, Limits::SEALED, rows)
}

pub(super) fn write_with<K: Borrow<Kept>>(
    path: &Path,
    limits: Limits,
    rows: impl IntoIterator<Item = K>,
) -> Result<Summary, BlockError> {
    let mut writer = Writer::create(path, limits)?;
    for row in rows {
        writer.push(row.borrow())?;
    }
    writer.finish()
}

/// A block that is being written. Dropped before it is finished, it leaves nothing.
pub(crate) struct Writer {
    limits: Limits,
    partial: Partial,
    file: SerializedFileWriter<File>,
    handle: File,
    staged: Staged,
    last: Option<Key>,
    checksums: String,
}

impl Writer {
    /// Begins a block.
    pub(crate) fn create(path: &Path, limits: Limits) -> Result<Self, BlockError> {
        let mut name = path.file_name().map(OsString::from).unwrap_or_default();
        name.push(PARTIAL);
        let partial = Partial { path: path.to_owned(), temporary: path.with_file_name(name), done: false };
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial.temporary)
            .map_err(|error| partial.io("create", error))?;
        let handle = opened.try_clone().map_err(|error| partial.io("create", error))?;
        let properties = schema::properties(limits).map_err(|error| partial.failed("create", error))?;
        let file = schema::shared_message()
            .and_then(|message| SerializedFileWriter::new(opened, message, Arc::new(properties)))
            .map_err(|error| partial.failed("create", error))?;
        Ok(Self {
            limits,
            partial,
            file,
            handle,
            staged: Staged::new(),
            last: None,
            checksums: String::new(),
        })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, kept: &Kept) -> Result<(), BlockError> {
        let key = kept.key();
        if self.last.is_some_and(|last| last > key) {
            return Err(BlockError::Unsorted { path: self.partial.path.clone() });
        }
        let same_trace = self.last.is_some_and(|last| last.trace_id == key.trace_id);
        if self.staged.is_full(self.limits, if same_trace { TRACE_GROUPS } else { 1 }) {
            self.flush()?;
        }
        self.last = Some(key);
        self.staged.push(kept);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        let written = self.staged.write(&mut self.file).and_then(|()| self.add_checksums());
        written.map_err(|error| self.partial.failed("write", error))
    }

    /// Of the row group that has just been written, read back from the page cache.
    fn add_checksums(&mut self) -> ParquetResult<()> {
        self.file.flush()?;
        let handle = Handle::new(self.handle.try_clone()?)?;
        for column in self.file.flushed_row_groups().last().into_iter().flat_map(RowGroupMetaData::columns) {
            let (start, length) = column.byte_range();
            let bytes = handle.read(start, usize::try_from(length)?)?;
            // Writing to a String does not fail.
            let _ = write!(self.checksums, "{:08x}", crc32fast::hash(&bytes));
        }
        Ok(())
    }

    /// Makes it durable, and gives it its name.
    pub(crate) fn finish(mut self) -> Result<Summary, BlockError> {
        if self.staged.rows > 0 {
            self.flush()?;
        }
        let checksums = KeyValue::new(CHECKSUMS_KEY.to_owned(), take(&mut self.checksums));
        self.file.append_key_value_metadata(checksums);
        let finished = self.file.finish().and_then(|_| Ok(self.file.flush()?));
        finished.map_err(|error| self.partial.failed("write", error))?;
        self.handle.sync_all().map_err(|error| self.partial.io("sync", error))?;
        self.partial.publish()?;
        Block::open(&self.partial.path).map(|block| block.summary)
    }
}

/// A file without its name yet.
struct Partial {
    path: PathBuf,
    temporary: PathBuf,
    done: bool,
}

impl Partial {
    fn io(&self, doing: &'static str, source: io::Error) -> BlockError {
        BlockError::Io { path: self.path.clone(), doing, source }
    }

    fn failed(&self, doing: &'static str, error: ParquetError) -> BlockError {
        let source = match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => *error,
                Err(error) => io::Error::other(error),
            },
            error => io::Error::other(error),
        };
        self.io(doing, source)
    }

    fn publish(&mut self) -> Result<(), BlockError> {
        fs::rename(&self.temporary, &self.path).map_err(|error| self.io("name", error))?;
        self.done = true;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).map_err(|error| self.io("sync the folder of", error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.done {
            // Nobody could do anything about it; rubbish is swept at the next start.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// The rows of one row group, by column.
struct Staged {
    columns: Vec<Values>,
    rows: usize,
    bytes: usize,
}

/// The values of one column. Levels say which rows have one.
enum Values {
    /// Copied into one buffer.
    Texts {
        buffer: Vec<u8>,
        ends: Vec<usize>,
        levels: Vec<i16>,
    },
    /// Shared with whoever gave them.
    Documents {
        values: Vec<ByteArray>,
        levels: Vec<i16>,
    },
    Longs(Vec<i64>),
    Doubles(Vec<f64>, Vec<i16>),
    Ints(Vec<i32>, Vec<i16>),
}

impl Values {
    fn new(column: Column) -> Self {
        match column {
            Column::ReceivedAt | Column::Sequence => Self::Longs(Vec::new()),
            Column::StartTime | Column::EndTime => Self::Doubles(Vec::new(), Vec::new()),
            Column::Flags | Column::HttpStatus => Self::Ints(Vec::new(), Vec::new()),
            Column::Document | Column::Raw => Self::Documents { values: Vec::new(), levels: Vec::new() },
            _ => Self::Texts { buffer: Vec::new(), ends: Vec::new(), levels: Vec::new() },
        }
    }

    /// Writes what there is, and forgets it.
    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> ParquetResult<usize> {
        match self {
            Self::Texts { buffer, ends, levels } => {
                let all = Bytes::from(take(buffer));
                let mut start = 0;
                let slices = take(ends).into_iter().map(|end| {
                    let text = all.slice(start..end);
                    start = end;
                    ByteArray::from(text)
                });
                let values: Vec<_> = slices.collect();
                write_texts(writer, &values, &take(levels))
            }
            Self::Documents { values, levels } => write_texts(writer, &take(values), &take(levels)),
            Self::Longs(values) => writer.typed::<Int64Type>().write_batch(&take(values), None, None),
            Self::Doubles(values, levels) => {
                writer.typed::<DoubleType>().write_batch(&take(values), Some(&take(levels)), None)
            }
            Self::Ints(values, levels) => {
                writer.typed::<Int32Type>().write_batch(&take(values), Some(&take(levels)), None)
            }
        }
    }
}

/// The crate looks at the size of a page once for all values it is given at a time.
fn write_texts(
    writer: &mut SerializedColumnWriter<'_>,
    mut values: &[ByteArray],
    levels: &[i16],
) -> ParquetResult<usize> {
    let writer = writer.typed::<ByteArrayType>();
    let mut written = 0;
    for levels in levels.chunks(TEXTS_AT_A_TIME) {
        written += writer.write_batch(values, Some(levels), None)?;
        let here = levels.iter().filter(|level| **level > 0).count();
        values = values.get(here..).unwrap_or_default();
    }
    Ok(written)
}

impl Staged {
    fn new() -> Self {
        Self { columns: Column::all().map(Values::new).collect(), rows: 0, bytes: 0 }
    }

    fn is_full(&self, limits: Limits, groups: usize) -> bool {
        self.rows >= limits.group_rows * groups || self.bytes >= limits.group_bytes * groups
    }

    fn write(&mut self, file: &mut SerializedFileWriter<File>) -> ParquetResult<()> {
        let mut group = file.next_row_group()?;
        for values in &mut self.columns {
            let Some(mut column) = group.next_column()? else { break };
            values.write(&mut column)?;
            column.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    fn push(&mut self, kept: &Kept) {
        let record = &kept.record;
        self.shown(Column::TraceId, &record.trace_id);
        self.shown(Column::Id, &record.id);
        match &record.parent_id {
            Some(parent) => self.shown(Column::ParentId, parent),
            None => self.text(Column::ParentId, None),
        }
        let kind = if record.kind == Kind::Segment { kind::SEGMENT } else { kind::SUBSEGMENT };
        self.text(Column::Type, Some(kind));
        self.long(Column::ReceivedAt, micros(record.received_at));
        self.long(Column::Sequence, record.sequence.cast_signed());
        self.double(Column::StartTime, Some(record.start));
        self.double(Column::EndTime, record.end);
        self.int(Column::Flags, Some(flags_of(record)));
        self.int(Column::HttpStatus, record.status);
        self.texts(record);
        self.document(Column::Document, Some(&kept.document));
        self.document(Column::Raw, kept.raw.as_ref());
        self.rows += 1;
    }

    fn texts(&mut self, record: &Record) {
        self.text(Column::Name, Some(&record.name));
        for (column, text) in [
            (Column::Origin, &record.origin),
            (Column::AccountId, &record.account_id),
            (Column::HttpMethod, &record.method),
            (Column::HttpUrl, &record.url),
            (Column::HttpUserAgent, &record.user_agent),
            (Column::HttpClientIp, &record.client_ip),
            (Column::User, &record.user),
            (Column::AvailabilityZone, &record.availability_zone),
            (Column::InstanceId, &record.instance_id),
            (Column::ResourceArn, &record.resource_arn),
        ] {
            self.text(column, text.as_deref());
        }
        for (column, text) in [
            (Column::Annotations, &record.annotations),
            (Column::Calls, &record.calls),
            (Column::Locals, &record.locals),
        ] {
            self.text(column, Some(&**text).filter(|text| !text.is_empty()));
        }
    }

    fn text(&mut self, column: Column, text: Option<&str>) {
        if let Some(Values::Texts { buffer, ends, levels }) = self.columns.get_mut(column.index()) {
            levels.push(i16::from(text.is_some()));
            if let Some(text) = text {
                buffer.extend_from_slice(text.as_bytes());
                ends.push(buffer.len());
                self.bytes += text.len();
            }
        }
    }

    fn shown(&mut self, column: Column, id: &dyn std::fmt::Display) {
        if let Some(Values::Texts { buffer, ends, levels }) = self.columns.get_mut(column.index()) {
            // Writing to a Vec does not fail.
            let _ = io::Write::write_fmt(buffer, format_args!("{id}"));
            ends.push(buffer.len());
            levels.push(1);
        }
    }

    fn document(&mut self, column: Column, document: Option<&Bytes>) {
        if let Some(Values::Documents { values, levels }) = self.columns.get_mut(column.index()) {
            levels.push(i16::from(document.is_some()));
            if let Some(document) = document {
                self.bytes += document.len();
                values.push(ByteArray::from(document.clone()));
            }
        }
    }

    fn long(&mut self, column: Column, value: i64) {
        if let Some(Values::Longs(values)) = self.columns.get_mut(column.index()) {
            values.push(value);
        }
    }

    fn double(&mut self, column: Column, value: Option<f64>) {
        if let Some(Values::Doubles(values, levels)) = self.columns.get_mut(column.index()) {
            levels.push(i16::from(value.is_some()));
            values.extend(value);
        }
    }

    fn int(&mut self, column: Column, value: Option<i32>) {
        if let Some(Values::Ints(values, levels)) = self.columns.get_mut(column.index()) {
            levels.push(i16::from(value.is_some()));
            values.extend(value);
        }
    }
}

/// Microseconds since 1970.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a clock that is off by more ends at the last moment there is"
)]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

fn flags_of(record: &Record) -> i32 {
    [
        (record.outcome.error, flags::ERROR),
        (record.outcome.fault, flags::FAULT),
        (record.outcome.throttle, flags::THROTTLE),
        (record.end.is_none(), flags::IN_PROGRESS),
    ]
    .into_iter()
    .fold(0, |all, (set, bit)| if set { all | bit } else { all })
}
