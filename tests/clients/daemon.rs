//! The daemon as a process of its own.

use crate::support::fake_xray::FakeXRay;
use crate::support::process::Metrics;
use crate::support::sigv4;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The daemon as a process of its own.
pub struct Daemon {
    child: Child,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
}

impl Daemon {
    pub fn start(arguments: &str) -> Self {
        let keys = [("AWS_ACCESS_KEY_ID", sigv4::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", sigv4::SECRET_KEY)];
        Self::start_with(&keys, arguments)
    }

    pub fn start_with(keys: &[(&str, &str)], arguments: &str) -> Self {
        Self::run(keys, &format!("-o {arguments}"))
    }

    pub fn beside(fake: &FakeXRay) -> Self {
        Self::start(&format!("-n {} --endpoint {}", sigv4::REGION, fake.url()))
    }

    /// X-Ray on this machine.
    pub fn local(arguments: &str) -> Self {
        Self::run(&[], &format!("local {arguments}"))
    }

    fn run(keys: &[(&str, &str)], arguments: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_xrayd"))
            .args(arguments.split_ascii_whitespace())
            .args(["-b", "127.0.0.1:0", "-t", "127.0.0.1:0"])
            .env_remove("AWS_REGION")
            .env_remove("AWS_DEFAULT_REGION")
            .env("AWS_CONFIG_FILE", "/nonexistent")
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(keys.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        std::thread::spawn(move || lines.count());
        let part =
            |name: &str| first.split(' ').find_map(|part| part.strip_prefix(name)?.parse().ok()).unwrap();
        Self { udp: part("udp="), tcp: part("tcp="), child }
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }

    /// What `AWS_XRAY_DAEMON_ADDRESS` is to be.
    pub fn address(&self) -> String {
        format!("tcp:{} udp:{}", self.tcp, self.udp)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.tcp)
    }

    async fn request(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.tcp).await.unwrap();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Until X-Ray answers through it, so that a client's first question is not too early.
    pub async fn until_rules(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.request("POST /GetSamplingRules", "").await.0 != 200 {
            assert!(Instant::now() < deadline, "no rules");
        }
    }

    /// What X-Ray answers.
    pub async fn ask(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request(&format!("POST /{path}"), &body.to_string()).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }

    pub async fn metrics(&self) -> Metrics {
        Metrics(self.request("GET /metrics", "").await.1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
