//! AWS as the rest of the program needs it: one HTTP client, credentials, a region, an endpoint, and
//! [`Signed`], which sends a body to X-Ray and gives the answer back.
//!
//! Credentials and region come from `aws-config`, endpoints from the rules inside `aws-sdk-xray`. Signing and
//! sending are done here, because the generated client builds one `String` for each document and spends more on
//! each call than signing and sending a prepared body costs.

mod connect;
mod credentials;
mod error;
mod http_client;
mod region;
mod signed;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_xray::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub use error::{Answer, ConnectionError, ErrorKind, SendError, kind_of_code};
pub use http_client::HttpClient;
pub use signed::Signed;

use crate::events::Events;
use credentials::CachedCredentials;

/// Session name of an assumed role, the official daemon's (`aws/aws-xray-daemon`, `pkg/conn/conn.go`).
const ROLE_SESSION_NAME: &str = "xray-daemon";

/// First and longest wait between two tries to find a region.
const REGION_RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// What the configuration says about AWS.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// From flag, cfg.yaml or `AWS_REGION`.
    pub region: Option<String>,
    /// Ask no metadata service; take the region of the shared configuration instead.
    pub local_mode: bool,
    /// Where X-Ray is, when not where the region says.
    pub endpoint: Option<String>,
    /// Role to assume.
    pub role_arn: Option<String>,
    /// External id to assume the role with.
    pub external_id: Option<String>,
    /// `-p`: proxy for X-Ray.
    pub proxy: Option<String>,
    /// Proxies the environment names.
    pub proxy_environment: ProxyEnvironment,
    /// Do not check X-Ray's certificate.
    pub no_verify_ssl: bool,
    /// `AWS_CA_BUNDLE`: trust these certificates instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// `ECS_CONTAINER_METADATA_URI_V4`.
    pub ecs_metadata_uri: Option<String>,
    /// `ECS_CONTAINER_METADATA_FILE`.
    pub ecs_metadata_file: Option<PathBuf>,
    /// `AWS_EXECUTION_ENV`, for the user agent.
    pub execution_environment: Option<String>,
    /// Credentials of a program that embeds the collector, instead of the SDK's default chain.
    pub credentials: Option<SharedCredentialsProvider>,
}

/// `HTTPS_PROXY` and its relations.
#[derive(Debug, Clone, Default)]
pub struct ProxyEnvironment {
    /// For https endpoints.
    pub https: String,
    /// For http endpoints.
    pub http: String,
    /// For both, where the others are not set.
    pub all: String,
    /// Hosts reached directly, comma separated, as curl reads it.
    pub no: String,
}

/// Why there is no connection to AWS yet.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SetupError {
    /// Nobody knows the region.
    #[error("no region in flag, cfg.yaml, AWS_REGION, {places}; set AWS_REGION or start with -n REGION")]
    NoRegion {
        /// Where else was looked.
        places: &'static str,
    },
    /// The region has no X-Ray endpoint, or the endpoint is no URL.
    #[error("no X-Ray endpoint for region {region:?}: {reason}")]
    NoEndpoint {
        /// The region asked for.
        region: String,
        /// What the endpoint rules said.
        reason: String,
    },
    /// The HTTP client could not be made.
    #[error("{0}")]
    Client(Arc<connect::ConnectorError>),
}

/// X-Ray in the configured region, once it is known.
#[derive(Debug, Clone)]
pub struct Aws {
    ready: watch::Receiver<Option<Arc<Signed>>>,
}

impl Aws {
    /// X-Ray, if region and endpoint are known already.
    pub fn get(&self) -> Option<Arc<Signed>> {
        self.ready.borrow().clone()
    }

    /// Waits until region and endpoint are known. Pends for ever when the search was given up.
    pub async fn wait(&mut self) -> Arc<Signed> {
        let found = self.ready.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        match found {
            Some(signed) => signed,
            None => std::future::pending().await,
        }
    }
}

/// The search for region and credentials, to be driven by a task of its own.
#[derive(Debug)]
pub struct Search {
    settings: Settings,
    events: Events,
    found: watch::Sender<Option<Arc<Signed>>>,
}

/// Where X-Ray is is looked for in the background: the daemon receives from its first moment.
pub fn search(settings: Settings, events: Events) -> (Aws, Search) {
    let (found, ready) = watch::channel(None);
    (Aws { ready }, Search { settings, events, found })
}

impl Search {
    /// Tries until X-Ray's region and endpoint are known, then until credentials are, saying what is missing
    /// once for each reason. With `give_up`, the first failure to find a region is returned.
    ///
    /// # Errors
    /// Why there is no region, when asked to give up.
    pub async fn run(self, give_up: bool) -> Result<(), SetupError> {
        let mut wait = REGION_RETRY.0;
        let signed = loop {
            match set_up(&self.settings).await {
                Ok(signed) => break Arc::new(signed),
                Err(error) if give_up => return Err(error),
                Err(error) => self.events.aws_missing(&error.to_string()),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(REGION_RETRY.1);
        };
        self.events.aws_found(signed.region(), signed.endpoint());
        // Nobody waits for X-Ray any more when this fails: the daemon is stopping.
        let _ = self.found.send(Some(signed.clone()));
        self.await_credentials(&signed).await;
        // Keeps the channel open: `Aws::wait` distinguishes "found" from "given up".
        self.found.closed().await;
        Ok(())
    }

    async fn await_credentials(&self, signed: &Signed) {
        let mut wait = REGION_RETRY.0;
        while let Err(error) = signed.check_credentials().await {
            self.events.credentials_missing(&error);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(REGION_RETRY.1);
        }
        self.events.credentials_found();
    }
}

async fn set_up(settings: &Settings) -> Result<Signed, SetupError> {
    let client = |error| SetupError::Client(Arc::new(error));
    let for_xray = HttpClient::new(settings, connect::Purpose::XRay).map_err(client)?;
    let for_credentials = HttpClient::new(settings, connect::Purpose::Credentials).map_err(client)?;
    let region = region::find(settings, &for_credentials).await?;
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(for_credentials)
        .region(Region::new(region.clone()))
        .load()
        .await;
    let endpoint = resolve_endpoint(settings, &config, &region).await?;
    let credentials = CachedCredentials::new(provider(settings, &config).await);
    let telemetry = telemetry_client(&config, &for_xray, &endpoint, credentials.clone());
    Signed::new(
        for_xray,
        credentials,
        region.clone(),
        endpoint,
        telemetry,
        settings.execution_environment.as_deref(),
    )
    .map_err(|reason| SetupError::NoEndpoint { region, reason })
}

async fn resolve_endpoint(
    settings: &Settings,
    config: &SdkConfig,
    region: &str,
) -> Result<String, SetupError> {
    let custom = settings.endpoint.clone().or_else(|| config.endpoint_url().map(str::to_owned));
    let failed = |reason: String| SetupError::NoEndpoint { region: region.to_owned(), reason };
    let params = Params::builder()
        .region(region)
        // FIPS and dual-stack names do not go with an endpoint of one's own.
        .use_fips(custom.is_none() && config.use_fips().unwrap_or(false))
        .use_dual_stack(custom.is_none() && config.use_dual_stack().unwrap_or(false))
        .set_endpoint(custom)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let endpoint =
        DefaultResolver::new().resolve_endpoint(&params).await.map_err(|error| failed(error.to_string()))?;
    Ok(endpoint.url().trim_end_matches('/').to_owned())
}

async fn provider(settings: &Settings, config: &SdkConfig) -> Option<SharedCredentialsProvider> {
    if settings.credentials.is_some() {
        return settings.credentials.clone();
    }
    let Some(role) = &settings.role_arn else { return config.credentials_provider() };
    let mut assume =
        aws_config::sts::AssumeRoleProvider::builder(role).session_name(ROLE_SESSION_NAME).configure(config);
    if let Some(id) = &settings.external_id {
        assume = assume.external_id(id);
    }
    Some(SharedCredentialsProvider::new(assume.build().await))
}

/// The generated client, for the one call a minute that does not carry documents.
fn telemetry_client(
    config: &SdkConfig,
    client: &HttpClient,
    endpoint: &str,
    credentials: CachedCredentials,
) -> aws_sdk_xray::Client {
    let config = aws_sdk_xray::config::Builder::from(config)
        .http_client(client.clone())
        .endpoint_url(endpoint)
        .use_fips(false)
        .use_dual_stack(false)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(
            aws_sdk_xray::config::timeout::TimeoutConfig::builder()
                .operation_attempt_timeout(signed::ATTEMPT_TIMEOUT)
                .build(),
        )
        .retry_config(aws_sdk_xray::config::retry::RetryConfig::disabled())
        .build();
    aws_sdk_xray::Client::from_conf(config)
}

/// What the instance says of itself, for telemetry records. Nothing is logged when there is no metadata service.
pub async fn instance_metadata(settings: &Settings, path: &'static str) -> Option<String> {
    let client = HttpClient::new(settings, connect::Purpose::Credentials).ok()?;
    region::instance_metadata(&client, path).await
}
