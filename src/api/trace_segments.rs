//! PutTraceSegments over HTTP: documents join the same pipeline as those from UDP.

use super::Api;
use super::error::ApiError;
use crate::pipeline::{BODY_MAX_BYTES, NotTaken};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

/// Most documents in one request. X-Ray takes 50; a body full of empty strings must not become a million of them.
const DOCUMENTS_MAX: usize = 1000;

#[derive(Deserialize)]
struct PutTraceSegments<'a> {
    #[serde(rename = "TraceSegmentDocuments", borrow)]
    documents: Documents<'a>,
}

/// Borrowed where a document has nothing escaped, which no real one is.
struct Documents<'a>(Vec<Cow<'a, str>>);

#[derive(Deserialize)]
struct Document<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Documents<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<'a>(PhantomData<&'a str>);
        impl<'de: 'a, 'a> Visitor<'de> for List<'a> {
            type Value = Documents<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of segment documents")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut documents = Vec::new();
                while let Some(Document(document)) = list.next_element()? {
                    if document.is_empty() {
                        return Err(A::Error::custom("a segment document is empty"));
                    }
                    if documents.len() == DOCUMENTS_MAX {
                        return Err(A::Error::custom(format_args!(
                            "more than {DOCUMENTS_MAX} segment documents"
                        )));
                    }
                    documents.push(document);
                }
                Ok(Documents(documents))
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

fn parse(body: &[u8]) -> serde_json::Result<PutTraceSegments<'_>> {
    // Derived code also takes a list of the fields' values.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Error::custom("it is no object"));
    }
    serde_json::from_slice(body)
}

/// Answers 200 once the documents wait in the pipeline, 503 when there is no room: an HTTP client can wait.
pub(super) async fn put(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    // What is read and what is made of it are both in memory for a moment.
    let body_max = BODY_MAX_BYTES.min(api.for_documents.limit() / 2);
    let (body, mut charge) = api.read_body(request, body_max, &api.for_documents).await?;
    if !charge.try_grow(body.len()) {
        return Err(ApiError::busy());
    }
    let put = parse(&body)
        .map_err(|error| ApiError::invalid(format!("the body is no PutTraceSegments request: {error}")))?;
    let documents = put.documents.0.iter().map(AsRef::as_ref);
    if let Some(forward) = &api.forward {
        forward.pipeline.offer_documents(Instant::now(), documents).map_err(|reason| match reason {
            NotTaken::TooLarge => ApiError::invalid(reason.to_string()),
            NotTaken::Full | NotTaken::Stopping => ApiError::unavailable(reason.to_string()),
        })?;
    }
    Ok(([(CONTENT_TYPE, "application/json")], r#"{"UnprocessedTraceSegments":[]}"#).into_response())
}
