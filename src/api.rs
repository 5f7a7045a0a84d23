//! The TCP port: sampling requests of SDKs, signed and forwarded; documents over HTTP; metrics and health.
//!
//! Least authority: the official daemon signs and forwards any path for anyone; here only what SDKs ask, unless
//! `--proxy-all` says otherwise. A browser's page has no business here: a foreign `Origin` is refused.

mod error;
mod guard;
mod health;
mod local;
mod metrics;
mod operations;
mod proxy;
mod server;
mod stream;
mod tail;
mod trace_segments;
mod transfer;

use crate::account::model;
use crate::aws::Aws;
use crate::config::Http;
use crate::events::Events;
use crate::pipeline::{Budget, Charge, Shared};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;

pub use health::{Health, Phase};
pub use local::{Local, LocalError};
pub use server::Server;
pub(crate) use server::{bind, first_that_works};

use error::ApiError;
use proxy::Proxy;

/// Paths the SDKs ask, from the API's model (`GetSamplingRules`, `GetSamplingTargets`,
/// `GetSamplingStatisticSummaries`).
const SAMPLING_RULES: &str = "/GetSamplingRules";
const SAMPLING_TARGETS: &str = "/SamplingTargets";
const SAMPLING_SUMMARIES: &str = "/SamplingStatisticSummaries";
const TRACE_SEGMENTS: &str = "/TraceSegments";
const TELEMETRY_RECORDS: &str = "/TelemetryRecords";

/// Largest body of a sampling request: a report has at most 25 documents of some 200 bytes.
const REQUEST_MAX_BYTES: usize = 256 * 1024;

/// Longest time to read a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What the handlers share.
#[derive(Debug)]
pub struct Api {
    events: Events,
    health: Health,
    /// The way to AWS X-Ray, where there is one.
    forward: Option<Forward>,
    /// X-Ray on this machine, where there is a store.
    local: Option<Local>,
    http: Http,
    /// Memory for bodies of documents, and for those of everything else.
    for_documents: Budget,
    for_requests: Budget,
    metrics: metrics::Metrics,
}

#[derive(Debug)]
struct Forward {
    pipeline: Shared,
    proxy: Proxy,
}

impl Api {
    /// The handlers of a daemon that forwards to X-Ray, keeps documents, or both.
    pub fn new(
        forward: Option<(Shared, Aws)>,
        local: Option<Local>,
        events: Events,
        health: Health,
        http: Http,
    ) -> Self {
        let pipeline = forward.as_ref().map(|(pipeline, _)| pipeline.clone());
        let store = local.as_ref().map(|local| local.store().clone());
        let metrics = metrics::Metrics::new(pipeline, store, events.clone());
        let forward =
            forward.map(|(pipeline, aws)| Forward { pipeline, proxy: Proxy::new(aws, events.clone()) });
        Self {
            metrics,
            for_requests: Budget::new(http.body_budget_bytes / 4),
            for_documents: Budget::new(http.body_budget_bytes / 4 * 3),
            events,
            health,
            forward,
            local,
            http,
        }
    }

    /// The routes.
    pub fn router(self) -> Router {
        let api = Arc::new(self);
        let mut router = Router::new();
        if api.forward.is_some() {
            router = router
                .route(SAMPLING_RULES, post(sampling_rules))
                .route(SAMPLING_TARGETS, post(forward))
                .route(SAMPLING_SUMMARIES, post(forward))
                .route(TELEMETRY_RECORDS, post(forward));
        }
        if api.local.is_some() {
            router = router
                .route("/", get(front))
                .route("/tail", get(tail::get))
                .route("/export", get(transfer::export))
                .route("/import", post(transfer::import));
        }
        router
            .route(TRACE_SEGMENTS, post(trace_segments::put))
            .route("/metrics", get(metrics::get))
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .fallback(other)
            .method_not_allowed_fallback(other)
            .layer(middleware::from_fn_with_state(api.clone(), guard::check_origin))
            .with_state(api)
    }

    /// Reads a body of at most `max` bytes. It is charged as it arrives: a client that announces much and sends
    /// nothing holds nothing.
    async fn read_body(
        &self,
        request: Request,
        max: usize,
        allowance: &Budget,
    ) -> Result<(Bytes, Charge), ApiError> {
        let declared =
            request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: usize| length > max) {
            return Err(ApiError::too_large(max));
        }
        let mut charge = allowance.try_charge(0).ok_or_else(ApiError::busy)?;
        let mut arriving = request.into_body();
        let reading = async {
            let mut body = BytesMut::new();
            while let Some(frame) = arriving.frame().await {
                let frame = frame.map_err(|_| ApiError::invalid("the body ended too early"))?;
                let Ok(part) = frame.into_data() else { continue };
                if body.len() + part.len() > max {
                    return Err(ApiError::too_large(max));
                }
                if !charge.try_grow(part.len()) {
                    return Err(ApiError::busy());
                }
                body.extend_from_slice(&part);
            }
            Ok(body.freeze())
        };
        let body = tokio::time::timeout(BODY_TIMEOUT, reading).await;
        let body = body.unwrap_or_else(|_| Err(ApiError::invalid("the body did not arrive in time")))?;
        Ok((body, charge))
    }

    /// X-Ray on this machine.
    fn local(&self) -> Result<&Local, ApiError> {
        self.local.as_ref().ok_or_else(|| ApiError::unavailable("nothing is kept here"))
    }

    /// The way to X-Ray.
    fn proxy(&self) -> Result<&Proxy, ApiError> {
        let forward = self.forward.as_ref();
        forward.map(|forward| &forward.proxy).ok_or_else(|| ApiError::unavailable("nothing is forwarded"))
    }

    /// The body of a request for X-Ray, which is small. Documents that fill the memory do not keep it out.
    async fn read_small(&self, request: Request) -> Result<(Bytes, Charge), ApiError> {
        self.read_body(request, REQUEST_MAX_BYTES, &self.for_requests).await
    }
}

/// What a person sees who opens the address.
async fn front(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    guard::check_reader(&request, &api.http)?;
    let address = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let address = address.unwrap_or("127.0.0.1:2000");
    let documents = api.local()?.store().status().documents;
    let text = format!(
        "xrayd {version} keeps {documents} segment documents and answers X-Ray's query API here:\n\n  \
         aws xray get-trace-summaries --endpoint-url http://{address} \\\n    \
         --start-time $(($(date +%s) - 3600)) --end-time $(date +%s)\n  \
         curl -N http://{address}/tail\n  xrayd export -t {address} --from 1h > traces.json\n",
        version = env!("CARGO_PKG_VERSION"),
    );
    Ok(([(http::header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

async fn sampling_rules(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    let (body, charge) = api.read_small(request).await?;
    let answer = api.proxy()?.sampling_rules(body).await;
    drop(charge);
    answer
}

async fn forward(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    let path = request.uri().path().to_owned();
    let (body, charge) = api.read_small(request).await?;
    let answer = api.proxy()?.forward(http::Method::POST, &path, body).await;
    drop(charge);
    answer
}

/// What the store answers; everything else is refused, or forwarded where the user asked for it.
async fn other(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if let Some(local) = &api.local
        && method == http::Method::POST
        && let Some(operation) = model::by_path(&path)
    {
        return operations::answer(&api, local, operation, request).await;
    }
    if api.forward.is_none() {
        return Err(ApiError::no_such_operation(&method, &path));
    }
    if !api.http.proxy_all {
        api.events.request_refused(method.as_str(), &path, "no such operation here");
        return Err(ApiError::unknown_operation(&method, &path));
    }
    guard::check_host(&request, &api.http.allowed_hosts).inspect_err(|_| {
        api.events.request_refused(method.as_str(), &path, "Host is not one of ours");
    })?;
    let target =
        request.uri().path_and_query().map_or(path.as_str(), http::uri::PathAndQuery::as_str).to_owned();
    let (body, charge) = api.read_small(request).await?;
    let answer = api.proxy()?.forward(method, &target, body).await;
    drop(charge);
    answer
}
