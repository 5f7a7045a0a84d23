//! Parses the command line, builds the daemon, waits for its end, and says how it went.

use anyhow::Context;
use std::path::Path;
use std::process::ExitCode;
use xrayd::config::{Config, Environment, Invocation, Verb, help};
use xrayd::{App, log, shutdown, verbs};

/// Something is wrong with the configuration or the start.
const FAILED: u8 = 1;

/// The daemon ended with documents it could not deliver.
const DROPPED: u8 = 3;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            verbs::complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn run() -> anyhow::Result<u8> {
    let invocation = Invocation::parse(std::env::args().skip(1))?;
    let environment = Environment::of_process();
    match invocation.verb {
        Verb::Help => verbs::print(&help()),
        Verb::Version => verbs::print(&format!("xrayd version: {}\n", env!("CARGO_PKG_VERSION"))),
        Verb::Address => verbs::address::run(&invocation.options),
        Verb::Send => verbs::send::run(&invocation.options, &invocation.operands),
        Verb::Export => verbs::export::run(&invocation.options, &Config::load(&invocation, &environment)?),
        Verb::Import => verbs::import::run(&invocation.operands, &Config::load(&invocation, &environment)?),
        Verb::Healthcheck => verbs::healthcheck::run(&Config::load(&invocation, &environment)?),
        Verb::Run | Verb::Local => return daemon(Config::load(&invocation, &environment)?),
    }
    .map(|()| 0)
}

/// One thread for everything but receiving: a daemon beside an application should cost one core at most.
fn daemon(config: Config) -> anyhow::Result<u8> {
    let log = log::open(&config.logging).with_context(|| {
        let path = config.logging.path.as_deref().unwrap_or(Path::new("standard output"));
        format!("cannot write the log (-f, Logging.LogPath) to {}", path.display())
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let (stop_handle, stop) = shutdown::channel();
        tokio::spawn(stop_handle.on_signals()?);
        App::bind(config)?.run(stop).await
    });
    if let Err(error) = &ended {
        tracing::error!(%error, "cannot go on");
    }
    runtime.shutdown_background();
    drop(log);
    let dropped = ended?.dropped_at_stop();
    Ok(if dropped > 0 { DROPPED } else { 0 })
}
