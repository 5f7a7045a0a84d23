//! BatchGetTraces.

use super::{Asked, trace_id, unreadable};
use crate::account::model;
use crate::query::trace::Trace;
use crate::query::{Source, TraceId};
use crate::refusal::Refusal;
use serde_json::{Value, json};

/// Most traces of one request, as X-Ray's.
const TRACES_MAX: usize = 5;

pub(super) fn batch_get(asked: &Asked<'_>) -> Result<Value, Refusal> {
    if asked.text("NextToken").is_some() {
        return Err(Refusal::invalid("NextToken is currently not supported"));
    }
    let ids = ids(asked)?;
    let documents = asked.store.documents(&ids).map_err(|error| unreadable(&error))?;
    // X-Ray leaves out what it does not know.
    let known = ids.iter().zip(documents).filter(|(_, documents)| !documents.is_empty());
    let traces: Vec<_> = known.map(|(id, documents)| Trace::assemble(*id, documents).answer()).collect();
    Ok(json!({ "Traces": traces, "UnprocessedTraceIds": [], "NextToken": null }))
}

fn ids(asked: &Asked<'_>) -> Result<Vec<TraceId>, Refusal> {
    let texts = model::list(asked.body, "TraceIds");
    if texts.len() > TRACES_MAX {
        return Err(Refusal::invalid(format!("Exceeding maximum query size: {TRACES_MAX}")));
    }
    let mut ids = Vec::with_capacity(texts.len());
    for text in texts.iter().filter_map(Value::as_str) {
        let id = trace_id(text)
            .ok_or_else(|| Refusal::invalid(format!("Invalid trace id {text}: incorrect id format")))?;
        if ids.contains(&id) {
            return Err(Refusal::invalid("Containing duplicate trace ids"));
        }
        ids.push(id);
    }
    Ok(ids)
}
