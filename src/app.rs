//! Takes the ports, starts the rooms, and stops them in order. The only file that knows all others.

mod forwarding;
mod intake;
mod say;
mod storing;

pub use intake::ToXRay;
pub use storing::StoringError;

use crate::api::{self, Api, Health, Local, Phase, Server};
use crate::aws::SetupError;
use crate::config::{Config, Stopping};
use crate::events::Events;
use crate::pipeline::{Shared, Snapshot};
use crate::shutdown::Stop;
use crate::store::Store;
use crate::store::ledger::Ledger;
use crate::udp::{self, Listener};
use forwarding::Forwarding;
use intake::{Everywhere, ToStore};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Silence after which a stopping daemon believes that the last sender has gone: ECS signals all containers of
/// a task together.
const SILENCE: Duration = Duration::from_millis(500);

/// Time between two summaries in the log.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);

/// A daemon that has its ports.
#[derive(Debug)]
pub struct App {
    config: Config,
    udp: UdpSocket,
    tcp: TcpListener,
    pipeline: Shared,
    local: Option<Local>,
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
    /// Nothing can be kept.
    #[error(transparent)]
    Storing(#[from] StoringError),
    /// No region, and the user asked to exit then.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// All counters at the end, of what was to be forwarded.
    pub snapshot: Snapshot,
    /// The store's, where there is one.
    pub stored: Option<Ledger>,
    /// There was a way to X-Ray.
    forwarded: bool,
    /// Documents that had been dropped when the stop began.
    dropped_before: u64,
}

impl Report {
    /// Documents that were dropped since the stop began: not delivered in time and not on disk, or the oldest that
    /// made room for them there.
    pub fn dropped_at_stop(&self) -> u64 {
        // What still waits there when its time is over is lost with the process.
        let stored = self.stored.as_ref().map_or(0, |stored| stored.dropped_total() + stored.waiting);
        self.snapshot.totals.dropped_total() + stored - self.dropped_before
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
        let events = Events::default();
        let local = config.storing.as_ref().map(|storing| storing::open(storing, &events)).transpose()?;
        Ok(Self { config, udp, tcp, pipeline, local, events })
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

    /// The store, to look at its ledger.
    pub fn store(&self) -> Option<Store> {
        self.local.as_ref().map(|local| local.store().clone())
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
            error = rooms.given_up() => {
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
    health: Health,
    /// How far the end has come; every task but the search ends by it.
    ending: watch::Sender<Ending>,
    server: JoinHandle<()>,
    forwarding: Option<Forwarding>,
    store: Option<Store>,
    summaries: JoinHandle<()>,
}

impl Rooms {
    fn start(app: App) -> Result<Self, AppError> {
        let App { config, udp, tcp, pipeline, local, events } = app;
        let store = local.as_ref().map(|local| local.store().clone());
        say::start(&config, &udp, &tcp, store.as_ref());
        let ending = watch::Sender::new(Ending::Running);
        let at = |wanted| until(ending.subscribe(), wanted);
        let forwarding = if config.forward {
            Some(Forwarding::start(&config, &pipeline, &events, &ending)?)
        } else {
            None
        };
        let intake = Everywhere {
            xray: config.forward.then(|| ToXRay::new(pipeline.clone(), events.clone())),
            store: store
                .clone()
                .map(|store| ToStore { store, events: (!config.forward).then(|| events.clone()) }),
        };
        let listener = Listener::start(udp, &config.udp, intake, events.clone())?;
        let listener = Arc::new(Mutex::new(listener));
        let health = {
            let listener = listener.clone();
            Health::new(move || lock(&listener).is_alive())
        };
        let forward = forwarding.as_ref().map(|forwarding| (pipeline.clone(), forwarding.aws.clone()));
        let api = Api::new(forward, local, events.clone(), health.clone(), config.http.clone());
        let server = tokio::spawn(Server::new(tcp, api.router())?.run(at(Ending::Counted)));
        let summaries = tokio::spawn(summaries(pipeline.clone(), store.clone(), events, at(Ending::Counted)));
        health.enter(Phase::Running);
        Ok(Self { pipeline, listener, health, ending, server, forwarding, store, summaries })
    }

    /// Receives until the senders are silent, delivers, counts what could not be delivered, and says so.
    async fn end(self, stopping: &Stopping, mut stop: Stop) -> Report {
        self.health.enter(Phase::Stopping);
        let dropped_before = self.dropped();
        let end_at = tokio::time::Instant::now() + stopping.timeout;
        linger(&self.listener, stopping.linger.min(stopping.timeout), &mut stop).await;
        self.pipeline.close_intake(Instant::now());
        let outlives = self.forwarding.as_ref().is_some_and(Forwarding::outlives_this_run);
        let forwarded = self.forwarding.is_some();
        let last_at = match self.forwarding {
            Some(forwarding) => {
                forwarding.deliver(&self.pipeline, &self.listener, &self.ending, end_at, &mut stop).await
            }
            None => end_at,
        };
        lock(&self.listener).stop();
        self.ending.send_replace(Ending::Counted);
        // Health was answered until now; requests under way get what is left of the time.
        tokio::select! {
            _ = tokio::time::timeout_at(last_at, self.server) => {}
            () = stop.insisted() => {}
        }
        let _ = self.summaries.await;
        if let Some(store) = &self.store {
            let left = end_at.saturating_duration_since(tokio::time::Instant::now());
            storing::close(store.clone(), left, &mut stop).await;
        }
        let stored = self.store.as_ref().map(Store::ledger);
        let report = Report { snapshot: self.pipeline.snapshot(), stored, forwarded, dropped_before };
        say::end(&report, outlives);
        report
    }

    fn dropped(&self) -> u64 {
        let stored = self.store.as_ref().map_or(0, |store| store.ledger().dropped_total());
        self.pipeline.snapshot().totals.dropped_total() + stored
    }

    /// The search for AWS ends only when it was told to give up.
    async fn given_up(&mut self) -> SetupError {
        match &mut self.forwarding {
            Some(forwarding) => match (&mut forwarding.search).await {
                Ok(Err(error)) => error,
                _ => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
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

async fn summaries(pipeline: Shared, store: Option<Store>, events: Events, stop: impl Future<Output = ()>) {
    let mut ticks =
        tokio::time::interval_at(tokio::time::Instant::now() + SUMMARY_INTERVAL, SUMMARY_INTERVAL);
    let mut before = pipeline.snapshot();
    let mut stored_before = store.as_ref().map(Store::ledger);
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        let now = pipeline.snapshot();
        events.summary(&now, &before);
        before = now;
        if let (Some(store), Some(before)) = (&store, &mut stored_before) {
            let now = store.ledger();
            events.stored_summary(&now, before);
            *before = now;
        }
    }
}

fn lock(listener: &Mutex<Listener>) -> std::sync::MutexGuard<'_, Listener> {
    listener.lock().unwrap_or_else(PoisonError::into_inner)
}
