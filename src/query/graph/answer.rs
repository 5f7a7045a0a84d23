//! The graph as X-Ray's API writes it.

use super::super::histogram::HistogramEntry;
use super::tally::Statistics;
use serde::Serialize;

/// The answer of `GetServiceGraph`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceGraph {
    /// The second in which the first segment began. None when the graph is empty.
    pub start_time: Option<f64>,
    /// The second in which the last segment began. None when the graph is empty.
    pub end_time: Option<f64>,
    /// The nodes.
    pub services: Vec<Service>,
    /// The group's filter was another one when some of the traces came.
    pub contains_old_group_versions: bool,
    /// X-Ray has no pages here.
    pub next_token: Option<String>,
}

/// The answer of `GetTraceGraph`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TraceGraph {
    /// The nodes.
    pub services: Vec<Service>,
    /// X-Ray has no pages here.
    pub next_token: Option<String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Service {
    /// Number in this answer, from 0.
    pub reference_id: u32,
    /// Of the service, or of what a call leads to.
    pub name: String,
    /// All names it has.
    pub names: Vec<String>,
    /// It is where traces enter. X-Ray never writes `false`.
    pub root: Option<bool>,
    /// Account it runs in.
    pub account_id: Option<String>,
    /// `AWS::EC2::Instance`, `remote`, `client`. None for a segment without origin.
    pub r#type: Option<String>,
    /// What is known of it.
    pub state: State,
    /// Region it is in, where X-Ray gives one.
    pub region: Option<String>,
    /// The second in which its first segment began. None in the graph of a trace.
    pub start_time: Option<f64>,
    /// The end of the second in which its last segment began. None in the graph of a trace.
    pub end_time: Option<f64>,
    /// What it calls.
    pub edges: Vec<Edge>,
    /// From its own segments. None for a client, as in X-Ray.
    pub summary_statistics: Option<Statistics>,
    /// Times until the last part of a segment has ended.
    pub duration_histogram: Option<Vec<HistogramEntry>>,
    /// Times until the response.
    pub response_time_histogram: Option<Vec<HistogramEntry>>,
    /// Always empty; none in the graph of a trace.
    pub hosted_in: Option<NoMembers>,
    /// Always empty; none in the graph of a trace.
    pub key_attributes: Option<NoMembers>,
}

/// What is known of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It sends segments.
    Active,
    /// It is called over the network and sends none.
    Passive,
    /// It is called in AWS, or is a client.
    Unknown,
}

/// `{}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NoMembers {}

/// The calls of one service by another. X-Ray adds `EdgeType` and `ReceivedEventAgeHistogram` to asynchronous ones only:
/// those come from links between traces, which are not kept as facts of a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Edge {
    /// The node that is called.
    pub reference_id: u32,
    /// That of the caller.
    pub start_time: Option<f64>,
    /// That of the caller.
    pub end_time: Option<f64>,
    /// From the calls, as the caller saw them.
    pub summary_statistics: Statistics,
    /// From the calls, as the caller saw them. Always there: clients read it without asking.
    pub response_time_histogram: Vec<HistogramEntry>,
    /// Other names the caller has for it.
    pub aliases: Vec<Alias>,
}

/// Another name of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Alias {
    /// The name.
    pub name: String,
    /// All of them.
    pub names: Vec<String>,
    /// Of the call that has it.
    pub r#type: &'static str,
}
