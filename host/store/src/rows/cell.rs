//! How rows and checkpoints keep a cell: a tag, where its value lies, its value.

use super::{Cell, RowsError};
use crate::blob::BlobAt;
use crate::journal::Pointer;
use bytes::Bytes;

const INLINE: u8 = 0;
const FAR: u8 = 1;
const INLINE_AT: u8 = 2;
const BLOB: u8 = 3;

/// A cell's bytes; `None` for one that is gone.
pub(crate) fn encode_cell(cell: &Cell) -> Option<Vec<u8>> {
    Some(match cell {
        Cell::Inline(value, None) => [&[INLINE], &value[..]].concat(),
        Cell::Inline(value, Some(at)) => [&[INLINE_AT], &at.encode()[..], value].concat(),
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
