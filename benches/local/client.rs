//! A client that asks X-Ray's operations over one connection, as SDKs do.

use anyhow::{Context, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// An open connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Client {
    pub(crate) fn connect(host: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host })
    }

    /// The bytes of the answer.
    pub(crate) fn post(&mut self, operation: &str, body: &Value) -> anyhow::Result<Vec<u8>> {
        let body = body.to_string();
        let request = format!(
            "POST /{operation} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let mut length = None;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        let mut answer = vec![0; length.context("an answer without a length")?];
        self.stream.read_exact(&mut answer)?;
        ensure!(status.contains(" 200 "), "{operation}: {status}: {}", String::from_utf8_lossy(&answer));
        Ok(answer)
    }

    /// The answer.
    pub(crate) fn ask(&mut self, operation: &str, body: &Value) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.post(operation, body)?)?)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the connection ended");
        Ok(line.trim_end().to_owned())
    }
}
