//! The short-lived verbs of the command line, and what they print.

pub mod address;
mod daemon;
pub mod export;
pub mod healthcheck;
pub mod import;
mod progress;
pub mod send;

use std::io::Write;

/// Writes to standard output. A reader that has gone is no error.
///
/// # Errors
/// Never; the type fits the verbs.
pub fn print(text: &str) -> anyhow::Result<()> {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Writes an error and its causes to standard error.
pub fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "xrayd: {error:#}");
}
