//! The columns of a block, version 1.
//!
//! Any tool that reads Parquet can read blocks, and some people will: columns are only ever added, at the end, and
//! then the version rises. Rows are sorted by `trace_id`, `id`, `sequence`. A document that came twice, or first in
//! progress and then complete, has two rows: readers take the first complete one, as X-Ray does.

use super::write::Limits;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type};
use std::fmt::Write;
use std::sync::Arc;

/// Key of the version in the file's metadata.
pub(super) const VERSION_KEY: &str = "xrayd.schema";

/// Version of what is written.
pub(super) const VERSION: &str = "1";

/// Key of the checksums in the file's metadata: CRC-32 of each column of each row group, in the order of the file, 8 hex
/// digits each. Parquet has a place for checksums in page headers, but the crate does not write them.
pub(super) const CHECKSUMS_KEY: &str = "xrayd.checksums";

/// A page is the least that is decompressed to see one document: small where documents are fetched one by one.
const DOCUMENT_PAGE_BYTES: usize = 64 * 1024;

/// All other pages. What a scan holds of a column grows with it.
const PAGE_BYTES: usize = 256 * 1024;

/// Values between two looks at the size of a page. The crate's default.
const VALUES_AT_A_TIME: usize = 1024;

/// A dictionary that grows larger than this saves nothing, and the rest of the column is written without one.
const DICTIONARY_BYTES: usize = 128 * 1024;

/// One search in a hundred for a trace that is not in a row group reads a page of trace ids in vain.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// The columns, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// `1-8hex-24hex`, in lower case. Never in a dictionary: it is searched by page.
    TraceId,
    /// Of the segment or subsegment, 16 hex digits in lower case.
    Id,
    /// The segment or subsegment it belongs below.
    ParentId,
    /// `segment` or, when it was sent by itself, `subsegment`.
    Type,
    /// Of the service or the call.
    Name,
    /// `AWS::EC2::Instance` and the like.
    Origin,
    /// `aws.account_id`
    AccountId,
    /// When it was received, microseconds since 1970 in UTC. Blocks are deleted by it.
    ReceivedAt,
    /// Rises with each document the store took.
    Sequence,
    /// Seconds since 1970.
    StartTime,
    /// Seconds since 1970; null while it is in progress.
    EndTime,
    /// Bits: 1 error, 2 fault, 4 throttle, 8 in progress.
    Flags,
    /// `http.request.method`
    HttpMethod,
    /// `http.request.url`
    HttpUrl,
    /// `http.response.status`
    HttpStatus,
    /// `http.request.user_agent`
    HttpUserAgent,
    /// `http.request.client_ip`
    HttpClientIp,
    /// `user`
    User,
    /// `aws.ec2.availability_zone`
    AvailabilityZone,
    /// `aws.ec2.instance_id`
    InstanceId,
    /// `resource_arn`
    ResourceArn,
    /// All annotations in the document, at any depth: a JSON object. A key with several values has a list.
    Annotations,
    /// All calls in the document, at any depth: a JSON array of objects with `id`, `name`, `type` and so on.
    Calls,
    /// Ids of all other subsegments in the document, 16 hex digits each, one behind the other.
    Locals,
    /// The document, JSON; repaired where it was not quite that.
    Document,
    /// The bytes that came, where they differ from `document`.
    Raw,
}

/// Number of columns.
pub(super) const COLUMNS: usize = 26;

/// How a column is encoded. Every tool that reads Parquet reads these since 2022 or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// Values repeat: a dictionary pays.
    Dictionary,
    /// As it is, compressed.
    Plain,
    /// Texts whose lengths are alike, or long. With the lengths apart, ids are digits only, and compress to half in
    /// a third of the time.
    Lengths,
    /// Numbers close to each other: as differences.
    Deltas,
    /// Floating point with nothing to compress: reading would cost ten times as much, for three bytes of eight.
    Raw,
}

/// Each column as Parquet defines it.
const DEFINITIONS: [(Column, &str, Coding); COLUMNS] = [
    (Column::TraceId, "required binary trace_id (utf8)", Coding::Plain),
    (Column::Id, "required binary id (utf8)", Coding::Lengths),
    (Column::ParentId, "optional binary parent_id (utf8)", Coding::Lengths),
    (Column::Type, "required binary type (utf8)", Coding::Dictionary),
    (Column::Name, "required binary name (utf8)", Coding::Dictionary),
    (Column::Origin, "optional binary origin (utf8)", Coding::Dictionary),
    (Column::AccountId, "optional binary account_id (utf8)", Coding::Dictionary),
    (Column::ReceivedAt, "required int64 received_at (timestamp(micros,true))", Coding::Deltas),
    (Column::Sequence, "required int64 sequence", Coding::Deltas),
    (Column::StartTime, "required double start_time", Coding::Raw),
    (Column::EndTime, "optional double end_time", Coding::Raw),
    (Column::Flags, "required int32 flags", Coding::Dictionary),
    (Column::HttpMethod, "optional binary http_method (utf8)", Coding::Dictionary),
    (Column::HttpUrl, "optional binary http_url (utf8)", Coding::Dictionary),
    (Column::HttpStatus, "optional int32 http_status", Coding::Dictionary),
    (Column::HttpUserAgent, "optional binary http_user_agent (utf8)", Coding::Dictionary),
    (Column::HttpClientIp, "optional binary http_client_ip (utf8)", Coding::Dictionary),
    (Column::User, "optional binary user (utf8)", Coding::Dictionary),
    (Column::AvailabilityZone, "optional binary availability_zone (utf8)", Coding::Dictionary),
    (Column::InstanceId, "optional binary instance_id (utf8)", Coding::Dictionary),
    (Column::ResourceArn, "optional binary resource_arn (utf8)", Coding::Dictionary),
    (Column::Annotations, "optional binary annotations (json)", Coding::Dictionary),
    (Column::Calls, "optional binary calls (json)", Coding::Plain),
    (Column::Locals, "optional binary locals (utf8)", Coding::Lengths),
    (Column::Document, "required binary document (json)", Coding::Plain),
    (Column::Raw, "optional binary raw", Coding::Plain),
];

impl Column {
    /// Place in the file.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Whether there may be nulls.
    pub(super) fn is_optional(self) -> bool {
        DEFINITIONS[self.index()].1.starts_with("optional")
    }

    /// Whether it has numbers.
    fn is_number(self) -> bool {
        !DEFINITIONS[self.index()].1.contains(" binary ")
    }

    /// Name in the file.
    pub(super) fn name(self) -> &'static str {
        DEFINITIONS[self.index()].1.split(' ').nth(2).unwrap_or_default()
    }

    /// All, in the order of the file.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        DEFINITIONS.iter().map(|(column, ..)| *column)
    }
}

/// The schema as Parquet wants it.
pub(super) fn message() -> Result<Type> {
    let mut text = "message xrayd {".to_owned();
    for (_, definition, _) in DEFINITIONS {
        // Writing to a String does not fail.
        let _ = write!(text, " {definition};");
    }
    parse_message_type(&(text + " }"))
}

/// How each column is written.
pub(super) fn properties(limits: Limits) -> Result<WriterProperties> {
    let path = |column: Column| ColumnPath::from(column.name());
    let sorted = |column: Column| SortingColumn {
        column_idx: i32::try_from(column.index()).unwrap_or_default(),
        descending: false,
        nulls_first: false,
    };
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(limits.page_rows)
        .set_write_batch_size(limits.page_rows.min(VALUES_AT_A_TIME))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(None)
        .set_created_by(concat!("xrayd ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some([Column::TraceId, Column::Id, Column::Sequence].map(sorted).to_vec()))
        .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned())]));
    for (column, _, coding) in DEFINITIONS {
        builder = builder.set_column_dictionary_enabled(path(column), coding == Coding::Dictionary);
        builder = match coding {
            Coding::Dictionary | Coding::Plain | Coding::Raw => builder,
            Coding::Lengths => builder.set_column_encoding(path(column), Encoding::DELTA_LENGTH_BYTE_ARRAY),
            Coding::Deltas => builder.set_column_encoding(path(column), Encoding::DELTA_BINARY_PACKED),
        };
        if column.is_number() {
            // What is left to compress is not worth making a decompressor for each row group.
            builder = builder.set_column_compression(path(column), Compression::UNCOMPRESSED);
        }
    }
    // Ranges are worth their bytes only where rows that are close have values that are close.
    for column in [Column::TraceId, Column::ReceivedAt, Column::StartTime, Column::EndTime, Column::Sequence]
    {
        builder = builder.set_column_statistics_enabled(path(column), EnabledStatistics::Page);
    }
    for column in [Column::HttpStatus, Column::Flags] {
        builder = builder.set_column_statistics_enabled(path(column), EnabledStatistics::Chunk);
    }
    Ok(builder
        .set_column_data_page_row_count_limit(path(Column::TraceId), limits.page_rows.div_ceil(2))
        .set_column_data_page_size_limit(path(Column::Document), DOCUMENT_PAGE_BYTES)
        .set_column_bloom_filter_fpp(path(Column::TraceId), BLOOM_FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(path(Column::TraceId), limits.group_rows as u64)
        .build())
}

/// The schema, to be shared.
pub(super) fn shared_message() -> Result<Arc<Type>> {
    message().map(Arc::new)
}

/// Bits of [`Column::Flags`].
pub(super) mod flags {
    /// `error`
    pub(crate) const ERROR: i32 = 1;
    /// `fault`
    pub(crate) const FAULT: i32 = 2;
    /// `throttle`
    pub(crate) const THROTTLE: i32 = 4;
    /// It has no end yet.
    pub(crate) const IN_PROGRESS: i32 = 8;
}

/// Values of [`Column::Type`].
pub(super) mod kind {
    /// A segment.
    pub(crate) const SEGMENT: &str = "segment";
    /// A subsegment that was sent by itself.
    pub(crate) const SUBSEGMENT: &str = "subsegment";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_where_their_number_says() {
        let message = message().unwrap();
        for (index, column) in Column::all().enumerate() {
            assert_eq!(column.index(), index);
            let field = &message.get_fields()[index];
            assert_eq!(field.name(), column.name());
            assert_eq!(field.is_optional(), column.is_optional(), "{}", column.name());
        }
    }

    /// Files of other versions are out there: a change here must be a new version.
    #[test]
    fn the_schema_is_version_1() {
        let names: Vec<_> = Column::all().map(Column::name).collect();
        assert_eq!(
            names.join(" "),
            "trace_id id parent_id type name origin account_id received_at sequence start_time end_time flags \
             http_method http_url http_status http_user_agent http_client_ip user availability_zone instance_id \
             resource_arn annotations calls locals document raw"
        );
    }
}
