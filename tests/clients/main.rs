//! Real X-Ray clients against the running daemon: the SDKs for Python, Node, Go and Java, ADOT Python, OpenTelemetry's
//! samplers, boto3 and the aws command line.
//!
//! They are installed by `tests/clients/setup.sh DIR`; `XRAYD_CLIENTS=DIR` says where. Without them the tests
//! are ignored: a fresh machine has neither the SDKs nor, as a rule, their languages.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(unreachable_pub, reason = "modules of one test program; `pub` says what other modules use")]
#![allow(dead_code, reason = "the fake X-Ray can do more than these tests need")]
#![expect(clippy::disallowed_methods, reason = "a test program reads where its clients are")]

mod aws_cli;
mod daemon;
mod forwarding;
mod local;
mod programs;
mod sampling;
mod sent;
#[path = "../support/mod.rs"]
mod support;
mod taps;
