//! The rows behind the journal: what every batch so far adds up to.
//!
//! Derived state with one promise: when it says that it has applied a place,
//! every batch up to there is in it. Applying a batch twice is harmless, so a
//! round may be half there after a crash. Losing all of it costs a replay.

mod cell;
mod database;
mod memory;
mod sled;

pub(crate) use cell::{decode_cell, encode_cell};
pub use memory::MemoryRows;
pub(crate) use sled::{SledOptions, SledRows};

use crate::blob::BlobAt;
use crate::journal::{Place, Pointer, StoreId};
use crate::store::Order;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a key stands for, in the overlay and in the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// The value itself, and where it lies in the journal, unless it was
    /// written by a release that did not say.
    Inline(Bytes, Option<Pointer>),
    /// A value left in the journal.
    Far(Pointer),
    /// A value in a file of its own.
    Blob(BlobAt),
    /// Deleted; never stored.
    Gone,
}

/// Changes on their way to the rows, merged: one per key.
pub(crate) type Changes = BTreeMap<Bytes, Cell>;

/// How far rows have come, and of which store they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) store: StoreId,
    pub(crate) place: Place,
}

/// Why rows failed. They are not used again before they were opened anew.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RowsError(pub(crate) String);

/// Keys of a scan.
pub(crate) type Bounds = (Bound<Bytes>, Bound<Bytes>);
/// Rows of a scan, in its order.
pub(crate) type Walk<'a> = Box<dyn Iterator<Item = Result<(Bytes, Cell), RowsError>> + 'a>;

/// An implementation of the rows.
pub(crate) trait Rows: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Cell>, RowsError>;
    fn contains(&self, key: &[u8]) -> Result<bool, RowsError>;
    fn walk(&self, bounds: &Bounds, order: Order) -> Walk<'_>;
    /// `None` for rows that were never applied to.
    fn mark(&self) -> Result<Option<Mark>, RowsError>;
    /// Applies changes without a mark: what was loaded counts for nothing until
    /// the next `apply`.
    fn load(&self, changes: &Changes) -> Result<(), RowsError>;
    /// Applies the changes; durable, with the mark, on return.
    fn apply(&self, changes: &Changes, mark: Mark) -> Result<(), RowsError>;
    /// Does a small piece of the upkeep there may be, between two rounds; true
    /// when there is more to do at once. Changes nothing that readers see.
    fn maintain(&self) -> bool {
        false
    }
}
