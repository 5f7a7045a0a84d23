//! Sends batches to AWS X-Ray and tells the pipeline what became of them.

mod telemetry;
mod unprocessed;

use crate::aws::{Answer, Aws, ConnectionError, ErrorKind, SendError, Signed};
use crate::events::Events;
use crate::pipeline::{Batch, Outcome, Outgoing, Shared};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;
use wait::until;

pub use telemetry::{Telemetry, TelemetrySource};

const PATH: &str = "/TraceSegments";

/// Takes batches from the pipeline and sends each in a task of its own, as many at once as the pipeline
/// gives out. Never returns; dropped, its open sends are abandoned and their documents wait again.
pub async fn run(pipeline: Shared, mut aws: Aws, events: Events) {
    let signed = aws.wait().await;
    let mut sends = JoinSet::new();
    loop {
        // Finished tasks are only collected; what they did is with the pipeline already.
        while sends.try_join_next().is_some() {}
        match pipeline.next(Instant::now()) {
            Ok(outgoing) => {
                sends.spawn(send(outgoing, signed.clone(), events.clone()));
            }
            Err(time) => until(time, pipeline.changed()).await,
        }
    }
}

/// Waiting for an event with an optional end.
mod wait {
    use std::future::Future;
    use std::time::Instant;

    /// Returns when `event` happens or `time` comes, whichever is first.
    pub(super) async fn until(time: Option<Instant>, event: impl Future<Output = ()>) {
        match time {
            None => event.await,
            Some(time) => {
                // Either end is a reason to look again.
                let _ = tokio::time::timeout_at(time.into(), event).await;
            }
        }
    }
}

async fn send(outgoing: Outgoing, signed: Arc<Signed>, events: Events) {
    let started = Instant::now();
    let body = outgoing.batch().body().clone();
    let answer = signed.post(PATH, body, Signed::attempt_timeout()).await;
    let now = Instant::now();
    let outcome = match answer {
        Ok(answer) => judge_answer(&answer, outgoing.batch(), &events),
        Err(error) => judge_error(&error, &events),
    };
    events.batch_tried(outgoing.batch().len(), now - started, &outcome);
    outgoing.complete(&outcome, now);
}

fn judge_error(error: &SendError, events: &Events) -> Outcome {
    if let Some(kind) = error.connection_error() {
        events.connection_failed(kind);
    }
    match error {
        SendError::Credentials(reason) => {
            events.credentials_missing(reason);
            Outcome::Misconfigured
        }
        SendError::Signing(reason) => {
            events.send_failed(reason);
            Outcome::Misconfigured
        }
        SendError::Connection { kind, delivered, text } => {
            events.send_failed(text);
            Outcome::Failed { delivered: *delivered, timed_out: *kind == ConnectionError::Timeout }
        }
    }
}

fn judge_answer(answer: &Answer, batch: &Batch, events: &Events) -> Outcome {
    if let Some(kind) = answer.connection_error() {
        events.connection_failed(kind);
    }
    let kind = answer.kind();
    if kind != ErrorKind::Success {
        let code = answer.code.as_deref().unwrap_or("no error code");
        events.send_failed(&format!("X-Ray answered {} {code}: {}", answer.status.as_u16(), answer.message()));
    }
    match kind {
        ErrorKind::Success => {
            events.sending_works();
            unprocessed::judge(&answer.body, batch, events)
        }
        ErrorKind::Throttled => Outcome::Throttled,
        // X-Ray may have taken some of the documents before it failed.
        ErrorKind::Transient => Outcome::Failed { delivered: true, timed_out: false },
        ErrorKind::ClockSkew => Outcome::Failed { delivered: false, timed_out: false },
        ErrorKind::Credentials | ErrorKind::NotXRay => Outcome::Misconfigured,
        ErrorKind::BadRequest => Outcome::Rejected,
    }
}
