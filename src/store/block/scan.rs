//! Going through a block row by row, a few thousand rows in memory at a time.

use super::columns::{Buffer, Ids, Kinds, Numbers, Texts, TraceIds, outcome};
use super::handle::Piece;
use super::page::Values;
use super::schema::{COLUMNS, Column};
use super::{Block, BlockError, guarded};
use crate::query::{Columns, Record, Row, SegmentId, TraceId};
use crate::segment::Kind;
use crate::store::kept::{Kept, Key};
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::ColumnChunkMetaDataBuilder;
use parquet::file::reader::SerializedPageReader;
use std::collections::VecDeque;
use std::sync::Arc;
use zstd::bulk::Decompressor;

/// Rows that are read ahead, at least. Tests want to see traces that are longer.
const BATCH_ROWS: usize = if cfg!(test) { 3 } else { 1024 };

/// What a query may ask for beside what is always read, and the columns it is in.
const TEXTS: [(Columns, &[Column]); 8] = [
    (Columns::NAME, &[Column::Name, Column::Origin]),
    (Columns::ACCOUNT, &[Column::AccountId]),
    (Columns::HTTP, &[Column::HttpUrl, Column::HttpMethod, Column::HttpUserAgent, Column::HttpClientIp]),
    (Columns::USER, &[Column::User]),
    (Columns::RESOURCE, &[Column::AvailabilityZone, Column::InstanceId, Column::ResourceArn]),
    (Columns::ANNOTATIONS, &[Column::Annotations]),
    (Columns::CALLS, &[Column::Calls]),
    (Columns::LOCALS, &[Column::Locals]),
];

/// One column of the row group that is being read, and what is left in memory of those before.
#[derive(Default)]
struct Reader<B> {
    buffer: B,
    pages: Option<Box<dyn PageReader>>,
    /// Pages come compressed.
    packed: bool,
    rows_left: usize,
}

/// A [`Reader`] of any kind of column.
trait Fill {
    /// Begins a row group.
    fn open(&mut self, block: &Block, group: usize, column: Column) -> Result<(), String>;
    /// Reads pages until there are so many rows.
    fn fill(&mut self, column: Column, rows: usize, unpacker: &mut Unpacker) -> Result<(), String>;
    fn len(&self) -> usize;
    fn discard(&mut self, rows: usize);
    fn truncate(&mut self, rows: usize);
}

impl<B: Buffer> Fill for Reader<B> {
    fn open(&mut self, block: &Block, group: usize, column: Column) -> Result<(), String> {
        let (pages, packed) = block.pages(group, column)?;
        (self.pages, self.packed) = (Some(pages), packed);
        self.rows_left = block.groups[group].rows;
        Ok(())
    }

    fn fill(&mut self, column: Column, rows: usize, unpacker: &mut Unpacker) -> Result<(), String> {
        let damaged = |reason: &dyn std::fmt::Display| format!("column {}: {reason}", column.name());
        while self.buffer.len() < rows {
            let page = self.pages.as_mut().ok_or("no row group is open")?.get_next_page();
            let page = page.map_err(|error| damaged(&error))?.ok_or_else(|| damaged(&"it ends too soon"))?;
            let page =
                if self.packed { unpack(page, unpacker).map_err(|error| damaged(&error))? } else { page };
            match page {
                page @ Page::DictionaryPage { .. } => self.buffer.dictionary(page),
                page => Values::of(page, column.is_optional(), self.rows_left).and_then(|values| {
                    self.rows_left -= values.rows();
                    self.buffer.values(values)
                }),
            }
            .map_err(|reason| damaged(&reason))?;
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.buffer.len()
    }

    fn discard(&mut self, rows: usize) {
        self.buffer.discard(rows);
    }

    fn truncate(&mut self, rows: usize) {
        self.buffer.truncate(rows);
        self.pages = None;
    }
}

type Unpacker = Decompressor<'static>;

/// No page is larger; what says so is not worth the memory.
const PAGE_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Decompresses a page.
fn unpack(mut page: Page, unpacker: &mut Unpacker) -> Result<Page, &'static str> {
    if let Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } = &mut page
        && !buf.is_empty()
    {
        let bytes = zstd::zstd_safe::get_frame_content_size(buf).ok().flatten();
        let bytes = bytes.filter(|&bytes| bytes <= PAGE_MAX_BYTES).ok_or("a page has no size")?;
        let plain = unpacker.decompress(buf, usize::try_from(bytes).unwrap_or_default());
        *buf = plain.map_err(|_| "a page cannot be decompressed")?.into();
    }
    Ok(page)
}

/// The rows of a block, in their order. Rows are numbered from the first that has not been discarded.
pub(crate) struct Scan<'b> {
    block: &'b Block,
    /// Row groups that have not been begun.
    groups: VecDeque<usize>,
    /// Rows of the row group that is being read, that are not in memory yet.
    group_rows_left: usize,
    rows: usize,
    trace_ids: Reader<TraceIds>,
    ids: Reader<Ids>,
    parent_ids: Reader<Ids>,
    kinds: Reader<Kinds>,
    received: Reader<Numbers<i64>>,
    sequences: Reader<Numbers<i64>>,
    starts: Reader<Numbers<f64>>,
    ends: Reader<Numbers<f64>>,
    flags: Reader<Numbers<i32>>,
    statuses: Option<Reader<Numbers<i32>>>,
    texts: [Option<Box<Reader<Texts>>>; COLUMNS],
    /// One for all columns: each has some 100 KB, and a query may read dozens of blocks at once. Made when it is needed.
    unpacker: Option<Unpacker>,
    damaged: Vec<BlockError>,
}

impl<'b> Scan<'b> {
    /// These row groups, which come in order, and these columns of them.
    pub(crate) fn new(block: &'b Block, groups: impl IntoIterator<Item = usize>, columns: Columns) -> Self {
        let mut texts = [const { None }; COLUMNS];
        for column in TEXTS.iter().filter(|(asked, _)| columns.has(*asked)).flat_map(|(_, columns)| *columns)
        {
            texts[column.index()] = Some(Box::default());
        }
        Self {
            block,
            groups: groups.into_iter().collect(),
            group_rows_left: 0,
            rows: 0,
            trace_ids: Reader::default(),
            ids: Reader::default(),
            parent_ids: Reader::default(),
            kinds: Reader::default(),
            received: Reader::default(),
            sequences: Reader::default(),
            starts: Reader::default(),
            ends: Reader::default(),
            flags: Reader::default(),
            statuses: columns.has(Columns::STATUS).then(Reader::default),
            texts,
            unpacker: None,
            damaged: Vec::new(),
        }
    }

    /// All row groups, and all columns, with the documents.
    pub(crate) fn whole(block: &'b Block) -> Self {
        let mut scan = Self::new(block, 0..block.groups.len(), Columns::ALL);
        scan.texts[Column::Document.index()] = Some(Box::default());
        scan.texts[Column::Raw.index()] = Some(Box::default());
        scan
    }

    /// Rows in memory.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// What could not be read, and has been left out.
    pub(crate) fn damaged(&mut self) -> Vec<BlockError> {
        std::mem::take(&mut self.damaged)
    }

    /// The first trace that is left; none at the end.
    pub(crate) fn head(&self) -> Option<TraceId> {
        if self.rows > 0 { self.trace_ids.buffer.0.first().copied() } else { self.next_group() }
    }

    /// The first trace that may not be whole in memory; none when all are.
    pub(crate) fn bound(&self) -> Option<TraceId> {
        if self.group_rows_left > 0 {
            self.trace_ids.buffer.0[..self.rows].last().copied()
        } else {
            self.next_group()
        }
    }

    fn next_group(&self) -> Option<TraceId> {
        self.groups.front().map(|&group| self.block.groups[group].first)
    }

    /// Reads more rows than there are, unless there are no more. What is damaged is left out.
    pub(crate) fn load(&mut self) {
        let before = self.rows;
        while self.rows == before && (self.group_rows_left > 0 || !self.groups.is_empty()) {
            if let Err(reason) = guarded(|| self.try_load()) {
                self.damaged.push(self.block.damaged(reason));
                self.group_rows_left = 0;
                let rows = self.rows;
                self.readers().for_each(|(_, reader)| reader.truncate(rows));
            }
        }
    }

    fn try_load(&mut self) -> Result<(), String> {
        if self.group_rows_left == 0 {
            let Some(group) = self.groups.pop_front() else { return Ok(()) };
            let block = self.block;
            self.readers().try_for_each(|(column, reader)| reader.open(block, group, column))?;
            self.group_rows_left = block.groups[group].rows;
        }
        let wanted = self.rows + self.group_rows_left.min(BATCH_ROWS);
        let mut unpacker = match self.unpacker.take() {
            Some(unpacker) => unpacker,
            None => Unpacker::new().map_err(|error| error.to_string())?,
        };
        self.readers().try_for_each(|(column, reader)| reader.fill(column, wanted, &mut unpacker))?;
        self.unpacker = Some(unpacker);
        let ready = self.readers().map(|(_, reader)| reader.len()).min().unwrap_or_default();
        self.group_rows_left = self.group_rows_left.saturating_sub(ready - self.rows);
        self.rows = ready;
        Ok(())
    }

    /// Forgets rows at the front.
    pub(crate) fn discard(&mut self, rows: usize) {
        self.readers().for_each(|(_, reader)| reader.discard(rows));
        self.rows -= rows;
        if self.rows == 0 && self.group_rows_left > 0 {
            self.load();
        }
    }

    /// Forgets all traces before this one.
    pub(crate) fn skip_to(&mut self, trace: TraceId) {
        while self.head().is_some_and(|head| head < trace) {
            if self.rows == 0 {
                self.load();
            }
            self.discard(self.place_of(trace));
        }
    }

    /// Number of the first row of this or a later trace.
    pub(crate) fn place_of(&self, trace: TraceId) -> usize {
        self.trace_ids.buffer.0[..self.rows].partition_point(|id| *id < trace)
    }

    fn readers(&mut self) -> impl Iterator<Item = (Column, &mut dyn Fill)> {
        fn any<B: Buffer>(column: Column, reader: &mut Reader<B>) -> (Column, &mut dyn Fill) {
            (column, reader)
        }
        let always = [
            any(Column::TraceId, &mut self.trace_ids),
            any(Column::Id, &mut self.ids),
            any(Column::ParentId, &mut self.parent_ids),
            any(Column::Type, &mut self.kinds),
            any(Column::ReceivedAt, &mut self.received),
            any(Column::Sequence, &mut self.sequences),
            any(Column::StartTime, &mut self.starts),
            any(Column::EndTime, &mut self.ends),
            any(Column::Flags, &mut self.flags),
        ];
        let statuses = self.statuses.as_mut().map(|reader| any(Column::HttpStatus, reader));
        let texts = Column::all().zip(&mut self.texts);
        let texts = texts.filter_map(|(column, reader)| Some(any(column, reader.as_deref_mut()?)));
        always.into_iter().chain(statuses).chain(texts)
    }

    /// Trace of a row.
    pub(crate) fn trace_id(&self, row: usize) -> TraceId {
        self.trace_ids.buffer.0[row]
    }

    /// Id of a row.
    pub(crate) fn id(&self, row: usize) -> SegmentId {
        self.ids.buffer.0[row].unwrap_or(SegmentId(0))
    }

    /// Sequence of a row.
    pub(crate) fn sequence(&self, row: usize) -> u64 {
        self.sequences.buffer.get(row).unwrap_or_default().cast_unsigned()
    }

    /// Place of a row in the order of blocks.
    pub(crate) fn key(&self, row: usize) -> Key {
        Key { trace_id: self.trace_id(row), id: self.id(row), sequence: self.sequence(row) }
    }

    fn text(&self, column: Column, row: usize) -> Option<&str> {
        self.texts[column.index()].as_ref()?.buffer.text(row)
    }

    /// A row, as queries see it.
    #[inline]
    pub(crate) fn row(&self, row: usize) -> Row<'_> {
        let text = |column| self.text(column, row);
        Row {
            trace_id: self.trace_id(row),
            id: self.id(row),
            parent_id: self.parent_ids.buffer.0[row],
            kind: if self.kinds.buffer.subsegments[row] { Kind::Subsegment } else { Kind::Segment },
            sequence: self.sequence(row),
            received_at: seconds(self.received.buffer.get(row).unwrap_or_default()),
            start: self.starts.buffer.get(row).unwrap_or_default(),
            end: self.ends.buffer.get(row),
            outcome: outcome(self.flags.buffer.get(row).unwrap_or_default()),
            status: self.statuses.as_ref().and_then(|statuses| statuses.buffer.get(row)),
            name: text(Column::Name).unwrap_or_default(),
            origin: text(Column::Origin),
            account_id: text(Column::AccountId),
            url: text(Column::HttpUrl),
            method: text(Column::HttpMethod),
            user_agent: text(Column::HttpUserAgent),
            client_ip: text(Column::HttpClientIp),
            user: text(Column::User),
            availability_zone: text(Column::AvailabilityZone),
            instance_id: text(Column::InstanceId),
            resource_arn: text(Column::ResourceArn),
            annotations: text(Column::Annotations).unwrap_or_default(),
            calls: text(Column::Calls).unwrap_or_default(),
            locals: text(Column::Locals).unwrap_or_default(),
        }
    }

    /// A row with its document. Only of a scan of the whole block.
    pub(crate) fn kept(&self, row: usize) -> Kept {
        let blob = |column: Column| {
            let texts = &self.texts[column.index()].as_ref()?.buffer;
            texts.bytes(row).map(Bytes::copy_from_slice)
        };
        Kept {
            record: Record::from(&self.row(row)),
            document: blob(Column::Document).unwrap_or_default(),
            raw: blob(Column::Raw),
        }
    }
}

/// Seconds since 1970.
pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

impl Block {
    /// The pages of a column, all read at once: a column of a row group is seldom more than a megabyte, and so its
    /// checksum can be compared.
    fn pages(&self, group: usize, column: Column) -> Result<(Box<dyn PageReader>, bool), String> {
        let damaged = |reason: &dyn std::fmt::Display| format!("column {}: {reason}", column.name());
        let chunk = self.metadata.row_group(group).column(column.index());
        let (start, length) = chunk.byte_range();
        let length = usize::try_from(length).map_err(|error| damaged(&error))?;
        let bytes = self.handle.read(start, length).map_err(|error| damaged(&error))?;
        if self.checksums.get(group * COLUMNS + column.index()) != Some(&crc32fast::hash(&bytes)) {
            return Err(damaged(&"its checksum is wrong"));
        }
        let piece = Arc::new(Piece::new(start, bytes));
        // The reader is told that nothing is compressed, since it would have a decompressor of its own.
        let packed = matches!(chunk.compression(), Compression::ZSTD(_));
        let plain = packed.then(|| chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED));
        let plain =
            plain.map(ColumnChunkMetaDataBuilder::build).transpose().map_err(|error| damaged(&error))?;
        let pages = SerializedPageReader::new_with_properties(
            piece,
            plain.as_ref().unwrap_or(chunk),
            self.groups[group].rows,
            None,
            Arc::clone(&self.properties),
        );
        Ok((Box::new(pages.map_err(|error| damaged(&error))?), packed))
    }
}
