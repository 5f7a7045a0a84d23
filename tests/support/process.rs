//! The binary as a process of its own.

use super::sigv4;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

pub fn xrayd(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xrayd"));
    command.args(arguments.split_ascii_whitespace());
    // Nothing of the machine the tests run on.
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true").current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.env("AWS_ACCESS_KEY_ID", sigv4::ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", sigv4::SECRET_KEY);
    command
}

/// A daemon as a process of its own, ended with the test.
pub struct Process {
    pub child: Child,
    pub udp: String,
    pub tcp: String,
}

impl Process {
    pub fn start(arguments: &str) -> Self {
        Self::start_in(None, arguments)
    }

    /// In a cgroup, before the program has looked at its limits.
    pub fn start_in(cgroup: Option<&std::path::Path>, arguments: &str) -> Self {
        let program = xrayd(&format!("-b 127.0.0.1:0 -t 127.0.0.1:0 --linger 0 {arguments}"));
        let mut command = match cgroup {
            None => program,
            Some(cgroup) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]).arg(cgroup);
                shell.arg(program.get_program()).args(program.get_args());
                for (name, value) in program.get_envs() {
                    if let Some(value) = value {
                        shell.env(name, value);
                    }
                }
                shell.current_dir(program.get_current_dir().unwrap());
                shell
            }
        };
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        std::thread::spawn(move || lines.count());
        let part = |name: &str| {
            first
                .split(' ')
                .find_map(|part| part.strip_prefix(name))
                .unwrap_or_else(|| panic!("{first}"))
                .to_owned()
        };
        Self { udp: part("udp="), tcp: part("tcp="), child }
    }

    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// What it says on `/metrics`.
    pub fn metrics(&self) -> Metrics {
        let mut stream = TcpStream::connect(&self.tcp).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Metrics(text)
    }

    /// Memory of its own it has, in bytes.
    pub fn anonymous_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer of `/metrics`.
#[derive(Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// The sum of all samples that begin like this.
    pub fn sum(&self, name: &str) -> u64 {
        let samples = self.0.lines().filter(|line| line.starts_with(name));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Whether every document is accounted for.
    pub fn balances(&self) -> bool {
        let of = |name: &str| self.sum(&format!("xrayd_documents_{name}"));
        of("received_total") + of("recovered_total")
            == of("sent_total")
                + of("stored_total")
                + of("refused_total")
                + of("dropped_total")
                + of("waiting")
    }
}
