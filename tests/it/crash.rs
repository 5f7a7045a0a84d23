//! `kill -9` at any moment, under load, whatever X-Ray does: what is missing afterwards was received in the last
//! moments before, and nothing else is missing.
//!
//! `XRAYD_CRASH_RUNS=100 cargo test --release --test it crash -- --nocapture` prints a line for each run.

#![expect(clippy::disallowed_methods, reason = "settings of the test come from its environment")]

use crate::support::process::Process;
use crate::support::{FakeXRay, Load, Mode, PATIENCE, numbered, sigv4};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A document may be in memory alone for so long: a second in the open batch, a second until a closed one that was
/// not sent goes to disk, and what a busy machine adds.
const WINDOW: Duration = Duration::from_secs(3);

struct Run {
    sent: usize,
    missing: usize,
    /// Time between the sending of the oldest missing document and the end.
    window: Duration,
    twice: usize,
}

fn start(fake: &FakeXRay, directory: &std::path::Path) -> Process {
    let (region, url, directory) = (sigv4::REGION, fake.url(), directory.display());
    Process::start(&format!("-o -n {region} --endpoint {url} --spool {directory}"))
}

async fn run(random: &mut fastrand::Rng, mode: Mode) -> Run {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let daemon = start(&fake, directory.path());
    let rate = *random.choice(&[20, 300, 3000]).unwrap();
    let load = Load::start(&daemon.udp, rate, numbered);
    // X-Ray is well for a while, and then as this run wants it; the end comes at a random moment of either.
    tokio::time::sleep(Duration::from_millis(random.u64(0..700))).await;
    fake.set(mode);
    tokio::time::sleep(Duration::from_millis(random.u64(0..3500))).await;
    daemon.signal("KILL");
    let killed = Instant::now();
    assert_eq!(daemon.exit_code(), None, "killed by the signal");
    let mut times = load.stop();
    times.retain(|time| *time < killed);

    fake.set(Mode::Take);
    let daemon = start(&fake, directory.path());
    let deadline = Instant::now() + PATIENCE;
    // The first look may come before the spool is open; its lock is free, so that takes no time to speak of.
    let mut quiet = 0;
    while quiet < 3 {
        quiet = if daemon.metrics().sum("xrayd_documents_waiting{") == 0 { quiet + 1 } else { 0 };
        assert!(Instant::now() < deadline, "the spool is not drained");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));

    let mut arrived: HashMap<String, usize> = HashMap::new();
    for document in fake.documents() {
        *arrived.entry(document).or_default() += 1;
    }
    let missing: Vec<_> =
        (0..times.len()).filter(|&number| !arrived.contains_key(&numbered(number))).collect();
    let window = missing.first().map_or(Duration::ZERO, |&first| killed - times[first]);
    let twice = arrived.values().map(|times| times - 1).sum();
    Run { sent: times.len(), missing: missing.len(), window, twice }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_it_loses_the_last_moments_only() {
    let runs: usize = std::env::var("XRAYD_CRASH_RUNS").map_or(6, |runs| runs.parse().unwrap());
    let seed =
        std::env::var("XRAYD_CRASH_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let modes = [
        ("well", Mode::Take),
        ("failing", Mode::Fail(500, "InternalFailure")),
        ("hanging", Mode::Hang),
        ("dragging", Mode::TakeAfter(Duration::from_millis(800))),
    ];
    println!("seed {seed}");
    for number in 0..runs {
        let (name, mode) = &modes[number % modes.len()];
        let Run { sent, missing, window, twice } = run(&mut random, mode.clone()).await;
        println!(
            "X-Ray {name:<8} sent {sent:>6}  missing {missing:>5}, all of the last {window:>6.0?}  twice {twice}"
        );
        assert!(
            window <= WINDOW,
            "run {number} of seed {seed}, X-Ray {name}: {missing} of {sent} of {window:?}"
        );
    }
}
