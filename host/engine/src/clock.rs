//! Time and chance, as the engine is handed them, so that it can run under a
//! simulator.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where time and randomness come from.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC.
    fn now_ms(&self) -> u64;

    /// 64 random bits, not for secrets.
    fn random(&self) -> u64;
}

/// The machine's clock and its random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now_ms(&self) -> u64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}

/// A new run id: sorts by time, never repeats.
pub(crate) fn new_run_id(clock: &Arc<dyn Clock>) -> model::RunId {
    let now_ms = clock.now_ms();
    let mut chance = [0; 10];
    chance[..8].copy_from_slice(&clock.random().to_le_bytes());
    chance[8..].copy_from_slice(&clock.random().to_le_bytes()[..2]);
    let id = uuid::Builder::from_unix_timestamp_millis(now_ms, &chance).into_uuid();
    id.simple().to_string().parse().expect("a uuid is 32 lower-case hexadecimal digits")
}
