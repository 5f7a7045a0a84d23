//! The one byte budget, and the bodies that are used again.
//!
//! Copying a document into a body that was used before costs a tenth of what the page faults of a fresh one
//! cost, so bodies go back to a pool when the last user is done with them.

use super::batch::Batch;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest request body kept for reuse. A body that once held 50 documents of 64 KB would otherwise pin
/// megabytes for the rest of the run.
const POOLED_BODY_MAX_BYTES: usize = 256 * 1024;

/// Most bytes of unused bodies that are kept, so that a burst is given back to the system.
const POOL_MAX_BYTES: usize = 1024 * 1024;

/// First size of a fresh body: 12 documents of 1 KB. It doubles as it grows.
const FRESH_BODY_BYTES: usize = 16 * 1024;

/// Bytes in use and bytes allowed. Cloning gives another handle to the same budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// This many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(BudgetState { limit, used: AtomicUsize::new(0) }))
    }

    /// Bytes allowed.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes left.
    pub fn available(&self) -> usize {
        self.limit().saturating_sub(self.used())
    }

    /// Takes this many bytes out of the budget until the charge is dropped, or nothing when they are not there.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|&sum| sum <= self.limit())
        });
        taken.ok().map(|_| Charge { budget: self.clone(), bytes })
    }

    /// Takes this many bytes whether they are there or not. For growth that was checked before.
    fn charge(&self, bytes: usize) -> Charge {
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
        Charge { budget: self.clone(), bytes }
    }
}

/// Bytes taken out of a [`Budget`]; dropping gives them back.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    bytes: usize,
}

impl Charge {
    /// Takes more bytes, or none when they are not there.
    #[must_use = "without the bytes nothing may be kept"]
    pub fn try_grow(&mut self, more: usize) -> bool {
        let Some(mut grown) = self.budget.try_charge(more) else { return false };
        // The bytes move over; the emptied charge gives nothing back.
        self.bytes += std::mem::take(&mut grown.bytes);
        true
    }

    fn resize(&mut self, bytes: usize) {
        let used = &self.budget.0.used;
        if bytes >= self.bytes {
            used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bodies that are used again.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    budget: Budget,
    unused: Arc<Mutex<Unused>>,
}

#[derive(Debug, Default)]
struct Unused {
    bodies: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, unused: Arc::default() }
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Capacity the next [`Pool::take`] will have.
    pub(super) fn next_capacity(&self) -> usize {
        self.with_unused(|unused| unused.bodies.last().map_or(FRESH_BODY_BYTES, Vec::capacity))
    }

    /// An empty body, charged by its capacity.
    pub(super) fn take(&self) -> PooledBody {
        let recycled = self.with_unused(|unused| {
            let body = unused.bodies.pop()?;
            unused.bytes -= body.capacity();
            Some(body)
        });
        self.own(recycled.unwrap_or_else(|| Vec::with_capacity(FRESH_BODY_BYTES)))
    }

    /// A batch that will wait keeps no more memory than its bytes need.
    pub(super) fn compact(&self, batch: Batch) -> Batch {
        if batch.capacity() < batch.body_bytes() * 3 / 2 + 1024 {
            return batch;
        }
        let exact = self.own(batch.body().to_vec());
        batch.with_body(exact)
    }

    /// A batch of some of another's documents, in an exact body.
    pub(super) fn subset(&self, batch: &Batch, number: u64, positions: &[usize]) -> Batch {
        batch.subset(number, positions, |bytes| self.own(bytes))
    }

    /// Charges bytes that were written elsewhere.
    pub(super) fn own(&self, bytes: Vec<u8>) -> PooledBody {
        let charge = self.budget.charge(bytes.capacity());
        PooledBody { bytes, charge, pool: self.clone() }
    }

    fn give_back(&self, mut body: Vec<u8>) {
        let capacity = body.capacity();
        if !(FRESH_BODY_BYTES..=POOLED_BODY_MAX_BYTES).contains(&capacity) {
            return;
        }
        body.clear();
        self.with_unused(|unused| {
            if unused.bytes + capacity <= POOL_MAX_BYTES {
                unused.bytes += capacity;
                unused.bodies.push(body);
            }
        });
    }

    fn with_unused<T>(&self, change: impl FnOnce(&mut Unused) -> T) -> T {
        change(&mut self.unused.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A body that returns to its pool when dropped.
#[derive(Debug)]
pub(super) struct PooledBody {
    bytes: Vec<u8>,
    charge: Charge,
    pool: Pool,
}

impl PooledBody {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Changes the bytes and charges what they have grown to.
    pub(super) fn edit<T>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let result = change(&mut self.bytes);
        if self.bytes.capacity() != self.charge.bytes {
            self.charge.resize(self.bytes.capacity());
        }
        result
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PooledBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledBody {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}
