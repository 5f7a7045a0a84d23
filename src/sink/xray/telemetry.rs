//! PutTelemetryRecords: once a minute what the daemon did, as the official daemon tells X-Ray.
//!
//! Rules as in `aws/aws-xray-daemon`, `pkg/telemetry/telemetry.go`: nothing before the first document, at most
//! thirty records kept, ten for each call. Unlike there, connection errors are really counted.

use crate::aws::{Aws, ConnectionError, Settings, Signed, instance_metadata};
use crate::events::Events;
use crate::pipeline::{Shared, Snapshot};
use aws_sdk_xray::primitives::DateTime;
use aws_sdk_xray::types::{BackendConnectionErrors, TelemetryRecord};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// Time between two records.
const INTERVAL: Duration = Duration::from_secs(60);

/// Most records kept while X-Ray does not take them.
const RECORDS_MAX: usize = 30;

/// Most records in one call.
const RECORDS_PER_CALL: usize = 10;

/// What the records say about where the daemon runs.
#[derive(Debug, Clone, Default)]
pub struct TelemetrySource {
    /// `-a`: the resource that runs the daemon.
    pub resource_arn: String,
    /// `AWS_HOSTNAME`, or what the instance says.
    pub hostname: Option<String>,
    /// `AWS_INSTANCE_ID`, or what the instance says.
    pub instance_id: Option<String>,
}

/// Collects a record a minute and sends it.
#[derive(Debug)]
pub struct Telemetry {
    pipeline: Shared,
    events: Events,
    source: TelemetrySource,
    /// Asked for what the source does not say; none in local mode.
    metadata: Option<Settings>,
    last: Counts,
    records: VecDeque<TelemetryRecord>,
}

/// Counters at the last record.
#[derive(Debug, Clone, Default)]
struct Counts {
    received: u64,
    refused: u64,
    sent: u64,
    dropped: u64,
    errors: [u64; ConnectionError::ALL.len()],
}

impl Telemetry {
    /// Nothing is asked or sent before [`Telemetry::run`].
    pub fn new(
        pipeline: Shared,
        events: Events,
        source: TelemetrySource,
        metadata: Option<Settings>,
    ) -> Self {
        Self { pipeline, events, source, metadata, last: Counts::default(), records: VecDeque::new() }
    }

    /// A record a minute, until `stop`; then the last one.
    pub async fn run(mut self, aws: Aws, stop: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + INTERVAL, INTERVAL);
        let mut stop = std::pin::pin!(stop);
        let mut stopping = false;
        while !stopping {
            tokio::select! {
                () = &mut stop => stopping = true,
                _ = ticks.tick() => {}
            }
            self.collect(SystemTime::now());
            if !self.records.is_empty()
                && let Some(signed) = aws.get()
            {
                if !stopping {
                    self.ask_instance().await;
                }
                self.send(&signed).await;
            }
        }
    }

    fn collect(&mut self, now: SystemTime) {
        let counts = Counts::of(&self.pipeline.snapshot(), self.events.connection_errors());
        if counts.received == 0 {
            return;
        }
        let record = counts.since(&self.last, now);
        self.last = counts;
        if self.records.len() == RECORDS_MAX {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    async fn ask_instance(&mut self) {
        let Some(settings) = self.metadata.take() else { return };
        if self.source.hostname.is_none() {
            self.source.hostname = instance_metadata(&settings, "hostname").await;
        }
        if self.source.instance_id.is_none() {
            self.source.instance_id = instance_metadata(&settings, "instance-id").await;
        }
    }

    async fn send(&mut self, signed: &Signed) {
        while !self.records.is_empty() {
            let count = self.records.len().min(RECORDS_PER_CALL);
            let records: Vec<_> = self.records.iter().take(count).cloned().collect();
            let call = signed
                .telemetry()
                .put_telemetry_records()
                .set_telemetry_records(Some(records))
                .ec2_instance_id(self.source.instance_id.clone().unwrap_or_default())
                .hostname(self.source.hostname.clone().unwrap_or_default())
                .resource_arn(&self.source.resource_arn);
            if let Err(error) = call.send().await {
                self.events.telemetry_failed(&error);
                return;
            }
            self.records.drain(..count);
        }
    }
}

impl Counts {
    fn of(snapshot: &Snapshot, errors: [u64; ConnectionError::ALL.len()]) -> Self {
        let totals = &snapshot.totals;
        Self {
            received: totals.received_total(),
            refused: totals.refused_total(),
            sent: totals.sent,
            dropped: totals.dropped_total(),
            errors,
        }
    }

    fn since(&self, last: &Self, now: SystemTime) -> TelemetryRecord {
        let difference = |now: u64, before: u64| i32::try_from(now - before).unwrap_or(i32::MAX);
        let error = |kind: ConnectionError| {
            let at = ConnectionError::ALL.iter().position(|one| *one == kind).expect("ALL has every variant");
            difference(self.errors[at], last.errors[at])
        };
        let errors = BackendConnectionErrors::builder()
            .timeout_count(error(ConnectionError::Timeout))
            .connection_refused_count(error(ConnectionError::Refused))
            .http_code4_xx_count(error(ConnectionError::Http4xx))
            .http_code5_xx_count(error(ConnectionError::Http5xx))
            .unknown_host_count(error(ConnectionError::UnknownHost))
            .other_count(error(ConnectionError::Other))
            .build();
        TelemetryRecord::builder()
            .timestamp(DateTime::from(now))
            .segments_received_count(difference(self.received, last.received))
            .segments_rejected_count(difference(self.refused, last.refused))
            .segments_sent_count(difference(self.sent, last.sent))
            .segments_spillover_count(difference(self.dropped, last.dropped))
            .backend_connection_errors(errors)
            .build()
            .expect("the timestamp, the one required member, is set")
    }
}
