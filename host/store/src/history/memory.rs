//! The index of one segment, in memory: of the open one, and of closed ones
//! until their file is written.

use super::Asked;
use super::record::{Place, Record};
use crate::blob::BlobId;
use crate::journal::Pointer;
use crate::store::Order;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// One document, as an index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: Bytes,
    pub(crate) keep_until_ms: u64,
    /// Where its record lies.
    pub(crate) at: Pointer,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MemoryIndex {
    entries: Vec<Entry>,
    by_id: BTreeSet<Listed>,
    groups: BTreeMap<Bytes, BTreeSet<Listed>>,
    /// Segments that hold rows of these documents, and until when they are
    /// needed for it.
    holds: BTreeMap<u64, u64>,
    /// Blobs of these documents, and until when they are needed for it.
    blobs: BTreeMap<BlobId, u64>,
}

/// An id, and the number of its entry.
type Listed = (Bytes, u32);

impl MemoryIndex {
    /// Adds the document whose record lies at `at`.
    pub(crate) fn add(&mut self, record: &Record, at: Pointer) {
        let number = u32::try_from(self.entries.len()).expect("a segment holds fewer than 2^32 records");
        // Copies: the record's bytes would keep its whole batch in memory.
        let id = Bytes::copy_from_slice(&record.id);
        for group in &record.groups {
            let listed = (id.clone(), number);
            match self.groups.get_mut(group) {
                Some(group) => drop(group.insert(listed)),
                None => drop(self.groups.insert(Bytes::copy_from_slice(group), [listed].into())),
            }
        }
        self.hold(at.segment, record.keep_until_ms);
        for (_, place) in &record.rows {
            match place {
                Place::At(pointer) => self.hold(pointer.segment, record.keep_until_ms),
                Place::Blob(at) => drop(self.blobs.insert(at.id, record.keep_until_ms)),
                Place::Here(_) | Place::Back { .. } => {}
            }
        }
        self.by_id.insert((id.clone(), number));
        self.entries.push(Entry { id, keep_until_ms: record.keep_until_ms, at });
    }

    pub(crate) fn holds(&self) -> &BTreeMap<u64, u64> {
        &self.holds
    }

    pub(crate) fn blobs(&self) -> &BTreeMap<BlobId, u64> {
        &self.blobs
    }

    /// The soonest time at which a document may be forgotten.
    pub(crate) fn soonest_ms(&self) -> u64 {
        self.entries.iter().map(|entry| entry.keep_until_ms).min().unwrap_or(u64::MAX)
    }

    /// The last time at which one may be.
    pub(crate) fn latest_ms(&self) -> u64 {
        self.entries.iter().map(|entry| entry.keep_until_ms).max().unwrap_or(u64::MAX)
    }

    pub(crate) fn has(&self, group: &[u8]) -> bool {
        self.groups.contains_key(group)
    }

    /// The smallest and the greatest id.
    pub(crate) fn span(&self) -> Option<(Bytes, Bytes)> {
        Some((self.by_id.first()?.0.clone(), self.by_id.last()?.0.clone()))
    }

    /// Entries in the order of their ids, and the numbers of each group's, by
    /// group, for the file.
    pub(crate) fn sorted(&self) -> (Vec<&Entry>, Vec<(&Bytes, Vec<u32>)>) {
        let entries: Vec<&Entry> = self.by_id.iter().map(|(_, number)| &self.entries[*number as usize]).collect();
        let mut rank = vec![0; self.entries.len()];
        for (place, (_, number)) in (0..).zip(&self.by_id) {
            rank[*number as usize] = place;
        }
        let ranks = |group: &BTreeSet<Listed>| group.iter().map(|(_, number)| rank[*number as usize]).collect();
        (entries, self.groups.iter().map(|(group, listed)| (group, ranks(listed))).collect())
    }

    /// A page of the entries of a group, or of all.
    pub(crate) fn page(&self, asked: Asked<'_>) -> Vec<Entry> {
        let listed = match asked.group {
            None => Some(&self.by_id),
            Some(group) => self.groups.get(group),
        };
        let Some(listed) = listed else { return Vec::new() };
        let reached = asked.after.map(Bytes::copy_from_slice);
        let entries = |walk: &mut dyn Iterator<Item = &Listed>| {
            let entries = walk.map(|(_, number)| &self.entries[*number as usize]);
            let kept = entries.filter(|entry| entry.keep_until_ms > asked.forgotten_ms);
            kept.take(asked.limit).cloned().collect()
        };
        match asked.order {
            Order::Ascending => {
                let low = reached.map_or(Bound::Unbounded, |id| Bound::Excluded((id, u32::MAX)));
                entries(&mut listed.range((low, Bound::Unbounded)))
            }
            Order::Descending => {
                let high = reached.map_or(Bound::Unbounded, |id| Bound::Excluded((id, 0)));
                entries(&mut listed.range((Bound::Unbounded, high)).rev())
            }
        }
    }

    /// The newest entry with exactly this id.
    pub(crate) fn find(&self, id: &[u8]) -> Option<&Entry> {
        let id = Bytes::copy_from_slice(id);
        let (_, number) = self.by_id.range((id.clone(), 0)..=(id, u32::MAX)).next_back()?;
        Some(&self.entries[*number as usize])
    }

    fn hold(&mut self, segment: u64, keep_until_ms: u64) {
        let until = self.holds.entry(segment).or_default();
        *until = keep_until_ms.max(*until);
    }
}
