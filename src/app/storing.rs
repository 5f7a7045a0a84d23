//! What a daemon has that keeps documents: the store, and X-Ray on this machine that answers from it.

use crate::api::{Local, LocalError};
use crate::config::Storing;
use crate::events::Events;
use crate::shutdown::Stop;
use crate::store::{self, OpenError, Place, Store, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// Time the store has to write and seal what is left at the end: some 40 MB, on a disk that works.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoringError {
    /// The directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something in it cannot be read.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// Opens the store, and X-Ray on it.
pub(super) fn open(settings: &Storing, events: &Events) -> Result<Local, StoringError> {
    let place = settings.directory.clone().map_or(Place::Memory, Place::Directory);
    let for_store = store::Settings {
        retention: settings.retention,
        max_bytes: settings.max_bytes,
        durable: settings.durable,
        intake_bytes: settings.intake_bytes,
        ..store::Settings::new(place)
    };
    let listener = {
        let events = events.clone();
        store::Listener::new(move |event| events.store(event))
    };
    let store = Store::open(for_store, Arc::new(SystemClock::default()), listener)?;
    Ok(Local::new(store, settings)?)
}

/// Writes and seals what there is, as long as there is time and nobody insists.
pub(super) async fn close(store: Store, left: Duration, stop: &mut Stop) {
    // A disk that hangs must not keep the process.
    let patience = STOP_TIMEOUT.min(left.max(Duration::from_secs(1)));
    let stopping = tokio::task::spawn_blocking(move || store.stop(patience));
    let stopped = tokio::select! {
        stopped = stopping => stopped,
        () = stop.insisted() => return,
    };
    let Ok(stopped) = stopped else { return };
    if stopped.unwritten > 0 {
        tracing::error!(
            documents = stopped.unwritten,
            "the store's disk does not take documents; they are lost"
        );
    }
    if !stopped.in_time {
        tracing::error!("the store did not end in time; the next start reads what was written");
    }
}
