//! `xrayd local` as a process of its own, from datagrams to answers: what a segment costs on its way to the disk, what
//! it takes there, and how long questions take when a million are stored.
//!
//! `benches/README.md` says what is measured and how to call it.

#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod questions;
#[cfg(target_os = "linux")]
mod sender;
#[cfg(target_os = "linux")]
mod stored;
#[cfg(target_os = "linux")]
mod traces;

#[cfg(target_os = "linux")]
#[path = "../daemon/pace.rs"]
mod pace;
#[cfg(target_os = "linux")]
#[path = "../daemon/process.rs"]
mod process;
#[cfg(target_os = "linux")]
#[path = "../daemon/report.rs"]
mod report;
#[cfg(target_os = "linux")]
#[path = "../daemon/sys.rs"]
mod sys;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    cases::run(&options::Options::of_process()?)
}

/// CPU time per thread, kernel drops and cores to run on are asked for in Linux's way.
#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the local bench needs Linux");
}
