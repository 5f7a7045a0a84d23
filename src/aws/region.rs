//! Which region: flag, cfg.yaml and `AWS_REGION` are known before; here the places that have to be asked.
//!
//! Order as in the official daemon (`aws/aws-xray-daemon`, `pkg/conn/conn.go` `GetAWSConfig`), with the ECS
//! task metadata endpoint before the metadata file, which only ECS on EC2 has and only when switched on.

use super::{HttpClient, Settings, SetupError};
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use bytes::Bytes;
use http_body_util::Full;
use serde::Deserialize;
use std::time::Duration;

/// The metadata services are on the same host.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn find(settings: &Settings, client: &HttpClient) -> Result<String, SetupError> {
    if let Some(region) = &settings.region {
        return Ok(region.clone());
    }
    if settings.local_mode {
        let found = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .region()
            .await
            .map(|region| region.to_string());
        return found.ok_or(SetupError::NoRegion { places: "shared config" });
    }
    if let Some(region) = from_ecs_endpoint(settings, client).await {
        return Ok(region);
    }
    if let Some(region) = from_ecs_file(settings).await {
        return Ok(region);
    }
    let imds = aws_config::imds::region::ImdsRegionProvider::builder()
        .imds_client(imds_client(client))
        .configure(&ProviderConfig::without_region().with_http_client(client.clone()))
        .build();
    let found = imds.region().await.map(|region| region.to_string());
    found.ok_or(SetupError::NoRegion { places: "ECS metadata, EC2 metadata" })
}

#[derive(Deserialize)]
struct Task {
    #[serde(rename = "TaskARN")]
    task_arn: String,
}

impl Task {
    /// `arn:aws:ecs:REGION:ACCOUNT:task/…`
    fn region(&self) -> Option<String> {
        self.task_arn.split(':').nth(3).filter(|region| !region.is_empty()).map(str::to_owned)
    }
}

async fn from_ecs_endpoint(settings: &Settings, client: &HttpClient) -> Option<String> {
    let uri = format!("{}/task", settings.ecs_metadata_uri.as_deref()?);
    let request = http::Request::get(uri).body(Full::new(Bytes::new())).ok()?;
    let answer = client.send(request, METADATA_TIMEOUT).await.ok()?;
    serde_json::from_slice::<Task>(answer.body()).ok()?.region()
}

async fn from_ecs_file(settings: &Settings) -> Option<String> {
    let path = settings.ecs_metadata_file.clone()?;
    let text = tokio::task::spawn_blocking(move || std::fs::read(path)).await.ok()?.ok()?;
    serde_json::from_slice::<Task>(&text).ok()?.region()
}

pub(super) async fn instance_metadata(client: &HttpClient, path: &str) -> Option<String> {
    let value = imds_client(client).get(format!("/latest/meta-data/{path}")).await.ok()?;
    Some(String::from(value)).filter(|value| !value.is_empty())
}

fn imds_client(client: &HttpClient) -> aws_config::imds::Client {
    aws_config::imds::Client::builder()
        .configure(&ProviderConfig::without_region().with_http_client(client.clone()))
        .max_attempts(1)
        .connect_timeout(METADATA_TIMEOUT)
        .read_timeout(METADATA_TIMEOUT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_arn_names_its_region() {
        let region = |text: &str| serde_json::from_str::<Task>(text).ok().and_then(|task| task.region());
        let arn = r#"{"TaskARN":"arn:aws:ecs:eu-west-3:123456789012:task/c/0f1e","Family":"f"}"#;
        assert_eq!(region(arn).as_deref(), Some("eu-west-3"));
        assert_eq!(region(r#"{"TaskARN":"nonsense"}"#), None);
        assert_eq!(region(r#"{"TaskARN":"arn:aws:ecs::1:task/x"}"#), None);
    }
}
