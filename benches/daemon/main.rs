//! The whole daemon as a process of its own under load, alone or beside other daemons in the same run.
//!
//! The daemon has a core for itself; the stand-in for X-Ray and the load generator are threads of this process on
//! another. Nothing leaves loopback. `benches/README.md` says what each case measures and how to call it.

#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod contender;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod mock;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod pace;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod sys;

#[cfg(target_os = "linux")]
#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    let options = options::Options::of_process()?;
    cases::run(&options)
}

/// CPU time per thread, kernel drops and cores to run on are asked for in Linux's way.
#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the daemon bench needs Linux");
}
