//! Blocks with a checksum, written one after the other and read by position.
//!
//! A block is its length (4), CRC32C (4) and bytes, little endian. The CRC is
//! seeded with the store's id, as frames are.

use crate::disk::DiskFile;
use std::io;

/// Bytes of a block before its content.
const HEADER_BYTES: usize = 8;

/// Where a block begins, and how long its content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockAt {
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

/// Appends a block.
pub(crate) fn append(out: &mut Vec<u8>, seed: u32, content: &[u8]) -> BlockAt {
    let at = BlockAt {
        offset: out.len() as u64,
        len: u32::try_from(content.len()).expect("blocks are cut long before 4 GiB"),
    };
    out.extend_from_slice(&header(seed, content));
    out.extend_from_slice(content);
    at
}

/// What stands before the content of a block.
pub(crate) fn header(seed: u32, content: &[u8]) -> [u8; HEADER_BYTES] {
    let len = u32::try_from(content.len()).expect("blocks are cut long before 4 GiB");
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&len.to_le_bytes());
    header[4..].copy_from_slice(&crc32c::crc32c_append(seed, content).to_le_bytes());
    header
}

/// Reads and checks a block. Damage is `InvalidData`.
pub(crate) fn read(file: &dyn DiskFile, seed: u32, at: BlockAt) -> io::Result<Vec<u8>> {
    let (mut found, mut content) = ([0; HEADER_BYTES], vec![0; at.len as usize]);
    file.read_at(at.offset, &mut found)?;
    file.read_at(at.offset + HEADER_BYTES as u64, &mut content)?;
    let sound = found == header(seed, &content);
    if sound { Ok(content) } else { Err(invalid("a block is not what was written")) }
}

/// Reads the block at `offset`, whose length is not known, and where it ends.
pub(crate) fn read_next(file: &dyn DiskFile, seed: u32, offset: u64, end: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut len = [0; 4];
    file.read_at(offset, &mut len)?;
    let at = BlockAt { offset, len: u32::from_le_bytes(len) };
    let next = offset + HEADER_BYTES as u64 + u64::from(at.len);
    if next > end {
        return Err(invalid("a block ends after its file"));
    }
    Ok((read(file, seed, at)?, next))
}

pub(crate) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
