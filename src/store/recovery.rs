//! Opening a store: what an earlier run left, in whatever state it was left.

use super::block::BlockError;
use super::day::Day;
use super::event::chain;
use super::folder::{Disk, Folder, Found};
use super::head::Generation;
use super::judge::judge;
use super::ledger::RefusedReason;
use super::view::{Part, View};
use super::wal::{self, Logged};
use super::{Event, Listener};
use std::io;
use std::sync::Arc;

/// A log that cannot be read may hold up to so many documents: their sequences are not given again.
const SEQUENCES_OF_A_LOG: u64 = 1 << 24;

/// What was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) view: View,
    pub(super) next_sequence: u64,
    pub(super) documents: u64,
    /// Of what is in the log. Only a program of another version finds any.
    pub(super) refused: Vec<RefusedReason>,
}

/// Reads what is in a directory.
pub(super) fn recover(folder: &Folder, listener: &Listener) -> io::Result<Recovered> {
    let found = folder.look()?;
    let blocks = open_blocks(folder, &found, listener)?;
    // Of one that was set aside the log may still have what was in it.
    let there = found.blocks.iter().filter(|name| folder.has_block(**name));
    let sealed_until = there.map(|name| name.last).max().unwrap_or_default();
    let mut logs = Logs {
        sealed_until,
        last: found.highest_named.max(sealed_until),
        frozen: Vec::new(),
        documents: 0,
        refused: Vec::new(),
    };
    for name in &found.logs {
        logs.read(folder, name, listener)?;
    }
    Ok(Recovered {
        view: View { blocks, frozen: logs.frozen, active: Arc::default() },
        next_sequence: logs.last + 1,
        documents: logs.documents,
        refused: logs.refused,
    })
}

fn open_blocks(folder: &Folder, found: &Found, listener: &Listener) -> io::Result<Vec<Arc<Part>>> {
    let mut parts = Vec::with_capacity(found.blocks.len());
    for &name in &found.blocks {
        match folder.open_block(name) {
            Ok(block) => parts.push(Arc::new(Part { name, block })),
            Err(error) => {
                // What the disk does not give today it may give tomorrow; the others answer until then.
                let is_there = matches!(error, BlockError::Io { .. });
                let set_aside = if is_there { None } else { folder.set_block_aside(name).ok() };
                let reason = chain(&error);
                (listener.0)(&Event::BlockDamaged { file: name.to_string(), reason, set_aside });
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
    Ok(kept)
}

/// What is read of the logs.
struct Logs {
    /// Generations are sealed in the order of their sequences: up to here all is in blocks.
    sealed_until: u64,
    last: u64,
    frozen: Vec<Arc<Generation>>,
    documents: u64,
    refused: Vec<RefusedReason>,
}

impl Logs {
    fn read(&mut self, folder: &Folder, name: &str, listener: &Listener) -> io::Result<()> {
        let file = match folder.read_log(name) {
            Ok(file) => file,
            Err(error) => {
                self.last = self.last.saturating_add(SEQUENCES_OF_A_LOG);
                let set_aside = folder.set_log_aside(name).ok();
                let (file, reason) = (name.to_owned(), error.to_string());
                (listener.0)(&Event::LogUnreadable { file, reason, set_aside });
                return Ok(());
            }
        };
        let mut generation = None;
        let damage = wal::read(&file, |logged| self.add(&mut generation, &logged))?;
        if damage != wal::Damage::default() {
            let wal::Damage { skipped_bytes, torn_bytes } = damage;
            (listener.0)(&Event::LogDamaged { file: name.to_owned(), skipped_bytes, torn_bytes });
        }
        match generation {
            None => folder.remove_log(name),
            Some(generation) => {
                generation.add_log_bytes(file.len());
                generation.add_log(name.to_owned());
                self.frozen.push(generation);
                Ok(())
            }
        }
    }

    fn add(&mut self, generation: &mut Option<Arc<Generation>>, logged: &Logged) {
        self.last = self.last.max(logged.sequence);
        if logged.sequence <= self.sealed_until {
            return;
        }
        let day = Day::of(logged.received);
        match judge(&logged.raw, logged.sequence, logged.received) {
            Ok(kept) => {
                let current = generation.get_or_insert_default();
                if !current.takes(day) {
                    // No log is written like that, but what is in it is good all the same. It goes with the last of it.
                    self.frozen.push(std::mem::take(current));
                    current.takes(day);
                }
                current.insert(Arc::new(kept));
                self.documents += 1;
            }
            Err(error) => self.refused.push(RefusedReason::Invalid(error.code)),
        }
    }
}
