//! The run: a store for each rate, then the last one that lost nothing is closed, opened and asked.

use crate::options::Options;
use crate::pace::Sent;
use crate::process::Daemon;
use crate::sender::Sender;
use crate::traces::Traces;
use crate::{questions, report, stored, sys};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Seconds the traces are spread over.
const SPAN_SECS: u64 = 3_600;

/// Segments that are in no block when the daemon is killed: nearly what is in memory before it is sealed.
const UNSEALED: u64 = 8_000;

/// Blocks are compacted when nothing has come for 2 seconds.
const COMPACTION_BEGINS: Duration = Duration::from_secs(3);

/// The threads that have to do with a segment on its way to the disk, and the columns they are shown in.
const THREADS: [(&str, &str); 4] = [
    ("udp-receive", "receive"),
    ("store-write", "write"),
    ("store-seal", "seal"),
    ("store-compact", "compact"),
];

/// Runs what was asked for.
///
/// # Errors
/// When the daemon does not do what it should; in a test also when it loses anything.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if !options.wanted {
        return Ok(());
    }
    let core = take_cores(options);
    sys::exact_sleeps();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let traces = Traces::new(options.segments, now, SPAN_SECS, 0);
    ensure!(traces.count() > 0, "--segments: a trace has 5");
    let mut kept = None;
    tell_head(&traces, options);
    for &rate in &options.rates {
        let ingested = ingest(&traces, rate, options, core)?;
        ingested.tell(rate, &traces);
        ensure!(ingested.is_whole(&traces) || !options.test, "segments were lost");
        if ingested.is_whole(&traces) {
            kept = Some(ingested);
        }
    }
    let Ingested { daemon, store, .. } = kept.context("no rate without loss: nothing is asked")?;
    let stopped = daemon.terminate()?;
    let (files, bytes) = stored::size(&store)?;
    let daemon = open(&store, &traces, options, core, stopped)?;
    println!("on disk: {:.1} bytes a segment, {files} files", bytes as f64 / traces.segments() as f64);
    questions::ask_all(&daemon, &traces, options)?;
    println!("\nmemory after that: {:.1} MB, peak {:.1} MB", daemon.rss_mb()?, daemon.peak_mb()?);
    crash(daemon, &store, &traces, options, core)
}

/// The load has a core for itself when the daemon has; else both share what there is.
fn take_cores(options: &Options) -> Option<usize> {
    let cores = sys::allowed_cores();
    if options.cores == 1
        && let [load, daemon, ..] = cores[..]
        && sys::pin(load).is_ok()
    {
        println!("the daemon has one core, the load another");
        return Some(daemon);
    }
    println!("daemon and load share {} cores", cores.len());
    None
}

/// A store that was filled.
struct Ingested {
    daemon: Daemon,
    store: TempDir,
    sent: Sent,
    /// CPU time of the generator: with less than a core of it left, it is what was too slow.
    load: Duration,
    stored: u64,
    kernel_drops: u64,
    /// From the first datagram until the last was stored.
    took: Duration,
    /// CPU time until all was stored, and until blocks were compacted.
    cpu: [Duration; 2],
    threads: BTreeMap<String, Duration>,
    /// Memory when all was stored, and the most there was.
    memory_mb: [f64; 2],
}

fn ingest(traces: &Traces, rate: u64, options: &Options, core: Option<usize>) -> anyhow::Result<Ingested> {
    let store = tempfile::tempdir()?;
    let mut daemon = stored::start(store.path(), options, core)?;
    daemon.wait_for_answer(true)?;
    let mut sender = Sender::new(daemon.udp())?;
    let (before, own, began) = (daemon.cpu()?, sys::own_cpu_time()?, Instant::now());
    let sent = sender.send(traces, rate)?;
    let load = sys::own_cpu_time()?.saturating_sub(own);
    let kept = stored::stored(&mut daemon, traces.segments())?;
    let took = began.elapsed();
    let to_log = daemon.cpu()?.saturating_sub(before);
    let rss_mb = daemon.rss_mb()?;
    if !options.test {
        stored::quiet(&mut daemon, COMPACTION_BEGINS)?;
    }
    Ok(Ingested {
        sent,
        load,
        stored: kept,
        kernel_drops: daemon.kernel_drops()?,
        took,
        cpu: [to_log, daemon.cpu()?.saturating_sub(before)],
        threads: daemon.cpu_by_thread()?,
        memory_mb: [rss_mb, daemon.peak_mb()?],
        daemon,
        store,
    })
}

fn tell_head(traces: &Traces, options: &Options) {
    let title = format!("ingest of {} segments, {} core(s)", traces.segments(), options.cores);
    let threads = THREADS.map(|(_, column)| column);
    let [receive, write, seal, compact] = threads;
    report::head(
        &title,
        &[
            "rate/s",
            "sent/s",
            "stored/s",
            "lost",
            "kernel drops",
            "load µs/segment",
            "CPU µs/segment",
            "with compaction",
            receive,
            write,
            seal,
            compact,
            "MB",
            "peak MB",
        ],
    );
}

impl Ingested {
    fn is_whole(&self, traces: &Traces) -> bool {
        self.stored == traces.segments() && self.kernel_drops == 0
    }

    fn tell(&self, rate: u64, traces: &Traces) {
        let each = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e6 / self.stored.max(1) as f64);
        let mut cells = vec![
            rate.to_string(),
            format!("{:.0}", self.sent.rate()),
            format!("{:.0}", self.stored as f64 / self.took.as_secs_f64()),
            traces.segments().saturating_sub(self.stored).to_string(),
            self.kernel_drops.to_string(),
        ];
        cells.push(each(self.load));
        cells.extend(self.cpu.map(each));
        cells.extend(THREADS.map(|(name, _)| each(self.threads.get(name).copied().unwrap_or_default())));
        cells.extend(self.memory_mb.map(|mb| format!("{mb:.1}")));
        report::row(&cells);
    }
}

fn open(
    store: &TempDir,
    traces: &Traces,
    options: &Options,
    core: Option<usize>,
    stopped: Duration,
) -> anyhow::Result<Daemon> {
    let (daemon, took, cpu) = stored::reopen(store.path(), options, core, &traces.id(0))?;
    println!(
        "\nstopped in {:.2} s, opened and answered in {:.0} ms ({:.0} ms CPU): {} blocks, {:.1} MB",
        stopped.as_secs_f64(),
        took.as_secs_f64() * 1e3,
        cpu.as_secs_f64() * 1e3,
        daemon.metric("xrayd_store_blocks")?,
        daemon.rss_mb()?,
    );
    Ok(daemon)
}

/// More segments come, and the daemon is killed before it can seal them.
fn crash(
    mut daemon: Daemon,
    store: &TempDir,
    traces: &Traces,
    options: &Options,
    core: Option<usize>,
) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let more = Traces::new(UNSEALED.min(options.segments), now, 60, 1);
    let rate = options.rates.iter().copied().min().unwrap_or_default().min(20_000);
    Sender::new(daemon.udp())?.send(&more, rate)?;
    let came = stored::stored(&mut daemon, more.segments())?;
    ensure!(came == more.segments(), "{came} of {} segments came", more.segments());
    let unsealed = daemon.metric("xrayd_store_documents{place=\"memory\"}")?;
    // Dropped, it is killed.
    drop(daemon);
    let (daemon, took, cpu) = stored::reopen(store.path(), options, core, &more.id(0))?;
    let documents = daemon.metric("xrayd_store_documents")?;
    ensure!(documents == traces.segments() + more.segments(), "{documents} documents after a crash");
    println!(
        "killed with {unsealed} segments in the log: opened and answered in {:.0} ms ({:.0} ms CPU)",
        took.as_secs_f64() * 1e3,
        cpu.as_secs_f64() * 1e3
    );
    daemon.terminate()?;
    Ok(())
}
