//! GetServiceGraph, GetTraceGraph and GetTimeSeriesServiceStatistics.

use super::{Asked, all, records, trace_id, unreadable};
use crate::account::model;
use crate::query::graph::{Graph, TraceGraph};
use crate::query::row::settle;
use crate::query::search::{fold, fold_received};
use crate::query::selector::EntitySelector;
use crate::query::series::{Period, Series, Wanted};
use crate::query::{By, Record, Source, TraceId};
use crate::refusal::Refusal;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) fn of_services(asked: &Asked<'_>) -> Result<Value, Refusal> {
    if asked.text("NextToken").is_some() {
        return Err(Refusal::invalid("Next Token not supported"));
    }
    let (start, end) = asked.range()?;
    asked.refuse_long_range(start, end)?;
    let group = asked.group()?;
    let groups = asked.groups();
    // X-Ray selects by receipt.
    let wanted = all(Asked::window(By::Received, start, end), &group, &groups, asked.cancelled);
    let parts = fold(asked.store, &wanted, Graph::COLUMNS, &Graph::default, &|graph: &mut Graph, rows| {
        graph.add(rows);
    });
    let mut graph = Graph::default();
    parts.map_err(|error| unreadable(&error))?.iter().for_each(|part| graph.merge(part));
    to_json(&graph.service_graph())
}

pub(super) fn of_trace(asked: &Asked<'_>) -> Result<Value, Refusal> {
    if asked.text("NextToken").is_some() {
        return Err(Refusal::invalid("NextToken is currently not supported"));
    }
    let id = match model::list(asked.body, "TraceIds") {
        [] => return Err(Refusal::invalid("Zero trace ids provided")),
        [id] => id.as_str().unwrap_or_default(),
        _ => return Err(Refusal::invalid("Currently only one trace Id is supported")),
    };
    let id = trace_id(id).ok_or_else(|| Refusal::invalid("Invalid traceId. ErrorCode: InvalidId"))?;
    to_json(&of_traces(asked, &[id])?.ok_or_else(|| Refusal::invalid("Trace id not found"))?)
}

/// The graph of some traces; none when nothing is known of any.
pub(super) fn of_traces(asked: &Asked<'_>, ids: &[TraceId]) -> Result<Option<TraceGraph>, Refusal> {
    let traces = asked.store.documents(ids).map_err(|error| unreadable(&error))?;
    if traces.iter().all(Vec::is_empty) {
        return Ok(None);
    }
    let mut graph = Graph::default();
    for documents in traces {
        let records = records(&documents);
        let mut rows: Vec<_> = records.iter().map(Record::row).collect();
        settle(&mut rows);
        graph.add(&rows);
    }
    Ok(Some(graph.trace_graph(asked.region)))
}

pub(super) fn time_series(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let (start, end) = asked.range()?;
    let period = model::integer(asked.body, "Period").unwrap_or(60);
    let period =
        Period::of_seconds(period).ok_or_else(|| Refusal::invalid("Time period must be one of [60, 300]"))?;
    let selector = asked.text("EntitySelectorExpression").map(EntitySelector::parse).transpose();
    let selector = selector.map_err(|error| Refusal::invalid(error.to_string()))?;
    let selected = match selector {
        None => Wanted::default(),
        Some(EntitySelector::Service(service)) => Wanted::Service(service),
        Some(EntitySelector::Edge(from, to)) => Wanted::Edge(from, to),
    };
    let group = asked.group()?;
    let groups = asked.groups();
    // The first stretch that ends in the range begins before it.
    let mut window = Asked::window(By::Received, start, end);
    window.from -= period.seconds();
    let wanted = all(window, &group, &groups, asked.cancelled);
    let make = || Series::new(selected.clone(), period, start, end);
    let parts = fold_received(asked.store, &wanted, Series::COLUMNS, &make, &|series: &mut Series, rows| {
        series.add(rows);
    });
    let mut series = make();
    parts.map_err(|error| unreadable(&error))?.iter().for_each(|part| series.merge(part));
    Ok(json!({
        "TimeSeriesServiceStatistics": to_json(&series.statistics())?,
        "ContainsOldGroupVersions": false,
        "NextToken": null,
    }))
}

pub(super) fn to_json(answer: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(answer).map_err(|error| Refusal::internal(error.to_string()))
}
