//! Root causes: the way from the entry of a trace to what failed, or to what took so long.

mod exceptions;
mod failure;
mod response_time;

use super::node::NodeId;
use super::trace::Trace;
use serde::Serialize;

/// The causes of one trace. X-Ray names at most one of each kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RootCauses {
    /// Of a 5xx.
    pub fault: Vec<RootCause>,
    /// Of a 4xx.
    pub error: Vec<RootCause>,
    /// Of the time it took.
    pub response_time: Vec<RootCause>,
}

/// One way, as X-Ray writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootCause {
    /// From the entry of the trace to the cause.
    pub services: Vec<CauseService>,
    /// The way begins where the client came in.
    pub client_impacting: bool,
}

/// A service on the way.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CauseService {
    /// Of the service.
    pub name: String,
    /// All names it has.
    pub names: Vec<String>,
    /// `AWS::EC2::Instance`, `remote`. Empty where it is not known: some clients demand a text.
    pub r#type: String,
    /// Account it runs in.
    pub account_id: Option<String>,
    /// Segment and subsegments on the way. At least one.
    pub entity_path: Vec<CauseEntity>,
    /// It has no segment of its own.
    pub inferred: bool,
}

/// A segment or subsegment on the way.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CauseEntity {
    /// Of the segment or subsegment.
    pub name: String,
    /// What it threw. None where the cause is the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exceptions: Option<Vec<CauseException>>,
    /// Its time by the response time of the root. None where the cause is a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// It is a call of another service.
    pub remote: bool,
}

/// An exception.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CauseException {
    /// Its type.
    pub name: String,
    /// What it says.
    pub message: String,
}

impl RootCauses {
    /// Finds them. Reads the whole trace.
    pub fn of(trace: &Trace) -> Self {
        let exceptions = exceptions::Exceptions::of(trace);
        let failure = |failure| failure::find(trace, &exceptions, failure).into_iter().collect();
        Self {
            fault: failure(failure::Failure::Fault),
            error: failure(failure::Failure::Error),
            response_time: response_time::find(trace).into_iter().collect(),
        }
    }
}

impl CauseService {
    fn new(node: NodeId, inferred: bool, entity_path: Vec<CauseEntity>) -> Self {
        Self {
            names: vec![node.name.clone()],
            name: node.name,
            r#type: node.r#type.unwrap_or_default(),
            account_id: node.account_id,
            entity_path,
            inferred,
        }
    }
}

#[cfg(test)]
mod tests;
