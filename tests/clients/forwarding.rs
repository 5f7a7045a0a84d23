//! The SDKs against a daemon that forwards, with a fake X-Ray behind it.

use crate::daemon::Daemon;
use crate::programs::{CLIENTS, installed, run};
use crate::support::fake_xray::{FakeXRay, Mode, rules};
use crate::support::sigv4;
use crate::taps::{TcpTap, UdpTap};
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest time an SDK may wait for an answer on the TCP port.
const ANSWER_MAX: Duration = Duration::from_secs(2);

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
