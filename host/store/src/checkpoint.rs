//! Checkpoints: all living rows in one file, so that the rows can be made anew
//! without the segments before it.
//!
//! Rows are walked while others are written, so a checkpoint says two places:
//! the one that the rows stood for when the walk began, and one that nothing
//! in it is later than. Every change in the journal names its keys, so that
//! replaying from the first place, at least to the second, gives the rows
//! exactly. A file is complete, checked by reading it back, and durable before
//! it takes its name; the two newest are kept.
//!
//! Rows are deflated block by block: their keys repeat most of one another, and
//! there are two files of them beside the rows themselves.

use crate::disk::{Disk, DiskFile};
use crate::history::blocks::{self, invalid};
use crate::history::wire::{Reader, put_text};
use crate::journal::{Place, StoreId, seed};
use crate::rows::{Cell, Changes, Mark, Rows, RowsError, decode_cell, encode_cell};
use crate::store::Order;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use std::io::{self, Read as _};
use std::ops::Bound;

const MAGIC: &[u8; 8] = b"SLUICEC\n";
/// The format that this release writes. It reads 2, where rows were not deflated,
/// and 1, which is 2 without blobs.
const VERSION: u32 = 3;
/// Rows come in blocks of about this size before they are deflated. 64 KiB: a
/// thousand small rows.
const BLOCK_BYTES: usize = 64 << 10;
/// How hard rows are deflated. The least: hashes are most of what is left, and
/// the default saves one more byte in a hundred for four times the time.
const LEVEL: Compression = Compression::fast();
/// Rows taken at once from the rows behind, so that none is kept from writing
/// for long. 512, as many as one batch of sled's.
const PAGE_ROWS: usize = 512;
/// Checkpoints kept. Two: the older stands in when the newer is damaged.
pub(crate) const KEPT: usize = 2;

const HEADER: u8 = 0;
const ROWS: u8 = 1;
const END: u8 = 2;
/// Rows, deflated.
const DEFLATED: u8 = 3;

/// One sound checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) number: u64,
    /// Replay starts here.
    pub(crate) place: Place,
    /// Replay reaches at least here.
    pub(crate) until: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// The file of a checkpoint.
pub(crate) fn name(number: u64) -> String {
    format!("{number:016x}.ckp")
}

/// Numbers of the checkpoints that are there, newest first.
pub(crate) fn numbers(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let number = |file: &String| {
        let number = u64::from_str_radix(file.strip_suffix(".ckp")?, 16).ok()?;
        (name(number) == *file).then_some(number)
    };
    let mut numbers: Vec<u64> = disk.list()?.iter().filter_map(number).collect();
    numbers.sort_unstable_by(|left, right| right.cmp(left));
    Ok(numbers)
}

/// The newest sound checkpoints, at most `KEPT`. Damaged ones are said.
pub(crate) fn sound(disk: &dyn Disk, store: StoreId) -> io::Result<Vec<Checkpoint>> {
    let mut found = Vec::new();
    for number in numbers(disk)? {
        match read(disk, store, number, &mut |_| Ok(())) {
            Ok(checkpoint) => found.push(checkpoint),
            Err(error) => tracing::warn!(number, %error, "a checkpoint is damaged, and is not used"),
        }
        if found.len() == KEPT {
            break;
        }
    }
    Ok(found)
}

/// Writes a checkpoint of the rows, checks it, and removes those that are no
/// longer needed. `visible` gives a durable sequence that, once the rows were
/// walked, nothing in them is later than. Leaves `free_bytes_min` free, as far as the
/// last one's size tells.
pub(crate) fn write(
    disk: &dyn Disk,
    store: StoreId,
    rows: &dyn Rows,
    visible: &dyn Fn() -> u64,
    free_bytes_min: u64,
) -> io::Result<Checkpoint> {
    let mark = rows.mark().map_err(io::Error::other)?.ok_or_else(|| io::Error::other("the rows stand for nothing"))?;
    let older = numbers(disk)?;
    let number = older.first().map_or(1, |newest| newest + 1);
    let last_bytes = match older.first() {
        Some(newest) => disk.open(&name(*newest))?.len_bytes()?,
        None => 0,
    };
    if free_bytes_min > 0 && disk.free_bytes()? < free_bytes_min + last_bytes {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk has no room for another checkpoint"));
    }
    let new = format!("{}.new", name(number));
    let remove_new = || match disk.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    remove_new()?;
    let file = disk.create(&new)?;
    let write = || {
        let mut writer = Writer { file: &*file, seed: seed(&store), at: 0, block: Vec::new(), rows: 0 };
        writer.begin(mark)?;
        walk(rows, &mut |key, cell| writer.put(key, cell))?;
        writer.end(visible())?;
        file.sync_data()?;
        read_file(&*file, store, number, &mut |_| Ok(()))
    };
    let written = write().inspect_err(|_| {
        // What is half written takes space that something else may need.
        let _ = remove_new();
    })?;
    disk.rename(&new, &name(number))?;
    disk.sync_dir()?;
    for old in older.into_iter().skip(KEPT - 1) {
        disk.remove(&name(old))?;
    }
    Ok(written)
}

/// Puts the rows of a checkpoint into rows that hold nothing, and leaves them without a
/// mark: the journal may end before the last of what they hold.
pub(crate) fn load(disk: &dyn Disk, store: StoreId, checkpoint: &Checkpoint, rows: &dyn Rows) -> Result<(), RowsError> {
    let failed = |error: io::Error| RowsError(format!("{}: {error}", name(checkpoint.number)));
    let mut refused = None;
    let outcome = read(disk, store, checkpoint.number, &mut |changes| {
        rows.load(&changes).map_err(|error| io::Error::other(refused.insert(error).to_string()))
    });
    match (refused, outcome) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(failed(error)),
        (None, Ok(_)) => Ok(()),
    }
}

/// Reads a checkpoint whole, block by block.
fn read(
    disk: &dyn Disk,
    store: StoreId,
    number: u64,
    visit: &mut dyn FnMut(Changes) -> io::Result<()>,
) -> io::Result<Checkpoint> {
    read_file(&*disk.open(&name(number))?, store, number, visit)
}

fn read_file(
    file: &dyn DiskFile,
    store: StoreId,
    number: u64,
    visit: &mut dyn FnMut(Changes) -> io::Result<()>,
) -> io::Result<Checkpoint> {
    let (seed, bytes) = (seed(&store), file.len_bytes()?);
    let (header, mut at) = blocks::read_next(file, seed, 0, bytes)?;
    let place = header_place(&header, store).ok_or_else(|| invalid("the header is not what was written"))?;
    let mut rows = 0;
    loop {
        let (block, next) = blocks::read_next(file, seed, at, bytes)?;
        at = next;
        let found = match block.split_first() {
            Some((&ROWS, plain)) => rows_of(plain),
            Some((&DEFLATED, deflated)) => inflate(deflated).and_then(|plain| rows_of(&plain)),
            Some((&END, end)) => {
                let mut reader = Reader::new(end);
                let (Some(count), Some(until)) = (reader.u64(), reader.u64()) else {
                    return Err(invalid("the end has an unknown form"));
                };
                let whole = count == rows && at == bytes;
                return if whole {
                    Ok(Checkpoint { number, place, until, rows, bytes })
                } else {
                    Err(invalid("rows are missing"))
                };
            }
            Some(_) | None => return Err(invalid("a block has an unknown form")),
        };
        let changes = found.ok_or_else(|| invalid("rows have an unknown form"))?;
        rows += changes.len() as u64;
        visit(changes)?;
    }
}

fn header_place(header: &[u8], store: StoreId) -> Option<Place> {
    let mut reader = Reader::new(header);
    let ours = reader.u8()? == HEADER
        && reader.take(8)? == MAGIC
        && (1..=VERSION).contains(&reader.u32()?)
        && reader.take(store.len())? == store;
    ours.then(|| Some(Place { sequence: reader.u64()?, segment: reader.u64()?, offset: reader.u64()? })).flatten()
}

fn rows_of(block: &[u8]) -> Option<Changes> {
    let (mut reader, mut changes) = (Reader::new(block), Changes::new());
    while !reader.is_at_end() {
        let key = Bytes::copy_from_slice(reader.text()?);
        let len = usize::try_from(reader.u32()?).ok()?;
        changes.insert(key, decode_cell(reader.take(len)?).ok()?);
    }
    Some(changes)
}

fn inflate(block: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(BLOCK_BYTES);
    DeflateDecoder::new(block).read_to_end(&mut plain).ok()?;
    Some(plain)
}

/// Every row, a page at a time.
pub(crate) fn walk(rows: &dyn Rows, visit: &mut dyn FnMut(&Bytes, &Cell) -> io::Result<()>) -> io::Result<()> {
    let mut low = Bound::Unbounded;
    loop {
        let bounds = (low, Bound::Unbounded);
        let page: Vec<_> = rows.walk(&bounds, Order::Ascending).take(PAGE_ROWS).collect();
        let Some(last) = page.last() else { return Ok(()) };
        low = Bound::Excluded(last.as_ref().map_err(|error| io::Error::other(error.clone()))?.0.clone());
        for row in page {
            let (key, cell) = row.map_err(io::Error::other)?;
            visit(&key, &cell)?;
        }
    }
}

struct Writer<'a> {
    file: &'a dyn DiskFile,
    seed: u32,
    at: u64,
    /// Rows on their way, not deflated yet.
    block: Vec<u8>,
    rows: u64,
}

impl Writer<'_> {
    fn begin(&mut self, mark: Mark) -> io::Result<()> {
        let mut header = vec![HEADER];
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&mark.store);
        let Place { sequence, segment, offset } = mark.place;
        [sequence, segment, offset].iter().for_each(|number| header.extend_from_slice(&number.to_le_bytes()));
        self.write(&header)
    }

    fn put(&mut self, key: &Bytes, cell: &Cell) -> io::Result<()> {
        let Some(cell) = encode_cell(cell) else { return Ok(()) };
        put_text(&mut self.block, key);
        let len = u32::try_from(cell.len()).map_err(io::Error::other)?;
        self.block.extend_from_slice(&len.to_le_bytes());
        self.block.extend_from_slice(&cell);
        self.rows += 1;
        if self.block.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    fn end(mut self, until: u64) -> io::Result<()> {
        if !self.block.is_empty() {
            self.flush()?;
        }
        let mut end = vec![END];
        end.extend_from_slice(&self.rows.to_le_bytes());
        end.extend_from_slice(&until.to_le_bytes());
        self.write(&end)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut block = vec![DEFLATED];
        DeflateEncoder::new(&self.block[..], LEVEL).read_to_end(&mut block)?;
        self.block.clear();
        self.write(&block)
    }

    fn write(&mut self, content: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(content.len() + 8);
        blocks::append(&mut bytes, self.seed, content);
        self.file.write_at(self.at, &bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
