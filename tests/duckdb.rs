//! What `docs/store.md` and `docs/store.sql` say about the store's files, by those who read them: DuckDB, Arrow, pandas.
//!
//! They are installed by `tests/clients/setup.sh DIR duckdb`; `XRAYD_CLIENTS=DIR` says where.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(unreachable_pub, reason = "modules of one test program; `pub` says what other modules use")]
#![allow(dead_code, reason = "this test uses less of what the tests share")]
#![expect(clippy::disallowed_methods, reason = "a test program reads where its clients are")]
#![cfg(unix)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::process::Process;

/// Runs `check.py` to its end.
fn check(arguments: &[&str]) {
    let clients =
        std::env::var("XRAYD_CLIENTS").expect("XRAYD_CLIENTS names the directory setup.sh installed into");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/duckdb/check.py");
    let status = Command::new(PathBuf::from(clients).join("duckdb/bin/python"))
        .arg(script)
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success(), "check.py {arguments:?}");
}

fn start(store: &Path) -> Process {
    Process::start(&format!("local --store {}", store.display()))
}

#[test]
#[ignore = "needs DuckDB from PyPI: tests/clients/setup.sh"]
fn the_documented_view_and_queries_say_of_the_blocks_what_was_sent() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = folder.path().join("store");
    // What comes twice is to come in two blocks: each clean stop writes one.
    for part in ["1", "2"] {
        let daemon = start(&store);
        check(&["send", "--part", part, "--udp", &daemon.udp, "--tcp", &daemon.tcp]);
        daemon.signal("TERM");
        assert_eq!(daemon.exit_code(), Some(0));
    }
    // Beside a daemon, which says what it makes of the same files.
    let daemon = start(&store);
    check(&["check", "--store", store.to_str().unwrap(), "--tcp", &daemon.tcp]);
}
