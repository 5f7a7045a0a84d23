//! A door for `fuzz/fuzz_targets/spool.rs`; not there in any other build.

use super::log::{Log, Note};
use super::memory::MemoryDisk;
use super::{Disk, record};
use crate::pipeline::build_body;

/// Large enough that nothing is given up for want of room.
const MAX_BYTES: u64 = 64 << 20;

const NAME: &str = "0000000000000001.spool";

const NOW_MS: u64 = 1_790_000_000_000;

/// What was made of a file.
#[derive(Debug)]
pub struct Reading {
    /// Documents that were said to wait when it was opened.
    pub recovered: u64,
    /// Bodies that were read, and where the documents in them end.
    pub bodies: Vec<(Vec<u8>, Vec<u32>)>,
    /// Documents in them.
    pub read: u64,
    /// Documents that were given up, and counted.
    pub lost: u64,
    /// Documents that are still said to wait at the end.
    pub left: u64,
    /// Names of the files at the end.
    pub names: Vec<String>,
}

/// A file as the log writes it, of these batches of documents.
pub fn write(batches: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let disk = MemoryDisk::new();
    let mut log = Log::open(disk.clone(), MAX_BYTES, 1).expect("a disk in memory can be listed");
    for documents in batches {
        if let Some(batch) = build_body(documents.iter().map(Vec::as_slice)) {
            log.append(&batch, NOW_MS).expect("there is room");
        }
    }
    disk.file(NAME).map(|file| file.bytes()).unwrap_or_default()
}

/// Gives everything that looks like a record the checksums it should have, so that what they guard is reached.
pub fn seal(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = record::find_magic(bytes, at) {
        at = found + 1;
        record::seal(&mut bytes[found..]);
    }
}

/// Opens a log that consists of one such file, and deals with all of it.
pub fn read(bytes: &[u8]) -> Reading {
    let disk = MemoryDisk::new();
    disk.create(NAME).expect("a disk in memory takes files");
    disk.change(NAME, |file| file.extend_from_slice(bytes));
    let mut log = Log::open(disk.clone(), MAX_BYTES, 1).expect("a disk in memory can be listed");
    let recovered = log.waiting();
    let (mut bodies, mut read) = (Vec::new(), 0);
    while let Some(next) = log.next(NOW_MS).expect("memory can be read") {
        if let Some(taken) = log.take(&next).expect("memory can be read") {
            read += u64::from(taken.record.documents);
            log.finished(taken.record);
            bodies.push((taken.body, taken.ends));
        }
    }
    let lost = log.take_notes().into_iter().map(|note| match note {
        Note::Lost { documents, .. } => documents as u64,
        _ => 0,
    });
    let lost = lost.sum();
    let names = disk.names().expect("a disk in memory can be listed");
    Reading { recovered, bodies, read, lost, left: log.waiting(), names }
}
