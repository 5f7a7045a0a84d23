//! Takes the ports, starts the rooms, and stops them in order. The only file that knows all others.

mod intake;

pub use intake::ToXRay;

use crate::api::{self, Api, Health, Phase, Server};
use crate::aws::{self, SetupError};
use crate::config::{Config, Stopping};
use crate::events::Events;
use crate::pipeline::{Settled, Shared, Snapshot};
use crate::shutdown::Stop;
use crate::sink::xray::{self, Telemetry};
use crate::spool::Spool;
use crate::udp::{self, Listener};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Silence after which a stopping daemon believes that the last sender has gone: ECS signals all containers of
/// a task together.
const SILENCE: Duration = Duration::from_millis(500);

/// Time the last telemetry record may take.
const LAST_TELEMETRY_TIMEOUT: Duration = Duration::from_secs(2);

/// Time an X-Ray that has taken everything so far has for what came while it did.
const LAST_ROUND_TIMEOUT: Duration = Duration::from_secs(5);

/// Time the spool has for what is left in memory at the very end. Writing to a disk that works takes a few
/// milliseconds.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Time between two summaries in the log.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);

/// A daemon that has its ports.
#[derive(Debug)]
pub struct App {
    config: Config,
    udp: UdpSocket,
    tcp: TcpListener,
    pipeline: Shared,
    events: Events,
}

/// Why a daemon cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A port cannot be had.
    #[error(
        "cannot listen on {protocol} {address}: {source}; is another daemon running? choose an address with {flag}"
    )]
    Bind {
        /// UDP or TCP.
        protocol: &'static str,
        /// The address asked for.
        address: String,
        /// The flag that changes it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The receive thread or the server cannot be started.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    /// No region, and the user asked to exit then.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// All counters at the end.
    pub snapshot: Snapshot,
    /// Documents that had been dropped when the stop began.
    dropped_before: u64,
}

impl Report {
    /// Documents that were dropped since the stop began: not delivered in time and not on disk, or the oldest that
    /// made room for them there.
    pub fn dropped_at_stop(&self) -> u64 {
        self.snapshot.totals.dropped_total() - self.dropped_before
    }
}

impl App {
    /// Takes both ports. Nothing is received before [`App::run`].
    ///
    /// # Errors
    /// The port that cannot be had.
    pub fn bind(config: Config) -> Result<Self, AppError> {
        let failed = |protocol, flag, addresses: &[SocketAddr]| {
            let address = addresses.first().map(SocketAddr::to_string).unwrap_or_default();
            move |source| AppError::Bind { protocol, address, flag, source }
        };
        let (inherited_udp, inherited_tcp) = if config.listen.inherited { inherited() } else { (None, None) };
        let udp = inherited_udp
            .map_or_else(|| api::first_that_works(&config.listen.udp, udp::bind), Ok)
            .map_err(failed("UDP", "-b", &config.listen.udp))?;
        let tcp = inherited_tcp.map_or_else(|| api::bind(&config.listen.tcp), Ok).map_err(failed(
            "TCP",
            "-t",
            &config.listen.tcp,
        ))?;
        let pipeline = Shared::new(&config.pipeline);
        Ok(Self { config, udp, tcp, pipeline, events: Events::default() })
    }

    /// Where documents are received.
    ///
    /// # Errors
    /// What the socket says.
    pub fn udp_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Where requests are answered.
    ///
    /// # Errors
    /// What the socket says.
    pub fn tcp_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The pipeline, to look at its ledger.
    pub fn pipeline(&self) -> Shared {
        self.pipeline.clone()
    }

    /// Runs until `stop`, then delivers what waits.
    ///
    /// # Errors
    /// When it cannot start, or finds no region and was told to exit then.
    pub async fn run(self, mut stop: Stop) -> Result<Report, AppError> {
        let stopping = self.config.stopping.clone();
        let mut rooms = Rooms::start(self)?;
        tokio::select! {
            () = stop.requested() => {}
            // The search ends only when it was told to give up.
            Ok(Err(error)) = &mut rooms.search => {
                let at_once = Stopping { linger: Duration::ZERO, timeout: Duration::ZERO };
                rooms.end(&at_once, stop).await;
                return Err(error.into());
            }
        }
        Ok(rooms.end(&stopping, stop).await)
    }
}

/// The sockets systemd keeps for this process while it restarts, so that no datagram finds a closed port.
fn inherited() -> (Option<UdpSocket>, Option<TcpListener>) {
    let mut given = listenfd::ListenFd::from_env();
    // A socket of another kind stays where it is.
    let udp = (0..given.len()).find_map(|at| given.take_udp_socket(at).ok().flatten());
    let tcp = (0..given.len()).find_map(|at| given.take_tcp_listener(at).ok().flatten());
    let used = usize::from(udp.is_some()) + usize::from(tcp.is_some());
    if given.len() > used {
        let (given, used) = (given.len(), used);
        tracing::warn!(
            given,
            used,
            "of the sockets handed over (LISTEN_FDS) one UDP and one TCP socket are used"
        );
    }
    (udp, tcp)
}

/// A running daemon. Dropped, its tasks end by themselves.
struct Rooms {
    pipeline: Shared,
    listener: Arc<Mutex<Listener>>,
    spool: Option<Spool>,
    health: Health,
    /// How far the end has come; every task but the search ends by it.
    ending: watch::Sender<Ending>,
    server: JoinHandle<()>,
    sink: JoinHandle<()>,
    telemetry: JoinHandle<()>,
    summaries: JoinHandle<()>,
    search: JoinHandle<Result<(), SetupError>>,
}

impl Rooms {
    fn start(app: App) -> Result<Self, AppError> {
        let App { config, udp, tcp, pipeline, events } = app;
        say_start(&config, &udp, &tcp);
        let spool = config.spool.clone();
        let spool =
            spool.map(|settings| Spool::start(settings, pipeline.clone(), events.clone())).transpose()?;
        let listener =
            Listener::start(udp, &config.udp, ToXRay::new(pipeline.clone(), events.clone()), events.clone())?;
        let listener = Arc::new(Mutex::new(listener));
        let health = {
            let listener = listener.clone();
            Health::new(move || lock(&listener).is_alive())
        };
        let (aws, search) = aws::search(config.aws.clone(), events.clone());
        let ending = watch::Sender::new(Ending::Running);
        let at = |wanted| until(ending.subscribe(), wanted);

        let api =
            Api::new(pipeline.clone(), events.clone(), health.clone(), aws.clone(), config.http.clone());
        let server = tokio::spawn(Server::new(tcp, api.router())?.run(at(Ending::Counted)));
        let metadata = (!config.aws.local_mode).then(|| config.aws.clone());
        let telemetry = Telemetry::new(pipeline.clone(), events.clone(), config.telemetry.clone(), metadata);
        let telemetry = tokio::spawn(telemetry.run(aws.clone(), at(Ending::Counted)));
        let sink = tokio::spawn(xray::run(pipeline.clone(), aws, events.clone(), at(Ending::Delivered)));
        let summaries = tokio::spawn(summaries(pipeline.clone(), events, at(Ending::Counted)));
        let search = tokio::spawn(search.run(config.exit_without_region));
        health.enter(Phase::Running);
        Ok(Self { pipeline, listener, spool, health, ending, server, sink, telemetry, summaries, search })
    }

    /// Receives until the senders are silent, delivers, counts what could not be delivered, and says so.
    async fn end(self, stopping: &Stopping, mut stop: Stop) -> Report {
        self.health.enter(Phase::Stopping);
        let dropped_before = self.pipeline.snapshot().totals.dropped_total();
        let end_at = tokio::time::Instant::now() + stopping.timeout;
        // The last telemetry record needs its moment too.
        let last_record = LAST_TELEMETRY_TIMEOUT.min(stopping.timeout / 4);
        let give_up_at = end_at.checked_sub(last_record).unwrap_or(end_at);
        linger(&self.listener, stopping.linger.min(stopping.timeout), &mut stop).await;
        self.pipeline.close_intake(Instant::now());
        let outlives = self.spool.as_ref().is_some_and(Spool::outlives_this_run);
        // Datagrams are received meanwhile: until somebody replaces this daemon, nobody else takes them.
        let settled = tokio::select! {
            settled = self.pipeline.settled(outlives) => Some(settled),
            () = tokio::time::sleep_until(give_up_at) => None,
            () = stop.insisted() => None,
        };
        lock(&self.listener).stop();
        self.pipeline.close_intake(Instant::now());
        if settled == Some(Settled::Delivered) {
            // What came meanwhile. With a disk to leave it on, a restart need not wait long for it.
            let soon = tokio::time::Instant::now() + LAST_ROUND_TIMEOUT;
            let last_round_at = if outlives { give_up_at.min(soon) } else { give_up_at };
            tokio::select! {
                _ = tokio::time::timeout_at(last_round_at, self.pipeline.settled(outlives)) => {}
                () = stop.insisted() => {}
            }
        }
        self.ending.send_replace(Ending::Delivered);
        let _ = self.sink.await;
        if let Some(spool) = self.spool
            && !spool.finish(tokio::time::Instant::now() + LAST_WRITE_TIMEOUT).await
        {
            tracing::error!("the spool's disk does not answer");
        }
        self.pipeline.drop_waiting();
        self.ending.send_replace(Ending::Counted);
        // Health was answered until now; requests under way and the last record get what is left of the time. An
        // X-Ray that takes no documents hardly takes a record, and a restart should be quick.
        let for_the_record = match settled {
            Some(Settled::OnDisk) => LAST_TELEMETRY_TIMEOUT / 8,
            _ => LAST_TELEMETRY_TIMEOUT,
        };
        let last_at = end_at.min(tokio::time::Instant::now() + for_the_record);
        tokio::select! {
            _ = tokio::time::timeout_at(last_at, async { (self.telemetry.await, self.server.await) }) => {}
            () = stop.insisted() => {}
        }
        let _ = self.summaries.await;
        self.search.abort();
        let report = Report { snapshot: self.pipeline.snapshot(), dropped_before };
        say_end(&report, outlives);
        report
    }
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Ending {
    Running,
    /// All is delivered, or the time for it is over.
    Delivered,
    /// What could not be delivered is counted.
    Counted,
}

async fn until(mut ended: watch::Receiver<Ending>, wanted: Ending) {
    // The sender lives as long as the run; without it the end has come in any case.
    let _ = ended.wait_for(|now| *now >= wanted).await;
}

/// Goes on receiving until nothing has come for a while.
async fn linger(listener: &Mutex<Listener>, most: Duration, stop: &mut Stop) {
    let silent = async {
        loop {
            let remaining = SILENCE.saturating_sub(lock(listener).silent_for());
            if remaining.is_zero() {
                return;
            }
            tokio::time::sleep(remaining).await;
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(most, silent) => {}
        () = stop.insisted() => {}
    }
}

async fn summaries(pipeline: Shared, events: Events, stop: impl Future<Output = ()>) {
    let mut ticks =
        tokio::time::interval_at(tokio::time::Instant::now() + SUMMARY_INTERVAL, SUMMARY_INTERVAL);
    let mut before = pipeline.snapshot();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        let now = pipeline.snapshot();
        events.summary(&now, &before);
        before = now;
    }
}

fn lock(listener: &Mutex<Listener>) -> std::sync::MutexGuard<'_, Listener> {
    listener.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say_start(config: &Config, udp: &UdpSocket, tcp: &TcpListener) {
    let address =
        |address: io::Result<SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        udp = address(udp.local_addr()),
        tcp = address(tcp.local_addr()),
        spool = config.spool.as_ref().map_or_else(|| "none".to_owned(), |spool| spool.disk.place()),
        budget_mb = (config.pipeline.budget_bytes + config.http.body_budget_bytes) / (1024 * 1024),
        "xrayd listens"
    );
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.aws.no_verify_ssl {
        tracing::warn!("NoVerifySSL: X-Ray's certificate is not checked");
    }
}

fn say_end(report: &Report, spool_outlives: bool) {
    let totals = &report.snapshot.totals;
    let (received, sent, refused) = (totals.received_total(), totals.sent, totals.refused_total());
    let (dropped, spooled) = (totals.dropped_total(), report.snapshot.waiting.spool);
    if report.dropped_at_stop() > 0 {
        tracing::error!(
            received,
            sent,
            refused,
            dropped,
            spooled,
            "stopped; documents that could not be delivered are lost"
        );
    } else if spooled > 0 && !spool_outlives {
        tracing::warn!(
            received,
            sent,
            refused,
            dropped,
            spooled,
            "stopped; documents in the spool are lost with this container"
        );
    } else {
        tracing::info!(received, sent, refused, dropped, spooled, "stopped");
    }
}
