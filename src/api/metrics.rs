//! `/metrics`: the ledger, queues, budget and latencies, as OpenMetrics text.

use super::Api;
use crate::aws::ConnectionError;
use crate::events::{Events, Proxied};
use crate::pipeline::Shared;
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
    pub(super) fn new(pipeline: Shared, events: Events) -> Self {
        let mut registry = Registry::with_prefix("xrayd");
        registry.register_with_unit(
            "send",
            "Time one try to send a batch to X-Ray took",
            Unit::Seconds,
            events.send_seconds().clone(),
        );
        registry.register_collector(Box::new(Numbers { pipeline, events }));
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
    pipeline: Shared,
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
        let snapshot = self.pipeline.snapshot();
        let totals = &snapshot.totals;
        let xray = || ("sink", "xray");
        counters(
            out,
            "documents_received",
            "Segment documents and refused datagrams that came in",
            totals.received_by().map(|(transport, count)| (vec![("transport", transport.label())], count)),
        )?;
        counters(
            out,
            "documents_recovered",
            "Documents taken over from an earlier run",
            [(vec![xray()], totals.recovered)],
        )?;
        counters(out, "documents_sent", "Documents the sink took", [(vec![xray()], totals.sent)])?;
        counters(
            out,
            "documents_stored",
            "Documents the store took",
            [(vec![("sink", "store")], totals.stored)],
        )?;
        counters(
            out,
            "documents_refused",
            "Datagrams that are no documents (sink intake), and documents X-Ray refused",
            totals.refused_by().map(|(reason, count)| {
                let sink = if reason.by_xray() { "xray" } else { "intake" };
                (vec![("sink", sink), ("reason", reason.label())], count)
            }),
        )?;
        counters(
            out,
            "documents_dropped",
            "Good documents that were given up",
            totals.dropped_by().map(|(reason, count)| (vec![xray(), ("reason", reason.label())], count)),
        )?;
        gauges(
            out,
            "documents_waiting",
            "Documents that wait, by place",
            snapshot.waiting.by_place().map(|(place, count)| (vec![xray(), ("place", place)], count)),
        )?;
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
            [(vec![xray()], totals.duplicates_possible)],
        )?;
        self.encode_rest(out, &snapshot)
    }
}

impl Numbers {
    fn encode_rest(
        &self,
        out: &mut DescriptorEncoder<'_>,
        snapshot: &crate::pipeline::Snapshot,
    ) -> fmt::Result {
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
