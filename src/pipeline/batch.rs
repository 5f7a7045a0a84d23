//! One PutTraceSegments request body, written document by document:
//! `{"TraceSegmentDocuments":["…","…"]}`.

use super::BATCH_DOCUMENTS_MAX;
use super::budget::{Pool, PooledBody};
use super::spooling::Record;
use crate::segment::{ESCAPED_BYTE_MAX, Escaped, append_escaped, escaped_len_max};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

const BODY_BEGIN: &[u8] = b"{\"TraceSegmentDocuments\":[\"";
const BODY_BETWEEN: &[u8] = b"\",\"";
const BODY_END: &[u8] = b"\"]}";

/// Spare bytes the escaper may ask for, and the separators.
const SLACK_BYTES: usize = 256;

/// Room a document needs in a body, the escaper's spare bytes included.
pub(super) fn room_for(document: &[u8]) -> usize {
    let mut most = escaped_len_max(document);
    if std::str::from_utf8(document).is_err() {
        // Each byte that is not UTF-8 becomes the three bytes of U+FFFD.
        most += 2 * document.iter().filter(|byte| !byte.is_ascii()).count();
    }
    most.max(document.len() / 4 * 5) + SLACK_BYTES
}

/// A batch that still takes documents.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    body: PooledBody,
    /// Where each document ends in the body.
    ends: Vec<u32>,
    opened_at: Instant,
}

/// What [`BatchBuilder::push`] did.
pub(super) struct Pushed {
    pub(super) how: Escaped,
    /// The batch has as many documents as X-Ray takes.
    pub(super) full: bool,
}

impl BatchBuilder {
    pub(super) fn new(pool: &Pool, now: Instant) -> Self {
        Self { body: pool.take(), ends: Vec::with_capacity(BATCH_DOCUMENTS_MAX), opened_at: now }
    }

    /// Capacity the body needs before `room` more bytes are written to it: what it has, or twice as much, or
    /// more. Growing by doubling keeps the copying down.
    pub(super) fn capacity_for(open: Option<&Self>, pool: &Pool, room: usize) -> (usize, usize) {
        let Some(open) = open else { return (0, pool.next_capacity().max(room)) };
        let (length, capacity) = (open.body.bytes().len(), open.body.capacity());
        let wanted = if capacity - length >= room { capacity } else { (2 * capacity).max(length + room) };
        (capacity, wanted)
    }

    /// Grows the body to a capacity that was found with [`Self::capacity_for`].
    pub(super) fn grow_to(&mut self, capacity: usize) {
        self.body.edit(|body| body.reserve_exact(capacity.saturating_sub(body.len())));
    }

    /// Whether a document of this many bytes fits whatever it is made of, so that nobody has to look.
    pub(super) fn surely_fits(&self, document_bytes: usize, body_max_bytes: usize) -> bool {
        let length = self.body.bytes().len();
        let most = document_bytes * ESCAPED_BYTE_MAX + SLACK_BYTES;
        length + most <= self.body.capacity().min(body_max_bytes)
    }

    /// Whether `room` more bytes leave the body under its limit.
    pub(super) fn fits(&self, room: usize, body_max_bytes: usize) -> bool {
        self.body.bytes().len() + room <= body_max_bytes
    }

    pub(super) fn push(&mut self, document: &[u8]) -> Pushed {
        let separator = if self.ends.is_empty() { BODY_BEGIN } else { BODY_BETWEEN };
        let how = self.body.edit(|body| {
            body.extend_from_slice(separator);
            append_escaped(document, body)
        });
        self.ends.push(offset(self.body.bytes().len()));
        Pushed { how, full: self.ends.len() == BATCH_DOCUMENTS_MAX }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.body.capacity()
    }

    pub(super) fn opened_at(&self) -> Instant {
        self.opened_at
    }

    pub(super) fn close(mut self, number: u64, now: Instant) -> Batch {
        self.body.edit(|body| body.extend_from_slice(BODY_END));
        Batch {
            number,
            origin: number,
            closed_at: now,
            capacity: self.body.capacity(),
            body: self.body.freeze(),
            ends: self.ends.into(),
            tries: 0,
            record: None,
            writing: false,
        }
    }
}

/// A closed request body and where its documents are. Clones share the body.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Tells it from every other batch of this pipeline.
    pub(super) number: u64,
    /// The number of the batch it is a part of, or its own.
    pub(super) origin: u64,
    pub(super) closed_at: Instant,
    body: Bytes,
    capacity: usize,
    ends: Arc<[u32]>,
    /// How often it was sent.
    pub(super) tries: u32,
    /// Where on disk its documents are; of a part of a batch, where the whole is.
    pub(super) record: Option<Record>,
    /// It is being written to the disk.
    pub(super) writing: bool,
}

/// A body from disk that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the positions of the documents do not fit the body")]
pub struct MalformedBody;

/// One document inside a body, still escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a>(&'a [u8]);

impl Document<'_> {
    /// The document as the sender wrote it (bytes that were not UTF-8 aside).
    pub fn unescape(&self) -> String {
        let quoted = [b"\"", self.0, b"\""].concat();
        // Bodies are written by `append_escaped`; only one from a disk that was tampered with is otherwise.
        serde_json::from_slice(&quoted).unwrap_or_else(|_| String::from_utf8_lossy(self.0).into_owned())
    }
}

impl Batch {
    /// The whole request body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// How many documents it has; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where each document ends in the body, in bytes from its beginning, before the closing quote.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// What to call it in [`super::Shared::spooled`].
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Length of the body.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The documents in the order they came.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = Document<'_>> {
        (0..self.len()).map(|position| Document(self.escaped(position)))
    }

    fn escaped(&self, position: usize) -> &[u8] {
        let start = match position.checked_sub(1) {
            None => BODY_BEGIN.len(),
            Some(before) => self.ends[before] as usize + BODY_BETWEEN.len(),
        };
        &self.body[start..self.ends[position] as usize]
    }

    pub(super) fn with_body(self, body: PooledBody) -> Self {
        Self { capacity: body.capacity(), body: body.freeze(), ..self }
    }

    /// A batch of some of the documents, under a number of its own.
    pub(super) fn subset(
        &self,
        number: u64,
        positions: &[usize],
        own: impl FnOnce(Vec<u8>) -> PooledBody,
    ) -> Self {
        let bytes: usize = positions.iter().map(|&at| self.escaped(at).len() + BODY_BETWEEN.len()).sum();
        let mut body = Vec::with_capacity(BODY_BEGIN.len() + bytes + BODY_END.len());
        let mut ends = Vec::with_capacity(positions.len());
        for &position in positions {
            body.extend_from_slice(if ends.is_empty() { BODY_BEGIN } else { BODY_BETWEEN });
            body.extend_from_slice(self.escaped(position));
            ends.push(offset(body.len()));
        }
        body.extend_from_slice(BODY_END);
        let body = own(body);
        Self {
            number,
            capacity: body.capacity(),
            body: body.freeze(),
            ends: ends.into(),
            writing: false,
            ..*self
        }
    }

    /// A batch that comes back from the disk.
    pub(super) fn read_back(
        number: u64,
        body: PooledBody,
        ends: Vec<u32>,
        record: Record,
        now: Instant,
    ) -> Result<Self, MalformedBody> {
        check_ends(body.bytes(), &ends)?;
        Ok(Self {
            number,
            origin: number,
            closed_at: now,
            capacity: body.capacity(),
            body: body.freeze(),
            ends: ends.into(),
            tries: 1,
            record: Some(record),
            writing: false,
        })
    }

    /// Whether it is all that its record on disk holds.
    pub(super) fn is_whole(&self) -> bool {
        self.record.is_some_and(|record| record.documents as usize == self.len())
    }
}

/// Every document lies between its separators, and the last before the end.
fn check_ends(body: &[u8], ends: &[u32]) -> Result<(), MalformedBody> {
    let mut start = BODY_BEGIN.len();
    let framed = body.starts_with(BODY_BEGIN) && body.ends_with(BODY_END);
    for &end in ends {
        if (end as usize) < start {
            return Err(MalformedBody);
        }
        start = end as usize + BODY_BETWEEN.len();
    }
    let last = ends.last().map(|&end| end as usize + BODY_END.len());
    if framed && last == Some(body.len()) { Ok(()) } else { Err(MalformedBody) }
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("bodies are at most BODY_MAX_BYTES long")
}
