//! The columns of a block.
