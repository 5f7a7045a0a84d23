//! Credentials from where tasks, instances and service accounts have them, each from a fake of its service. The
//! fake X-Ray knows one key pair, and only the service under test gives it out.

use crate::support::{FakeXRay, HEADER, PATIENCE, sigv4};
use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get, put};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

const EXPIRY: &str = "2099-01-01T00:00:00Z";

/// A server on loopback, and what it was asked.
struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn start(router: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let log = asked.clone();
        let router =
            router.layer(axum::middleware::from_fn(move |request: Request, next: axum::middleware::Next| {
                let log = log.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                    let line = format!("{} {:?} {}", head.uri, head.headers, String::from_utf8_lossy(&body));
                    log.lock().unwrap().push(line);
                    next.run(Request::from_parts(head, body.into())).await
                }
            }));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    #[track_caller]
    fn was_asked(&self, parts: &[&str]) {
        let asked = self.asked.lock().unwrap();
        let found = asked.iter().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "nothing with {parts:?} in {asked:?}");
    }
}

/// What metadata services and container agents answer.
fn keys() -> String {
    serde_json::json!({ "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": sigv4::ACCESS_KEY,
        "SecretAccessKey": sigv4::SECRET_KEY, "Token": "session", "Expiration": EXPIRY, "LastUpdated": EXPIRY })
    .to_string()
}

/// What STS answers.
fn sts(action: &'static str) -> Router {
    let answer = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><AssumedRoleUser>\
         <AssumedRoleId>A:x</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/x</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>session</SessionToken>\
         <Expiration>{EXPIRY}</Expiration></Credentials></{action}Result></{action}Response>",
        sigv4::ACCESS_KEY,
        sigv4::SECRET_KEY
    );
    Router::new().fallback(any(|| async { answer }))
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon with nothing in its environment but `variables` delivers a document to the fake X-Ray.
async fn delivers(arguments: &str, variables: &[(&str, String)]) {
    let fake = FakeXRay::start().await;
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xrayd"));
    command.args(["-b", &port.to_string(), "-t", "127.0.0.1:0", "--endpoint", &fake.url(), "--linger", "0"]);
    command.args(arguments.split_ascii_whitespace()).env_clear().stdout(Stdio::null());
    command.envs(variables.iter().map(|(name, value)| (*name, value)));
    let process = Process(command.current_dir(env!("CARGO_TARGET_TMPDIR")).spawn().unwrap());
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    // The daemon has no port yet when it is sent to first.
    let sending = async {
        while fake.documents().is_empty() {
            let _ = sender.send_to(&[HEADER, b"{}"].concat(), port);
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, sending).await.expect("a document with a valid signature");
    let seen = &fake.seen_at("/TraceSegments")[0];
    assert_eq!(seen.headers.get("x-amz-security-token").unwrap(), "session");
    drop(process);
}

fn token_file() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("token");
    std::fs::write(&path, "the-token").unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn region_and_credentials_of_an_instance_come_from_imdsv2() {
    let router = Router::new()
        .route(
            "/latest/api/token",
            put(|| async { ([("x-aws-ec2-metadata-token-ttl-seconds", "21600")], "imds-token") }),
        )
        .route("/latest/meta-data/placement/region", get(sigv4::REGION))
        .route("/latest/meta-data/iam/security-credentials/", get("role"))
        .route("/latest/meta-data/iam/security-credentials/role", get(keys()));
    let imds = Service::start(router).await;
    delivers("", &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url())]).await;
    imds.was_asked(&["placement/region", "imds-token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_identity_gives_credentials_for_the_token_in_its_file() {
    let agent = Service::start(Router::new().route("/v1/credentials", get(keys()))).await;
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v1/credentials", agent.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file().display().to_string()),
        ("AWS_REGION", sigv4::REGION.to_owned()),
    ];
    delivers("", &variables).await;
    agent.was_asked(&["/v1/credentials", "the-token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_accounts_web_identity_is_exchanged_at_sts() {
    let sts = Service::start(sts("AssumeRoleWithWebIdentity")).await;
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token_file().display().to_string()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/irsa".to_owned()),
        ("AWS_ENDPOINT_URL_STS", sts.url()),
        ("AWS_REGION", sigv4::REGION.to_owned()),
    ];
    delivers("", &variables).await;
    sts.was_asked(&["Action=AssumeRoleWithWebIdentity", "the-token", "irsa"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_with_its_external_id() {
    let sts = Service::start(sts("AssumeRole")).await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIDBASE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "base".to_owned()),
        ("AWS_ENDPOINT_URL_STS", sts.url()),
    ];
    let arguments = format!("-n {} -r arn:aws:iam::123456789012:role/other --external-id e-1", sigv4::REGION);
    delivers(&arguments, &variables).await;
    sts.was_asked(&["Action=AssumeRole&", "RoleSessionName=xray-daemon", "ExternalId=e-1", "AKIDBASE"]);
}
