//! One atomic change: the writes, and what must hold for them to happen.
//!
//! Owns the encoding of writes inside a journal frame. Knows nothing of tables:
//! keys and values are bytes. A batch is encoded while it is being filled, so
//! that the committer only copies it.

use crate::history::Retire;
use bytes::Bytes;
use std::ops::Range;

/// Longest key in bytes. Keys are names, ids and times; a longer one is a
/// mistake, and sled's nodes hold several keys per page.
pub const KEY_BYTES_MAX: usize = 1024;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const RETIRED: u8 = 3;

/// One atomic change: all of its writes become durable and visible together,
/// or none does. Later writes to a key within the batch win.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    encoded: Vec<u8>,
    expectations: Vec<Expectation>,
    retires: Vec<Retire>,
    key_too_long: Option<usize>,
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
        let Some(key_len) = self.key_len(key) else { return };
        self.encoded.reserve(7 + key.len() + value.len());
        self.encoded.push(PUT);
        self.encoded.extend_from_slice(&key_len.to_le_bytes());
        // A value past 4 GiB is refused at commit by the batch limit long
        // before its length could wrap here.
        self.encoded.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.encoded.extend_from_slice(key);
        self.encoded.extend_from_slice(value);
    }

    /// Removes `key`; nothing happens when it is absent.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) {
        let key = key.as_ref();
        let Some(key_len) = self.key_len(key) else { return };
        self.encoded.push(DELETE);
        self.encoded.extend_from_slice(&key_len.to_le_bytes());
        self.encoded.extend_from_slice(key);
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
        self.encoded.is_empty() && self.retires.is_empty()
    }

    /// True when the batch is written whatever the store holds.
    #[must_use]
    pub fn expects_nothing(&self) -> bool {
        self.expectations.is_empty()
    }

    /// Size of the writes in the journal, in bytes, without the frame's header.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.encoded.len()
    }

    pub(crate) fn key_too_long(&self) -> Option<usize> {
        self.key_too_long
    }

    pub(crate) fn into_parts(self) -> Parts {
        Parts { payload: self.encoded.into(), expectations: self.expectations, retires: self.retires }
    }

    fn expect(&mut self, key: &[u8], present: bool) {
        self.expectations.push(Expectation { key: Bytes::copy_from_slice(key), present });
    }

    fn key_len(&mut self, key: &[u8]) -> Option<u16> {
        if key.len() > KEY_BYTES_MAX {
            self.key_too_long = Some(key.len());
            return None;
        }
        u16::try_from(key.len()).ok()
    }
}

/// A batch as it is queued.
pub(crate) struct Parts {
    pub(crate) payload: Bytes,
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
            let (key, len) = (at + 7..at + 7 + u16_at(encoded, at + 1)?, u32_at(encoded, at + 3)?);
            let value = key.end..key.end + len;
            (Write::Put { key, value: value.clone() }, value.end)
        }
        DELETE => {
            let key = at + 3..at + 3 + u16_at(encoded, at + 1)?;
            (Write::Delete { key: key.clone() }, key.end)
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
        let bytes = batch.into_parts().payload;
        writes(&bytes)
            .map(|write| match write.expect("a write") {
                Write::Put { key, value } => (bytes[key].to_vec(), Some(bytes[value].to_vec())),
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
    fn cut_short_is_never_a_different_write() {
        let mut batch = Batch::new();
        batch.put("key", "value");
        let mut bytes = batch.into_parts().payload.to_vec();
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
