//! What a store is told.

use super::keeper::{HEAD_AGE_MAX, span};
use std::path::PathBuf;
use std::time::Duration;

/// Largest block that is made of others: a larger one would be read no faster, and takes long to write.
const BLOCK_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// A block, or what the head has in memory, is at most this part of all there may be, so that what is deleted as a whole
/// is little.
const WHOLES: u64 = 8;

/// A block, and what the head has in memory, spans at most this part of the retention, for the same reason.
const SPANS: u32 = 4;

/// Where documents are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On disk. The directory is made when it is not there.
    Directory(PathBuf),
    /// In memory, and gone with the process.
    Memory,
}

impl Place {
    pub(super) fn is_directory(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

/// See the fields.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where documents are kept.
    pub place: Place,
    /// How long, at least, from when a document was received. Default 30 days, as in X-Ray.
    pub retention: Duration,
    /// Most bytes of all files, or of memory where there are none; the oldest are deleted when there would be more.
    /// Default 10 GiB on disk, 256 MiB in memory.
    pub max_bytes: u64,
    /// Whether a document counts as stored only when it survives a loss of power. Without it that takes a second more.
    /// Default false.
    pub durable: bool,
    /// Most bytes of documents that wait to be written. Default 64 MiB.
    pub intake_bytes: usize,
    /// Bytes of memory the documents of the head may take, about, before they become a block. Up to three such parts are
    /// in memory at a time. Default 24 MiB.
    pub generation_bytes: usize,
    /// Documents a slow listener of [`Store::subscribe`](super::Store::subscribe) may be behind. Default 4,096.
    pub tail_documents: usize,
}

impl Settings {
    /// The defaults.
    pub fn new(place: Place) -> Self {
        let max_bytes = if place.is_directory() { 10 << 30 } else { 256 << 20 };
        Self {
            place,
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            max_bytes,
            durable: false,
            intake_bytes: 64 << 20,
            generation_bytes: 24 << 20,
            tail_documents: 4096,
        }
    }

    /// Longest time a document is in the head.
    pub(super) fn head_age(&self) -> Duration {
        HEAD_AGE_MAX.min(self.retention / SPANS).max(Duration::from_secs(1))
    }

    /// Bytes of memory before a generation is frozen.
    pub(super) fn generation_limit(&self) -> usize {
        let part = usize::try_from(self.max_bytes / WHOLES).unwrap_or(usize::MAX);
        if self.place.is_directory() { self.generation_bytes } else { self.generation_bytes.min(part) }
    }

    /// Bytes of the log there is room for beside blocks.
    pub(super) fn log_bytes(&self) -> u64 {
        self.max_bytes / WHOLES
    }

    /// Bytes of a block that is made of others.
    pub(super) fn block_bytes(&self) -> u64 {
        BLOCK_MAX_BYTES.min(self.max_bytes / WHOLES)
    }

    /// Microseconds between the first and the last receipt of a block that is made of others.
    pub(super) fn block_span(&self) -> u64 {
        span(self.retention / SPANS)
    }
}
