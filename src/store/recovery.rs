//! Opening a store: what an earlier run left, in whatever state it was left.

use super::block::BlockError;
use super::day::Day;
use super::event::chain;
use super::folder::{BlockName, Disk, Folder, Found};
use super::head::Generation;
use super::judge::judge;
use super::keeper;
use super::ledger::RefusedReason;
use super::view::{Part, View};
use super::wal::{self, Logged};
use super::{Event, Listener};
use std::io;
use std::sync::Arc;

/// A log that cannot be read may hold up to so many documents: their sequences are not given again.
const SEQUENCES_OF_A_LOG: u64 = 1 << 24;

/// Full generations of the log that are in memory. With more of them, the oldest become blocks before the rest is read.
const FULL_GENERATIONS: usize = 2;

/// And when no block can be written. It is more than any run leaves.
const FULL_GENERATIONS_WITHOUT_DISK: usize = 8;

/// What was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) view: View,
    pub(super) next_sequence: u64,
    pub(super) documents: u64,
    /// Of what is in the log. Only a program of another version finds any.
    pub(super) refused: Vec<RefusedReason>,
}

/// Reads what is in a directory. A generation takes so many bytes of memory.
pub(super) fn recover(
    folder: &Folder,
    listener: &Listener,
    generation_bytes: usize,
) -> io::Result<Recovered> {
    let found = folder.look()?;
    let (blocks, unreadable) = open_blocks(folder, &found, listener)?;
    // Of one that was set aside the log may still have what was in it.
    let there = found.blocks.iter().filter(|name| folder.has_block(**name));
    let sealed_until = there.map(|name| name.last).max().unwrap_or_default();
    let mut logs = Logs {
        folder,
        listener,
        generation_bytes,
        read_until: sealed_until,
        last: found.highest_named.max(sealed_until),
        view: View { blocks, unreadable, frozen: Vec::new(), active: Arc::default() },
        documents: 0,
        refused: Vec::new(),
        has_frames: false,
        failed: None,
    };
    for name in &found.logs {
        logs.read(name)?;
    }
    let Logs { view, last, documents, refused, .. } = logs;
    Ok(Recovered { view, next_sequence: last + 1, documents, refused })
}

type Opened = (Vec<Arc<Part>>, Vec<BlockName>);

fn open_blocks(folder: &Folder, found: &Found, listener: &Listener) -> io::Result<Opened> {
    let mut parts = Vec::with_capacity(found.blocks.len());
    let mut unreadable = Vec::new();
    for &name in &found.blocks {
        match folder.open_block(name) {
            Ok(block) => parts.push(Arc::new(Part { name, block })),
            Err(error @ BlockError::Io { .. }) => {
                // What the disk does not give today it may give tomorrow; the others answer until then.
                unreadable.push(name);
                (listener.0)(&Event::BlockUnreadable { file: name.to_string(), reason: chain(&error) });
            }
            Err(error) => {
                let set_aside = folder.set_block_aside(name).ok();
                let (file, reason) = (name.to_string(), chain(&error));
                // How many there were stands in what cannot be read.
                (listener.0)(&Event::BlockDamaged { file, reason, set_aside, documents: 0 });
            }
        }
    }
    let replaced = |part: &Arc<Part>| parts.iter().any(|other| other.name.replaces(&part.name));
    let (replaced, mut kept): (Vec<_>, Vec<_>) = parts.iter().cloned().partition(replaced);
    for part in replaced {
        // The end of an earlier run came between a compaction and this.
        folder.remove_block(part.name)?;
    }
    kept.sort_unstable_by_key(|part| part.name);
    Ok((kept, unreadable))
}

/// What is read of the logs.
struct Logs<'a> {
    folder: &'a Folder,
    listener: &'a Listener,
    generation_bytes: usize,
    /// Generations are sealed, and logs are written, in the order of their sequences: what is not behind this is in blocks
    /// or has been read.
    read_until: u64,
    last: u64,
    view: View,
    documents: u64,
    refused: Vec<RefusedReason>,
    /// Something of the file could be read.
    has_frames: bool,
    /// Why no more can be read.
    failed: Option<io::Error>,
}

impl Logs<'_> {
    fn read(&mut self, name: &str) -> io::Result<()> {
        let file = match self.folder.read_log(name) {
            Ok(file) => file,
            Err(error) => {
                self.last = self.last.saturating_add(SEQUENCES_OF_A_LOG);
                let set_aside = self.folder.set_log_aside(name).ok();
                self.say_unreadable(name, error.to_string(), set_aside);
                return Ok(());
            }
        };
        let before = self.documents;
        self.has_frames = false;
        let mut generation = None;
        let damage = wal::read(&file, |logged| self.add(&mut generation, &logged))?;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if !self.keep_damaged(name, &file, damage) {
            // It could not be set aside, so that it must stay. What is in it is read again by the next start.
            return generation.map_or(Ok(()), |generation| self.push(generation));
        }
        if let Some(generation) = generation {
            generation.add_log_bytes(file.len());
            generation.add_log(name.to_owned());
            return self.push(generation);
        }
        match self.view.frozen.last() {
            // The last document of the file was the last of its generation.
            Some(generation) if self.documents > before => {
                generation.add_log(name.to_owned());
                Ok(())
            }
            _ => self.folder.remove_log(name),
        }
    }

    /// Keeps a copy of what is more than torn: somebody may be able to do something with it. False when that fails.
    fn keep_damaged(&mut self, name: &str, file: &[u8], damage: wal::Damage) -> bool {
        let wal::Damage { skipped_bytes, torn_bytes } = damage;
        let is_ours = wal::is_ours(file);
        if damage != wal::Damage::default() && (is_ours || self.has_frames) {
            let file = name.to_owned();
            (self.listener.0)(&Event::LogDamaged { file, skipped_bytes, torn_bytes });
        }
        if is_ours && skipped_bytes == 0 {
            return true;
        }
        if !self.has_frames {
            self.last = self.last.saturating_add(SEQUENCES_OF_A_LOG);
        }
        let reason =
            if is_ours { "parts of it were changed" } else { "this version of xrayd has not written it" };
        let kept = self.folder.copy_log_aside(name);
        let is_kept = kept.is_ok();
        self.say_unreadable(name, reason.to_owned(), kept.ok());
        is_kept
    }

    fn say_unreadable(&self, name: &str, reason: String, set_aside: Option<String>) {
        (self.listener.0)(&Event::LogUnreadable { file: name.to_owned(), reason, set_aside });
    }

    fn add(&mut self, generation: &mut Option<Arc<Generation>>, logged: &Logged) {
        self.last = self.last.max(logged.sequence);
        self.has_frames = true;
        if logged.sequence <= self.read_until || self.failed.is_some() {
            return;
        }
        self.read_until = logged.sequence;
        let day = Day::of(logged.received);
        match judge(&logged.raw, logged.sequence, logged.received) {
            Ok(kept) => {
                let full = |one: &Generation| one.bytes() >= self.generation_bytes || !one.takes(day);
                if let Some(before) = generation.take_if(|one| full(one)) {
                    // The file goes with the last generation that is in it.
                    self.failed = self.push(before).err();
                }
                let current = generation.get_or_insert_default();
                current.takes(day);
                current.insert(Arc::new(kept));
                self.documents += 1;
            }
            Err(error) => self.refused.push(RefusedReason::Invalid(error.code)),
        }
    }

    /// Adds a generation, and makes blocks of the oldest when there are many.
    fn push(&mut self, generation: Arc<Generation>) -> io::Result<()> {
        self.view.frozen.push(generation);
        while self.full_generations() > FULL_GENERATIONS {
            let oldest = self.view.frozen[0].clone();
            match keeper::write(self.folder, &oldest) {
                Ok(part) => {
                    self.view.frozen.remove(0);
                    self.view.add(Arc::new(part));
                    for name in oldest.take_logs() {
                        self.folder.remove_log(&name)?;
                    }
                }
                Err(error) if self.full_generations() > FULL_GENERATIONS_WITHOUT_DISK => {
                    return Err(io::Error::other(format!(
                        "the log is larger than memory should be, and cannot be made into blocks: {}",
                        chain(&error)
                    )));
                }
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn full_generations(&self) -> usize {
        let bytes: usize = self.view.frozen.iter().map(|generation| generation.bytes()).sum();
        bytes / self.generation_bytes.max(1)
    }
}
