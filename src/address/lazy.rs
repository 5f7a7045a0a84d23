//! A host that is looked up when it is used, and again when the answer has grown old: a daemon behind a DNS
//! name moves, and SDKs that resolve once lose their traces for ever.

use super::HostPort;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Longest time an answer is kept.
pub const RESOLVE_TTL_MAX: Duration = Duration::from_secs(60);

/// A [`HostPort`] and its last answer.
#[derive(Debug)]
pub struct LazyAddress {
    target: HostPort,
    ttl: Duration,
    answer: Option<(Instant, Vec<SocketAddr>)>,
}

impl LazyAddress {
    /// Nothing is looked up before the first use. `ttl` is cut to [`RESOLVE_TTL_MAX`].
    pub fn new(target: HostPort, ttl: Duration) -> Self {
        Self { target, ttl: ttl.min(RESOLVE_TTL_MAX), answer: None }
    }

    /// The addresses, IPv4 first. Blocks while DNS answers. When a renewed look-up fails, the old answer is
    /// given once more, so that a DNS outage does not stop a sender that works.
    ///
    /// # Errors
    /// What the resolver said, when there is no older answer.
    pub fn resolve(&mut self, now: Instant) -> io::Result<&[SocketAddr]> {
        self.resolve_with(now, HostPort::resolve)
    }

    fn resolve_with(
        &mut self,
        now: Instant,
        look_up: impl FnOnce(&HostPort) -> io::Result<Vec<SocketAddr>>,
    ) -> io::Result<&[SocketAddr]> {
        let fresh = self.answer.as_ref().is_some_and(|(at, _)| now.duration_since(*at) < self.ttl);
        if !fresh {
            match look_up(&self.target) {
                Ok(addresses) => self.answer = Some((now, addresses)),
                Err(error) if self.answer.is_none() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(self.answer.as_ref().map_or(&[], |(_, addresses)| addresses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "127.0.0.1:2000";
    const SECOND: &str = "127.0.0.2:2000";

    fn answer(text: &str) -> Vec<SocketAddr> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn looks_up_at_first_use_and_again_after_the_ttl() {
        let mut lazy = LazyAddress::new(HostPort::parse("daemon:2000").unwrap(), Duration::from_secs(3600));
        let start = Instant::now();
        let seen = |lazy: &mut LazyAddress, after_secs, reply: io::Result<Vec<SocketAddr>>| {
            lazy.resolve_with(start + Duration::from_secs(after_secs), |_| reply)
                .map(|found| found[0].to_string())
                .ok()
        };
        assert_eq!(seen(&mut lazy, 0, Err(io::ErrorKind::TimedOut.into())), None);
        assert_eq!(seen(&mut lazy, 0, Ok(answer(FIRST))).as_deref(), Some(FIRST));
        assert_eq!(seen(&mut lazy, 59, Ok(answer(SECOND))).as_deref(), Some(FIRST), "an answer is kept");
        assert_eq!(seen(&mut lazy, 60, Ok(answer(SECOND))).as_deref(), Some(SECOND), "no longer than 60 s");
        let failed = seen(&mut lazy, 200, Err(io::ErrorKind::TimedOut.into()));
        assert_eq!(failed.as_deref(), Some(SECOND), "an old answer outlives a DNS outage");
    }
}
