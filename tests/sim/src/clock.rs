//! The host's wall clock: tokio's paused time, shifted by whoever sets clocks wrong.
//!
//! Survives crashes; each life of the host has a runtime of its own, whose time
//! starts anew.

use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::Clock;
use tokio::time::Instant;

use crate::dice::Dice;

/// When worlds begin: 2027-01-15, 08:00 UTC.
const BEGIN_MS: u64 = 1_800_000_000_000;

/// The simulated clock.
pub(crate) struct SimClock {
    time: Mutex<Time>,
    dice: Dice,
}

struct Time {
    /// What had passed before this life.
    passed_ms: u64,
    /// Since when this life lasts; none between two lives.
    since: Option<Instant>,
    /// How wrong the clock goes.
    wrong_ms: i64,
}

impl SimClock {
    pub(crate) fn new(seed: u64) -> Self {
        let time = Time { passed_ms: 0, since: None, wrong_ms: 0 };
        Self { time: Mutex::new(time), dice: Dice::of(seed, "clock") }
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A life begins; call within its runtime.
    pub(crate) fn begin(&self) {
        self.time().since = Some(Instant::now());
    }

    /// It ends; call within its runtime, whose time ends with it.
    pub(crate) fn end(&self) {
        let mut time = self.time();
        time.passed_ms = time.passed_ms();
        time.since = None;
    }

    /// Nobody restarts the host for so long.
    pub(crate) fn pass(&self, down_ms: u64) {
        self.time().passed_ms += down_ms;
    }

    /// Milliseconds that really passed since the world began.
    pub(crate) fn passed_ms(&self) -> u64 {
        self.time().passed_ms()
    }

    /// Somebody sets the clock, this far from the truth.
    pub(crate) fn set_wrong(&self, wrong_ms: i64) {
        self.time().wrong_ms = wrong_ms;
    }
}

impl Time {
    fn passed_ms(&self) -> u64 {
        let now = self.since.map_or(0, |since| since.elapsed().as_millis());
        self.passed_ms + u64::try_from(now).unwrap_or(u64::MAX)
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        let time = self.time();
        (BEGIN_MS + time.passed_ms()).saturating_add_signed(time.wrong_ms)
    }

    fn random(&self) -> u64 {
        self.dice.number()
    }
}
