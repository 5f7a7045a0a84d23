//! What the program relies on: every value checked.

use super::command_line::parse_switch;
use super::environment::Environment;
use super::settings::{SETTINGS, Setting, by_flag};
use super::{ConfigError, Invocation, Source, file, memory};
use crate::aws::{self, ProxyEnvironment};
use crate::pipeline;
use crate::sink::xray::TelemetrySource;
use crate::udp;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// Smallest budget `-m` may name, as in the official daemon (`evaluateBufferMemory`).
const BUDGET_MIN_MIB: u64 = 3;

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
}

/// Rules of the TCP port.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// Forward every operation.
    pub proxy_all: bool,
    /// Host names that are answered besides literals, localhost and our own.
    pub allowed_hosts: Vec<String>,
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
        Found { values }.check(environment, warnings)
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
    fn check(&self, environment: &Environment, warnings: Vec<String>) -> Result<Config, ConfigError> {
        let listen = Listen { udp: self.addresses("bind")?, tcp: self.addresses("bind-tcp")? };
        let available = memory::available_bytes();
        Ok(Config {
            udp: self.udp(available)?,
            pipeline: self.pipeline(available)?,
            aws: self.aws(environment)?,
            telemetry: self.telemetry(environment),
            http: self.http(&listen)?,
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

    fn pipeline(&self, available: Option<u64>) -> Result<pipeline::Settings, ConfigError> {
        let asked_mib = self.number("buffer-memory", 0..=1_048_576)?;
        if (1..BUDGET_MIN_MIB).contains(&asked_mib) {
            return Err(
                self.bad("buffer-memory", "is too little; give at least 3 MB, or 0 for 5 % of the memory")
            );
        }
        let budget =
            if asked_mib == 0 { memory::default_budget_bytes(available) } else { asked_mib * 1024 * 1024 };
        Ok(pipeline::Settings {
            budget_bytes: to_usize(budget),
            concurrency: to_usize(self.number("concurrency", 1..=1000)?),
            in_flight_max: to_usize(self.number("max-in-flight", 1..=10_000)?),
        })
    }

    fn aws(&self, environment: &Environment) -> Result<aws::Settings, ConfigError> {
        let variable = |name: &str| environment.get(name).map(str::to_owned);
        let any = |names: &[&str]| environment.first(names).unwrap_or_default().to_owned();
        let endpoint = self.text("endpoint").or_else(|| variable("AWS_ENDPOINT_URL_XRAY"));
        if let Some(endpoint) = &endpoint {
            let parsed: Option<http::Uri> = endpoint.parse().ok();
            if !parsed
                .is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
            {
                let setting =
                    if self.text("endpoint").is_some() { "endpoint" } else { "AWS_ENDPOINT_URL_XRAY" };
                return Err(self.bad_value(setting, endpoint, "is not an http or https URL"));
            }
        }
        let proxy = self.text("proxy-address");
        if let Some(proxy) = &proxy {
            let parsed: Option<http::Uri> = proxy.parse().ok();
            if !parsed.is_some_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some()) {
                return Err(self.bad("proxy-address", "is not a proxy's URL; write http://HOST:PORT"));
            }
        }
        if self.text("external-id").is_some() && self.text("role-arn").is_none() {
            return Err(ConfigError::Conflict(
                "--external-id needs a role to assume; give -r too".to_owned(),
            ));
        }
        Ok(aws::Settings {
            region: self.text("region").or_else(|| variable("AWS_REGION")),
            local_mode: self.switch("local-mode")?,
            endpoint,
            role_arn: self.text("role-arn"),
            external_id: self.text("external-id"),
            proxy,
            proxy_environment: ProxyEnvironment {
                https: any(&["HTTPS_PROXY", "https_proxy"]),
                // Upper case is not read: a CGI server sets it from a request header.
                http: any(&["http_proxy"]),
                all: any(&["ALL_PROXY", "all_proxy"]),
                no: any(&["NO_PROXY", "no_proxy"]),
            },
            no_verify_ssl: self.switch("no-verify-ssl")?,
            ca_bundle: variable("AWS_CA_BUNDLE").map(PathBuf::from),
            ecs_metadata_uri: variable("ECS_CONTAINER_METADATA_URI_V4"),
            ecs_metadata_file: variable("ECS_CONTAINER_METADATA_FILE").map(PathBuf::from),
            execution_environment: variable("AWS_EXECUTION_ENV"),
            credentials: None,
        })
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
        Ok(Http { proxy_all, allowed_hosts: allowed_hosts.collect() })
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
                    Err(self.bad(flag, "names a host that is not known here"))
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

    fn bad_value(&self, setting: &'static str, value: &str, remedy: &str) -> ConfigError {
        let setting =
            by_flag(setting).map_or_else(|| setting.to_owned(), |_| self.get(setting).1.to_string());
        ConfigError::Value { setting, value: value.to_owned(), remedy: remedy.to_owned() }
    }
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
        refused("-t no-such-host.invalid:1", &[], None, "names a host that is not known here");
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
        refused("", &[], Some("Version: 2\nConcurrency: 0\n"), "Concurrency in ");
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
