//! How far something is, for a person who waits at a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two looks at the same line.
const INTERVAL: Duration = Duration::from_millis(100);

/// Characters of the bar.
const BAR: usize = 30;

/// A line on standard error that is written again and again; nothing where that is no terminal.
pub(super) struct Progress {
    shown: bool,
    what: &'static str,
    /// Bytes in all, where that is known.
    total: Option<u64>,
    next: Instant,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        Self { shown: std::io::stderr().is_terminal(), what, total, next: Instant::now() }
    }

    pub(super) fn at(&mut self, bytes: u64, count: u64) {
        let now = Instant::now();
        if !self.shown || now < self.next {
            return;
        }
        self.next = now + INTERVAL;
        write(&line(self.what, self.total, bytes, count), "");
    }

    /// The line as it stays.
    pub(super) fn end(&self, bytes: u64, count: u64) {
        if self.shown {
            write(&line(self.what, self.total, bytes, count), "\n");
        }
    }
}

fn write(line: &str, end: &str) {
    // Who closed standard error does not look.
    let _ = write!(std::io::stderr(), "\r\x1b[K{line}{end}");
}

fn line(what: &str, total: Option<u64>, bytes: u64, count: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{count} {what}, {megabytes:.1} MB");
    };
    let done = usize::try_from(bytes.min(total) * BAR as u64 / total).unwrap_or(BAR);
    let (full, empty) = ("#".repeat(done), "-".repeat(BAR - done));
    format!("[{full}{empty}] {:3} %  {count} {what}, {megabytes:.1} MB", bytes.min(total) * 100 / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_what_is_done() {
        assert_eq!(
            line("documents", Some(200), 100, 7),
            "[###############---------------]  50 %  7 documents, 0.0 MB"
        );
        assert_eq!(line("traces", None, 2_500_000, 7), "7 traces, 2.5 MB");
        assert!(line("traces", Some(5), 9, 7).contains("100 %"), "a file that grew meanwhile");
    }
}
