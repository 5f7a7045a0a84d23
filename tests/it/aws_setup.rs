//! Region, endpoint, proxy, role: how the daemon finds X-Ray.

use crate::support::{Daemon, FakeXRay, config, sigv4};
use axum::Router;
use axum::routing::{any, get};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use xrayd::AppError;

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn task() -> String {
    format!(r#"{{"TaskARN":"arn:aws:ecs:{}:123456789012:task/cluster/id"}}"#, sigv4::REGION)
}

#[tokio::test]
async fn the_region_is_asked_from_the_ecs_task_metadata_endpoint() {
    let fake = FakeXRay::start().await;
    let mut config = config("-o=false", &fake.url());
    config.aws.region = None;
    config.aws.ecs_metadata_uri =
        Some(format!("{}/v4/x", serve(Router::new().route("/v4/x/task", get(task()))).await));
    let daemon = Daemon::start(config);
    daemon.send("x");
    // The fake checks that the signature is for this region.
    assert_eq!(fake.until_documents(1).await, ["x"]);
    daemon.stop().await;
}

#[tokio::test]
async fn the_region_is_read_from_the_ecs_metadata_file() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("metadata.json");
    std::fs::write(&path, task()).unwrap();
    let fake = FakeXRay::start().await;
    let mut config = config("-o=false", &fake.url());
    config.aws.region = None;
    config.aws.ecs_metadata_file = Some(path);
    let daemon = Daemon::start(config);
    daemon.send("x");
    assert_eq!(fake.until_documents(1).await, ["x"]);
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_region_it_ends_only_when_it_was_told_to() {
    let mut config = config("--exit-without-region", "http://127.0.0.1:1");
    config.aws.region = None;
    let error = Daemon::start(config).ended().await.unwrap_err();
    assert!(matches!(error, AppError::Setup(_)), "{error}");
    assert!(error.to_string().contains("set AWS_REGION or start with -n REGION"), "{error}");
}

#[tokio::test]
async fn a_proxy_carries_the_requests_for_a_plain_endpoint() {
    let fake = FakeXRay::start().await;
    let targets: Arc<Mutex<Vec<String>>> = Arc::default();
    let proxy = {
        let (targets, to) = (targets.clone(), fake.address);
        // What a forward proxy does with an absolute URI: note it and pass the bytes on.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let targets = targets.clone();
                tokio::spawn(async move {
                    let mut head = vec![0; 4096];
                    let count = client.peek(&mut head).await.unwrap();
                    let line =
                        String::from_utf8_lossy(&head[..count]).lines().next().unwrap_or_default().to_owned();
                    targets.lock().unwrap().push(line);
                    let mut upstream = tokio::net::TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
                });
            }
        });
        format!("http://{address}")
    };
    let daemon = Daemon::start(config(&format!("-p {proxy}"), "http://xray.example"));
    daemon.send("x");
    fake.until("a request through the proxy", |fake| !fake.seen().is_empty()).await;
    let line = targets.lock().unwrap()[0].clone();
    assert_eq!(line, "POST http://xray.example/TraceSegments HTTP/1.1");
    daemon.ask_to_stop();
    daemon.ask_to_stop();
    daemon.ended().await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_not_xray_keeps_the_documents() {
    let url = serve(Router::new().fallback(any(|| async { (http::StatusCode::NOT_FOUND, "<html>") }))).await;
    let daemon = Daemon::start(config("--shutdown-timeout 0", &url));
    daemon.send_numbered(50).await;
    daemon.until("a failed try", |snapshot| snapshot.waiting.retry == 50).await;
    assert_eq!(daemon.stop().await.dropped_at_stop(), 50);
}

#[tokio::test]
async fn a_login_page_with_status_200_takes_no_documents_and_is_no_rules() {
    let url = serve(Router::new().fallback(any(|| async { "<html>Sign in</html>" }))).await;
    let daemon = Daemon::start(config("--shutdown-timeout 0", &url));
    daemon.send_numbered(50).await;
    daemon.until("a failed try", |snapshot| snapshot.waiting.retry == 50).await;
    for path in ["/GetSamplingRules", "/SamplingTargets"] {
        let answer = daemon.post(path, "", "{}").await;
        assert_eq!(
            (answer.status, answer.json()["__type"].as_str()),
            (503, Some("ServiceUnavailableException")),
            "{path}"
        );
    }
    assert_eq!(daemon.stop().await.dropped_at_stop(), 50);
}
