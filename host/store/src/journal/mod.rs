//! The append-only journal: the one place where acknowledged bytes live.
//!
//! Owns segments, frames, recovery and the rule that a failed sync is final.
//! Knows nothing of keys. Every byte of a group is durable before the next
//! group is written, so a frame can say what was durable before it; that is
//! what tells a torn tail from damage to acknowledged batches.

mod files;
pub(crate) mod frame;
mod recover;
pub(crate) mod segment;
pub(crate) mod unlinked;
mod writer;

pub(crate) use files::{Files, Pointer};
pub(crate) use recover::{Catalogue, Replayed, scan_closed};
pub(crate) use segment::StoreId;
pub(crate) use unlinked::Unlinked;
pub(crate) use writer::{Journal, WriteFailure, Written, seed};

/// A place in the journal: just after the batch `sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) segment: u64,
    /// Offset in the segment at which the next frame begins.
    pub(crate) offset: u64,
}
