//! What X-Ray does not take is on disk, whatever the disk does.

#![expect(clippy::disallowed_methods, reason = "a slow disk is a matter of time")]

use crate::support::{Daemon, FakeXRay, Mode, assert_all_arrived, config};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xrayd::config::Config;
use xrayd::pipeline::DropReason;
use xrayd::spool::{Disk, DiskFile, Folder, Lock, Settings, Space};

/// A folder on a disk that fails on command.
#[derive(Debug, Default)]
struct Failing {
    /// Nothing can be written, made, renamed or deleted.
    read_only: AtomicBool,
    /// Nothing can be read.
    unreadable: AtomicBool,
    /// Each write takes this long, and making something durable ten times as long.
    slow_ms: AtomicU64,
    /// The folder is gone with the container.
    volatile: AtomicBool,
    /// How often a file, and how often the folder, was made durable.
    synced: [AtomicU64; 2],
}

impl Failing {
    fn write(&self) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(self.slow_ms.load(SeqCst)));
        if self.read_only.load(SeqCst) { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct FailingDisk(Folder, Arc<Failing>);

#[derive(Debug)]
struct FailingFile(Arc<dyn DiskFile>, Arc<Failing>);

impl FailingDisk {
    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FailingFile(file, self.1.clone()))
    }
}

impl Disk for FailingDisk {
    fn lock(&self) -> io::Result<Lock> {
        self.0.lock()
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.1.write()?;
        self.0.create(name).map(|file| self.wrap(file))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(name).map(|file| self.wrap(file))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.1.write()?;
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.1.write()?;
        self.0.remove(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.synced[1].fetch_add(1, SeqCst);
        self.0.sync()
    }
    fn space(&self) -> Option<Space> {
        self.0.space()
    }
    fn is_volatile(&self) -> bool {
        self.1.volatile.load(SeqCst)
    }
    fn place(&self) -> String {
        self.0.place()
    }
}

impl DiskFile for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn is_linked(&self) -> io::Result<bool> {
        self.0.is_linked()
    }
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.1.unreadable.load(SeqCst) {
            return Err(io::Error::other("input/output error, as the test asked"));
        }
        self.0.read_exact_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.1.write() {
            // Part of it may be there, as on a disk that runs full.
            let _ = self.0.write_all_at(&bytes[..bytes.len() / 2], offset);
            return Err(error);
        }
        self.0.write_all_at(bytes, offset)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.1.write()?;
        self.0.truncate(length)
    }
    fn sync(&self) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(10 * self.1.slow_ms.load(SeqCst)));
        self.1.synced[0].fetch_add(1, SeqCst);
        self.0.sync()
    }
}

/// A configuration with a spool in this directory on a disk that can be made to fail.
fn spooling(arguments: &str, fake: &FakeXRay, directory: &TempDir) -> (Config, Arc<Failing>) {
    let mut config = config(arguments, &fake.url());
    let failing = Arc::new(Failing::default());
    let disk = FailingDisk(Folder::in_directory(directory.path()), failing.clone());
    // Where the tests run may be a container's own layer; that is a test of its own.
    config.spool = Some(Settings { disk: Arc::new(disk), max_bytes: 16 << 20 });
    (config, failing)
}

fn start(fake: &FakeXRay, directory: &TempDir) -> (Daemon, Arc<Failing>) {
    let (config, failing) = spooling("", fake, directory);
    (Daemon::start(config), failing)
}

fn spool_files(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory.join("v1")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock").collect()
}

fn spool_bytes(directory: &Path) -> u64 {
    let size = |name| std::fs::metadata(directory.join("v1").join(name)).map_or(0, |found| found.len());
    spool_files(directory).into_iter().map(size).sum()
}

async fn degraded(daemon: &Daemon) -> String {
    let ready = daemon.get("/readyz").await.json();
    let causes = ready["degraded"].as_array().unwrap();
    let spool = causes.iter().find(|cause| cause["what"] == "spool");
    spool.map_or_else(String::new, |cause| cause["why"].as_str().unwrap().to_owned())
}

async fn until_degraded(daemon: &Daemon, wanted: bool) -> String {
    let deadline = Instant::now() + crate::support::PATIENCE;
    loop {
        let reason = degraded(daemon).await;
        if reason.is_empty() != wanted {
            return reason;
        }
        assert!(Instant::now() < deadline, "{reason:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_goes_to_disk_and_everything_arrives_once_it_is_over() {
    for mode in [
        Mode::Fail(500, "InternalFailure"),
        Mode::Fail(429, "ThrottledException"),
        Mode::Fail(403, "AccessDeniedException"),
        Mode::Hang,
    ] {
        let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
        fake.set(mode);
        let (daemon, _) = start(&fake, &directory);
        let began = Instant::now();
        let mut sent = daemon.send_numbered(400).await;
        let bytes = sent.iter().map(|document| document.len() as u64).sum();
        daemon.until("the spool", |_| spool_bytes(directory.path()) > bytes).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        sent.extend(daemon.send_numbered_from(400, 100).await);
        fake.set(Mode::Take);
        let all_sent = daemon.until("all sent", |snapshot| snapshot.totals.sent == 500).await;
        assert_all_arrived(&sent, &fake.documents());
        assert!(fake.documents().len() as u64 <= 500 + all_sent.totals.duplicates_possible);
        daemon.stop().await;
        assert_eq!(spool_files(directory.path()), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_disk_is_made_durable_while_the_daemon_runs_and_at_its_end() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (daemon, failing) = start(&fake, &directory);
    let synced = || [0, 1].map(|which: usize| failing.synced[which].load(SeqCst));
    daemon.send_numbered(50).await;
    daemon.until("the file and its name to be durable", |_| synced().iter().all(|count| *count > 0)).await;
    let before = synced();
    daemon.send_numbered_from(50, 50).await;
    daemon.stop_with_spool().await;
    assert!(synced()[0] > before[0], "and what came last");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failed_try_does_not_touch_the_disk() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let (daemon, failing) = start(&fake, &directory);
    // A write would fail, and be told.
    failing.read_only.store(true, SeqCst);
    fake.set(Mode::Fail(500, "InternalFailure"));
    let sent = daemon.send_numbered(50).await;
    fake.until_requests("/TraceSegments", 1).await;
    fake.set(Mode::Take);
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 50).await;
    assert_eq!(degraded(&daemon).await, "");
    assert_all_arrived(&sent, &fake.documents());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stop_cannot_deliver_the_next_start_does() {
    for mode in [Mode::Fail(500, "InternalFailure"), Mode::Hang] {
        let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
        fake.set(mode);
        let (daemon, _) = start(&fake, &directory);
        let sent = daemon.send_numbered(170).await;
        let began = Instant::now();
        let report = daemon.stop_with_spool().await;
        // What hangs is waited for: it may be an answer that takes long.
        assert!(began.elapsed() < Duration::from_secs(8), "nothing to wait for: {:?}", began.elapsed());
        assert_eq!((report.snapshot.waiting.spool, report.dropped_at_stop()), (170, 0));
        fake.set(Mode::Take);
        let (daemon, _) = start(&fake, &directory);
        daemon.until("all sent", |snapshot| snapshot.totals.sent == 170).await;
        let report = daemon.stop().await;
        assert_eq!((report.snapshot.totals.recovered, report.snapshot.totals.received_total()), (170, 0));
        assert_all_arrived(&sent, &fake.documents());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_x_ray_answers_delivers_and_leaves_nothing() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::TakeAfter(Duration::from_millis(300)));
    let (daemon, _) = start(&fake, &directory);
    let sent = daemon.send_numbered(530).await;
    let report = daemon.stop().await;
    assert_eq!(report.snapshot.totals.sent, 530);
    assert_all_arrived(&sent, &fake.documents());
    assert_eq!(spool_files(directory.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_disk_goes_with_the_container_a_stop_tries_for_longer() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (config, failing) = spooling("--shutdown-timeout 30", &fake, &directory);
    failing.volatile.store(true, SeqCst);
    let daemon = Daemon::start(config);
    daemon.send_numbered(60).await;
    daemon.ask_to_stop();
    let before = fake.seen_at("/TraceSegments").len();
    fake.until_requests("/TraceSegments", before + 4).await;
    fake.set(Mode::Take);
    let report = daemon.ended().await.unwrap();
    assert_eq!((report.snapshot.totals.sent, report.snapshot.waiting.spool), (60, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_region_or_x_ray_a_restart_loses_nothing() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let (mut config, _) = spooling("", &fake, &directory);
    config.aws.region = None;
    config.aws.local_mode = true;
    let daemon = Daemon::start(config);
    let sent = daemon.send_numbered(70).await;
    daemon.until("the spool", |snapshot| snapshot.waiting.spool == 70).await;
    daemon.stop_with_spool().await;
    let (daemon, _) = start(&fake, &directory);
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 70).await;
    assert_all_arrived(&sent, &fake.documents());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_overflows_memory_loses_nothing() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (config, _) = spooling("-m 3", &fake, &directory);
    let daemon = Daemon::start(config);
    // 8 MB of documents with 2.5 MB of memory.
    let padding = "x".repeat(40_000);
    for number in 0..200 {
        daemon.send(&format!("{{\"n\":{number},\"padding\":\"{padding}\"}}"));
        daemon.until_received(number + 1).await;
    }
    daemon.until("the spool", |snapshot| snapshot.waiting.spool + snapshot.waiting.in_flight == 200).await;
    fake.set(Mode::Take);
    let end = daemon.until("all sent", |snapshot| snapshot.totals.sent == 200).await;
    assert_eq!(end.totals.dropped_total(), 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_gives_up_the_oldest_and_counts_them() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (daemon, _) = start(&fake, &directory);
    let padding = "x".repeat(50_000);
    for number in 0..600 {
        daemon.send(&format!("{{\"n\":{number},\"padding\":\"{padding}\"}}"));
        daemon.until_received(number + 1).await;
    }
    let full = |reason| {
        move |snapshot: &xrayd::pipeline::Snapshot| {
            snapshot.totals.dropped_by().any(|(found, count)| found == reason && count > 200)
        }
    };
    daemon.until("the spool to be full", full(DropReason::SpoolFull)).await;
    fake.set(Mode::Take);
    let end = daemon.until("nothing to wait", |snapshot| snapshot.waiting.total() == 0).await;
    assert_eq!(end.totals.sent + end.totals.dropped_total(), 600);
    let last = fake.documents().iter().filter(|document| document.starts_with("{\"n\":599,")).count();
    assert_eq!(last, 1, "the newest are kept");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_document_on_disk_costs_only_itself() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (daemon, _) = start(&fake, &directory);
    let sent = daemon.send_numbered(49).await;
    daemon.send("{\"id\":\"bad\"}");
    daemon.until("the spool", |snapshot| snapshot.waiting.spool + snapshot.waiting.in_flight == 50).await;
    fake.set(Mode::RefuseBatchWith("\"bad\"", 400));
    let end = daemon.until("nothing to wait", |snapshot| snapshot.waiting.total() == 0).await;
    assert_eq!((end.totals.sent, end.totals.refused_total()), (49, 1));
    assert_all_arrived(&sent, &fake.documents());
    daemon.stop().await;
    assert_eq!(spool_files(directory.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_used_is_named_and_the_daemon_works() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::start(config("--spool /proc/xrayd", &fake.url()));
    let reason = until_degraded(&daemon, true).await;
    assert!(reason.starts_with("/proc/xrayd/v1: "), "{reason}");
    let ready = daemon.get("/readyz").await;
    assert_eq!(ready.status, 200, "it works all the same: {ready:?}");
    let sent = daemon.send_numbered(60).await;
    assert_all_arrived(&sent, &fake.until_documents(60).await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_costs_nothing_while_memory_lasts() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let (daemon, failing) = start(&fake, &directory);
    failing.read_only.store(true, SeqCst);
    fake.set(Mode::Fail(500, "InternalFailure"));
    let mut sent = daemon.send_numbered(150).await;
    let reason = until_degraded(&daemon, true).await;
    assert!(reason.contains("cannot use ") && reason.contains("read-only"), "{reason}");
    assert_eq!(daemon.snapshot().waiting.spool, 0);
    // X-Ray comes and goes while the disk stays as it is.
    fake.set(Mode::Take);
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 150).await;
    fake.set(Mode::Fail(500, "InternalFailure"));
    sent.extend(daemon.send_numbered_from(150, 100).await);
    failing.read_only.store(false, SeqCst);
    assert_eq!(until_degraded(&daemon, false).await, "");
    daemon.until("the spool", |snapshot| snapshot.waiting.spool + snapshot.waiting.in_flight == 100).await;
    let report = daemon.stop_with_spool().await;
    assert_eq!(report.snapshot.totals.dropped_total(), 0);
    fake.set(Mode::Take);
    let (daemon, _) = start(&fake, &directory);
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 100).await;
    assert_all_arrived(&sent, &fake.documents());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_disk_and_x_ray_gone_memory_is_the_bound_and_the_ledger_is_true() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (config, failing) = spooling("-m 3 --shutdown-timeout 1", &fake, &directory);
    failing.read_only.store(true, SeqCst);
    let daemon = Daemon::start(config);
    let padding = "x".repeat(40_000);
    for number in 0..150 {
        daemon.send(&format!("{{\"n\":{number},\"padding\":\"{padding}\"}}"));
        daemon.until_received(number + 1).await;
    }
    let report = daemon.stop_with_spool().await;
    let dropped: Vec<_> = report.snapshot.totals.dropped_by().filter(|(_, count)| *count > 0).collect();
    let reasons: Vec<_> = dropped.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, [DropReason::Memory, DropReason::Shutdown], "{dropped:?}");
    assert_eq!(report.snapshot.totals.dropped_total(), 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_read_costs_what_is_on_it_and_nothing_else() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (daemon, failing) = start(&fake, &directory);
    daemon.send_numbered(100).await;
    daemon.until("the spool", |snapshot| snapshot.waiting.spool == 100).await;
    failing.unreadable.store(true, SeqCst);
    let end = daemon.until("the loss to be counted", |snapshot| snapshot.waiting.total() == 0).await;
    let damaged = end.totals.dropped_by().find(|(reason, _)| *reason == DropReason::SpoolDamaged);
    assert_eq!(damaged.map(|(_, count)| count), Some(100));
    fake.set(Mode::Take);
    let sent = daemon.send_numbered_from(100, 100).await;
    daemon.until("the rest", |snapshot| snapshot.totals.sent == 100).await;
    assert_all_arrived(&sent, &fake.documents());
    assert!(spool_files(directory.path()).iter().all(|name| name.ends_with(".damaged")));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_works_again_is_not_called_broken_although_nobody_needs_it() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let (daemon, failing) = start(&fake, &directory);
    failing.read_only.store(true, SeqCst);
    fake.set(Mode::Fail(500, "InternalFailure"));
    daemon.send_numbered(50).await;
    until_degraded(&daemon, true).await;
    fake.set(Mode::Take);
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 50).await;
    failing.read_only.store(false, SeqCst);
    assert_eq!(until_degraded(&daemon, false).await, "");
    daemon.stop().await;
    assert_eq!(spool_files(directory.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_whose_directory_was_deleted_are_not_called_spooled() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (daemon, _) = start(&fake, &directory);
    daemon.send_numbered(100).await;
    daemon.until("the spool", |snapshot| snapshot.waiting.spool == 100).await;
    std::fs::remove_dir_all(directory.path().join("v1")).unwrap();
    let fresh = daemon.send_numbered_from(100, 50).await;
    let report = daemon.stop_with_spool().await;
    // What was being tried in that moment is in memory, and is written again.
    let (spooled, dropped) = (report.snapshot.waiting.spool, report.snapshot.totals.dropped_total());
    assert!(spooled >= 50 && spooled + dropped == 150, "{report:?}");
    fake.set(Mode::Take);
    let (daemon, _) = start(&fake, &directory);
    daemon.until("all that was said to be on disk", |snapshot| snapshot.totals.sent == spooled).await;
    assert_all_arrived(&fresh, &fake.documents());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_somebody_deletes_is_made_anew() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (daemon, _) = start(&fake, &directory);
    daemon.send_numbered(100).await;
    daemon.until("the spool", |snapshot| snapshot.waiting.spool == 100).await;
    std::fs::remove_dir_all(directory.path().join("v1")).unwrap();
    let fresh = daemon.send_numbered_from(100, 100).await;
    daemon
        .until("a new spool", |snapshot| {
            !spool_files(directory.path()).is_empty() && snapshot.waiting.spool >= 100
        })
        .await;
    fake.set(Mode::Take);
    let end = daemon.until("nothing to wait", |snapshot| snapshot.waiting.total() == 0).await;
    // What was being tried in that moment is in memory, and is not lost.
    assert!(end.totals.sent >= 100 && end.totals.sent + end.totals.dropped_total() == 200, "{end:?}");
    assert_all_arrived(&fresh, &fake.documents());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_holds_up_neither_receiving_nor_sending() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (daemon, failing) = start(&fake, &directory);
    failing.slow_ms.store(300, SeqCst);
    let mut sent = daemon.send_numbered(500).await;
    daemon.until("a first batch on disk", |snapshot| snapshot.waiting.spool > 0).await;
    fake.set(Mode::Take);
    let began = Instant::now();
    sent.extend(daemon.send_numbered_from(500, 500).await);
    // Ten batches with two writes each would take six seconds.
    assert!(began.elapsed() < Duration::from_secs(4), "receiving waited: {:?}", began.elapsed());
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 1000).await;
    assert_all_arrived(&sent, &fake.documents());
    let report = daemon.stop().await;
    assert_eq!(report.snapshot.totals.dropped_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_daemons_on_one_directory_the_second_works_on_memory_and_takes_over() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (first, _) = start(&fake, &directory);
    let mut sent = first.send_numbered(100).await;
    first.until("the spool", |snapshot| snapshot.waiting.spool == 100).await;
    let (second, _) = start(&fake, &directory);
    sent.extend(second.send_numbered_from(100, 100).await);
    let reason = until_degraded(&second, true).await;
    assert!(reason.starts_with("another daemon uses "), "{reason}");
    assert_eq!(second.snapshot().waiting.spool, 0, "on memory alone");
    first.stop_with_spool().await;
    assert_eq!(until_degraded(&second, false).await, "", "it keeps trying");
    let there = second.until("both on disk", |snapshot| snapshot.waiting.spool >= 100).await;
    assert_eq!(there.totals.recovered, 100);
    fake.set(Mode::Take);
    second.until("all sent", |snapshot| snapshot.totals.sent == 200).await;
    assert_all_arrived(&sent, &fake.documents());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_documents_do_not_wait_behind_those_from_disk() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    fake.set(Mode::Fail(500, "InternalFailure"));
    let (config, _) = spooling("--concurrency 2 --max-in-flight 2", &fake, &directory);
    let daemon = Daemon::start(config);
    daemon.send_numbered(3000).await;
    daemon.until("the spool", |snapshot| snapshot.waiting.spool + snapshot.waiting.in_flight == 3000).await;
    fake.set(Mode::TakeAfter(Duration::from_millis(40)));
    daemon.until("X-Ray to take some", |snapshot| snapshot.totals.sent > 0).await;
    let fresh = daemon.send_numbered_from(3000, 500).await;
    let last = fresh.last().unwrap().clone();
    fake.until("the fresh ones", |fake| fake.documents().contains(&last)).await;
    let snapshot = daemon.snapshot();
    assert!(snapshot.waiting.spool > 500, "the spool is not empty yet: {snapshot:?}");
    daemon.until("all sent", |snapshot| snapshot.totals.sent == 3500).await;
    daemon.stop().await;
}
