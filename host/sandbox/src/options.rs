//! What the sandbox is opened with.
//!
//! Owns the defaults and why they are what they are. Limits of single calls are not
//! here: they come with each call, from policy.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::LoadError;

/// Turns a component into machine code somewhere else: in a child process with
/// limits of its own, which calls [`crate::precompile`].
pub type Compiler = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>, LoadError> + Send + Sync>;

/// What the sandbox is opened with.
#[derive(Clone)]
pub struct Options {
    /// Where compiled code is kept; made when missing, with mode 0700.
    pub cache_folder: PathBuf,
    /// Authenticates the kept code. Derived from the host's key; never stored beside it.
    pub cache_key: [u8; 32],
    /// Calls that may run at the same time; others wait. 256: more than an egress
    /// pool's worth of waiting calls, for 4 TiB of address space and no memory. Fewer
    /// when the machine has less address space ([`crate::Sandbox::calls_max`]).
    pub calls_max: u32,
    /// Calls that may wait for room; further ones fail at once, to be tried again.
    /// 1,024: four pools' worth, each holding its input.
    pub waiting_max: u32,
    /// Whether instances come from a pool that is set aside at the start. Without one
    /// each call makes its own memories: slower, and no address space is reserved.
    pub pooled: bool,
    /// Idle instance slots that keep memory for the next call of the same plugin, beside
    /// those that were ever in use at once. 32: each memory keeps up to 4 MiB of what a
    /// call touched, and some 256 KiB for connectors written in Rust. Calls that touch
    /// other places each time can make it keep more, up to their limit of memory.
    pub warm_slots: u32,
    /// The largest component that is compiled. 32 MiB: Python's runtime has 18.
    pub wasm_bytes_max: usize,
    /// How often guests are interrupted to be metered and to give way. 5 ms: half
    /// of what a call may use before it counts as slow.
    pub tick: Duration,
    /// Slow calls that may compute at the same time; none: one core fewer than
    /// there are, so that short calls always find one.
    pub slow_lanes: Option<usize>,
    /// Where components are compiled; none: in this process. What it returns is
    /// run as it is, so it must come from this host's own program.
    pub compiler: Option<Compiler>,
    /// The time of day for records, in milliseconds since 1970-01-01 UTC.
    pub clock_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Options {
    /// The defaults, for this folder and key.
    pub fn new(cache_folder: impl Into<PathBuf>, cache_key: [u8; 32]) -> Self {
        Self {
            cache_folder: cache_folder.into(),
            cache_key,
            calls_max: 256,
            waiting_max: 1_024,
            pooled: true,
            warm_slots: 32,
            wasm_bytes_max: 32 << 20,
            tick: Duration::from_millis(5),
            slow_lanes: None,
            compiler: None,
            clock_ms: Arc::new(system_time_ms),
        }
    }

    pub(crate) fn slow_lanes(&self) -> usize {
        self.slow_lanes.unwrap_or(processors().saturating_sub(1)).max(1)
    }
}

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("cache_folder", &self.cache_folder)
            .field("calls_max", &self.calls_max)
            .field("waiting_max", &self.waiting_max)
            .field("pooled", &self.pooled)
            .field("warm_slots", &self.warm_slots)
            .field("wasm_bytes_max", &self.wasm_bytes_max)
            .field("tick", &self.tick)
            .field("slow_lanes", &self.slow_lanes)
            .finish_non_exhaustive()
    }
}

#[allow(clippy::disallowed_methods, reason = "the one default for the clock that callers may replace")]
fn system_time_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
