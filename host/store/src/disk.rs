//! The file operations that the journal needs, as a trait.
//!
//! One flat folder of append-mostly files. What is durable when is part of
//! each contract, since the simulated disk of the tests holds callers to it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One folder of files.
pub trait Disk: Send + Sync + 'static {
    /// Names of the files, in any order.
    ///
    /// # Errors
    /// Whatever the operating system says; so for every operation here.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates an empty file. Its name is durable after `sync_dir`.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file; durable after `sync_dir`.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Renames a file, replacing the target; durable after `sync_dir`.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes creations, removals and renames durable.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn sync_dir(&self) -> io::Result<()>;
    /// Bytes that can still be written.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn len_bytes(&self) -> io::Result<u64>;
    /// Fills the buffer from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends first.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all bytes at `offset`, growing the file. Durable after
    /// `sync_data`; after an error any part may have been written.
    ///
    /// # Errors
    /// `StorageFull` when there is no space.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable. After an error nothing is known of any
    /// unsynced byte, and a later success proves nothing about it.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts the file to `len` bytes. Durable, with all that was written
    /// before, when it returns.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// A real folder.
#[derive(Debug)]
pub struct RealDisk {
    folder: PathBuf,
    handle: File,
}

impl RealDisk {
    /// Opens the folder, creating it (and its parents) when missing.
    ///
    /// # Errors
    /// When it can be neither created nor opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        if !folder.is_dir() {
            std::fs::create_dir_all(folder)?;
            if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self { folder: folder.to_owned(), handle: File::open(folder)? })
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()?;
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.folder.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.folder.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.folder.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.handle)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.0.sync_all()
    }
}
