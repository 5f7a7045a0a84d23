//! The real X-Ray SDKs for Python, Node, Go and Java, and ADOT Python's sampler, against the running daemon.
//!
//! They are installed by `tests/clients/setup.sh DIR`; `XRAYD_CLIENTS=DIR` says where. Without them the tests
//! are ignored: a fresh machine has neither the SDKs nor, as a rule, their languages.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(unreachable_pub, reason = "modules of one test program; `pub` says what other modules use")]
#![allow(dead_code, reason = "the fake X-Ray can do more than these tests need")]
#![expect(clippy::disallowed_methods, reason = "a test program reads where its clients are")]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::fake_xray::{FakeXRay, Mode, rules};
use support::sigv4;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longest time an SDK may wait for an answer on the TCP port.
const ANSWER_MAX: Duration = Duration::from_secs(2);

const CLIENTS: [&str; 5] = ["python", "node", "go", "java", "adot"];

fn installed(path: &str) -> PathBuf {
    let root =
        std::env::var("XRAYD_CLIENTS").expect("XRAYD_CLIENTS names the directory setup.sh installed into");
    PathBuf::from(root).join(path)
}

fn command_of(client: &str) -> Command {
    let script = format!("{}/tests/clients/{client}/client.py", env!("CARGO_MANIFEST_DIR"));
    let mut command;
    match client {
        "node" => {
            command = Command::new("node");
            command.arg(installed("node/client.js"));
        }
        "go" => command = Command::new(installed("go/client")),
        "java" => {
            command = Command::new("java");
            command.arg("-cp").arg(installed("java/*")).arg("dev.xrayd.Client");
        }
        python => {
            command = Command::new(installed(&format!("{python}/bin/python")));
            command.arg(script);
        }
    }
    command
}

/// Runs a client to its end and reads the one line of JSON it prints.
async fn run(client: &'static str, address: String, arguments: Vec<String>) -> Value {
    let ended = tokio::task::spawn_blocking(move || {
        let mut command = command_of(client);
        command.args(&arguments).env("AWS_XRAY_DAEMON_ADDRESS", address).stderr(Stdio::piped());
        let output = command.output().unwrap_or_else(|error| panic!("{client}: {error}"));
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{client} {arguments:?}: {out}\n{error}");
        serde_json::from_str(out.trim())
            .unwrap_or_else(|reason| panic!("{client}: {reason}: {out:?}\n{error}"))
    });
    tokio::time::timeout(Duration::from_mins(2), ended).await.expect("the client ends").unwrap()
}

/// The daemon as a process of its own.
struct Daemon {
    child: Child,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl Daemon {
    fn start(arguments: &str) -> Self {
        let keys = [("AWS_ACCESS_KEY_ID", sigv4::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", sigv4::SECRET_KEY)];
        Self::start_with(&keys, arguments)
    }

    fn start_with(keys: &[(&str, &str)], arguments: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_xrayd"))
            .args(["-b", "127.0.0.1:0", "-t", "127.0.0.1:0", "-o"])
            .args(arguments.split_ascii_whitespace())
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

    fn beside(fake: &FakeXRay) -> Self {
        Self::start(&format!("-n {} --endpoint {}", sigv4::REGION, fake.url()))
    }

    async fn post(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.tcp).await.unwrap();
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Until X-Ray answers through it, so that a client's first question is not too early.
    async fn until_rules(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.post("/GetSamplingRules").await != 200 {
            assert!(Instant::now() < deadline, "no rules");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes down every datagram on its way to the daemon.
struct UdpTap {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl UdpTap {
    fn before(to: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Java sends a hundred subsegments at once; no SDK is to lose one here.
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).unwrap();
        let (address, seen) = (socket.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let tap = Self { address, seen: seen.clone() };
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut buffer) {
                seen.lock().unwrap().push(buffer[..length].to_vec());
                socket.send_to(&buffer[..length], to).unwrap();
            }
        });
        tap
    }

    fn documents(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let document = |datagram: &Vec<u8>| {
            let line_feed = datagram.iter().position(|&byte| byte == b'\n').unwrap();
            String::from_utf8(datagram[line_feed + 1..].to_vec()).unwrap()
        };
        seen.iter().map(document).collect()
    }
}

/// Measures how long each question on the TCP port waits for its answer.
struct TcpTap {
    address: SocketAddr,
    longest: Arc<Mutex<Duration>>,
    questions: Arc<Mutex<usize>>,
}

impl TcpTap {
    async fn before(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tap = Self {
            address: listener.local_addr().unwrap(),
            longest: Arc::default(),
            questions: Arc::default(),
        };
        let (longest, questions) = (tap.longest.clone(), tap.questions.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Self::carry(client, to, longest.clone(), questions.clone()));
            }
        });
        tap
    }

    async fn carry(
        mut client: TcpStream,
        to: SocketAddr,
        longest: Arc<Mutex<Duration>>,
        questions: Arc<Mutex<usize>>,
    ) {
        let mut daemon = TcpStream::connect(to).await.unwrap();
        let (mut question, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
        let mut asked = None;
        loop {
            tokio::select! {
                count = client.read(&mut question) => {
                    let Ok(count @ 1..) = count else { return };
                    // Head and body may come apart: the first part counts.
                    asked.get_or_insert_with(|| {
                        *questions.lock().unwrap() += 1;
                        Instant::now()
                    });
                    if daemon.write_all(&question[..count]).await.is_err() { return }
                }
                count = daemon.read(&mut answer) => {
                    let Ok(count @ 1..) = count else { return };
                    if let Some(asked) = asked.take() {
                        let mut longest = longest.lock().unwrap();
                        *longest = (*longest).max(asked.elapsed());
                    }
                    if client.write_all(&answer[..count]).await.is_err() { return }
                }
            }
        }
    }
}

/// Emits with one SDK and compares every document with what left the SDK.
async fn every_segment_arrives(client: &'static str) {
    const SEGMENTS: usize = 20;
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    let tap = UdpTap::before(daemon.udp);
    let address = format!("tcp:{} udp:{}", daemon.tcp, tap.address);
    let printed = run(client, address, vec!["emit".to_owned(), SEGMENTS.to_string()]).await;
    assert_eq!(printed, json!({ "emitted": SEGMENTS }));
    let mut sent = tap.documents();
    let mut arrived = fake.until_documents(sent.len()).await;
    sent.sort();
    arrived.sort();
    assert!(sent == arrived, "{client}: a document changed on its way");
    assert!(fake.seen().iter().all(|seen| seen.status == 200), "a signature was wrong");
    assert!(sent.len() >= SEGMENTS, "{client} sent {} documents", sent.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn python_segments_arrive_byte_for_byte() {
    every_segment_arrives("python").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn node_segments_arrive_byte_for_byte() {
    every_segment_arrives("node").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn go_segments_arrive_byte_for_byte() {
    every_segment_arrives("go").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn java_segments_arrive_byte_for_byte() {
    every_segment_arrives("java").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn adot_spans_arrive_byte_for_byte() {
    every_segment_arrives("adot").await;
}

/// All SDKs ask for rules through a tap; what each printed, and how long the longest answer took.
async fn sample(daemon: &Daemon, seconds: u32) -> (Vec<(&'static str, Value)>, Duration) {
    let mut running = Vec::new();
    let mut longest = Duration::ZERO;
    let mut taps = Vec::new();
    for client in CLIENTS {
        let tap = TcpTap::before(daemon.tcp).await;
        let address = format!("tcp:{} udp:{}", tap.address, daemon.udp);
        let arguments = vec!["sample".to_owned(), "cap-rule".to_owned(), seconds.to_string()];
        running.push((client, tokio::spawn(run(client, address, arguments))));
        taps.push((client, tap));
    }
    let mut printed = Vec::new();
    for (client, running) in running {
        printed.push((client, running.await.unwrap()));
    }
    for (client, tap) in taps {
        assert!(*tap.questions.lock().unwrap() > 0, "{client} asked nothing");
        longest = longest.max(*tap.longest.lock().unwrap());
    }
    (printed, longest)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn every_sdk_applies_the_rules_x_ray_gives() {
    let fake = FakeXRay::start().await;
    fake.set_rules(rules("cap-rule", 1.0));
    let daemon = Daemon::beside(&fake);
    daemon.until_rules().await;
    let (printed, longest) = sample(&daemon, 20).await;
    for (client, printed) in printed {
        assert_eq!(printed["rule"], "cap-rule", "{client}: {printed}");
    }
    assert!(longest < ANSWER_MAX, "{longest:?}");
    let reports = fake.seen_at("/SamplingTargets");
    assert!(reports.len() >= CLIENTS.len(), "only {} reports came", reports.len());
    assert!(fake.seen().iter().all(|seen| seen.status == 200), "a signature was wrong");
}

/// No SDK may wait, or take an error for rules.
async fn nobody_waits_or_applies_rules(daemon: &Daemon) {
    let (printed, longest) = sample(daemon, 6).await;
    for (client, printed) in printed {
        assert_eq!(printed["rule"], Value::Null, "{client}: {printed}");
        assert!(printed["max_decision_ms"].as_f64().unwrap() < 2000.0, "{client}: {printed}");
    }
    assert!(longest < ANSWER_MAX, "{longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn no_sdk_waits_for_an_x_ray_that_hangs() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Hang);
    nobody_waits_or_applies_rules(&Daemon::beside(&fake)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn no_sdk_applies_an_error_as_rules() {
    let fake = FakeXRay::start().await;
    for (status, code) in [(500, "InternalFailure"), (403, "AccessDeniedException")] {
        fake.set(Mode::Fail(status, code));
        nobody_waits_or_applies_rules(&Daemon::beside(&fake)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn no_sdk_waits_before_credentials_are_known() {
    let fake = FakeXRay::start().await;
    let arguments = format!("-n {} --endpoint {}", sigv4::REGION, fake.url());
    nobody_waits_or_applies_rules(&Daemon::start_with(&[], &arguments)).await;
    assert!(fake.seen().is_empty(), "nothing is sent unsigned");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn no_sdk_waits_for_an_x_ray_that_refuses() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    drop(fake);
    nobody_waits_or_applies_rules(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn no_sdk_waits_before_the_region_is_known() {
    nobody_waits_or_applies_rules(&Daemon::start("")).await;
}

/// Moto's X-Ray, which is nobody's of us.
struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    async fn start() -> Self {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(installed("moto/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moto = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "moto does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        moto
    }

    /// The documents of one trace. Moto wants to see an Authorization header, and nothing right in it.
    async fn trace(&self, id: &str) -> Vec<Value> {
        let body = json!({ "TraceIds": [id] }).to_string();
        let request = format!(
            "POST /Traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\nAuthorization: \
             AWS4-HMAC-SHA256 Credential=A/20260101/{}/xray/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{body}",
            body.len(),
            sigv4::REGION
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let segments = answer["Traces"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|trace| trace["Segments"].as_array());
        segments
            .flatten()
            .map(|segment| serde_json::from_str(segment["Document"].as_str().unwrap()).unwrap())
            .collect()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn motos_x_ray_takes_what_the_daemon_sends() {
    let moto = Moto::start().await;
    let daemon = Daemon::start(&format!("-n {} --endpoint http://{}", sigv4::REGION, moto.address));
    let tap = UdpTap::before(daemon.udp);
    let address = format!("tcp:{} udp:{}", daemon.tcp, tap.address);
    run("python", address, vec!["emit".to_owned(), "6".to_owned()]).await;
    for document in tap.documents() {
        let document: Value = serde_json::from_str(&document).unwrap();
        let id = document["trace_id"].as_str().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !moto.trace(id).await.contains(&document) {
            assert!(Instant::now() < deadline, "moto does not have {id}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
