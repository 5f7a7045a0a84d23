//! cfg.yaml: any bytes give either a configuration or an error a person can act on.
//!
//! Three readings of each input are compared: the file as `-c` names it, the file as it is found in the
//! working directory, and its values given as flags instead.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::ffi::{c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;
use xrayd::config::{Config, ConfigError, Environment, Invocation};

/// Two working directories, one with a file and one without.
struct Places {
    with: PathBuf,
    without: PathBuf,
    _kept: TempDir,
}

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    assert!(!Path::new("/etc/amazon/xray/cfg.yaml").exists(), "it would be read where no file is named");
    let kept = tempfile::tempdir().expect("a temporary directory");
    let [with, without] = ["with", "without"].map(|name| kept.path().join(name));
    for place in [&with, &without] {
        std::fs::create_dir(place).expect("the temporary directory can be written to");
    }
    Places { with, without, _kept: kept }
});

/// Flags of the keys, out of the table the documentation has.
static FLAGS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let table = xrayd::config::reference();
    let rows = table.lines().map(|line| line.split('`').skip(1).step_by(2));
    let flags: Vec<_> = rows
        .filter_map(|mut codes| {
            let flag = codes.find(|code| code.starts_with("--"))?;
            let key = codes.next().filter(|code| is_key(code))?;
            Some((key.to_owned(), flag.to_owned()))
        })
        .collect();
    assert!(flags.len() > 20, "the table has another form now: {table}");
    flags
});

fn is_key(code: &str) -> bool {
    code.starts_with(|first: char| first.is_ascii_uppercase()) && !code.starts_with("XRAYD_")
}

/// Host names that are not addresses have none here: no name may leave this process.
///
/// # Safety
/// Reads and writes nothing.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    _node: *const c_char,
    _service: *const c_char,
    _hints: *const c_void,
    _found: *mut *mut c_void,
) -> c_int {
    /// `EAI_NONAME`
    const UNKNOWN: c_int = -2;
    UNKNOWN
}

fuzz_target!(|bytes: &[u8]| {
    let path = PLACES.with.join("cfg.yaml");
    std::fs::write(&path, bytes).expect("the temporary directory can be written to");
    let named = load_in(&PLACES.with, ["-c", "cfg.yaml"]);
    assert_eq!(text_of(&named), text_of(&load_in(&PLACES.with, ["-c", "cfg.yaml"])), "read twice");
    check_found(&named, &load_in(&PLACES.with, [""; 0]));
    if let Err(error) = &named {
        check_error(error);
    }
    if !matches!(named, Err(ConfigError::File { .. } | ConfigError::Key { .. })) {
        let text = std::str::from_utf8(bytes).expect("only UTF-8 gets so far");
        let flags = load_in(&PLACES.without, flags_of(text));
        match (&named, &flags) {
            (Ok(_), Ok(_)) => assert_eq!(text_of(&named), text_of(&flags)),
            (Err(_), Err(_)) => {}
            _ => panic!("the file gives {named:?}, its values as flags {flags:?}"),
        }
    }
});

fn load_in<S: Into<String>>(
    place: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Result<Config, ConfigError> {
    let before = std::env::current_dir().expect("there is a working directory");
    std::env::set_current_dir(place).expect("the temporary directory is there");
    let invocation = Invocation::parse(arguments.into_iter().map(Into::into));
    let loaded = invocation.and_then(|invocation| Config::load(&invocation, &Environment::default()));
    std::env::set_current_dir(before).expect("the working directory is still there");
    loaded
}

/// All of a configuration but its warnings.
fn text_of(loaded: &Result<Config, ConfigError>) -> String {
    let loaded = loaded.clone().map(|config| Config { warnings: Vec::new(), ..config });
    format!("{loaded:?}")
}

/// A file found by chance says the same, but keys nobody knows are warnings in it.
fn check_found(named: &Result<Config, ConfigError>, found: &Result<Config, ConfigError>) {
    match (named, found) {
        (Err(ConfigError::Key { reason, .. }), Ok(config)) => {
            assert!(!config.warnings.is_empty(), "{reason}: nobody was told");
        }
        (Err(ConfigError::Key { .. }), Err(error)) => check_error(error),
        _ => assert_eq!(text_of(named), text_of(found)),
    }
    for warning in found.iter().flat_map(|config| &config.warnings) {
        assert!(warning.starts_with("cfg.yaml: "), "{warning}");
    }
}

fn check_error(error: &ConfigError) {
    match error {
        ConfigError::File { path, reason } => assert!(path == "cfg.yaml" && !reason.is_empty(), "{error}"),
        ConfigError::Key { path, reason, .. } => assert!(path == "cfg.yaml" && !reason.is_empty(), "{error}"),
        ConfigError::Value { setting, remedy, .. } => {
            // Two settings can have only one value at fault that the file does not name: a default.
            assert!(setting.ends_with(" in cfg.yaml") && !remedy.is_empty(), "{error}");
        }
        ConfigError::Conflict(message) => assert!(message.starts_with("--"), "{error}"),
        ConfigError::UnknownFlag { .. } | ConfigError::ValueMissing { .. } | ConfigError::Word { .. } => {
            panic!("{error}: no flag came from the file")
        }
    }
}

/// The flags that say what the file says.
fn flags_of(text: &str) -> Vec<String> {
    let document: Value = serde_saphyr::from_str(text).expect("the daemon has read it");
    let Value::Object(sections) = document else { panic!("the daemon has found keys in it") };
    let mut flags = Vec::new();
    for (section, value) in &sections {
        match value {
            Value::Object(inner) => {
                for (key, value) in inner {
                    flags.extend(flag_of(&format!("{section}.{key}"), value));
                }
            }
            value => flags.extend(flag_of(section, value)),
        }
    }
    flags
}

/// None for an empty value, which means what leaving the key out means, and for keys that have no effect.
fn flag_of(key: &str, value: &Value) -> Option<String> {
    let (_, flag) = FLAGS.iter().find(|(known, _)| known == key)?;
    match value {
        Value::Null => None,
        Value::String(value) if value.is_empty() => None,
        Value::String(value) => Some(format!("{flag}={value}")),
        value => Some(format!("{flag}={value}")),
    }
}
