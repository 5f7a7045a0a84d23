//! An X-Ray that takes documents, and fails on command.

use super::sigv4;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest time a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Stands in [`Seen::status`] for a request that never gets an answer.
pub const NEVER_ANSWERED: u16 = 599;

/// Makes an unprocessed entry of a document, or none.
pub type Judge = Arc<dyn Fn(&str) -> Option<Value> + Send + Sync>;

/// How it answers PutTraceSegments, and everything else where that makes sense.
#[derive(Clone)]
pub enum Mode {
    /// 200.
    Take,
    /// 200 after a while.
    TakeAfter(Duration),
    /// An error status with an error code.
    Fail(u16, &'static str),
    /// No answer.
    Hang,
    /// 200 with the entries this function makes of a document.
    Unprocessed(Judge),
    /// Reads the beginning of a request and cuts the connection.
    Reset,
    /// A bad gateway on the way, which speaks HTML.
    Html(u16),
    /// 400 when a document contains this text, as X-Ray refuses a whole batch.
    RefuseBatchWith(&'static str, u16),
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub target: String,
    pub headers: http::HeaderMap,
    pub body: Bytes,
    pub status: u16,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("bodies are JSON")
    }

    pub fn documents(&self) -> Vec<String> {
        let body = self.json();
        let documents = body["TraceSegmentDocuments"].as_array().expect("a PutTraceSegments body");
        documents.iter().map(|document| document.as_str().expect("a string").to_owned()).collect()
    }
}

struct Inner {
    mode: Mutex<Mode>,
    rules: Mutex<Value>,
    /// Documents of requests that were answered with 200.
    arrived: Mutex<Vec<String>>,
    seen: watch::Sender<Vec<Seen>>,
}

/// The running fake. Stops when dropped.
pub struct FakeXRay {
    pub address: SocketAddr,
    inner: Arc<Inner>,
    server: JoinHandle<()>,
}

impl FakeXRay {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let inner = Arc::new(Inner {
            mode: Mutex::new(Mode::Take),
            rules: Mutex::new(rules("Default", 0.05)),
            arrived: Mutex::default(),
            seen: watch::Sender::new(Vec::new()),
        });
        let router = Router::new().fallback(answer).with_state(inner.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serving does not fail");
        });
        Self { address, inner, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mode: Mode) {
        *self.inner.mode.lock().unwrap() = mode;
    }

    /// Sampling rules to answer with from now on.
    pub fn set_rules(&self, rules: Value) {
        *self.inner.rules.lock().unwrap() = rules;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.borrow().clone()
    }

    pub fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.target == path).collect()
    }

    /// All documents that were answered with 200, in the order they came.
    pub fn documents(&self) -> Vec<String> {
        self.inner.arrived.lock().unwrap().clone()
    }

    /// How many those are.
    pub fn documents_len(&self) -> usize {
        self.inner.arrived.lock().unwrap().len()
    }

    /// Waits until this holds of the requests.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut seen = self.inner.seen.subscribe();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(self) {
                seen.changed().await.expect("the fake keeps its sender");
            }
        });
        let waited = waited.await;
        assert!(waited.is_ok(), "waited in vain for {what}; {} requests came", self.seen().len());
    }

    pub async fn until_documents(&self, count: usize) -> Vec<String> {
        self.until(&format!("{count} documents"), |fake| fake.documents_len() >= count).await;
        self.documents()
    }

    pub async fn until_requests(&self, path: &str, count: usize) -> Vec<Seen> {
        self.until(&format!("{count} requests for {path}"), |fake| fake.seen_at(path).len() >= count).await;
        self.seen_at(path)
    }
}

impl Drop for FakeXRay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A GetSamplingRules answer with one rule before the default.
pub fn rules(name: &str, fixed_rate: f64) -> Value {
    let rule = |name: &str, priority: u32, fixed_rate: f64| {
        json!({ "CreatedAt": 1.7e9, "ModifiedAt": 1.7e9, "SamplingRule": {
            "RuleName": name, "RuleARN": format!("arn:aws:xray:{}:123456789012:sampling-rule/{name}", sigv4::REGION),
            "ResourceARN": "*", "Priority": priority, "FixedRate": fixed_rate, "ReservoirSize": 0, "ServiceName": "*",
            "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": "*", "Version": 1, "Attributes": {} } })
    };
    let mut records = vec![rule("Default", 10_000, 0.0)];
    if name == "Default" {
        records = vec![rule("Default", 10_000, fixed_rate)];
    } else {
        records.insert(0, rule(name, 1, fixed_rate));
    }
    json!({ "NextToken": null, "SamplingRuleRecords": records })
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if matches!(*inner.mode.lock().unwrap(), Mode::Reset) {
        let mut body = body;
        let _ = body.frame().await;
        // Ends the task of the connection, and with it the connection, without a word.
        std::panic::resume_unwind(Box::new("reset"));
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let signature = sigv4::verify(head.method.as_str(), &target, &head.headers, &body);
    let mode = inner.mode.lock().unwrap().clone();
    if let Mode::TakeAfter(wait) = mode {
        tokio::time::sleep(wait).await;
    }
    let (status, code, answer) = match signature {
        Err(reason) => (403, "InvalidSignatureException", json!({ "message": reason })),
        Ok(()) => respond(&mode, &target, &body, &inner),
    };
    if target == "/TraceSegments" && status == 200 && !matches!(mode, Mode::Html(_)) {
        let body: Value = serde_json::from_slice(&body).expect("bodies are JSON");
        let unprocessed = answer["UnprocessedTraceSegments"].as_array().into_iter().flatten();
        let unprocessed: Vec<_> = unprocessed.map(|entry| format!("\"id\":{}", entry["Id"])).collect();
        let documents =
            body["TraceSegmentDocuments"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let taken = documents.filter(|document| !unprocessed.iter().any(|id| document.contains(id.as_str())));
        inner.arrived.lock().unwrap().extend(taken.map(str::to_owned));
    }
    inner.seen.send_modify(|seen| {
        seen.push(Seen { target, headers: head.headers, body, status });
    });
    if matches!(mode, Mode::Hang) {
        std::future::pending::<()>().await;
    }
    let status = http::StatusCode::from_u16(status).expect("a status");
    let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let mut response = (status, text).into_response();
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    if !code.is_empty() {
        response.headers_mut().insert("x-amzn-errortype", http::HeaderValue::from_static(code));
    }
    response
}

fn respond(mode: &Mode, target: &str, body: &[u8], inner: &Inner) -> (u16, &'static str, Value) {
    let failed = |status: u16, code: &'static str| (status, code, json!({ "message": "as the test asked" }));
    match mode {
        Mode::Fail(status, code) => return failed(*status, code),
        Mode::Hang => return failed(NEVER_ANSWERED, ""),
        Mode::Html(status) => return (*status, "", Value::String("<html>Bad gateway</html>".to_owned())),
        _ => {}
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let documents: Vec<&str> =
        body["TraceSegmentDocuments"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match (target, mode) {
        ("/TraceSegments", Mode::RefuseBatchWith(text, status))
            if documents.iter().any(|one| one.contains(text)) =>
        {
            failed(*status, "InvalidRequestException")
        }
        ("/TraceSegments", Mode::Unprocessed(judge)) => {
            let entries: Vec<_> = documents.iter().filter_map(|document| judge(document)).collect();
            (200, "", json!({ "UnprocessedTraceSegments": entries }))
        }
        ("/TraceSegments", _) => (200, "", json!({ "UnprocessedTraceSegments": [] })),
        ("/GetSamplingRules", _) => (200, "", inner.rules.lock().unwrap().clone()),
        ("/SamplingTargets", _) => (200, "", targets(&body)),
        _ => (200, "", json!({})),
    }
}

/// Echoes a target for each reported rule.
fn targets(body: &Value) -> Value {
    let names = body["SamplingStatisticsDocuments"].as_array().into_iter().flatten();
    let documents: Vec<_> = names
        .map(|report| {
            json!({ "RuleName": report["RuleName"], "FixedRate": 1.0, "ReservoirQuota": 1,
                    "ReservoirQuotaTTL": 4.0e9, "Interval": 10 })
        })
        .collect();
    json!({ "LastRuleModification": 1.7e9, "SamplingTargetDocuments": documents, "UnprocessedStatistics": [],
            "UnprocessedBoostStatistics": [] })
}
