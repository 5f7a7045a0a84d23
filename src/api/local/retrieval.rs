//! Trace retrieval: traces that were asked for earlier. Here they are all at hand, so that a retrieval is complete
//! when it has begun.

use super::{Asked, graph, lock, unreadable};
use crate::account::model::Operation;
use crate::query::trace::Trace;
use crate::query::{Source, TraceId};
use crate::refusal::Refusal;
use serde_json::{Value, json};

/// Traces of one answer, as in the service's model.
const PAGE: usize = 5;

pub(super) fn list(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let (status, ids) = retrieved(asked)?;
    let from = match asked.text("NextToken") {
        Some(token) => position(token, &ids)
            .ok_or_else(|| Refusal::invalid(format!("Invalid token {token}")))?,
        None => 0,
    };
    let page = &ids[from..(from + PAGE).min(ids.len())];
    let documents = asked.store.documents(page).map_err(|error| unreadable(&error))?;
    let traces: Vec<_> = page.iter().zip(documents).filter(|(_, documents)| !documents.is_empty()).collect();
    let traces: Vec<Value> = traces.into_iter().map(|(id, documents)| trace(*id, documents)).collect();
    let next = (from + page.len() < ids.len()).then(|| (from + page.len()).to_string());
    Ok(json!({
        "RetrievalStatus": status,
        "TraceFormat": asked.text("TraceFormat").unwrap_or("XRAY"),
        "Traces": traces,
        "NextToken": next,
    }))
}
