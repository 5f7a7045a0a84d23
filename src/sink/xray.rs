//! Sends batches to AWS X-Ray and tells the pipeline what became of them.

mod telemetry;
mod unprocessed;

use crate::aws::{Answer, Aws, ConnectionError, ErrorKind, SendError, Signed};
use crate::events::Events;
use crate::pipeline::{Batch, Outcome, Outgoing, Shared};
use crate::segment::identify;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

pub use telemetry::{Telemetry, TelemetrySource};

const PATH: &str = "/TraceSegments";

/// Takes batches from the pipeline and sends each in a task of its own, as many at once as the pipeline
/// gives out. After `stop` the open sends are abandoned, and their documents wait again.
pub async fn run(pipeline: Shared, mut aws: Aws, events: Events, stop: impl Future<Output = ()>) {
    let mut sends = JoinSet::new();
    tokio::select! {
        () = stop => {}
        () = dispatch(&mut sends, &pipeline, &mut aws, &events) => {}
    }
    sends.shutdown().await;
}

/// Never returns.
async fn dispatch(sends: &mut JoinSet<()>, pipeline: &Shared, aws: &mut Aws, events: &Events) {
    let signed = aws.wait().await;
    loop {
        // Finished tasks are only collected; what they did is with the pipeline already.
        while sends.try_join_next().is_some() {}
        match pipeline.next(Instant::now()) {
            Ok(outgoing) => {
                sends.spawn(send(outgoing, signed.clone(), events.clone()));
            }
            Err(time) => changed_until(pipeline, time).await,
        }
    }
}

/// Returns when the pipeline has changed or `time` has come, whichever is first.
async fn changed_until(pipeline: &Shared, time: Option<Instant>) {
    match time {
        None => pipeline.changed().await,
        Some(time) => {
            // Either end is a reason to look again.
            let _ = tokio::time::timeout_at(time.into(), pipeline.changed()).await;
        }
    }
}

async fn send(outgoing: Outgoing, signed: Arc<Signed>, events: Events) {
    let started = Instant::now();
    let body = outgoing.batch().body().clone();
    let answer = signed.post(PATH, body, Signed::attempt_timeout()).await;
    let now = Instant::now();
    let outcome = match answer {
        Ok(answer) => {
            if answer.kind() == ErrorKind::Credentials
                || (answer.kind() == ErrorKind::ClockSkew && !answer.clock_corrected)
            {
                signed.forget_credentials();
            }
            judge_answer(&answer, outgoing.batch(), &events)
        }
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
    let code = answer.code.as_deref();
    match kind {
        ErrorKind::Success => {}
        // Nothing is wrong with X-Ray: the batch is halved until the bad document stands alone.
        ErrorKind::BadRequest if batch.len() > 1 => {}
        ErrorKind::BadRequest => {
            let identity =
                batch.documents().next().map(|document| identify(&document.unescape())).unwrap_or_default();
            let message = answer.message();
            events.document_refused(
                identity.id.as_deref(),
                identity.trace_id.as_deref(),
                code,
                Some(&message),
            );
        }
        _ => {
            let (status, code) = (answer.status.as_u16(), code.unwrap_or("no error code"));
            events.send_failed(&format!("X-Ray answered {status} {code} {}", answer.message()));
        }
    }
    match kind {
        ErrorKind::Success => {
            events.sending_works();
            unprocessed::judge(&answer.body, batch, events)
        }
        ErrorKind::Throttled => Outcome::Throttled,
        // X-Ray may have taken some of the documents before it failed.
        ErrorKind::Transient => Outcome::Failed { delivered: true, timed_out: false },
        ErrorKind::ClockSkew if answer.clock_corrected => {
            Outcome::Failed { delivered: false, timed_out: false }
        }
        ErrorKind::ClockSkew | ErrorKind::Credentials | ErrorKind::NotXRay => Outcome::Misconfigured,
        ErrorKind::BadRequest => Outcome::Rejected,
    }
}
