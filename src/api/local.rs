//! X-Ray's own operations, answered from the store.
//!
//! Each operation is a function from the request's body to the answer's, both JSON. What is wrong with a request is said
//! in X-Ray's words ([`Refusal`]).

mod cursors;
mod export;
mod graph;
mod retrieval;
mod summaries;
mod traces;

use crate::account::model::{self, Operation};
use crate::account::{self, Account};
use crate::api::stream::Parts;
use crate::config::Storing;
use crate::query::cause::RootCauses;
use crate::query::filter::{Expression, GroupBy, Groups, View};
use crate::query::row::settle;
use crate::query::search::Search;
use crate::query::summary::Summary;
use crate::query::trace::Trace;
use crate::query::{By, Record, Source, Stored, TraceId, Window};
use crate::refusal::{Code, Refusal};
use crate::store::Store;
use cursors::Cursors;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Queries that run at once. Each uses every core, and memory for what it reads.
const QUERIES_MAX: usize = 2;

/// Readers that follow traces at once.
const TAILS_MAX: usize = 16;

/// Exports that are written at once.
const EXPORTS_MAX: usize = 4;

/// Longest time a query waits for others to end.
const QUERY_PATIENCE: Duration = Duration::from_secs(30);

/// Longest time range where X-Ray has a limit, in seconds (`Time range cannot be longer than 6 hours`).
const STRICT_RANGE_SECS: f64 = 6.0 * 3600.0;

/// X-Ray on this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Local(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    account: Mutex<Account>,
    /// Held while the account is written.
    saving: Mutex<()>,
    /// Of AWS services that send no segments.
    region: String,
    strict_limits: bool,
    cursors: Mutex<Cursors>,
    queries: Arc<Semaphore>,
    tails: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

/// What an operation is answered from, and when.
struct Asked<'a> {
    store: &'a Store,
    account: &'a Mutex<Account>,
    cursors: &'a Mutex<Cursors>,
    region: &'a str,
    strict_limits: bool,
    /// Nobody waits for the answer any more.
    cancelled: &'a AtomicBool,
    /// Seconds since 1970.
    now: f64,
    body: &'a Value,
}

impl Local {
    /// Answers from this store, with what it remembers of groups, sampling rules and the like.
    ///
    /// # Errors
    /// When what it remembers cannot be read: written by a newer version, or damaged.
    pub fn new(store: Store, settings: &Storing) -> Result<Self, LocalError> {
        let kept = store.load_account()?;
        let for_account = account::Settings {
            region: settings.region.clone(),
            account_id: ACCOUNT_ID.to_owned(),
            sampling_rate: settings.sampling_rate,
        };
        let account = match kept {
            Some(kept) => Account::load(&kept, for_account, now())?,
            None => Account::new(for_account, now()),
        };
        Ok(Self(Arc::new(Inner {
            store,
            account: Mutex::new(account),
            saving: Mutex::default(),
            region: settings.region.clone(),
            strict_limits: settings.strict_limits,
            cursors: Mutex::default(),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            tails: Arc::new(Semaphore::new(TAILS_MAX)),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
        })))
    }

    /// The store it answers from.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Reads a filter; nothing at all means everything.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn filter(&self, text: &str) -> Result<Option<Arc<Expression>>, Refusal> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        Expression::parse(text).map(Arc::new).map(Some).map_err(|error| Refusal::invalid(error.to_string()))
    }

    /// To follow traces as they come; none when too many do.
    pub(super) fn tail_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.tails.clone().try_acquire_owned().ok()
    }

    /// To write much; none when too many do.
    pub(super) fn export_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.exports.clone().try_acquire_owned().ok()
    }

    /// To read much.
    async fn query_permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = tokio::time::timeout(QUERY_PATIENCE, self.0.queries.clone().acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            Refusal::new(Code::Throttled, "other queries take all there is to answer them; ask again")
        })
    }

    /// Writes traces one after the other; blocks.
    pub(super) fn export(&self, window: Window, filter: Option<&Expression>, raw: bool, parts: &Parts) {
        export::run(&self.0, window, filter, raw, parts);
    }

    /// Summaries, in JSON, of those of these traces that match.
    pub(super) async fn matching(
        &self,
        traces: BTreeSet<TraceId>,
        filter: Option<Arc<Expression>>,
    ) -> Vec<String> {
        if traces.is_empty() {
            return Vec::new();
        }
        let inner = self.0.clone();
        let found = tokio::task::spawn_blocking(move || inner.matching(traces, filter.as_deref()));
        found.await.unwrap_or_default()
    }

    /// Answers one operation. `body` may be empty, which means an empty object.
    ///
    /// # Errors
    /// X-Ray's refusal.
    pub async fn call(&self, operation: &'static Operation, body: &[u8]) -> Result<Value, Refusal> {
        let body = model::parse(body)?;
        model::check(operation, &body)?;
        let permit = if is_query(operation) { Some(self.query_permit().await?) } else { None };
        let inner = self.0.clone();
        let cancel = Arc::new(AtomicBool::new(false));
        let cancelled = cancel.clone();
        let answered = tokio::task::spawn_blocking(move || {
            // Held until the work is done, whether or not somebody still waits for it.
            let _permit = permit;
            inner.answer(operation, &body, &cancelled)
        });
        // When the client goes, this future ends, and the query with it.
        let _cancel = Cancel(cancel);
        answered.await.unwrap_or_else(|_| Err(Refusal::internal("the query did not end as it should")))
    }
}

/// Why the store's X-Ray cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The file with groups and sampling rules.
    #[error("cannot read the store's groups and sampling rules")]
    Read(#[from] std::io::Error),
    /// What is in it.
    #[error(transparent)]
    Account(#[from] account::LoadError),
}

/// The account in ARNs: no real one, so that nobody takes it for theirs.
const ACCOUNT_ID: &str = "000000000000";

/// Ends a query whose answer nobody waits for.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn is_query(operation: &Operation) -> bool {
    matches!(
        operation.name,
        "GetTraceSummaries" | "GetServiceGraph" | "GetTimeSeriesServiceStatistics" | "BatchGetTraces"
    )
}

impl Inner {
    fn answer(
        &self,
        operation: &'static Operation,
        body: &Value,
        cancelled: &AtomicBool,
    ) -> Result<Value, Refusal> {
        let now = now();
        let asked = Asked {
            cancelled,
            store: &self.store,
            account: &self.account,
            cursors: &self.cursors,
            region: &self.region,
            strict_limits: self.strict_limits,
            now,
            body,
        };
        match operation.name {
            "GetTraceSummaries" => summaries::get(&asked),
            "BatchGetTraces" => traces::batch_get(&asked),
            "GetTraceGraph" => graph::of_trace(&asked),
            "GetServiceGraph" => graph::of_services(&asked),
            "GetTimeSeriesServiceStatistics" => graph::time_series(&asked),
            "ListRetrievedTraces" => retrieval::list(&asked),
            "GetRetrievedTracesGraph" => retrieval::graph(&asked),
            _ => self.account_call(operation, body, now),
        }
    }

    /// Groups as they are when they are asked.
    fn groups(&self) -> GroupsOf<'_> {
        GroupsOf(&self.account)
    }

    fn matching(&self, traces: BTreeSet<TraceId>, filter: Option<&Expression>) -> Vec<String> {
        let (ids, groups): (Vec<_>, _) = (traces.into_iter().collect(), self.groups());
        let documents = self.store.documents(&ids).unwrap_or_default();
        let shown = ids.into_iter().zip(documents).filter_map(|(id, documents)| {
            let records = records(&documents);
            let mut rows: Vec<_> = records.iter().map(Record::row).collect();
            settle(&mut rows);
            let trace = Trace::assemble(id, documents.clone());
            let causes = || RootCauses::of(&trace);
            let wanted = filter.is_none_or(|filter| filter.matches(&View::new(&rows, &causes), &groups));
            (wanted && !rows.is_empty()).then(|| serde_json::to_string(&Summary::of(&trace, None)).ok())?
        });
        shown.collect()
    }

    fn account_call(&self, operation: &'static Operation, body: &Value, now: f64) -> Result<Value, Refusal> {
        let (answer, before, changed) = {
            let mut account = lock(&self.account);
            let before = account.is_unsaved();
            account.set_saved(true);
            let answer = account.call(operation, body, now, &mut || fastrand::u64(..));
            let changed = account.is_unsaved();
            account.set_saved(!before && !changed);
            (answer, before, changed)
        };
        if (before || changed)
            && let Err(error) = self.save()
            && changed
        {
            let message =
                format!("it is done, but cannot be kept on disk, and is gone after a restart: {error}");
            return Err(Refusal::internal(message));
        }
        answer.unwrap_or_else(|| Err(Refusal::internal("nobody answers this operation")))
    }

    /// What was answered must outlive a restart. Whoever only asks does not wait for the disk: the account is not held
    /// while it is written. Who writes last writes what is newest.
    fn save(&self) -> std::io::Result<()> {
        let _one_at_a_time = lock(&self.saving);
        let text = {
            let mut account = lock(&self.account);
            if !account.is_unsaved() {
                return Ok(());
            }
            account.set_saved(true);
            account.to_json()
        };
        let saved = self.store.save_account(text.as_bytes());
        if saved.is_err() {
            lock(&self.account).set_saved(false);
        }
        saved
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl Asked<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        model::text(self.body, key)
    }

    /// Start and end as they were given. The model's check has seen that they are there.
    fn range(&self) -> Result<(f64, f64), Refusal> {
        let time = |key| model::seconds(self.body, key).unwrap_or_default();
        let (start, end) = (time("StartTime"), time("EndTime"));
        if end < start {
            return Err(Refusal::invalid("End time cannot be earlier than start time"));
        }
        Ok((start, end))
    }

    /// boto3 and the CLI cut times to whole seconds: an end without fraction means the whole second, or what was sent a
    /// moment ago would be missing.
    fn window(by: By, start: f64, end: f64) -> Window {
        Window { by, from: start, until: if end.fract() == 0.0 { end + 1.0 } else { end } }
    }

    fn refuse_long_range(&self, start: f64, end: f64) -> Result<(), Refusal> {
        if self.strict_limits && end - start > STRICT_RANGE_SECS {
            return Err(Refusal::invalid("Time range cannot be longer than 6 hours"));
        }
        Ok(())
    }

    /// The filter of the group the request names.
    fn group(&self) -> Result<Arc<Expression>, Refusal> {
        lock(self.account).expression_for(self.body)
    }

    fn groups(&self) -> GroupsOf<'_> {
        GroupsOf(self.account)
    }
}

/// All traces of a group.
fn all<'s>(
    window: Window,
    expression: &'s Expression,
    groups: &'s GroupsOf<'_>,
    cancelled: &'s AtomicBool,
) -> Search<'s> {
    Search { window, expression: Some(expression), groups, sample: 1.0, after: None, cancelled }
}

/// Filters of groups, as they are when they are asked for.
struct GroupsOf<'a>(&'a Mutex<Account>);

impl Groups for GroupsOf<'_> {
    fn expression(&self, by: GroupBy, value: &str) -> Option<Arc<Expression>> {
        lock(self.0).expression(by, value)
    }
}

/// The records of one trace's documents.
fn records(documents: &[Stored]) -> Vec<Record> {
    let read = |stored: &Stored| {
        Record::read(&stored.document, stored.sequence, stored.received_at).ok().map(|(record, _)| record)
    };
    documents.iter().filter_map(read).collect()
}

/// What could not be read is no fault of the request.
fn unreadable(error: &dyn std::error::Error) -> Refusal {
    Refusal::internal(format!("the store cannot be read: {error}"))
}

fn trace_id(text: &str) -> Option<TraceId> {
    TraceId::parse(&crate::segment::normal_trace_id(text)?)
}
