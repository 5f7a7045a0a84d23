//! Asking the running daemon over HTTP.

use super::healthcheck::reachable;
use crate::config::Config;
use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest time to reach the daemon, which is on this machine or near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an error's text that are shown.
const ERROR_MAX_BYTES: usize = 4096;

/// A connection to the daemon this configuration belongs to.
pub(super) struct Daemon {
    address: SocketAddr,
    requests: SendRequest<Full<Bytes>>,
}

impl Daemon {
    pub(super) async fn connect(config: &Config) -> anyhow::Result<Self> {
        let mut last = anyhow::anyhow!("no TCP address is configured");
        for &address in &config.listen.tcp {
            let address = reachable(address);
            match connect(address).await {
                Ok(requests) => return Ok(Self { address, requests }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Asks, and expects 200.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        target: &str,
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let answer = self.send(method, target, body).await?;
        self.expect_ok(answer).await
    }

    /// Posts what may be too large; none when it is.
    pub(super) async fn ask_large(
        &mut self,
        target: &str,
        body: Bytes,
    ) -> anyhow::Result<Option<Response<Incoming>>> {
        let answer = self.send("POST", target, body).await?;
        if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
            // The daemon closes a connection whose body it does not read.
            self.requests = connect(self.address).await?;
            return Ok(None);
        }
        self.expect_ok(answer).await.map(Some)
    }

    async fn send(&mut self, method: &str, target: &str, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(http::header::HOST, self.address.to_string())
            .header(http::header::CONTENT_TYPE, "application/json")
            // What only programs can send: the daemon changes nothing for a page of another site.
            .header("x-xrayd", "1")
            .body(Full::new(body))?;
        let answer = async {
            self.requests.ready().await?;
            self.requests.send_request(request).await
        };
        answer.await.with_context(|| self.lost())
    }

    async fn expect_ok(&self, answer: Response<Incoming>) -> anyhow::Result<Response<Incoming>> {
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        let status = answer.status();
        let body = answer.into_body().collect().await.with_context(|| self.lost())?.to_bytes();
        bail!("{} answered {status}: {}", self.address, message(&body))
    }

    fn lost(&self) -> String {
        format!("the connection to {} was lost", self.address)
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let connected =
        connecting.with_context(|| format!("no answer from {address} within {CONNECT_TIMEOUT:?}"))?;
    let stream = connected
        .with_context(|| format!("no daemon at {address}; start xrayd local, or say where it is with -t"))?;
    let (requests, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(requests)
}

/// What an error's body says to a person.
fn message(body: &[u8]) -> String {
    let read: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let said = read.as_ref().and_then(|body| body.get("message").or_else(|| body.get("Message"))?.as_str());
    let text = said.map_or_else(
        || String::from_utf8_lossy(&body[..body.len().min(ERROR_MAX_BYTES)]).into_owned(),
        str::to_owned,
    );
    text.trim().to_owned()
}
