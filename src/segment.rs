//! What X-Ray SDKs put into a datagram: a daemon header, one LF, one segment document.
//!
//! Everything here is pure: bytes in, values out. No input or output, no clock, no log.

mod document;
mod escape;
mod header;
mod identity;
mod lenient;
pub mod otlp;

pub use document::{Document, InvalidCode, InvalidDocument, Kind, normal_trace_id, segment_id};
pub use escape::{ESCAPED_BYTE_MAX, Escaped, append_escaped, append_escaped_portable, escaped_len_max};
pub use header::{Datagram, DatagramError};
pub use identity::{Identity, identify};
pub use lenient::parse_lenient;
