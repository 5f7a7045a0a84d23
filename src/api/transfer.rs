//! `GET /export` and `POST /import`: traces out of the store, and into it.

use super::error::ApiError;
use super::stream;
use super::{Api, guard, trace_segments};
use crate::query::{By, Window};
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use std::sync::Arc;

/// A header that a page of another site cannot send without asking first, which is never allowed.
const OURS: &str = "x-xrayd";

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Seconds since 1970.
    from: f64,
    /// Seconds since 1970.
    to: f64,
    #[serde(default)]
    filter: String,
    /// Documents in lines of their own, not the form of `batch-get-traces`.
    #[serde(default)]
    raw: bool,
}

/// Writes the traces that began in a range of time, newest first.
pub(super) async fn export(
    State(api): State<Arc<Api>>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Response, ApiError> {
    guard::check_reader(&request, &api.http)?;
    let local = api.local()?.clone();
    let filter = local.filter(&wanted.filter).map_err(|refusal| ApiError::invalid(refusal.message))?;
    let permit = local.export_permit().ok_or_else(|| ApiError::unavailable("too many exports are open"))?;
    let (parts, body) = stream::body();
    let window = Window { by: By::Start, from: wanted.from, until: wanted.to };
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        local.export(window, filter.as_deref(), wanted.raw, &parts);
    });
    let form = if wanted.raw { "application/x-ndjson" } else { "application/json" };
    Ok(([(CONTENT_TYPE, form)], body).into_response())
}

/// Takes documents of any age into the store, and nowhere else.
pub(super) async fn import(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    guard::check_reader(&request, &api.http)?;
    if !request.headers().contains_key(OURS) {
        return Err(ApiError::forbidden(format!("send the header {OURS}: 1, as xrayd import does")));
    }
    trace_segments::import(&api, api.local()?, request).await
}
