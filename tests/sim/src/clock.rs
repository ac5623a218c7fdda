//! The host's wall clock: tokio's paused time, shifted by whoever sets clocks wrong.
//!
//! Survives crashes; each life of the host has a runtime of its own, whose time
//! starts anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::mutant::Mutant;

/// When worlds begin: 2027-01-15, 08:00 UTC.
pub(crate) const BEGIN_MS: u64 = 1_800_000_000_000;

/// A host that looks at its clock this often in one world never sleeps: the busiest
/// worlds need a hundredth.
const LOOKS_MAX: u64 = 3_000_000;

/// The simulated clock.
pub(crate) struct SimClock {
    time: Mutex<Time>,
    dice: Dice,
    looks: AtomicU64,
    worn_out: Notify,
    mutant: Option<Mutant>,
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
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let time = Time { passed_ms: 0, since: None, wrong_ms: 0 };
        let (dice, looks) = (Dice::of(seed, "clock"), AtomicU64::new(0));
        Self { time: Mutex::new(time), dice, looks, worn_out: Notify::new(), mutant }
    }

    /// Resolves once the host has looked at its clock far too often: time stands still
    /// while it is busy, so that no timeout would ever end it.
    pub(crate) async fn worn_out(&self) {
        self.worn_out.notified().await;
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

    /// The right time, whatever the host's clock says.
    pub(crate) fn true_ms(&self) -> u64 {
        BEGIN_MS + self.passed_ms()
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
        if self.looks.fetch_add(1, Ordering::Relaxed) == LOOKS_MAX {
            self.worn_out.notify_one();
        }
        let time = self.time();
        let mut passed_ms = time.passed_ms();
        if self.mutant == Some(Mutant::HastyClock) {
            passed_ms += passed_ms / 10;
        }
        (BEGIN_MS + passed_ms).saturating_add_signed(time.wrong_ms)
    }

    fn random(&self) -> u64 {
        self.dice.number()
    }
}
