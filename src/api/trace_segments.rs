//! PutTraceSegments over HTTP: documents join the same pipeline as those from UDP.

use super::error::ApiError;
use super::{Api, BODY_TIMEOUT};
use crate::pipeline::BODY_MAX_BYTES;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

const _: () = assert!(BODY_TIMEOUT.as_secs() > 1, "a body of 4 MiB needs its time");

#[derive(Deserialize)]
struct PutTraceSegments<'a> {
    #[serde(rename = "TraceSegmentDocuments", borrow)]
    documents: Vec<Document<'a>>,
}

/// Borrowed where the document has nothing escaped, which no real one is.
#[derive(Deserialize)]
struct Document<'a>(#[serde(borrow)] Cow<'a, str>);

/// Answers 200 once the documents wait in the pipeline, 503 when there is no room: an HTTP client can wait.
pub(super) async fn put(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    let (body, _charge) = api.read_body(request, BODY_MAX_BYTES).await?;
    let put: PutTraceSegments<'_> = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid(format!("the body is no PutTraceSegments request: {error}")))?;
    if put.documents.iter().any(|document| document.0.is_empty()) {
        return Err(ApiError::invalid("a segment document is empty"));
    }
    let documents = put.documents.iter().map(|document| document.0.as_ref());
    api.pipeline.offer_documents(Instant::now(), documents).map_err(|_| ApiError::busy())?;
    Ok(([(CONTENT_TYPE, "application/json")], r#"{"UnprocessedTraceSegments":[]}"#).into_response())
}
