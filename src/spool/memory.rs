//! A disk in memory, which fails on command, for tests and fuzzing.

#![cfg_attr(fuzzing, allow(dead_code, reason = "the tests use more of it"))]

use super::disk::{Disk, DiskFile, Lock, Space};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// Files in memory.
#[derive(Debug, Default)]
pub(super) struct MemoryDisk {
    files: Mutex<BTreeMap<String, Arc<MemoryFile>>>,
    /// Bytes that may still be written before the disk is full; negative: no limit.
    pub(super) room: Arc<AtomicI64>,
    /// Bytes [`Disk::space`] says are left; 0: it says nothing.
    pub(super) available: AtomicU64,
    /// Bytes it says there are, a million where this is 0.
    pub(super) total: AtomicU64,
    /// Nothing can be read.
    pub(super) unreadable: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(super) struct MemoryFile {
    bytes: Mutex<Vec<u8>>,
    room: Arc<AtomicI64>,
    unreadable: Arc<AtomicBool>,
    linked: AtomicBool,
}

impl MemoryDisk {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { room: Arc::new(AtomicI64::new(-1)), ..Self::default() })
    }

    pub(super) fn file(&self, name: &str) -> io::Result<Arc<MemoryFile>> {
        self.files
            .lock()
            .expect("nobody panics with it")
            .get(name)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.file(name).expect("a file").bytes.lock().expect("nobody panics with it"));
    }

    pub(super) fn waiting_files(&self) -> Vec<String> {
        self.names()
            .expect("names")
            .into_iter()
            .filter(|name| Path::new(name).extension() == Some("spool".as_ref()))
            .collect()
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        let files = self.files.lock().expect("nobody panics with it");
        files.values().map(|file| file.bytes.lock().expect("nobody panics with it").len() as u64).sum()
    }

    pub(super) fn copy(&self) -> Arc<Self> {
        let copy = Self::new();
        for (name, file) in &*self.files.lock().expect("nobody panics with it") {
            let bytes = Mutex::new(file.bytes.lock().expect("nobody panics with it").clone());
            let file = Arc::new(MemoryFile {
                bytes,
                room: copy.room.clone(),
                unreadable: copy.unreadable.clone(),
                linked: AtomicBool::new(true),
            });
            copy.files.lock().expect("nobody panics with it").insert(name.clone(), file);
        }
        copy
    }
}

impl MemoryFile {
    #[cfg(fuzzing)]
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().expect("nobody panics with it").clone()
    }
}

impl Disk for MemoryDisk {
    fn lock(&self) -> io::Result<Lock> {
        Ok(Lock::Ours(Box::new(())))
    }
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.files.lock().expect("nobody panics with it").keys().cloned().collect())
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = Arc::new(MemoryFile {
            bytes: Mutex::default(),
            room: self.room.clone(),
            unreadable: self.unreadable.clone(),
            linked: AtomicBool::new(true),
        });
        self.files.lock().expect("nobody panics with it").insert(name.to_owned(), file.clone());
        Ok(file)
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(name)?)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.file(from)?;
        let mut files = self.files.lock().expect("nobody panics with it");
        files.remove(from);
        files.insert(to.to_owned(), file);
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.files.lock().expect("nobody panics with it").remove(name);
        removed.ok_or(io::ErrorKind::NotFound)?.linked.store(false, SeqCst);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn space(&self) -> Option<Space> {
        let available = self.available.load(SeqCst);
        let total = match self.total.load(SeqCst) {
            0 => 1_000_000,
            total => total,
        };
        (available > 0).then_some(Space { available, total })
    }
    fn is_volatile(&self) -> bool {
        false
    }
    fn place(&self) -> String {
        "memory".to_owned()
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().expect("nobody panics with it").len() as u64)
    }
    fn is_linked(&self) -> io::Result<bool> {
        Ok(self.linked.load(SeqCst))
    }
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.unreadable.load(SeqCst) {
            return Err(io::Error::other("input/output error, as the test asked"));
        }
        let offset = usize::try_from(offset).expect("it fits");
        let bytes = self.bytes.lock().expect("nobody panics with it");
        let found = bytes.get(offset..offset + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("it fits");
        let mut content = self.bytes.lock().expect("nobody panics with it");
        let room = self.room.load(SeqCst);
        let fits =
            if room < 0 { bytes.len() } else { bytes.len().min(usize::try_from(room).expect("it fits")) };
        let length = content.len().max(offset + fits);
        content.resize(length, 0);
        content[offset..offset + fits].copy_from_slice(&bytes[..fits]);
        if room >= 0 {
            self.room.fetch_sub(i64::try_from(fits).expect("it fits"), SeqCst);
        }
        if fits == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.bytes.lock().expect("nobody panics with it").truncate(usize::try_from(length).expect("it fits"));
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
