//! A daemon as a child process, and what `/proc` says about it.

use crate::mock::poll_again;
use crate::sys::{self, CAP_NET_ADMIN};
use anyhow::{Context, bail};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Half of the receive buffer many systems grant: the kernel doubles it to 212,992 bytes, `rmem_default`.
const SMALL_BUFFER_KB: &str = "104";

/// Longest time a daemon may take to answer.
const START_MAX: Duration = Duration::from_secs(10);

/// A daemon that takes part.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) name: String,
    program: PathBuf,
    flags: Vec<&'static str>,
    /// Started without the right to exceed the system's receive buffer.
    drop_net_admin: bool,
    pub(crate) ours: bool,
}

impl Contender {
    /// Our daemon as it starts by default: it asks for a large receive buffer.
    pub(crate) fn large() -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_xrayd"));
        Self { name: "xrayd".to_owned(), program, flags: Vec::new(), drop_net_admin: false, ours: true }
    }

    /// Our daemon as it lives in many containers: 212,992 bytes of receive buffer and no right to more.
    pub(crate) fn small() -> Self {
        let flags = vec!["--receive-buffer-kb", SMALL_BUFFER_KB];
        Self { name: "xrayd small".to_owned(), flags, drop_net_admin: true, ..Self::large() }
    }

    /// Any daemon with the official one's flags; its receive buffer is what it takes itself.
    pub(crate) fn other(name: &str, program: &str) -> std::io::Result<Self> {
        // The daemon runs in a folder of its own.
        let program = std::path::absolute(program)?;
        Ok(Self { name: name.to_owned(), program, flags: Vec::new(), drop_net_admin: false, ours: false })
    }
}

/// A running daemon. Dropped, it is killed.
pub(crate) struct Daemon {
    child: Child,
    udp: SocketAddr,
    tcp: SocketAddr,
    folder: TempDir,
    /// What is not as the contender wants it.
    pub(crate) remark: Option<String>,
}

impl Daemon {
    /// Starts it on free ports and waits until it answers. `authority` is the certificate of the endpoint.
    pub(crate) fn start(
        contender: &Contender,
        core: Option<usize>,
        endpoint: &str,
        authority: Option<&str>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("daemon.yaml");
        // Go has no variable for a bundle that every daemon reads; ours is asked to check the certificate.
        let verify = if authority.is_some() && !contender.ours { "NoVerifySSL: true\n" } else { "" };
        let text =
            format!("Version: 2\nEndpoint: \"{endpoint}\"\nLocalMode: true\nRegion: \"us-east-1\"\n{verify}");
        fs::write(&config, text)?;
        let (udp, tcp) = free_ports()?;
        let mut command = Command::new(&contender.program);
        command
            .args(["-o", "-n", "us-east-1", "-c"])
            .arg(&config)
            .args(["-b", &udp.to_string(), "-t", &tcp.to_string()])
            .args(&contender.flags)
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "example")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(folder.path().join("log"))?)
            .stderr(fs::File::create(folder.path().join("errors"))?);
        if let Some(authority) = authority {
            let bundle = folder.path().join("authority.pem");
            fs::write(&bundle, authority)?;
            command.env("AWS_CA_BUNDLE", bundle);
        }
        sys::before_exec(&mut command, core, contender.drop_net_admin);
        let child =
            command.spawn().with_context(|| format!("cannot start {}", contender.program.display()))?;
        let mut daemon = Self { child, udp, tcp, folder, remark: None };
        daemon.wait_for_answer(contender.ours)?;
        if contender.drop_net_admin && daemon.holds(CAP_NET_ADMIN)? {
            daemon.remark = Some(format!("{}: CAP_NET_ADMIN could not be taken away", contender.name));
        }
        Ok(daemon)
    }

    /// Where it receives.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// CPU time of all its threads, user and system.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut total = Duration::ZERO;
        for task in fs::read_dir(self.proc("task"))? {
            // A thread may end between the two calls.
            if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
                total += running_time(&text)?;
            }
        }
        Ok(total)
    }

    /// Most memory it ever held, in MB.
    pub(crate) fn peak_mb(&self) -> anyhow::Result<f64> {
        let text = self.status("VmHWM:")?;
        let kib: f64 = text.trim_end_matches("kB").trim().parse().context("VmHWM")?;
        Ok(kib / 1024.0)
    }

    /// Datagrams the kernel had no room for on its socket.
    pub(crate) fn kernel_drops(&self) -> anyhow::Result<u64> {
        let port = format!(":{:04X}", self.udp.port());
        let sockets = fs::read_to_string("/proc/net/udp")?;
        let drops = sockets.lines().skip(1).filter_map(|line| {
            let mut columns = line.split_whitespace();
            columns.nth(1).filter(|address| address.ends_with(&port))?;
            columns.last()?.parse::<u64>().ok()
        });
        Ok(drops.sum())
    }

    /// The receive buffer it was granted, where it tells: our daemon does, in its metrics.
    pub(crate) fn receive_buffer_bytes(&self) -> Option<u64> {
        let metrics = get(self.tcp, "/metrics").ok()?;
        let line = metrics.lines().find(|line| line.starts_with("xrayd_receive_buffer_bytes"))?;
        line.split_whitespace().last()?.parse().ok()
    }

    /// Whether the kernel lets it use this capability.
    fn holds(&self, capability: u8) -> anyhow::Result<bool> {
        let effective = u64::from_str_radix(&self.status("CapEff:")?, 16)?;
        Ok(effective >> capability & 1 == 1)
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }

    fn status(&self, key: &str) -> anyhow::Result<String> {
        let text = fs::read_to_string(self.proc("status"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(key));
        Ok(value.with_context(|| format!("no {key} in /proc/PID/status"))?.trim().to_owned())
    }

    fn wait_for_answer(&mut self, has_health: bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !answers(self.tcp, has_health) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon ended with {status}:\n{}", self.said());
            }
            if began.elapsed() > START_MAX {
                bail!("the daemon does not answer:\n{}", self.said());
            }
            poll_again();
        }
        Ok(())
    }

    fn said(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("log") + &read("errors")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nothing is left to do about a child that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first number of a `schedstat`: nanoseconds on a core.
pub(crate) fn running_time(schedstat: &str) -> anyhow::Result<Duration> {
    let nanoseconds = schedstat.split_whitespace().next().context("an empty schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// Other daemons have no health to ask for: that they take connections has to do.
fn answers(tcp: SocketAddr, has_health: bool) -> bool {
    if !has_health {
        return TcpStream::connect(tcp).is_ok();
    }
    get(tcp, "/healthz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn get(tcp: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(tcp)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Two ports nobody uses now.
fn free_ports() -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((udp.local_addr()?, tcp.local_addr()?))
}
