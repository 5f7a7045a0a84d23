//! `xrayd healthcheck`: for images without a shell. Reads the same flags, file and environment as the daemon.

use crate::config::Config;
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest time the whole check may take.
const LIMIT: Duration = Duration::from_secs(1);

/// Asks `/healthz` of the daemon this configuration belongs to.
///
/// # Errors
/// When it does not answer 200 within a second.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let mut last = anyhow::anyhow!("no TCP address is configured");
    for &address in &config.listen.tcp {
        match ask(reachable(address)) {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Who listens on every address is reached at loopback.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn ask(address: SocketAddr) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    let no_answer = || format!("no answer from {address} within 1 s");
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).with_context(no_answer)?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(no_answer)?;
    let mut head = Vec::new();
    while !head.contains(&b'\n') && head.len() < 1024 {
        let left = end.saturating_duration_since(Instant::now());
        // A timeout of zero would mean for ever.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut part = [0; 256];
        match stream.read(&mut part).with_context(no_answer)? {
            0 => break,
            count => head.extend_from_slice(&part[..count]),
        }
    }
    let status = String::from_utf8_lossy(&head);
    let status = status.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        bail!("{address}/healthz answered {status:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_asked_at_loopback() {
        for (bound, asked) in [
            ("0.0.0.0:2000", "127.0.0.1:2000"),
            ("[::]:2000", "[::1]:2000"),
            ("10.0.0.1:2000", "10.0.0.1:2000"),
        ] {
            assert_eq!(reachable(bound.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
