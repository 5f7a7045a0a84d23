//! Sends a body to X-Ray, signed with SigV4.

use super::HttpClient;
use super::credentials::CachedCredentials;
use super::error::{Answer, ErrorKind, SendError};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http_body_util::Full;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Longest time one request may take, connecting included.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// A clock that differs from X-Ray's by more than this is corrected. X-Ray takes signatures up to five minutes old.
const SKEW_MIN: Duration = Duration::from_secs(4 * 60);

/// When a body was handed to X-Ray, as the official daemon tells it (`aws/aws-xray-daemon`,
/// `pkg/conn/xray_client.go`).
const TIMESTAMP: HeaderName = HeaderName::from_static("x-amzn-xray-timestamp");

/// X-Ray in one region.
#[derive(Debug)]
pub struct Signed {
    client: HttpClient,
    credentials: CachedCredentials,
    region: String,
    endpoint: String,
    user_agent: HeaderValue,
    /// Seconds to add to our clock to get X-Ray's.
    skew_secs: AtomicI64,
    telemetry: aws_sdk_xray::Client,
}

impl Signed {
    pub(super) fn new(
        client: HttpClient,
        credentials: CachedCredentials,
        region: String,
        endpoint: String,
        telemetry: aws_sdk_xray::Client,
        execution_environment: Option<&str>,
    ) -> Result<Self, String> {
        let uri: http::Uri = endpoint.parse().map_err(|error| format!("{endpoint:?}: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(format!("{endpoint:?} is not an http or https URL"));
        }
        let user_agent = format!(
            "xrayd/{} exec-env/{} OS/{}-{}",
            env!("CARGO_PKG_VERSION"),
            execution_environment.unwrap_or("UNKNOWN"),
            std::env::consts::OS,
            std::env::consts::ARCH,
        );
        let user_agent = HeaderValue::from_str(&user_agent).unwrap_or(HeaderValue::from_static("xrayd"));
        Ok(Self {
            client,
            credentials,
            region,
            endpoint,
            user_agent,
            skew_secs: AtomicI64::new(0),
            telemetry,
        })
    }

    /// The region requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Scheme, host and port of X-Ray, without a slash at the end.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The generated client, for PutTelemetryRecords.
    pub fn telemetry(&self) -> &aws_sdk_xray::Client {
        &self.telemetry
    }

    /// Whether there are credentials.
    ///
    /// # Errors
    /// Why not.
    pub async fn check_credentials(&self) -> Result<(), String> {
        self.credentials.identity().await.map(|_| ())
    }

    /// POSTs a JSON body to a path of X-Ray. A clock that is wrong is corrected, so that the next try has a chance.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn post(&self, path: &str, body: Bytes, limit: Duration) -> Result<Answer, SendError> {
        self.request(http::Method::POST, path, body, limit).await
    }

    /// The same with any method.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn request(
        &self,
        method: http::Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, SendError> {
        let started = tokio::time::Instant::now();
        let request =
            tokio::time::timeout(limit, self.sign(method, path, body)).await.unwrap_or_else(|_| {
                Err(SendError::Credentials(
                    "the search took too long; it goes on with the next try".to_owned(),
                ))
            })?;
        let answer = self.client.send(request, limit.saturating_sub(started.elapsed())).await?;
        let mut answer = Answer::new(answer);
        if answer.kind() == ErrorKind::ClockSkew {
            answer.clock_corrected = self.correct_clock(&answer);
        }
        Ok(answer)
    }

    /// Asks for new credentials before the next request: X-Ray does not take these.
    pub fn forget_credentials(&self) {
        self.credentials.forget();
    }

    /// PutTraceSegments, telemetry and rules all have five seconds.
    pub const fn attempt_timeout() -> Duration {
        ATTEMPT_TIMEOUT
    }

    async fn sign(
        &self,
        method: http::Method,
        path: &str,
        body: Bytes,
    ) -> Result<http::Request<Full<Bytes>>, SendError> {
        let identity = self.credentials.identity().await.map_err(SendError::Credentials)?;
        let failed = |error: &dyn std::fmt::Display| SendError::Signing(error.to_string());
        let uri = format!("{}{path}", self.endpoint);
        let now = self.now();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("xray")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(&error))?
            .into();
        // Only what nobody on the way may change is signed; a mesh that adds headers breaks nothing.
        let headers = [("content-type", "application/json")].into_iter();
        let signable =
            SignableRequest::new(method.as_str(), uri.as_str(), headers, SignableBody::Bytes(&body))
                .map_err(|error| failed(&error))?;
        let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
        let mut request = http::Request::builder()
            .method(method)
            .uri(uri)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, self.user_agent.clone())
            .header(TIMESTAMP, timestamp(now))
            .body(Full::new(body))
            .map_err(|error| failed(&error))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    fn now(&self) -> SystemTime {
        let skew = self.skew_secs.load(Ordering::Relaxed);
        let offset = Duration::from_secs(skew.unsigned_abs());
        if skew < 0 { SystemTime::now() - offset } else { SystemTime::now() + offset }
    }

    /// Compares our clock with the answer's Date. Returns whether it was corrected.
    fn correct_clock(&self, answer: &Answer) -> bool {
        let Some(theirs) = answer.headers.get(http::header::DATE).and_then(|date| date.to_str().ok()) else {
            return false;
        };
        let Ok(theirs) =
            aws_smithy_types::DateTime::from_str(theirs, aws_smithy_types::date_time::Format::HttpDate)
        else {
            return false;
        };
        let difference = theirs.secs() - unix_secs(self.now());
        if difference.unsigned_abs() < SKEW_MIN.as_secs() {
            return false;
        }
        let skew = theirs.secs() - unix_secs(SystemTime::now());
        self.skew_secs.store(skew, Ordering::Relaxed);
        tracing::warn!(seconds = skew, "this host's clock is wrong; requests are signed with X-Ray's");
        true
    }
}

fn unix_secs(time: SystemTime) -> i64 {
    aws_smithy_types::DateTime::from(time).secs()
}

fn timestamp(now: SystemTime) -> String {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since_epoch.as_secs(), since_epoch.subsec_nanos())
}
