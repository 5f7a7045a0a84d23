//! HTTPS endpoints: whom the daemon trusts, and the way through a proxy.

use crate::support::{Daemon, FakeXRay, config};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// TLS in front of a fake X-Ray, with a certificate for localhost that only its file makes trustworthy.
struct Https {
    url: String,
    certificate: PathBuf,
    _folder: tempfile::TempDir,
}

impl Https {
    async fn before(fake: &FakeXRay) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("ca.pem");
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let (acceptor, to) = (TlsAcceptor::from(Arc::new(config)), fake.address);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    let mut plain = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut plain).await;
                });
            }
        });
        Self { url, certificate, _folder: folder }
    }
}

#[tokio::test]
async fn a_certificate_of_the_bundle_is_trusted() {
    let fake = FakeXRay::start().await;
    let https = Https::before(&fake).await;
    let mut config = config("", &https.url);
    config.aws.ca_bundle = Some(https.certificate.clone());
    let daemon = Daemon::start(config);
    daemon.send("over TLS");
    assert_eq!(fake.until_documents(1).await, ["over TLS"]);
    daemon.stop().await;
}

#[tokio::test]
async fn an_unknown_certificate_is_not_trusted_and_the_documents_wait() {
    let fake = FakeXRay::start().await;
    let https = Https::before(&fake).await;
    let daemon = Daemon::start(config("--shutdown-timeout 0", &https.url));
    daemon.send_numbered(50).await;
    daemon.until("a failed try", |snapshot| snapshot.waiting.retry == 50).await;
    let why = daemon.get("/readyz").await.body;
    assert!(why.contains("sending"), "{why}");
    assert_eq!(daemon.stop().await.dropped_at_stop(), 50);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn no_verify_ssl_trusts_any_certificate() {
    let fake = FakeXRay::start().await;
    let https = Https::before(&fake).await;
    let daemon = Daemon::start(config("--no-verify-ssl", &https.url));
    daemon.send("unchecked");
    assert_eq!(fake.until_documents(1).await, ["unchecked"]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_with_the_password_of_its_url() {
    let fake = FakeXRay::start().await;
    let https = Https::before(&fake).await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let log = log.clone();
            tokio::spawn(async move {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    client.read_line(&mut head).await.unwrap();
                }
                let port = head.split([' ', ':']).nth(2).unwrap().parse::<u16>().unwrap();
                log.lock().unwrap().push(head);
                let mut upstream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    let mut config = config(&format!("-p http://user:secret@{proxy}"), &https.url);
    config.aws.ca_bundle = Some(https.certificate.clone());
    let daemon = Daemon::start(config);
    daemon.send("through a tunnel");
    assert_eq!(fake.until_documents(1).await, ["through a tunnel"]);
    let head = asked.lock().unwrap()[0].clone();
    assert!(head.starts_with("CONNECT localhost:"), "{head}");
    // user:secret in base64.
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpzzwnyzxq="), "{head}");
    daemon.stop().await;
}
