//! More than can be sent or kept, in a small container, with X-Ray away: memory stays inside its budget, what is
//! given up is counted by reason, and when X-Ray is back nobody has to help.

use crate::support::process::Process;
use crate::support::{FakeXRay, HEADER, Mode, PATIENCE, sigv4};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MIB: u64 = 1024 * 1024;

/// What a container of 32 MB gets: 5 % of it would be less than the smallest budget.
const BUDGET: u64 = 4 * MIB;

/// What the daemon may have besides its budget. The program itself is not in it: pages of a file are the system's to
/// take back, and a debug build has ten times as many.
const REST: u64 = 12 * MIB;

/// A memory cgroup of 32 MB, where this user may make one.
struct Container(PathBuf);

impl Container {
    fn make(name: &str) -> Option<Self> {
        let places = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        places.iter().find_map(|(root, limit)| {
            let folder = Path::new(root).join(format!("xrayd-test-{}-{name}", std::process::id()));
            if !Path::new(root).join("cgroup.procs").exists() || std::fs::create_dir(&folder).is_err() {
                return None;
            }
            let container = Self(folder);
            std::fs::write(container.0.join(limit), (32 * MIB).to_string()).ok()?;
            Some(container)
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

async fn flood(name: &str, document_bytes: usize) {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let container = Container::make(name);
    // Where no cgroup can be made, the settings it would lead to are given by hand.
    let settings = if container.is_some() { "" } else { "-m 4 --receive-buffer-kb 1024" };
    let arguments = format!(
        "-o -n {} --endpoint {} --spool {} --spool-max-mb 16 {settings}",
        sigv4::REGION,
        fake.url(),
        directory.path().display()
    );
    let daemon = Process::start_in(container.as_ref().map(|container| container.0.as_path()), &arguments);
    let metrics = daemon.metrics();
    let budget = metrics.sum("xrayd_budget_bytes");
    assert!(budget <= BUDGET, "{budget}");

    let datagram = [HEADER, "x".repeat(document_bytes).as_bytes()].concat();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (began, mut most, mut sent) = (Instant::now(), 0, 0_u64);
    while began.elapsed() < Duration::from_secs(3) {
        for _ in 0..200 {
            sender.send_to(&datagram, &daemon.udp).unwrap();
        }
        sent += 200;
        most = most.max(daemon.anonymous_bytes());
    }
    fake.set(Mode::Take);
    let deadline = Instant::now() + PATIENCE * 2;
    let metrics = loop {
        let metrics = daemon.metrics();
        assert!(metrics.balances(), "{}", metrics.0);
        most = most.max(daemon.anonymous_bytes());
        // The daemon asks the kernel for its drops once a second.
        let counted = metrics.sum("xrayd_documents_received_total")
            + metrics.sum("xrayd_kernel_dropped_datagrams_total");
        if metrics.sum("xrayd_documents_waiting") == 0 && counted == sent {
            break metrics;
        }
        assert!(Instant::now() < deadline, "{}", metrics.0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let kernel = metrics.sum("xrayd_kernel_dropped_datagrams_total");
    let received = metrics.sum("xrayd_documents_received_total");
    let dropped = metrics.sum("xrayd_documents_dropped_total");
    assert_eq!(received + kernel, sent, "every datagram was received or counted by the kernel");
    assert!(dropped > 0, "the flood was more than could be kept: {}", metrics.0);
    assert_eq!(fake.documents_len() as u64, received - dropped);
    assert!(most <= budget + REST, "{most} bytes of memory with a budget of {budget}");

    sender.send_to(&[HEADER, b"{\"after\":1}"].concat(), &daemon.udp).unwrap();
    fake.until("a document after the flood", |fake| {
        fake.documents().last().is_some_and(|last| last.contains("after"))
    })
    .await;
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_small_documents_stays_inside_the_budget() {
    flood("small", 1024).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_the_largest_documents_stays_inside_the_budget() {
    flood("large", 65_000).await;
}
