//! Writing documents to the log, and catching up with it when the disk did not take them for a while.
//!
//! The log has documents in the order of their sequences, whatever failed: what is in memory alone is written before
//! anything newer.

use super::clock::micros;
use super::folder::{LogFile, log_name};
use super::head::Generation;
use super::kept::Kept;
use super::shared::{Doing, Shared};
use super::wal::Packer;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Time between two tries with a disk that takes nothing.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two looks whether the directory is still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Documents that are written at once when there is something to catch up with.
const CATCH_UP_DOCUMENTS: usize = 1024;

/// What the writer writes with.
#[derive(Debug)]
pub(super) struct Logger {
    shared: Arc<Shared>,
    /// The one documents of the active generation go to.
    file: Option<Arc<dyn LogFile>>,
    packer: Packer,
    /// Bytes on their way to the log.
    out: Vec<u8>,
    /// The disk has failed, and is left alone until then.
    retry_at: Option<Duration>,
    look_at: Duration,
}

impl Logger {
    pub(super) fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let look_at = shared.clock.monotonic() + LOOK_INTERVAL;
        Ok(Self { shared, file: None, packer: Packer::new()?, out: Vec::new(), retry_at: None, look_at })
    }

    /// Writes new documents, which will be those of the active generation. False when the disk does not take them.
    pub(super) fn write(&mut self, active: &Generation, documents: &[&Kept]) -> bool {
        let now = self.shared.clock.monotonic();
        if !self.shared.has_disk() {
            return true;
        }
        if self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return false;
        }
        let written = self.catch_up(active).and_then(|()| self.append_active(active, documents));
        self.conclude(written)
    }

    /// The next documents go to another generation, and to another file.
    pub(super) fn end_file(&mut self) {
        self.file = None;
    }

    /// When there is something to do beside writing what comes.
    pub(super) fn due(&self) -> Option<Duration> {
        self.shared.has_disk().then(|| self.retry_at.unwrap_or(self.look_at))
    }

    /// Does what is due: nobody may come for long, and what is in memory alone must not wait for that.
    pub(super) fn work(&mut self, active: &Generation, next_sequence: u64) {
        let now = self.shared.clock.monotonic();
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        self.look_at = now + LOOK_INTERVAL;
        if self.retry_at.is_some() {
            self.retry(active, next_sequence);
        } else if let Err(error) = self.look() {
            // What was written there is gone, or somebody else's.
            for generation in self.shared.view.get().generations() {
                generation.lose_log();
            }
            self.conclude(Err(error));
        }
    }

    /// Tries once more, if there is a reason, since there will be no other time.
    pub(super) fn end(&mut self, active: &Generation, next_sequence: u64) {
        if self.retry_at.is_some() {
            self.retry(active, next_sequence);
        }
    }

    fn look(&self) -> io::Result<()> {
        let _under_way = self.shared.begin(Doing::Log);
        self.shared.disk.check()
    }

    fn retry(&mut self, active: &Generation, next_sequence: u64) {
        let mut written = self.catch_up(active);
        if written.is_ok() && self.file.is_none() {
            // Nothing is left to write. Whether the disk works is seen by the file the next documents go to.
            written = self.create(active, next_sequence).map(|(file, _)| self.file = Some(file));
        }
        self.conclude(written);
    }

    fn conclude(&mut self, written: io::Result<()>) -> bool {
        match written {
            Ok(()) => {
                self.retry_at = None;
                self.shared.works(Doing::Log);
                true
            }
            Err(error) => {
                self.shared.failed(Doing::Log, &error);
                self.retry_at = Some(self.shared.clock.monotonic() + RETRY_INTERVAL);
                // Another file may fare better, should this one be the reason.
                self.file = None;
                false
            }
        }
    }

    /// Writes what is in memory alone.
    fn catch_up(&mut self, active: &Generation) -> io::Result<()> {
        if self.retry_at.is_none() {
            return Ok(());
        }
        for frozen in &self.shared.view.get().frozen {
            let mut file = None;
            self.catch_up_with(frozen, &mut file)?;
            let is_sealed =
                |frozen| !self.shared.view.get().frozen.iter().any(|one| Arc::ptr_eq(one, frozen));
            if file.is_some() && is_sealed(frozen) {
                // It has become a block meanwhile, and whoever saw to that may have known less files.
                self.shared.remove_logs(frozen.take_logs());
            }
        }
        let mut file = self.file.take();
        let written = self.catch_up_with(active, &mut file);
        self.file = file;
        written
    }

    fn catch_up_with(
        &mut self,
        generation: &Generation,
        file: &mut Option<Arc<dyn LogFile>>,
    ) -> io::Result<()> {
        loop {
            let unlogged = generation.first_unlogged(CATCH_UP_DOCUMENTS);
            if unlogged.is_empty() {
                return Ok(());
            }
            let documents: Vec<_> = unlogged.iter().map(|kept| &**kept).collect();
            self.append(generation, &documents, file)?;
            generation.logged(unlogged.len());
        }
    }

    fn append_active(&mut self, active: &Generation, documents: &[&Kept]) -> io::Result<()> {
        let mut file = self.file.take();
        let written = self.append(active, documents, &mut file);
        self.file = file;
        written
    }

    fn append(
        &mut self,
        to: &Generation,
        documents: &[&Kept],
        file: &mut Option<Arc<dyn LogFile>>,
    ) -> io::Result<()> {
        let Some(first) = documents.first() else { return Ok(()) };
        self.pack(documents)?;
        let (log, new) = match file {
            Some(log) => (log.clone(), None),
            None => self.create(to, first.record.sequence).map(|(log, name)| (log, Some(name)))?,
        };
        if let Err(error) = self.append_packed(&log) {
            // A full disk must not get one more file with each try. What cannot be deleted now is deleted with the others.
            if let Some(name) = new
                && self.shared.disk.remove_log(&name).is_ok()
            {
                to.forget_log(&name);
            }
            return Err(error);
        }
        *file = Some(log);
        to.add_log_bytes(self.out.len());
        Ok(())
    }

    fn create(&self, of: &Generation, first_sequence: u64) -> io::Result<(Arc<dyn LogFile>, String)> {
        let _under_way = self.shared.begin(Doing::Log);
        let name = log_name(first_sequence);
        let log = self.shared.disk.create_log(&name)?;
        of.add_log(name.clone());
        Ok((log, name))
    }

    fn append_packed(&self, log: &Arc<dyn LogFile>) -> io::Result<()> {
        let _under_way = self.shared.begin(Doing::Log);
        log.append(&self.out)?;
        if !self.shared.settings.durable {
            self.shared.dirty.add(log);
            return Ok(());
        }
        log.sync().inspect_err(|_| {
            // Whoever is told that these were not stored must not find them after the next start. If this fails as well,
            // there is nothing left to try.
            let _ = log.take_back(self.out.len());
        })
    }

    fn pack(&mut self, documents: &[&Kept]) -> io::Result<()> {
        self.out.clear();
        let mut expected = None;
        for kept in documents {
            let sequence = kept.record.sequence;
            if expected.is_some_and(|expected| expected != sequence) {
                // A frame has only the first sequence.
                self.packer.finish(&mut self.out)?;
            }
            expected = Some(sequence + 1);
            self.packer.push(sequence, micros(kept.record.received_at), kept.received(), &mut self.out)?;
        }
        self.packer.finish(&mut self.out)
    }
}
