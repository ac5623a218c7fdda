//! Names and headers of segments.
//!
//! A header is 64 bytes, little endian, in every version: magic (8), format
//! version (4), zero (4), store id (16), segment number (8), first sequence
//! (8), zero (12), CRC32C of all before (4). It is durable before the first
//! frame of its segment is written, and the segment before it is durable whole
//! before the header is written.

/// Length of a header.
pub(crate) const HEADER_BYTES: usize = 64;
/// The format that this release writes. It reads 3 too, which is 4 beside
/// checkpoints whose rows are not deflated, 2, which is 3 without blobs, and 1,
/// which is 2 without records of history.
pub(crate) const VERSION: u32 = 4;
const MAGIC: &[u8; 8] = b"SLUICEJ\n";

/// The random identity of a store, given at its creation.
pub(crate) type StoreId = [u8; 16];

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) store: StoreId,
    pub(crate) segment: u64,
    pub(crate) first_sequence: u64,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Damaged,
    Version(u32),
}

/// The file of segment `number`.
pub(crate) fn name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// The number of a segment's file; `None` for files of other kinds.
pub(crate) fn number(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".log")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (name(number) == file).then_some(number)
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.store);
        bytes[32..40].copy_from_slice(&self.segment.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_sequence.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        if &bytes[..8] != MAGIC || crc32c::crc32c(&bytes[..60]) != u32_at(60) {
            return Err(HeaderError::Damaged);
        }
        match u32_at(8) {
            1..=VERSION => Ok(Self {
                store: std::array::from_fn(|index| bytes[16 + index]),
                segment: u64_at(32),
                first_sequence: u64_at(40),
            }),
            other => Err(HeaderError::Version(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_and_notice_every_flip() {
        let header = Header { store: [9; 16], segment: 3, first_sequence: 77 };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..HEADER_BYTES * 8 {
            let mut harmed = bytes;
            harmed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&harmed), Err(HeaderError::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = Header { store: [0; 16], segment: 1, first_sequence: 1 }.encode();
        bytes[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Version(VERSION + 1)));
    }

    #[test]
    fn names_are_exact() {
        assert_eq!(number(&name(0x2a)), Some(0x2a));
        for other in ["2a.log", "000000000000002A.log", "lock", "000000000000002a.idx"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
