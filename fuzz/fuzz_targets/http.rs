//! The TCP port: any bytes as the client's side of one HTTP/1.1 connection to the daemon's router.
//!
//! An observer around the router sees each request as it was parsed, the answer, and the ledger before and
//! after. The clock is tokio's and stands still, so that a client that falls silent costs no time here. There
//! is no region, so nothing leaves the process.

#![no_main]

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xrayd::api::{Api, Health, Phase};
use xrayd::aws;
use xrayd::config::Http;
use xrayd::events::Events;
use xrayd::pipeline::{BATCH_DELAY_MAX, Outcome, Settings, Shared, Transport};

/// Small, so that requests of a few kilobytes meet every limit.
const BODY_BUDGET_BYTES: usize = 16 * 1024;

/// What the daemon makes of it: three quarters for documents, read and unpacked.
const BODY_MAX_BYTES: usize = BODY_BUDGET_BYTES / 4 * 3 / 2;

/// Room for a thousand documents, but not for two thousand.
const PIPELINE_BUDGET_BYTES: usize = 1024 * 1024;

/// A body that has room in an empty pipeline whatever is in it.
const SURELY_TAKEN_BYTES: usize = 1024;

/// As the daemon serves connections (`src/api/server.rs`).
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Longest life of a silent connection: a body that does not arrive, then a head that does not.
const CLOSED_AFTER: Duration = Duration::from_secs(100);

/// Bytes on their way to the daemon at once: this cuts what the client sends.
const WINDOWS: [usize; 4] = [13, 200, 4096, 64 * 1024];

/// The client takes every answer at once. hyper 1.12 has a debug assertion (`can_write_head`) that does not hold
/// when a request cannot be parsed and an answer before it is still on its way.
const ANSWERS_WINDOW: usize = 64 * 1024 * 1024;

fuzz_target!(|sent: &[u8]| {
    // How the client behaves is not in its bytes; their number is as good as anything.
    let (proxy_all, ends) = (sent.len() & 1 == 1, sent.len() & 2 == 2);
    let window = WINDOWS[sent.len() / 4 % WINDOWS.len()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let daemon = Daemon::new(proxy_all);
        let answers = converse(daemon.router.clone(), sent, ends, window).await;
        daemon.check_wire(&answers, ends);
        daemon.check_delivery();
        daemon.check_nothing_is_held().await;
    });
});

/// The client's side of a connection: sends everything, then waits until the daemon closes it.
async fn converse(router: Router, sent: &[u8], ends: bool, window: usize) -> Vec<u8> {
    let ((mut to, requests), (mut from, answers)) =
        (tokio::io::duplex(window), tokio::io::duplex(ANSWERS_WINDOW));
    let server = tokio::io::join(requests, answers);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT).max_buf_size(READ_BUFFER_BYTES);
    let serving = builder.serve_connection(TokioIo::new(server), TowerToHyperService::new(router));
    let sending = async {
        // The daemon may close the connection before it has read everything.
        let _ = to.write_all(sent).await;
        if ends {
            let _ = to.shutdown().await;
        }
    };
    let reading = async {
        let mut answers = Vec::new();
        from.read_to_end(&mut answers).await.expect("a closed connection is no error here");
        answers
    };
    let all = async { tokio::join!(serving, sending, reading).2 };
    tokio::time::timeout(CLOSED_AFTER, all).await.expect("the daemon closes the connection in time")
}

/// What the observer saw.
#[derive(Debug, Default)]
struct Seen {
    answers: Vec<(Method, StatusCode)>,
    /// Taken and not looked at yet.
    documents: Vec<String>,
}

/// The router with an observer around it.
struct Daemon {
    router: Router,
    pipeline: Shared,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone)]
struct Observer {
    pipeline: Shared,
    seen: Arc<Mutex<Seen>>,
    proxy_all: bool,
}

impl Daemon {
    fn new(proxy_all: bool) -> Self {
        let settings = Settings { budget_bytes: PIPELINE_BUDGET_BYTES, concurrency: 8, in_flight_max: 128 };
        let (pipeline, events) = (Shared::new(&settings), Events::default());
        let health = Health::new(|| true);
        health.enter(Phase::Running);
        // The search for a region is never started.
        let (aws, _search) = aws::search(aws::Settings::default(), events.clone());
        let http = Http { proxy_all, body_budget_bytes: BODY_BUDGET_BYTES, ..Http::default() };
        let seen = Arc::<Mutex<Seen>>::default();
        let observer = Observer { pipeline: pipeline.clone(), seen: seen.clone(), proxy_all };
        let router = Api::new(Some((pipeline.clone(), aws)), None, events, health, http).router();
        let router = router.layer(middleware::from_fn_with_state(observer, observe));
        Self { router, pipeline, seen }
    }

    /// The client gets the answers the handlers gave, in their order, and at most one of hyper's own behind them.
    fn check_wire(&self, answers: &[u8], ends: bool) {
        let seen = lock(&self.seen);
        let mut rest = without_interim(answers);
        for (at, (method, status)) in seen.answers.iter().enumerate() {
            // A client that closes its side may have gone, and may get nothing more.
            if rest.is_empty() && ends {
                return;
            }
            let (found, behind) = read_answer(rest, method);
            assert_eq!(found, status.as_u16(), "answer {at} of {:?}", seen.answers);
            rest = without_interim(behind);
        }
        if !rest.is_empty() {
            let (status, behind) = read_answer(rest, &Method::GET);
            assert!([400, 408, 414, 431, 505].contains(&status), "{status} without a request");
            assert!(behind.is_empty(), "an answer nobody asked for");
        }
    }

    /// What was taken comes out, in the order it came.
    fn check_delivery(&self) {
        let mut documents = Vec::new();
        let now = Instant::now() + BATCH_DELAY_MAX;
        while let Ok(outgoing) = self.pipeline.next(now) {
            documents.extend(outgoing.batch().documents().map(|document| document.unescape()));
            outgoing.complete(&Outcome::Answered { again: Vec::new(), refused: 0, throttled: false }, now);
        }
        assert_eq!(documents, std::mem::take(&mut lock(&self.seen).documents));
        let snapshot = self.pipeline.snapshot();
        assert!(snapshot.balances(), "{snapshot:?}");
        assert_eq!(snapshot.waiting.total(), 0);
        assert_eq!(snapshot.totals.sent, snapshot.totals.received_total());
        assert_eq!(snapshot.budget_used_bytes, 0, "all memory is given back");
    }

    /// The connection has ended: the largest body there is room for is taken again.
    async fn check_nothing_is_held(&self) {
        let (begin, end) = ("{\"TraceSegmentDocuments\":[\"", "\"]}");
        let document = "x".repeat(BODY_MAX_BYTES - begin.len() - end.len());
        let head =
            format!("POST /TraceSegments HTTP/1.1\r\nConnection: close\r\nContent-Length: {BODY_MAX_BYTES}");
        let request = format!("{head}\r\n\r\n{begin}{document}{end}");
        let answer = converse(self.router.clone(), request.as_bytes(), false, READ_BUFFER_BYTES).await;
        assert_eq!(read_answer(&answer, &Method::POST).0, 200, "something is still held");
        self.check_delivery();
    }
}

/// What stands behind `100 Continue`, which a client gets that waits with its body for it.
fn without_interim(mut answers: &[u8]) -> &[u8] {
    while let Some(behind) = answers.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n") {
        answers = behind;
    }
    answers
}

/// Status and rest of what the daemon sent.
fn read_answer<'a>(answers: &'a [u8], method: &Method) -> (u16, &'a [u8]) {
    let shown = || String::from_utf8_lossy(&answers[..answers.len().min(300)]).into_owned();
    let end = answers.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, rest) = answers.split_at(end.unwrap_or_else(|| panic!("no answer: {:?}", shown())) + 4);
    let head = std::str::from_utf8(head).expect("our headers are ASCII").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 ") || head.starts_with("http/1.0 "), "{head:?}");
    let status = head[9..12].parse().expect("a status");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.unwrap_or_else(|| panic!("no length: {:?}", shown())).trim();
    let length = if *method == Method::HEAD { 0 } else { length.parse().expect("a length") };
    assert!(rest.len() >= length, "the answer ends too early: {:?}", shown());
    (status, &rest[length..])
}

/// Looks at one request, its answer, and what the ledger makes of it.
async fn observe(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let read = Arc::<Mutex<Read>>::default();
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        sec_fetch_site: head.headers.get("sec-fetch-site").cloned(),
        has_origin: head.headers.contains_key("origin"),
        proxy_all: observer.proxy_all,
    };
    let before = observer.pipeline.snapshot();
    let body = Body::new(Watched { inner: body, read: read.clone() });
    let response = next.run(Request::from_parts(head, body)).await;
    let after = observer.pipeline.snapshot();
    assert!(after.balances(), "{after:?}");

    let status = response.status();
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("our bodies are in memory").to_bytes();
    asked.check_status(status);
    asked.check_body(status, &head.headers, &body);
    if asked.is_put() {
        let read = lock(&read);
        let documents = documents_of(&read.bytes);
        if status == StatusCode::OK {
            assert!(read.complete, "taken before it had arrived");
            let documents = documents.expect("only a PutTraceSegments request is taken");
            let taken = after.waiting.total() - before.waiting.total();
            assert_eq!(taken, documents.len() as u64, "200 for {taken} of them");
            let over_http = after.totals.received_by().find(|(transport, _)| *transport == Transport::Http);
            assert_eq!(over_http, Some((Transport::Http, after.totals.received_total())));
            lock(&observer.seen).documents.extend(documents);
        } else {
            assert_eq!(before, after, "{status} for what was taken");
            let is_utf8 = std::str::from_utf8(&read.bytes).is_ok();
            if documents.is_ok() && is_utf8 && read.complete && read.bytes.len() <= BODY_MAX_BYTES {
                let busy = status == StatusCode::SERVICE_UNAVAILABLE;
                assert!(busy || status == StatusCode::FORBIDDEN, "{status} for a good request");
                let room = before.waiting.total() == 0 && read.bytes.len() <= SURELY_TAKEN_BYTES;
                assert!(!(busy && room), "no room in an empty pipeline");
            }
        }
    } else {
        assert_eq!(before, after, "{} {} touched the ledger", asked.method, asked.path);
    }
    if asked.method == Method::GET && asked.path == "/metrics" && status == StatusCode::OK {
        let text = std::str::from_utf8(&body).expect("metrics are text");
        let received = after.totals.received_total();
        let line = format!("\nxrayd_documents_received_total{{transport=\"http\"}} {received}\n");
        assert!(text.contains(&line) && text.ends_with("# EOF\n"), "{text}");
    }
    lock(&observer.seen).answers.push((asked.method, status));
    Response::from_parts(head, Body::from(body))
}

/// What matters of a request's head.
struct Asked {
    method: Method,
    path: String,
    sec_fetch_site: Option<http::HeaderValue>,
    has_origin: bool,
    proxy_all: bool,
}

impl Asked {
    fn is_put(&self) -> bool {
        self.method == Method::POST && self.path == "/TraceSegments"
    }

    /// Nothing here can be answered by X-Ray, and nothing is the daemon's fault.
    fn check_status(&self, status: StatusCode) {
        let Self { method, path, .. } = self;
        if self.sec_fetch_site.as_ref().is_some_and(|site| site == "cross-site") {
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path} of a foreign page");
        }
        if status == StatusCode::FORBIDDEN && (self.has_origin || self.sec_fetch_site.is_some()) {
            return;
        }
        let reads = [Method::GET, Method::HEAD].contains(method);
        let expected: &[u16] = match path.as_str() {
            "/metrics" | "/healthz" | "/readyz" if reads => &[200],
            "/TraceSegments" if *method == Method::POST => &[200, 400, 413, 503],
            "/GetSamplingRules"
            | "/SamplingTargets"
            | "/SamplingStatisticSummaries"
            | "/TelemetryRecords"
                if *method == Method::POST =>
            {
                &[400, 413, 503]
            }
            _ if self.proxy_all => &[400, 403, 413, 503],
            _ => &[404],
        };
        assert!(expected.contains(&status.as_u16()), "{method} {path}: {status}");
    }

    /// An error says in a header and in JSON what it is, as AWS does.
    fn check_body(&self, status: StatusCode, headers: &http::HeaderMap, body: &[u8]) {
        if status == StatusCode::OK && self.is_put() {
            assert_eq!(body, br#"{"UnprocessedTraceSegments":[]}"#);
        }
        if status == StatusCode::OK || self.method == Method::HEAD {
            return;
        }
        let error: Value = serde_json::from_slice(body).expect("an error is JSON");
        let code = headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok());
        assert_eq!(error["__type"].as_str(), code, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
}

/// What the handler read of a body.
#[derive(Debug, Default)]
struct Read {
    bytes: Vec<u8>,
    /// To its end.
    complete: bool,
}

/// A body that tells what is read of it.
struct Watched {
    inner: Body,
    read: Arc<Mutex<Read>>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let mut read = lock(&self.read);
        match &frame {
            Some(Ok(frame)) => read.bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Some(Err(_)) => {}
            None => read.complete = true,
        }
        drop(read);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The documents of a PutTraceSegments body, read more patiently than the daemon does. `Err` for what it may refuse.
fn documents_of(body: &[u8]) -> Result<Vec<String>, String> {
    // What is not UTF-8 may stand where nobody looks; it is no document in any case.
    let text = String::from_utf8_lossy(body);
    let Entries(entries) = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut lists = entries.iter().filter(|(key, _)| key == "TraceSegmentDocuments").map(|(_, list)| list);
    let (Some(list), None) = (lists.next(), lists.next()) else { return Err("not one list".to_owned()) };
    let documents: Vec<String> = serde_json::from_str(list.get()).map_err(|error| error.to_string())?;
    let fits = documents.len() <= 1000 && documents.iter().all(|document| !document.is_empty());
    if fits { Ok(documents) } else { Err("not for X-Ray".to_owned()) }
}

/// A JSON object as it is written, with keys that come twice; values that nobody reads are not looked into.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a panic ends the process")
}
