//! A daemon as a child process, and what `/proc` says about it.

#![allow(dead_code, reason = "every bench takes the parts it needs")]

use crate::pace::poll_again;
use crate::sys;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest time a daemon may take to answer.
const START_MAX: Duration = Duration::from_secs(10);

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
    /// Starts it, with a folder of its own to run in and to log to.
    pub(crate) fn spawn(
        mut command: Command,
        (udp, tcp): (SocketAddr, SocketAddr),
        folder: TempDir,
        core: Option<usize>,
        drop_net_admin: bool,
    ) -> anyhow::Result<Self> {
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(folder.path().join("log"))?)
            .stderr(fs::File::create(folder.path().join("errors"))?);
        sys::before_exec(&mut command, core, drop_net_admin);
        let program = command.get_program().to_owned();
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, udp, tcp, folder, remark: None })
    }

    /// Where it receives.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Where it answers.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// CPU time of all its threads, user and system.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(self.cpu_by_thread()?.values().sum())
    }

    /// CPU time of the threads there are, by their names.
    pub(crate) fn cpu_by_thread(&self) -> anyhow::Result<BTreeMap<String, Duration>> {
        let mut all = BTreeMap::new();
        for task in fs::read_dir(self.proc("task"))? {
            let task = task?.path();
            // A thread may end between these calls.
            let read = |name| fs::read_to_string(task.join(name));
            if let (Ok(name), Ok(text)) = (read("comm"), read("schedstat")) {
                *all.entry(name.trim().to_owned()).or_default() += running_time(&text)?;
            }
        }
        Ok(all)
    }

    /// CPU time since it was started, also of threads that have ended.
    pub(crate) fn cpu_of_all(&self) -> anyhow::Result<Duration> {
        Ok(sys::cpu_time(self.child.id())?)
    }

    /// Most memory it ever held, in MB.
    pub(crate) fn peak_mb(&self) -> anyhow::Result<f64> {
        self.status_mb("VmHWM:")
    }

    /// Memory it holds now, in MB.
    pub(crate) fn rss_mb(&self) -> anyhow::Result<f64> {
        self.status_mb("VmRSS:")
    }

    fn status_mb(&self, key: &str) -> anyhow::Result<f64> {
        let text = self.status(key)?;
        let kib: f64 = text.trim_end_matches("kB").trim().parse().context("a size in /proc/PID/status")?;
        Ok(kib / 1024.0)
    }

    /// What it counts: the sum over all lines of its metrics that begin like this.
    pub(crate) fn metric(&self, begins: &str) -> anyhow::Result<u64> {
        let metrics = get(self.tcp, "/metrics")?;
        let values = metrics.lines().filter(|line| line.starts_with(begins));
        values.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?)).sum()
    }

    /// Ends it as an orchestrator does, and waits until it has ended.
    pub(crate) fn terminate(mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the daemon ended with {status}:\n{}", self.said());
        Ok(began.elapsed())
    }

    /// Fails when it has ended.
    pub(crate) fn ensure_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the daemon ended with {status}:\n{}", self.said()),
        }
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
        self.metric("xrayd_receive_buffer_bytes").ok().filter(|bytes| *bytes > 0)
    }

    /// Whether the kernel lets it use this capability.
    pub(crate) fn holds(&self, capability: u8) -> anyhow::Result<bool> {
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

    pub(crate) fn wait_for_answer(&mut self, has_health: bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !answers(self.tcp, has_health) {
            self.ensure_alive()?;
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
pub(crate) fn free_ports() -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((udp.local_addr()?, tcp.local_addr()?))
}
