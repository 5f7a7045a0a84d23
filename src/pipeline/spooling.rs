//! What the pipeline knows of the disk: which batches should be there by when, which came back from there, and
//! what the one who writes has to be told. It never touches a file.
//!
//! A document is in one place at a time, whatever copies there are: a batch under way counts as in flight although
//! the disk has it too; one that failed and is on disk gives up its memory and counts as spooled.

use super::batch::Batch;
use super::{MalformedBody, Pipeline};
use crate::pipeline::DropReason;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// A closed batch that is unsent for longer belongs on disk.
pub const UNSENT_MAX: Duration = Duration::from_secs(1);

/// While X-Ray fails, batches go to disk after this long, so that one failed try alone does not.
const FAILING_GRACE: Duration = Duration::from_millis(500);

/// Spooled batches wait this long after X-Ray throttled.
const PAUSE_AFTER_THROTTLE: Duration = Duration::from_secs(1);

/// Most bytes handed out to be written in one go.
const WRITE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where on disk the documents of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    /// Number of the file.
    pub file: u64,
    /// First byte of the record in it.
    pub offset: u64,
    /// How many documents it holds.
    pub documents: u32,
}

/// What became of a batch while it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It has left the memory; the disk alone has it.
    Alone,
    /// It is being sent; the disk is told later.
    InFlight,
    /// It was delivered meanwhile; the record is of no use.
    Gone,
}

/// What the one who writes is to do.
#[derive(Debug, Default)]
pub struct SpoolWork {
    /// Records whose documents are all dealt with.
    pub finished: Vec<Record>,
    /// Records whose try failed: to be read again some time.
    pub released: Vec<Record>,
    /// Batches to write, oldest first.
    pub write: Vec<Batch>,
    /// Read the oldest record and give it to the pipeline.
    pub read: bool,
    /// This is the end: write what there is to write, and stop.
    pub finish: bool,
}

impl SpoolWork {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.finished.is_empty()
            && self.released.is_empty()
            && self.write.is_empty()
            && !self.read
            && !self.finish
    }
}

/// What the disk can do just now.
#[derive(Debug, Clone, Copy)]
pub struct DiskCan {
    /// It takes batches.
    pub write: bool,
    /// It has given what it was asked for.
    pub read: bool,
}

/// When batches belong on disk.
#[derive(Debug, Clone, Copy)]
enum DueRule {
    /// At once: the daemon stops, or memory runs out.
    At(Instant),
    /// X-Ray fails: at once, from this time on.
    Failing(Instant),
    /// When they were not sent in time.
    Unsent,
}

impl DueRule {
    fn due(self, closed_at: Instant) -> Instant {
        match self {
            Self::At(now) => now,
            Self::Failing(from) => closed_at.max(from),
            Self::Unsent => closed_at + UNSENT_MAX,
        }
    }
}

/// How far the end of the daemon has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    No,
    /// Everything belongs on disk at once.
    Stopping,
    /// The one who writes is to end.
    Finish,
}

/// When the one who writes looks next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alarm {
    /// It is looking.
    Awake,
    At(Instant),
    Never,
}

#[derive(Debug)]
pub(super) struct Spooling {
    /// A directory is open.
    on: bool,
    /// Documents that are on disk and nowhere else.
    on_disk: u64,
    /// Read from the disk, to be sent next.
    pub(super) read: VecDeque<Batch>,
    /// How many batches from the disk are being sent.
    pub(super) sending: usize,
    /// How many may be: grows while X-Ray takes them.
    sending_max: usize,
    not_before: Option<Instant>,
    /// Parts of each record that are in memory.
    parts: HashMap<Record, usize>,
    finished: Vec<Record>,
    released: Vec<Record>,
    end: End,
    alarm: Alarm,
    pub(super) wake: bool,
}

impl Spooling {
    pub(super) fn new() -> Self {
        Self {
            on: false,
            on_disk: 0,
            read: VecDeque::new(),
            sending: 0,
            sending_max: 1,
            not_before: None,
            parts: HashMap::new(),
            finished: Vec::new(),
            released: Vec::new(),
            end: End::No,
            alarm: Alarm::Awake,
            wake: false,
        }
    }

    /// Documents that only the disk has, those read ahead included.
    pub(super) fn waiting(&self) -> u64 {
        self.on_disk + self.read.iter().map(|batch| batch.len() as u64).sum::<u64>()
    }

    /// One more part of the record is in memory.
    pub(super) fn attach(&mut self, batch: &Batch) {
        if let Some(record) = batch.record {
            *self.parts.entry(record).or_default() += 1;
        }
    }

    /// The documents of a batch are dealt with, or written anew: once no part of its record is left, the record
    /// is finished.
    pub(super) fn detach(&mut self, record: Option<Record>) {
        let Some(record) = record else { return };
        let Some(parts) = self.parts.get_mut(&record) else { return };
        *parts -= 1;
        if *parts == 0 {
            self.parts.remove(&record);
            self.finished.push(record);
            self.wake = true;
        }
    }

    /// Leaves a batch to the disk, which has it. False when the disk has not all of it, or more than it.
    pub(super) fn release(&mut self, batch: &Batch) -> bool {
        let Some(record) = batch.record.filter(|_| batch.is_whole()) else { return false };
        if self.parts.remove(&record).is_none() {
            return false;
        }
        self.on_disk += batch.len() as u64;
        self.released.push(record);
        self.wake = true;
        true
    }

    /// Leaves to the disk whatever it has of a batch, at the end of a run: the rest of the record may come twice.
    pub(super) fn leave(&mut self, batch: &Batch) -> bool {
        let Some(record) = batch.record else { return false };
        self.parts.remove(&record);
        self.on_disk += batch.len() as u64;
        true
    }

    pub(super) fn stop(&mut self) {
        self.end = self.end.max(End::Stopping);
    }

    /// X-Ray took a batch.
    pub(super) fn succeeded(&mut self) {
        self.sending_max += 1;
    }

    /// X-Ray did not take a batch.
    pub(super) fn failed(&mut self) {
        self.sending_max = 1;
    }

    pub(super) fn throttled(&mut self, now: Instant) {
        self.sending_max = 1;
        self.not_before = Some(now + PAUSE_AFTER_THROTTLE);
    }

    /// A batch belongs on disk at this time: wakes the one who writes, should it mean to look later.
    pub(super) fn due(&mut self, at: Instant) {
        self.wake |= self.on
            && match self.alarm {
                Alarm::Awake => false,
                Alarm::At(alarm) => at < alarm,
                Alarm::Never => true,
            };
    }
}

impl Pipeline {
    /// A spool with this many documents of earlier runs is there from now on.
    pub fn spool_opened(&mut self, documents: u64) {
        self.spooling.on = true;
        self.spooling.on_disk += documents;
        self.totals.recovered += documents;
    }

    /// The spool is gone, with what only it had; what is in memory has to be written to the next one. Returns how many
    /// documents were left to the spool in these moments, which are gone as well.
    pub fn spool_closed(&mut self) -> usize {
        self.spooling.on = false;
        self.spooling.parts.clear();
        self.spooling.finished.clear();
        let released = std::mem::take(&mut self.spooling.released);
        self.retry.extend(self.spooling.read.drain(..));
        for batch in self.in_memory() {
            batch.record = None;
            batch.writing = false;
        }
        released.iter().map(|record| record.documents as usize).sum()
    }

    /// The disk has lost or given up documents that nothing else has.
    pub fn spool_lost(&mut self, reason: DropReason, documents: usize) {
        self.spooling.on_disk -= (documents as u64).min(self.spooling.on_disk);
        self.totals.dropped(reason, documents);
    }

    /// Tells the one who writes of a batch that may have to be written.
    pub(super) fn note_due(&mut self, closed_at: Instant, now: Instant) {
        let due = self.due_rule(now).due(closed_at);
        self.spooling.due(due);
    }

    fn due_rule(&self, now: Instant) -> DueRule {
        let under_pressure = self.budget().used() > self.budget().limit() / 2;
        if self.spooling.end >= End::Stopping || under_pressure {
            DueRule::At(now)
        } else {
            self.gate.failing_since().map_or(DueRule::Unsent, |since| DueRule::Failing(since + FAILING_GRACE))
        }
    }

    /// What there is to do for the disk, as far as the disk can. With nothing to do, `Err` says until when; the one
    /// who asks is then woken by [`Self::take_spool_wake`].
    ///
    /// # Errors
    /// Nothing to do before this time, if there is one.
    pub fn spool_work(&mut self, now: Instant, can: DiskCan) -> Result<SpoolWork, Option<Instant>> {
        let mut next_due: Option<Instant> = None;
        let mut write = Vec::new();
        if can.write {
            let rule = self.due_rule(now);
            let mut bytes = 0;
            for batch in self.unspooled() {
                let due = rule.due(batch.closed_at);
                if due > now || bytes > WRITE_BYTES_MAX {
                    next_due = next_due.into_iter().chain([due]).min();
                } else {
                    bytes += batch.body_bytes();
                    batch.writing = true;
                    write.push(batch.clone());
                }
            }
            write.sort_unstable_by_key(|batch| batch.number);
        }
        let read = can.read && self.wants_spooled(now);
        let spooling = &mut self.spooling;
        let work = SpoolWork {
            finished: std::mem::take(&mut spooling.finished),
            released: std::mem::take(&mut spooling.released),
            write,
            read,
            finish: spooling.end == End::Finish,
        };
        spooling.wake = false;
        if !work.is_empty() {
            spooling.alarm = Alarm::Awake;
            return Ok(work);
        }
        let resumes = spooling.not_before.filter(|&at| at > now && spooling.on_disk > 0);
        let until = next_due.into_iter().chain(resumes).min();
        spooling.alarm = until.map_or(Alarm::Never, Alarm::At);
        Err(until)
    }

    /// Whether the one who writes has to look again. Asking clears it.
    pub fn take_spool_wake(&mut self) -> bool {
        std::mem::take(&mut self.spooling.wake)
    }

    /// Batches the disk does not have yet, or only as part of a record.
    fn unspooled(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.in_memory().filter(|batch| !batch.writing && !batch.is_whole())
    }

    /// Closed batches, those from disk that are not being sent aside.
    fn in_memory(&mut self) -> impl Iterator<Item = &mut Batch> {
        let in_flight = self.in_flight.values_mut().map(|open| &mut open.batch);
        self.retry.iter_mut().chain(&mut self.ready).chain(in_flight)
    }

    /// A batch handed out by [`Self::spool_work`] is on disk.
    pub fn spooled(&mut self, number: u64, record: Record) -> Written {
        if let Some(open) = self.in_flight.values_mut().find(|open| open.batch.number == number) {
            open.batch.writing = false;
            let before = open.batch.record.replace(record);
            self.spooling.attach(&open.batch);
            self.spooling.detach(before);
            return Written::InFlight;
        }
        for queue in [&mut self.retry, &mut self.ready] {
            let Some(position) = queue.iter().position(|batch| batch.number == number) else { continue };
            let Some(batch) = queue.remove(position) else { continue };
            self.spooling.detach(batch.record);
            self.spooling.on_disk += batch.len() as u64;
            return Written::Alone;
        }
        Written::Gone
    }

    /// A batch handed out by [`Self::spool_work`] could not be written.
    pub fn not_spooled(&mut self, number: u64) {
        if let Some(batch) = self.in_memory().find(|batch| batch.number == number) {
            batch.writing = false;
        }
    }

    /// Whether the next batch from disk should be read now. Fresh documents come first: while some wait, one send
    /// at most carries spooled ones.
    pub(super) fn wants_spooled(&self, now: Instant) -> bool {
        let spooling = &self.spooling;
        let under_way = spooling.read.len() + spooling.sending;
        let fresh_wait = !self.ready.is_empty() || !self.retry.is_empty();
        let most = if fresh_wait { 1 } else { spooling.sending_max };
        spooling.on_disk > 0
            && spooling.end < End::Finish
            && !(fresh_wait && self.is_failing())
            && under_way < most
            && spooling.not_before.is_none_or(|at| at <= now)
            && self.gate.resumes_at(now).is_none()
            && self.in_flight.len() + spooling.read.len() < self.gate.limit()
    }

    /// Whether memory has room for a body of this size from the disk. The largest may come when little else waits.
    pub fn has_room_for_spooled(&self, bytes: usize) -> bool {
        self.budget().available() >= bytes.min(self.budget().limit() / 2)
    }

    /// A batch that was read from the disk.
    ///
    /// # Errors
    /// When it is no batch. The record is still on disk and counted there.
    pub fn offer_spooled(
        &mut self,
        now: Instant,
        body: Vec<u8>,
        ends: Vec<u32>,
        record: Record,
    ) -> Result<(), MalformedBody> {
        let number = self.next_number();
        let body = self.pool.own(body);
        let batch = Batch::read_back(number, body, ends, record, now)?;
        self.spooling.attach(&batch);
        self.spooling.on_disk -= (batch.len() as u64).min(self.spooling.on_disk);
        self.spooling.read.push_back(batch);
        Ok(())
    }

    /// The number of the batch that was closed last.
    pub fn last_number(&self) -> u64 {
        self.next_number
    }

    /// Whether anything waits of the batches up to this number, parts of them included, or on disk.
    pub fn waits_up_to(&self, number: u64) -> bool {
        let in_flight = self.in_flight.values().map(|open| &open.batch);
        let mut batches = self.retry.iter().chain(&self.ready).chain(in_flight);
        self.spooling.waiting() > 0 || batches.any(|batch| batch.origin <= number)
    }

    /// Whether the disk has all that waits of the batches up to this number, what is being sent included.
    pub fn is_safe_up_to(&self, number: u64) -> bool {
        let in_memory = self.retry.iter().chain(&self.ready).any(|batch| batch.origin <= number);
        let mut in_flight = self.in_flight.values().map(|open| &open.batch);
        !in_memory && in_flight.all(|batch| batch.origin > number || batch.is_whole())
    }

    /// X-Ray did not take the last batch it was given.
    pub fn is_failing(&self) -> bool {
        self.gate.failing_since().is_some()
    }

    /// The one who writes is to write what there is and stop. What was read ahead is left to the disk.
    pub fn finish_spool(&mut self) {
        while let Some(batch) = self.spooling.read.pop_front() {
            self.spooling.release(&batch);
        }
        self.spooling.end = End::Finish;
        self.spooling.wake = true;
    }
}
