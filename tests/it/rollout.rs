//! One daemon replaces another under load.

#![expect(clippy::disallowed_methods, reason = "how long nobody listens is a matter of time")]

use crate::support::process::{Process, xrayd};
use crate::support::{FakeXRay, Load, Mode, assert_all_arrived, numbered, sigv4};
use command_fds::{CommandFdExt, FdMapping};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Documents a second.
const RATE: u32 = 1000;

fn application(daemon: &str, first: usize) -> Load {
    Load::start(daemon, RATE, move |number| numbered(first + number))
}

fn arguments(fake: &FakeXRay, directory: &Path) -> String {
    format!("-o -n {} --endpoint {} --spool {}", sigv4::REGION, fake.url(), directory.display())
}

/// Numbers of the documents that never came.
fn missing(sent: usize, fake: &FakeXRay) -> Vec<usize> {
    let arrived: std::collections::HashSet<_> = fake.documents().into_iter().collect();
    (0..sent).filter(|number| !arrived.contains(&numbered(*number))).collect()
}

/// As an ECS daemon service and a plain `systemctl restart` do it: the old one ends, then the new one starts. What is
/// sent while nobody listens is gone; nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn stop_then_start_loses_what_is_sent_while_nobody_listens_and_nothing_else() {
    for mode in [Mode::Take, Mode::Fail(500, "InternalFailure")] {
        let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
        let old = Process::start(&arguments(&fake, directory.path()));
        let application = application(&old.udp, 0);
        fake.until_documents(200).await;
        fake.set(mode);
        let (udp, tcp) = (old.udp.clone(), old.tcp.clone());
        old.signal("TERM");
        // The old one frees its port as the last thing it does for datagrams.
        while let Err(busy) = UdpSocket::bind(&udp) {
            assert_eq!(busy.kind(), std::io::ErrorKind::AddrInUse);
            std::thread::sleep(Duration::from_micros(200));
        }
        let closed = Instant::now();
        assert_eq!(old.exit_code(), Some(0), "nothing was dropped");
        let exited = Instant::now();
        let new = Process::start(&format!("{} -b {udp} -t {tcp}", arguments(&fake, directory.path())));
        let started = Instant::now();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let times = application.stop();
        fake.set(Mode::Take);
        fake.until("the last document", |fake| fake.documents().contains(&numbered(times.len() - 1))).await;
        new.signal("TERM");
        assert_eq!(new.exit_code(), Some(0));

        let lost = missing(times.len(), &fake);
        println!(
            "{} of {} lost: nobody listened for {:?}, {:?} of them after the old one had ended",
            lost.len(),
            times.len(),
            started - closed,
            started - exited,
        );
        let one_gap = lost.windows(2).all(|pair| pair[1] == pair[0] + 1);
        assert!(one_gap, "documents were lost while somebody listened: {lost:?}");
        let before = lost.last().is_none_or(|&last| times[last] < started);
        assert!(before, "documents were lost after the new one had started");
        assert!(started - closed < Duration::from_secs(3), "{:?}", started - closed);
    }
}

/// A daemon that finds its sockets open, as systemd starts it with a socket unit.
fn start_with_sockets(sockets: (&UdpSocket, &TcpListener), arguments: &str) -> std::process::Child {
    let program = xrayd(arguments);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", r#"LISTEN_PID=$$ LISTEN_FDS=2 exec "$@""#, "sh"]);
    shell.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    let fds: [OwnedFd; 2] = [sockets.0.try_clone().unwrap().into(), sockets.1.try_clone().unwrap().into()];
    let mappings = fds.into_iter().zip(3..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
    shell.fd_mappings(mappings.collect()).unwrap();
    shell.stdout(std::process::Stdio::null()).spawn().unwrap()
}

fn terminate(mut daemon: std::process::Child) -> Option<i32> {
    let status = std::process::Command::new("kill").arg(daemon.id().to_string()).status().unwrap();
    assert!(status.success());
    daemon.wait().unwrap().code()
}

/// Where somebody keeps the sockets open meanwhile, nothing is lost at all.
#[tokio::test(flavor = "multi_thread")]
async fn with_sockets_that_stay_open_a_restart_loses_nothing() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let arguments = format!("{} --linger 1", arguments(&fake, directory.path()));
    let application = application(&udp.local_addr().unwrap().to_string(), 0);
    for _ in 0..2 {
        let daemon = start_with_sockets((&udp, &tcp), &arguments);
        let count = fake.documents_len();
        fake.until_documents(count + 300).await;
        assert_eq!(terminate(daemon), Some(0));
    }
    let last = start_with_sockets((&udp, &tcp), &arguments);
    let times = application.stop();
    let sent: Vec<_> = (0..times.len()).map(numbered).collect();
    fake.until("the last document", |fake| fake.documents().contains(sent.last().unwrap())).await;
    assert_eq!(terminate(last), Some(0));
    assert_all_arrived(&sent, &fake.documents());
    assert_eq!(fake.documents_len(), sent.len(), "and none came twice");
}

/// As a new task beside the old one on the same spool directory: each application has its own daemon, and X-Ray is
/// away while they change.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_one_beside_the_old_one_loses_nothing() {
    let (fake, directory) = (FakeXRay::start().await, tempfile::tempdir().unwrap());
    let old = Process::start(&arguments(&fake, directory.path()));
    let first = application(&old.udp, 0);
    fake.until_documents(200).await;
    fake.set(Mode::Fail(500, "InternalFailure"));
    let new = Process::start(&arguments(&fake, directory.path()));
    let second = application(&new.udp, 1_000_000);
    let mut sent: Vec<_> = (0..first.stop().len()).map(numbered).collect();
    old.signal("TERM");
    assert_eq!(old.exit_code(), Some(0));
    fake.set(Mode::Take);
    sent.extend((1_000_000..).take(second.stop().len()).map(numbered));
    fake.until_documents(sent.len()).await;
    new.signal("TERM");
    assert_eq!(new.exit_code(), Some(0));
    assert_all_arrived(&sent, &fake.documents());
}
