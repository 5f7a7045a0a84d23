//! The door to wherever documents are kept.

use super::id::TraceId;
use super::row::Row;
use bytes::Bytes;

/// Which traces a query is about. Seconds since 1970; `from` belongs to it, `until` does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// What the times are compared with.
    pub by: By,
    /// First moment.
    pub from: f64,
    /// First moment that does not belong to it any more.
    pub until: f64,
}

/// Which time of a trace is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Its earliest start.
    Start,
    /// When the last of its documents was received. A source shows it for any of them, since others may place it by
    /// another one.
    Received,
    /// When one of its segments ended.
    End,
}

/// Columns of a [`Row`] that a query reads, beside ids, times, kind, outcome and sequence, which are always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns(u32);

impl Columns {
    /// Nothing but what is always there.
    pub const NONE: Self = Self(0);
    /// `name` and `origin`.
    pub const NAME: Self = Self(1);
    /// `account_id`.
    pub const ACCOUNT: Self = Self(2);
    /// `url`, `method`, `user_agent`, `client_ip`.
    pub const HTTP: Self = Self(4);
    /// `user`.
    pub const USER: Self = Self(8);
    /// `availability_zone`, `instance_id`, `resource_arn`.
    pub const RESOURCE: Self = Self(16);
    /// `annotations`.
    pub const ANNOTATIONS: Self = Self(32);
    /// `calls`.
    pub const CALLS: Self = Self(64);
    /// `locals`.
    pub const LOCALS: Self = Self(128);
    /// `status`.
    pub const STATUS: Self = Self(256);
    /// Everything.
    pub const ALL: Self = Self(511);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are asked for.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A document as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Rises with each document.
    pub sequence: u64,
    /// Seconds since 1970.
    pub received_at: f64,
    /// The document, JSON as it was sent or, where that was none, a repaired copy.
    pub document: Bytes,
}

/// Whoever keeps documents.
pub trait Source: Sync {
    /// Why nothing can be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Shows every trace that may be in the window, each once, with all its rows, settled by
    /// [`settle`](super::row::settle). More traces than asked for may be shown: what cannot be told cheaply is left to
    /// the caller. Several threads may work at the same time, each with a `T` of its own.
    ///
    /// # Errors
    /// When nothing can be read. What is damaged is left out.
    fn fold<T: Send>(
        &self,
        window: &Window,
        columns: Columns,
        make: &(dyn Fn() -> T + Sync),
        each: &(dyn Fn(&mut T, &[Row<'_>]) + Sync),
    ) -> Result<Vec<T>, Self::Error>;

    /// All documents of each of these traces, in the order they came; none for one that is not known.
    ///
    /// # Errors
    /// When nothing can be read. What is damaged is left out.
    fn documents(&self, traces: &[TraceId]) -> Result<Vec<Vec<Stored>>, Self::Error>;
}
