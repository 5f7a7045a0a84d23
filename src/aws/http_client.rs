//! The one HTTP client: hyper's pool over [`Connector`]. It also serves the AWS SDK crates.

use super::Settings;
use super::connect::{Connector, ConnectorError, Purpose};
use super::error::{ConnectionError, SendError};
use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyClient, HttpConnector as SmithyConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError as SmithyError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::fmt;
use std::time::Duration;

/// Idle connections are closed after this long: longer than the minute between two telemetry records, as in
/// the official daemon (`aws/aws-xray-daemon`, `pkg/conn/conn.go`).
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Largest answer that is read.
const ANSWER_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A pooled HTTP/1.1 client. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    pool: Client<Connector, Full<Bytes>>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl HttpClient {
    pub(super) fn new(settings: &Settings, purpose: Purpose) -> Result<Self, ConnectorError> {
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(Connector::new(settings, purpose)?);
        Ok(Self { pool })
    }

    /// Sends one request and reads the whole answer, both within `limit`.
    ///
    /// # Errors
    /// What went wrong between here and there.
    pub async fn send(
        &self,
        request: http::Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<http::Response<Bytes>, SendError> {
        match tokio::time::timeout(limit, self.send_unlimited(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(SendError::connection(ConnectionError::Timeout, true, "no answer in time")),
        }
    }

    async fn send_unlimited(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Bytes>, SendError> {
        let response = self.pool.request(request).await.map_err(|error| SendError::from_client(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES)
            .collect()
            .await
            .map_err(|error| SendError::connection(ConnectionError::Other, true, error.to_string()))?;
        Ok(http::Response::from_parts(head, body.to_bytes()))
    }
}

impl SmithyClient for HttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // The SDK asks for short waits at the metadata services; connecting has its own bound.
        let limit = settings.read_timeout().unwrap_or(super::signed::ATTEMPT_TIMEOUT);
        SharedHttpConnector::new(Timed { client: self.clone(), limit })
    }
}

#[derive(Debug)]
struct Timed {
    client: HttpClient,
    limit: Duration,
}

impl SmithyConnector for Timed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, limit) = (self.client.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| SmithyError::user(error.into()))?;
            let (head, body) = request.into_parts();
            let body = match body.bytes() {
                Some(bytes) => Bytes::copy_from_slice(bytes),
                None => body.collect().await.map_err(SmithyError::user)?.to_bytes(),
            };
            let answer = client.send(http::Request::from_parts(head, Full::new(body)), limit).await;
            let answer = answer.map_err(|error| match error.connection_error() {
                Some(ConnectionError::Timeout) => SmithyError::timeout(error.into()),
                _ => SmithyError::io(error.into()),
            })?;
            HttpResponse::try_from(answer.map(SdkBody::from))
                .map_err(|error| SmithyError::other(error.into(), None))
        })
    }
}
