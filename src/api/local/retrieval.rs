//! Trace retrieval: traces that were asked for earlier. Here they are all at hand, so that a retrieval is complete as
//! soon as it has begun.

use super::graph::{of_traces, to_json};
use super::{Asked, lock, unreadable};
use crate::query::trace::Trace;
use crate::query::{Source, Stored, TraceId};
use crate::refusal::Refusal;
use serde_json::{Value, json};

/// Traces of one answer, as in the service's model.
const PAGE: usize = 5;

/// Documents of one trace in an answer, likewise.
const SPANS_MAX: usize = 100;

/// ListRetrievedTraces.
pub(super) fn list(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let (status, ids) = retrieved(asked)?;
    let from = match asked.text("NextToken") {
        Some(token) => {
            let from = token.parse().ok().filter(|from| *from < ids.len());
            from.ok_or_else(|| Refusal::invalid(format!("Invalid token {token}")))?
        }
        None => 0,
    };
    let page = &ids[from..(from + PAGE).min(ids.len())];
    let format = asked.text("TraceFormat").unwrap_or("XRAY");
    let documents = asked.store.documents(page).map_err(|error| unreadable(&error))?;
    let known = page.iter().zip(documents).filter(|(_, documents)| !documents.is_empty());
    let traces: Vec<_> = known.map(|(id, documents)| trace(*id, documents, format == "OTEL")).collect();
    let next = (from + page.len() < ids.len()).then(|| (from + page.len()).to_string());
    Ok(json!({ "RetrievalStatus": status, "TraceFormat": format, "Traces": traces, "NextToken": next }))
}

/// GetRetrievedTracesGraph.
pub(super) fn graph(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let (status, ids) = retrieved(asked)?;
    let services = match of_traces(asked, &ids)? {
        Some(graph) => to_json(&graph)?["Services"].take(),
        None => json!([]),
    };
    let services = services.as_array().into_iter().flatten();
    let services: Vec<_> = services.map(|service| json!({ "Service": service, "Links": [] })).collect();
    Ok(json!({ "RetrievalStatus": status, "Services": services, "NextToken": null }))
}

/// How far the retrieval is, and its traces. None are given once it was cancelled.
fn retrieved(asked: &Asked<'_>) -> Result<(&'static str, Vec<TraceId>), Refusal> {
    let token = asked.text("RetrievalToken").unwrap_or_default();
    let account = lock(asked.account);
    let retrieval = account.retrieval(token)?;
    Ok((retrieval.status(asked.now), retrieval.trace_ids().to_vec()))
}

fn trace(id: TraceId, documents: Vec<Stored>, otel: bool) -> Value {
    let trace = Trace::assemble(id, documents);
    let answer = trace.answer();
    let mut spans = if otel {
        to_json(&trace.spans()).unwrap_or_default()
    } else {
        to_json(&answer.segments).unwrap_or_default()
    };
    if let Some(spans) = spans.as_array_mut() {
        spans.truncate(SPANS_MAX);
    }
    json!({ "Id": answer.id, "Duration": answer.duration, "Spans": spans })
}
