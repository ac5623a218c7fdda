//! The record of a retirement: which rows became one document.
//!
//! Made by the committer, complete in itself: a replay needs nothing but the
//! record to know which rows are gone, and a reader nothing but the journal to
//! find what they held. Layout, little endian: keep until (8), id, number of
//! groups (2) and each, number of rows (4) and each. Texts have their length
//! (2) before them. A row is the bytes it shares with the key before (2), the
//! rest of its key, a tag, and its value or where that lies.

use super::wire::{Reader, put_text};
use crate::blob::BlobAt;
use crate::commit::Position;
use crate::journal::Pointer;
use bytes::Bytes;

/// Rows that leave the living state together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retire {
    /// Every living row whose key starts with one of these, the batch's own
    /// writes included.
    pub prefixes: Vec<Vec<u8>>,
    /// Names the document. Documents are listed in the order of their ids, so
    /// an id begins with a time.
    pub id: Vec<u8>,
    /// The lists that the document is in, beside the list of all.
    pub groups: Vec<Vec<u8>>,
    /// From then on, the document may be forgotten: milliseconds since
    /// 1970-01-01 UTC.
    pub keep_until_ms: u64,
    /// No row under the prefixes was written before this batch, which spares the search
    /// for older ones: `Position::LAST` when only this batch writes any, the default
    /// when it is not known.
    pub since: Position,
}

impl Retire {
    /// What it costs in the queue.
    pub(crate) fn bytes(&self) -> usize {
        self.prefixes.iter().chain(&self.groups).map(Vec::len).sum::<usize>() + self.id.len() + 64
    }

    /// The longest part's length, when it is past `most`.
    pub(crate) fn part_too_long(&self, most: usize) -> Option<usize> {
        let parts = self.groups.iter().chain([&self.id]);
        parts.map(Vec::len).max().filter(|len| *len > most)
    }
}

/// Where a retired row's value lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the record itself.
    Here(Bytes),
    /// In the journal.
    At(Pointer),
    /// Earlier in the group that the record was written with: that far before
    /// the record's body. The segment of a group is only known once it is
    /// written.
    Back { distance: u32, len: u32, crc: u32 },
    /// In a file of its own.
    Blob(BlobAt),
}

/// A record, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) keep_until_ms: u64,
    pub(crate) id: Bytes,
    pub(crate) groups: Vec<Bytes>,
    pub(crate) rows: Vec<(Bytes, Place)>,
}

const HERE: u8 = 0;
const AT: u8 = 1;
const BACK: u8 = 2;
const BLOB: u8 = 3;

/// The record's bytes.
pub(crate) fn encode(retire: &Retire, rows: &[(Bytes, Place)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + rows.len() * 64);
    out.extend_from_slice(&retire.keep_until_ms.to_le_bytes());
    put_text(&mut out, &retire.id);
    out.extend_from_slice(&len16(retire.groups.len()));
    retire.groups.iter().for_each(|group| put_text(&mut out, group));
    out.extend_from_slice(&len32(rows.len()));
    let mut before: &[u8] = &[];
    for (key, place) in rows {
        let shared = before.iter().zip(key).take_while(|(left, right)| left == right).count();
        out.extend_from_slice(&len16(shared));
        put_text(&mut out, &key[shared..]);
        put_place(&mut out, place);
        before = key;
    }
    out
}

/// Reads a record; `None` for bytes that are none.
pub(crate) fn decode(body: &Bytes) -> Option<Record> {
    let mut reader = Reader::new(body);
    let text = |reader: &mut Reader<'_>| reader.text_range().map(|range| body.slice(range));
    let keep_until_ms = reader.u64()?;
    let id = text(&mut reader)?;
    let groups = (0..reader.u16()?).map(|_| text(&mut reader)).collect::<Option<_>>()?;
    let mut before = Bytes::new();
    let rows = reader.list(|reader| {
        let shared = usize::from(reader.u16()?);
        let rest = text(reader)?;
        before = if shared == 0 { rest } else { [before.get(..shared)?, &rest].concat().into() };
        Some((before.clone(), place(body, reader)?))
    })?;
    reader.is_at_end().then_some(Record { keep_until_ms, id, groups, rows })
}

fn place(body: &Bytes, reader: &mut Reader<'_>) -> Option<Place> {
    match reader.u8()? {
        HERE => {
            let len = usize::try_from(reader.u32()?).ok()?;
            reader.range(len).map(|range| Place::Here(body.slice(range)))
        }
        AT => Pointer::decode(reader.take(Pointer::BYTES)?).map(Place::At),
        BLOB => BlobAt::decode(reader.take(BlobAt::BYTES)?).map(Place::Blob),
        BACK => Some(Place::Back { distance: reader.u32()?, len: reader.u32()?, crc: reader.u32()? }),
        _ => None,
    }
}

fn put_place(out: &mut Vec<u8>, place: &Place) {
    match place {
        Place::Here(value) => {
            out.push(HERE);
            out.extend_from_slice(&len32(value.len()));
            out.extend_from_slice(value);
        }
        Place::At(pointer) => {
            out.push(AT);
            out.extend_from_slice(&pointer.encode());
        }
        Place::Blob(at) => {
            out.push(BLOB);
            out.extend_from_slice(&at.encode());
        }
        Place::Back { distance, len, crc } => {
            out.push(BACK);
            [distance, len, crc].into_iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        }
    }
}

fn len16(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("keys, ids and groups are bounded by a batch").to_le_bytes()
}

fn len32(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("a record names rows that fit into memory").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::BlobId;

    fn example() -> (Retire, Vec<(Bytes, Place)>) {
        let retire = Retire {
            prefixes: vec![b"run/1".to_vec()],
            id: b"01J".to_vec(),
            groups: vec![b"flow".to_vec(), b"".to_vec()],
            keep_until_ms: 77,
            since: Position::default(),
        };
        let pointer = Pointer { segment: 3, offset: 4, len: 5, crc: 6 };
        let rows = vec![
            (Bytes::from("line/1/1"), Place::Here("value".into())),
            (Bytes::from("line/1/2"), Place::At(pointer)),
            (Bytes::from("line/1/3"), Place::Blob(BlobAt { id: BlobId { sequence: 7, index: 1 }, len: 5 })),
            (Bytes::from("run/1"), Place::Back { distance: 9, len: 8, crc: 7 }),
        ];
        (retire, rows)
    }

    #[test]
    fn records_round_trip() {
        let (retire, rows) = example();
        let record = decode(&encode(&retire, &rows).into()).expect("a record");
        assert_eq!(record.rows, rows);
        assert_eq!((record.keep_until_ms, &*record.id), (77, &b"01J"[..]));
        assert_eq!(record.groups, ["flow", ""]);
    }

    #[test]
    fn cut_short_is_never_another_record() {
        let (retire, rows) = example();
        let bytes = Bytes::from(encode(&retire, &rows));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes.slice(..cut)), None, "cut at {cut}");
        }
    }
}
