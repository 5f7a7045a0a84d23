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
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let (requests, connection) = handshake(TokioIo::new(stream)).await?;
                    tokio::spawn(connection);
                    return Ok(Self { address, requests });
                }
                Ok(Err(error)) => {
                    last = anyhow::Error::new(error).context(format!(
                        "no daemon at {address}; start xrayd local, or say where it is with -t"
                    ));
                }
                Err(_) => last = anyhow::anyhow!("no answer from {address} within {CONNECT_TIMEOUT:?}"),
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
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(http::header::HOST, self.address.to_string())
            .header(http::header::CONTENT_TYPE, "application/json")
            // What only programs can send: the daemon changes nothing for a page of another site.
            .header("x-xrayd", "1")
            .body(Full::new(body))?;
        let lost = || format!("the connection to {} was lost", self.address);
        let answer = async {
            self.requests.ready().await?;
            self.requests.send_request(request).await
        };
        let answer = answer.await.with_context(lost)?;
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        let status = answer.status();
        let body = answer.into_body().collect().await.with_context(lost)?.to_bytes();
        bail!("{} answered {status}: {}", self.address, message(&body))
    }
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
