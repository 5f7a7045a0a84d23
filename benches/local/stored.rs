//! A daemon that keeps what it gets in a directory, and the directory.

use crate::client::Client;
use crate::options::Options;
use crate::pace::poll_again;
use crate::process::{Daemon, free_ports};
use anyhow::ensure;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest time anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Time between two looks at what a process has used; less than so much of it is quiet.
const LOOK: Duration = Duration::from_millis(400);
const QUIET: Duration = Duration::from_millis(4);

/// Starts the daemon on a directory.
pub(crate) fn start(store: &Path, options: &Options, core: Option<usize>) -> anyhow::Result<Daemon> {
    let folder = tempfile::tempdir()?;
    let (udp, tcp) = free_ports()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_xrayd"));
    command
        .args(["local", "--store-max-mb", "65536", "--store"])
        .arg(store)
        .args(["-b", &udp.to_string(), "-t", &tcp.to_string()])
        .args(&options.flags)
        .env_clear()
        .env("HOME", folder.path());
    Daemon::spawn(command, (udp, tcp), folder, core, false)
}

/// Starts the daemon on a directory that has this trace, and waits until it gives it; how long that took, and the CPU
/// time it had by then.
pub(crate) fn reopen(
    store: &Path,
    options: &Options,
    core: Option<usize>,
    trace: &str,
) -> anyhow::Result<(Daemon, Duration, Duration)> {
    let began = Instant::now();
    let mut daemon = start(store, options, core)?;
    loop {
        if let Ok(mut client) = Client::connect(daemon.tcp()) {
            let answer = client.ask("Traces", &json!({ "TraceIds": [trace] }))?;
            ensure!(
                answer["Traces"].as_array().is_some_and(|traces| traces.len() == 1),
                "no {trace}: {answer}"
            );
            let took = began.elapsed();
            let cpu = daemon.cpu_of_all()?;
            return Ok((daemon, took, cpu));
        }
        daemon.ensure_alive()?;
        ensure!(began.elapsed() < PATIENCE, "the daemon does not answer");
        poll_again();
    }
}

/// Waits until it has stored so many, or gave some up; how many it has.
pub(crate) fn stored(daemon: &mut Daemon, expected: u64) -> anyhow::Result<u64> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let stored = daemon.metric("xrayd_documents_stored_total")?;
        let waiting = daemon.metric("xrayd_documents_waiting")?;
        if stored >= expected || waiting == 0 && stored == last && since.elapsed() > 2 * LOOK {
            return Ok(stored);
        }
        if stored != last {
            (last, since) = (stored, Instant::now());
        }
        ensure!(since.elapsed() < PATIENCE, "{stored} of {expected} were stored, and nothing happens");
        daemon.ensure_alive()?;
        wait(Duration::from_millis(20));
    }
}

/// Waits until it does nothing any more, for so long at least.
pub(crate) fn quiet(daemon: &mut Daemon, least: Duration) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut used = daemon.cpu_of_all()?;
    loop {
        wait(LOOK);
        let now = daemon.cpu_of_all()?;
        if now.saturating_sub(used) < QUIET && began.elapsed() >= least {
            return Ok(());
        }
        used = now;
        ensure!(began.elapsed() < PATIENCE, "the daemon does not come to rest");
        daemon.ensure_alive()?;
    }
}

#[expect(clippy::disallowed_methods, reason = "counters of another process cannot be waited for")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// Files and bytes of a store.
pub(crate) fn size(store: &TempDir) -> anyhow::Result<(usize, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut folders = vec![store.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                bytes += metadata.len();
            }
        }
    }
    Ok((files, bytes))
}
