//! What somebody may want to know, or count.

use super::shared::Doing;
use std::fmt;
use std::sync::Arc;

/// Something that happened to the files of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A file of the log was not quite what was written to it. What documents were in the bytes that are lost is not
    /// known.
    LogDamaged {
        /// The file.
        file: String,
        /// Bytes that had been written and were changed since.
        skipped_bytes: u64,
        /// Bytes at the end that were not written in full: the end of a process, or of power, came before.
        torn_bytes: u64,
    },
    /// A file of the log cannot be read, or parts of it cannot, and was set aside as it was.
    LogUnreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
        /// What it is called now. None when it could not be renamed.
        set_aside: Option<String>,
    },
    /// A block cannot be opened now. Nothing says that it is damaged, so it is left where it is, for the next start.
    BlockUnreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A block is damaged, and its documents are lost as far as the store is concerned.
    BlockDamaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
        /// What it is called now. None when it could not be renamed.
        set_aside: Option<String>,
        /// How many documents it had. 0 when that cannot be read.
        documents: u64,
    },
    /// The disk does not do something it should. Said again only after it did.
    DiskFailed {
        /// What.
        doing: Doing,
        /// Why not.
        error: String,
    },
    /// The disk does it again.
    DiskRecovered {
        /// What.
        doing: Doing,
    },
    /// What was in the head is in a block now.
    Sealed {
        /// Number of documents.
        documents: u64,
        /// Size of the block.
        bytes: u64,
    },
    /// Several blocks are one now.
    Compacted {
        /// How many there were.
        blocks: usize,
        /// Size of the new one.
        bytes: u64,
    },
    /// What was too old, or too much, was deleted.
    Expired {
        /// Number of documents.
        documents: u64,
    },
}

/// Whoever wants to know. Called by the store's own threads: it must be quick, and must not wait for the store.
#[derive(Clone)]
pub struct Listener(pub(super) Arc<dyn Fn(&Event) + Send + Sync>);

impl Listener {
    /// Calls this with each event.
    pub fn new(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Nobody wants to know.
    pub fn none() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// An error with all its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
