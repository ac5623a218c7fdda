//! Time and chance, as the engine is handed them, so that it can run under a
//! simulator.

use std::sync::{Arc, Mutex, PoisonError};
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

/// Two ids made within this time of each other keep their order, whatever the clock did
/// between them. One that was set back further is believed.
const TOGETHER_MS: u128 = 60_000;

/// Names runs so that they sort in the order in which they were made, also within one
/// millisecond: the order of events is the order of their runs.
#[derive(Default)]
pub(crate) struct RunIds(Mutex<u128>);

impl RunIds {
    /// A run id greater than those before it.
    pub(crate) fn next(&self, clock: &Arc<dyn Clock>) -> model::RunId {
        let fresh = u128::from_str_radix(new_run_id(clock).as_str(), 16).expect("an id is hexadecimal digits");
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let together = *last >= fresh && (*last >> 80) - (fresh >> 80) <= TOGETHER_MS;
        *last = if together { *last + 1 } else { fresh };
        format!("{:032x}", *last).parse().expect("32 lower-case hexadecimal digits")
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that goes as the test says.
    struct Stepped(AtomicU64, AtomicU64);

    impl Clock for Stepped {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }

        fn random(&self) -> u64 {
            self.1.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
        }
    }

    #[test]
    fn ids_keep_their_order_within_a_millisecond_and_a_small_step_back() {
        let stepped = Arc::new(Stepped(AtomicU64::new(1_700_000_000_000), AtomicU64::new(1)));
        let clock: Arc<dyn Clock> = stepped.clone();
        let ids = RunIds::default();
        let mut made: Vec<_> = (0..100).map(|_| ids.next(&clock)).collect();
        stepped.0.fetch_sub(1_000, Ordering::SeqCst);
        made.extend((0..100).map(|_| ids.next(&clock)));
        stepped.0.fetch_add(2_000, Ordering::SeqCst);
        made.extend((0..100).map(|_| ids.next(&clock)));
        assert!(made.is_sorted_by(|a, b| a < b));
        let day_before = stepped.0.fetch_sub(86_400_000, Ordering::SeqCst) - 86_400_000;
        let believed = u128::from_str_radix(ids.next(&clock).as_str(), 16).expect("digits") >> 80;
        assert_eq!(believed, u128::from(day_before));
    }
}
