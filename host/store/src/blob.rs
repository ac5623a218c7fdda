//! Large values: each in a file of its own beside the journal's segments.
//!
//! A file is durable, its name included, before the batch that names it is
//! written; so whatever the journal names is there, and a crash leaves at most
//! a file that no batch names. A blob is written by one batch under one key and
//! never again, and moves with its row when that becomes history: it is needed
//! as long as its key holds it, or a document that is kept. Layout: a block
//! with the store, the blob's name and its key; a block with the value.

use crate::disk::{Disk, DiskFile};
use crate::history::blocks::{self, invalid};
use crate::history::wire::{Reader, put_text};
use crate::journal::{StoreId, seed};
use crate::store::ReadError;
use bytes::Bytes;
use std::io;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SLUICEB\n";
const VERSION: u32 = 1;

/// Names a blob: the batch that wrote it, and its place among those of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlobId {
    pub(crate) sequence: u64,
    pub(crate) index: u32,
}

/// Where a large value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobAt {
    pub(crate) id: BlobId,
    pub(crate) len: u32,
}

/// A large value on its way to its file.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) at: BlobAt,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

impl BlobId {
    /// Its file.
    pub(crate) fn file(self) -> String {
        format!("{:016x}-{:04x}.blob", self.sequence, self.index)
    }

    fn of(file: &str) -> Option<Self> {
        let (sequence, index) = file.strip_suffix(".blob")?.split_once('-')?;
        let id =
            Self { sequence: u64::from_str_radix(sequence, 16).ok()?, index: u32::from_str_radix(index, 16).ok()? };
        (id.file() == file).then_some(id)
    }
}

impl BlobAt {
    /// Length of its encoding.
    pub(crate) const BYTES: usize = 16;

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.id.sequence.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.id.index.to_le_bytes());
        bytes[12..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let id = BlobId { sequence: reader.u64()?, index: reader.u32()? };
        let at = Self { id, len: reader.u32()? };
        reader.is_at_end().then_some(at)
    }
}

/// The blobs that are there, in the order of their batches.
pub(crate) fn list(disk: &dyn Disk) -> io::Result<Vec<BlobId>> {
    let mut found: Vec<BlobId> = disk.list()?.iter().filter_map(|name| BlobId::of(name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Writes blobs; all are durable on return.
pub(crate) fn write(disk: &dyn Disk, store: StoreId, blobs: &[Blob]) -> io::Result<()> {
    for blob in blobs {
        write_one(disk, store, blob)?;
    }
    // A sync that fails is never a full disk: the caller must stop.
    if blobs.is_empty() { Ok(()) } else { disk.sync_dir().map_err(io::Error::other) }
}

fn write_one(disk: &dyn Disk, store: StoreId, blob: &Blob) -> io::Result<()> {
    let name = blob.at.id.file();
    let file = match disk.create(&name) {
        // Of a batch that was refused, and could not be removed then.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&name)?;
            disk.create(&name)?
        }
        other => other?,
    };
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&store);
    header.extend_from_slice(&blob.at.encode());
    put_text(&mut header, &blob.key);
    let mut bytes = Vec::new();
    blocks::append(&mut bytes, seed(&store), &header);
    bytes.extend_from_slice(&blocks::header(seed(&store), &blob.value));
    file.write_at(0, &bytes)?;
    file.write_at(bytes.len() as u64, &blob.value)?;
    file.sync_data().map_err(io::Error::other)
}

/// Removes blobs of a batch that was refused. What stays is overwritten by the
/// next batch of its sequence, or removed at the next open.
pub(crate) fn take_back(disk: &dyn Disk, blobs: &[Blob]) {
    for blob in blobs {
        // Most were never made.
        let _ = disk.remove(&blob.at.id.file());
    }
}

/// Reads and checks a value.
pub(crate) fn read(disk: &dyn Disk, store: StoreId, at: BlobAt) -> Result<Bytes, ReadError> {
    let file = format!("journal/{}", at.id.file());
    read_whole(disk, store, at).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            ReadError::Damaged { file, offset: 0, why: "a large value is not what was written".into() }
        }
        _ => ReadError::Io { file, source },
    })
}

fn read_whole(disk: &dyn Disk, store: StoreId, at: BlobAt) -> io::Result<Bytes> {
    let file = disk.open(&at.id.file())?;
    let (found, _, offset) = read_header(&file, store)?;
    if found != at {
        return Err(invalid("the file is another blob's"));
    }
    let value = blocks::read(&*file, seed(&store), blocks::BlockAt { offset, len: at.len })?;
    Ok(value.into())
}

/// The key under which a blob was written.
pub(crate) fn key(disk: &dyn Disk, store: StoreId, id: BlobId) -> io::Result<Bytes> {
    let (at, key, _) = read_header(&disk.open(&id.file())?, store)?;
    if at.id == id { Ok(key) } else { Err(invalid("the file is another blob's")) }
}

/// The blob that a file says it is, its key, and where its value's block is.
fn read_header(file: &Arc<dyn DiskFile>, store: StoreId) -> io::Result<(BlobAt, Bytes, u64)> {
    let (header, next) = blocks::read_next(&**file, seed(&store), 0, file.len_bytes()?)?;
    let mut reader = Reader::new(&header);
    let ours = reader.take(8) == Some(MAGIC) && reader.u32() == Some(VERSION) && reader.take(16) == Some(&store[..]);
    let at = reader.take(BlobAt::BYTES).and_then(BlobAt::decode);
    match (ours, at, reader.text()) {
        (true, Some(at), Some(key)) if reader.is_at_end() => Ok((at, Bytes::copy_from_slice(key), next)),
        _ => Err(invalid("the header of a blob has an unknown form")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        let id = BlobId { sequence: 0x2a, index: 3 };
        assert_eq!(BlobId::of(&id.file()), Some(id));
        for other in
            ["2a-3.blob", "000000000000002A-0003.blob", "000000000000002a.blob", "000000000000002a-0003.blob.new"]
        {
            assert_eq!(BlobId::of(other), None, "{other}");
        }
    }

    #[test]
    fn places_round_trip() {
        let at = BlobAt { id: BlobId { sequence: 7, index: 1 }, len: 9 };
        assert_eq!(BlobAt::decode(&at.encode()), Some(at));
        assert_eq!(BlobAt::decode(&at.encode()[1..]), None);
    }
}
