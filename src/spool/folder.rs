//! The directory the spool lives in.

use super::disk::{Disk, DiskFile, Lock, Space};
use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The folder inside the directory the user named. It is ours alone, whoever owns the directory, and its name
/// says the format of the files.
const FOLDER: &str = "v1";

const LOCK_FILE: &str = "lock";

/// A folder of a file system.
///
/// Once locked it is held open, and files are reached through it: whoever may change the folders above cannot make this
/// process touch files elsewhere.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    open: Mutex<Option<Arc<OwnedFd>>>,
}

impl Folder {
    /// The spool's folder inside `directory`, which need not exist.
    pub fn in_directory(directory: &Path) -> Self {
        Self { path: directory.join(FOLDER), open: Mutex::default() }
    }

    fn make(&self) -> io::Result<OwnedFd> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = fs::open(&self.path, flags, Mode::empty()).map_err(|error| {
            // A link is told as the one or the other.
            if [Errno::NOTDIR, Errno::LOOP].contains(&error) {
                io::Error::other(format!("{} is not a directory", self.path.display()))
            } else {
                error.into()
            }
        })?;
        self.own(&folder)?;
        Ok(folder)
    }

    /// A folder that was there before has to be ours, and closed to others.
    fn own(&self, folder: &OwnedFd) -> io::Result<()> {
        let found = fs::fstat(folder)?;
        let ours = rustix::process::geteuid().as_raw();
        if found.st_uid != ours {
            return Err(io::Error::other(format!(
                "{} belongs to user {}, and this daemon runs as {ours}",
                self.path.display(),
                found.st_uid
            )));
        }
        if found.st_mode & 0o077 != 0 {
            fs::fchmod(folder, Mode::RWXU)?;
        }
        Ok(())
    }

    fn open_folder(&self) -> io::Result<Arc<OwnedFd>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| io::Error::other("the folder was not locked"))
    }

    fn open_file(&self, name: &str, more: OFlags) -> io::Result<File> {
        // A name that leads elsewhere is not one of ours.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
        let file = fs::openat(self.open_folder()?, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(File::from(file))
    }
}

impl Disk for Folder {
    fn lock(&self) -> io::Result<Lock> {
        let folder = Arc::new(self.make()?);
        let before = self.open.lock().unwrap_or_else(PoisonError::into_inner).replace(folder);
        let file = self.open_file(LOCK_FILE, OFlags::CREATE)?;
        drop(before);
        match file.try_lock() {
            Ok(()) => Ok(Lock::Ours(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(Lock::Busy),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(self.open_folder()?)? {
            // A name that is no text is not one of ours.
            names.extend(entry?.file_name().to_str().map(str::to_owned));
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.open_file(name, OFlags::CREATE | OFlags::EXCL)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.open_file(name, OFlags::empty())?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let folder = self.open_folder()?;
        Ok(fs::renameat(&folder, from, &folder, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(self.open_folder()?, name, fs::AtFlags::empty())?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(self.open_folder()?)?)
    }

    fn space(&self) -> Option<Space> {
        let found = fs::fstatvfs(self.open_folder().ok()?).ok()?;
        Some(Space { available: found.f_bavail * found.f_frsize, total: found.f_blocks * found.f_frsize })
    }

    #[cfg(target_os = "linux")]
    fn is_volatile(&self) -> bool {
        /// `statfs(2)`: a container's own layer, and memory.
        const OVERLAYFS: i128 = 0x794c_7630;
        const TMPFS: i128 = 0x0102_1994;
        let found = self.open_folder().ok().and_then(|folder| fs::fstatfs(folder).ok());
        // The field has another type on each architecture.
        found.is_some_and(|found| [OVERLAYFS, TMPFS].contains(&i128::from(found.f_type)))
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

    fn is_linked(&self) -> io::Result<bool> {
        self.metadata().map(|found| found.nlink() > 0)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
