//! Runs the collector inside another program, and ends with what became of the documents.
//!
//! ```sh
//! cargo run --example embed_collector -- -n eu-central-1 -b 127.0.0.1:0 -t 127.0.0.1:0
//! ```

use std::io::Write;
use xrayd::config::{Config, Environment, Invocation};
use xrayd::{App, shutdown};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Flags, XRAYD_ variables and cfg.yaml, as the daemon reads them. `config` is plain data: change what you like.
    let invocation = Invocation::parse(std::env::args().skip(1))?;
    let config = Config::load(&invocation, &Environment::of_process())?;

    let app = App::bind(config)?;
    let (udp, tcp) = (app.udp_addr()?, app.tcp_addr()?);
    writeln!(std::io::stdout(), "export AWS_XRAY_DAEMON_ADDRESS='tcp:{tcp} udp:{udp}'")?;

    // Whoever holds the handle may stop it; here it is Ctrl-C.
    let (handle, stop) = shutdown::channel();
    tokio::spawn(handle.on_signals()?);
    let report = app.run(stop).await?;

    let totals = report.snapshot.totals;
    let (received, sent, dropped) = (totals.received_total(), totals.sent, totals.dropped_total());
    writeln!(std::io::stdout(), "received {received}, sent {sent}, dropped {dropped}")?;
    Ok(())
}
