//! One atomic change: the writes, and what must hold for them to happen.
//!
//! Owns the encoding of writes inside a journal frame. Knows nothing of tables:
//! keys and values are bytes. A batch is encoded while it is being filled, so
//! that the committer only copies it.

use crate::blob::{Blob, BlobAt, BlobId};
use crate::history::Retire;
use bytes::Bytes;
use std::ops::Range;

/// Longest key in bytes. Keys are names, ids and times; a longer one is a
/// mistake, and sled's nodes hold several keys per page.
pub const KEY_BYTES_MAX: usize = 1024;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const RETIRED: u8 = 3;
const PUT_BLOB: u8 = 4;

/// A value longer than this is kept apart until it is known whether it becomes
/// a blob: it is not copied meanwhile. 4 KiB: below it, copying costs less.
const APART_BYTES: usize = 4096;

/// One atomic change: all of its writes become durable and visible together,
/// or none does. Later writes to a key within the batch win.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    encoded: Vec<u8>,
    apart: Vec<Apart>,
    expectations: Vec<Expectation>,
    retires: Vec<Retire>,
    key_too_long: Option<usize>,
}

/// A long value, and where its write stands among the encoded ones.
#[derive(Debug, Clone)]
struct Apart {
    at: usize,
    key: Bytes,
    value: Bytes,
}

/// What must hold, just before the batch, for it to be written.
#[derive(Debug, Clone)]
pub(crate) struct Expectation {
    pub(crate) key: Bytes,
    pub(crate) present: bool,
}

impl Batch {
    /// A batch with no writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `value` under `key`, replacing what was there.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (key.as_ref(), value.as_ref());
        if value.len() > APART_BYTES {
            return self.put_bytes(key, Bytes::copy_from_slice(value));
        }
        if self.key_fits(key) {
            append_put(&mut self.encoded, key, value);
        }
    }

    /// The same for a value that may be long: it is not copied.
    pub fn put_bytes(&mut self, key: impl AsRef<[u8]>, value: Bytes) {
        let key = key.as_ref();
        if value.len() <= APART_BYTES {
            return self.put(key, value);
        }
        if self.key_fits(key) {
            self.apart.push(Apart { at: self.encoded.len(), key: Bytes::copy_from_slice(key), value });
        }
    }

    /// Removes `key`; nothing happens when it is absent.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) {
        let key = key.as_ref();
        if self.key_fits(key) {
            self.encoded.push(DELETE);
            append_key_len(&mut self.encoded, key);
            self.encoded.extend_from_slice(key);
        }
    }

    /// After all writes of the batch, takes rows out of the living state and
    /// keeps them as one document of history.
    pub fn retire(&mut self, retire: Retire) {
        self.key_too_long = self.key_too_long.or(retire.part_too_long(KEY_BYTES_MAX));
        self.retires.push(retire);
    }

    /// The batch is a conflict unless `key` is absent just before it.
    pub fn expect_absent(&mut self, key: impl AsRef<[u8]>) {
        self.expect(key.as_ref(), false);
    }

    /// The batch is a conflict unless `key` is present just before it.
    pub fn expect_present(&mut self, key: impl AsRef<[u8]>) {
        self.expect(key.as_ref(), true);
    }

    /// True when the batch writes nothing (it may still expect something).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes() == 0 && self.retires.is_empty()
    }

    /// True when the batch is written whatever the store holds.
    #[must_use]
    pub fn expects_nothing(&self) -> bool {
        self.expectations.is_empty()
    }

    /// Size of the writes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let apart = self.apart.iter().map(|apart| PUT_HEADER_BYTES + apart.key.len() + apart.value.len());
        self.encoded.len() + apart.sum::<usize>()
    }

    pub(crate) fn key_too_long(&self) -> Option<usize> {
        self.key_too_long
    }

    pub(crate) fn into_parts(self) -> Parts {
        let bytes = self.bytes();
        let writes = Writes { encoded: self.encoded.into(), apart: self.apart, bytes };
        Parts { writes, expectations: self.expectations, retires: self.retires }
    }

    fn expect(&mut self, key: &[u8], present: bool) {
        self.expectations.push(Expectation { key: Bytes::copy_from_slice(key), present });
    }

    fn key_fits(&mut self, key: &[u8]) -> bool {
        if key.len() > KEY_BYTES_MAX {
            self.key_too_long = Some(key.len());
        }
        key.len() <= KEY_BYTES_MAX
    }
}

/// The writes of a batch before they have a place in the journal.
pub(crate) struct Writes {
    encoded: Bytes,
    apart: Vec<Apart>,
    bytes: usize,
}

impl Writes {
    /// Their size.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The encoded batch that is written as `sequence`, and the values of
    /// `blob_bytes_min` or more that it names instead of holding them.
    pub(crate) fn place(self, sequence: u64, blob_bytes_min: usize) -> (Bytes, Vec<Blob>) {
        if self.apart.is_empty() {
            return (self.encoded, Vec::new());
        }
        let (mut encoded, mut blobs, mut done) = (Vec::new(), Vec::new(), 0);
        for Apart { at, key, value } in self.apart {
            encoded.extend_from_slice(&self.encoded[done..at]);
            done = at;
            if value.len() < blob_bytes_min {
                append_put(&mut encoded, &key, &value);
                continue;
            }
            let index = u32::try_from(blobs.len()).expect("blobs are long, and a batch is bounded");
            let len = u32::try_from(value.len()).expect("a batch is far shorter than 4 GiB");
            let at = BlobAt { id: BlobId { sequence, index }, len };
            append_put_blob(&mut encoded, &key, at);
            blobs.push(Blob { at, key, value });
        }
        encoded.extend_from_slice(&self.encoded[done..]);
        (encoded.into(), blobs)
    }
}

fn append_put(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.reserve(PUT_HEADER_BYTES + key.len() + value.len());
    out.push(PUT);
    append_key_len(out, key);
    // A value past 4 GiB is refused at commit by the batch limit long before
    // its length could wrap here.
    out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

fn append_put_blob(out: &mut Vec<u8>, key: &[u8], at: BlobAt) {
    out.push(PUT_BLOB);
    append_key_len(out, key);
    out.extend_from_slice(&at.encode());
    out.extend_from_slice(key);
}

fn append_key_len(out: &mut Vec<u8>, key: &[u8]) {
    let len = u16::try_from(key.len()).expect("longer keys were refused");
    out.extend_from_slice(&len.to_le_bytes());
}

/// Bytes of a write of a value before its key.
const PUT_HEADER_BYTES: usize = 7;

/// A batch as it is queued.
pub(crate) struct Parts {
    pub(crate) writes: Writes,
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) retires: Vec<Retire>,
}

/// Appends the record of a retirement, as the committer has worked it out.
pub(crate) fn append_retired(payload: &mut Vec<u8>, body: &[u8]) {
    payload.push(RETIRED);
    payload
        .extend_from_slice(&u32::try_from(body.len()).expect("a record names rows that fit into memory").to_le_bytes());
    payload.extend_from_slice(body);
}

/// Bytes of a retirement's record before its body.
pub(crate) const RETIRED_HEADER_BYTES: usize = 5;

/// One decoded write, as ranges of the encoded batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Put {
        key: Range<usize>,
        value: Range<usize>,
    },
    /// The value is in a file of its own.
    PutBlob {
        key: Range<usize>,
        at: BlobAt,
    },
    Delete {
        key: Range<usize>,
    },
    /// Rows became a document of history; the body says which.
    Retired {
        body: Range<usize>,
    },
}

/// Walks the writes of an encoded batch. `None` inside the iteration means
/// that the bytes are no batch; the walk ends there.
pub(crate) fn writes(encoded: &[u8]) -> impl Iterator<Item = Option<Write>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= encoded.len() {
            return None;
        }
        let write = decode(encoded, at);
        at = write.as_ref().map_or(encoded.len(), |(_, end)| *end);
        Some(write.map(|(write, _)| write))
    })
}

fn decode(encoded: &[u8], at: usize) -> Option<(Write, usize)> {
    let (write, end) = match *encoded.get(at)? {
        PUT => {
            let start = at + PUT_HEADER_BYTES;
            let (key, len) = (start..start + u16_at(encoded, at + 1)?, u32_at(encoded, at + 3)?);
            let value = key.end..key.end + len;
            (Write::Put { key, value: value.clone() }, value.end)
        }
        DELETE => {
            let key = at + 3..at + 3 + u16_at(encoded, at + 1)?;
            (Write::Delete { key: key.clone() }, key.end)
        }
        PUT_BLOB => {
            let start = at + 3 + BlobAt::BYTES;
            let key = start..start + u16_at(encoded, at + 1)?;
            let at = BlobAt::decode(encoded.get(at + 3..start)?)?;
            (Write::PutBlob { key: key.clone(), at }, key.end)
        }
        RETIRED => {
            let start = at + RETIRED_HEADER_BYTES;
            let body = start..start + u32_at(encoded, at + 1)?;
            (Write::Retired { body: body.clone() }, body.end)
        }
        _ => return None,
    };
    (end <= encoded.len()).then_some((write, end))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(batch: Batch) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let (bytes, blobs) = batch.into_parts().writes.place(7, 10_000);
        writes(&bytes)
            .map(|write| match write.expect("a write") {
                Write::Put { key, value } => (bytes[key].to_vec(), Some(bytes[value].to_vec())),
                Write::PutBlob { key, at } => {
                    let blob = blobs.iter().find(|blob| blob.at == at).expect("a blob");
                    assert_eq!((at.id.sequence, at.len as usize), (7, blob.value.len()));
                    (bytes[key].to_vec(), Some(blob.value.to_vec()))
                }
                Write::Delete { key } => (bytes[key].to_vec(), None),
                Write::Retired { .. } => panic!("nothing was retired"),
            })
            .collect()
    }

    #[test]
    fn writes_come_back_in_order() {
        let mut batch = Batch::new();
        batch.put("a", "1");
        batch.delete("b");
        batch.put("", "");
        assert_eq!(
            decoded(batch),
            [(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None), (vec![], Some(vec![]))]
        );
    }

    #[test]
    fn long_values_keep_their_turn_among_the_writes() {
        let (long, large) = (vec![1; 5_000], vec![2; 10_000]);
        let mut batch = Batch::new();
        batch.put("a", &large);
        batch.delete("a");
        batch.put_bytes("b", Bytes::from(long.clone()));
        batch.put_bytes("c", Bytes::from(large.clone()));
        batch.put("d", "short");
        assert_eq!(batch.bytes(), 3 * 8 + 25_000 + 4 + 13);
        let expected = [
            (b"a".to_vec(), Some(large.clone())),
            (b"a".to_vec(), None),
            (b"b".to_vec(), Some(long)),
            (b"c".to_vec(), Some(large)),
            (b"d".to_vec(), Some(b"short".to_vec())),
        ];
        assert_eq!(decoded(batch), expected);
    }

    #[test]
    fn cut_short_is_never_a_different_write() {
        let mut batch = Batch::new();
        batch.put("key", "value");
        let mut bytes = batch.into_parts().writes.place(1, usize::MAX).0.to_vec();
        append_retired(&mut bytes, b"body");
        let whole = writes(&bytes).collect::<Option<Vec<_>>>().expect("writes");
        assert_eq!(whole.len(), 2);
        for cut in 1..bytes.len() {
            let cut_short: Vec<_> = writes(&bytes[..cut]).collect();
            let expected = if cut < 15 { vec![None] } else { vec![Some(whole[0].clone()), None] };
            assert_eq!(cut_short, if cut == 15 { vec![Some(whole[0].clone())] } else { expected }, "cut at {cut}");
        }
    }

    #[test]
    fn a_long_key_is_remembered_and_not_written() {
        let mut batch = Batch::new();
        batch.put(vec![b'k'; KEY_BYTES_MAX + 1], "v");
        assert!(batch.is_empty());
        assert_eq!(batch.key_too_long(), Some(KEY_BYTES_MAX + 1));
    }
}
