//! Errors as restJson1 services answer them: a code in the header and the body, a message for a person.

use crate::refusal::Refusal;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode};

/// An error answer.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The request is not what the operation takes.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequestException", message)
    }

    pub(super) fn too_large(max: usize) -> Self {
        let message = format!("the body is larger than {max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "InvalidRequestException", message)
    }

    /// No memory for it now.
    pub(super) fn busy() -> Self {
        Self::unavailable("xrayd's memory budget is used up; try again later")
    }

    /// X-Ray has to answer and does not.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", message)
    }

    pub(super) fn unknown_operation(method: &Method, path: &str) -> Self {
        let path: String = path.chars().take(100).collect();
        let message = format!(
            "{method} {path}: xrayd forwards only what X-Ray SDKs ask; start it with --proxy-all to forward every operation"
        );
        Self::new(StatusCode::NOT_FOUND, "UnknownOperationException", message)
    }

    /// No operation of X-Ray's, where X-Ray is here.
    pub(super) fn no_such_operation(method: &Method, path: &str) -> Self {
        let path: String = path.chars().take(100).collect();
        let message = format!("{method} {path} is no operation of X-Ray's; its API reference has the paths");
        Self::new(StatusCode::NOT_FOUND, "UnknownOperationException", message)
    }

    /// For a person.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDeniedException", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "__type": self.code, "message": self.message }).to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-amzn-errortype", HeaderValue::from_static(self.code));
        response
    }
}

/// A refusal in X-Ray's form.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let mut body = refusal.body();
    body["__type"] = refusal.code.name().into();
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amzn-errortype", HeaderValue::from_static(refusal.code.name()));
    response
}
