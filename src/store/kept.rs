//! One document as the store keeps it.

use crate::query::{Record, Stored};
use bytes::Bytes;

/// What is kept of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// What queries read of it.
    pub record: Record,
    /// The document: always JSON in UTF-8.
    pub document: Bytes,
    /// The bytes as they came, where they differ from `document` because they were not quite JSON.
    pub raw: Option<Bytes>,
}

impl Kept {
    /// Order in which blocks keep documents.
    pub fn key(&self) -> Key {
        Key::of(&self.record)
    }

    /// As queries are shown documents.
    pub fn stored(&self) -> Stored {
        let Record { sequence, received_at, .. } = self.record;
        Stored { sequence, received_at, document: self.document.clone() }
    }
}

/// Place of a document in the order of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `trace_id`
    pub trace_id: crate::query::TraceId,
    /// `id`
    pub id: crate::query::SegmentId,
    /// `sequence`
    pub sequence: u64,
}

impl Key {
    /// The key of a record.
    pub fn of(record: &Record) -> Self {
        Self { trace_id: record.trace_id, id: record.id, sequence: record.sequence }
    }
}
