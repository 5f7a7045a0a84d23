//! The log: the official daemon's line form or JSON, on standard output or in a file.
//!
//! Lines go through a bounded queue to a thread of their own. A pipe nobody reads, or a slow log driver, then
//! costs log lines, and never documents; how many lines were lost is said when there is room again.

mod format;
mod rolling;

use crate::config::{LogFormat, Logging};
use format::LineFormat;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// Lines that wait for a slow reader at most.
const QUEUE_LINES: usize = 1024;

/// Longest time the end of the program waits for its last lines to be read.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// Keeps the log thread; dropped, everything said before is written, unless nobody reads it.
#[derive(Debug)]
pub struct Log {
    lines: SyncSender<Vec<u8>>,
    written: Receiver<()>,
}

/// Opens the log and makes it the process's.
///
/// # Errors
/// When the file cannot be opened.
pub fn open(logging: &Logging) -> io::Result<Log> {
    if let Some(folder) = logging.path.as_deref().and_then(Path::parent) {
        // As the official daemon's logger does.
        std::fs::create_dir_all(folder)?;
    }
    let output: Box<dyn Write + Send> = match &logging.path {
        None => Box::new(io::stdout()),
        Some(path) if logging.rotate && !is_special(path) => {
            Box::new(rolling::RollingFile::open(path, rolling::FILE_MAX_BYTES)?)
        }
        Some(path) => Box::new(std::fs::OpenOptions::new().create(true).append(true).open(path)?),
    };
    let (lines, receiver) = sync_channel(QUEUE_LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let queue = Queue { lines: lines.clone(), lost: lost.clone() };
    let line_format = LineFormat { json: logging.format == LogFormat::Json };
    let (all_written, written) = sync_channel(1);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        write_lines(&receiver, output, &lost);
        // Nobody waits when this fails.
        let _ = all_written.send(());
    })?;
    let layer = tracing_subscriber::fmt::layer().event_format(line_format).with_writer(queue);
    let subscriber = tracing_subscriber::registry().with(OwnCrateOnly { level: logging.level }).with(layer);
    // Already set only when a program that embeds the collector has its own; then that one stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(Log { lines, written })
}

/// `/dev/stdout`, a named pipe: nothing to be renamed.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

impl Drop for Log {
    fn drop(&mut self) {
        // The subscriber keeps a sender for ever; an empty line is the mark of the end. A queue that is full has
        // a reader that stands still, and will not be waited for.
        if self.lines.try_send(Vec::new()).is_ok() {
            let _ = self.written.recv_timeout(LAST_LINES_TIMEOUT);
        }
    }
}

/// What other crates say is for their developers: only errors, unless everything was asked for.
struct OwnCrateOnly {
    level: tracing::level_filters::LevelFilter,
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for OwnCrateOnly {
    fn enabled(
        &self,
        metadata: &tracing::Metadata<'_>,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) -> bool {
        let ours = metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
        let everything = self.level == tracing::level_filters::LevelFilter::TRACE;
        *metadata.level() <= self.level && (ours || everything)
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.level)
    }
}

fn write_lines(lines: &Receiver<Vec<u8>>, mut output: Box<dyn Write + Send>, lost: &AtomicU64) {
    while let Ok(line) = lines.recv() {
        if line.is_empty() {
            break;
        }
        // A log that cannot be written has nobody to be told to.
        let _ = output.write_all(&line);
        let missing = lost.swap(0, Relaxed);
        if missing > 0 {
            let _ = writeln!(output, "{missing} log lines were lost: the log was not read fast enough");
        }
        let _ = output.flush();
    }
}

#[derive(Clone)]
struct Queue {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

/// One line on its way into the queue.
struct Line {
    bytes: Vec<u8>,
    queue: Queue,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { bytes: Vec::with_capacity(160), queue: self.clone() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Err(TrySendError::Full(_)) = self.queue.lines.try_send(std::mem::take(&mut self.bytes)) {
            self.queue.lost.fetch_add(1, Relaxed);
        }
    }
}
