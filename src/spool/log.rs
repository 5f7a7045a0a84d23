//! Batches in files, oldest first: a log whose records are dealt with in any order.
//!
//! Plain and blocking; knows no thread and no clock. Only whole files are deleted, when nothing in them waits any
//! more or when the log is full.

use super::disk::{Disk, DiskFile};
use super::record::{
    DONE, FILE_HEADER, FIRST_RECORD, HEADER_BYTES, Header, STATE_AT, begin_record, find_magic, record_bytes,
};
use crate::pipeline::{Batch, DropReason, Record};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;

const WAITING_SUFFIX: &str = ".spool";
const ASIDE_SUFFIX: &str = ".damaged";

/// Damaged files that are kept for somebody to look at. They count as part of the log, and go first when it is full.
const ASIDE_MAX: usize = 32;

/// The log consists of about this many files, so that a full one gives up this part of itself at a time.
const FILES: u64 = 32;

/// Smallest size files are made for.
const FILE_MIN_BYTES: u64 = 1024 * 1024;

/// One part in so many of the disk is left to others, and of a large disk this much.
const FREE_PART: u64 = 10;
const FREE_MAX_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// X-Ray keeps traces for 30 days, and refuses what is older.
const AGE_MAX_MS: u64 = 30 * 24 * 3600 * 1000;

/// Before 2020 no record was written: the clock was not set.
const CLOCK_SET_MS: u64 = 1_577_836_800_000;

/// What is written to see whether the disk takes anything.
const PROBE: &[u8] = &[0; 4096];
const PROBE_NAME: &str = "probe";

const NOT_WRITTEN: &str = "its bytes are not what was written";

/// Bytes read at a time when looking for the next record behind damage.
const SEARCH_BYTES: usize = 64 * 1024;

/// What is worth telling of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// The last record was not written to its end; this many bytes were cut.
    Torn { file: String, bytes: u64 },
    /// Something in the file is not what was written; whether by this run.
    Damaged { file: String, why: String, ours: bool },
    /// A damaged file was given this name.
    SetAside { file: String, name: String },
    /// Documents were given up.
    Lost { reason: DropReason, documents: usize },
}

#[derive(Debug)]
struct LogFile {
    number: u64,
    file: Arc<dyn DiskFile>,
    /// End of the last record.
    bytes: u64,
    /// Where to read next.
    cursor: u64,
    /// Documents that are not dealt with.
    waiting: u64,
    damaged: bool,
}

#[derive(Debug)]
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    max_bytes: u64,
    files: VecDeque<LogFile>,
    /// The last file takes more records.
    writable: bool,
    next_number: u64,
    /// Files with this number and higher ones were begun by this run.
    first_own: u64,
    /// Bytes of deleted files the disk may not have taken back yet.
    freed: u64,
    /// Bytes the disk had left when it was asked last, less what was written since.
    seen: u64,
    /// Damaged files and their sizes, oldest first.
    aside: VecDeque<(String, u64)>,
    /// Records whose documents are in memory too.
    held: HashSet<Record>,
    /// Records behind the cursor that are to be read again.
    returned: VecDeque<Record>,
    returned_first: bool,
    notes: Vec<Note>,
    unsynced: Vec<Arc<dyn DiskFile>>,
}

/// The record to read next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    record: Record,
    header: Header,
    returned: bool,
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) record: Record,
    pub(super) body: Vec<u8>,
    pub(super) ends: Vec<u32>,
}

/// The disk does not answer; that may pass.
#[derive(Debug)]
pub(super) struct ReadError {
    /// Number of the file.
    pub(super) file: u64,
    pub(super) error: io::Error,
}

/// A file that is shorter than it was is damaged; any other error may pass.
fn is_there<T>(read: io::Result<T>, file: u64) -> Result<Option<T>, ReadError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(ReadError { file, error }),
    }
}

impl Next {
    /// Bytes it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.header.payload_bytes()
    }
}

impl Log {
    /// Takes over what earlier runs left. Damage is noted, not an error. New files have numbers from `first_number` on.
    pub(super) fn open(disk: Arc<dyn Disk>, max_bytes: u64, first_number: u64) -> io::Result<Self> {
        let names = disk.names()?;
        let numbered = |suffix: &str| {
            let number = |name: &String| name.strip_suffix(suffix)?.parse::<u64>().ok();
            // Only names as they are given here: two spellings of a number would be one file twice.
            let ours = |(name, number): (&String, u64)| {
                (number < u64::MAX && *name == format!("{number:016}{suffix}")).then_some(number)
            };
            let numbers = names.iter().filter_map(|name| ours((name, number(name)?)));
            let mut numbers: Vec<_> = numbers.collect();
            numbers.sort_unstable();
            numbers
        };
        let (waiting, aside) = (numbered(WAITING_SUFFIX), numbered(ASIDE_SUFFIX));
        let next_number = waiting.iter().chain(&aside).max().map_or(1, |last| last + 1).max(first_number);
        let mut log = Self {
            disk,
            max_bytes,
            files: VecDeque::new(),
            writable: false,
            next_number,
            first_own: next_number,
            freed: 0,
            seen: 0,
            aside: VecDeque::new(),
            held: HashSet::new(),
            returned: VecDeque::new(),
            returned_first: false,
            notes: Vec::new(),
            unsynced: Vec::new(),
        };
        for number in aside {
            let name = aside_name(number);
            let bytes = log.disk.open(&name).and_then(|file| file.len()).unwrap_or_default();
            log.aside.push_back((name, bytes));
        }
        for number in waiting {
            if let Err(error) = log.take_over(number) {
                log.damaged(number, &error);
            }
        }
        // A daemon that is restarted again and again in an outage must not leave a file for each time.
        log.writable = log.files.back().is_some_and(|last| !last.damaged);
        Ok(log)
    }

    /// Counts what waits in a file of an earlier run, and cuts what was not written to its end.
    fn take_over(&mut self, number: u64) -> io::Result<()> {
        let file = self.disk.open(&waiting_name(number))?;
        let length = file.len()?;
        let mut begin = [0; FILE_HEADER.len()];
        let begins_well =
            length >= FIRST_RECORD && file.read_exact_at(&mut begin, 0).is_ok() && begin == FILE_HEADER;
        let mut found = LogFile { number, file, bytes: 0, cursor: FIRST_RECORD, waiting: 0, damaged: false };
        let mut offset = if begins_well { FIRST_RECORD } else { 0 };
        let mut damage = (!begins_well && length >= FIRST_RECORD).then(|| NOT_WRITTEN.to_owned());
        loop {
            match next_record(&*found.file, offset, length) {
                Ok(Some(next)) => {
                    if next.offset != offset {
                        damage.get_or_insert_with(|| NOT_WRITTEN.to_owned());
                    }
                    offset = next.offset + next.header.record_bytes();
                    if !next.header.done {
                        found.waiting += u64::from(next.header.documents);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    // What was found before it can still be sent.
                    damage = Some(error.to_string());
                    break;
                }
            }
        }
        found.bytes = offset;
        if damage.is_none() && offset < length {
            self.notes.push(Note::Torn { file: waiting_name(number), bytes: length - offset });
            // Records would stand behind what was begun, were it not cut.
            damage = found.file.truncate(offset).err().map(|error| error.to_string());
        }
        if let Some(why) = damage {
            self.damaged(number, &why);
            found.damaged = true;
        }
        if found.waiting == 0 {
            self.retire(&found);
        } else {
            self.files.push_back(found);
        }
        Ok(())
    }

    /// Documents that wait, those in memory too included.
    pub(super) fn waiting(&self) -> u64 {
        self.files.iter().map(|file| file.waiting).sum()
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        let aside: u64 = self.aside.iter().map(|(_, bytes)| bytes).sum();
        self.files.iter().map(|file| file.bytes).sum::<u64>() + aside
    }

    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Documents that the disk alone has are lost: the folder is gone. Returns the number for the next file.
    pub(super) fn forget(&mut self) -> u64 {
        let alone =
            self.files.iter().map(|file| file.waiting.saturating_sub(self.in_memory(file.number))).sum();
        self.files.clear();
        self.lost(DropReason::SpoolDamaged, alone);
        self.next_number
    }

    /// At the end of a run: what is in files that somebody deleted is lost with it.
    pub(super) fn forget_deleted(&mut self) {
        let (there, deleted): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.files).into_iter().partition(is_found);
        self.files = there;
        let lost = deleted.iter().map(|file| file.waiting.saturating_sub(self.in_memory(file.number))).sum();
        self.lost(DropReason::SpoolDamaged, lost);
    }

    /// Writes and deletes a few bytes, to see whether the disk takes any.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        let (available, reserve) = self.space();
        // Nothing is given up for it.
        if available + self.freed + self.bytes() < reserve + PROBE.len() as u64 {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "less than a tenth of the disk is free"));
        }
        self.delete(PROBE_NAME)?;
        let file = self.disk.create(PROBE_NAME)?;
        let written = file.write_all_at(PROBE, 0);
        self.delete(PROBE_NAME)?;
        written
    }

    /// Deletes a file; one that somebody else has deleted is fine too.
    fn delete(&self, name: &str) -> io::Result<()> {
        match self.disk.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Writes a batch. The oldest file makes room when there is none.
    pub(super) fn append(&mut self, batch: &Batch, now_ms: u64) -> io::Result<Record> {
        let begin = begin_record(batch.ends(), batch.body(), now_ms);
        let bytes = record_bytes(batch.len(), batch.body_bytes());
        self.make_room(bytes + FIRST_RECORD)?;
        let file_bytes = self.file_bytes();
        let takes = |last: &LogFile| last.bytes + bytes <= file_bytes && !last.damaged && is_found(last);
        if !(self.writable && self.files.back().is_some_and(takes)) {
            self.begin_file()?;
        }
        let last = self.files.back_mut().expect("begun just now");
        let offset = last.bytes;
        let written = last
            .file
            .write_all_at(&begin, offset)
            .and_then(|()| last.file.write_all_at(batch.body(), offset + begin.len() as u64));
        if let Err(error) = written {
            // What was begun must not stand before the next record.
            self.writable = last.file.truncate(offset).is_ok();
            return Err(error);
        }
        last.bytes += bytes;
        self.seen = self.seen.saturating_sub(bytes);
        last.waiting += batch.len() as u64;
        let (file, documents) = (last.number, u32::try_from(batch.len()).expect("at most 50"));
        let unsynced = last.file.clone();
        self.changed(unsynced);
        Ok(Record { file, offset, documents })
    }

    /// How large files become: a part of what the log may have, or of what a small disk leaves it.
    fn file_bytes(&self) -> u64 {
        let (available, reserve) = self.space();
        let room = self.bytes() + (available + self.freed).saturating_sub(reserve);
        (self.max_bytes.min(room) / FILES).max(FILE_MIN_BYTES)
    }

    /// Bytes the disk has left, and how many of them are for others.
    fn space(&self) -> (u64, u64) {
        self.disk.space().map_or((u64::MAX / 4, 0), |space| {
            (space.available, (space.total / FREE_PART).min(FREE_MAX_BYTES))
        })
    }

    fn begin_file(&mut self) -> io::Result<()> {
        let number = self.next_number;
        self.next_number += 1;
        self.writable = false;
        let file = self.disk.create(&waiting_name(number))?;
        if let Err(error) = file.write_all_at(&FILE_HEADER, 0) {
            let _ = self.disk.remove(&waiting_name(number));
            return Err(error);
        }
        self.changed(file.clone());
        let (bytes, cursor) = (FIRST_RECORD, FIRST_RECORD);
        // A file that was begun and got no record is of no use any more.
        if let Some(last) = self.files.pop_back_if(|last| last.bytes == FIRST_RECORD) {
            self.retire(&last);
        }
        self.files.push_back(LogFile { number, file, bytes, cursor, waiting: 0, damaged: false });
        self.writable = true;
        Ok(())
    }

    fn changed(&mut self, file: Arc<dyn DiskFile>) {
        if !self.unsynced.iter().any(|known| Arc::ptr_eq(known, &file)) {
            self.unsynced.push(file);
        }
    }

    /// Files to make durable since this was asked last.
    pub(super) fn take_unsynced(&mut self) -> Vec<Arc<dyn DiskFile>> {
        std::mem::take(&mut self.unsynced)
    }

    /// Gives up the oldest until so many bytes fit the log and leave a part of the disk free. Nothing is given up
    /// in vain.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let full = |why| Err(io::Error::new(io::ErrorKind::StorageFull, why));
        if bytes > self.max_bytes {
            return full("the batch is larger than the spool may be; raise --spool-max-mb");
        }
        let (available, reserve) = self.space();
        // What the disk has more than it should is what it has taken back meanwhile.
        self.freed = self.freed.saturating_sub(available.saturating_sub(self.seen));
        self.seen = available;
        loop {
            let (used, free) = (self.bytes(), available + self.freed);
            if used + bytes <= self.max_bytes && free >= reserve + bytes {
                return Ok(());
            }
            if free + used < reserve + bytes {
                return full("less than a tenth of the disk is free");
            }
            if let Some((name, bytes)) = self.aside.front() {
                self.delete(name)?;
                self.freed += bytes;
                self.aside.pop_front();
                continue;
            }
            let Some(oldest) = self.files.front() else {
                return full("less than a tenth of the disk is free");
            };
            let (number, unsynced) = (oldest.number, oldest.file.clone());
            self.delete(&waiting_name(number))?;
            let in_memory = self.in_memory(number);
            let oldest = self.files.pop_front().expect("it was there");
            // Its space comes back even while somebody makes it durable.
            let _ = oldest.file.truncate(0);
            self.freed += oldest.bytes;
            self.unsynced.retain(|file| !Arc::ptr_eq(file, &unsynced));
            self.returned.retain(|record| record.file != number);
            self.writable &= !self.files.is_empty();
            self.lost(DropReason::SpoolFull, oldest.waiting.saturating_sub(in_memory));
        }
    }

    /// Documents of a file that are in memory too.
    fn in_memory(&self, number: u64) -> u64 {
        documents_of(&self.held, number)
    }

    fn lost(&mut self, reason: DropReason, documents: u64) {
        if documents > 0 {
            let documents = usize::try_from(documents).unwrap_or(usize::MAX);
            self.notes.push(Note::Lost { reason, documents });
        }
    }

    /// Notes that a file is damaged, once.
    fn damaged(&mut self, number: u64, why: &dyn ToString) {
        if let Some(at) = self.position(number)
            && std::mem::replace(&mut self.files[at].damaged, true)
        {
            return;
        }
        let ours = number >= self.first_own;
        self.notes.push(Note::Damaged { file: waiting_name(number), why: why.to_string(), ours });
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.files.binary_search_by_key(&number, |file| file.number).ok()
    }

    /// The record to read next: the oldest, in turn with those that were tried before.
    ///
    /// An error says that the disk does not answer now, and from which file: what is there may be there later.
    pub(super) fn next(&mut self, now_ms: u64) -> Result<Option<Next>, ReadError> {
        self.returned_first = !self.returned_first;
        if self.returned_first
            && let Some(next) = self.next_returned()?
        {
            return Ok(Some(next));
        }
        match self.next_unread(now_ms)? {
            None => self.next_returned(),
            found => Ok(found),
        }
    }

    fn next_returned(&mut self) -> Result<Option<Next>, ReadError> {
        while let Some(&record) = self.returned.front() {
            let found = match self.position(record.file) {
                None => None,
                Some(at) => is_there(read_header(&*self.files[at].file, record.offset), record.file)?,
            };
            if let Some(header) = found.flatten() {
                return Ok(Some(Next { record, header, returned: true }));
            }
            self.returned.pop_front();
            self.unreadable(record, &"a record cannot be read again");
        }
        Ok(None)
    }

    /// Moves the cursors past what is dealt with, in memory, or too old.
    fn next_unread(&mut self, now_ms: u64) -> Result<Option<Next>, ReadError> {
        let mut at = 0;
        while let Some(file) = self.files.get_mut(at) {
            let number = file.number;
            let found = is_there(next_record(&*file.file, file.cursor, file.bytes), number)?;
            let Some(found) = found.flatten() else {
                at += usize::from(!self.read_to_the_end(at));
                continue;
            };
            let (header, skipped) = (found.header, found.offset != file.cursor);
            let record = Record { file: number, offset: found.offset, documents: header.documents };
            file.cursor = found.offset;
            if skipped {
                self.damaged(number, &NOT_WRITTEN);
            }
            let too_old =
                header.written_ms >= CLOCK_SET_MS && now_ms.saturating_sub(header.written_ms) > AGE_MAX_MS;
            let in_memory = self.held.contains(&record);
            if !header.done && !in_memory && !too_old {
                return Ok(Some(Next { record, header, returned: false }));
            }
            self.files[at].cursor += header.record_bytes();
            if !header.done && !in_memory {
                self.lost(DropReason::Expired, u64::from(header.documents));
                self.finished(record);
                // The file may be gone with its last record.
                at = self.files.partition_point(|file| file.number < number);
            }
        }
        Ok(None)
    }

    /// The disk has not given back anything of a file for too long: what nobody has read of it is lost.
    pub(super) fn give_up_reading(&mut self, number: u64, why: &dyn ToString) {
        self.damaged(number, why);
        let Some(at) = self.position(number) else { return };
        self.files[at].cursor = self.files[at].bytes;
        self.returned.retain(|record| record.file != number);
        self.read_to_the_end(at);
    }

    /// The cursor of a file is at its end: what should have been found in it and was not is lost. True when
    /// nothing is left of the file.
    fn read_to_the_end(&mut self, at: usize) -> bool {
        let number = self.files[at].number;
        let returned = documents_of(&self.returned, number);
        let known = self.in_memory(number) + returned;
        let file = &mut self.files[at];
        file.cursor = file.bytes;
        let missing = file.waiting.saturating_sub(known);
        file.waiting -= missing;
        self.lost(DropReason::SpoolDamaged, missing);
        self.retire_if_done(at)
    }

    /// Reads a record, which is held from then on. None when it is not what was written; it is lost then.
    pub(super) fn take(&mut self, next: &Next) -> Result<Option<Taken>, ReadError> {
        let Next { record, header, returned } = *next;
        let Some(at) = self.position(record.file) else { return Ok(None) };
        let file = &mut self.files[at];
        let mut payload = vec![0; header.payload_bytes()];
        let read = file.file.read_exact_at(&mut payload, record.offset + HEADER_BYTES as u64);
        let read = is_there(read, record.file)?;
        if returned {
            self.returned.pop_front();
        } else {
            file.cursor = record.offset + header.record_bytes();
        }
        let Some((body, ends)) = read.and_then(|()| header.payload(payload)) else {
            self.unreadable(record, &"a checksum is wrong");
            return Ok(None);
        };
        self.held.insert(record);
        Ok(Some(Taken { record, body, ends }))
    }

    /// A record that cannot be had: its documents are lost, and its file is looked at by nobody but people.
    pub(super) fn unreadable(&mut self, record: Record, why: &dyn ToString) {
        self.damaged(record.file, why);
        self.lost(DropReason::SpoolDamaged, u64::from(record.documents));
        self.finished(record);
    }

    /// The documents of a new record are being sent at the same time.
    pub(super) fn hold(&mut self, record: Record) {
        self.held.insert(record);
    }

    /// The documents of a record are dealt with.
    pub(super) fn finished(&mut self, record: Record) {
        self.held.remove(&record);
        // A file that was given up took its records along.
        let Some(at) = self.position(record.file) else { return };
        let file = &mut self.files[at];
        file.waiting = file.waiting.saturating_sub(u64::from(record.documents));
        if !self.retire_if_done(at) {
            let file = self.files[at].file.clone();
            // Without its mark it is sent twice should this run end now.
            if file.write_all_at(&[DONE], record.offset + STATE_AT).is_ok() {
                self.changed(file);
            }
        }
    }

    /// The documents of a record are not in memory any more and have to be read again.
    pub(super) fn released(&mut self, record: Record) {
        self.held.remove(&record);
        match self.position(record.file) {
            None => self.lost(DropReason::SpoolFull, u64::from(record.documents)),
            Some(at) if record.offset < self.files[at].cursor => self.returned.push_back(record),
            Some(_) => {}
        }
    }

    /// Deletes a file when nothing in it waits.
    fn retire_if_done(&mut self, at: usize) -> bool {
        if self.files[at].waiting > 0 {
            return false;
        }
        let Some(file) = self.files.remove(at) else { return false };
        self.writable &= at < self.files.len();
        self.retire(&file);
        true
    }

    fn retire(&mut self, file: &LogFile) {
        let name = waiting_name(file.number);
        self.unsynced.retain(|unsynced| !Arc::ptr_eq(unsynced, &file.file));
        if !file.damaged {
            if self.delete(&name).is_err() {
                // It stays, and must not be taken for a full one by the next run.
                let _ = file.file.truncate(FIRST_RECORD);
            }
            return;
        }
        let aside = aside_name(file.number);
        if self.disk.rename(&name, &aside).is_ok() {
            self.aside.push_back((aside.clone(), file.bytes));
            self.notes.push(Note::SetAside { file: name, name: aside });
        }
        while self.aside.len() > ASIDE_MAX {
            let Some((name, _)) = self.aside.pop_front() else { break };
            let _ = self.disk.remove(&name);
        }
    }
}

/// Whether the next run will find a file. One that cannot be asked is there as far as is known.
fn is_found(file: &LogFile) -> bool {
    file.file.is_linked().unwrap_or(true)
}

fn documents_of<'a>(records: impl IntoIterator<Item = &'a Record>, number: u64) -> u64 {
    records.into_iter().filter(|record| record.file == number).map(|record| u64::from(record.documents)).sum()
}

fn waiting_name(number: u64) -> String {
    format!("{number:016}{WAITING_SUFFIX}")
}

fn aside_name(number: u64) -> String {
    format!("{number:016}{ASIDE_SUFFIX}")
}

struct Found {
    offset: u64,
    header: Header,
}

/// The first whole record at `offset` or behind it.
fn next_record(file: &dyn DiskFile, offset: u64, length: u64) -> io::Result<Option<Found>> {
    let fits = |at: u64, header: &Header| at + header.record_bytes() <= length;
    if offset >= length {
        return Ok(None);
    }
    if offset + HEADER_BYTES as u64 <= length
        && let Some(header) = read_header(file, offset)?
        && fits(offset, &header)
    {
        return Ok(Some(Found { offset, header }));
    }
    // Damage: look for the next one byte by byte. Chunks overlap by a header, so that none is missed.
    let mut begin = offset;
    let mut buffer = vec![0; SEARCH_BYTES];
    while begin + (HEADER_BYTES as u64) < length {
        let bytes = usize::try_from(length - begin).map_or(SEARCH_BYTES, |left| left.min(SEARCH_BYTES));
        let chunk = &mut buffer[..bytes];
        file.read_exact_at(chunk, begin)?;
        let mut at = 0;
        while let Some(found) = find_magic(chunk, at) {
            at = found + 1;
            let header = chunk[found..].first_chunk::<HEADER_BYTES>().and_then(Header::parse);
            let offset = begin + found as u64;
            if let Some(header) = header.filter(|header| fits(offset, header)) {
                return Ok(Some(Found { offset, header }));
            }
        }
        begin += (bytes - HEADER_BYTES) as u64;
        if bytes < SEARCH_BYTES {
            break;
        }
    }
    Ok(None)
}

fn read_header(file: &dyn DiskFile, offset: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(Header::parse(&bytes))
}
