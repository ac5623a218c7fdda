//! Memory of one call, over all its linear memories and tables, and their number.
//!
//! wasmtime tells a guest that its growth failed, and the guest then breaks off
//! like any other; hence the hit is remembered here by its name, for an honest failure.

use model::Limits;
use wasmtime::ResourceLimiter;

use crate::engine::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};

/// A limit by its name, and its value.
pub(crate) type Limit = (&'static str, u64);

/// What one call has and may have.
pub(crate) struct Limiter {
    limit: usize,
    table_elements: usize,
    tables: usize,
    instances: usize,
    used: usize,
    peak: usize,
    last: usize,
    refused: Option<Limit>,
}

impl Limiter {
    /// Nothing used yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        // What the pool has room for holds whatever a limit says.
        let within = |limit: u64, most: usize| usize::try_from(limit).unwrap_or(usize::MAX).min(most);
        Self {
            limit: within(limits.memory_bytes, usize::MAX),
            table_elements: within(limits.table_elements, TABLE_ELEMENTS_MAX),
            tables: within(limits.tables, TABLES_MAX as usize),
            instances: within(limits.instances, CORE_INSTANCES_MAX as usize),
            used: 0,
            peak: 0,
            last: 0,
            refused: None,
        }
    }

    /// Why a growth was first refused, if one was.
    pub(crate) fn refused(&self) -> Option<Limit> {
        self.refused
    }

    /// The most that was in use.
    pub(crate) fn peak(&self) -> u64 {
        self.peak as u64
    }

    fn grow(&mut self, bytes: usize) -> bool {
        let used = self.used.saturating_add(bytes);
        if used > self.limit {
            self.refused.get_or_insert(("memory_bytes", self.limit as u64));
            return false;
        }
        (self.used, self.last) = (used, bytes);
        self.peak = self.peak.max(used);
        true
    }

    fn undo(&mut self) {
        self.used -= std::mem::take(&mut self.last);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.table_elements {
            self.refused.get_or_insert(("table_elements", self.table_elements as u64));
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(size_of::<usize>())))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    // Without a pool, only this holds.

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(memory_bytes: u64) -> Limiter {
        Limiter::new(&Limits { memory_bytes, ..Limits::default() })
    }

    #[test]
    fn adds_up_memories_and_tables() {
        let mut limiter = limiter(1_000);
        assert!(limiter.memory_growing(0, 400, None).expect("never an error"));
        assert!(limiter.memory_growing(0, 400, None).expect("never an error"));
        assert!(limiter.table_growing(0, 20, None).expect("never an error"));
        assert_eq!(limiter.refused(), None);
        assert!(!limiter.memory_growing(400, 441, None).expect("never an error"), "960 + 41 bytes");
        assert_eq!(limiter.refused(), Some(("memory_bytes", 1_000)));
        assert_eq!(limiter.peak(), 960);
    }

    #[test]
    fn tables_have_a_limit_of_their_own() {
        let mut limiter = limiter(1 << 30);
        assert!(limiter.table_growing(0, TABLE_ELEMENTS_MAX, None).expect("never an error"));
        assert_eq!(limiter.refused(), None);
        assert!(!limiter.table_growing(1, TABLE_ELEMENTS_MAX + 1, None).expect("never an error"));
        assert!(!limiter.memory_growing(0, 2 << 30, None).expect("never an error"));
        assert_eq!(limiter.refused(), Some(("table_elements", 65_536)), "the first refusal is the cause");
        let mut limiter = Limiter::new(&Limits { table_elements: 10, tables: 0, instances: 99, ..Limits::default() });
        assert_eq!((limiter.tables(), limiter.instances()), (0, 16), "never more than the pool has");
        assert!(!limiter.table_growing(0, 11, None).expect("never an error"));
        assert_eq!(limiter.refused(), Some(("table_elements", 10)));
    }

    #[test]
    fn a_failed_growth_is_given_back() {
        let mut limiter = limiter(1_000);
        assert!(limiter.memory_growing(0, 900, None).expect("never an error"));
        limiter.memory_grow_failed(wasmtime::Error::msg("no room")).expect("never an error");
        assert!(limiter.memory_growing(0, 1_000, None).expect("never an error"));
    }
}
