//! The one wasmtime engine and its pool of instance slots.
//!
//! Owns the compiler's and the pool's settings. Guests get 32-bit memories, no
//! threads, no garbage collector. When the machine has no room for the pool's
//! address space, a smaller pool is tried, and at last none at all: what there is room
//! for is said, so that nobody is let in beyond it.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::options::Options;

/// Wasm stack of one call. 512 KiB: recursive JSON parsers stay under 200 KiB at
/// the 128 levels that the host accepts.
pub(crate) const STACK_BYTES: usize = 512 << 10;
/// The fiber that carries the wasm stack, and host calls on top of it.
const FIBER_BYTES: usize = 2 << 20;
/// QuickJS connectors have 8 to 11 core instances and 2 to 3 memories.
pub(crate) const CORE_INSTANCES_MAX: u32 = 16;
/// See above.
pub(crate) const MEMORIES_MAX: u32 = 4;
/// A table for each core instance.
pub(crate) const TABLES_MAX: u32 = 16;
/// Function tables of whole language runtimes have 10 to 30 thousand entries.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 64 << 10;
/// One memory. No grant gives a call more, over all of its memories.
pub(crate) const MEMORY_BYTES_MAX: usize = 1 << 30;
/// What the pool's numbers of parts can be computed with. Far beyond any machine.
const CALLS_MAX: u32 = 1 << 20;
/// What a slot keeps for the next call: all that most connectors touch.
const RESIDENT_BYTES: usize = 4 << 20;

/// An engine, and how many calls it has room for at the same time.
pub(crate) struct Built {
    pub(crate) engine: Engine,
    pub(crate) calls: u32,
}

/// Makes the engine, with as large a pool as the machine has address space for.
pub(crate) fn build(options: &Options) -> wasmtime::Result<Built> {
    let mut calls = options.calls_max.clamp(1, CALLS_MAX);
    if options.pooled {
        loop {
            let mut config = base();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options, calls)));
            match Engine::new(&config) {
                Ok(engine) => return Ok(Built { engine, calls }),
                Err(error) if calls > 8 => {
                    tracing::warn!(calls, %error, "the machine has no room for the instance pool; trying a smaller one");
                    calls /= 4;
                }
                Err(error) => {
                    tracing::warn!(calls, %error, "running without an instance pool: calls will be slower");
                    break;
                }
            }
        }
    }
    Ok(Built { engine: Engine::new(&base())?, calls })
}

/// What compiled code depends on; the same with and without a pool.
pub(crate) fn base() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(FIBER_BYTES)
        .memory_init_cow(true)
        .memory_reservation(4 << 30)
        .wasm_memory64(false)
        // Nobody reads backtraces of guests. Without their tables kept code is a seventh
        // smaller, and loading is mostly reading, verifying and copying its bytes.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false)
        .parallel_compilation(true);
    config
}

fn pool(options: &Options, calls: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls * CORE_INSTANCES_MAX)
        .total_memories(calls * MEMORIES_MAX)
        .total_tables(calls * TABLES_MAX)
        .total_stacks(calls)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memories_per_module(MEMORIES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(MEMORY_BYTES_MAX)
        .max_unused_warm_slots(options.warm_slots)
        // What a call took beyond what its slot keeps is given back as it ends. Collected
        // in batches, the last calls' memory, up to a gibibyte each, would stay as long as
        // nobody calls.
        .decommit_batch_size(1);
    // Without the scan, resetting a slot clears resident bytes blindly, which costs
    // more than giving them back.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(RESIDENT_BYTES)
            .table_keep_resident(TABLE_ELEMENTS_MAX * size_of::<usize>());
    }
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(calls_max: u32, pooled: bool) -> u32 {
        let mut options = Options::new("unused", [0; 32]);
        (options.calls_max, options.warm_slots, options.pooled) = (calls_max, 4, pooled);
        build(&options).expect("an engine").calls
    }

    #[test]
    fn no_grant_gives_more_than_the_pool_has() {
        let most = model::LimitsPart::most();
        let parts = [u64::from(CORE_INSTANCES_MAX), u64::from(TABLES_MAX), TABLE_ELEMENTS_MAX as u64];
        assert_eq!([most.instances, most.tables, most.table_elements], parts.map(Some));
        assert_eq!(most.memory_bytes, Some(MEMORY_BYTES_MAX as u64));
    }

    #[test]
    fn says_what_there_is_room_for() {
        assert_eq!(built(4, true), 4);
        assert_eq!(built(4, false), 4);
        assert_eq!(built(0, true), 1);
        // Every call reserves 16 GiB for its memories, and processes have 128 TiB.
        let wanted = 40_000;
        let calls = built(wanted, true);
        assert!(calls < wanted && [10_000, 2_500, 625, 156, 39, 9, 2].contains(&calls), "{calls}");
    }
}
