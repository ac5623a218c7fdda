//! Open segment files, and values read straight from them.
//!
//! A pointer carries the CRC of its value, so that a value is checked without
//! reading the batch around it.

use super::segment;
use crate::disk::{Disk, DiskFile};
use crate::store::ReadError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

/// Segment files kept open for reading. 64: far below the usual limit of 1,024
/// descriptors, and 4 GiB of the newest history at the default segment size.
const OPEN_FILES_MAX: usize = 64;

/// Where a value lies in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) len: u32,
    pub(crate) crc: u32,
}

impl Pointer {
    /// Length of its encoding.
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.segment.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.len.to_le_bytes());
        bytes[20..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        Some(Self {
            segment: u64::from_le_bytes(bytes[..8].try_into().ok()?),
            offset: u64::from_le_bytes(bytes[8..16].try_into().ok()?),
            len: u32::from_le_bytes(bytes[16..20].try_into().ok()?),
            crc: u32::from_le_bytes(bytes[20..].try_into().ok()?),
        })
    }
}

/// The segment files of one journal, opened when asked for.
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    open: RwLock<BTreeMap<u64, Arc<dyn DiskFile>>>,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, open: RwLock::default() }
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Closes a segment that is removed, so that its space is free at once.
    pub(crate) fn forget(&self, segment: u64) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&segment);
    }

    /// Reads and checks a value.
    pub(crate) fn value(&self, pointer: Pointer) -> Result<Bytes, ReadError> {
        let file = segment::name(pointer.segment);
        let mut value = vec![0; pointer.len as usize];
        match self.segment(pointer.segment).and_then(|open| open.read_at(pointer.offset, &mut value)) {
            Ok(()) if crc32c::crc32c(&value) == pointer.crc => Ok(value.into()),
            Ok(()) => Err(damaged(&file, pointer, "a stored value is not what was written")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(damaged(&file, pointer, "the file ends before a stored value does"))
            }
            Err(source) => Err(ReadError::Io { file: format!("journal/{file}"), source }),
        }
    }

    fn segment(&self, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        let known = self.open.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
        if let Some(file) = known {
            return Ok(file);
        }
        let file = self.disk.open(&segment::name(number))?;
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_FILES_MAX {
            open.pop_first();
        }
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }
}

fn damaged(file: &str, pointer: Pointer, why: &str) -> ReadError {
    ReadError::Damaged { file: format!("journal/{file}"), offset: pointer.offset, why: why.to_owned() }
}
