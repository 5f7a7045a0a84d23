//! The client programs, and how each is started.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Those that emit and sample.
pub const CLIENTS: [&str; 5] = ["python", "node", "go", "java", "adot"];

/// Those that only sample.
pub const SAMPLERS: [&str; 2] = ["otel-js", "otel-java"];

/// Where setup.sh has put this.
pub fn installed(path: &str) -> PathBuf {
    let root =
        std::env::var("XRAYD_CLIENTS").expect("XRAYD_CLIENTS names the directory setup.sh installed into");
    PathBuf::from(root).join(path)
}

/// A client's program, without its arguments.
fn command_of(client: &str) -> Command {
    let script = format!("{}/tests/clients/{client}/client.py", env!("CARGO_MANIFEST_DIR"));
    let mut command;
    match client {
        "node" | "otel-js" => {
            command = Command::new("node");
            command.arg(installed(&format!("{client}/client.js")));
        }
        "go" => command = Command::new(installed("go/client")),
        "java" | "otel-java" => {
            command = Command::new("java");
            command.arg("-cp").arg(installed(&format!("{client}/*"))).arg("dev.xrayd.Client");
        }
        python => {
            command = Command::new(installed(&format!("{python}/bin/python")));
            command.arg(script);
        }
    }
    command
}

/// Runs a client to its end and reads the one line of JSON it prints.
pub async fn run(client: &'static str, address: String, arguments: Vec<String>) -> Value {
    let ended = tokio::task::spawn_blocking(move || {
        let mut command = command_of(client);
        command.args(&arguments).env("AWS_XRAY_DAEMON_ADDRESS", address).stderr(Stdio::piped());
        let output = command.output().unwrap_or_else(|error| panic!("{client}: {error}"));
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{client} {arguments:?}: {out}\n{error}");
        serde_json::from_str(out.trim())
            .unwrap_or_else(|reason| panic!("{client}: {reason}: {out:?}\n{error}"))
    });
    tokio::time::timeout(Duration::from_mins(2), ended).await.expect("the client ends").unwrap()
}
