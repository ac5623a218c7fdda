//! What a group has written so far: for the expectations and retirements of
//! its later batches, which see everything before them.
//!
//! Owns the way in which rows that are retired are found, wherever their
//! newest version is: in this group, in the overlay, or in the rows.

use crate::batch::{self, Expectation, Write};
use crate::blob::BlobAt;
use crate::history::{self, Place, Retire};
use crate::journal::Pointer;
use crate::overlay::{Overlay, bounds};
use crate::rows::{Cell, Rows, RowsError};
use crate::store::Order;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// A value is copied into a record when it lies this many segments before the
/// newest, instead of keeping that old segment needed. 4: what runs of a few
/// minutes wrote is never copied.
const NEAR_SEGMENTS: u64 = 4;

/// See the module. Keys that are gone have no spot.
#[derive(Default)]
pub(crate) struct Group(BTreeMap<Bytes, Option<Spot>>);

/// Where a value of the group is.
#[derive(Clone, Copy)]
enum Spot {
    /// Within the group.
    Here { at: usize, len: u32, crc: u32 },
    /// In a file of its own.
    Blob(BlobAt),
}

/// Which values may be left where they are in the journal.
pub(crate) struct Reach<'a> {
    /// The newest segment.
    pub(crate) newest: u64,
    pub(crate) unlinked: &'a BTreeSet<u64>,
}

impl Group {
    /// Takes in a batch whose payload begins at `payload_at` of the group.
    pub(crate) fn note(&mut self, payload: &Bytes, payload_at: usize) {
        for write in batch::writes(payload).flatten() {
            match write {
                Write::Put { key, value } => {
                    let len = u32::try_from(value.len()).expect("a value is shorter than its batch");
                    let crc = crc32c::crc32c(&payload[value.clone()]);
                    self.0.insert(payload.slice(key), Some(Spot::Here { at: payload_at + value.start, len, crc }));
                }
                Write::PutBlob { key, at } => drop(self.0.insert(payload.slice(key), Some(Spot::Blob(at)))),
                Write::Delete { key } => drop(self.0.insert(payload.slice(key), None)),
                // Its rows were noted as gone when it was worked out.
                Write::Retired { .. } => {}
            }
        }
    }

    /// The first key whose expectation fails.
    pub(crate) fn conflict(
        &self,
        expectations: &[Expectation],
        overlay: &Overlay,
        rows: &dyn Rows,
    ) -> Result<Option<Bytes>, RowsError> {
        for Expectation { key, present } in expectations {
            let is_present = match self.0.get(key) {
                Some(spot) => spot.is_some(),
                None => overlay.contains(rows, key)?,
            };
            if is_present != *present {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    /// The body of a retirement's record, which begins at `body_at` of the
    /// group; its rows are gone for what follows.
    pub(crate) fn retire(
        &mut self,
        retire: &Retire,
        body_at: usize,
        overlay: &Overlay,
        rows: &dyn Rows,
        reach: &Reach<'_>,
    ) -> Result<Vec<u8>, RowsError> {
        let mut found: BTreeMap<Bytes, Place> = BTreeMap::new();
        for prefix in &retire.prefixes {
            let Some(bounds) = bounds(prefix, None, Order::Ascending) else { continue };
            let stored = overlay.read().scan_since(retire.since, rows, &bounds)?;
            found.extend(stored.into_iter().filter_map(|(key, cell)| Some((key, reach.place(cell)?))));
            for (key, spot) in self.0.range::<Bytes, _>((bounds.0.as_ref(), bounds.1.as_ref())) {
                match spot {
                    Some(spot) => drop(found.insert(key.clone(), spot.before(body_at))),
                    None => drop(found.remove(key)),
                }
            }
        }
        let found: Vec<_> = found.into_iter().collect();
        self.0.extend(found.iter().map(|(key, _)| (key.clone(), None)));
        Ok(history::encode(retire, &found))
    }
}

impl Spot {
    fn before(self, body_at: usize) -> Place {
        match self {
            Self::Here { at, len, crc } => {
                let distance = u32::try_from(body_at - at).expect("a group is far shorter than 4 GiB");
                Place::Back { distance, len, crc }
            }
            Self::Blob(at) => Place::Blob(at),
        }
    }
}

impl Reach<'_> {
    fn place(&self, cell: Cell) -> Option<Place> {
        match cell {
            Cell::Inline(value, Some(at)) => Some(if self.is_near(at) { Place::At(at) } else { Place::Here(value) }),
            Cell::Inline(value, None) => Some(Place::Here(value)),
            Cell::Far(at) => Some(Place::At(at)),
            Cell::Blob(at) => Some(Place::Blob(at)),
            Cell::Gone => None,
        }
    }

    fn is_near(&self, at: Pointer) -> bool {
        at.segment + NEAR_SEGMENTS > self.newest && !self.unlinked.contains(&at.segment)
    }
}
