//! What is kept of documents on this machine: the only room, beside the spool, that knows there is a disk.

pub mod block;
pub mod kept;
pub mod merge;
