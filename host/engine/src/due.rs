//! Which times of a schedule are due, and what becomes of missed ones: pure.

use std::collections::VecDeque;

use flow::{Missed, Schedule};

/// A time is missed when the host comes to it later than this: twice the time after
/// which the sleeper looks whether the clock has jumped.
const LATE_MS: u64 = 120_000;
/// How many missed times `all` makes up for. A thousand runs are work for minutes;
/// more would keep the host from its present.
pub(crate) const ALL_MAX: usize = 1_000;
/// Times before this are not even counted: a month at one a minute are 44,640.
const LOOK_BACK_MS: u64 = 31 * 86_400_000;

/// What a schedule has to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The times that start the flow, oldest first.
    pub(crate) fire: Vec<u64>,
    /// How many times are passed over.
    pub(crate) passed: u64,
    /// Times up to here are dealt with, then.
    pub(crate) until_ms: u64,
}

impl Due {
    /// The times after `last_ms`, up to now.
    pub(crate) fn of(schedule: &Schedule, since_ms: u64, last_ms: u64, now_ms: u64) -> Self {
        let (mut count, mut newest) = (0_u64, VecDeque::new());
        let mut at_ms = last_ms.max(now_ms.saturating_sub(LOOK_BACK_MS));
        while let Some(next_ms) = schedule.next_ms(since_ms, at_ms)
            && next_ms <= now_ms
        {
            count += 1;
            newest.push_back(next_ms);
            if newest.len() > ALL_MAX {
                newest.pop_front();
            }
            at_ms = next_ms;
        }
        let until_ms = newest.back().copied().unwrap_or(last_ms);
        let keep = match schedule.missed {
            Missed::Skip => usize::from(now_ms - until_ms.min(now_ms) <= LATE_MS),
            Missed::Once => 1,
            Missed::All => ALL_MAX,
        };
        let fire: Vec<u64> = newest.split_off(newest.len().saturating_sub(keep)).into();
        Self { passed: count - fire.len() as u64, fire, until_ms }
    }

    /// Only the first so many times; the others are due again afterwards.
    pub(crate) fn first(mut self, most: usize) -> Self {
        if self.fire.len() > most {
            self.fire.truncate(most);
            self.until_ms = self.fire.last().copied().unwrap_or(self.until_ms);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow::{Rhythm, Zone};

    const MINUTE_MS: u64 = 60_000;

    fn every_minute(missed: Missed) -> Schedule {
        Schedule { rhythm: Rhythm::Every { ms: MINUTE_MS }, zone: Zone::utc(), missed }
    }

    fn check(missed: Missed, now_ms: u64, fire: &[u64], passed: u64) {
        let due = Due::of(&every_minute(missed), 0, 0, now_ms);
        let until_ms = now_ms / MINUTE_MS * MINUTE_MS;
        assert_eq!(due, Due { fire: fire.to_vec(), passed, until_ms }, "{missed:?} at {now_ms}");
    }

    #[test]
    fn a_time_on_time_fires_whatever_the_policy() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            check(missed, MINUTE_MS - 1, &[], 0);
            check(missed, MINUTE_MS, &[MINUTE_MS], 0);
        }
    }

    #[test]
    fn missed_times_follow_the_policy() {
        let now_ms = 3 * MINUTE_MS;
        check(Missed::Skip, now_ms, &[now_ms], 2);
        check(Missed::Once, now_ms, &[now_ms], 2);
        check(Missed::All, now_ms, &[MINUTE_MS, 2 * MINUTE_MS, now_ms], 0);
        let hourly = Schedule { rhythm: Rhythm::Every { ms: 60 * MINUTE_MS }, ..every_minute(Missed::Skip) };
        let due = Due::of(&hourly, 0, 0, 63 * MINUTE_MS);
        assert_eq!((due.fire.len(), due.passed, due.until_ms), (0, 1, 60 * MINUTE_MS), "three minutes late");
    }

    #[test]
    fn making_up_is_bounded() {
        let now_ms = 400 * 86_400_000;
        let due = Due::of(&every_minute(Missed::All), 0, 0, now_ms);
        assert_eq!((due.fire.len(), due.passed), (ALL_MAX, 31 * 24 * 60 - ALL_MAX as u64));
        assert_eq!(due.fire.last(), Some(&now_ms));
        let first = due.first(100);
        assert_eq!((first.fire.len(), first.until_ms), (100, now_ms - 900 * MINUTE_MS));
        let rest = Due::of(&every_minute(Missed::All), 0, first.until_ms, now_ms);
        assert_eq!((rest.fire.len(), rest.passed), (900, 0));
    }

    #[test]
    fn a_clock_behind_the_last_time_waits() {
        let due = Due::of(&every_minute(Missed::All), 0, 10 * MINUTE_MS, 5 * MINUTE_MS);
        assert_eq!(due, Due { fire: Vec::new(), passed: 0, until_ms: 10 * MINUTE_MS });
    }
}
