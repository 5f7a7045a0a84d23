//! PutTraceSegments over HTTP: documents join the same pipeline as those from UDP.

use super::error::{ApiError, refused};
use super::{Api, Local};
use crate::account::model;
use crate::pipeline::{BODY_MAX_BYTES, Charge, NotTaken};
use crate::refusal::Refusal;
use crate::segment::InvalidDocument;
use crate::store::PutError;
use crate::store::ledger::Transport;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most documents in one request. X-Ray takes 50; a body full of empty strings must not become a million of them.
const DOCUMENTS_MAX: usize = 1000;

/// Longest time a sender waits for a store whose disk does not answer.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// The same where the documents go to X-Ray too.
const BESIDE_TIMEOUT: Duration = Duration::from_secs(1);

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

fn parse(body: &[u8]) -> Result<Vec<Cow<'_, str>>, ApiError> {
    // Derived code also takes a list of the fields' values.
    let parsed: serde_json::Result<PutTraceSegments<'_>> = if body.trim_ascii_start().starts_with(b"[") {
        Err(Error::custom("it is no object"))
    } else {
        serde_json::from_slice(body)
    };
    let parsed = parsed
        .map_err(|error| ApiError::invalid(format!("the body is no PutTraceSegments request: {error}")))?;
    Ok(parsed.documents.0)
}

/// Answers 200 once the documents are taken, 503 when there is no room: an HTTP client can wait. Where they are forwarded,
/// they then wait in the pipeline; where they are kept, they can be read.
pub(super) async fn put(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    let (body, charge) = read(&api, request, BODY_MAX_BYTES).await?;
    let documents = match parse(&body) {
        // Recorded of X-Ray.
        Ok(documents) if documents.is_empty() && api.local.is_some() => {
            return Ok(refused(&Refusal::invalid("Segments can not be empty")));
        }
        Ok(documents) => documents,
        Err(error) if api.local.is_some() => return Ok(in_xrays_words(&body, &error)),
        Err(error) => return Err(error),
    };
    if let Some(forward) = &api.forward {
        let offered = documents.iter().map(AsRef::as_ref);
        forward.pipeline.offer_documents(Instant::now(), offered).map_err(|reason| match reason {
            NotTaken::TooLarge => ApiError::invalid(reason.to_string()),
            NotTaken::Full | NotTaken::Stopping => ApiError::unavailable(reason.to_string()),
        })?;
    }
    let unprocessed = match &api.local {
        Some(local) if api.forward.is_some() => {
            // X-Ray has the documents: whatever the store does with them, who sent them must not send them again.
            store_beside(local, &documents).await
        }
        Some(local) => store(local, Transport::Http, &documents).await?,
        None => Vec::new(),
    };
    drop(charge);
    Ok(answer(&unprocessed))
}

/// What X-Ray says of a body that is no request.
fn in_xrays_words(body: &[u8], error: &ApiError) -> Response {
    let check = |body: Value| match model::by_path(super::TRACE_SEGMENTS) {
        Some(operation) => model::check(operation, &body),
        None => Ok(()),
    };
    let refusal = model::parse(body).and_then(check).err();
    refused(&refusal.unwrap_or_else(|| Refusal::invalid(error.message())))
}

/// The same for documents that go nowhere but into the store.
pub(super) async fn import(api: &Api, local: &Local, request: Request) -> Result<Response, ApiError> {
    // X-Ray puts a segment and all its subsegments into one document, which can be larger than any that was sent.
    let (body, charge) = read(api, request, usize::MAX).await?;
    let documents = parse(&body)?;
    let unprocessed = store(local, Transport::Import, &documents).await?;
    drop(charge);
    Ok(answer(&unprocessed))
}

async fn read(api: &Api, request: Request, max: usize) -> Result<(Bytes, Charge), ApiError> {
    // What is read and what is made of it are both in memory for a moment.
    let body_max = max.min(api.for_documents.limit() / 2);
    let (body, mut charge) = api.read_body(request, body_max, &api.for_documents).await?;
    if !charge.try_grow(body.len()) {
        return Err(ApiError::busy());
    }
    Ok((body, charge))
}

/// Documents that were not stored, with the reason.
async fn store(
    local: &Local,
    transport: Transport,
    documents: &[Cow<'_, str>],
) -> Result<Vec<InvalidDocument>, ApiError> {
    let documents = documents.iter().map(|document| document.as_bytes());
    let judged = match local.store().put(transport, documents) {
        Ok(put) => tokio::time::timeout(STORE_TIMEOUT, put.judged()).await.unwrap_or(Err(PutError::Disk)),
        Err(error) => Err(error),
    };
    let judged = judged.map_err(|error| match error {
        PutError::TooLarge => ApiError::invalid(error.to_string()),
        PutError::Busy | PutError::Disk | PutError::Stopping => ApiError::unavailable(error.to_string()),
    })?;
    Ok(judged.into_iter().filter_map(Result::err).collect())
}

/// The same beside forwarding: what the store does not take is counted there, and no sender hears of it.
async fn store_beside(local: &Local, documents: &[Cow<'_, str>]) -> Vec<InvalidDocument> {
    let offered = documents.iter().map(|document| document.as_bytes());
    match local.store().put(Transport::Http, offered) {
        Ok(put) => {
            let judged = tokio::time::timeout(BESIDE_TIMEOUT, put.judged()).await;
            // What the store says later, or does not keep, is in its ledger.
            let judged = judged.unwrap_or(Ok(Vec::new())).unwrap_or_default();
            judged.into_iter().filter_map(Result::err).collect()
        }
        Err(why) => {
            local.store().not_taken(Transport::Http, documents.len() as u64, why);
            Vec::new()
        }
    }
}

fn answer(unprocessed: &[InvalidDocument]) -> Response {
    let entry = |invalid: &InvalidDocument| json!({ "Id": invalid.id, "ErrorCode": invalid.code.to_string(), "Message": invalid.to_string() });
    let unprocessed: Vec<_> = unprocessed.iter().map(entry).collect();
    let body = json!({ "UnprocessedTraceSegments": unprocessed }).to_string();
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
