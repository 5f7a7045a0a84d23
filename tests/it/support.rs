//! A daemon under test, and ways to talk to it.

#[path = "../support/mod.rs"]
mod shared;

pub use shared::fake_xray::{FakeXRay, Judge, Mode, PATIENCE, rules};
pub use shared::load::Load;
pub use shared::{process, sigv4};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use xrayd::config::{Config, Environment, Invocation};
use xrayd::pipeline::{Shared, Snapshot};
use xrayd::shutdown::{self, StopHandle};
use xrayd::{App, AppError, Report};

pub const HEADER: &[u8] = b"{\"format\":\"json\",\"version\":1}\n";

/// A configuration as a user would write it, on free ports, with the test's credentials.
pub fn config(arguments: &str, endpoint: &str) -> Config {
    let line = format!(
        "-b 127.0.0.1:0 -t 127.0.0.1:0 -o -n {} --endpoint {endpoint} --linger 0 {arguments}",
        sigv4::REGION
    );
    let invocation = Invocation::parse(line.split_ascii_whitespace().map(str::to_owned)).unwrap();
    let mut config = Config::load(&invocation, &Environment::default()).unwrap();
    config.aws.credentials = Some(credentials());
    config
}

/// A configuration of `xrayd local` on free ports.
pub fn local_config(arguments: &str) -> Config {
    let line = format!("local -b 127.0.0.1:0 -t 127.0.0.1:0 --linger 0 {arguments}");
    let invocation = Invocation::parse(line.split_ascii_whitespace().map(str::to_owned)).unwrap();
    Config::load(&invocation, &Environment::default()).unwrap()
}

pub fn credentials() -> SharedCredentialsProvider {
    let credentials = Credentials::new(sigv4::ACCESS_KEY, sigv4::SECRET_KEY, None, None, "test");
    SharedCredentialsProvider::new(credentials)
}

/// A running daemon.
pub struct Daemon {
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub pipeline: Shared,
    stop: StopHandle,
    running: JoinHandle<Result<Report, AppError>>,
    sender: UdpSocket,
}

impl Daemon {
    pub fn start(config: Config) -> Self {
        let app = App::bind(config).unwrap();
        let (udp, tcp, pipeline) = (app.udp_addr().unwrap(), app.tcp_addr().unwrap(), app.pipeline());
        let (stop, stopped) = shutdown::channel();
        let running = tokio::spawn(app.run(stopped));
        let sender = UdpSocket::bind(if udp.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
        Self { udp, tcp, pipeline, stop, running, sender }
    }

    /// Beside a fake X-Ray, without further settings.
    pub fn beside(fake: &FakeXRay) -> Self {
        Self::start(config("", &fake.url()))
    }

    pub fn send_raw(&self, datagram: &[u8]) {
        self.sender.send_to(datagram, self.udp).unwrap();
    }

    pub fn send(&self, document: &str) {
        self.send_raw(&[HEADER, document.as_bytes()].concat());
    }

    /// Sends numbered documents and returns them. Waits for the daemon to take each hundred, so that a small
    /// receive buffer is no part of the test.
    pub async fn send_numbered(&self, count: usize) -> Vec<String> {
        self.send_numbered_from(0, count).await
    }

    /// The same, with other numbers.
    pub async fn send_numbered_from(&self, first: usize, count: usize) -> Vec<String> {
        let documents: Vec<_> = (first..first + count).map(numbered).collect();
        let before = self.snapshot().totals.received_total();
        for (sent, document) in documents.iter().enumerate() {
            self.send(document);
            if sent % 100 == 99 {
                self.until_received(before + sent as u64 + 1).await;
            }
        }
        self.until_received(before + count as u64).await;
        documents
    }

    pub fn snapshot(&self) -> Snapshot {
        let snapshot = self.pipeline.snapshot();
        assert!(snapshot.balances(), "the ledger does not add up: {snapshot:?}");
        snapshot
    }

    pub async fn until_received(&self, count: u64) -> Snapshot {
        self.until("receiving", |snapshot| snapshot.totals.received_total() >= count).await
    }

    /// Waits until this holds of the ledger. The ledger has no event of its own for a test to wait for, so it is
    /// looked at again and again.
    pub async fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let snapshot = self.snapshot();
            if holds(&snapshot) {
                return snapshot;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}: {snapshot:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn ask_to_stop(&self) {
        self.stop.request();
    }

    /// Stops and checks that the ledger adds up at the end.
    pub async fn stop(self) -> Report {
        let report = self.stop_with_spool().await;
        assert_eq!(report.snapshot.waiting.total(), 0, "nothing waits after the end: {report:?}");
        report
    }

    /// The same of a daemon that may leave documents on disk.
    pub async fn stop_with_spool(self) -> Report {
        self.stop.request();
        let ended = tokio::time::timeout(PATIENCE * 2, self.running).await.expect("a stop ends");
        let report = ended.unwrap().unwrap();
        assert!(report.snapshot.balances(), "the ledger does not add up: {report:?}");
        let waiting = report.snapshot.waiting;
        assert_eq!(waiting.total(), waiting.spool, "nothing waits in memory after the end: {report:?}");
        report
    }

    /// Ends without having been asked to.
    pub async fn ended(self) -> Result<Report, AppError> {
        tokio::time::timeout(PATIENCE, self.running).await.expect("it ends").unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        ask(self.tcp, request.as_bytes()).await
    }

    pub async fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.post_to("xray-daemon:2000", path, headers, body).await
    }

    pub async fn post_to(&self, host: &str, path: &str, headers: &str, body: &str) -> Answer {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        ask(self.tcp, request.as_bytes()).await
    }

    /// Asks for an answer that does not end.
    pub async fn open(&self, path: &str) -> Endless {
        let mut stream = TcpStream::connect(self.tcp).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Endless { stream, read: Vec::new() }
    }

    /// Stops a daemon with a store, and checks that the store's ledger adds up at the end.
    pub async fn stop_local(self) -> Report {
        let report = self.stop().await;
        let stored = report.stored.as_ref().expect("there is a store");
        assert!(stored.balances(), "the store's ledger does not add up: {stored:?}");
        assert_eq!(stored.waiting, 0, "{stored:?}");
        report
    }
}

/// An answer that is read as it comes.
pub struct Endless {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Endless {
    /// Everything so far, once it contains this.
    pub async fn until(&mut self, text: &str) -> String {
        let reading = async {
            loop {
                let so_far = String::from_utf8_lossy(&self.read).into_owned();
                if so_far.contains(text) {
                    return so_far;
                }
                let count = self.stream.read_buf(&mut self.read).await.unwrap();
                assert!(count > 0, "the answer ended without {text:?}: {so_far}");
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("what is waited for comes")
    }
}

pub fn numbered(number: usize) -> String {
    format!(
        r#"{{"id":"{number:016x}","trace_id":"1-5759e988-{number:024x}","name":"n","text":"\"quoted\" \\ é"}}"#
    )
}

/// Every one of these came, in whatever order and however often.
#[track_caller]
pub fn assert_all_arrived(sent: &[String], arrived: &[String]) {
    let arrived: std::collections::HashSet<_> = arrived.iter().collect();
    let missing: Vec<_> = sent.iter().filter(|document| !arrived.contains(document)).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {:?}", missing.len(), sent.len(), missing.first());
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends raw bytes and reads one answer.
pub async fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    read_answer(&mut stream).await
}

pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let reading = async {
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = parse_answer(&bytes) {
                return answer;
            }
            let count = stream.read_buf(&mut bytes).await.unwrap();
            assert!(
                count > 0,
                "the connection ended in the middle of an answer: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer")
}

fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    (body.len() >= length).then(|| Answer { status, body: body.to_owned() })
}
