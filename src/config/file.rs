//! cfg.yaml, versions 1 and 2, of the official daemon (`aws/aws-xray-daemon`, `pkg/cfg/cfg.go`).

use super::settings::SETTINGS;
use super::{ConfigError, Source};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Where a file is looked for without `-c`.
pub(super) const PLACES: [&str; 2] = ["/etc/amazon/xray/cfg.yaml", "cfg.yaml"];

/// Largest file that is read.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// Keys older daemons had and the official one refuses by name.
const RETIRED: [&str; 5] = [
    "Profile.CPU",
    "Profile.Memory",
    "Socket.BufferSizeKB",
    "Logging.LogFormat",
    "Processor.BatchProcessorQueueSize",
];

/// Keys that moved.
const MOVED: [(&str, &str); 5] = [
    ("LogRotation", "this key moved; write Logging.LogRotation"),
    ("Processor.Region", "this key moved; write Region"),
    ("Processor.Endpoint", "this key moved; write Endpoint"),
    ("Processor.Routine", "this key moved; write Concurrency"),
    ("MemoryLimit", "this key moved; write TotalBufferSizeMB"),
];

/// A section the official daemon accepts and overwrites with its own values.
const IGNORED_SECTION: &str = "proxyserver";

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct FileSettings {
    pub(super) values: BTreeMap<&'static str, (String, Source)>,
    pub(super) warnings: Vec<String>,
}

/// Reads the file `-c` names, or the first of the usual places that exists.
pub(super) fn load(named: Option<&str>, places: &[&str]) -> Result<FileSettings, ConfigError> {
    let found = places.iter().find(|place| Path::new(place).exists()).copied();
    match (named, found) {
        (Some(path), _) => parse(path, &read(path)?, true),
        (None, Some(path)) => parse(path, &read(path)?, false),
        (None, None) => Ok(FileSettings::default()),
    }
}

fn read(path: &str) -> Result<String, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > FILE_MAX_BYTES {
        return Err(failed(format!("{length} bytes are too many for a configuration file")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

/// `strict`: a key nothing reads is an error. In a file that was found by chance it is a warning, because it
/// may have been written for another program version.
pub(super) fn parse(path: &str, text: &str, strict: bool) -> Result<FileSettings, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.to_owned(), reason };
    let document: Value = serde_saphyr::from_str(text).map_err(|error| failed(error.to_string()))?;
    let Value::Object(entries) = document else {
        return Err(failed("not a list of keys and values".to_owned()));
    };
    match entries.get("Version") {
        Some(version) if [1, 2].contains(&version.as_u64().unwrap_or_default()) => {}
        Some(version) => return Err(failed(format!("Version: {version} is neither 1 nor 2"))),
        None => return Err(failed("Version is missing; add the line Version: 2".to_owned())),
    }
    let mut settings = FileSettings::default();
    for (key, value) in flatten(entries) {
        if key == "Version" {
            continue;
        }
        if key.split('.').next().is_some_and(|section| section.eq_ignore_ascii_case(IGNORED_SECTION)) {
            settings.warnings.push(format!("{path}: {key} has no effect"));
            continue;
        }
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key && !key.is_empty()) else {
            let error = ConfigError::Key { path: path.to_owned(), reason: reason_for(&key), key };
            if strict {
                return Err(error);
            }
            settings.warnings.push(error.to_string());
            continue;
        };
        let source = Source::Key { path: path.to_owned(), key: setting.key };
        // Empty and null mean what the file means by leaving the key out.
        if let Some(value) = scalar(path, setting.key, &value)? {
            settings.values.insert(setting.flag, (value, source));
        }
    }
    Ok(settings)
}

fn flatten(entries: serde_json::Map<String, Value>) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (key, value) in entries {
        match value {
            Value::Object(inner) => {
                flat.extend(inner.into_iter().map(|(below, value)| (format!("{key}.{below}"), value)));
            }
            value => flat.push((key, value)),
        }
    }
    flat
}

fn scalar(path: &str, key: &'static str, value: &Value) -> Result<Option<String>, ConfigError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(value) => Ok(Some(value.to_string())),
        Value::String(value) if value.is_empty() => Ok(None),
        Value::String(value) => Ok(Some(value.clone())),
        Value::Array(_) | Value::Object(_) => Err(ConfigError::Key {
            path: path.to_owned(),
            key: key.to_owned(),
            reason: "one value is expected here",
        }),
    }
}

fn reason_for(key: &str) -> &'static str {
    if RETIRED.contains(&key) {
        return "this key is not supported any more; remove it";
    }
    let moved = MOVED.iter().find(|(old, _)| *old == key);
    moved.map_or("no such key; docs/settings.md lists those there are", |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the official daemon's own file, with values that are not the defaults.
    const OFFICIAL: &str = "
TotalBufferSizeMB: 24
Concurrency: 4
Region: \"eu-central-1\"
Endpoint: ''
Socket:
  UDPAddress: 0.0.0.0:2000
  TCPAddress: \"0.0.0.0:2001\"
Logging:
  LogRotation: false
  LogLevel: debug
  LogPath: \"/var/log/xray/xray.log\"
LocalMode: true
ResourceARN:
RoleARN: \"\"
NoVerifySSL: false
ProxyAddress: \"\"
Version: 2
";

    #[test]
    fn reads_every_key_of_the_official_file() {
        let settings = parse("cfg.yaml", OFFICIAL, true).unwrap();
        let found: Vec<_> =
            settings.values.iter().map(|(flag, (value, _))| (*flag, value.as_str())).collect();
        let expected = [
            ("bind", "0.0.0.0:2000"),
            ("bind-tcp", "0.0.0.0:2001"),
            ("buffer-memory", "24"),
            ("concurrency", "4"),
            ("local-mode", "true"),
            ("log-file", "/var/log/xray/xray.log"),
            ("log-level", "debug"),
            ("log-rotation", "false"),
            ("no-verify-ssl", "false"),
            ("region", "eu-central-1"),
        ];
        assert_eq!(found, expected);
        assert!(settings.warnings.is_empty());
    }

    #[test]
    fn reads_our_own_keys() {
        let settings = parse("cfg.yaml", "Version: 1\nShutdownTimeout: 5\nLogFormat: json\n", true).unwrap();
        let source = Source::Key { path: "cfg.yaml".to_owned(), key: "ShutdownTimeout" };
        assert_eq!(settings.values["shutdown-timeout"], ("5".to_owned(), source));
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = parse("cfg.yaml", text, true).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn refuses_by_name_what_it_cannot_use() {
        refused("Region: x\n", "cfg.yaml: Version is missing; add the line Version: 2");
        refused("Version: 3\n", "Version: 3 is neither 1 nor 2");
        refused("Version: 2\nRegoin: x\n", "cfg.yaml: Regoin: no such key");
        refused(
            "Version: 2\nSocket:\n  BufferSizeKB: 1\n",
            "Socket.BufferSizeKB: this key is not supported any more",
        );
        refused("Version: 2\nMemoryLimit: 1\n", "MemoryLimit: this key moved; write TotalBufferSizeMB");
        refused("Version: 2\nRegion: [a]\n", "cfg.yaml: Region: one value is expected here");
        refused("Version: 2\n  Region: x\n :", "cfg.yaml: ");
        refused("", "not a list of keys and values");
    }

    #[test]
    fn an_unknown_key_in_a_file_found_by_chance_is_a_warning() {
        let settings =
            parse("cfg.yaml", "Version: 2\nRegoin: x\nProxyServer:\n  MaxIdleConns: 1\n", false).unwrap();
        assert_eq!(
            settings.warnings,
            [
                "cfg.yaml: ProxyServer.MaxIdleConns has no effect",
                "cfg.yaml: Regoin: no such key; docs/settings.md lists those there are"
            ]
        );
    }

    #[test]
    fn looks_in_the_usual_places_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["a.yaml", "b.yaml"].map(|name| folder.path().join(name).display().to_string());
        let places = [first.as_str(), second.as_str()];
        assert!(load(None, &places).unwrap().values.is_empty());
        std::fs::write(&second, "Version: 2\nRegion: second\n").unwrap();
        assert_eq!(load(None, &places).unwrap().values["region"].0, "second");
        std::fs::write(&first, "Version: 2\nRegion: first\n").unwrap();
        assert_eq!(load(None, &places).unwrap().values["region"].0, "first");
        assert_eq!(load(Some(&second), &places).unwrap().values["region"].0, "second");
        let missing = load(Some("missing.yaml"), &places).unwrap_err().to_string();
        assert!(missing.starts_with("missing.yaml: "), "{missing}");
    }
}
