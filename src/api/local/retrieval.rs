//! Trace retrieval: traces that were asked for earlier. Here they are all at hand, so that a retrieval is complete as
//! soon as it has begun.

use super::graph::{of_traces, to_json};
use super::{Asked, lock, unreadable};
use crate::query::trace::Trace;
use crate::query::{Source, TraceId};
use crate::refusal::Refusal;
use serde_json::{Value, json};

/// Traces of one answer, as in the service's model.
const PAGE: usize = 5;

/// Documents of one trace in an answer, likewise.
const SPANS_MAX: usize = 100;

/// ListRetrievedTraces.
pub(super) fn list(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let retrieved = retrieved(asked)?;
    let from = match asked.text("NextToken") {
        Some(token) => {
            let from = Place::read(token).filter(|from| from.trace < retrieved.ids.len());
            from.ok_or_else(|| Refusal::invalid(format!("Invalid token {token}")))?
        }
        None => Place { trace: 0, span: 0 },
    };
    let format = asked.text("TraceFormat").unwrap_or("XRAY");
    let page = &retrieved.ids[from.trace..(from.trace + PAGE).min(retrieved.ids.len())];
    let documents = asked.store.documents(page).map_err(|error| unreadable(&error))?;
    let (mut traces, mut next) = (Vec::new(), None);
    for (at, (id, documents)) in page.iter().zip(documents).enumerate() {
        let trace = Trace::assemble(*id, documents);
        if !retrieved.has(&trace) {
            continue;
        }
        let first = if at == 0 { from.span } else { 0 };
        let mut spans =
            if format == "OTEL" { to_json(&trace.spans())? } else { to_json(&trace.documents())? };
        let spans = spans.as_array_mut().map(std::mem::take).unwrap_or_default();
        let more = spans.len() > first + SPANS_MAX;
        let spans: Vec<_> = spans.into_iter().skip(first).take(SPANS_MAX).collect();
        let duration = trace.answer().duration;
        traces.push(json!({ "Id": id.to_string(), "Duration": duration, "Spans": spans }));
        if more {
            next = Some(Place { trace: from.trace + at, span: first + SPANS_MAX });
            break;
        }
    }
    let end = from.trace + page.len();
    let next = next.or_else(|| (end < retrieved.ids.len()).then_some(Place { trace: end, span: 0 }));
    Ok(json!({
        "RetrievalStatus": retrieved.status,
        "TraceFormat": format,
        "Traces": traces,
        "NextToken": next.map(Place::write),
    }))
}

/// GetRetrievedTracesGraph.
pub(super) fn graph(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let retrieved = retrieved(asked)?;
    let services = match of_traces(asked, &retrieved.ids)? {
        Some(graph) => to_json(&graph)?["Services"].take(),
        None => json!([]),
    };
    let services = services.as_array().into_iter().flatten();
    let services: Vec<_> = services.map(|service| json!({ "Service": service, "Links": [] })).collect();
    Ok(json!({ "RetrievalStatus": retrieved.status, "Services": services, "NextToken": null }))
}

/// Where a page begins: a trace, and a document of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    trace: usize,
    span: usize,
}

impl Place {
    fn read(token: &str) -> Option<Self> {
        let (trace, span) = token.split_once('.')?;
        Some(Self { trace: trace.parse().ok()?, span: span.parse().ok()? })
    }

    fn write(self) -> String {
        format!("{}.{}", self.trace, self.span)
    }
}

/// What a retrieval has.
struct Retrieved {
    status: &'static str,
    /// None unless it is complete.
    ids: Vec<TraceId>,
    range: (f64, f64),
}

impl Retrieved {
    /// The trace is known, and began in the range. An end without a fraction means the whole second.
    fn has(&self, trace: &Trace) -> bool {
        let (from, until) = (self.range.0, self.range.1 + 1.0);
        !trace.is_empty() && trace.start().is_none_or(|start| (from..until).contains(&start))
    }
}

fn retrieved(asked: &Asked<'_>) -> Result<Retrieved, Refusal> {
    let token = asked.text("RetrievalToken").unwrap_or_default();
    let account = lock(asked.account);
    let retrieval = account.retrieval(token)?;
    let status = retrieval.status(asked.now);
    let ids = if status == "COMPLETE" { retrieval.trace_ids().to_vec() } else { Vec::new() };
    Ok(Retrieved { status, ids, range: retrieval.range() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_a_trace_and_a_document_of_it() {
        let place = Place { trace: 3, span: 200 };
        assert_eq!(Place::read(&place.write()), Some(place));
        for bad in ["", "3", "3.", ".2", "a.b", "-1.0", "1.2.3"] {
            assert_eq!(Place::read(bad), None, "{bad}");
        }
    }
}
