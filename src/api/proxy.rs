//! Requests only X-Ray can answer: signed, forwarded, and given up soon enough that no SDK waits.
//!
//! Some SDKs wait for ever, others apply an error's body as rules (their HTTP clients ignore the status), so an
//! answer comes within 1.5 s and never holds rules that X-Ray did not send. While X-Ray is away, the last good
//! rules are given for an hour, as long as SDKs keep theirs.

use super::error::ApiError;
use crate::aws::{Answer, Aws, ErrorKind, SendError, Signed};
use crate::events::{Events, Proxied};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Method};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Longest time a client waits for X-Ray.
const DEADLINE: Duration = Duration::from_millis(1500);

/// The same while X-Ray did not answer a moment ago: some SDKs try three times in a row.
const SHORT_DEADLINE: Duration = Duration::from_millis(100);

/// How long a missed deadline shortens the next ones.
const IMPATIENT: Duration = Duration::from_secs(5);

/// Age up to which kept rules are given.
const RULES_MAX_AGE: Duration = Duration::from_secs(3600);

/// Headers of X-Ray's answers that are passed on.
const PASSED_ON: [HeaderName; 3] =
    [CONTENT_TYPE, HeaderName::from_static("x-amzn-errortype"), HeaderName::from_static("x-amzn-requestid")];

#[derive(Debug)]
pub(super) struct Proxy {
    aws: Aws,
    state: Arc<State>,
}

/// Empty until X-Ray has answered, or could not.
type SharedAnswer = watch::Receiver<Option<Result<Answer, String>>>;

#[derive(Debug)]
struct State {
    events: Events,
    rules: Mutex<Option<(Instant, Answer)>>,
    /// The GetSamplingRules call that is under way; everybody who asks meanwhile shares its answer.
    asking: Mutex<Option<SharedAnswer>>,
    missed_deadline: Mutex<Option<Instant>>,
}

impl Proxy {
    pub(super) fn new(aws: Aws, events: Events) -> Self {
        let state = State {
            events,
            rules: Mutex::default(),
            asking: Mutex::default(),
            missed_deadline: Mutex::default(),
        };
        Self { aws, state: Arc::new(state) }
    }

    /// Forwards one request and waits for its answer, but not for long.
    pub(super) async fn forward(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response, ApiError> {
        let signed = self.signed()?;
        let asking = signed.request(method, path, or_empty_object(body), Signed::attempt_timeout());
        let patience = self.state.patience();
        let answer = tokio::time::timeout(patience, asking).await;
        match self.state.note_patience(patience, answer) {
            Ok(answer) if answer.kind() == ErrorKind::NotXRay => {
                Err(self.state.unavailable(path, "the answer is not X-Ray's"))
            }
            Ok(answer) => {
                if answer.credentials_are_bad() {
                    signed.forget_credentials();
                }
                self.state.events.proxied(Proxied::Answered);
                Ok(pass_on(&answer))
            }
            Err(reason) => Err(self.state.unavailable(path, &reason)),
        }
    }

    /// GetSamplingRules, shared between those who ask at the same time, with the last good rules behind it.
    pub(super) async fn sampling_rules(&self, body: Bytes) -> Result<Response, ApiError> {
        if has_next_token(&body) {
            return self.forward(Method::POST, super::SAMPLING_RULES, body).await;
        }
        let answer = match self.signed() {
            Ok(signed) => self.ask_for_rules(signed).await,
            Err(_) => Err(NOT_YET.to_owned()),
        };
        match answer {
            Ok(answer) if holds_rules(&answer) || answer.kind() == ErrorKind::BadRequest => {
                self.state.events.proxied(Proxied::Answered);
                Ok(pass_on(&answer))
            }
            failed => match (self.state.kept_rules(Instant::now()), failed) {
                (Some(rules), _) => {
                    self.state.events.proxied(Proxied::Cached);
                    Ok(pass_on(&rules))
                }
                (None, Ok(strange)) if matches!(strange.kind(), ErrorKind::NotXRay | ErrorKind::Success) => {
                    Err(self.state.unavailable(super::SAMPLING_RULES, "the answer is not X-Ray's"))
                }
                (None, Ok(refusal)) => {
                    self.state.events.proxied(Proxied::Answered);
                    Ok(pass_on(&refusal))
                }
                (None, Err(reason)) => Err(self.state.unavailable(super::SAMPLING_RULES, &reason)),
            },
        }
    }

    fn signed(&self) -> Result<Arc<Signed>, ApiError> {
        self.aws.get().ok_or_else(|| {
            self.state.events.proxied(Proxied::Unavailable);
            ApiError::unavailable(NOT_YET)
        })
    }

    async fn ask_for_rules(&self, signed: Arc<Signed>) -> Result<Answer, String> {
        let mut answer = self.state.join_or_ask(signed);
        let patience = self.state.patience();
        let arrived = tokio::time::timeout(patience, answer.wait_for(Option::is_some)).await;
        let arrived = arrived.map(|found| match found {
            Ok(found) => found.clone().expect("waited for Some"),
            Err(_) => Err("the request was given up".to_owned()),
        });
        self.state.note_patience(patience, arrived)
    }
}

const NOT_YET: &str = "xrayd does not know its AWS region yet";

impl State {
    fn join_or_ask(self: &Arc<Self>, signed: Arc<Signed>) -> SharedAnswer {
        let mut asking = lock(&self.asking);
        if let Some(under_way) = &*asking {
            return under_way.clone();
        }
        let (answered, answer) = watch::channel(None);
        *asking = Some(answer.clone());
        let state = self.clone();
        // A task of its own: a client that goes away must not take the answer from the others, and an answer
        // that comes too late for its client is kept for the next.
        tokio::spawn(async move {
            let body = Bytes::from_static(b"{}");
            let result = signed.post(super::SAMPLING_RULES, body, Signed::attempt_timeout()).await;
            if result.as_ref().is_ok_and(Answer::credentials_are_bad) {
                signed.forget_credentials();
            }
            if let Ok(answer) = &result
                && holds_rules(answer)
            {
                *lock(&state.rules) = Some((Instant::now(), answer.clone()));
            }
            *lock(&state.asking) = None;
            // Nobody waits any more when this fails.
            let _ = answered.send(Some(result.map_err(|error| error.to_string())));
        });
        answer
    }

    fn kept_rules(&self, now: Instant) -> Option<Answer> {
        let rules = lock(&self.rules);
        rules
            .as_ref()
            .filter(|(at, _)| now.duration_since(*at) < RULES_MAX_AGE)
            .map(|(_, answer)| answer.clone())
    }

    fn patience(&self) -> Duration {
        let impatient = lock(&self.missed_deadline).is_some_and(|at| at.elapsed() < IMPATIENT);
        if impatient { SHORT_DEADLINE } else { DEADLINE }
    }

    /// Remembers whether X-Ray kept the deadline. Missing the short one proves nothing: an answer from afar takes
    /// longer.
    fn note_patience<E: ToString>(
        &self,
        patience: Duration,
        answer: Result<Result<Answer, E>, tokio::time::error::Elapsed>,
    ) -> Result<Answer, String> {
        if answer.is_ok() {
            *lock(&self.missed_deadline) = None;
        } else if patience == DEADLINE {
            *lock(&self.missed_deadline) = Some(Instant::now());
        }
        match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("X-Ray does not answer in time".to_owned()),
        }
    }

    fn unavailable(&self, path: &str, reason: &str) -> ApiError {
        self.events.proxied(Proxied::Unavailable);
        self.events.proxy_failed(path, &reason);
        ApiError::unavailable(format!("xrayd has no answer from X-Ray: {reason}"))
    }
}

impl From<SendError> for String {
    fn from(error: SendError) -> Self {
        error.to_string()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Several SDKs send no body at all; X-Ray wants an object.
fn or_empty_object(body: Bytes) -> Bytes {
    if body.trim_ascii().is_empty() { Bytes::from_static(b"{}") } else { body }
}

/// Whether a GetSamplingRules body asks for more than the first page. Go sends `{"NextToken": null}`.
fn has_next_token(body: &[u8]) -> bool {
    if body.trim_ascii().is_empty() || body == b"{}" {
        return false;
    }
    serde_json::from_slice::<serde_json::Value>(body)
        .map_or(true, |body| body.get("NextToken").is_some_and(|token| !token.is_null()))
}

/// Whether this is what GetSamplingRules answers, and no page of a proxy on the way.
fn holds_rules(answer: &Answer) -> bool {
    #[derive(serde::Deserialize)]
    struct Rules {
        #[serde(rename = "SamplingRuleRecords")]
        _records: Vec<serde::de::IgnoredAny>,
    }
    answer.kind() == ErrorKind::Success && serde_json::from_slice::<Rules>(&answer.body).is_ok()
}

fn pass_on(answer: &Answer) -> Response {
    let mut response = (answer.status, answer.body.clone()).into_response();
    // A page of a proxy on the way is not what a client of X-Ray can read.
    response.headers_mut().remove(CONTENT_TYPE);
    for name in PASSED_ON {
        if let Some(value) = answer.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_of_all_sdks_ask_for_the_first_page() {
        for body in ["", " ", "{}", "{\"NextToken\": null}", "{ }"] {
            assert!(!has_next_token(body.as_bytes()), "{body:?}");
        }
        assert!(has_next_token(b"{\"NextToken\":\"x\"}"));
        assert!(has_next_token(b"no json"), "X-Ray is to say what is wrong with it");
    }
}
