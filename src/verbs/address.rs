//! `xrayd address`: what `AWS_XRAY_DAEMON_ADDRESS` means.

use crate::address::{DaemonAddress, HostPort};
use crate::config::VerbOptions;
use anyhow::Context;
use std::fmt::Write;

/// Prints the two addresses.
///
/// # Errors
/// What is wrong with the variable, or that a host is not known.
pub fn run(options: &VerbOptions) -> anyhow::Result<()> {
    super::print(&describe(&DaemonAddress::from_env()?, options)?)
}

fn describe(address: &DaemonAddress, options: &VerbOptions) -> anyhow::Result<String> {
    let (udp, tcp) = (written(&address.udp, options.resolve)?, written(&address.tcp, options.resolve)?);
    let mut text = String::new();
    if options.env {
        writeln!(text, "tcp:{} udp:{}", tcp[0], udp[0])?;
        return Ok(text);
    }
    for (protocol, addresses) in [("udp", udp), ("tcp", tcp)] {
        for address in addresses {
            writeln!(text, "{protocol} {address}")?;
        }
    }
    Ok(text)
}

fn written(target: &HostPort, resolve: bool) -> anyhow::Result<Vec<String>> {
    if !resolve {
        return Ok(vec![target.to_string()]);
    }
    let found = target.resolve().with_context(|| format!("{}: {target}", crate::address::VARIABLE))?;
    Ok(found.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, options: &VerbOptions, expected: &str) {
        assert_eq!(describe(&DaemonAddress::parse(value).unwrap(), options).unwrap(), expected);
    }

    #[test]
    fn prints_hosts_as_written_addresses_or_a_value_for_the_variable() {
        let plain = VerbOptions::default();
        let (resolve, env) = (
            VerbOptions { resolve: true, ..VerbOptions::default() },
            VerbOptions { env: true, ..VerbOptions::default() },
        );
        check("TCP:a:1 UDP:b:2", &plain, "udp b:2\ntcp a:1\n");
        check("", &plain, "udp 127.0.0.1:2000\ntcp 127.0.0.1:2000\n");
        check("127.0.0.1:7", &resolve, "udp 127.0.0.1:7\ntcp 127.0.0.1:7\n");
        check("xray-daemon:2000", &env, "tcp:xray-daemon:2000 udp:xray-daemon:2000\n");
    }

    #[test]
    fn a_host_nobody_knows_is_named() {
        let address = DaemonAddress::parse("no-such-host.invalid:2000").unwrap();
        let error = describe(&address, &VerbOptions { resolve: true, ..VerbOptions::default() }).unwrap_err();
        assert!(format!("{error:#}").starts_with("AWS_XRAY_DAEMON_ADDRESS: no-such-host.invalid:2000: "));
    }
}
