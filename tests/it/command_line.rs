//! The binary, as a user or an orchestrator runs it.

use crate::support::process::{Process, xrayd};
use crate::support::{FakeXRay, sigv4};
use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn version_and_help() {
    let version = format!("xrayd version: {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&mut xrayd("-v")), (Some(0), version, String::new()));
    let (code, help, _) = run(&mut xrayd("--help"));
    assert_eq!(code, Some(0));
    assert!(help.contains("-b, --bind HOST:PORT") && help.contains("XRAYD_SHUTDOWN_TIMEOUT"), "{help}");
}

#[test]
fn a_bad_setting_ends_with_1_and_says_what_to_write() {
    let (code, out, error) = run(&mut xrayd("-m 1"));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(error, "xrayd: -m: \"1\" is too little; give at least 3 MB, or 0 for 5 % of the memory\n");
    let (code, _, error) = run(&mut xrayd("-c missing.yaml"));
    assert_eq!(code, Some(1));
    assert!(error.starts_with("xrayd: missing.yaml: "), "{error}");
}

#[test]
fn a_port_that_is_taken_ends_with_1_and_names_it() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _udp = UdpSocket::bind(taken).unwrap();
    let (code, _, error) = run(&mut xrayd(&format!("-n x -b {taken} -t 127.0.0.1:0")));
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("cannot listen on UDP {taken}: ")) && error.contains("-b"), "{error}");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = tcp.local_addr().unwrap();
    let (code, _, error) = run(&mut xrayd(&format!("-n x -b 127.0.0.1:0 -t {taken}")));
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("cannot listen on TCP {taken}: ")) && error.contains("-t"), "{error}");
}

#[test]
fn address_explains_the_variable() {
    let with = |value: &str, arguments: &str| run(xrayd(arguments).env("AWS_XRAY_DAEMON_ADDRESS", value));
    let good = with("tcp:xray:2000 udp:10.0.0.1:2001", "address");
    assert_eq!(good, (Some(0), "udp 10.0.0.1:2001\ntcp xray:2000\n".to_owned(), String::new()));
    let env = with("UDP:10.0.0.1:2001\tTCP:xray:2000", "address --env");
    assert_eq!(env, (Some(0), "tcp:xray:2000 udp:10.0.0.1:2001\n".to_owned(), String::new()));
    let (code, out, error) = with("udp:10.0.0.1:2001", "address");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        error.starts_with("xrayd: AWS_XRAY_DAEMON_ADDRESS=\"udp:10.0.0.1:2001\": tcp is missing"),
        "{error}"
    );
}

#[test]
fn healthcheck_reads_what_the_daemon_reads() {
    let daemon = Process::start("-o -n x");
    let port = daemon.tcp.rsplit(':').next().unwrap().to_owned();
    let healthy = |arguments: &str| run(&mut xrayd(arguments)).0;
    assert_eq!(healthy(&format!("healthcheck -t 127.0.0.1:{port}")), Some(0));
    assert_eq!(healthy(&format!("-t 0.0.0.0:{port} healthcheck")), Some(0), "every address means loopback");
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("healthcheck.yaml");
    std::fs::write(&file, format!("Version: 2\nSocket:\n  TCPAddress: 127.0.0.1:{port}\n")).unwrap();
    assert_eq!(healthy("healthcheck -c healthcheck.yaml"), Some(0));
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));
    let (code, _, error) = run(&mut xrayd(&format!("healthcheck -t 127.0.0.1:{port}")));
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("no answer from 127.0.0.1:{port}")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn send_delivers_files_lines_datagrams_and_standard_input() {
    let fake = FakeXRay::start().await;
    let daemon = Process::start(&format!("-o -n {} --endpoint {}", sigv4::REGION, fake.url()));
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(folder.join("one.json"), "{\"one\":1}\n").unwrap();
    std::fs::write(folder.join("many.jsonl"), "{\"two\":2}\r\n\n{\"three\":3}\n").unwrap();
    std::fs::write(folder.join("raw.dgram"), "{\"version\":1,\"format\":\"JSON\"}\nfour").unwrap();
    let address = format!("tcp:{} udp:{}", daemon.tcp, daemon.udp);
    let send = |arguments: &str| {
        let mut command = xrayd(arguments);
        command.env("AWS_XRAY_DAEMON_ADDRESS", &address);
        command
    };
    assert_eq!(run(&mut send("send one.json")).1, "1 sent\n");
    assert_eq!(run(&mut send("send --lines many.jsonl")).1, "2 sent\n");
    assert_eq!(run(&mut send("send --raw raw.dgram")).1, "1 sent\n");
    let mut piped = send("send -").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(b"five").unwrap();
    assert!(piped.wait().unwrap().success());
    let mut arrived = fake.until_documents(5).await;
    arrived.sort();
    assert_eq!(arrived, ["five", "four", "{\"one\":1}", "{\"three\":3}", "{\"two\":2}"]);
    let (code, _, error) = run(&mut send("send missing.json"));
    assert_eq!(code, Some(1));
    assert!(error.starts_with("xrayd: missing.json: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_daemon_delivers_and_ends_with_0_or_with_3_when_it_could_not() {
    let fake = FakeXRay::start().await;
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let datagram = [crate::support::HEADER, b"{}"].concat();
    let daemon = Process::start(&format!("-o -n {} --endpoint {}", sigv4::REGION, fake.url()));
    sender.send_to(&datagram, &daemon.udp).unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));
    assert_eq!(fake.documents(), ["{}"]);

    let daemon = Process::start("-o -n x --endpoint http://127.0.0.1:1 --shutdown-timeout 0");
    sender.send_to(&datagram, &daemon.udp).unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(3));
}

/// A signal that finds no handler kills the process with all that it has received.
#[cfg(target_os = "linux")]
#[test]
fn who_reads_that_it_listens_may_send_a_signal() {
    const INT_AND_TERM: u64 = 1 << 1 | 1 << 14;
    for _ in 0..20 {
        let daemon = Process::start("-o -n x --endpoint http://127.0.0.1:1 --shutdown-timeout 0");
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
        let caught = u64::from_str_radix(caught, 16).unwrap();
        assert_eq!(caught & INT_AND_TERM, INT_AND_TERM, "{status}");
    }
}

#[test]
fn without_credentials_it_says_so_once_and_goes_on() {
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-credentials.log");
    let _ = std::fs::remove_file(&log);
    let mut command =
        xrayd("-b 127.0.0.1:0 -t 127.0.0.1:0 --linger 0 -o -n x --log-format json -f no-credentials.log");
    let mut child =
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").spawn().unwrap();
    let lines = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    let said = |line: &serde_json::Value| line["message"].as_str().unwrap().contains("no AWS credentials");
    while !lines().iter().any(said) {
        assert!(std::time::Instant::now() < deadline, "{:?}", lines());
        std::thread::yield_now();
    }
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(lines().iter().filter(|line| said(line)).count(), 1);
    assert!(lines().iter().all(|line| line["time"].is_string() && line["level"].is_string()));
}

#[test]
fn a_log_nobody_reads_does_not_hold_up_the_end() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let arguments = format!(
        "-l dev -o -n x --endpoint http://127.0.0.1:1 --linger 0 --shutdown-timeout 0 -b {port} -t 127.0.0.1:0"
    );
    let mut child = xrayd(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Each refused connection and each batch is a line or more; the pipe holds 64 KB and the queue 1,024 lines.
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_secs(3) {
        let _ = sender.send_to(&[crate::support::HEADER, b"{}"].concat(), port);
    }
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let asked = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(asked.elapsed() < std::time::Duration::from_secs(10), "it hangs");
        std::thread::yield_now();
    }
}

#[test]
fn a_log_file_that_cannot_be_written_is_named() {
    let (code, _, error) = run(&mut xrayd("-n x -b 127.0.0.1:0 -t 127.0.0.1:0 -f /proc/none/x.log"));
    assert_eq!(code, Some(1));
    assert!(error.contains("-f, Logging.LogPath") && error.contains("/proc/none/x.log"), "{error}");
}
