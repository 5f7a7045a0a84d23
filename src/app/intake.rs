//! Who takes datagrams: the pipeline to X-Ray, the store, or both.

use crate::events::Events;
use crate::pipeline::{Offer, RefusedReason, Shared};
use crate::store::Store;
use crate::udp::Intake;
use std::time::Instant;

/// Documents that go to X-Ray.
#[derive(Debug, Clone)]
pub struct ToXRay {
    pipeline: Shared,
    events: Events,
}

impl ToXRay {
    /// Into this pipeline; what is refused or lost is told to `events`.
    pub fn new(pipeline: Shared, events: Events) -> Self {
        Self { pipeline, events }
    }
}

impl Intake for ToXRay {
    fn take<'a>(&self, now: Instant, datagrams: impl Iterator<Item = &'a [u8]> + Clone) {
        let given_up = self.pipeline.offer_datagrams(now, datagrams, |offer, datagram| {
            if let Offer::Refused(reason) = offer {
                self.events.datagram_refused(reason, datagram);
            }
        });
        if given_up > 0 {
            self.events.memory_full(given_up);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.pipeline.deadline()
    }
}

/// Documents that are kept.
#[derive(Debug, Clone)]
pub(super) struct ToStore {
    pub(super) store: Store,
    /// Told of what is no document; nobody where the way to X-Ray says it already.
    pub(super) events: Option<Events>,
}

impl Intake for ToStore {
    fn take<'a>(&self, _: Instant, datagrams: impl Iterator<Item = &'a [u8]> + Clone) {
        self.store.offer_datagrams(datagrams, |reason| {
            if let Some(events) = &self.events {
                events.datagram_refused(RefusedReason::Datagram(reason), &[]);
            }
        });
    }

    /// The store looks after itself.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// Documents that go to X-Ray, are kept, or both.
#[derive(Debug, Clone)]
pub(super) struct Everywhere {
    pub(super) xray: Option<ToXRay>,
    pub(super) store: Option<ToStore>,
}

impl Intake for Everywhere {
    fn take<'a>(&self, now: Instant, datagrams: impl Iterator<Item = &'a [u8]> + Clone) {
        if let Some(xray) = &self.xray {
            xray.take(now, datagrams.clone());
        }
        if let Some(store) = &self.store {
            store.take(now, datagrams);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.xray.as_ref().and_then(Intake::deadline)
    }
}
