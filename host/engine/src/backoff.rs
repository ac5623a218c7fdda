//! How long triggers wait: around a usual time, and longer after failures. Pure;
//! chance comes in.

/// The wait after the first failure: long enough for a restart at the remote.
const FIRST_MS: u64 = 30_000;
/// The longest wait: an hour later, a person may have mended it.
const MOST_MS: u64 = 3_600_000;
/// After this many doublings the longest wait is reached.
const DOUBLINGS_MAX: u32 = 7;

/// Around this time, a tenth to either side: those who began together part.
pub(crate) fn jitter_ms(usual_ms: u64, chance: u64) -> u64 {
    let spread = (usual_ms / 5).max(1);
    (usual_ms - usual_ms / 10).saturating_add(chance % spread).max(1)
}

/// After so many failures in a row: doubled each time, half of it by chance.
pub(crate) fn backoff_ms(failures: u32, chance: u64) -> u64 {
    let most = (FIRST_MS << failures.saturating_sub(1).min(DOUBLINGS_MAX)).min(MOST_MS);
    most / 2 + chance % (most / 2)
}

/// Who waits for what a remote asked for comes back this much later at most. 5 s: enough
/// to spread those who wait for the same.
pub(crate) const LATE_MS_MAX: u64 = 5_000;

/// What a remote asked for, an hour at most, and up to a second more; never less than
/// after a first failure, since some ask for nothing.
pub(crate) fn asked_for_ms(asked_ms: u64, chance: u64) -> u64 {
    asked_ms.clamp(FIRST_MS / 2, MOST_MS) + 1 + chance % 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_within_their_bounds() {
        for chance in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!((90..=110).contains(&jitter_ms(100, chance)));
            assert!(jitter_ms(0, chance) == 1 && jitter_ms(u64::MAX, chance) > u64::MAX / 2);
            assert!((15_000..=30_000).contains(&backoff_ms(1, chance)));
            assert!((30_000..=60_000).contains(&backoff_ms(2, chance)));
            assert!((20_001..=21_000).contains(&asked_for_ms(20_000, chance)));
            assert!((15_001..=16_000).contains(&asked_for_ms(0, chance)));
            assert!((MOST_MS..=MOST_MS + 1_000).contains(&asked_for_ms(u64::MAX, chance)));
            assert!((MOST_MS / 2..=MOST_MS).contains(&backoff_ms(u32::MAX, chance)));
        }
    }
}
