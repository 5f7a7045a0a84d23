//! Connections to AWS: TCP, a proxy where one is asked for, TLS.

use super::Settings;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use tower_service::Service;

/// Longest time to open a TCP connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time for the TLS handshake behind it. Both together are over before the whole request is: a request
/// that never began makes no duplicates.
const TLS_TIMEOUT: Duration = Duration::from_secs(2);

/// Probes keep NAT and proxies from forgetting an idle connection.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What a connection is for: metadata services and container agents are on this host and never behind a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    XRay,
    Credentials,
}

/// A setting that no connection can be made with.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// `-p` is no URL.
    #[error("ProxyAddress {0:?} is not a proxy URL; write http://HOST:PORT")]
    Proxy(String),
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
enum TrustError {
    #[error("AWS_CA_BUNDLE {path}: {reason}")]
    Bundle { path: PathBuf, reason: String },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Opens connections for the hyper client.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    route: Arc<Route>,
    trust: Arc<Trust>,
}

struct Route {
    purpose: Purpose,
    /// `-p`; goes for every X-Ray request that `NO_PROXY` does not exempt.
    matcher: Matcher,
}

/// Certificates are read when the first TLS connection is made, not at start: a daemon that speaks to a plain
/// endpoint never pays for them.
struct Trust {
    no_verify: bool,
    ca_bundle: Option<PathBuf>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Connector {
    pub(super) fn new(settings: &Settings, purpose: Purpose) -> Result<Self, ConnectorError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(KEEPALIVE));
        let route = Route { purpose, matcher: matcher(settings, purpose)? };
        let trust = Trust {
            no_verify: settings.no_verify_ssl && purpose == Purpose::XRay,
            ca_bundle: settings.ca_bundle.clone(),
            config: OnceLock::new(),
        };
        Ok(Self { tcp, route: Arc::new(route), trust: Arc::new(trust) })
    }

    async fn connect(mut self, to: http::Uri) -> io::Result<Stream> {
        let https = to.scheme_str() == Some("https");
        let proxy = self.route.proxy_for(&to);
        let tcp = match &proxy {
            None => self.tcp.call(to.clone()).await.map_err(io::Error::other)?,
            Some(proxy) if https => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.call(to.clone()).await.map_err(io::Error::other)?
            }
            Some(proxy) => self.tcp.call(proxy.uri().clone()).await.map_err(io::Error::other)?,
        };
        if !https {
            return Ok(Stream::Plain { tcp, through_proxy: proxy.is_some() });
        }
        let host = to.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let config = self.trust.config().map_err(io::Error::other)?;
        let handshake = TlsConnector::from(config).connect(name, tcp.into_inner());
        let tls = tokio::time::timeout(TLS_TIMEOUT, handshake)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long"))??;
        Ok(Stream::Tls(Box::new(TokioIo::new(tls))))
    }
}

fn matcher(settings: &Settings, purpose: Purpose) -> Result<Matcher, ConnectorError> {
    let environment = &settings.proxy_environment;
    let builder = Matcher::builder().no(environment.no.clone());
    match &settings.proxy {
        Some(proxy) if purpose == Purpose::XRay => {
            // As Go's url.Parse, but an address without a scheme is told apart from a scheme.
            let uri: http::Uri = proxy.parse().map_err(|_| ConnectorError::Proxy(proxy.clone()))?;
            if uri.scheme_str() != Some("http") || uri.host().is_none() {
                return Err(ConnectorError::Proxy(proxy.clone()));
            }
            Ok(builder.all(proxy.clone()).build())
        }
        _ => Ok(builder
            .all(environment.all.clone())
            .http(environment.http.clone())
            .https(environment.https.clone())
            .build()),
    }
}

impl Route {
    fn proxy_for(&self, to: &http::Uri) -> Option<Intercept> {
        if self.purpose == Purpose::Credentials && is_on_this_host(to.host()?) {
            return None;
        }
        self.matcher.intercept(to)
    }
}

/// Loopback and link-local: container agents, EC2 and ECS metadata.
fn is_on_this_host(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        // fd00:ec2::/32 is where EC2 and EKS put their IPv6 metadata services.
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.segments()[..2] == [0xfd00, 0x0ec2],
        Err(_) => host == "localhost",
    }
}

impl Trust {
    fn config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let config = Arc::new(self.load()?);
        Ok(self.config.get_or_init(|| config).clone())
    }

    fn load(&self) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let mut config = if self.no_verify {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth()
        } else {
            builder.with_root_certificates(self.roots()?).with_no_client_auth()
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The bundle the environment names, else the system's certificates, else Mozilla's: an image from
    /// scratch has none of its own.
    fn roots(&self) -> Result<RootCertStore, TrustError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca_bundle {
            let failed = |reason: String| TrustError::Bundle { path: path.clone(), reason };
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            return if roots.is_empty() { Err(failed("no certificate in it".to_owned())) } else { Ok(roots) };
        }
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Ok(roots)
    }
}

impl Service<http::Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: http::Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// A connection to X-Ray or to a proxy.
pub(super) enum Stream {
    Plain { tcp: TokioIo<TcpStream>, through_proxy: bool },
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain { through_proxy, .. } => Connected::new().proxy(*through_proxy),
            Self::Tls(_) => Connected::new(),
        }
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! delegate {
    ($self:ident, $method:ident $(, $argument:expr)*) => {
        match $self.get_mut() {
            Stream::Plain { tcp, .. } => Pin::new(tcp).$method($($argument),*),
            Stream::Tls(tls) => Pin::new(&mut **tls).$method($($argument),*),
        }
    };
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, poll_read, context, into)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown, context)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain { tcp, .. } => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write_vectored, context, parts)
    }
}

/// `NoVerifySSL`: any certificate will do. Signatures of the handshake are checked all the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ProxyEnvironment;

    fn route(settings: &Settings, purpose: Purpose, to: &str) -> Option<String> {
        let connector = Connector::new(settings, purpose).unwrap();
        connector.route.proxy_for(&to.parse().unwrap()).map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn a_proxy_flag_carries_xray_requests_and_no_metadata_requests() {
        let settings = Settings { proxy: Some("http://proxy:3128".to_owned()), ..Settings::default() };
        let proxied = Some("http://proxy:3128/".to_owned());
        assert_eq!(route(&settings, Purpose::XRay, "https://xray.us-east-1.amazonaws.com"), proxied);
        assert_eq!(route(&settings, Purpose::XRay, "http://10.0.0.1:9000"), proxied);
        assert_eq!(route(&settings, Purpose::Credentials, "http://169.254.169.254/latest"), None);
    }

    #[test]
    fn the_environments_proxy_spares_no_proxy_hosts_and_this_host() {
        let proxy_environment = ProxyEnvironment {
            https: "http://proxy:3128".to_owned(),
            no: ".vpce.amazonaws.com,10.0.0.0/8".to_owned(),
            ..ProxyEnvironment::default()
        };
        let settings = Settings { proxy_environment, ..Settings::default() };
        let proxied = Some("http://proxy:3128/".to_owned());
        for (purpose, to, expected) in [
            (Purpose::XRay, "https://xray.us-east-1.amazonaws.com", proxied.clone()),
            (Purpose::XRay, "https://vpce-1.xray.us-east-1.vpce.amazonaws.com", None),
            (Purpose::XRay, "https://10.1.2.3", None),
            (Purpose::Credentials, "https://sts.us-east-1.amazonaws.com", proxied),
            (Purpose::Credentials, "https://169.254.170.23/v1/credentials", None),
            (Purpose::Credentials, "https://[fd00:ec2::23]/v1/credentials", None),
        ] {
            assert_eq!(route(&settings, purpose, to), expected, "{to}");
        }
    }

    #[test]
    fn a_proxy_that_is_no_url_is_refused_by_name() {
        for proxy in ["proxy:3128", "socks5://proxy:1080", "http://"] {
            let settings = Settings { proxy: Some(proxy.to_owned()), ..Settings::default() };
            assert!(Connector::new(&settings, Purpose::XRay).is_err(), "{proxy}");
        }
    }
}
