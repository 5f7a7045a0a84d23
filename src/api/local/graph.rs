//! GetServiceGraph, GetTraceGraph and GetTimeSeriesServiceStatistics.

use super::{Asked, trace_id, unreadable};
use crate::query::graph::{Graph, Options};
use crate::query::record::Record;
use crate::query::row::settle;
use crate::query::search::fold;
use crate::query::selector::EntitySelector;
use crate::query::series::Series;
use crate::query::{By, Row, Source};
use crate::refusal::Refusal;
use serde_json::{Value, json};

pub(super) fn of_services(asked: &Asked<'_>) -> Result<Value, Refusal> {
    if asked.text("NextToken").is_some() {
        return Err(Refusal::invalid("Next Token not supported"));
    }
    let (start, end) = asked.range()?;
    asked.refuse_long_range(start, end)?;
    let group = asked.group()?;
    let groups = asked.groups();
    // By receipt, as X-Ray selects.
    let search = asked.everything(Asked::window(By::Received, start, end), group.as_deref(), &groups);
    todo!()
}
