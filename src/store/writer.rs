//! The writer: takes documents out of the intake, reads them, writes them to the log, and adds them to the head.
//!
//! Documents count as stored when both is done. When the disk takes nothing they are kept in memory as long as there is
//! room, and become a block as soon as it does.

use super::clock::SECOND;
use super::day::Day;
use super::head::Generation;
use super::intake::{Chunk, Done, Job, Judged, PutError};
use super::judge::judge;
use super::kept::Kept;
use super::ledger::{Refused, RefusedReason, Transport};
use super::logger::{Logger, RETRY_INTERVAL};
use super::shared::{Doing, Shared};
use crate::segment::otlp::{self, Sampled};
use crate::segment::{InvalidCode, InvalidDocument, identify};
use bytes::Bytes;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Generations that wait to be sealed. With more of them the writer waits: documents come faster than blocks can be
/// written.
const FROZEN_MAX: usize = 2;

/// And when blocks cannot be written at all: what comes then is dropped.
const FROZEN_MAX_WITHOUT_DISK: usize = 4;

/// Documents share the memory they came in when they are so many of so many parts of it: of less, they are copied.
const SHARED_PARTS: usize = 3;
const SHARED_PART: usize = 4;

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
    log: Logger,
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

impl Pending {
    /// Documents share the memory of the chunk they came in. Where little of that is kept, each gets its own, so that
    /// what is kept does not hold what is not.
    fn release(&mut self, first: usize, chunk: &Bytes, memory: usize) {
        let documents = self.documents.get_mut(first..).unwrap_or_default();
        let kept: usize = documents.iter().map(|one| one.kept.bytes_of(chunk)).sum();
        if kept < memory / SHARED_PART * SHARED_PARTS {
            for one in documents {
                one.kept.leave(chunk);
            }
        }
    }
}

#[derive(Debug)]
struct Waiting {
    kept: Kept,
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
            log: Logger::new(shared.clone())?,
            shared,
            began: None,
            next_sequence,
            pending: Pending::default(),
            identified: (0, 0),
        })
    }

    /// Works until the intake has ended.
    pub(super) fn run(mut self) {
        // Whoever waits for the end must not wait for ever, however it comes.
        let _ending = Ending(self.shared.clone());
        loop {
            let due = self.freeze_due().into_iter().chain(self.log.due()).min();
            let round = self.shared.intake.take(due);
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
            self.log.work(&self.active, self.next_sequence);
            let now = self.shared.clock.monotonic();
            if self.freeze_due().is_some_and(|due| due <= now) {
                if self.is_full() {
                    self.shared.work().last_full = Some(now);
                }
                self.freeze();
            }
        }
        self.log.end(&self.active, self.next_sequence);
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
        while self.frozen() >= FROZEN_MAX && !self.shared.is_stuck(Doing::Seal) && !work.abandoned {
            // Nobody tells when a disk hangs.
            let soon = self.shared.clock.monotonic() + RETRY_INTERVAL;
            work = self.shared.wait(work, Some(soon));
        }
    }

    fn frozen(&self) -> usize {
        self.shared.view.get().frozen.len()
    }

    fn has_room(&self) -> bool {
        let bytes =
            || self.shared.view.get().generations().map(|generation| generation.bytes()).sum::<usize>();
        let limit = self.shared.settings.generation_bytes.saturating_mul(FROZEN_MAX_WITHOUT_DISK + 1);
        self.has_room_for_frozen() || bytes() < limit
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
        let memory = chunk.bytes.capacity();
        let bytes = Bytes::from(chunk.bytes);
        let mut judged = Judged::with_capacity(if sender.is_some() { chunk.parts.len() } else { 0 });
        let mut begin = 0;
        let mut first = self.pending.documents.len();
        for part in chunk.parts {
            let raw = bytes.slice(begin..part.end);
            begin = part.end;
            if !self.active.takes(Day::of(part.received)) {
                self.pending.release(first, &bytes, memory);
                self.next_day(Day::of(part.received));
                first = 0;
            }
            let result = self.read(&raw, part.received, chunk.transport);
            if sender.is_some() {
                judged.push(result);
            }
        }
        self.pending.release(first, &bytes, memory);
        self.pending.answers.extend(sender.map(|sender| Answer { sender, judged }));
    }

    fn next_day(&mut self, day: Day) {
        self.commit();
        self.freeze();
        self.active.takes(day);
    }

    fn read(&mut self, raw: &Bytes, received: u64, transport: Transport) -> Result<(), InvalidDocument> {
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
        self.pending.documents.push(Waiting { kept, transport });
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
            let all = documents.len();
            if !self.has_room() {
                // Neither to the log, which would have no end then.
                documents.clear();
                lost = Some(PutError::Disk);
            }
            let to_log: Vec<_> = documents.iter().map(|one| &one.kept).collect();
            let logged = self.log.write(&self.active, &to_log);
            if !logged && self.shared.settings.durable {
                // Whoever sends these again when told so does not need our memory.
                documents.retain(|one| one.transport == Transport::Udp);
                lost = Some(PutError::Disk);
            }
            done.dropped_disk += (all - documents.len()) as u64;
            done.stored += documents.len() as u64;
            self.insert(documents, logged);
        }
        if !done.is_nothing() {
            self.shared.intake.done(done);
        }
        for Answer { sender, judged } in answers {
            // Nobody may be left to hear it.
            let _ = sender.send(lost.map_or(Ok(judged), Err));
        }
    }

    fn insert(&mut self, documents: Vec<Waiting>, logged: bool) {
        if !documents.is_empty() && self.began.is_none() {
            self.began = Some(self.shared.clock.monotonic());
        }
        let heard = self.shared.tail.receiver_count() > 0;
        for Waiting { kept, .. } in documents {
            let trace_id = kept.record.trace_id;
            let kept = Arc::new(kept);
            if !logged {
                self.active.add_unlogged(kept.clone());
            }
            self.active.insert(kept);
            if heard {
                // The last listener may just have gone.
                let _ = self.shared.tail.send(trace_id);
            }
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
        self.log.end_file();
        self.began = None;
        self.shared.tell(|_| {});
    }
}

struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.tell(|work| work.writer_ended = true);
    }
}
