//! How rows and checkpoints keep a cell: a tag, where its value lies, its value.
//!
//! A short value is kept without its place. The record of history that such a
//! row may become holds the value itself, as it does for values that lie far
//! back.

use super::{Cell, RowsError};
use crate::blob::BlobAt;
use crate::journal::Pointer;
use bytes::Bytes;

const INLINE: u8 = 0;
const FAR: u8 = 1;
const INLINE_AT: u8 = 2;
const BLOB: u8 = 3;

/// Values up to this length are kept without their place. 64: a place takes 24
/// bytes in the rows and in each of two checkpoints, and most short rows, those
/// by which deliveries are known above all, never become history.
const UNPLACED_BYTES_MAX: usize = 64;

/// A cell's bytes; `None` for one that is gone.
pub(crate) fn encode_cell(cell: &Cell) -> Option<Vec<u8>> {
    Some(match cell {
        Cell::Inline(value, Some(at)) if value.len() > UNPLACED_BYTES_MAX => {
            [&[INLINE_AT], &at.encode()[..], value].concat()
        }
        Cell::Inline(value, _) => [&[INLINE], &value[..]].concat(),
        Cell::Far(at) => [&[FAR], &at.encode()[..]].concat(),
        Cell::Blob(at) => [&[BLOB], &at.encode()[..]].concat(),
        Cell::Gone => return None,
    })
}

/// Reads what `encode_cell` of this release and of earlier ones wrote.
pub(crate) fn decode_cell(encoded: &[u8]) -> Result<Cell, RowsError> {
    let inline = |value: &[u8], at| Cell::Inline(Bytes::copy_from_slice(value), at);
    let cell = match encoded.split_first() {
        Some((&INLINE, value)) => Some(inline(value, None)),
        Some((&INLINE_AT, rest)) => rest
            .split_at_checked(Pointer::BYTES)
            .and_then(|(at, value)| Some(inline(value, Some(Pointer::decode(at)?)))),
        Some((&FAR, pointer)) => Pointer::decode(pointer).map(Cell::Far),
        Some((&BLOB, at)) => BlobAt::decode(at).map(Cell::Blob),
        _ => None,
    };
    cell.ok_or_else(|| RowsError("a row has an unknown format".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::BlobId;

    /// What becomes of a cell on its way through its bytes.
    fn check(cell: &Cell, expected: &Cell) {
        let encoded = encode_cell(cell).expect("a cell that is kept");
        assert_eq!(&decode_cell(&encoded).expect("readable"), expected);
    }

    #[test]
    fn only_short_values_lose_their_place() {
        let at = Pointer { segment: 3, offset: 4, len: 5, crc: 6 };
        let (short, long) = (Bytes::from(vec![7; UNPLACED_BYTES_MAX]), Bytes::from(vec![7; UNPLACED_BYTES_MAX + 1]));
        check(&Cell::Inline(short.clone(), Some(at)), &Cell::Inline(short, None));
        let blob = BlobAt { id: BlobId { sequence: 7, index: 1 }, len: 5 };
        for same in [Cell::Inline(long.clone(), Some(at)), Cell::Inline(long, None), Cell::Far(at), Cell::Blob(blob)] {
            check(&same, &same);
        }
        assert_eq!(encode_cell(&Cell::Gone), None);
    }

    #[test]
    fn a_place_beside_a_short_value_is_read_as_earlier_releases_wrote_it() {
        let at = Pointer { segment: 3, offset: 4, len: 5, crc: 6 };
        let encoded = [&[INLINE_AT], &at.encode()[..], b"short"].concat();
        assert_eq!(decode_cell(&encoded).expect("readable"), Cell::Inline(Bytes::from("short"), Some(at)));
    }
}
