//! Rows in sled.
//!
//! One tree: user keys behind a one-byte prefix, the mark under another. Each
//! round ends with a blocking flush and an fdatasync of sled's file, since its
//! flush alone does not survive a power loss. sled has panicked on damaged
//! files, so opening and applying catch panics. Rows that cannot be opened, or
//! are of another store, are moved aside and kept until the rebuild is done.

use super::{Bounds, Cell, Changes, Mark, Rows, RowsError, Walk};
use crate::journal::{Place, Pointer};
use crate::store::Order;
use bytes::Bytes;
use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const FORMAT: u8 = 1;
const MARK_KEY: &[u8] = b"\0mark";
const ROW: u8 = 1;
const INLINE: u8 = 0;
const FAR: u8 = 1;
const INLINE_AT: u8 = 2;
/// A file this many times its rows is rebuilt. 4: sled itself keeps about twice
/// what is live while rows come and go.
const GROWN_FACTOR: u64 = 4;
/// Rows of one sled batch. sled keeps readers out while it applies one; 512
/// small rows take about a millisecond.
const CHUNK_ROWS: usize = 512;

pub(crate) struct SledRows {
    db: sled::Db,
    file: File,
}

impl SledRows {
    /// Opens the rows in `folder`; new ones, with the old moved aside, when
    /// they cannot be opened or `is_ours` says no to their mark.
    pub(crate) fn open(folder: &Path, cache_bytes: u64, is_ours: impl Fn(&Mark) -> bool) -> Result<Self, RowsError> {
        match Self::open_sound(folder, cache_bytes, &is_ours) {
            Ok(rows) => Ok(rows),
            Err(error) => {
                tracing::warn!(%error, "the rows behind the journal are built anew from the journal");
                move_aside(folder).map_err(|error| RowsError(format!("cannot move the old rows aside: {error}")))?;
                Self::open_sound(folder, cache_bytes, &is_ours)
            }
        }
    }

    /// True when the file is larger than `bytes_min`, and far larger than the
    /// rows in it: sled's files never shrink by themselves.
    pub(crate) fn is_overgrown(&self, bytes_min: u64) -> Result<bool, RowsError> {
        let file =
            self.file.metadata().map_err(|error| RowsError(format!("sled's file cannot be looked at: {error}")))?;
        if file.len() < bytes_min {
            return Ok(false);
        }
        let live = self.db.iter().try_fold(0, |sum, row| row.map(|(key, value)| sum + key.len() + value.len()));
        Ok(file.len() / GROWN_FACTOR > live.map_err(|error| failed("read", &error))? as u64)
    }

    /// Empty rows in `folder`; what was there is moved aside.
    pub(crate) fn renew(self, folder: &Path, cache_bytes: u64) -> Result<Self, RowsError> {
        drop(self);
        move_aside(folder).map_err(|error| RowsError(format!("cannot move the old rows aside: {error}")))?;
        Self::open_sound(folder, cache_bytes, &|_| true)
    }

    /// Removes what `open` moved aside, once the rebuilt rows are complete.
    pub(crate) fn forget_aside(folder: &Path) -> io::Result<()> {
        match std::fs::remove_dir_all(aside(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn open_sound(folder: &Path, cache_bytes: u64, is_ours: &dyn Fn(&Mark) -> bool) -> Result<Self, RowsError> {
        remove_leftovers(folder).map_err(|error| RowsError(format!("cannot clean sled's folder: {error}")))?;
        let config = sled::Config::new().path(folder).cache_capacity(cache_bytes).flush_every_ms(None);
        let db = caught("open", || config.open())?;
        let file =
            File::open(folder.join("db")).map_err(|error| RowsError(format!("cannot open sled's file: {error}")))?;
        let rows = Self { db, file };
        match rows.mark()? {
            Some(mark) if !is_ours(&mark) => Err(RowsError("the rows are of another store".into())),
            None if !rows.db.is_empty() => Err(RowsError("the rows have no mark".into())),
            _ => Ok(rows),
        }
    }

    /// Makes what was applied durable.
    fn sync(&self) -> Result<(), RowsError> {
        caught("flush", || self.db.flush())?;
        self.file.sync_data().map_err(|error| RowsError(format!("sled's file could not be synced: {error}")))
    }

    fn apply_chunk(&self, chunk: &[(&Bytes, &Cell)], mark: Option<Mark>) -> Result<(), RowsError> {
        let mut batch = sled::Batch::default();
        for (key, cell) in chunk {
            let key = row_key(key);
            match encode_cell(cell) {
                Some(value) => batch.insert(key, value),
                // Most rows that end here began since the last round: sled
                // never had them, and need not write that they are gone.
                None if self.db.contains_key(&key).map_err(|error| failed("read", &error))? => batch.remove(key),
                None => {}
            }
        }
        if let Some(mark) = mark {
            batch.insert(MARK_KEY, encode_mark(&mark));
        }
        caught("apply a batch", || self.db.apply_batch(batch))
    }
}

impl Rows for SledRows {
    fn get(&self, key: &[u8]) -> Result<Option<Cell>, RowsError> {
        let value = self.db.get(row_key(key)).map_err(|error| failed("read", &error))?;
        value.map(|value| decode_cell(&value)).transpose()
    }

    fn contains(&self, key: &[u8]) -> Result<bool, RowsError> {
        self.db.contains_key(row_key(key)).map_err(|error| failed("read", &error))
    }

    fn walk(&self, bounds: &Bounds, order: Order) -> Walk<'_> {
        let low = match &bounds.0 {
            Bound::Unbounded => Bound::Included(vec![ROW]),
            bound => bound.as_ref().map(|key| row_key(key)),
        };
        let high = match &bounds.1 {
            Bound::Unbounded => Bound::Excluded(vec![ROW + 1]),
            bound => bound.as_ref().map(|key| row_key(key)),
        };
        let range = self.db.range::<Vec<u8>, _>((low, high));
        match order {
            Order::Ascending => Box::new(range.map(decode_row)),
            Order::Descending => Box::new(range.rev().map(decode_row)),
        }
    }

    fn mark(&self) -> Result<Option<Mark>, RowsError> {
        let Some(value) = self.db.get(MARK_KEY).map_err(|error| failed("read", &error))? else { return Ok(None) };
        decode_mark(&value).map(Some).ok_or_else(|| RowsError("the mark has an unknown format".into()))
    }

    fn load(&self, changes: &Changes) -> Result<(), RowsError> {
        let changes: Vec<_> = changes.iter().collect();
        changes.chunks(CHUNK_ROWS).try_for_each(|chunk| self.apply_chunk(chunk, None))
    }

    fn apply(&self, changes: &Changes, mark: Mark) -> Result<(), RowsError> {
        self.load(changes)?;
        // The rows first, by themselves: the disk may keep later bytes of one sync and
        // lose earlier ones, and a mark without its rows would hide that they are lost.
        self.sync()?;
        self.apply_chunk(&[], Some(mark))?;
        self.sync()
    }
}

fn row_key(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(key.len() + 1);
    row.push(ROW);
    row.extend_from_slice(key);
    row
}

/// A cell as rows and checkpoints keep it; `None` for one that is gone.
pub(crate) fn encode_cell(cell: &Cell) -> Option<Vec<u8>> {
    let (tag, at, value) = match cell {
        Cell::Inline(value, None) => (INLINE, None, &value[..]),
        Cell::Inline(value, Some(at)) => (INLINE_AT, Some(at), &value[..]),
        Cell::Far(at) => (FAR, Some(at), &[][..]),
        Cell::Gone => return None,
    };
    let mut encoded = Vec::with_capacity(value.len() + Pointer::BYTES + 1);
    encoded.push(tag);
    encoded.extend(at.into_iter().flat_map(|at| at.encode()));
    encoded.extend_from_slice(value);
    Some(encoded)
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
        _ => None,
    };
    cell.ok_or_else(|| RowsError("a row has an unknown format".into()))
}

fn decode_row(row: sled::Result<(sled::IVec, sled::IVec)>) -> Result<(Bytes, Cell), RowsError> {
    let (key, value) = row.map_err(|error| failed("read", &error))?;
    Ok((Bytes::copy_from_slice(&key[1..]), decode_cell(&value)?))
}

fn encode_mark(mark: &Mark) -> Vec<u8> {
    let Place { sequence, segment, offset } = mark.place;
    let mut encoded = vec![FORMAT];
    encoded.extend_from_slice(&mark.store);
    for number in [sequence, segment, offset] {
        encoded.extend_from_slice(&number.to_le_bytes());
    }
    encoded
}

fn decode_mark(encoded: &[u8]) -> Option<Mark> {
    let encoded: &[u8; 41] = encoded.try_into().ok().filter(|bytes: &&[u8; 41]| bytes[0] == FORMAT)?;
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| encoded[at + index]));
    let store = std::array::from_fn(|index| encoded[1 + index]);
    Some(Mark { store, place: Place { sequence: number(17), segment: number(25), offset: number(33) } })
}

/// A full disk leaves half-made snapshots, and sled does not open beside them.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// An older folder that is already aside is the more valuable one: it is from
/// before a rebuild that did not finish.
fn move_aside(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    if aside(folder).exists() { std::fs::remove_dir_all(folder) } else { std::fs::rename(folder, aside(folder)) }
}

fn aside(folder: &Path) -> PathBuf {
    folder.with_extension("aside")
}

fn caught<T>(what: &str, act: impl FnOnce() -> sled::Result<T>) -> Result<T, RowsError> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(result) => result.map_err(|error| failed(what, &error)),
        Err(panic) => Err(RowsError(format!("sled panicked when asked to {what}: {}", panic_text(&*panic)))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn failed(what: &str, error: &sled::Error) -> RowsError {
    RowsError(format!("sled could not {what}: {error}"))
}
