//! xrayd receives what AWS X-Ray SDKs send and forwards it to AWS X-Ray, in place of the AWS X-Ray daemon.
//!
//! The rooms, from the outside in:
//!
//! - [`app`] binds the ports, starts the rooms and stops them in order; [`config`] tells it how.
//! - [`udp`] and [`api`] are the edges: datagrams from SDKs, requests on the TCP port.
//! - [`pipeline`] makes request bodies of documents and keeps the ledger; [`sink`] sends them; [`aws`] is how.
//! - [`spool`] keeps on disk what X-Ray does not take.
//! - [`query`] reads X-Ray's filter expressions.
//! - [`refusal`] is how X-Ray says no.
//! - [`segment`] is pure: bytes in, values out.
//! - [`address`], [`emit`], [`events`], [`log`] and [`shutdown`] are leaves that anyone may use.
//!
//! A Rust program that only wants to send segments needs [`emit::Emitter`] and [`address::DaemonAddress`]; one
//! that wants the collector inside itself needs [`App`] and [`config::Config`]. `examples/` has both.

pub mod account;
pub mod address;
pub mod api;
pub mod app;
pub mod aws;
pub mod config;
pub mod emit;
pub mod events;
pub mod log;
pub mod pipeline;
pub mod query;
pub mod refusal;
pub mod segment;
pub mod shutdown;
pub mod sink;
pub mod spool;
pub mod store;
pub mod udp;
pub mod verbs;

pub use app::{App, AppError, Report};
