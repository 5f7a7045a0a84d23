//! What the spool asks of a disk: the door for one that fails on purpose.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// Bytes of the file system the spool is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Left for us.
    pub available: u64,
    /// All there are.
    pub total: u64,
}

/// Who holds the directory.
#[derive(Debug)]
pub enum Lock {
    /// We, until the value is dropped.
    Ours(Box<dyn Send + Debug>),
    /// Another process.
    Busy,
}

/// What the spool asks of a disk. Names have no folders in them.
pub trait Disk: Send + Sync + Debug {
    /// Makes the folder if there is none, and locks it against other daemons.
    ///
    /// # Errors
    /// What the system says, or that the folder is not ours alone.
    fn lock(&self) -> io::Result<Lock>;
    /// Names of all files.
    ///
    /// # Errors
    /// What the system says.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Makes a new file. It is in the folder for good after [`Disk::sync`].
    ///
    /// # Errors
    /// What the system says; also when there is one of this name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file to read and change it.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;
    /// Space on the disk; nothing when it cannot be known.
    fn space(&self) -> Option<Space>;
    /// The files go when the container does, or the host restarts.
    fn is_volatile(&self) -> bool;
    /// What to call it in messages.
    fn place(&self) -> String;
}

/// One open file.
pub trait DiskFile: Send + Sync + Debug {
    /// Length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no bytes.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|length| length == 0)
    }
    /// Whether it still has a name, so that the next run finds it.
    ///
    /// # Errors
    /// What the system says.
    fn is_linked(&self) -> io::Result<bool>;
    /// Fills the whole buffer.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` when the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all bytes; they survive the death of this process.
    ///
    /// # Errors
    /// What the system says; any part may have been written then.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Makes what was written durable against a loss of power.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;
}
