//! Asking for traces: X-Ray's filter expressions.

pub mod filter;
