//! Steady load with an outage in the middle: memory and open files stay flat, and the ledger is exact.
//!
//! `XRAYD_SOAK_MINUTES=120 XRAYD_SOAK_RATE=2000 cargo test --release --test soak -- --ignored --nocapture` for hours;
//! `.ci/run` takes one minute.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(unreachable_pub, reason = "modules of one test program; `pub` says what other modules use")]
#![allow(dead_code, reason = "this test uses less of what the tests share")]
#![expect(
    clippy::disallowed_methods,
    reason = "a steady rate is a matter of time; settings come from the environment"
)]
#![cfg(target_os = "linux")]

mod support;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::StatusCode;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::process::Process;
use support::sigv4;

/// What memory may have grown by from the first quarter to the last.
const GROWTH_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Connections of a busy moment are kept for the next.
const CONNECTIONS: usize = 8;

const HEADER: &[u8] = b"{\"format\":\"json\",\"version\":1}\n";

/// An X-Ray that remembers of each document only how often it came.
#[derive(Default)]
struct Tally {
    times: Mutex<Vec<u8>>,
    failing: AtomicBool,
}

async fn answer(State(tally): State<Arc<Tally>>, body: Bytes) -> (StatusCode, &'static str) {
    if tally.failing.load(Relaxed) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "{}");
    }
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let documents = body["TraceSegmentDocuments"].as_array().into_iter().flatten();
    let mut times = tally.times.lock().unwrap();
    for document in documents {
        let (_, rest) = document.as_str().unwrap().split_once("\"n\":").unwrap();
        let number: usize = rest.split(',').next().unwrap().parse().unwrap();
        let length = times.len().max(number + 1);
        times.resize(length, 0);
        times[number] += 1;
    }
    (StatusCode::OK, "{}")
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Most memory and open files of a quarter of the time, looked at once a second.
fn watch(daemon: &Process, quarter: Duration) -> (u64, usize) {
    let (end, mut memory, mut files) = (Instant::now() + quarter, 0, 0);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_secs(1));
        memory = memory.max(daemon.anonymous_bytes());
        files = files.max(daemon.open_files());
        let metrics = daemon.metrics();
        assert!(metrics.balances(), "{}", metrics.0);
    }
    (memory, files)
}

#[ignore = "takes minutes by design; .ci/run runs it with --ignored"]
#[test]
fn steady_load_with_an_outage_in_the_middle() {
    let quarter = Duration::from_secs(setting("XRAYD_SOAK_MINUTES", 2) * 60 / 4);
    let rate = u32::try_from(setting("XRAYD_SOAK_RATE", 500)).unwrap();
    let tally = Arc::new(Tally::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(tally.clone());
    runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });

    let directory = tempfile::tempdir().unwrap();
    let (region, spool) = (sigv4::REGION, directory.path().display());
    let daemon = Process::start(&format!("-o -n {region} --endpoint http://{endpoint} --spool {spool}"));
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = std::thread::spawn({
        let (to, stop, sent) = (daemon.udp.clone(), stop.clone(), sent.clone());
        move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let padding = "x".repeat(1000);
            let (began, mut number) = (Instant::now(), 0_u32);
            while !stop.load(Relaxed) {
                let document = format!("{{\"n\":{number},\"padding\":\"{padding}\"}}");
                socket.send_to(&[HEADER, document.as_bytes()].concat(), &to).unwrap();
                number += 1;
                sent.store(number.into(), Relaxed);
                let next = began + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
    });

    let first = watch(&daemon, quarter);
    tally.failing.store(true, Relaxed);
    let outage = watch(&daemon, quarter);
    assert!(daemon.metrics().sum("xrayd_documents_waiting{sink=\"xray\",place=\"spool\"}") > 0);
    tally.failing.store(false, Relaxed);
    let recovery = watch(&daemon, quarter);
    let last = watch(&daemon, quarter);
    for (name, (memory, files)) in
        [("steady", first), ("outage", outage), ("recovery", recovery), ("steady", last)]
    {
        println!("{name:<8}  most memory {:>6} KB, most open files {files}", memory / 1024);
    }
    assert!(last.0 <= first.0 + GROWTH_MAX_BYTES, "memory grew from {} to {} bytes", first.0, last.0);
    assert!(last.1 <= recovery.1 + 2, "open files grew from {} to {}", recovery.1, last.1);
    assert!(last.1 <= first.1 + CONNECTIONS + 2, "open files grew from {} to {}", first.1, last.1);

    stop.store(true, Relaxed);
    load.join().unwrap();
    let sent = sent.load(Relaxed);
    // What the kernel still holds is received in a moment; a stop waits for it.
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));
    let times = tally.times.lock().unwrap();
    let arrived = times.iter().filter(|times| **times > 0).count() as u64;
    let missing = sent - arrived;
    let twice = times.iter().filter(|times| **times > 1).count();
    println!("{sent} sent, {missing} missing, {twice} came more than once");
    assert_eq!((missing, twice), (0, 0), "of {sent}");
    assert_eq!(
        std::fs::read_dir(directory.path().join("v1")).unwrap().count(),
        1,
        "the lock file alone is left"
    );
}
