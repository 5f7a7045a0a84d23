//! Asking for traces: X-Ray's filter expressions, and what is known of segments.
//!
//! Documents are kept elsewhere; [`Source`] is the door to them. Everything here is pure.

pub mod callee;
pub mod cause;
pub mod filter;
pub mod graph;
pub mod histogram;
pub mod id;
pub mod json;
pub mod node;
pub mod otel;
pub mod record;
pub mod row;
pub mod search;
pub mod selector;
pub mod series;
pub mod source;
pub mod summary;
pub mod trace;

pub use id::{SegmentId, TraceId};
pub use node::NodeId;
pub use record::Record;
pub use row::{Annotation, Call, Outcome, Row};
pub use selector::EntitySelector;
pub use source::{By, Columns, Source, Stored, Window};
pub use summary::Summary;
pub use trace::Trace;
