//! Disks that lie, for mutants: they say that they have synced.

use std::io;
use std::sync::Arc;

use store::{Disk, DiskFile};
use testkit::SimDisk;

use crate::mutant::Mutant;

/// The disk as the store sees it.
pub(crate) fn seen(disk: &SimDisk, mutant: Option<Mutant>) -> Arc<dyn Disk> {
    match mutant {
        Some(lie @ (Mutant::LyingSync | Mutant::SyncAgain)) => Arc::new(Liar { disk: disk.clone(), lie }),
        _ => Arc::new(disk.clone()),
    }
}

struct Liar {
    disk: SimDisk,
    lie: Mutant,
}

struct LyingFile {
    file: Arc<dyn DiskFile>,
    lie: Mutant,
}

impl Liar {
    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(LyingFile { file, lie: self.lie })
    }
}

impl Disk for Liar {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(name).map(|file| self.file(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(name).map(|file| self.file(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }
}

impl DiskFile for LyingFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.file.len_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.lie {
            Mutant::LyingSync => Ok(()),
            // What the second sync says of the bytes of the first is not true.
            _ => self.file.sync_data().or_else(|_| self.file.sync_data()),
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}
