//! The directory of a store.
//!
//! ```text
//! lock                              held by the process that uses the store
//! account.json                      what the account knows beside documents
//! wal/0000000000000001.wal          documents that are in no block yet; named by the first sequence
//! date=2026-11-25/…-….parquet       a block, in the partition of the day its documents were received on; named by the
//!                                   first and the last sequence
//! …                .damaged         was one of these, and cannot be read
//! ```
//!
//! The names of blocks say what a crash left behind: one whose sequences lie within those of another was compacted into
//! that one.

use super::block::{self, Block, BlockError};
use super::day::Day;
use super::kept::Kept;
use super::merge;
use super::wal::FILE_HEADER;
use std::fmt::{self, Debug};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const LOCK_FILE: &str = "lock";
const ACCOUNT_FILE: &str = "account.json";
const LOG_FOLDER: &str = "wal";
const LOG_SUFFIX: &str = ".wal";
const PARTITION_PREFIX: &str = "date=";
const BLOCK_SUFFIX: &str = ".parquet";
const DAMAGED_SUFFIX: &str = ".damaged";
/// What is not finished. After a crash it is rubbish.
const PARTIAL_SUFFIX: &str = ".partial";

/// Name of a block: where it lies, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BlockName {
    pub(super) day: Day,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl BlockName {
    /// Whether the documents of the other are in this one too.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self != other && self.day == other.day && self.first <= other.first && other.last <= self.last
    }

    fn parse(day: Day, name: &str) -> Option<Self> {
        let (first, last) = name.strip_suffix(BLOCK_SUFFIX)?.split_once('-')?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let read = Self { day, first: number(first)?, last: number(last)? };
        (read.file() == name).then_some(read)
    }

    fn file(&self) -> String {
        format!("{:016x}-{:016x}{BLOCK_SUFFIX}", self.first, self.last)
    }
}

impl fmt::Display for BlockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PARTITION_PREFIX}{}/{}", self.day, self.file())
    }
}

/// A file of the log that is being written.
pub(super) trait LogFile: Send + Sync + Debug {
    /// Writes at the end. After a failure the file is as long as before, as far as the disk allows that.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
    /// Cuts so much of what was written last.
    fn take_back(&self, bytes: usize) -> io::Result<()>;
}

/// What a store asks of the disk: the door for one that fails on purpose.
pub(super) trait Disk: Send + Sync + Debug {
    /// Fails when what is written would go nowhere: the directory has been deleted, or is another now.
    fn check(&self) -> io::Result<()>;
    fn create_log(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;
    fn remove_log(&self, name: &str) -> io::Result<()>;
    fn write_block(&self, name: BlockName, rows: &[Arc<Kept>]) -> Result<Block, BlockError>;
    fn compact(&self, inputs: &[&Block], name: BlockName) -> Result<Block, BlockError>;
    fn remove_block(&self, name: BlockName) -> io::Result<()>;
    /// Gives a block a name under which nobody reads it, and returns that.
    fn set_block_aside(&self, name: BlockName) -> io::Result<String>;
    fn load_account(&self) -> io::Result<Option<Vec<u8>>>;
    fn save_account(&self, account: &[u8]) -> io::Result<()>;
}

/// Whether the store in a directory is ours.
#[derive(Debug)]
pub(super) enum Lock {
    Ours(Folder),
    Busy,
}

/// The real one. It is ours as long as it lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

/// What is there when a store is opened.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) blocks: Vec<BlockName>,
    /// By first sequence.
    pub(super) logs: Vec<String>,
    /// No name has a higher sequence, not even of what was set aside.
    pub(super) highest_named: u64,
}

impl Folder {
    /// Makes the directory if there is none, and locks it.
    pub(super) fn lock(path: &Path) -> io::Result<Lock> {
        make_folder(path)?;
        make_folder(&path.join(LOG_FOLDER))?;
        // A log in a folder that is gone after a loss of power would be gone too.
        sync_folder(path)?;
        let lock =
            private().read(true).write(true).create(true).truncate(false).open(path.join(LOCK_FILE))?;
        match lock.try_lock() {
            Ok(()) => Ok(Lock::Ours(Self { path: path.to_owned(), lock })),
            Err(TryLockError::WouldBlock) => Ok(Lock::Busy),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Looks at what is there, and sweeps away what a crash left unfinished. Files of others are left alone.
    pub(super) fn look(&self) -> io::Result<Found> {
        let mut found = Found::default();
        for name in names(&self.path)? {
            let day = name.strip_prefix(PARTITION_PREFIX).and_then(Day::parse);
            let path = self.path.join(&name);
            if let Some(day) = day.filter(|_| path.is_dir()) {
                look_into(day, &path, &mut found)?;
            } else if name.strip_suffix(PARTIAL_SUFFIX) == Some(ACCOUNT_FILE) {
                sweep(&path);
            }
        }
        found.blocks.sort_unstable();
        for name in names(&self.path.join(LOG_FOLDER))? {
            let Some(sequence) = log_sequence(name.trim_end_matches(DAMAGED_SUFFIX)) else { continue };
            found.highest_named = found.highest_named.max(sequence);
            if !name.ends_with(DAMAGED_SUFFIX) {
                found.logs.push(name);
            }
        }
        found.logs.sort_unstable();
        Ok(found)
    }

    pub(super) fn open_block(&self, name: BlockName) -> Result<Block, BlockError> {
        Block::open(&self.block_path(name))
    }

    pub(super) fn has_block(&self, name: BlockName) -> bool {
        self.block_path(name).exists()
    }

    pub(super) fn read_log(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.log_path(name))
    }

    /// Gives a log a name under which nobody reads it, and returns that.
    pub(super) fn set_log_aside(&self, name: &str) -> io::Result<String> {
        let aside = format!("{LOG_FOLDER}/{name}{DAMAGED_SUFFIX}");
        fs::rename(self.log_path(name), self.path.join(&aside))?;
        Ok(aside)
    }

    /// Gives a log a second name, which stays when the first is deleted, and returns that.
    pub(super) fn copy_log_aside(&self, name: &str) -> io::Result<String> {
        let aside = format!("{LOG_FOLDER}/{name}{DAMAGED_SUFFIX}");
        let (from, to) = (self.log_path(name), self.path.join(&aside));
        // An earlier start may have done this, and come to no end: no two logs ever have the same name.
        if !to.exists() && fs::hard_link(&from, &to).is_err() {
            // Not all file systems have links.
            fs::copy(&from, &to)?;
        }
        Ok(aside)
    }

    fn block_path(&self, name: BlockName) -> PathBuf {
        self.path.join(name.to_string())
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.path.join(LOG_FOLDER).join(name)
    }

    fn make_partition(&self, name: BlockName) -> Result<PathBuf, BlockError> {
        let path = self.block_path(name);
        if let Err(source) = self.check() {
            return Err(BlockError::Io { path, doing: "write", source });
        }
        let partition = path.parent().unwrap_or(&self.path);
        if partition.is_dir() {
            return Ok(path);
        }
        match make_folder(partition).and_then(|()| sync_folder(&self.path)) {
            Ok(()) => Ok(path),
            Err(source) => Err(BlockError::Io { path, doing: "make the folder of", source }),
        }
    }
}

fn look_into(day: Day, partition: &Path, found: &mut Found) -> io::Result<()> {
    for name in names(partition)? {
        let unfinished = name.strip_suffix(PARTIAL_SUFFIX).and_then(|name| BlockName::parse(day, name));
        if unfinished.is_some() {
            sweep(&partition.join(name));
            continue;
        }
        let block = BlockName::parse(day, name.trim_end_matches(DAMAGED_SUFFIX));
        found.highest_named = found.highest_named.max(block.map_or(0, |block| block.last));
        if !name.ends_with(DAMAGED_SUFFIX) {
            // A file somebody has put there is left alone.
            found.blocks.extend(block);
        }
    }
    Ok(())
}

/// Removes what a crash left. What cannot be removed does no harm where it is.
fn sweep(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Name of a log whose first document has this sequence.
pub(super) fn log_name(first_sequence: u64) -> String {
    format!("{first_sequence:016x}{LOG_SUFFIX}")
}

fn log_sequence(name: &str) -> Option<u64> {
    let sequence = u64::from_str_radix(name.strip_suffix(LOG_SUFFIX)?, 16).ok()?;
    (log_name(sequence) == name).then_some(sequence)
}

impl Disk for Folder {
    #[cfg(unix)]
    fn check(&self) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let ours = self.lock.metadata()?;
        let there = fs::metadata(self.path.join(LOCK_FILE));
        let same = |there: &fs::Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        match there {
            Ok(there) if same(&there) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "its directory was deleted, or exchanged for another; restart the process",
            )),
        }
    }

    #[cfg(not(unix))]
    fn check(&self) -> io::Result<()> {
        Ok(())
    }

    fn create_log(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        self.check()?;
        // Somebody may have deleted this while the store was in use.
        make_folder(&self.path.join(LOG_FOLDER))?;
        // No document of an earlier file has its name's sequence: what is left of a try that failed is of no use.
        let path = self.log_path(name);
        let mut file = private().write(true).create(true).truncate(true).open(&path)?;
        let written = file.write_all(&FILE_HEADER).and_then(|()| sync_folder(&self.path.join(LOG_FOLDER)));
        if let Err(error) = written {
            // A full disk must not get one more file with each try.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let length = FILE_HEADER.len() as u64;
        Ok(Arc::new(OpenLog { end: Mutex::new(length), file }))
    }

    fn remove_log(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.log_path(name))
    }

    fn write_block(&self, name: BlockName, rows: &[Arc<Kept>]) -> Result<Block, BlockError> {
        let path = self.make_partition(name)?;
        block::write(&path, rows.iter().map(|kept| &**kept))?;
        Block::open(&path)
    }

    fn compact(&self, inputs: &[&Block], name: BlockName) -> Result<Block, BlockError> {
        let path = self.make_partition(name)?;
        merge::compact(inputs, &path)?;
        Block::open(&path)
    }

    fn remove_block(&self, name: BlockName) -> io::Result<()> {
        let path = self.block_path(name);
        fs::remove_file(&path)?;
        if let Some(partition) = path.parent() {
            // It stays when something else is in it.
            let _ = fs::remove_dir(partition);
        }
        Ok(())
    }

    fn set_block_aside(&self, name: BlockName) -> io::Result<String> {
        let aside = format!("{name}{DAMAGED_SUFFIX}");
        fs::rename(self.block_path(name), self.path.join(&aside))?;
        Ok(aside)
    }

    fn load_account(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(ACCOUNT_FILE)) {
            Ok(account) => Ok(Some(account)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn save_account(&self, account: &[u8]) -> io::Result<()> {
        let path = self.path.join(ACCOUNT_FILE);
        let partial = self.path.join(format!("{ACCOUNT_FILE}{PARTIAL_SUFFIX}"));
        let mut file = private().write(true).create(true).truncate(true).open(&partial)?;
        file.write_all(account)?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        sync_folder(&self.path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A child process that was started meanwhile may still have the file open, and with it the lock.
        let _ = self.lock.unlock();
    }
}

#[derive(Debug)]
struct OpenLog {
    file: File,
    end: Mutex<u64>,
}

impl LogFile for OpenLog {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = &self.file;
        let written = file.seek(SeekFrom::Start(*end)).and_then(|_| file.write_all(bytes));
        match &written {
            Ok(()) => *end += bytes.len() as u64,
            // Should this fail too, the next frames are found behind what was cut.
            Err(_) => drop(self.file.set_len(*end)),
        }
        written
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn take_back(&self, bytes: usize) -> io::Result<()> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        *end = end.saturating_sub(bytes as u64).max(FILE_HEADER.len() as u64);
        self.file.set_len(*end)
    }
}

/// For files nobody else may read: documents have the data of whoever was traced.
fn private() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "other systems have no such mode"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes names durable.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        // A name that is no text is not one of ours.
        names.extend(entry?.file_name().to_str().map(str::to_owned));
    }
    Ok(names)
}

/// No disk at all.
#[derive(Debug, Default)]
pub(super) struct NoDisk {
    account: Mutex<Option<Vec<u8>>>,
}

impl NoDisk {
    fn none<T>() -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn no_block<T>(name: BlockName, doing: &'static str) -> Result<T, BlockError> {
        let (path, source) = (PathBuf::from(name.to_string()), io::ErrorKind::Unsupported.into());
        Err(BlockError::Io { path, doing, source })
    }
}

impl Disk for NoDisk {
    fn check(&self) -> io::Result<()> {
        Ok(())
    }

    fn create_log(&self, _: &str) -> io::Result<Arc<dyn LogFile>> {
        Self::none()
    }

    fn remove_log(&self, _: &str) -> io::Result<()> {
        Self::none()
    }

    fn write_block(&self, name: BlockName, _: &[Arc<Kept>]) -> Result<Block, BlockError> {
        Self::no_block(name, "write")
    }

    fn compact(&self, _: &[&Block], name: BlockName) -> Result<Block, BlockError> {
        Self::no_block(name, "write")
    }

    fn remove_block(&self, _: BlockName) -> io::Result<()> {
        Self::none()
    }

    fn set_block_aside(&self, _: BlockName) -> io::Result<String> {
        Self::none()
    }

    fn load_account(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.account.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save_account(&self, account: &[u8]) -> io::Result<()> {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_blocks_are_read_as_they_are_written() {
        let day = Day::parse("2026-11-25").unwrap();
        let name = BlockName { day, first: 1, last: 0xabc };
        assert_eq!(name.to_string(), "date=2026-11-25/0000000000000001-0000000000000abc.parquet");
        assert_eq!(BlockName::parse(day, &name.file()), Some(name));
        for other in ["", "x.parquet", "1-2.parquet", "0000000000000001-0000000000000ABC.parquet"] {
            assert_eq!(BlockName::parse(day, other), None, "{other}");
        }
        assert_eq!(BlockName::parse(day, &format!("{}.damaged", name.file())), None);
    }

    #[test]
    fn a_block_replaces_those_whose_sequences_lie_within_its_own() {
        let day = Day::parse("2026-11-25").unwrap();
        let name = |first, last| BlockName { day, first, last };
        assert!(name(1, 9).replaces(&name(1, 4)) && name(1, 9).replaces(&name(5, 9)));
        assert!(!name(1, 9).replaces(&name(1, 9)) && !name(5, 9).replaces(&name(1, 9)));
        let other_day = BlockName { day: Day::parse("2026-11-26").unwrap(), ..name(2, 3) };
        assert!(!name(1, 9).replaces(&other_day));
    }
}
