//! The accept loop: bounded connections, bounded patience, and an orderly end.

use axum::Router;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections that are kept open at once: hundreds of SDK processes keep one each. Half of the usual limit of
/// open files, so that there are some left for X-Ray.
const CONNECTIONS_MAX: usize = 512;

/// Connections beyond those, closed after one request: a health check gets through although somebody holds all others.
const SPARE_CONNECTIONS_MAX: usize = 64;

/// Longest time a spare connection may take to send its request's head.
const SPARE_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time between two requests on a connection, and to send a request's head. Above the SDKs' polling
/// interval of 10 s, so that their connections are kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Longest time requests under way may take once the daemon stops.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of a request's head, and of reading ahead in its body.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Serves a router on a listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
}

impl Server {
    /// Takes over a bound listener.
    ///
    /// # Errors
    /// What the runtime says of the listener.
    pub fn new(listener: std::net::TcpListener, router: Router) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener)?, router })
    }

    /// Serves until `stop`, then lets requests under way finish.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (kept, spare) =
            (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Arc::new(Semaphore::new(SPARE_CONNECTIONS_MAX)));
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                let (permit, idle) = match kept.clone().try_acquire_owned() {
                    Ok(permit) => (permit, Some(IDLE_TIMEOUT)),
                    Err(_) => {
                        (spare.clone().acquire_owned().await.expect("the semaphore is never closed"), None)
                    }
                };
                (self.listener.accept().await, permit, idle)
            };
            let (accepted, permit, idle) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of file descriptors, as a rule: let some connections end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(idle.unwrap_or(SPARE_TIMEOUT));
            builder.keep_alive(idle.is_some()).max_buf_size(READ_BUFFER_BYTES);
            let service = FromPeer { inner: TowerToHyperService::new(self.router.clone()), peer };
            let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%peer, %error, "connection");
                }
                drop(permit);
            });
        }
        drop(self.listener);
        let _ = tokio::time::timeout(END_TIMEOUT, graceful.shutdown()).await;
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Tells the handlers who asks.
struct FromPeer<S> {
    inner: S,
    peer: SocketAddr,
}

impl<B, S: Service<http::Request<B>>> Service<http::Request<B>> for FromPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: http::Request<B>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.peer));
        self.inner.call(request)
    }
}

/// Binds the first address that can be bound.
///
/// # Errors
/// What the system says of the last one.
pub(crate) fn bind(addresses: &[SocketAddr]) -> std::io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let try_bind = |address: SocketAddr| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restarted daemon gets its port back although old connections linger.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        Ok(socket.into())
    };
    first_that_works(addresses, try_bind)
}

/// Tries one address after the other.
pub(crate) fn first_that_works<T>(
    addresses: &[SocketAddr],
    mut attempt: impl FnMut(SocketAddr) -> std::io::Result<T>,
) -> std::io::Result<T> {
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for &address in addresses {
        match attempt(address) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = error,
        }
    }
    Err(last)
}
