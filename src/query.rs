//! Asking for traces: X-Ray's filter expressions, and what is known of segments.
//!
//! Documents are kept elsewhere; [`Source`] is the door to them. Everything here is pure.

pub mod callee;
pub mod cause;
pub mod filter;
pub mod id;
pub mod json;
pub mod record;
pub mod row;
pub mod selector;
pub mod source;

pub use id::{SegmentId, TraceId};
pub use record::Record;
pub use row::{Annotation, Call, Outcome, Row};
pub use selector::EntitySelector;
pub use source::{By, Columns, Source, Stored, Window};
