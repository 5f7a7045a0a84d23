//! What a daemon says of itself when it starts and when it has ended.

use super::Report;
use crate::config::{Config, Storing};
use crate::store::Store;
use crate::store::ledger::Ledger;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// Where SDKs look without being told.
const USUAL_PORT: u16 = 2000;

pub(super) fn start(config: &Config, udp: &UdpSocket, tcp: &TcpListener, store: Option<&Store>) {
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
    if let (Some(storing), Some(store)) = (&config.storing, store) {
        kept(storing, store);
        if let (Ok(udp), Ok(tcp)) = (udp.local_addr(), tcp.local_addr()) {
            how_to_use(udp, tcp);
        }
    }
}

/// Where traces are, and how many.
fn kept(storing: &Storing, store: &Store) {
    let place = storing.directory.as_ref().map_or_else(
        || "memory".to_owned(),
        |directory| {
            std::path::absolute(directory).unwrap_or_else(|_| directory.clone()).display().to_string()
        },
    );
    let status = store.status();
    tracing::info!(
        place,
        documents = status.documents,
        mb = status.bytes / (1024 * 1024),
        max_mb = storing.max_bytes / (1024 * 1024),
        retention_hours = storing.retention.as_secs() / 3600,
        "traces are kept"
    );
}

/// What to open, and what to tell an application.
fn how_to_use(udp: SocketAddr, tcp: SocketAddr) {
    let (udp, tcp) = (reachable(udp), reachable(tcp));
    tracing::info!("traces are shown, and X-Ray's query API is answered, at http://{tcp}");
    if (udp.port(), tcp.port()) == (USUAL_PORT, USUAL_PORT) && udp.ip() == tcp.ip() {
        return;
    }
    if udp == tcp {
        tracing::info!("applications need: export AWS_XRAY_DAEMON_ADDRESS={udp}");
    } else {
        tracing::info!("applications need: export AWS_XRAY_DAEMON_ADDRESS='tcp:{tcp} udp:{udp}'");
    }
}

/// Who listens everywhere is reached at loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    address
}

pub(super) fn end(report: &Report, spool_outlives: bool) {
    let totals = &report.snapshot.totals;
    let (received, sent, refused) = (totals.received_total(), totals.sent, totals.refused_total());
    let (dropped, spooled) = (totals.dropped_total(), report.snapshot.waiting.spool);
    if let Some(stored) = &report.stored {
        kept_at_end(stored);
        if !report.forwarded {
            return;
        }
    }
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

fn kept_at_end(ledger: &Ledger) {
    let (received, stored) = (ledger.received_total(), ledger.stored);
    let (refused, dropped, waiting) = (ledger.refused_total(), ledger.dropped_total(), ledger.waiting);
    if dropped + waiting > 0 {
        tracing::error!(
            received,
            stored,
            refused,
            dropped,
            waiting,
            "the store is closed; some documents are not in it"
        );
    } else {
        tracing::info!(received, stored, refused, dropped, "the store is closed");
    }
}
