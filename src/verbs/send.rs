//! `xrayd send`: documents from files or standard input to the daemon, as an SDK would send them.

use crate::address::DaemonAddress;
use crate::config::VerbOptions;
use crate::emit::Emitter;
use anyhow::{Context, bail};
use std::io::Read;

/// Sends one document for each file, for each line, or whole datagrams.
///
/// # Errors
/// The file, or the line of it, that could not be read or sent.
pub fn run(options: &VerbOptions, files: &[String]) -> anyhow::Result<()> {
    let mut emitter = Emitter::new(&DaemonAddress::from_env()?);
    let mut sent = 0;
    for file in files {
        let content = read(file).with_context(|| file.clone())?;
        if options.lines {
            for (number, line) in content.split(|&byte| byte == b'\n').enumerate() {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                send(&mut emitter, line, options.raw)
                    .with_context(|| format!("{file}, line {}", number + 1))?;
                sent += 1;
            }
        } else {
            // An editor's last line feed is not part of a document.
            let content = if options.raw { &content[..] } else { content.trim_ascii() };
            send(&mut emitter, content, options.raw).with_context(|| file.clone())?;
            sent += 1;
        }
    }
    super::print(&format!("{sent} sent\n"))
}

pub(super) fn read(file: &str) -> std::io::Result<Vec<u8>> {
    if file != "-" {
        return std::fs::read(file);
    }
    let mut content = Vec::new();
    std::io::stdin().read_to_end(&mut content)?;
    Ok(content)
}

fn send(emitter: &mut Emitter, content: &[u8], raw: bool) -> anyhow::Result<()> {
    if content.is_empty() {
        bail!("nothing in it");
    }
    if raw {
        emitter.send_raw(content)?;
    } else {
        emitter.send(content)?;
    }
    Ok(())
}
