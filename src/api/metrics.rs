//! `/metrics`: the ledger, queues, budget and latencies, as OpenMetrics text.

use super::Api;
use crate::aws::ConnectionError;
use crate::events::{Events, Proxied};
use crate::pipeline::{Shared, Snapshot, Totals};
use crate::store::ledger::Ledger;
use crate::store::{Status, Store};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;

/// The content type of OpenMetrics text, which Prometheus asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
}

impl Metrics {
    pub(super) fn new(pipeline: Option<Shared>, store: Option<Store>, events: Events) -> Self {
        let mut registry = Registry::with_prefix("xrayd");
        registry.register_with_unit(
            "send",
            "Time one try to send a batch to X-Ray took",
            Unit::Seconds,
            events.send_seconds().clone(),
        );
        registry.register_collector(Box::new(Numbers { pipeline, store, events }));
        Self { registry }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("a String takes everything");
        text
    }
}

pub(super) async fn get(State(api): State<Arc<Api>>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], api.metrics.text()).into_response()
}

/// Everything that is counted elsewhere, read when asked. The ledger comes from one snapshot, so that the
/// numbers of one answer add up.
#[derive(Debug)]
struct Numbers {
    pipeline: Option<Shared>,
    store: Option<Store>,
    events: Events,
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauges<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let out = &mut encoder;
        let (snapshot, stored) = (self.snapshot(), self.store.as_ref().map(Store::status));
        let (snapshot, stored) = (snapshot.as_ref(), stored.as_ref());
        documents(out, snapshot, stored)?;
        if let Some(snapshot) = snapshot {
            sending(out, snapshot)?;
        }
        if let Some(stored) = stored {
            storing(out, stored)?;
        }
        self.encode_rest(out)
    }
}

/// The ledger. Families are written once, whoever has something to say in them.
fn documents(
    out: &mut DescriptorEncoder<'_>,
    snapshot: Option<&Snapshot>,
    stored: Option<&Status>,
) -> fmt::Result {
    let (xray, store) = (("sink", "xray"), ("sink", "store"));
    let totals = snapshot.map(|snapshot| &snapshot.totals);
    let ledger = stored.map(|stored| &stored.ledger);
    let forwarded = totals.into_iter().flat_map(Totals::received_by);
    let forwarded = forwarded.map(|(transport, count)| (vec![("transport", transport.label())], count));
    let kept = ledger.into_iter().flat_map(Ledger::received_by);
    let kept = kept.map(|(transport, count)| (vec![store, ("transport", transport.label())], count));
    counters(
        out,
        "documents_received",
        "Segment documents and refused datagrams that came in; with sink store, those for the store",
        forwarded.chain(kept),
    )?;
    let recovered = totals.map(|totals| (vec![xray], totals.recovered));
    counters(
        out,
        "documents_recovered",
        "Documents taken over from an earlier run",
        recovered.into_iter().chain(ledger.map(|ledger| (vec![store], ledger.recovered))),
    )?;
    let sent = totals.map(|totals| (vec![xray], totals.sent));
    counters(out, "documents_sent", "Documents the sink took", sent)?;
    let kept = (vec![store], ledger.map_or(0, |ledger| ledger.stored));
    counters(out, "documents_stored", "Documents the store took", [kept])?;
    let refused = totals.into_iter().flat_map(Totals::refused_by).map(|(reason, count)| {
        let sink = if reason.by_xray() { "xray" } else { "intake" };
        (vec![("sink", sink), ("reason", reason.label())], count)
    });
    let not_kept = ledger.into_iter().flat_map(Ledger::refused_by);
    counters(
        out,
        "documents_refused",
        "Datagrams that are no documents (sink intake), and documents X-Ray or the store refused",
        refused.chain(not_kept.map(|(reason, count)| (vec![store, ("reason", reason.label())], count))),
    )?;
    let dropped = totals.into_iter().flat_map(Totals::dropped_by);
    let dropped = dropped.map(|(reason, count)| (vec![xray, ("reason", reason.label())], count));
    let lost = ledger.into_iter().flat_map(Ledger::dropped_by);
    counters(
        out,
        "documents_dropped",
        "Good documents that were given up",
        dropped.chain(lost.map(|(reason, count)| (vec![store, ("reason", reason.label())], count))),
    )?;
    let waiting = snapshot.into_iter().flat_map(|snapshot| snapshot.waiting.by_place());
    let waiting = waiting.map(|(place, count)| (vec![xray, ("place", place)], count));
    gauges(
        out,
        "documents_waiting",
        "Documents that wait, by place",
        waiting.chain(ledger.map(|ledger| (vec![store, ("place", "intake")], ledger.waiting))),
    )
}

/// What is on its way to X-Ray.
fn sending(out: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let totals = &snapshot.totals;
    counters(
        out,
        "documents_repaired",
        "Documents with bytes that are not UTF-8",
        [(vec![], totals.repaired)],
    )?;
    counters(
        out,
        "duplicates_possible",
        "Documents in tries whose answer was lost, so that X-Ray may have them twice",
        [(vec![("sink", "xray")], totals.duplicates_possible)],
    )?;
    gauges(out, "sends_open", "Requests to X-Ray under way", [(vec![], snapshot.sends_open as u64)])?;
    gauges(
        out,
        "sends_allowed",
        "Requests to X-Ray allowed at once now",
        [(vec![], snapshot.sends_allowed as u64)],
    )?;
    gauges(
        out,
        "budget_used_bytes",
        "Memory documents and requests use",
        [(vec![], snapshot.budget_used_bytes as u64)],
    )?;
    gauges(
        out,
        "budget_bytes",
        "Memory documents and requests may use",
        [(vec![], snapshot.budget_bytes as u64)],
    )
}

/// What is kept here.
fn storing(out: &mut DescriptorEncoder<'_>, stored: &Status) -> fmt::Result {
    gauges(
        out,
        "store_documents",
        "Documents that can be read, by place",
        [("memory", stored.head_documents), ("blocks", stored.documents - stored.head_documents)]
            .map(|(place, count)| (vec![("place", place)], count)),
    )?;
    gauges(out, "store_blocks", "Block files of the store", [(vec![], stored.blocks as u64)])?;
    gauges(out, "store_bytes", "Bytes the store has on disk, or in memory", [(vec![], stored.bytes)])?;
    counters(
        out,
        "store_damaged_documents",
        "Documents in blocks that were found to be damaged",
        [(vec![], stored.damaged_documents)],
    )?;
    counters(
        out,
        "store_expired_documents",
        "Documents that were deleted because they were too old, or too much",
        [(vec![], stored.expired)],
    )
}

impl Numbers {
    fn snapshot(&self) -> Option<Snapshot> {
        self.pipeline.as_ref().map(Shared::snapshot)
    }

    fn encode_rest(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        counters(
            out,
            "kernel_dropped_datagrams",
            "Datagrams the kernel had no room for",
            [(vec![], self.events.kernel_dropped_total())],
        )?;
        gauges(
            out,
            "receive_buffer_bytes",
            "Receive buffer the kernel granted",
            [(vec![], self.events.receive_buffer_bytes())],
        )?;
        gauges(out, "spool_bytes", "Bytes the spool has on disk", [(vec![], self.events.spool_bytes_now())])?;
        counters(
            out,
            "spool_troubles",
            "Calls to the disk that failed, records that were not written to their end, damage that was found",
            self.events.spool_troubles().map(|(kind, count)| (vec![("kind", kind)], count)),
        )?;
        counters(
            out,
            "backend_connection_errors",
            "Requests to X-Ray that failed, as PutTelemetryRecords sorts them",
            ConnectionError::ALL
                .iter()
                .zip(self.events.connection_errors())
                .map(|(kind, count)| (vec![("kind", kind.label())], count)),
        )?;
        counters(
            out,
            "proxied_requests",
            "Requests of the TCP port that X-Ray had to answer",
            Proxied::ALL
                .iter()
                .zip(self.events.proxied_totals())
                .map(|(how, count)| (vec![("result", how.label())], count)),
        )?;
        let version = [(vec![("version", env!("CARGO_PKG_VERSION"))], 1)];
        gauges(out, "build_info", "The running version", version)
    }
}
