//! `/healthz` for orchestrators, `/readyz` for people.
//!
//! Health never depends on X-Ray, region, credentials or disk: an orchestrator would kill the daemon while it
//! holds documents, and the new one would be no healthier.

use super::Api;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// How far the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Ports are bound, nothing is received yet.
    Starting,
    /// Receiving.
    Running,
    /// Delivering what waits.
    Stopping,
}

/// What the health answers are made of. Cheap to clone.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    phase: AtomicU8,
    receiving: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

impl Health {
    /// `receiving` says whether the receive thread moves.
    pub fn new(receiving: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { phase: AtomicU8::new(Phase::Starting as u8), receiving: Box::new(receiving) }))
    }

    /// Says how far the daemon is now.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.0.phase.load(Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Stopping,
        }
    }

    fn is_healthy(&self) -> bool {
        // While stopping, the receive thread may have ended as it should.
        self.phase() == Phase::Stopping || (self.0.receiving)()
    }
}

pub(super) async fn healthz(State(api): State<Arc<Api>>) -> Response {
    if api.health.is_healthy() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the receive thread does not move\n").into_response()
    }
}

pub(super) async fn readyz(State(api): State<Arc<Api>>) -> Response {
    let (status, word) = match api.health.phase() {
        Phase::Running => (StatusCode::OK, "ready"),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    let of_store = api.local.as_ref().map(|local| local.store().status().failing).unwrap_or_default();
    let of_store =
        of_store.into_iter().map(|(doing, error)| ("store", format!("cannot {}: {error}", doing.label())));
    let degraded: Vec<_> = api
        .events
        .degraded()
        .into_iter()
        .chain(of_store)
        .map(|(what, why)| serde_json::json!({ "what": what, "why": why }))
        .collect();
    let body = serde_json::json!({ "status": word, "degraded": degraded }).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
