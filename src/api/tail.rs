//! `GET /tail`: traces as they come, for viewers and tests that wait for one.
//!
//! Server-sent events. Each event `trace` is a summary as GetTraceSummaries gives it, sent whenever documents of that
//! trace were stored and the trace as it is then matches the filter. `lagged` says how many traces a reader that
//! was too slow has missed.

use super::error::ApiError;
use super::local::Local;
use super::stream::{self, Parts};
use super::{Api, guard};
use crate::query::TraceId;
use crate::query::filter::Expression;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

/// Traces that change often are shown at most this often.
const INTERVAL: Duration = Duration::from_millis(100);

/// A comment this often, so that proxies keep the connection, and a reader that has gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Who takes nothing for this long does not read any more.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    filter: String,
}

pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Response, ApiError> {
    guard::check_reader(&request, &api.http)?;
    let local = api.local()?.clone();
    let permit = local.tail_permit().ok_or_else(|| ApiError::unavailable("too many tails are open"))?;
    let filter = local.filter(&wanted.filter).map_err(|refusal| ApiError::invalid(refusal.message))?;
    let stored = local.store().subscribe();
    let (parts, body) = stream::body();
    tokio::spawn(async move {
        let _permit = permit;
        // An error means that the reader has gone.
        let _ = run(&local, filter, stored, &parts).await;
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
}

async fn run(
    local: &Local,
    filter: Option<Arc<Expression>>,
    mut stored: Receiver<TraceId>,
    parts: &Parts,
) -> Result<(), Gone> {
    send(parts, Bytes::from_static(b": traces as they come\n\n")).await?;
    let (mut changed, mut lagged) = (BTreeSet::new(), 0);
    let mut keep_alive = tokio::time::interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    loop {
        let next = tokio::select! {
            () = parts.closed() => return Err(Gone),
            _ = keep_alive.tick() => {
                send(parts, Bytes::from_static(b":\n\n")).await?;
                continue;
            }
            next = stored.recv() => next,
        };
        match next {
            Ok(trace) => {
                changed.insert(trace);
            }
            Err(RecvError::Lagged(count)) => lagged += count,
            Err(RecvError::Closed) => return Ok(()),
        }
        tokio::time::sleep(INTERVAL).await;
        loop {
            match stored.try_recv() {
                Ok(trace) => {
                    changed.insert(trace);
                }
                Err(TryRecvError::Lagged(count)) => lagged += count,
                Err(_) => break,
            }
        }
        if lagged > 0 {
            send(parts, event("lagged", &lagged.to_string())).await?;
            lagged = 0;
        }
        for summary in local.matching(std::mem::take(&mut changed), filter.clone()).await {
            send(parts, event("trace", &summary)).await?;
        }
    }
}

/// Nobody reads any more.
struct Gone;

async fn send(parts: &Parts, part: Bytes) -> Result<(), Gone> {
    match tokio::time::timeout(PATIENCE, parts.send(Ok(part))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}

/// `data` has no line feeds: JSON as it is written here has none.
fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
