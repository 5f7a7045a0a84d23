//! Every operational event: its counter and its log line, together. Documents are counted by the pipeline's
//! ledger; here is what else happens.
//!
//! No line ever holds a document's content, except at TRACE, where a refused datagram's beginning is shown.

mod limit;

use crate::aws::ConnectionError;
use crate::pipeline::{DropReason, Outcome, RefusedReason, Snapshot};
use crate::store;
use crate::store::ledger::Ledger;
use limit::{LogLimit, Said};
use prometheus_client::metrics::histogram::Histogram;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds, in seconds, of the buckets of `xrayd_send_seconds`.
const SEND_BUCKETS_SECS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// A disk that does not answer for this long is a reason to be degraded.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a refused datagram shown at TRACE.
const SHOWN_BYTES: usize = 200;

/// Counts and says what happens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events(Arc<State>);

#[derive(Debug)]
struct State {
    connection_errors: [AtomicU64; ConnectionError::ALL.len()],
    kernel_dropped: AtomicU64,
    answers_unreadable: AtomicU64,
    send_seconds: Histogram,
    proxied: [AtomicU64; Proxied::ALL.len()],
    refused_log: [LogLimit; RefusedReason::ALL.len()],
    memory_log: LogLimit,
    receive_log: LogLimit,
    works_log: LogLimit,
    kernel_log: LogLimit,
    send_log: LogLimit,
    unprocessed_log: LogLimit,
    request_log: LogLimit,
    proxy_log: LogLimit,
    aws: Said,
    credentials: Said,
    failing: Said,
    store_log: LogLimit,
    store_works_log: LogLimit,
    spool: Said,
    spool_log: LogLimit,
    spool_works_log: LogLimit,
    spool_lost_log: LogLimit,
    spool_sync_log: LogLimit,
    spool_file_log: LogLimit,
    spool_bytes: AtomicU64,
    /// Since when the disk has not answered.
    spool_busy: Mutex<Option<Instant>>,
    spool_errors: AtomicU64,
    spool_torn: AtomicU64,
    spool_damaged: AtomicU64,
    receive_buffer_bytes: AtomicU64,
}

/// What became of a request on the TCP port that X-Ray has to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// X-Ray answered.
    Answered,
    /// X-Ray did not; the last good sampling rules were given.
    Cached,
    /// Nobody could answer.
    Unavailable,
}

impl Proxied {
    /// Every variant, in the order they are counted in.
    pub const ALL: [Self; 3] = [Self::Answered, Self::Cached, Self::Unavailable];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cached => "cached",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(State {
            connection_errors: Default::default(),
            kernel_dropped: AtomicU64::new(0),
            answers_unreadable: AtomicU64::new(0),
            send_seconds: Histogram::new(SEND_BUCKETS_SECS),
            proxied: Default::default(),
            refused_log: Default::default(),
            memory_log: LogLimit::default(),
            receive_log: LogLimit::default(),
            works_log: LogLimit::default(),
            kernel_log: LogLimit::default(),
            send_log: LogLimit::default(),
            unprocessed_log: LogLimit::default(),
            request_log: LogLimit::default(),
            proxy_log: LogLimit::default(),
            aws: Said::default(),
            credentials: Said::default(),
            failing: Said::default(),
            store_log: LogLimit::default(),
            store_works_log: LogLimit::default(),
            spool: Said::default(),
            spool_log: LogLimit::default(),
            spool_works_log: LogLimit::default(),
            spool_lost_log: LogLimit::default(),
            spool_sync_log: LogLimit::default(),
            spool_file_log: LogLimit::default(),
            spool_bytes: AtomicU64::new(0),
            spool_busy: Mutex::default(),
            spool_errors: AtomicU64::new(0),
            spool_torn: AtomicU64::new(0),
            spool_damaged: AtomicU64::new(0),
            receive_buffer_bytes: AtomicU64::new(0),
        }))
    }
}

impl Events {
    /// Counters nobody else sees.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        Self::default()
    }

    /// A datagram that is no document was refused; the ledger has counted it.
    #[cold]
    pub fn datagram_refused(&self, reason: RefusedReason, datagram: &[u8]) {
        let at = RefusedReason::ALL.iter().position(|one| *one == reason).unwrap_or_default();
        if let Some(more) = self.0.refused_log[at].admit(Instant::now()) {
            let (reason, bytes) = (reason.label(), datagram.len());
            tracing::warn!(reason, bytes, more, "datagram refused");
            let beginning = String::from_utf8_lossy(&datagram[..bytes.min(SHOWN_BYTES)]);
            tracing::trace!(?beginning, "the refused datagram begins with");
        }
    }

    /// Documents were given up for want of memory; the ledger has counted them.
    #[cold]
    pub fn memory_full(&self, count: usize) {
        if let Some(more) = self.0.memory_log.admit(Instant::now()) {
            let reason = DropReason::Memory.label();
            tracing::error!(
                count,
                reason,
                more,
                "segment documents dropped, the oldest first; raise -m (TotalBufferSizeMB) or see why X-Ray is slow"
            );
        }
    }

    /// The socket gives an error instead of datagrams.
    #[cold]
    pub fn receive_failed(&self, error: &std::io::Error) {
        if let Some(more) = self.0.receive_log.admit(Instant::now()) {
            tracing::error!(%error, more, "receiving fails");
        }
    }

    /// The kernel had no room in the receive buffer for this many datagrams since the last look.
    pub fn kernel_dropped(&self, count: u64) {
        let total = self.0.kernel_dropped.fetch_add(count, Relaxed) + count;
        if let Some(more) = self.0.kernel_log.admit(Instant::now()) {
            tracing::error!(count, total, more, "the kernel dropped datagrams; raise net.core.rmem_max");
        }
    }

    /// How large the kernel made the receive buffer.
    pub fn receive_buffer(&self, granted_bytes: usize, wanted_bytes: usize) {
        self.0.receive_buffer_bytes.store(granted_bytes as u64, Relaxed);
        if granted_bytes < wanted_bytes {
            tracing::warn!(
                granted_bytes,
                wanted_bytes,
                "small receive buffer: bursts may be lost; raise net.core.rmem_max or give CAP_NET_ADMIN"
            );
        } else {
            tracing::debug!(granted_bytes, "receive buffer");
        }
    }

    /// One try to send a batch ended.
    pub fn batch_tried(&self, documents: usize, took: Duration, outcome: &Outcome) {
        self.0.send_seconds.observe(took.as_secs_f64());
        tracing::debug!(documents, seconds = took.as_secs_f64(), ?outcome, "batch tried");
    }

    /// A connection to X-Ray failed, or X-Ray answered with an error.
    pub fn connection_failed(&self, kind: ConnectionError) {
        let at = ConnectionError::ALL.iter().position(|one| *one == kind).unwrap_or_default();
        self.0.connection_errors[at].fetch_add(1, Relaxed);
    }

    /// A batch could not be sent and waits for another try.
    pub fn send_failed(&self, error: &str) {
        self.0.failing.changed(error, Instant::now());
        if let Some(more) = self.0.send_log.admit(Instant::now()) {
            tracing::warn!(%error, more, "sending to X-Ray failed; documents wait for another try");
        }
    }

    /// X-Ray took a batch.
    pub fn sending_works(&self) {
        self.credentials_found();
        if self.0.failing.cleared() && self.0.works_log.admit(Instant::now()).is_some() {
            tracing::info!("X-Ray takes documents again");
        }
    }

    /// X-Ray refused one document.
    pub fn document_refused(
        &self,
        id: Option<&str>,
        trace_id: Option<&str>,
        code: Option<&str>,
        message: Option<&str>,
    ) {
        if let Some(more) = self.0.unprocessed_log.admit(Instant::now()) {
            let [id, trace_id, code, message] = [id, trace_id, code, message].map(Option::unwrap_or_default);
            tracing::error!(id, trace_id, code, message, more, "X-Ray refused a segment document");
        }
    }

    /// A 200 whose body is not what X-Ray answers.
    pub fn answer_unreadable(&self, error: &dyn Display) {
        let total = self.0.answers_unreadable.fetch_add(1, Relaxed) + 1;
        if total.is_power_of_two() {
            tracing::warn!(%error, total, "X-Ray's answer to a batch cannot be read; its documents count as sent");
        }
    }

    /// Region or endpoint are not known yet.
    pub fn aws_missing(&self, error: &str) {
        if self.0.aws.changed(error, Instant::now()) {
            tracing::error!(%error, "cannot send to X-Ray yet; listening, keeping documents, and trying again");
        }
    }

    /// Region and endpoint are known.
    pub fn aws_found(&self, region: &str, endpoint: &str) {
        self.0.aws.cleared();
        tracing::info!(region, endpoint, "X-Ray's region and endpoint are known");
    }

    /// There are no credentials.
    pub fn credentials_missing(&self, error: &str) {
        // What each of the places looked at said comes behind the first line.
        let summary = error.lines().next().unwrap_or_default().trim_end_matches(':');
        if self.0.credentials.changed(summary, Instant::now()) {
            tracing::error!(
                error = summary,
                "no AWS credentials; keeping documents and trying again. Give the task, instance or service account a role with AWSXRayDaemonWriteAccess, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            );
            tracing::debug!(%error, "where credentials were looked for");
        }
    }

    /// There are credentials.
    pub fn credentials_found(&self) {
        if self.0.credentials.cleared() {
            tracing::info!("AWS credentials found");
        }
    }

    /// A telemetry record could not be sent; it is kept.
    pub fn telemetry_failed(&self, error: &dyn std::error::Error) {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::debug!(%error, %cause, "telemetry records wait for the next minute");
    }

    /// A request for X-Ray on the TCP port was answered.
    pub fn proxied(&self, how: Proxied) {
        let at = Proxied::ALL.iter().position(|one| *one == how).unwrap_or_default();
        self.0.proxied[at].fetch_add(1, Relaxed);
    }

    /// X-Ray did not answer a request from the TCP port.
    pub fn proxy_failed(&self, path: &str, error: &dyn Display) {
        if let Some(more) = self.0.proxy_log.admit(Instant::now()) {
            tracing::warn!(path, %error, more, "X-Ray did not answer a request from the TCP port");
        }
    }

    /// A request on the TCP port was refused.
    pub fn request_refused(&self, method: &str, path: &str, reason: &str) {
        if let Some(more) = self.0.request_log.admit(Instant::now()) {
            let path: String = path.chars().take(100).collect();
            tracing::warn!(method, path, reason, more, "request refused");
        }
    }

    /// The spool cannot be used yet; documents wait in memory alone.
    pub fn spool_unavailable(&self, reason: &str) {
        if self.0.spool.changed(reason, Instant::now()) {
            tracing::error!(
                reason,
                "no spool: documents wait in memory alone, and are lost with this process; trying again"
            );
        }
    }

    /// The spool is there.
    pub fn spool_opened(&self, directory: &str, recovered: u64, volatile: bool) {
        self.0.spool.cleared();
        if volatile {
            tracing::warn!(
                directory,
                recovered,
                "the spool is open, in a place that is gone with the container or the next start of the host; mount a volume there"
            );
        } else {
            tracing::info!(directory, recovered, "the spool is open");
        }
    }

    /// The disk did not do what it was asked. What was to be written stays in memory, what was to be read on disk.
    pub fn spool_failed(&self, directory: &str, error: &std::io::Error) {
        self.0.spool_errors.fetch_add(1, Relaxed);
        self.0.spool.changed(&format!("cannot use {directory}: {error}"), Instant::now());
        if let Some(more) = self.0.spool_log.admit(Instant::now()) {
            tracing::error!(directory, %error, more, "the spool's disk fails; documents wait where they are");
        }
    }

    /// The disk did what it was asked.
    pub fn spool_written(&self, bytes: u64) {
        self.spool_bytes(bytes);
        if self.0.spool.cleared() && self.0.spool_works_log.admit(Instant::now()).is_some() {
            tracing::info!("the spool works again");
        }
    }

    /// The disk was asked for something, or has answered.
    pub fn spool_busy(&self, busy: bool) {
        let mut since = self.0.spool_busy.lock().unwrap_or_else(PoisonError::into_inner);
        *since = busy.then(Instant::now);
    }

    /// Bytes all files of the spool have.
    pub fn spool_bytes(&self, bytes: u64) {
        self.0.spool_bytes.store(bytes, Relaxed);
    }

    /// What was written may be gone after a loss of power.
    pub fn spool_not_durable(&self, directory: &str, error: &std::io::Error) {
        self.0.spool_errors.fetch_add(1, Relaxed);
        if let Some(more) = self.0.spool_sync_log.admit(Instant::now()) {
            tracing::warn!(directory, %error, more, "the spool cannot be made durable against a loss of power");
        }
    }

    /// Documents on disk were given up; the ledger has counted them.
    pub fn spool_lost(&self, reason: DropReason, count: usize) {
        if let Some(more) = self.0.spool_lost_log.admit(Instant::now()) {
            let advice = match reason {
                DropReason::SpoolFull => {
                    "; the spool is full: raise --spool-max-mb, give it a larger disk, or see why X-Ray is away"
                }
                _ => "",
            };
            tracing::error!(
                count,
                reason = reason.label(),
                more,
                "segment documents in the spool dropped{advice}"
            );
        }
    }

    /// The last record of a file had not been written to its end when the run that wrote it ended.
    pub fn spool_torn(&self, file: &str, bytes: u64) {
        self.0.spool_torn.fetch_add(1, Relaxed);
        tracing::warn!(file, bytes, "the end of a spool file was not written to its end, and was cut");
    }

    /// Something in a file of the spool is not what was written.
    pub fn spool_damaged(&self, file: &str, why: &str) {
        self.0.spool_damaged.fetch_add(1, Relaxed);
        if let Some(more) = self.0.spool_file_log.admit(Instant::now()) {
            tracing::error!(file, why, more, "a spool file is damaged; what can be read is sent");
        }
    }

    /// The disk did not give back what was written to it.
    pub fn spool_distrusted(&self, directory: &str) {
        let reason =
            format!("{directory} does not give back what was written; nothing more is written for a while");
        self.0.spool.changed(&reason, Instant::now());
    }

    /// A damaged file was put aside after all of it that can be read was dealt with.
    pub fn spool_set_aside(&self, file: &str, name: &str) {
        tracing::warn!(file, name, "a damaged spool file was set aside");
    }

    /// Now and then: what was done since the last time.
    pub fn summary(&self, now: &Snapshot, before: &Snapshot) {
        if now.totals == before.totals {
            return;
        }
        let (totals, last) = (&now.totals, &before.totals);
        tracing::info!(
            received = totals.received_total() - last.received_total(),
            sent = totals.sent - last.sent,
            refused = totals.refused_total() - last.refused_total(),
            dropped = totals.dropped_total() - last.dropped_total(),
            waiting = now.waiting.total(),
            "documents in the last minute"
        );
    }

    /// Now and then: what the store took since the last time.
    pub fn stored_summary(&self, now: &Ledger, before: &Ledger) {
        if now != before {
            tracing::info!(
                received = now.received_total() - before.received_total(),
                stored = now.stored - before.stored,
                refused = now.refused_total() - before.refused_total(),
                dropped = now.dropped_total() - before.dropped_total(),
                waiting = now.waiting,
                "documents for the store in the last minute"
            );
        }
    }

    /// Something happened to the files of the store.
    pub fn store(&self, event: &store::Event) {
        use store::Event;
        match event {
            Event::DiskFailed { doing, error } => {
                if let Some(more) = self.0.store_log.admit(Instant::now()) {
                    tracing::error!(
                        doing = doing.label(),
                        %error,
                        more,
                        "the store's disk fails; documents are kept in memory as long as there is room"
                    );
                }
            }
            Event::DiskRecovered { doing } => {
                if let Some(more) = self.0.store_works_log.admit(Instant::now()) {
                    tracing::info!(doing = doing.label(), more, "the store's disk works again");
                }
            }
            Event::LogDamaged { file, skipped_bytes, torn_bytes } => tracing::warn!(
                file,
                skipped_bytes,
                torn_bytes,
                "the store's log was not written to its end, or was damaged; what documents were in these bytes is not known"
            ),
            Event::LogUnreadable { file, reason, set_aside } => {
                let set_aside = set_aside.as_deref().unwrap_or("not renamed");
                tracing::error!(file, reason, set_aside, "a log of the store is damaged and was set aside");
            }
            Event::BlockDamaged { file, reason, set_aside, documents } => {
                let set_aside = set_aside.as_deref().unwrap_or("not renamed");
                tracing::error!(
                    file,
                    reason,
                    set_aside,
                    documents,
                    "a block of the store is damaged and was set aside with its documents; the rest is answered"
                );
            }
            Event::BlockUnreadable { file, reason } => {
                tracing::error!(
                    file,
                    reason,
                    "a block of the store cannot be read now; the rest is answered"
                );
            }
            Event::Sealed { documents, bytes } => tracing::debug!(documents, bytes, "a block was written"),
            Event::Compacted { blocks, bytes } => tracing::debug!(blocks, bytes, "blocks were put together"),
            Event::Expired { documents } => tracing::debug!(documents, "old documents were deleted"),
        }
    }

    /// What is wrong right now, for `/readyz`: a name and a reason each.
    pub fn degraded(&self) -> Vec<(&'static str, String)> {
        let causes = [
            ("aws", &self.0.aws),
            ("credentials", &self.0.credentials),
            ("sending", &self.0.failing),
            ("spool", &self.0.spool),
        ];
        let hangs =
            self.0.spool_busy.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed());
        let hangs = hangs.filter(|&since| since >= DISK_PATIENCE);
        let hangs =
            hangs.map(|since| ("spool", format!("the disk has not answered for {} s", since.as_secs())));
        let said = causes.into_iter().filter_map(|(name, said)| said.current().map(|reason| (name, reason)));
        said.chain(hangs).collect()
    }

    /// Connection errors so far, in the order of [`ConnectionError::ALL`].
    pub fn connection_errors(&self) -> [u64; ConnectionError::ALL.len()] {
        std::array::from_fn(|at| self.0.connection_errors[at].load(Relaxed))
    }

    /// Datagrams the kernel dropped so far.
    pub fn kernel_dropped_total(&self) -> u64 {
        self.0.kernel_dropped.load(Relaxed)
    }

    /// Requests of the TCP port so far, in the order of [`Proxied::ALL`].
    pub fn proxied_totals(&self) -> [u64; Proxied::ALL.len()] {
        std::array::from_fn(|at| self.0.proxied[at].load(Relaxed))
    }

    /// Bytes of the spool.
    pub fn spool_bytes_now(&self) -> u64 {
        self.0.spool_bytes.load(Relaxed)
    }

    /// Failed calls to the disk, records that were not written to their end, and damage that was found.
    pub fn spool_troubles(&self) -> [(&'static str, u64); 3] {
        let counters = [
            ("error", &self.0.spool_errors),
            ("torn", &self.0.spool_torn),
            ("damaged", &self.0.spool_damaged),
        ];
        counters.map(|(kind, counter)| (kind, counter.load(Relaxed)))
    }

    /// Time each try to send a batch took.
    pub fn send_seconds(&self) -> &Histogram {
        &self.0.send_seconds
    }

    /// Size of the receive buffer as the kernel counts it.
    pub fn receive_buffer_bytes(&self) -> u64 {
        self.0.receive_buffer_bytes.load(Relaxed)
    }
}
