//! Finds the daemon as the X-Ray SDKs do, and looks its name up when it is needed.
//!
//! ```sh
//! AWS_XRAY_DAEMON_ADDRESS='tcp:localhost:2000 udp:localhost:2000' cargo run --example resolve_address
//! ```

use std::io::Write;
use std::time::Instant;
use xrayd::address::{DaemonAddress, LazyAddress, RESOLVE_TTL_MAX};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = DaemonAddress::from_env()?;
    let mut out = std::io::stdout();
    writeln!(out, "as every SDK understands it: {address}")?;
    // Asked again after a minute at most: a daemon behind a name moves.
    let mut udp = LazyAddress::new(address.udp, RESOLVE_TTL_MAX);
    for found in udp.resolve(Instant::now())? {
        writeln!(out, "segments go to {found}")?;
    }
    Ok(())
}
