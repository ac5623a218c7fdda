//! The lock that keeps a second process away from a data folder.
//!
//! An exclusive `flock` on the file `lock`, with the holder's process id in it
//! for the message. The kernel lets go of it when the process ends, however it
//! ends; the file stays.

use crate::open_error::OpenError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// Held for as long as the store is open.
#[derive(Debug)]
pub(crate) struct FolderLock(#[expect(dead_code, reason = "holding the file open is the lock")] File);

impl FolderLock {
    /// Takes the lock, creating the folder when missing.
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Folder { folder: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(refused)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(folder.join("lock")).map_err(refused)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse { pid: read_pid(&mut file), folder: folder.to_owned() });
            }
            Err(error) => return Err(refused(error.into())),
        }
        // Only the message of the next process suffers; a full disk must not
        // keep a store closed.
        if let Err(error) = write_pid(&mut file) {
            tracing::warn!(%error, "the process id could not be written to the lock file");
        }
        Ok(Self(file))
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
