//! Blocks: files of documents that are not written to any more, in the Parquet format.
//!
//! What stands in them is said in [`schema`]; merging several is left to [`merge`](super::merge).

pub mod schema;

use super::kept::Kept;
use crate::query::{Stored, TraceId};
use std::borrow::Borrow;
use std::path::{Path, PathBuf};

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
        source: std::io::Error,
    },
    /// Rows were given in the wrong order.
    #[error("rows of block {} are not sorted by trace id, id and sequence", path.display())]
    Unsorted {
        /// The file that was to be written.
        path: PathBuf,
    },
}

/// Writes a block: to a name beside it first, so that there is never half a block. Rows come sorted by
/// [`Kept::key`].
///
/// # Errors
/// When rows are not sorted, or the disk refuses. No file is left then.
pub fn write<K: Borrow<Kept>>(path: &Path, rows: impl IntoIterator<Item = K>) -> Result<Summary, BlockError> {
    let _ = rows.into_iter();
    Err(BlockError::Unsorted { path: path.to_owned() })
}

/// A block that can be read, by several threads at once.
#[derive(Debug)]
pub struct Block {
    path: PathBuf,
    summary: Summary,
}

impl Block {
    /// Opens a block.
    ///
    /// # Errors
    /// When it cannot be read or is no block.
    pub fn open(path: &Path) -> Result<Self, BlockError> {
        Err(BlockError::Damaged { path: path.to_owned(), reason: "not yet".to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Shows all documents of these traces, which come sorted.
    ///
    /// # Errors
    /// When the block is damaged. What could be read has been shown.
    pub fn documents(
        &self,
        traces: &[TraceId],
        mut each: impl FnMut(TraceId, Stored),
    ) -> Result<(), BlockError> {
        let _ = (traces, &mut each);
        Ok(())
    }

    /// Shows all rows in their order.
    ///
    /// # Errors
    /// When the block is damaged. What could be read has been shown.
    pub fn kept(&self, mut each: impl FnMut(Kept)) -> Result<(), BlockError> {
        let _ = &mut each;
        Ok(())
    }
}
