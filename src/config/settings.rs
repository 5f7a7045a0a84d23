//! The one table of settings.

use std::fmt::Write;

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `-o`, `-o=false`; true when no value is given.
    Switch,
    /// Anything else: a value has to follow.
    Value,
}

/// One setting, everywhere it can be written.
#[derive(Debug)]
pub(super) struct Setting {
    /// Long flag without dashes. The name of the setting everywhere in the program.
    pub(super) flag: &'static str,
    /// Short flag of the official daemon.
    pub(super) short: &'static str,
    /// Key in cfg.yaml, with a dot between section and key; empty where there is none.
    pub(super) key: &'static str,
    /// Whether the official daemon has it. Official settings have no `XRAYD_` variable.
    pub(super) official: bool,
    pub(super) kind: Kind,
    /// What stands for the value in help texts.
    pub(super) placeholder: &'static str,
    /// As it would be written; empty means unset.
    pub(super) default: &'static str,
    pub(super) help: &'static str,
}

impl Setting {
    /// `XRAYD_SHUTDOWN_TIMEOUT` for `shutdown-timeout`.
    pub(super) fn variable(&self) -> Option<String> {
        (!self.official).then(|| format!("XRAYD_{}", self.flag.to_ascii_uppercase().replace('-', "_")))
    }
}

const fn official(
    flag: &'static str,
    short: &'static str,
    key: &'static str,
    placeholder: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    let kind = if placeholder.is_empty() { Kind::Switch } else { Kind::Value };
    Setting { flag, short, key, official: true, kind, placeholder, default, help }
}

const fn ours(
    flag: &'static str,
    key: &'static str,
    placeholder: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    let kind = if placeholder.is_empty() { Kind::Switch } else { Kind::Value };
    Setting { flag, short: "", key, official: false, kind, placeholder, default, help }
}

/// All settings: first those of the official daemon (`aws/aws-xray-daemon`, `cmd/tracing/daemon.go` `initCli`
/// and `pkg/cfg/cfg.go`), in its order, then ours.
pub(super) static SETTINGS: &[Setting] = &[
    official(
        "resource-arn",
        "a",
        "ResourceARN",
        "ARN",
        "",
        "ARN of the AWS resource that runs the daemon, for telemetry records",
    ),
    official(
        "local-mode",
        "o",
        "LocalMode",
        "",
        "false",
        "ask no EC2 or ECS metadata for the region; take it from the shared AWS config",
    ),
    official(
        "buffer-memory",
        "m",
        "TotalBufferSizeMB",
        "MB",
        "0",
        "memory for documents in MB, at least 3; 0: 5 % of the container's or host's, 4 to 256",
    ),
    official(
        "region",
        "n",
        "Region",
        "REGION",
        "",
        "send to X-Ray in this region (then AWS_REGION, ECS metadata, EC2 metadata)",
    ),
    official(
        "bind",
        "b",
        "Socket.UDPAddress",
        "HOST:PORT",
        "127.0.0.1:2000",
        "UDP address for segment documents",
    ),
    official(
        "bind-tcp",
        "t",
        "Socket.TCPAddress",
        "HOST:PORT",
        "127.0.0.1:2000",
        "TCP address for sampling requests, metrics and health",
    ),
    official("role-arn", "r", "RoleARN", "ARN", "", "assume this IAM role, to send to another account"),
    official(
        "config",
        "c",
        "",
        "FILE",
        "",
        "configuration file (else /etc/amazon/xray/cfg.yaml, then ./cfg.yaml)",
    ),
    official(
        "log-file",
        "f",
        "Logging.LogPath",
        "FILE",
        "",
        "write the log to this file, not to standard output",
    ),
    official(
        "log-level",
        "l",
        "Logging.LogLevel",
        "LEVEL",
        "prod",
        "from most to least: dev, debug, info, warn, error, prod (as info)",
    ),
    official(
        "proxy-address",
        "p",
        "ProxyAddress",
        "URL",
        "",
        "send through this proxy, http://HOST:PORT (else HTTPS_PROXY); NO_PROXY is honoured",
    ),
    official("version", "v", "", "", "false", "print the version and exit"),
    Setting {
        flag: "concurrency",
        short: "",
        key: "Concurrency",
        official: true,
        kind: Kind::Value,
        placeholder: "N",
        default: "8",
        help: "requests open at once while X-Ray is quick, 1 to 1000; 0: 8",
    },
    Setting {
        flag: "endpoint",
        short: "",
        key: "Endpoint",
        official: true,
        kind: Kind::Value,
        placeholder: "URL",
        default: "",
        help: "send to this X-Ray endpoint (then AWS_ENDPOINT_URL_XRAY, AWS_ENDPOINT_URL, the region's)",
    },
    Setting {
        flag: "no-verify-ssl",
        short: "",
        key: "NoVerifySSL",
        official: true,
        kind: Kind::Switch,
        placeholder: "",
        default: "false",
        help: "do not check X-Ray's certificate",
    },
    Setting {
        flag: "log-rotation",
        short: "",
        key: "Logging.LogRotation",
        official: true,
        kind: Kind::Switch,
        placeholder: "",
        default: "true",
        help: "start a new log file after 50 MB and keep one old one",
    },
    ours("log-format", "LogFormat", "FORMAT", "text", "text, or json with one object for each line"),
    ours("external-id", "ExternalId", "ID", "", "external id for -r"),
    ours(
        "exit-without-region",
        "ExitWithoutRegion",
        "",
        "false",
        "exit with 1 when no region is found, as the official daemon does, instead of keeping documents and trying again",
    ),
    ours(
        "max-in-flight",
        "MaxInFlight",
        "N",
        "128",
        "requests open at once while X-Ray answers slowly, 1 to 10000",
    ),
    ours(
        "receive-buffer-kb",
        "ReceiveBufferKB",
        "KB",
        "0",
        "UDP receive buffer to ask the kernel for, which doubles it, 4 to 1048576; 0: 1/32 of the memory, 1 to 16 MB",
    ),
    ours(
        "receive-nap",
        "ReceiveNap",
        "",
        "true",
        "let the receive thread sleep up to 4 ms between two passes where the receive buffer is large enough",
    ),
    ours(
        "spool",
        "Spool",
        "DIR",
        "",
        "directory for documents X-Ray does not take, sent by this run or the next; without it they wait in memory",
    ),
    ours(
        "spool-max-mb",
        "SpoolMaxMB",
        "MB",
        "512",
        "size of the spool, 16 to 1048576; when it is full the oldest documents make room",
    ),
    ours(
        "store",
        "Store",
        "DIR",
        "",
        "also keep documents in this directory (memory: in memory alone) and answer X-Ray's query API from there",
    ),
    ours(
        "store-max-mb",
        "StoreMaxMB",
        "MB",
        "4096",
        "size of the store, 64 to 16777216 (256 by default in memory); when it is full the oldest documents make room",
    ),
    ours(
        "retention",
        "Retention",
        "AGE",
        "30d",
        "how long the store keeps documents after they were received: 90m, 12h, 30d",
    ),
    ours(
        "durable",
        "Durable",
        "",
        "false",
        "a document counts as stored only once it outlives a loss of power; else within a second more",
    ),
    ours(
        "sampling-rate",
        "SamplingRate",
        "RATE",
        "1",
        "with local: part of the requests the default sampling rule takes, 0 to 1",
    ),
    ours(
        "strict-limits",
        "StrictLimits",
        "",
        "false",
        "refuse time ranges of more than 6 hours where X-Ray does",
    ),
    ours(
        "allow-remote-query",
        "AllowRemoteQuery",
        "",
        "false",
        "answer queries of other hosts too, on an address they can reach; whoever asks can read every trace",
    ),
    ours(
        "linger",
        "Linger",
        "SECONDS",
        "3",
        "after SIGTERM go on receiving until 500 ms are silent, at most this long",
    ),
    ours(
        "shutdown-timeout",
        "ShutdownTimeout",
        "SECONDS",
        "25",
        "after SIGTERM try this long to deliver what waits",
    ),
    ours(
        "proxy-all",
        "ProxyAll",
        "",
        "false",
        "sign and forward every X-Ray operation that comes to the TCP port, not only those of the SDKs",
    ),
    ours(
        "proxy-all-from-anyone",
        "ProxyAllFromAnyone",
        "",
        "false",
        "allow proxy-all on an address other hosts can reach",
    ),
    ours(
        "allowed-host",
        "AllowedHost",
        "HOST,…",
        "",
        "further Host names under which traces are shown and proxied operations answered, beside addresses, localhost and the host's own name",
    ),
];

/// Finds a setting by its long or short flag.
pub(super) fn by_flag(name: &str) -> Option<&'static Setting> {
    SETTINGS
        .iter()
        .find(|setting| setting.flag == name || (!setting.short.is_empty() && setting.short == name))
}

const USAGE: &str = "\
xrayd receives what X-Ray SDKs send, and forwards it to AWS X-Ray or keeps it and answers X-Ray's query API.

Usage: xrayd [flags]                 run the daemon; takes the AWS X-Ray daemon's command line
       xrayd local [flags]           be X-Ray on this machine: keep what SDKs send and answer X-Ray's query API
       xrayd healthcheck [flags]     ask the running daemon's /healthz: exit 0 or 1
       xrayd send [flags] FILE…      send documents to AWS_XRAY_DAEMON_ADDRESS; - is standard input
       xrayd address [flags]         what AWS_XRAY_DAEMON_ADDRESS means
       xrayd export [flags]          write traces of the running daemon's store to standard output
       xrayd import [flags] FILE…    put traces from files into the running daemon's store; - is standard input
";

const VERB_FLAGS: &str = "
send:      --lines      each line of a file is one document (else each file is)
           --raw        each file is a whole datagram, header included
address:   --resolve    look host names up and print addresses
           --env        print one line for AWS_XRAY_DAEMON_ADDRESS
export:    --from TIME  beginning: 2026-11-25T10:00:00Z, seconds since 1970, or an age like 15m (default 6h)
           --to TIME    end, likewise (default now)
           --filter EXPRESSION
                        only traces this filter expression matches
           --raw        documents as they were sent, one each line (else the form of aws xray batch-get-traces)
";

/// What `--help` prints.
pub fn help() -> String {
    let mut text = USAGE.to_owned();
    for (title, official) in [("The AWS X-Ray daemon's settings:", true), ("Settings of xrayd:", false)] {
        let _ = writeln!(text, "\n{title}");
        for setting in SETTINGS.iter().filter(|setting| setting.official == official) {
            let short = if setting.short.is_empty() { String::new() } else { format!("-{},", setting.short) };
            let left = format!("{short:>3} --{} {}", setting.flag, setting.placeholder);
            let default = match setting.default {
                "" | "false" => String::new(),
                default => format!(" (default {default})"),
            };
            let _ = writeln!(text, "  {left:<34} {}{default}", setting.help);
        }
    }
    text.push_str("   -h, --help                          show this text\n");
    text.push_str(VERB_FLAGS);
    text.push_str(
        "\nFlags may have one dash or two, and a value behind = or a blank. A setting of xrayd is also read from\n\
         XRAYD_<FLAG> (XRAYD_SHUTDOWN_TIMEOUT) and, like the official ones, from cfg.yaml.\n",
    );
    text
}

/// The table of settings for the documentation, in Markdown.
pub fn reference() -> String {
    let mut text =
        "| flag | cfg.yaml | environment | default | what it does |\n|---|---|---|---|---|\n".to_owned();
    for setting in SETTINGS {
        let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
        let short = if setting.short.is_empty() { String::new() } else { format!("`-{}` ", setting.short) };
        let _ = writeln!(
            text,
            "| {short}`--{}` | {} | {} | {} | {} |",
            setting.flag,
            code(setting.key),
            code(&setting.variable().unwrap_or_default()),
            code(setting.default),
            setting.help,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_settings_share_a_flag_or_a_key() {
        let mut flags = HashSet::new();
        let mut keys = HashSet::new();
        for setting in SETTINGS {
            assert!(flags.insert(setting.flag), "{}", setting.flag);
            assert!(setting.short.is_empty() || flags.insert(setting.short), "{}", setting.short);
            assert!(
                setting.key.is_empty() || keys.insert(setting.key.to_ascii_lowercase()),
                "{}",
                setting.key
            );
        }
    }

    #[test]
    fn help_and_reference_name_every_setting() {
        for setting in SETTINGS {
            let flag = format!("--{}", setting.flag);
            assert!(help().contains(&flag), "{flag}");
            assert!(reference().contains(&flag), "{flag}");
        }
    }
}
