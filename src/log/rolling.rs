//! A log file that starts anew after 50 MB and keeps one old file, as the official daemon's
//! (`aws/aws-xray-daemon`, `cmd/tracing/daemon.go` `logRotationSize`, one roll).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Size at which a new file is begun.
pub(super) const FILE_MAX_BYTES: u64 = 50 * 1024 * 1024;

pub(super) struct RollingFile {
    path: PathBuf,
    file: File,
    length: u64,
    max: u64,
}

impl RollingFile {
    pub(super) fn open(path: &Path, max: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, length, max })
    }

    fn roll(&mut self) -> io::Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        std::fs::rename(&self.path, old)?;
        self.file = append_to(&self.path)?;
        self.length = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for RollingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.length > 0 && self.length + line.len() as u64 > self.max {
            // A folder that allows no renaming keeps the one file growing; losing lines would be worse.
            let _ = self.roll();
        }
        let written = self.file.write(line)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_becomes_the_one_old_file_and_no_line_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("xray.log");
        std::fs::write(&path, "before\n").unwrap();
        let mut log = RollingFile::open(&path, 16).unwrap();
        for line in ["one\n", "two\n", "three\n", "a line longer than the file may be\n", "last\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("xray.log"), "last\n");
        assert_eq!(read("xray.log.1"), "a line longer than the file may be\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
