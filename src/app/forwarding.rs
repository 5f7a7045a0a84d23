//! What a daemon has that forwards to AWS X-Ray: the way there, the disk for what does not get there, and records
//! about it.

use super::{Ending, lock, until};
use crate::aws::{self, Aws, SetupError};
use crate::config::Config;
use crate::events::Events;
use crate::pipeline::{Settled, Shared};
use crate::shutdown::Stop;
use crate::sink::xray::{self, Telemetry};
use crate::spool::Spool;
use crate::udp::Listener;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Time the last telemetry record may take.
const LAST_TELEMETRY_TIMEOUT: Duration = Duration::from_secs(2);

/// Time an X-Ray that has taken everything so far has for what came while it did.
const LAST_ROUND_TIMEOUT: Duration = Duration::from_secs(5);

/// Time the spool has for what is left in memory at the very end. Writing to a disk that works takes a few
/// milliseconds.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Forwarding {
    pub(super) aws: Aws,
    pub(super) search: JoinHandle<Result<(), SetupError>>,
    spool: Option<Spool>,
    sink: JoinHandle<()>,
    telemetry: JoinHandle<()>,
}

impl Forwarding {
    pub(super) fn start(
        config: &Config,
        pipeline: &Shared,
        events: &Events,
        ending: &watch::Sender<Ending>,
    ) -> io::Result<Self> {
        let at = |wanted| until(ending.subscribe(), wanted);
        let spool = config.spool.clone();
        let spool =
            spool.map(|settings| Spool::start(settings, pipeline.clone(), events.clone())).transpose()?;
        let (aws, search) = aws::search(config.aws.clone(), events.clone());
        let metadata = (!config.aws.local_mode).then(|| config.aws.clone());
        let telemetry = Telemetry::new(pipeline.clone(), events.clone(), config.telemetry.clone(), metadata);
        let telemetry = tokio::spawn(telemetry.run(aws.clone(), at(Ending::Counted)));
        let sink =
            tokio::spawn(xray::run(pipeline.clone(), aws.clone(), events.clone(), at(Ending::Delivered)));
        let search = tokio::spawn(search.run(config.exit_without_region));
        Ok(Self { aws, search, spool, sink, telemetry })
    }

    /// What is on disk is there for the next run.
    pub(super) fn outlives_this_run(&self) -> bool {
        self.spool.as_ref().is_some_and(Spool::outlives_this_run)
    }

    /// Delivers what waits until it is gone, on disk, or its time is over; counts the rest. Returns until when others
    /// may finish.
    pub(super) async fn deliver(
        self,
        pipeline: &Shared,
        listener: &Mutex<Listener>,
        ending: &watch::Sender<Ending>,
        end_at: tokio::time::Instant,
        stop: &mut Stop,
    ) -> tokio::time::Instant {
        let left = end_at.saturating_duration_since(tokio::time::Instant::now());
        // The last telemetry record needs its moment too.
        let last_record = LAST_TELEMETRY_TIMEOUT.min(left / 4);
        let give_up_at = end_at.checked_sub(last_record).unwrap_or(end_at);
        let outlives = self.outlives_this_run();
        // Datagrams are received meanwhile: until somebody replaces this daemon, nobody else takes them.
        let settled = tokio::select! {
            settled = pipeline.settled(outlives) => Some(settled),
            () = tokio::time::sleep_until(give_up_at) => None,
            () = stop.insisted() => None,
        };
        lock(listener).stop();
        pipeline.close_intake(Instant::now());
        if settled == Some(Settled::Delivered) {
            // What came meanwhile. With a disk to leave it on, a restart need not wait long for it.
            let soon = tokio::time::Instant::now() + LAST_ROUND_TIMEOUT;
            let last_round_at = if outlives { give_up_at.min(soon) } else { give_up_at };
            tokio::select! {
                _ = tokio::time::timeout_at(last_round_at, pipeline.settled(outlives)) => {}
                () = stop.insisted() => {}
            }
        }
        ending.send_replace(Ending::Delivered);
        let _ = self.sink.await;
        if let Some(spool) = self.spool
            && !spool.finish(tokio::time::Instant::now() + LAST_WRITE_TIMEOUT).await
        {
            tracing::error!("the spool's disk does not answer");
        }
        pipeline.drop_waiting();
        ending.send_replace(Ending::Counted);
        // An X-Ray that takes no documents hardly takes a record, and a restart should be quick.
        let for_the_record = match settled {
            Some(Settled::OnDisk) => LAST_TELEMETRY_TIMEOUT / 8,
            _ => LAST_TELEMETRY_TIMEOUT,
        };
        let last_at = end_at.min(tokio::time::Instant::now() + for_the_record);
        tokio::select! {
            _ = tokio::time::timeout_at(last_at, self.telemetry) => {}
            () = stop.insisted() => {}
        }
        self.search.abort();
        last_at
    }
}
