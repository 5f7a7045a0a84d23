//! Root causes: the way from the entry of a trace to what failed, or to what took so long.

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
