//! The aws command line and boto3, as users of `xrayd local`.

use crate::daemon::Daemon;
use crate::programs::installed;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// A command that finds `aws` and `xrayd`, and nothing of the account of whoever runs the tests.
fn command(program: &str, daemon: &Daemon) -> Command {
    let mut command = Command::new(program);
    let xrayd = Path::new(env!("CARGO_BIN_EXE_xrayd")).parent().unwrap();
    let mut path = OsString::new();
    for folder in [&installed("aws/bin"), xrayd] {
        path.push(folder);
        path.push(":");
    }
    path.push(std::env::var_os("PATH").unwrap());
    command
        .env("PATH", path)
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_XRAY_DAEMON_ADDRESS", daemon.address())
        .envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "anything")))
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_PAGER", "");
    for name in
        ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_XRAY"]
    {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub async fn output_of(mut command: Command) -> String {
    let ended = tokio::task::spawn_blocking(move || {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{command:?}: {out}\n{error}");
        out.into_owned()
    });
    ended.await.unwrap()
}

/// `aws xray …` at this daemon, and its answer.
pub async fn aws(daemon: &Daemon, arguments: &[&str]) -> Value {
    let mut command = command("aws", daemon);
    command.args(["xray", "--endpoint-url", &daemon.url(), "--output", "json"]).args(arguments);
    let out = output_of(command).await;
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
}

/// Holds X-Ray against what AWS documents. How many checks there were, and how many operations they called.
async fn contract(daemon: &Daemon, phase: &str) -> (u64, u64) {
    let mut command = command("python", daemon);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/aws/contract.py"));
    command.args(["--endpoint", &daemon.url(), "--udp", &daemon.udp.to_string(), "--phase", phase]);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let printed: Value =
        serde_json::from_str(out.trim()).unwrap_or_else(|reason| panic!("{phase}: {reason}: {out}\n{error}"));
    assert_eq!(printed["failed"], json!([]), "{phase}: {printed:#}\n{error}");
    assert!(output.status.success(), "{phase}: {out}\n{error}");
    (printed["checks"].as_u64().unwrap(), printed["operations"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn boto3_and_the_cli_find_what_aws_documents() {
    let daemon = Daemon::local("--store memory");
    let (checks, operations) = contract(&daemon, "all").await;
    // All operations there are in X-Ray's model.
    assert_eq!(operations, 38);
    assert!(checks > 500, "{checks}");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn boto3_finds_everything_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Daemon::local(&format!("--store {}", folder.path().display()));
    for phase in ["before-restart", "after-restart"] {
        let daemon = start();
        assert!(contract(&daemon, phase).await.0 > 0);
        daemon.stop();
    }
}

/// What the README tells to type for X-Ray on a laptop, without the line that starts it.
fn commands_of_the_readme(daemon: &Daemon) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("\n## ").find(|section| section.starts_with("X-Ray on a laptop")).unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).filter(|line| !line.starts_with("xrayd local"));
    let typed = lines.collect::<Vec<_>>().join("\n");
    // The port of the README may be taken.
    let here = "export AWS_ENDPOINT_URL_XRAY=http://127.0.0.1:2000";
    assert!(typed.contains(here), "{typed}");
    typed.replace(here, &format!("export AWS_ENDPOINT_URL_XRAY={}", daemon.url()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the SDKs: see tests/clients/README.md"]
async fn the_commands_of_the_readme_work_as_they_are_typed() {
    let daemon = Daemon::local("--store memory");
    let mut bash = command("bash", &daemon);
    bash.args(["-euo", "pipefail", "-c", &commands_of_the_readme(&daemon)]);
    let printed = output_of(bash).await;
    let answers = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
    let answers: Result<Vec<Value>, _> = answers.collect();
    let answers = answers.unwrap_or_else(|error| panic!("{error}: {printed}"));
    let [summaries, traces, graph] = &answers[..] else { panic!("not three answers: {printed}") };
    let summaries = summaries["TraceSummaries"].as_array().unwrap();
    assert_eq!((summaries.len(), &summaries[0]["Http"]["HttpStatus"]), (1, &json!(200)), "{printed}");
    let trace = &traces["Traces"][0];
    assert_eq!(trace["Id"], summaries[0]["Id"]);
    let document: Value = serde_json::from_str(trace["Segments"][0]["Document"].as_str().unwrap()).unwrap();
    assert_eq!(document["name"], "hello");
    let services: Vec<_> = graph["Services"].as_array().unwrap().iter().map(|node| &node["Name"]).collect();
    assert!(services.contains(&&json!("hello")), "{graph}");
    daemon.stop();
}
