//! The writer: takes documents out of the intake, reads them, writes them to the log, and adds them to the head.
//!
//! Documents count as stored when both is done. When the disk takes nothing they are kept in memory as long as there is
//! room, and become a block as soon as it does.

use super::clock::SECOND;
use super::day::Day;
use super::folder::{LogFile, log_name};
use super::head::Generation;
use super::intake::{Chunk, Done, Job, Judged, PutError};
use super::judge::judge;
use super::kept::Kept;
use super::ledger::{Refused, RefusedReason, Transport};
use super::shared::{Doing, Shared};
use super::wal::Packer;
use crate::segment::otlp::{self, Sampled};
use crate::segment::{InvalidCode, InvalidDocument, identify};
use bytes::Bytes;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Time between two tries with a disk that takes nothing.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Generations that wait to be sealed. With more of them the writer waits: documents come faster than blocks can be
/// written.
const FROZEN_MAX: usize = 2;

/// And when blocks cannot be written at all: what comes then is dropped.
const FROZEN_MAX_WITHOUT_DISK: usize = 4;

/// Refused documents a second whose ids are looked for: a flood of them must not cost more than good ones.
const IDENTIFIED_MAX: u32 = 20;

/// What the thread has.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    active: Arc<Generation>,
    /// When the active generation got its first document.
    began: Option<Duration>,
    next_sequence: u64,
    log: Option<Arc<dyn LogFile>>,
    packer: Packer,
    /// Bytes on their way to the log.
    out: Vec<u8>,
    /// The disk is left alone until then.
    retry_at: Duration,
    pending: Pending,
    /// In which second how many refused documents were looked into.
    identified: (u64, u32),
}

/// Documents that have been read and not been stored.
#[derive(Debug, Default)]
struct Pending {
    documents: Vec<Waiting>,
    answers: Vec<Answer>,
    done: Done,
}

#[derive(Debug)]
struct Waiting {
    kept: Kept,
    received: u64,
    transport: Transport,
}

#[derive(Debug)]
struct Answer {
    sender: oneshot::Sender<Result<Judged, PutError>>,
    judged: Judged,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, next_sequence: u64) -> io::Result<Self> {
        Ok(Self {
            active: shared.view.get().active.clone(),
            shared,
            began: None,
            next_sequence,
            log: None,
            packer: Packer::new()?,
            out: Vec::new(),
            retry_at: Duration::ZERO,
            pending: Pending::default(),
            identified: (0, 0),
        })
    }

    /// Works until the intake has ended.
    pub(super) fn run(mut self) {
        // Whoever waits for the end must not wait for ever, however it comes.
        let _ending = Ending(self.shared.clone());
        loop {
            let round = self.shared.intake.take(self.freeze_due());
            if !round.jobs.is_empty() {
                self.wait_for_room();
            }
            for job in round.jobs {
                self.job(job);
            }
            self.commit();
            if round.ended {
                break;
            }
            let now = self.shared.clock.monotonic();
            if self.freeze_due().is_some_and(|due| due <= now) {
                if self.is_full() {
                    self.shared.work().last_full = Some(now);
                }
                self.freeze();
            }
        }
        if !self.shared.work().abandoned {
            self.freeze();
        }
    }

    /// When the active generation is to be frozen.
    fn freeze_due(&self) -> Option<Duration> {
        let began = self.began?;
        let due = if self.is_full() { began } else { began + self.shared.settings.head_age() };
        let again = || self.shared.clock.monotonic() + RETRY_INTERVAL;
        Some(if self.has_room_for_frozen() { due } else { due.max(again()) })
    }

    fn is_full(&self) -> bool {
        self.active.bytes() >= self.shared.settings.generation_bytes
    }

    fn has_room_for_frozen(&self) -> bool {
        !self.shared.has_disk() || self.frozen() < FROZEN_MAX_WITHOUT_DISK
    }

    /// Documents must not come faster than they can be sealed. If they cannot be sealed at all, there is no waiting.
    fn wait_for_room(&self) {
        if !self.shared.has_disk() {
            return;
        }
        let mut work = self.shared.work();
        while self.frozen() >= FROZEN_MAX && !self.shared.is_failing(Doing::Seal) && !work.abandoned {
            work = self.shared.wait(work, None);
        }
    }

    fn frozen(&self) -> usize {
        self.shared.view.get().frozen.len()
    }

    fn has_room(&self) -> bool {
        self.has_room_for_frozen() || !self.is_full()
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Store(chunk, sender) => self.store(chunk, sender),
            Job::Seal(sender) => {
                self.commit();
                self.freeze();
                // Nobody may be left to hear it.
                if self.shared.has_disk() {
                    self.shared.tell(|work| work.seals.push(sender));
                } else {
                    let _ = sender.send(());
                }
            }
            Job::Flush(sender) => {
                self.commit();
                let _ = sender.send(());
            }
        }
    }

    fn store(&mut self, chunk: Chunk, sender: Option<oneshot::Sender<Result<Judged, PutError>>>) {
        self.pending.done.charge += chunk.charge();
        let bytes = Bytes::from(chunk.bytes);
        let mut judged = Judged::with_capacity(if sender.is_some() { chunk.parts.len() } else { 0 });
        let mut begin = 0;
        for part in chunk.parts {
            let raw = bytes.slice(begin..part.end);
            begin = part.end;
            let result = self.read(&raw, part.received, chunk.transport);
            if sender.is_some() {
                judged.push(result);
            }
        }
        self.pending.answers.extend(sender.map(|sender| Answer { sender, judged }));
    }

    fn read(&mut self, raw: &Bytes, received: u64, transport: Transport) -> Result<(), InvalidDocument> {
        let day = Day::of(received);
        if !self.active.takes(day) {
            self.commit();
            self.freeze();
            self.active.takes(day);
        }
        if otlp::is_otlp(raw) {
            return self.read_otlp(raw, received, transport);
        }
        self.read_document(raw, received, transport)
    }

    fn read_document(
        &mut self,
        raw: &Bytes,
        received: u64,
        transport: Transport,
    ) -> Result<(), InvalidDocument> {
        let kept = judge(raw, self.next_sequence, received)
            .inspect_err(|error| self.refuse(raw, RefusedReason::Invalid(error.code), received, transport))?;
        self.next_sequence += 1;
        self.pending.documents.push(Waiting { kept, received, transport });
        Ok(())
    }

    /// Spans become documents of their own, which is what the log has of them.
    fn read_otlp(&mut self, raw: &Bytes, received: u64, transport: Transport) -> Result<(), InvalidDocument> {
        let unsampled = otlp::kind(raw) == Ok(Sampled::No);
        let documents = if unsampled { Ok(Vec::new()) } else { otlp::documents(raw) };
        let documents = match documents {
            Ok(documents) if !documents.is_empty() => documents,
            // Nothing is wrong with these.
            Ok(_) => {
                self.refuse(raw, RefusedReason::Unsampled, received, transport);
                return Ok(());
            }
            Err(_) => {
                self.refuse(raw, RefusedReason::Otlp, received, transport);
                return Err(InvalidDocument { id: None, code: InvalidCode::ParseError });
            }
        };
        // One of them has been counted.
        self.pending.done.more.push((transport, documents.len() as u64 - 1));
        let read = |document: String| self.read_document(&document.into(), received, transport);
        documents.into_iter().map(read).fold(Ok(()), Result::and)
    }

    fn refuse(&mut self, raw: &[u8], reason: RefusedReason, at_micros: u64, transport: Transport) {
        let second = at_micros / SECOND;
        if self.identified.0 != second {
            self.identified = (second, 0);
        }
        self.identified.1 += 1;
        let text = std::str::from_utf8(raw).ok().filter(|_| self.identified.1 <= IDENTIFIED_MAX);
        let identity = text.map(identify).unwrap_or_default();
        let refused = Refused { at_micros, reason, transport, id: identity.id, trace_id: identity.trace_id };
        self.pending.done.refused.push(refused);
    }

    /// Stores what has been read.
    fn commit(&mut self) {
        let Pending { mut documents, answers, mut done } = mem::take(&mut self.pending);
        let mut lost = None;
        if !documents.is_empty() {
            let logged = self.log(&documents);
            let all = documents.len();
            if !self.has_room() {
                documents.clear();
                lost = Some(PutError::Disk);
            } else if !logged && self.shared.settings.durable {
                // Whoever sends these again when told so does not need our memory.
                documents.retain(|one| one.transport == Transport::Udp);
                lost = Some(PutError::Disk);
            }
            done.dropped_disk += (all - documents.len()) as u64;
            done.stored += documents.len() as u64;
            let before = self.active.unlogged();
            self.active.add_unlogged(if logged { 0 } else { documents.len() });
            self.insert(documents);
            if before > 0 && logged {
                // What is in memory alone becomes a block now that the disk works.
                self.freeze();
            }
        }
        if !done.is_nothing() {
            self.shared.intake.done(done);
        }
        for Answer { sender, judged } in answers {
            // Nobody may be left to hear it.
            let _ = sender.send(lost.map_or(Ok(judged), Err));
        }
    }

    fn insert(&mut self, documents: Vec<Waiting>) {
        if !documents.is_empty() && self.began.is_none() {
            self.began = Some(self.shared.clock.monotonic());
        }
        let heard = self.shared.tail.receiver_count() > 0;
        for Waiting { kept, .. } in documents {
            let kept = Arc::new(kept);
            if heard {
                // The last listener may just have gone.
                let _ = self.shared.tail.send(kept.clone());
            }
            self.active.insert(kept);
        }
    }

    /// Writes documents to the log. False when the disk does not take them.
    fn log(&mut self, documents: &[Waiting]) -> bool {
        if !self.shared.has_disk() {
            return true;
        }
        if self.shared.clock.monotonic() < self.retry_at {
            return false;
        }
        match self.try_log(documents) {
            Ok(()) => {
                self.shared.works(Doing::Log);
                true
            }
            Err(error) => {
                self.shared.failed(Doing::Log, &error);
                self.retry_at = self.shared.clock.monotonic() + RETRY_INTERVAL;
                // Another file may fare better, should this one be the reason.
                self.log = None;
                false
            }
        }
    }

    fn try_log(&mut self, documents: &[Waiting]) -> io::Result<()> {
        self.out.clear();
        for Waiting { kept, received, .. } in documents {
            self.packer.push(kept.record.sequence, *received, kept.received(), &mut self.out)?;
        }
        self.packer.finish(&mut self.out)?;
        let log = if let Some(log) = &self.log {
            log
        } else {
            let name = log_name(documents.first().map_or(0, |one| one.kept.record.sequence));
            self.active.add_log(name.clone());
            self.log.insert(self.shared.disk.create_log(&name)?)
        };
        log.append(&self.out)?;
        self.active.add_log_bytes(self.out.len());
        if self.shared.settings.durable {
            log.sync()
        } else {
            self.shared.dirty.add(log);
            Ok(())
        }
    }

    /// Begins a new generation, and gives the one before to be sealed.
    fn freeze(&mut self) {
        let next = Arc::new(Generation::default());
        let before = mem::replace(&mut self.active, next.clone());
        let empty = before.is_empty();
        self.shared.view.change(|view| {
            view.active = next;
            if !empty {
                view.frozen.push(before.clone());
            }
        });
        if empty {
            self.shared.remove_logs(before.take_logs());
        }
        (self.log, self.began) = (None, None);
        self.shared.tell(|_| {});
    }
}

struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.tell(|work| work.writer_ended = true);
    }
}
