//! One sled database in a folder of its own.
//!
//! One tree: user keys behind a one-byte prefix, the mark under another. What
//! was written is durable after a blocking flush and an fdatasync of sled's
//! file, since its flush alone does not survive a power loss. sled has panicked
//! on damaged files, so opening and writing catch panics.

use super::{Bounds, Cell, Mark, RowsError, Walk, decode_cell, encode_cell};
use crate::journal::Place;
use crate::store::Order;
use bytes::Bytes;
use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FORMAT: u8 = 1;
const MARK_KEY: &[u8] = b"\0mark";
const ROW: u8 = 1;

pub(super) struct Database {
    folder: PathBuf,
    db: sled::Db,
    file: File,
}

impl Database {
    /// Opens the database in `folder`, or makes one.
    pub(super) fn open(folder: &Path, cache_bytes: u64) -> Result<Self, RowsError> {
        remove_leftovers(folder).map_err(|error| RowsError(format!("cannot clean sled's folder: {error}")))?;
        let config = sled::Config::new().path(folder).cache_capacity(cache_bytes).flush_every_ms(None);
        let db = caught("open", || config.open())?;
        let file =
            File::open(folder.join("db")).map_err(|error| RowsError(format!("cannot open sled's file: {error}")))?;
        Ok(Self { folder: folder.to_owned(), db, file })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn is_empty(&self) -> bool {
        self.db.is_empty()
    }

    /// Length of sled's file.
    pub(super) fn file_bytes(&self) -> Result<u64, RowsError> {
        let meta = self.file.metadata();
        meta.map(|meta| meta.len()).map_err(|error| RowsError(format!("sled's file cannot be looked at: {error}")))
    }

    /// Bytes of all rows. Reads every one.
    pub(super) fn row_bytes(&self) -> Result<u64, RowsError> {
        let sum = self.db.iter().try_fold(0, |sum, row| row.map(|(key, value)| sum + key.len() + value.len()));
        sum.map(|bytes| bytes as u64).map_err(|error| failed("read", &error))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Cell>, RowsError> {
        let value = self.db.get(row_key(key)).map_err(|error| failed("read", &error))?;
        value.map(|value| decode_cell(&value)).transpose()
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool, RowsError> {
        self.db.contains_key(row_key(key)).map_err(|error| failed("read", &error))
    }

    /// Rows within bounds; the walk keeps the database open.
    pub(super) fn walk(self: Arc<Self>, bounds: &Bounds, order: Order) -> Walk<'static> {
        let low = match &bounds.0 {
            Bound::Unbounded => Bound::Included(vec![ROW]),
            bound => bound.as_ref().map(|key| row_key(key)),
        };
        let high = match &bounds.1 {
            Bound::Unbounded => Bound::Excluded(vec![ROW + 1]),
            bound => bound.as_ref().map(|key| row_key(key)),
        };
        let mut range = self.db.range::<Vec<u8>, _>((low, high));
        Box::new(std::iter::from_fn(move || {
            let _open = &self;
            let row = match order {
                Order::Ascending => range.next(),
                Order::Descending => range.next_back(),
            };
            row.map(decode_row)
        }))
    }

    pub(super) fn mark(&self) -> Result<Option<Mark>, RowsError> {
        let Some(value) = self.db.get(MARK_KEY).map_err(|error| failed("read", &error))? else { return Ok(None) };
        decode_mark(&value).map(Some).ok_or_else(|| RowsError("the mark has an unknown format".into()))
    }

    /// Writes changes; returns by how much the bytes of all rows have grown.
    pub(super) fn write<'a>(&self, changes: impl Iterator<Item = (&'a Bytes, &'a Cell)>) -> Result<i64, RowsError> {
        caught("write", || {
            let mut grown = 0;
            for (key, cell) in changes {
                let key = row_key(key);
                grown += match encode_cell(cell) {
                    Some(value) => {
                        let new = (key.len() + value.len()) as i64;
                        let old = self.db.insert(&key, value)?;
                        new - old.map_or(0, |old| (key.len() + old.len()) as i64)
                    }
                    // Most rows that end here began since the last round: sled
                    // never had them, and need not write that they are gone.
                    None if self.db.contains_key(&key)? => {
                        self.db.remove(&key)?.map_or(0, |old| -((key.len() + old.len()) as i64))
                    }
                    None => 0,
                };
            }
            Ok(grown)
        })
    }

    pub(super) fn set_mark(&self, mark: &Mark) -> Result<(), RowsError> {
        caught("write", || self.db.insert(MARK_KEY, encode_mark(mark))).map(drop)
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), RowsError> {
        caught("flush", || self.db.flush())?;
        self.file.sync_data().map_err(|error| RowsError(format!("sled's file could not be synced: {error}")))
    }
}

fn row_key(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(key.len() + 1);
    row.push(ROW);
    row.extend_from_slice(key);
    row
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
