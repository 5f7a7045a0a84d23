//! What can go wrong with a request, sorted by what to do about it: the error code first, the status second.
//!
//! AWS sends throttling as 400 too, and a code is more precise than a status
//! (SDK reference guide, "Retry behavior", lists the throttling and transient codes).

use http::StatusCode;
use std::error::Error as _;

/// A connection that failed, sorted as PutTelemetryRecords reports it (`BackendConnectionErrors`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionError {
    /// No answer in time.
    Timeout,
    /// Nobody listens there.
    Refused,
    /// DNS does not know the host.
    UnknownHost,
    /// X-Ray answered 4xx.
    Http4xx,
    /// X-Ray answered 5xx.
    Http5xx,
    /// Everything else: reset, TLS, proxy.
    Other,
}

impl ConnectionError {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 6] =
        [Self::Timeout, Self::Refused, Self::UnknownHost, Self::Http4xx, Self::Http5xx, Self::Other];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::UnknownHost => "unknown_host",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Other => "other",
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// No credentials to sign with.
    #[error("no AWS credentials: {0}")]
    Credentials(String),
    /// The request could not be made.
    #[error("the request cannot be signed: {0}")]
    Signing(String),
    /// The connection failed.
    #[error("{text}")]
    Connection {
        /// How.
        kind: ConnectionError,
        /// X-Ray may have received the request.
        delivered: bool,
        /// The whole chain of causes.
        text: String,
    },
}

impl SendError {
    pub(super) fn connection(kind: ConnectionError, delivered: bool, text: impl Into<String>) -> Self {
        Self::Connection { kind, delivered, text: text.into() }
    }

    /// Sorts an error of the hyper client by its causes.
    pub(super) fn from_client(error: &hyper_util::client::legacy::Error) -> Self {
        let mut kind = ConnectionError::Other;
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(current) = cause {
            let words = current.to_string();
            kind = sort(current, &words).unwrap_or(kind);
            if !text.ends_with(&words) {
                text = format!("{text}: {words}");
            }
            cause = current.source();
        }
        Self::Connection { kind, delivered: !error.is_connect(), text }
    }

    /// How the connection failed, if that is what happened.
    pub fn connection_error(&self) -> Option<ConnectionError> {
        match self {
            Self::Connection { kind, .. } => Some(*kind),
            _ => None,
        }
    }
}

fn sort(cause: &(dyn std::error::Error + 'static), words: &str) -> Option<ConnectionError> {
    if let Some(io) = cause.downcast_ref::<std::io::Error>() {
        match io.kind() {
            std::io::ErrorKind::ConnectionRefused => return Some(ConnectionError::Refused),
            std::io::ErrorKind::TimedOut => return Some(ConnectionError::Timeout),
            _ => {}
        }
    }
    // hyper-util's connector tells DNS errors apart only in words.
    words.starts_with("dns error").then_some(ConnectionError::UnknownHost)
}

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 2xx.
    Success,
    /// Slow down, then again.
    Throttled,
    /// X-Ray's own trouble: again.
    Transient,
    /// Our clock is wrong: correct it, then again.
    ClockSkew,
    /// Credentials are expired, unknown or not allowed: refresh, then again, slowly.
    Credentials,
    /// The request itself is refused.
    BadRequest,
    /// Nothing X-Ray would say: a wrong endpoint, or a proxy's page. Again, slowly.
    NotXRay,
}

/// One answer of X-Ray, with its error code if it has one.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// `x-amzn-ErrorType`, or `__type` or `code` of the body, without namespace and URL.
    pub code: Option<String>,
    /// Headers as received.
    pub headers: http::HeaderMap,
    /// Body as received.
    pub body: bytes::Bytes,
    /// It complained of our clock, which was set by it.
    pub clock_corrected: bool,
}

impl Answer {
    pub(super) fn new(response: http::Response<bytes::Bytes>) -> Self {
        let (head, body) = response.into_parts();
        let code = if head.status.is_success() { None } else { error_code(&head.headers, &body) };
        Self { status: head.status, code, headers: head.headers, body, clock_corrected: false }
    }

    /// The message of an error answer, shortened for a log line. X-Ray's messages do not repeat documents.
    pub fn message(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = body.get("message").or_else(|| body.get("Message")).and_then(serde_json::Value::as_str);
        message.unwrap_or_default().chars().take(300).collect()
    }

    /// Whether the credentials themselves are bad, so that others have to be found. A permission that is missing
    /// says nothing about them.
    pub fn credentials_are_bad(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some(
                "ExpiredToken"
                    | "ExpiredTokenException"
                    | "UnrecognizedClientException"
                    | "InvalidClientTokenId"
                    | "InvalidAccessKeyId"
            )
        )
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        if self.status.is_success() {
            // A login page of a proxy on the way is a 200 too.
            let is_xrays = self.body.is_empty() || self.body.trim_ascii_start().starts_with(b"{");
            return if is_xrays { ErrorKind::Success } else { ErrorKind::NotXRay };
        }
        let kind = self.code.as_deref().and_then(kind_of_code);
        // Something on the way that calls every request bad must not cost a document: X-Ray names its errors.
        let nameless = self.code.is_none() && !self.body.trim_ascii_start().starts_with(b"{");
        if self.status == StatusCode::BAD_REQUEST && nameless {
            return ErrorKind::NotXRay;
        }
        kind.unwrap_or_else(|| kind_of_status(self.status))
    }

    /// How PutTelemetryRecords reports it.
    pub fn connection_error(&self) -> Option<ConnectionError> {
        match self.status.as_u16() {
            200..=299 => None,
            400..=499 => Some(ConnectionError::Http4xx),
            500..=599 => Some(ConnectionError::Http5xx),
            _ => Some(ConnectionError::Other),
        }
    }
}

fn error_code(headers: &http::HeaderMap, body: &[u8]) -> Option<String> {
    let from_header =
        headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let code = from_header.or_else(|| {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        Some(body.get("__type").or_else(|| body.get("code"))?.as_str()?.to_owned())
    })?;
    // restJson1: "aws.protocoltests#FooError:http://internal/" means FooError.
    let code = code.split(':').next()?;
    Some(code.rsplit('#').next()?.to_owned())
}

/// What an error code says, whatever the status.
pub fn kind_of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "LimitExceededException"
        | "TransactionInProgressException"
        | "PriorRequestNotComplete"
        | "SlowDown"
        | "EC2ThrottledException" => ErrorKind::Throttled,
        "RequestTimeout"
        | "RequestTimeoutException"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServerException"
        | "InternalException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => ErrorKind::Transient,
        // A wrong clock is often reported as a wrong signature; the caller compares the Date header.
        "RequestTimeTooSkewed"
        | "RequestExpired"
        | "RequestInTheFuture"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "AuthFailure" => ErrorKind::ClockSkew,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "AccessDenied"
        | "AccessDeniedException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "NotAuthorized"
        | "OptInRequired" => ErrorKind::Credentials,
        _ => return None,
    })
}

fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        429 => ErrorKind::Throttled,
        408 | 425 | 500..=599 => ErrorKind::Transient,
        400 | 413 | 422 => ErrorKind::BadRequest,
        401 | 403 => ErrorKind::Credentials,
        _ => ErrorKind::NotXRay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, header: Option<&str>, body: &str, expected: ErrorKind) {
        let mut response = http::Response::builder().status(status);
        if let Some(header) = header {
            response = response.header("x-amzn-ErrorType", header);
        }
        let answer = Answer::new(response.body(bytes::Bytes::copy_from_slice(body.as_bytes())).unwrap());
        assert_eq!(answer.kind(), expected, "{status} {header:?} {body}");
    }

    #[test]
    fn the_code_decides_before_the_status() {
        check(400, Some("ThrottledException"), "{}", ErrorKind::Throttled);
        check(400, Some("ThrottlingException:http://internal.amazon.com/x/"), "{}", ErrorKind::Throttled);
        check(400, None, r#"{"__type":"com.amazonaws.xray#ThrottledException"}"#, ErrorKind::Throttled);
        check(400, None, r#"{"code":"RequestTimeout"}"#, ErrorKind::Transient);
        check(403, Some("ExpiredTokenException"), "{}", ErrorKind::Credentials);
        check(400, Some("UnrecognizedClientException"), "{}", ErrorKind::Credentials);
        check(403, Some("InvalidSignatureException"), "{}", ErrorKind::ClockSkew);
        check(200, Some("ThrottledException"), "{}", ErrorKind::Success);
        check(200, None, "", ErrorKind::Success);
        check(200, None, "<html>Sign in</html>", ErrorKind::NotXRay);
    }

    #[test]
    fn the_status_decides_where_there_is_no_known_code() {
        check(400, Some("InvalidRequestException"), "{}", ErrorKind::BadRequest);
        check(400, None, r#"{"message":"bad"}"#, ErrorKind::BadRequest);
        check(400, None, "<html>Bad Request</html>", ErrorKind::NotXRay);
        check(413, None, "", ErrorKind::BadRequest);
        check(403, None, "<html>", ErrorKind::Credentials);
        check(408, None, "", ErrorKind::Transient);
        check(429, None, "", ErrorKind::Throttled);
        check(500, None, "not json", ErrorKind::Transient);
        check(503, None, "", ErrorKind::Transient);
        check(404, None, "", ErrorKind::NotXRay);
        check(302, None, "", ErrorKind::NotXRay);
    }
}
