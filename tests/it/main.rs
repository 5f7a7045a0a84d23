//! The whole daemon in this process, between a sender and a fake X-Ray that checks every signature.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(dead_code, reason = "what the tests share serves other test programs too")]
#![allow(unreachable_pub, reason = "modules of one test program; `pub` says what other modules use")]

mod aws_sdk;
mod aws_setup;
mod command_line;
mod crash;
mod credentials;
mod faults;
mod flood;
mod forwarding;
mod health;
mod local;
mod receivers;
mod retries;
mod rollout;
mod spool;
mod stopping;
mod support;
mod tcp_port;
mod telemetry;
mod tls;
