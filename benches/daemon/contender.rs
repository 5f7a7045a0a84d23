//! Who takes part: our daemon with a large and a small receive buffer, and others with the official one's flags.

use crate::process::{Daemon, free_ports};
use crate::sys::CAP_NET_ADMIN;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Half of the receive buffer many systems grant: the kernel doubles it to 212,992 bytes, `rmem_default`.
const SMALL_BUFFER_KB: &str = "104";

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

impl Contender {
    /// Starts it on free ports and waits until it answers. `authority` is the certificate of the endpoint.
    pub(crate) fn start(
        &self,
        core: Option<usize>,
        endpoint: &str,
        authority: Option<&str>,
    ) -> anyhow::Result<Daemon> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("daemon.yaml");
        // Go has no variable for a bundle that every daemon reads; ours is asked to check the certificate.
        let verify = if authority.is_some() && !self.ours { "NoVerifySSL: true\n" } else { "" };
        let text =
            format!("Version: 2\nEndpoint: \"{endpoint}\"\nLocalMode: true\nRegion: \"us-east-1\"\n{verify}");
        fs::write(&config, text)?;
        let (udp, tcp) = free_ports()?;
        let mut command = Command::new(&self.program);
        command
            .args(["-o", "-n", "us-east-1", "-c"])
            .arg(&config)
            .args(["-b", &udp.to_string(), "-t", &tcp.to_string()])
            .args(&self.flags)
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "example")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", folder.path());
        if let Some(authority) = authority {
            let bundle = folder.path().join("authority.pem");
            fs::write(&bundle, authority)?;
            command.env("AWS_CA_BUNDLE", bundle);
        }
        let mut daemon = Daemon::spawn(command, (udp, tcp), folder, core, self.drop_net_admin)?;
        daemon.wait_for_answer(self.ours)?;
        if self.drop_net_admin && daemon.holds(CAP_NET_ADMIN)? {
            daemon.remark = Some(format!("{}: CAP_NET_ADMIN could not be taken away", self.name));
        }
        Ok(daemon)
    }
}
