//! GetTraceSummaries.

use super::cursors::{Token, fingerprint};
use super::{Asked, lock, unreadable};
use crate::query::filter::Expression;
use crate::query::search::{Match, Search, search};
use crate::query::summary::Summary;
use crate::query::trace::Trace;
use crate::query::{By, Source};
use crate::refusal::Refusal;
use serde_json::{Value, json};
use std::sync::Arc;

/// Traces of one answer. X-Ray's pages vary; Grafana reads them until it has a thousand.
const PAGE: usize = 200;

/// What is asked, as far as it decides what is found.
#[derive(Hash)]
struct Question<'a> {
    times: [u64; 2],
    by: u8,
    sample: u64,
    filter: Option<&'a str>,
}

pub(super) fn get(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let (start, end) = asked.range()?;
    let by = match asked.text("TimeRangeType") {
        Some("Event") => By::Received,
        Some("Service") => By::End,
        _ => By::Start,
    };
    let sample = sample(asked)?;
    let filter = asked.text("FilterExpression").filter(|filter| !filter.trim().is_empty());
    let expression = filter.map(Expression::parse).transpose();
    let expression = expression.map_err(|error| Refusal::invalid(error.to_string()))?;
    let question =
        Question { times: [start.to_bits(), end.to_bits()], by: by as u8, sample: sample.to_bits(), filter };
    let question = fingerprint(&question);
    let token = match asked.text("NextToken") {
        Some(text) => Some(
            Token::read(text, question).ok_or_else(|| Refusal::invalid(format!("Invalid token {text}")))?,
        ),
        None => None,
    };
    let kept = token.and_then(|token| lock(asked.cursors).get(question, token, asked.now));
    let known = kept.is_some();
    let found = if let Some(found) = kept {
        found
    } else {
        let groups = asked.groups();
        let wanted = Search {
            window: Asked::window(by, start, end),
            expression: expression.as_ref(),
            groups: &groups,
            sample,
            after: token.map(|token| (token.start, token.id)),
            cancelled: asked.cancelled,
        };
        Arc::new(search(asked.store, &wanted).map_err(|error| unreadable(&error))?)
    };
    let from = token.map_or(0, |token| token.position(&found.matches));
    let page = &found.matches[from..(from + PAGE).min(found.matches.len())];
    let more = from + page.len() < found.matches.len() || found.cut;
    let next = page.last().filter(|_| more).map(|last| Token { start: last.start, id: last.id });
    if next.is_some() && !known {
        lock(asked.cursors).keep(question, token, asked.now, &found);
    }
    let approximate = token.is_none().then(|| start.floor() - if by == By::End { 60.0 } else { 0.0 });
    Ok(json!({
        "TraceSummaries": summaries(asked, page, by)?,
        "ApproximateTime": approximate,
        "TracesProcessedCount": found.processed,
        "NextToken": next.map(|next| next.write(question)),
    }))
}

fn summaries(asked: &Asked<'_>, page: &[Match], by: By) -> Result<Vec<Value>, Refusal> {
    let ids: Vec<_> = page.iter().map(|found| found.id).collect();
    let documents = asked.store.documents(&ids).map_err(|error| unreadable(&error))?;
    let summaries = page.iter().zip(documents).filter_map(|(found, documents)| {
        // Deleted since it was found.
        if documents.is_empty() {
            return None;
        }
        let matched_at = (by != By::Start).then_some(found.matched_at);
        let summary = Summary::of(&Trace::assemble(found.id, documents), matched_at);
        serde_json::to_value(&summary).ok()
    });
    Ok(summaries.collect())
}

/// The part of the traces that is looked at.
fn sample(asked: &Asked<'_>) -> Result<f64, Refusal> {
    let strategy = asked.body.get("SamplingStrategy").filter(|strategy| !strategy.is_null());
    let sampling = asked.body.get("Sampling").and_then(Value::as_bool) == Some(true);
    let (true, Some(strategy)) = (sampling, strategy) else { return Ok(1.0) };
    // A partial scan may look at everything.
    if strategy.get("Name").and_then(Value::as_str) != Some("FixedRate") {
        return Ok(1.0);
    }
    let by = asked.text("TimeRangeType").unwrap_or("TraceId");
    if by != "Event" {
        return Err(Refusal::invalid(format!(
            "Cannot use FixedRate with input time range type: {by}. Please try using time range type: Event"
        )));
    }
    let rate = strategy.get("Value").and_then(Value::as_f64).filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| {
        Refusal::invalid("sampling rate must be specified and its value must be between [0, 1]")
    })
}
