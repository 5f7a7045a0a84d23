//! Who takes datagrams: the pipeline to X-Ray, the store, or both.

use crate::events::Events;
use crate::pipeline::{Offer, Shared};
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
