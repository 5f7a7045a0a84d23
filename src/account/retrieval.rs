//! Trace retrievals: lists of traces that are asked for by a token later.
//!
//! X-Ray fetches such traces from an archive, which takes it a while. Here they are at hand, so a retrieval is complete
//! as soon as it is begun; only its list is kept, and the documents are read when they are asked for.

use super::{Answer, model, unique_text};
use crate::query::TraceId;
use crate::refusal::Refusal;
use crate::segment::normal_trace_id;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Most retrievals that are remembered; the oldest is forgotten first.
const RETRIEVALS_MAX: usize = 100;
/// For how long a retrieval can be read (API reference, `ListRetrievedTraces`).
const LIFETIME_SECONDS: f64 = 3_600.0;
/// For how long one is remembered at all, so that whoever comes late is told so.
const MEMORY_SECONDS: f64 = 2.0 * LIFETIME_SECONDS;
const TOKEN_LENGTH: usize = 48;

/// Retrievals, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Retrievals(VecDeque<Retrieval>);

/// A list of traces that were asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Retrieval {
    token: String,
    #[serde(with = "as_texts")]
    trace_ids: Vec<TraceId>,
    from: f64,
    until: f64,
    started_at: f64,
    is_cancelled: bool,
}

impl Retrieval {
    /// The traces, each once, in the order they were asked for.
    pub fn trace_ids(&self) -> &[TraceId] {
        &self.trace_ids
    }

    /// First and last moment that were asked for, both belonging to it.
    pub fn range(&self) -> (f64, f64) {
        (self.from, self.until)
    }

    /// `RetrievalStatus`. Traces are given only when it is `COMPLETE`.
    pub fn status(&self, now: f64) -> &'static str {
        if self.is_cancelled {
            "CANCELLED"
        } else if now - self.started_at > LIFETIME_SECONDS {
            "TIMEOUT"
        } else {
            "COMPLETE"
        }
    }
}

impl Retrievals {
    pub(super) fn find(&self, token: &str) -> Result<&Retrieval, Refusal> {
        let found = self.0.iter().find(|retrieval| retrieval.token == token);
        found.ok_or_else(|| Refusal::not_found(token))
    }

    pub(super) fn start(&mut self, body: &Value, now: f64, random: &mut dyn FnMut() -> u64) -> Answer {
        let mut trace_ids = Vec::new();
        for id in model::list(body, "TraceIds").iter().filter_map(Value::as_str) {
            let parsed = normal_trace_id(id)
                .and_then(|id| TraceId::parse(&id))
                .ok_or_else(|| Refusal::invalid(format!("Invalid trace id {id}: incorrect id format")))?;
            if !trace_ids.contains(&parsed) {
                trace_ids.push(parsed);
            }
        }
        let from = model::seconds(body, "StartTime").unwrap_or_default();
        let until = model::seconds(body, "EndTime").unwrap_or_default();
        if until < from {
            return Err(Refusal::invalid("End time cannot be earlier than start time"));
        }
        self.0.retain(|retrieval| now - retrieval.started_at <= MEMORY_SECONDS);
        if self.0.len() >= RETRIEVALS_MAX {
            self.0.pop_front();
        }
        let token = unique_text(TOKEN_LENGTH, random);
        let retrieval =
            Retrieval { token: token.clone(), trace_ids, from, until, started_at: now, is_cancelled: false };
        self.0.push_back(retrieval);
        Ok(json!({"RetrievalToken": token}))
    }

    pub(super) fn cancel(&mut self, body: &Value) -> Answer {
        let token = model::text(body, "RetrievalToken").unwrap_or_default();
        let found = self.0.iter_mut().find(|retrieval| retrieval.token == token);
        found.ok_or_else(|| Refusal::not_found(token))?.is_cancelled = true;
        Ok(json!({}))
    }
}

/// Trace ids in JSON, as they are written everywhere.
mod as_texts {
    use super::TraceId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(ids: &[TraceId], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(TraceId::to_string))
    }

    /// What is no trace id is left out.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TraceId>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        Ok(texts.iter().filter_map(|text| TraceId::parse(text)).collect())
    }
}
