//! Makes the log durable once a second, on a thread of its own: on a slow disk that takes seconds, and what comes
//! meanwhile has to be written.

use super::folder::LogFile;
use super::shared::{Doing, Shared};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is written survives a loss of power after this long.
const INTERVAL: Duration = Duration::from_secs(1);

/// Files with something in them that may not survive a loss of power.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Arc<dyn LogFile>>,
    ending: bool,
}

impl Dirty {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was written to this file.
    pub(super) fn add(&self, file: &Arc<dyn LogFile>) {
        let mut state = self.lock();
        if !state.files.iter().any(|known| Arc::ptr_eq(known, file)) {
            state.files.push(file.clone());
            self.changed.notify_all();
        }
    }

    /// Makes durable what is left, and ends.
    pub(super) fn end(&self) {
        self.lock().ending = true;
        self.changed.notify_all();
    }

    /// Has it look at the clock again.
    #[cfg(test)]
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Waits for files, and then for the time they are due. None at the end.
    fn take(&self, shared: &Shared, last: Duration) -> Option<Vec<Arc<dyn LogFile>>> {
        let mut state = self.lock();
        loop {
            let now = shared.clock.monotonic();
            let due = last + INTERVAL;
            if !state.files.is_empty() && (now >= due || state.ending) {
                return Some(mem::take(&mut state.files));
            }
            if state.ending {
                return None;
            }
            state = if state.files.is_empty() {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = self.changed.wait_timeout(state, due.saturating_sub(now));
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

/// The thread.
pub(super) fn run(shared: &Shared) {
    let mut last = shared.clock.monotonic();
    while let Some(files) = shared.dirty.take(shared, last) {
        last = shared.clock.monotonic();
        let under_way = shared.begin(Doing::Sync);
        let synced = files.iter().try_for_each(|file| file.sync());
        drop(under_way);
        match synced {
            Ok(()) => shared.works(Doing::Sync),
            Err(error) => shared.failed(Doing::Sync, &error),
        }
    }
}
