//! Visible changes that the rows behind do not hold yet.
//!
//! Two sorted maps: `active` takes new batches, `draining` is on its way to
//! the rows and no longer changes. Invariant: a change leaves the overlay only
//! after the rows hold it, and readers look here first, so there is no moment
//! at which it is in neither. Memory is counted in journal bytes, since small
//! batches keep their whole encoding alive.

use crate::commit::Position;
use crate::journal::Place;
use crate::rows::{Bounds, Cell, Changes, Rows, RowsError, Walk};
use crate::store::Order;
use bytes::Bytes;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// See the module.
pub(crate) struct Overlay(RwLock<Layers>);

/// The two maps, under the lock.
pub(crate) struct Layers {
    active: Changes,
    draining: Arc<Changes>,
    active_bytes: usize,
    draining_bytes: usize,
    /// Every batch up to here is visible.
    visible: Place,
    /// Every batch up to here is in the rows.
    applied: Place,
    /// Every batch up to here is in the rows, or in `draining`.
    drained: Place,
}

impl Overlay {
    pub(crate) fn new(applied: Place) -> Self {
        Self(RwLock::new(Layers {
            active: Changes::new(),
            draining: Arc::default(),
            active_bytes: 0,
            draining_bytes: 0,
            visible: applied,
            applied,
            drained: applied,
        }))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Layers> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Layers> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest cell of a key, looked up here and then in the rows.
    pub(crate) fn get(&self, rows: &dyn Rows, key: &[u8]) -> Result<Option<Cell>, RowsError> {
        let cell = self.read().cell(key).cloned();
        match cell {
            Some(Cell::Gone) => Ok(None),
            None => rows.get(key),
            found => Ok(found),
        }
    }

    /// Whether a key is present.
    pub(crate) fn contains(&self, rows: &dyn Rows, key: &[u8]) -> Result<bool, RowsError> {
        let known = self.read().cell(key).map(|cell| *cell != Cell::Gone);
        known.map_or_else(|| rows.contains(key), Ok)
    }
}

impl Layers {
    pub(crate) fn insert(&mut self, key: Bytes, cell: Cell) {
        self.active.insert(key, cell);
    }

    /// A row is gone that no batch before `since` wrote.
    pub(crate) fn remove(&mut self, key: Bytes, since: Position) {
        if since.sequence() > self.drained.sequence {
            self.active.remove(&key);
        } else {
            self.active.insert(key, Cell::Gone);
        }
    }

    /// Makes what was inserted since the last call visible as of `place`.
    pub(crate) fn advance(&mut self, place: Place, bytes: usize) {
        self.visible = place;
        self.active_bytes += bytes;
    }

    pub(crate) fn visible(&self) -> Place {
        self.visible
    }

    pub(crate) fn applied(&self) -> Place {
        self.applied
    }

    pub(crate) fn bytes(&self) -> usize {
        self.active_bytes + self.draining_bytes
    }

    pub(crate) fn keys(&self) -> usize {
        self.active.len() + self.draining.len()
    }

    /// Sets the active map apart; `None` when the rows hold everything.
    pub(crate) fn begin_drain(&mut self) -> Option<(Arc<Changes>, Place)> {
        if self.visible == self.applied {
            return None;
        }
        self.draining = Arc::new(std::mem::take(&mut self.active));
        self.draining_bytes = std::mem::take(&mut self.active_bytes);
        self.drained = self.visible;
        Some((Arc::clone(&self.draining), self.visible))
    }

    /// The rows hold everything up to `place`. Returns the drained map, to be
    /// freed outside the lock.
    pub(crate) fn end_drain(&mut self, place: Place) -> Arc<Changes> {
        self.applied = place;
        self.draining_bytes = 0;
        std::mem::take(&mut self.draining)
    }

    /// Rows within bounds as of now, newest cell of each key, without those
    /// that are gone. The caller keeps the lock while it walks.
    pub(crate) fn scan(
        &self,
        rows: &dyn Rows,
        bounds: &Bounds,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Cell)>, RowsError> {
        self.merge(rows.walk(bounds, order), bounds, limit, order)
    }

    /// What is visible here, over the rows of a walk.
    fn merge(
        &self,
        below: Walk<'_>,
        bounds: &Bounds,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Cell)>, RowsError> {
        let layers = [walk(&self.active, bounds, order), walk(&self.draining, bounds, order), below];
        let mut layers = layers.map(Iterator::peekable);
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(key) = next_key(&mut layers, order)? else { break };
            let mut newest = None;
            for layer in &mut layers {
                if let Some(Ok((_, cell))) = layer.next_if(|row| row.as_ref().is_ok_and(|(other, _)| *other == key)) {
                    newest.get_or_insert(cell);
                }
            }
            found.extend(newest.filter(|cell| *cell != Cell::Gone).map(|cell| (key, cell)));
        }
        Ok(found)
    }

    /// Rows within bounds that no batch before `since` wrote: as `scan`, without
    /// looking where they cannot be.
    pub(crate) fn scan_since(
        &self,
        since: Position,
        rows: &dyn Rows,
        bounds: &Bounds,
    ) -> Result<Vec<(Bytes, Cell)>, RowsError> {
        let since = since.sequence();
        if since > self.visible.sequence {
            return Ok(Vec::new());
        }
        let order = Order::Ascending;
        let below = if since > self.applied.sequence { Box::new(std::iter::empty()) } else { rows.walk(bounds, order) };
        self.merge(below, bounds, usize::MAX, order)
    }

    fn cell(&self, key: &[u8]) -> Option<&Cell> {
        self.active.get(key).or_else(|| self.draining.get(key))
    }
}

fn next_key(layers: &mut [std::iter::Peekable<Walk<'_>>], order: Order) -> Result<Option<Bytes>, RowsError> {
    let mut next: Option<Bytes> = None;
    for layer in layers {
        let Some(row) = layer.peek() else { continue };
        let (key, _) = row.as_ref().map_err(Clone::clone)?;
        let sooner = next.as_ref().is_none_or(|best| match order {
            Order::Ascending => key < best,
            Order::Descending => key > best,
        });
        if sooner {
            next = Some(key.clone());
        }
    }
    Ok(next)
}

fn walk<'a>(changes: &'a Changes, bounds: &Bounds, order: Order) -> Walk<'a> {
    let range = changes.range::<Bytes, _>((bounds.0.as_ref(), bounds.1.as_ref()));
    let rows = range.map(|(key, cell)| Ok((key.clone(), cell.clone())));
    match order {
        Order::Ascending => Box::new(rows),
        Order::Descending => Box::new(rows.rev()),
    }
}

/// The keys that a scan may return; `None` when there can be none.
pub(crate) fn bounds(prefix: &[u8], after: Option<&[u8]>, order: Order) -> Option<Bounds> {
    let low = Bound::Included(Bytes::copy_from_slice(prefix));
    let high = successor(prefix).map_or(Bound::Unbounded, Bound::Excluded);
    let Some(after) = after else { return Some((low, high)) };
    let inside = after.starts_with(prefix);
    let reached = Bound::Excluded(Bytes::copy_from_slice(after));
    match order {
        Order::Ascending if inside => Some((reached, high)).filter(|(low, high)| !touch(low, high)),
        Order::Descending if inside => Some((low, reached)).filter(|(low, high)| !touch(low, high)),
        Order::Ascending => (after < prefix).then_some((low, high)),
        Order::Descending => (after > prefix).then_some((low, high)),
    }
}

/// Bounds on one and the same key hold nothing, and sorted maps panic on them.
fn touch(low: &Bound<Bytes>, high: &Bound<Bytes>) -> bool {
    match (low, high) {
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}

/// The smallest key above every key with this prefix; `None` when there is no
/// bound.
fn successor(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut key = prefix[..=last].to_vec();
    key[last] += 1;
    Some(key.into())
}
