//! What a journal store puts into a backup, while it goes on writing.
//!
//! A fresh checkpoint, every segment, the open one up to a durable place after
//! the checkpoint, and the blobs that these name: together they are the store at
//! that place. None of them is removed meanwhile. sled is left out, since it is
//! made again from these.

use super::{BackupError, BackupWriter};
use crate::blob;
use crate::checkpoint;
use crate::disk::{Disk, DiskFile};
use crate::history;
use crate::journal::{segment, unlinked};
use crate::journal_store::JournalStore;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

impl JournalStore {
    /// `Store::back_up`.
    pub(crate) fn back_up_files(&self, into: &mut BackupWriter) -> Result<(), BackupError> {
        let _one = self.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.settle().map_err(crate::tidy::TidyError::from)?;
        let checkpoint = checkpoint::name(self.write_checkpoint()?.number);
        let end = self.ask(|committer| Ok(committer.place()))?;
        let disk = &**self.files.disk();
        let mut add = |name: &str, bytes: Option<u64>| {
            let path = format!("store/journal/{name}");
            let io = |source| BackupError::Io { path: PathBuf::from(&path), source };
            let file = disk.open(name).map_err(io)?;
            let end = bytes.map_or_else(|| file.len_bytes(), Ok).map_err(io)?;
            into.add(&path, FileReader { file, at: 0, end })
        };
        add(&checkpoint, None)?;
        if exists(disk, unlinked::NAME)? {
            add(unlinked::NAME, None)?;
        }
        for number in self.history.segments().into_iter().filter(|number| *number <= end.segment) {
            let is_open = number == end.segment;
            add(&segment::name(number), is_open.then_some(end.offset))?;
            let index = history::file_name(number);
            if !is_open && exists(disk, &index)? {
                add(&index, None)?;
            }
        }
        let blobs = blob::list(disk).map_err(|source| BackupError::Io { path: PathBuf::from("journal"), source })?;
        for blob in blobs.into_iter().filter(|blob| blob.sequence <= end.sequence) {
            add(&blob.file(), None)?;
        }
        Ok(())
    }
}

/// Whether there is such a file now; none goes while the backup is written.
fn exists(disk: &dyn Disk, name: &str) -> Result<bool, BackupError> {
    match disk.open(name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(BackupError::Io { path: PathBuf::from(name), source }),
    }
}

/// Reads a file of the disk up to `end`.
struct FileReader {
    file: Arc<dyn DiskFile>,
    at: u64,
    end: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        self.file.read_at(self.at, &mut buffer[..len])?;
        self.at += len as u64;
        Ok(len)
    }
}
