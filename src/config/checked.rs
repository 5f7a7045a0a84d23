//! What the program relies on: every value checked.

use super::command_line::parse_switch;
use super::environment::Environment;
use super::settings::{SETTINGS, Setting, by_flag};
use super::{ConfigError, Invocation, Source, Verb, file, memory};
use crate::aws::{self, ProxyEnvironment};
use crate::pipeline;
use crate::sink::xray::TelemetrySource;
use crate::spool;
use crate::udp;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// Smallest budget `-m` may name, as in the official daemon (`evaluateBufferMemory`).
const BUDGET_MIN_MIB: u64 = 3;

/// Requests open at once, as in the official daemon.
const CONCURRENCY_DEFAULT: usize = 8;

/// The part of the budget that bodies of HTTP requests may use: those who cannot wait, the senders of datagrams,
/// keep the rest.
const HTTP_PART: usize = 8;
const HTTP_MIN_BYTES: usize = 512 * 1024;
const HTTP_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Size of a store in memory when nothing else is said.
const MEMORY_STORE_MB: u64 = 256;

/// Region of ARNs where none is configured.
const REGION_DEFAULT: &str = "us-east-1";

/// Ten years.
const AGE_MAX_SECS: u64 = 3650 * 86_400;

/// Smallest receive buffer that may be asked for.
const RECEIVE_BUFFER_MIN_BYTES: usize = 4 * 1024;

/// The whole configuration of a daemon.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses to listen on.
    pub listen: Listen,
    /// The receive thread.
    pub udp: udp::Settings,
    /// Budget and concurrency.
    pub pipeline: pipeline::Settings,
    /// Region, endpoint, credentials, proxy.
    pub aws: aws::Settings,
    /// What telemetry records say of this host.
    pub telemetry: TelemetrySource,
    /// The TCP port's rules.
    pub http: Http,
    /// Where documents wait that X-Ray does not take; in memory alone without it.
    pub spool: Option<spool::Settings>,
    /// Whether documents go to AWS X-Ray.
    pub forward: bool,
    /// What is kept here, if anything is.
    pub storing: Option<Storing>,
    /// The log.
    pub logging: Logging,
    /// What a stop may take.
    pub stopping: Stopping,
    /// Exit when no region is found.
    pub exit_without_region: bool,
    /// What is odd but harmless, to be said once the log is open.
    pub warnings: Vec<String>,
}

/// Addresses to listen on; the first that can be bound is taken.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Segment documents.
    pub udp: Vec<SocketAddr>,
    /// Sampling requests, metrics, health.
    pub tcp: Vec<SocketAddr>,
    /// This process was started with sockets that are bound already (`LISTEN_FDS`, as systemd sets it); they go before
    /// the addresses.
    pub inherited: bool,
}

/// Rules of the TCP port.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// Forward every operation.
    pub proxy_all: bool,
    /// Host names that are answered besides literals and localhost.
    pub allowed_hosts: Vec<String>,
    /// Memory for bodies of requests, a part of what `-m` allows.
    pub body_budget_bytes: usize,
    /// Other hosts may ask for traces.
    pub allow_remote_query: bool,
}

/// What the store keeps, and how its X-Ray answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Storing {
    /// Where; in memory alone without it.
    pub directory: Option<PathBuf>,
    /// Memory for documents that were received and are not stored yet.
    pub intake_bytes: usize,
    /// How long documents are kept after they were received.
    pub retention: Duration,
    /// Largest size of the store.
    pub max_bytes: u64,
    /// Documents count as stored when they outlive a loss of power.
    pub durable: bool,
    /// Refuse the time ranges X-Ray refuses.
    pub strict_limits: bool,
    /// Part of the requests the default sampling rule takes.
    pub sampling_rate: f64,
    /// Region in ARNs.
    pub region: String,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// As the official daemon's: time, level in brackets, message.
    Text,
    /// One JSON object for each line.
    Json,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Logging {
    /// Least important level that is written.
    pub level: LevelFilter,
    /// Text or JSON.
    pub format: LogFormat,
    /// File instead of standard output.
    pub path: Option<PathBuf>,
    /// Whether the file is rotated at 50 MB.
    pub rotate: bool,
}

/// What a stop may take.
#[derive(Debug, Clone)]
pub struct Stopping {
    /// Longest time to go on receiving.
    pub linger: Duration,
    /// Longest time to go on delivering.
    pub timeout: Duration,
}

/// Everything that was found, by setting.
struct Found {
    values: BTreeMap<&'static str, (String, Source)>,
    /// The verb is `local`.
    local: bool,
}

impl Config {
    /// Puts flags, environment and cfg.yaml together and checks everything.
    ///
    /// Flags come first, then `XRAYD_` variables, then cfg.yaml, then defaults. The official daemon's settings
    /// have no `XRAYD_` variable and keep its order.
    ///
    /// # Errors
    /// The first setting that is wrong, with its value and what it may be.
    pub fn load(invocation: &Invocation, environment: &Environment) -> Result<Self, ConfigError> {
        Self::load_from(invocation, environment, &file::PLACES)
    }

    fn load_from(
        invocation: &Invocation,
        environment: &Environment,
        places: &[&str],
    ) -> Result<Self, ConfigError> {
        let named =
            invocation.flags.get("config").map(|(path, _)| path.as_str()).filter(|path| !path.is_empty());
        let file = file::load(named, places)?;
        let mut warnings = file.warnings;
        warnings.extend(unknown_variables(environment));
        let mut values = file.values;
        for setting in SETTINGS {
            let from_environment = setting
                .variable()
                .and_then(|name| Some((environment.get(&name)?.to_owned(), Source::Variable(name))));
            if let Some(value) = invocation.flags.get(setting.flag).cloned().or(from_environment) {
                values.insert(setting.flag, value);
            }
        }
        Found { values, local: invocation.verb == Verb::Local }.check(environment, warnings)
    }
}

/// A misspelt variable would be ignored in silence otherwise. Kubernetes sets some for a service of our name.
fn unknown_variables(environment: &Environment) -> Vec<String> {
    let known: Vec<_> = SETTINGS.iter().filter_map(Setting::variable).collect();
    let by_kubernetes = |name: &str| name.contains("_SERVICE_") || name.starts_with("XRAYD_PORT");
    environment
        .names()
        .filter(|name| {
            name.starts_with("XRAYD_") && !by_kubernetes(name) && !known.iter().any(|one| one == name)
        })
        .map(|name| format!("{name}: no such setting; it has no effect"))
        .collect()
}

impl Found {
    fn check(&self, environment: &Environment, mut warnings: Vec<String>) -> Result<Config, ConfigError> {
        let listen = Listen {
            udp: self.addresses("bind")?,
            tcp: self.addresses("bind-tcp")?,
            // Meant for this process, not for one that started it.
            inherited: environment.get("LISTEN_FDS").is_some()
                && environment.get("LISTEN_PID") == Some(&std::process::id().to_string()),
        };
        let available = memory::available_bytes();
        let budget_bytes = self.budget(available)?;
        let body_budget_bytes = (budget_bytes / HTTP_PART).clamp(HTTP_MIN_BYTES, HTTP_MAX_BYTES);
        Ok(Config {
            udp: self.udp(available)?,
            pipeline: pipeline::Settings {
                budget_bytes: budget_bytes - body_budget_bytes,
                ..self.pipeline()?
            },
            aws: self.aws(environment)?,
            telemetry: self.telemetry(environment),
            http: Http { body_budget_bytes, ..self.http(&listen)? },
            spool: self.spool()?.filter(|_| !self.local),
            forward: !self.local,
            storing: self.storing(environment, budget_bytes, &mut warnings)?,
            logging: self.logging()?,
            stopping: Stopping {
                linger: Duration::from_secs(self.number("linger", 0..=3600)?),
                timeout: Duration::from_secs(self.number("shutdown-timeout", 0..=3600)?),
            },
            exit_without_region: self.switch("exit-without-region")?,
            listen,
            warnings,
        })
    }

    fn udp(&self, available: Option<u64>) -> Result<udp::Settings, ConfigError> {
        let asked = to_usize(self.number("receive-buffer-kb", 0..=1_048_576)? * 1024);
        if (1..RECEIVE_BUFFER_MIN_BYTES).contains(&asked) {
            return Err(self.bad("receive-buffer-kb", "is too small for one datagram; give at least 4, or 0"));
        }
        let receive_buffer_bytes =
            if asked == 0 { memory::default_receive_buffer_bytes(available) } else { asked };
        Ok(udp::Settings { receive_buffer_bytes, nap: self.switch("receive-nap")? })
    }

    fn spool(&self) -> Result<Option<spool::Settings>, ConfigError> {
        const MIB: u64 = 1024 * 1024;
        let max_bytes = self.number("spool-max-mb", spool::MIN_BYTES / MIB..=MIB)? * MIB;
        let Some(directory) = self.text("spool") else { return Ok(None) };
        #[cfg(unix)]
        return Ok(Some(spool::Settings::in_directory(Path::new(&directory), max_bytes)));
        #[cfg(not(unix))]
        Err(self.bad("spool", format!("cannot be used for {max_bytes} bytes: a spool needs a Unix system")))
    }

    fn storing(
        &self,
        environment: &Environment,
        budget_bytes: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Storing>, ConfigError> {
        let max_mb = self.number("store-max-mb", 64..=16_777_216)?;
        let retention = self.age("retention")?;
        let (sampling_rate, durable) = (self.rate("sampling-rate")?, self.switch("durable")?);
        let strict_limits = self.switch("strict-limits")?;
        let directory = match self.text("store").as_deref() {
            Some("memory") => None,
            Some(directory) => Some(PathBuf::from(directory)),
            None if !self.local => return Ok(None),
            None => {
                let found = data_directory(environment);
                if found.is_none() {
                    warnings.push(
                        "neither HOME nor XDG_DATA_HOME is set: traces are kept in memory alone; name a directory with --store"
                            .to_owned(),
                    );
                }
                found
            }
        };
        let by_default = matches!(self.get("store-max-mb").1, Source::Default(_));
        let max_mb = if directory.is_none() && by_default { MEMORY_STORE_MB } else { max_mb };
        let region = self.region(environment)?.unwrap_or_else(|| REGION_DEFAULT.to_owned());
        Ok(Some(Storing {
            directory,
            // Where documents are forwarded too, they wait there and here.
            intake_bytes: if self.local { budget_bytes } else { budget_bytes / 2 },
            retention,
            max_bytes: max_mb * 1024 * 1024,
            durable,
            strict_limits,
            sampling_rate,
            region,
        }))
    }

    /// `90m`, `12h`, `30d`.
    fn age(&self, flag: &'static str) -> Result<Duration, ConfigError> {
        let (value, _) = self.get(flag);
        let seconds = value.char_indices().next_back().and_then(|(at, unit)| {
            let unit = match unit {
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return None,
            };
            let seconds = value[..at].parse::<u64>().ok()?.checked_mul(unit)?;
            (60..=AGE_MAX_SECS).contains(&seconds).then_some(seconds)
        });
        let seconds =
            seconds.ok_or_else(|| self.bad(flag, "is no age from 1m to 3650d; write 90m, 12h or 30d"))?;
        Ok(Duration::from_secs(seconds))
    }

    fn rate(&self, flag: &'static str) -> Result<f64, ConfigError> {
        let (value, _) = self.get(flag);
        let rate = value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
        rate.ok_or_else(|| self.bad(flag, "is not a number from 0 to 1"))
    }

    fn budget(&self, available: Option<u64>) -> Result<usize, ConfigError> {
        let asked_mib = self.number("buffer-memory", 0..=1_048_576)?;
        if (1..BUDGET_MIN_MIB).contains(&asked_mib) {
            return Err(
                self.bad("buffer-memory", "is too little; give at least 3 MB, or 0 for 5 % of the memory")
            );
        }
        let asked = asked_mib * 1024 * 1024;
        Ok(to_usize(if asked == 0 { memory::default_budget_bytes(available) } else { asked }))
    }

    fn pipeline(&self) -> Result<pipeline::Settings, ConfigError> {
        // 0 means the default, as in the official daemon (`pkg/cfg/cfg.go` `getIntValue`).
        let concurrency = match self.number("concurrency", 0..=1000)? {
            0 => CONCURRENCY_DEFAULT,
            asked => to_usize(asked),
        };
        let in_flight_max = to_usize(self.number("max-in-flight", 1..=10_000)?);
        Ok(pipeline::Settings { budget_bytes: 0, concurrency, in_flight_max })
    }

    fn aws(&self, environment: &Environment) -> Result<aws::Settings, ConfigError> {
        let variable = |name: &str| environment.get(name).map(str::to_owned);
        let any = |names: &[&str]| environment.first(names).unwrap_or_default().to_owned();
        let endpoint = self.endpoint(environment)?;
        let proxy = self.text("proxy-address");
        if proxy.as_deref().is_some_and(|proxy| !is_url(proxy, &["http"])) {
            return Err(self.bad("proxy-address", "is not a proxy's URL; write http://HOST:PORT"));
        }
        let region = self.region(environment)?;
        for name in PROXY_VARIABLES {
            check_proxy_variable(name, environment)?;
        }
        let ca_bundle = variable("AWS_CA_BUNDLE").map(PathBuf::from);
        if let Some(path) = &ca_bundle
            && let Err(error) = std::fs::File::open(path)
        {
            return Err(bad_variable(
                "AWS_CA_BUNDLE",
                &path.display().to_string(),
                &format!("cannot be read: {error}"),
            ));
        }
        if self.text("external-id").is_some() && self.text("role-arn").is_none() {
            return Err(ConfigError::Conflict(
                "--external-id needs a role to assume; give -r too".to_owned(),
            ));
        }
        Ok(aws::Settings {
            region,
            local_mode: self.switch("local-mode")?,
            endpoint,
            role_arn: self.text("role-arn"),
            external_id: self.text("external-id"),
            proxy,
            proxy_environment: ProxyEnvironment {
                https: any(&["HTTPS_PROXY", "https_proxy"]),
                http: any(&["http_proxy"]),
                all: any(&["ALL_PROXY", "all_proxy"]),
                no: any(&["NO_PROXY", "no_proxy"]),
            },
            no_verify_ssl: self.switch("no-verify-ssl")?,
            ca_bundle,
            ecs_metadata_uri: variable("ECS_CONTAINER_METADATA_URI_V4"),
            ecs_metadata_file: variable("ECS_CONTAINER_METADATA_FILE").map(PathBuf::from),
            execution_environment: variable("AWS_EXECUTION_ENV"),
            credentials: None,
        })
    }

    fn endpoint(&self, environment: &Environment) -> Result<Option<String>, ConfigError> {
        const REMEDY: &str = "is not an http or https URL";
        if let Some(endpoint) = self.text("endpoint") {
            return if is_url(&endpoint, &["http", "https"]) {
                Ok(Some(endpoint))
            } else {
                Err(self.bad("endpoint", REMEDY))
            };
        }
        for name in ["AWS_ENDPOINT_URL_XRAY", "AWS_ENDPOINT_URL"] {
            match environment.get(name) {
                Some(endpoint) if is_url(endpoint, &["http", "https"]) => {
                    return Ok(Some(endpoint.to_owned()));
                }
                Some(endpoint) => return Err(bad_variable(name, endpoint, REMEDY)),
                None => {}
            }
        }
        Ok(None)
    }

    fn region(&self, environment: &Environment) -> Result<Option<String>, ConfigError> {
        const REMEDY: &str = "is not a region; eu-central-1 is one";
        let looks_right = |region: &str| {
            region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if let Some(region) = self.text("region") {
            return if looks_right(&region) { Ok(Some(region)) } else { Err(self.bad("region", REMEDY)) };
        }
        match environment.get("AWS_REGION") {
            Some(region) if !looks_right(region) => Err(bad_variable("AWS_REGION", region, REMEDY)),
            region => Ok(region.map(str::to_owned)),
        }
    }

    fn telemetry(&self, environment: &Environment) -> TelemetrySource {
        TelemetrySource {
            resource_arn: self.text("resource-arn").unwrap_or_default(),
            hostname: environment.get("AWS_HOSTNAME").map(str::to_owned),
            instance_id: environment.get("AWS_INSTANCE_ID").map(str::to_owned),
        }
    }

    fn http(&self, listen: &Listen) -> Result<Http, ConfigError> {
        let proxy_all = self.switch("proxy-all")?;
        let open = listen.tcp.iter().any(|address| !address.ip().is_loopback());
        if proxy_all && open && !self.switch("proxy-all-from-anyone")? {
            return Err(ConfigError::Conflict(format!(
                "--proxy-all on {} would let every host that reaches it use your AWS credentials for all X-Ray operations; \
                 bind to 127.0.0.1 with -t, or add --proxy-all-from-anyone",
                self.get("bind-tcp").0
            )));
        }
        let hosts = self.text("allowed-host").unwrap_or_default();
        let allowed_hosts =
            hosts.split(',').map(|host| host.trim().to_ascii_lowercase()).filter(|host| !host.is_empty());
        let allowed_hosts = allowed_hosts.chain(own_name());
        let allow_remote_query = self.switch("allow-remote-query")?;
        Ok(Http {
            proxy_all,
            allowed_hosts: allowed_hosts.collect(),
            body_budget_bytes: 0,
            allow_remote_query,
        })
    }

    fn logging(&self) -> Result<Logging, ConfigError> {
        // Levels of the official daemon (`pkg/logger/log_config.go`); an unknown one meant everything there.
        let level = match self.get("log-level").0.as_str() {
            "dev" => LevelFilter::TRACE,
            "debug" => LevelFilter::DEBUG,
            "info" | "prod" => LevelFilter::INFO,
            "warn" => LevelFilter::WARN,
            "error" => LevelFilter::ERROR,
            _ => return Err(self.bad("log-level", "is not one of dev, debug, info, warn, error, prod")),
        };
        let format = match self.get("log-format").0.as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return Err(self.bad("log-format", "is neither text nor json")),
        };
        let path = self.text("log-file").map(PathBuf::from);
        Ok(Logging { level, format, path, rotate: self.switch("log-rotation")? })
    }

    /// The value and where it was found; the default when it was not.
    fn get(&self, flag: &'static str) -> (String, Source) {
        let setting = by_flag(flag).expect("only settings of the table are asked for");
        let default = || (setting.default.to_owned(), Source::Default(setting.flag));
        self.values.get(flag).cloned().unwrap_or_else(default)
    }

    fn text(&self, flag: &'static str) -> Option<String> {
        Some(self.get(flag).0).filter(|value| !value.is_empty())
    }

    fn switch(&self, flag: &'static str) -> Result<bool, ConfigError> {
        let (value, source) = self.get(flag);
        parse_switch(&source, &value)
    }

    fn number(&self, flag: &'static str, allowed: RangeInclusive<u64>) -> Result<u64, ConfigError> {
        let (value, _) = self.get(flag);
        let parsed = value.parse().ok().filter(|number| allowed.contains(number));
        parsed.ok_or_else(|| {
            self.bad(flag, format!("is not a whole number from {} to {}", allowed.start(), allowed.end()))
        })
    }

    /// `HOST:PORT`; as in Go, no host means every address of this host.
    fn addresses(&self, flag: &'static str) -> Result<Vec<SocketAddr>, ConfigError> {
        let (value, _) = self.get(flag);
        if let Some(port) = value.strip_prefix(':').and_then(|port| port.parse().ok()) {
            let any = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)];
            return Ok(any.map(|ip| SocketAddr::new(ip, port)).to_vec());
        }
        if let Ok(address) = value.parse() {
            return Ok(vec![address]);
        }
        let port = value.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        match port {
            None => Err(self.bad(flag, "has no port; write HOST:PORT, 127.0.0.1:2000 for example")),
            Some(Err(_)) => Err(self.bad(flag, "has no port from 0 to 65535 behind its last colon")),
            Some(Ok(_)) => {
                let found = value.to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
                let found = if found.is_empty() {
                    Err(self.bad(flag, "has a host name that cannot be resolved"))
                } else {
                    Ok(found)
                };
                found.map(|mut addresses| {
                    addresses.sort_by_key(SocketAddr::is_ipv6);
                    addresses
                })
            }
        }
    }

    fn bad(&self, flag: &'static str, remedy: impl Into<String>) -> ConfigError {
        let (value, source) = self.get(flag);
        ConfigError::Value { setting: source.to_string(), value, remedy: remedy.into() }
    }
}

/// Variables that name a proxy. `HTTP_PROXY` in upper case is not read: a CGI server sets it from a request header.
const PROXY_VARIABLES: [&str; 5] = ["HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"];

fn is_url(text: &str, schemes: &[&str]) -> bool {
    let uri: Option<http::Uri> = text.parse().ok();
    uri.is_some_and(|uri| {
        uri.host().is_some() && uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme))
    })
}

/// What this host calls itself, in lower case.
fn own_name() -> Option<String> {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_str().ok().map(str::to_ascii_lowercase);
    #[cfg(not(unix))]
    None
}

/// Where programs of this user keep their data (XDG Base Directory Specification).
fn data_directory(environment: &Environment) -> Option<PathBuf> {
    let data = environment.get("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let below_home = || Some(Path::new(environment.get("HOME")?).join(".local/share"));
    Some(data.or_else(below_home)?.join("xrayd"))
}

/// Only plain proxies are spoken to; another one would look like an X-Ray that is away.
fn check_proxy_variable(name: &str, environment: &Environment) -> Result<(), ConfigError> {
    match environment.get(name) {
        // Without a scheme, curl and Go mean http.
        Some(proxy) if proxy.contains("://") && !is_url(proxy, &["http"]) => Err(bad_variable(
            name,
            proxy,
            "is not an http:// proxy, the only kind that can be used; give one with -p, or unset it",
        )),
        _ => Ok(()),
    }
}

fn bad_variable(name: &str, value: &str, remedy: &str) -> ConfigError {
    ConfigError::Value { setting: name.to_owned(), value: value.to_owned(), remedy: remedy.to_owned() }
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(
        line: &str,
        environment: &[(&str, &str)],
        yaml: Option<&str>,
    ) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cfg.yaml").display().to_string();
        if let Some(yaml) = yaml {
            std::fs::write(&path, yaml).unwrap();
        }
        let invocation = Invocation::parse(line.split_ascii_whitespace().map(str::to_owned)).unwrap();
        let environment = environment.iter().copied().collect();
        Config::load_from(&invocation, &environment, &[&path])
    }

    fn load(line: &str) -> Result<Config, ConfigError> {
        load_with(line, &[], None)
    }

    #[test]
    fn without_any_setting_it_listens_on_loopback_only() {
        let config = load("").unwrap();
        let here: SocketAddr = "127.0.0.1:2000".parse().unwrap();
        assert_eq!((&config.listen.udp[..], &config.listen.tcp[..]), (&[here][..], &[here][..]));
        assert_eq!(config.logging.level, LevelFilter::INFO);
        assert_eq!((config.stopping.linger.as_secs(), config.stopping.timeout.as_secs()), (3, 25));
        assert!(!config.http.proxy_all && !config.exit_without_region && config.udp.nap);
    }

    #[test]
    fn a_flag_goes_before_its_variable_and_the_variable_before_the_file() {
        let yaml = Some("Version: 2\nLinger: 1\nRegion: from-file\n");
        let variables = [("XRAYD_LINGER", "2"), ("AWS_REGION", "from-environment")];
        let linger = |line, variables| load_with(line, variables, yaml).unwrap().stopping.linger.as_secs();
        assert_eq!(linger("--linger 4", &variables), 4);
        assert_eq!(linger("", &variables), 2);
        assert_eq!(linger("", &[]), 1);
        let region = |line, yaml| load_with(line, &variables, yaml).unwrap().aws.region.unwrap();
        assert_eq!(region("-n from-flag", yaml), "from-flag");
        assert_eq!(region("", yaml), "from-file", "the official order: cfg.yaml before AWS_REGION");
        assert_eq!(region("", None), "from-environment");
    }

    #[test]
    fn an_address_may_leave_its_host_out_as_in_go() {
        let config = load("-b :2000 -t localhost:2001").unwrap();
        assert_eq!(config.listen.udp[0].to_string(), "[::]:2000");
        assert_eq!(config.listen.tcp[0].to_string(), "127.0.0.1:2001");
    }

    #[track_caller]
    fn refused(line: &str, environment: &[(&str, &str)], yaml: Option<&str>, expected: &str) {
        let error = load_with(line, environment, yaml).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_bad_value_is_named_with_its_place_and_what_to_write() {
        refused("-m 2", &[], None, "-m: \"2\" is too little; give at least 3 MB");
        refused("-m lots", &[], None, "-m: \"lots\" is not a whole number from 0 to 1048576");
        refused("-b 127.0.0.1", &[], None, "-b: \"127.0.0.1\" has no port; write HOST:PORT");
        refused("-t 127.0.0.1:x", &[], None, "-t: \"127.0.0.1:x\" has no port from 0 to 65535");
        refused("-t no-such-host.invalid:1", &[], None, "has a host name that cannot be resolved");
        refused("-l loud", &[], None, "-l: \"loud\" is not one of dev, debug");
        refused(
            "-p proxy:3128",
            &[],
            None,
            "-p: \"proxy:3128\" is not a proxy's URL; write http://HOST:PORT",
        );
        refused("-o=maybe", &[], None, "-o: \"maybe\" is neither true nor false");
        refused("--external-id x", &[], None, "--external-id needs a role to assume");
        refused("", &[("XRAYD_LINGER", "-1")], None, "XRAYD_LINGER: \"-1\" is not a whole number");
        refused(
            "",
            &[("AWS_ENDPOINT_URL_XRAY", "here")],
            None,
            "AWS_ENDPOINT_URL_XRAY: \"here\" is not an http or https URL",
        );
        refused(
            "",
            &[("AWS_ENDPOINT_URL", "garbage")],
            None,
            "AWS_ENDPOINT_URL: \"garbage\" is not an http or https URL",
        );
        refused(
            "",
            &[("HTTPS_PROXY", "socks5://proxy:1080")],
            None,
            "HTTPS_PROXY: \"socks5://proxy:1080\" is not an http:// proxy",
        );
        refused("", &[("AWS_CA_BUNDLE", "/nope")], None, "AWS_CA_BUNDLE: \"/nope\" cannot be read: ");
        refused("", &[("AWS_REGION", "not a region")], None, "AWS_REGION: \"not a region\" is not a region");
        refused("-n EU", &[], None, "-n: \"EU\" is not a region");
        refused("", &[], Some("Version: 2\nConcurrency: -1\n"), "Concurrency in ");
    }

    #[test]
    fn http_bodies_get_a_part_of_the_budget_and_documents_the_rest() {
        let config = load("-m 64").unwrap();
        assert_eq!((config.http.body_budget_bytes, config.pipeline.budget_bytes), (8 << 20, 56 << 20));
        let config = load("-m 3").unwrap();
        assert_eq!((config.http.body_budget_bytes, config.pipeline.budget_bytes), (512 << 10, 2560 << 10));
        let zero = load_with("", &[], Some("Version: 2\nConcurrency: 0\n")).unwrap();
        assert_eq!(zero.pipeline.concurrency, 8, "0 means the default, as in the official daemon");
    }

    #[test]
    fn local_keeps_traces_in_the_users_data_directory() {
        let storing = |line, environment: &[(&str, &str)]| {
            let config = load_with(line, environment, None).unwrap();
            (config.forward, config.storing.map(|storing| storing.directory), config.warnings.len())
        };
        let at = |path: &str| Some(Some(PathBuf::from(path)));
        let home = ("HOME", "/home/me");
        assert_eq!(storing("local", &[home]), (false, at("/home/me/.local/share/xrayd"), 0));
        assert_eq!(storing("local", &[home, ("XDG_DATA_HOME", "/data")]), (false, at("/data/xrayd"), 0));
        assert_eq!(
            storing("local", &[home, ("XDG_DATA_HOME", "relative")]).1,
            at("/home/me/.local/share/xrayd")
        );
        assert_eq!(
            storing("local", &[]),
            (false, Some(None), 1),
            "without HOME: memory, and a word about it"
        );
        assert_eq!(storing("local --store memory", &[home]), (false, Some(None), 0));
        assert_eq!(storing("local --store here", &[home]), (false, at("here"), 0));
        assert_eq!(storing("--store there", &[home]), (true, at("there"), 0), "beside forwarding");
        assert_eq!(storing("", &[home]), (true, None, 0));
    }

    #[test]
    fn what_the_store_keeps_is_bounded_by_age_and_size() {
        let line = "local --retention 90m --store-max-mb 64 --sampling-rate 0.25";
        let storing = load(line).unwrap().storing.unwrap();
        assert_eq!((storing.retention.as_secs(), storing.max_bytes), (5_400, 64 << 20));
        assert_eq!((storing.sampling_rate, storing.region.as_str()), (0.25, "us-east-1"));
        let megabytes = |line| load(line).unwrap().storing.unwrap().max_bytes >> 20;
        assert_eq!(megabytes("local --store here"), 4096);
        assert_eq!(megabytes("local --store memory"), 256, "memory is dearer than disk");
        assert_eq!(megabytes("local --store memory --store-max-mb 4096"), 4096);
        assert_eq!(load("local -n eu-west-1").unwrap().storing.unwrap().region, "eu-west-1");
        for bad in ["", "d", "5", "0d", "30s", "4000d", "-1d", "1.5h", "99999999999999999999d", "5\u{e4}"] {
            let error = load(&format!("local --retention={bad}")).unwrap_err().to_string();
            assert!(error.contains("is no age from 1m to 3650d"), "{bad}: {error}");
        }
        refused(
            "local --sampling-rate 1.5",
            &[],
            None,
            "--sampling-rate: \"1.5\" is not a number from 0 to 1",
        );
        refused("local --sampling-rate nan", &[], None, "is not a number from 0 to 1");
        refused("local --store-max-mb 63", &[], None, "is not a whole number from 64 to 16777216");
    }

    #[test]
    fn proxy_all_on_an_open_address_has_to_be_asked_for_twice() {
        assert!(load("--proxy-all").unwrap().http.proxy_all);
        refused("--proxy-all -t 0.0.0.0:2000", &[], None, "--proxy-all-from-anyone");
        assert!(load("--proxy-all -t 0.0.0.0:2000 --proxy-all-from-anyone").unwrap().http.proxy_all);
    }

    #[test]
    fn a_misspelt_variable_is_told_but_not_those_kubernetes_sets() {
        let variables = [("XRAYD_LINGR", "1"), ("XRAYD_PORT_2000_TCP", "x"), ("XRAYD_SERVICE_HOST", "y")];
        let config = load_with("", &variables, None).unwrap();
        assert_eq!(config.warnings, ["XRAYD_LINGR: no such setting; it has no effect"]);
    }
}
