//! Rows in memory, for simulated hosts.
//!
//! A handle is shared: it outlives the store, as files outlive a process. A
//! snapshot is a copy of its own, to come back to an older state.

use super::{Bounds, Cell, Changes, Mark, Rows, RowsError, Walk};
use crate::store::Order;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows in memory. Clones are the same rows.
#[derive(Debug, Clone, Default)]
pub struct MemoryRows(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    rows: BTreeMap<Bytes, Cell>,
    mark: Option<Mark>,
}

impl MemoryRows {
    /// Empty rows: as if sled had been lost.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of its own of these rows as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, bounds: &Bounds, order: Order) -> Option<(Bytes, Cell)> {
        let state = self.state();
        let mut range = state.rows.range::<Bytes, _>((bounds.0.as_ref(), bounds.1.as_ref()));
        let row = match order {
            Order::Ascending => range.next(),
            Order::Descending => range.next_back(),
        };
        row.map(|(key, cell)| (key.clone(), cell.clone()))
    }
}

impl Rows for MemoryRows {
    fn get(&self, key: &[u8]) -> Result<Option<Cell>, RowsError> {
        Ok(self.state().rows.get(key).cloned())
    }

    fn contains(&self, key: &[u8]) -> Result<bool, RowsError> {
        Ok(self.state().rows.contains_key(key))
    }

    fn walk(&self, bounds: &Bounds, order: Order) -> Walk<'_> {
        let mut bounds = Some(bounds.clone());
        Box::new(std::iter::from_fn(move || {
            let (low, high) = bounds.take().filter(|bounds| !is_empty(bounds))?;
            let row = self.step(&(low.clone(), high.clone()), order)?;
            let reached = Bound::Excluded(row.0.clone());
            bounds = Some(match order {
                Order::Ascending => (reached, high),
                Order::Descending => (low, reached),
            });
            Some(Ok(row))
        }))
    }

    fn mark(&self) -> Result<Option<Mark>, RowsError> {
        Ok(self.state().mark)
    }

    fn load(&self, changes: &Changes) -> Result<(), RowsError> {
        let mut state = self.state();
        for (key, cell) in changes {
            match cell {
                Cell::Gone => state.rows.remove(key),
                cell => state.rows.insert(key.clone(), cell.clone()),
            };
        }
        Ok(())
    }

    fn apply(&self, changes: &Changes, mark: Mark) -> Result<(), RowsError> {
        self.load(changes)?;
        self.state().mark = Some(mark);
        Ok(())
    }
}

/// Bounds that `BTreeMap::range` would panic on.
fn is_empty((low, high): &Bounds) -> bool {
    match (low, high) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Excluded(low) | Bound::Included(low), Bound::Excluded(high) | Bound::Included(high)) => low >= high,
    }
}
