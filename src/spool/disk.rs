//! The directory the spool lives in, and a door for a disk that fails on purpose.

use std::fmt::Debug;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder inside the directory the user named. It is ours alone, whoever owns the directory, and its name
/// says the format of the files.
const FOLDER: &str = "v1";

const LOCK_FILE: &str = "lock";

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

/// A folder of a file system.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The spool's folder inside `directory`, which need not exist.
    pub fn in_directory(directory: &Path) -> Self {
        Self { path: directory.join(FOLDER) }
    }

    fn make(&self) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            builder().recursive(true).create(directory)?;
        }
        match builder().create(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => own(&self.path),
            done => done,
        }
    }
}

fn builder() -> DirBuilder {
    #[allow(unused_mut, reason = "changed on unix only")]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// A folder that was there before has to be a real one, ours, and closed to others.
#[cfg(unix)]
fn own(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::other(format!("{} is not a directory", path.display())));
    }
    let ours = rustix::process::geteuid().as_raw();
    if found.uid() != ours {
        let owner = found.uid();
        return Err(io::Error::other(format!(
            "{} belongs to user {owner}, and this daemon runs as {ours}",
            path.display()
        )));
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn own(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A name that leads elsewhere is not one of ours.
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options
}

impl Disk for Folder {
    fn lock(&self) -> io::Result<Lock> {
        self.make()?;
        let file = options().create(true).truncate(false).open(self.path.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock::Ours(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(Lock::Busy),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is no text is not one of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = options().create_new(true).open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = options().open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    #[cfg(unix)]
    fn space(&self) -> Option<Space> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(Space { available: found.f_bavail * found.f_frsize, total: found.f_blocks * found.f_frsize })
    }

    #[cfg(not(unix))]
    fn space(&self) -> Option<Space> {
        None
    }

    #[cfg(target_os = "linux")]
    fn is_volatile(&self) -> bool {
        /// `statfs(2)`: a container's own layer, and memory.
        const OVERLAYFS: i128 = 0x794c_7630;
        const TMPFS: i128 = 0x0102_1994;
        // The field has another type on each architecture.
        rustix::fs::statfs(&self.path)
            .is_ok_and(|found| [OVERLAYFS, TMPFS].contains(&i128::from(found.f_type)))
    }

    #[cfg(not(target_os = "linux"))]
    fn is_volatile(&self) -> bool {
        false
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|found| found.len())
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    #[cfg(unix)]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    #[cfg(not(unix))]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = self;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }

    #[cfg(not(unix))]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        use std::io::{Seek, SeekFrom, Write};
        let mut file = self;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
