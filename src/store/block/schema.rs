//! The columns of a block, version 1.
//!
//! Any tool that reads Parquet can read blocks, and some people will: columns are only ever added, at the end, and
//! then the version rises. Rows are sorted by `trace_id`, `id`, `sequence`. A document that came twice, or first in
//! progress and then complete, has two rows: readers take the first complete one, as X-Ray does.

use parquet::basic::{Compression, ZstdLevel};
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

/// All other pages. What one cursor of a merge holds of a column grows with it.
const PAGE_BYTES: usize = 256 * 1024;

/// Rows of a page. A cursor reads ahead no further than to the end of the page.
const PAGE_ROWS: usize = 2048;

/// Fetching a trace decompresses at least one page of trace ids.
const TRACE_ID_PAGE_ROWS: usize = 1024;

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

/// Whether a column is repeated so often that a dictionary pays.
type Dictionary = bool;

/// Each column as Parquet defines it.
const DEFINITIONS: [(Column, &str, Dictionary); COLUMNS] = [
    (Column::TraceId, "required binary trace_id (utf8)", false),
    (Column::Id, "required binary id (utf8)", false),
    (Column::ParentId, "optional binary parent_id (utf8)", false),
    (Column::Type, "required binary type (utf8)", true),
    (Column::Name, "required binary name (utf8)", true),
    (Column::Origin, "optional binary origin (utf8)", true),
    (Column::AccountId, "optional binary account_id (utf8)", true),
    (Column::ReceivedAt, "required int64 received_at (timestamp(micros,true))", false),
    (Column::Sequence, "required int64 sequence", false),
    (Column::StartTime, "required double start_time", false),
    (Column::EndTime, "optional double end_time", false),
    (Column::Flags, "required int32 flags", false),
    (Column::HttpMethod, "optional binary http_method (utf8)", true),
    (Column::HttpUrl, "optional binary http_url (utf8)", true),
    (Column::HttpStatus, "optional int32 http_status", false),
    (Column::HttpUserAgent, "optional binary http_user_agent (utf8)", true),
    (Column::HttpClientIp, "optional binary http_client_ip (utf8)", true),
    (Column::User, "optional binary user (utf8)", true),
    (Column::AvailabilityZone, "optional binary availability_zone (utf8)", true),
    (Column::InstanceId, "optional binary instance_id (utf8)", true),
    (Column::ResourceArn, "optional binary resource_arn (utf8)", true),
    (Column::Annotations, "optional binary annotations (json)", true),
    (Column::Calls, "optional binary calls (json)", false),
    (Column::Locals, "optional binary locals (utf8)", false),
    (Column::Document, "required binary document (json)", false),
    (Column::Raw, "optional binary raw", false),
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

/// How each column is written. `rows` is the largest number of distinct trace ids in a row group.
pub(super) fn properties(rows: usize) -> Result<WriterProperties> {
    let path = |column: Column| ColumnPath::from(column.name());
    let sorted = |column: Column| SortingColumn {
        column_idx: i32::try_from(column.index()).unwrap_or_default(),
        descending: false,
        nulls_first: false,
    };
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(None)
        .set_created_by(concat!("xrayd ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some([Column::TraceId, Column::Id, Column::Sequence].map(sorted).to_vec()))
        .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned())]));
    for (column, _, dictionary) in DEFINITIONS {
        builder = builder.set_column_dictionary_enabled(path(column), dictionary);
    }
    // Ranges are worth their bytes only where rows that are close have values that are close.
    for column in
        [Column::TraceId, Column::ReceivedAt, Column::StartTime, Column::EndTime, Column::Sequence]
    {
        builder = builder.set_column_statistics_enabled(path(column), EnabledStatistics::Page);
    }
    for column in [Column::HttpStatus, Column::Flags] {
        builder = builder.set_column_statistics_enabled(path(column), EnabledStatistics::Chunk);
    }
    Ok(builder
        .set_column_data_page_row_count_limit(path(Column::TraceId), TRACE_ID_PAGE_ROWS)
        .set_column_data_page_size_limit(path(Column::Document), DOCUMENT_PAGE_BYTES)
        .set_column_bloom_filter_fpp(path(Column::TraceId), BLOOM_FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(path(Column::TraceId), rows as u64)
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
