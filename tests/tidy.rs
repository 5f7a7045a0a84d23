//! Keeps the rooms of the code apart, and its documents true.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The code of a file without its comments and without its tests.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn belongs_to(path: &Path, rooms: &[&str]) -> bool {
    let below = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap();
    rooms.iter().any(|room| below == format!("{room}.rs") || below.starts_with(&format!("{room}/")))
}

/// No file of `inside` (all of src when empty), the `except`ed aside, may contain one of `words`.
#[track_caller]
fn forbid(inside: &[&str], except: &[&str], words: &[&str], why: &str) {
    let mut looked_at = 0;
    for path in files_below("src", "rs") {
        if !inside.is_empty() && !belongs_to(&path, inside) || belongs_to(&path, except) {
            continue;
        }
        looked_at += 1;
        let code = code_of(&path);
        for word in words {
            assert!(!code.contains(word), "{} contains {word:?}: {why}", path.display());
        }
    }
    assert!(looked_at > 0, "no file in {inside:?}");
}

#[test]
fn segment_is_pure() {
    let words = ["tokio", "std::time", "std::fs", "std::net", "std::io", "tracing", "aws_", "crate::"];
    forbid(
        &["segment"],
        &["segment/otlp/tests"],
        &words,
        "segment knows no input or output, no clock, no log and no other room",
    );
}

#[test]
fn query_is_pure() {
    let words = ["tokio", "std::time", "std::fs", "std::net", "std::io", "tracing", "aws_"];
    forbid(
        &["query"],
        &["query/filter/tests", "query/record/tests"],
        &words,
        "query asks nobody but the source it is given",
    );
    for path in files_below("src/query", "rs") {
        let code = code_of(&path);
        let used = code
            .split("crate::")
            .skip(1)
            .all(|rest| ["query", "segment", "refusal"].iter().any(|room| rest.starts_with(room)));
        assert!(used, "{} uses another room than segment and refusal", path.display());
    }
}

#[test]
fn the_account_is_pure_and_the_store_knows_no_http() {
    let words = [
        "tokio",
        "SystemTime",
        "Instant",
        "std::fs",
        "std::net",
        "std::io",
        "tracing",
        "crate::store",
        "crate::api",
    ];
    forbid(&["account"], &[], &words, "the account is told the time, and kept by whoever owns it");
    let words =
        ["axum", "hyper", "http::", "crate::api", "crate::account", "crate::pipeline", "crate::events"];
    forbid(&["store"], &[], &words, "the store keeps documents, whoever asks for them");
}

#[test]
fn only_three_rooms_know_aws() {
    let except = ["aws", "sink/xray", "api/proxy"];
    forbid(
        &[],
        &except,
        &["aws_sdk", "aws_config", "aws_sigv4", "aws_smithy", "aws_credential"],
        "only aws, sink::xray and api::proxy know the AWS crates",
    );
}

#[test]
fn only_config_and_address_read_the_environment() {
    forbid(
        &[],
        &["config/environment", "address"],
        &["env::var", "env::vars"],
        "only config and address read the environment",
    );
}

#[test]
fn only_the_spool_the_store_and_those_who_read_settings_look_at_files() {
    let except = [
        "config",
        "log",
        "aws/region",
        "verbs/send",
        "spool/folder",
        "spool/tests",
        "store",
        "query/record/tests",
    ];
    let why = "documents are on disk in the spool and the store alone";
    forbid(&[], &except, &["std::fs", "fs::File", "OpenOptions"], why);
}

#[test]
fn the_pipeline_reads_no_clock_and_knows_no_runtime() {
    let except = ["pipeline/shared", "pipeline/tests"];
    forbid(
        &["pipeline"],
        &except,
        &["Instant::now", "SystemTime", "tokio", "tracing", "async "],
        "the pipeline takes `now`",
    );
}

#[test]
fn nobody_imports_app() {
    forbid(
        &[],
        &["lib", "main"],
        &["crate::app", "crate::App"],
        "app knows all others, and nobody knows app",
    );
}

#[test]
fn unsafe_code_stays_in_its_named_modules() {
    forbid(&[], &["udp/mmsg", "segment/escape/ssse3"], &["unsafe "], "unsafe code is denied elsewhere");
}

#[test]
fn the_readme_and_the_changelog_know_this_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(concat!("## ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_documented_settings_are_the_settings() {
    let documented = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let table = xrayd::config::reference();
    assert!(documented.contains(&table), "docs/settings.md is out of date; the table is now:\n{table}");
}

#[test]
fn every_metric_is_documented() {
    let documented = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let source = fs::read_to_string(root().join("src/api/metrics.rs")).unwrap();
    let names = source.split("out,").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let names: Vec<_> = names.map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names {
        assert!(
            documented.contains(&format!("xrayd_{name}")),
            "docs/operations.md does not name xrayd_{name}"
        );
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in files_below("docs", "md")
        .into_iter()
        .chain(["README.md", "ARCHITECTURE.md"].map(|name| root().join(name)))
    {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(path.parent().unwrap().join(target).exists(), "{}: {link}", path.display());
        }
    }
}
