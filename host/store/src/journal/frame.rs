//! One frame of a segment: a batch with its place in the order of all batches.
//!
//! Layout, little endian: CRC32C (4), payload length (4), sequence (8), the
//! sequence known durable when the frame was written (8), payload. The CRC
//! covers everything after itself and is seeded with the store's id, so that
//! bytes which a caller stores as a value are never taken for a frame.

use std::ops::Range;

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 24;

/// A frame found in bytes, whole and unharmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    /// Every batch up to this one was durable when the frame was written.
    pub(crate) durable: u64,
    pub(crate) payload: Range<usize>,
}

/// Appends a frame and returns where its payload begins in `out`.
pub(crate) fn append(out: &mut Vec<u8>, seed: u32, sequence: u64, durable: u64, payload: &[u8]) -> usize {
    let start = out.len();
    let len = u32::try_from(payload.len()).expect("the batch limit is far below 4 GiB");
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&durable.to_le_bytes());
    out.extend_from_slice(payload);
    let crc = crc32c::crc32c_append(seed, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    start + HEADER_BYTES
}

/// The frame that starts at `at`, if a whole and unharmed one does.
pub(crate) fn parse(bytes: &[u8], at: usize, seed: u32) -> Option<Frame> {
    let frame = outline(bytes, at)?;
    let crc = u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?);
    (crc32c::crc32c_append(seed, &bytes[at + 4..frame.payload.end]) == crc).then_some(frame)
}

/// Searches for an unharmed frame after `from` that proves batch `sequence`
/// durable. Every offset is tried, since a damaged length leads nowhere; the
/// sequence numbers must fit before the CRC is computed, which keeps it cheap.
pub(crate) fn find_claim(bytes: &[u8], from: usize, seed: u32, sequence: u64) -> Option<(usize, Frame)> {
    let last = sequence + (bytes.len() / HEADER_BYTES) as u64 + 1;
    (from..bytes.len().saturating_sub(HEADER_BYTES - 1)).find_map(|at| {
        let frame = outline(bytes, at)?;
        let fits = frame.durable >= sequence && frame.durable < frame.sequence && frame.sequence <= last;
        let frame = fits.then(|| parse(bytes, at, seed)).flatten()?;
        Some((at, frame))
    })
}

fn outline(bytes: &[u8], at: usize) -> Option<Frame> {
    let header = bytes.get(at..at + HEADER_BYTES)?;
    let len = usize::try_from(u32::from_le_bytes(header[4..8].try_into().ok()?)).ok()?;
    let start = at + HEADER_BYTES;
    let end = start.checked_add(len).filter(|end| *end <= bytes.len())?;
    Some(Frame {
        sequence: u64::from_le_bytes(header[8..16].try_into().ok()?),
        durable: u64::from_le_bytes(header[16..24].try_into().ok()?),
        payload: start..end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (sequence, durable) in [(7, 6), (8, 6), (9, 8)] {
            append(&mut bytes, 42, sequence, durable, b"payload");
        }
        bytes
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = three();
        for bit in 0..(HEADER_BYTES + 7) * 8 {
            let mut harmed = bytes.clone();
            harmed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&harmed, 0, 42), None, "bit {bit}");
        }
        assert_eq!(parse(&bytes, 0, 42).map(|frame| frame.sequence), Some(7));
        assert_eq!(parse(&bytes, 0, 43), None, "another store's frame");
    }

    #[test]
    fn only_a_claim_beyond_the_gap_counts() {
        let bytes = three();
        assert_eq!(find_claim(&bytes, 1, 42, 7).map(|(at, frame)| (at, frame.sequence)), Some((62, 9)));
        assert_eq!(find_claim(&bytes, 32, 42, 8).map(|(at, _)| at), Some(62));
        assert_eq!(find_claim(&bytes, 63, 42, 9), None);
        assert_eq!(find_claim(&bytes[..80], 1, 42, 7), None);
    }
}
