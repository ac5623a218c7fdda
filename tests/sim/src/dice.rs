//! Chance that a seed decides, shared by everything that lives in one thread.

use std::sync::{Mutex, PoisonError};

use testkit::Seeded;

/// One stream of chance. Each part of a world has its own, so that a new fault in
/// one part leaves the others as they were.
pub(crate) struct Dice(Mutex<Seeded>);

impl Dice {
    /// The stream of this seed for one part of the world.
    pub(crate) fn of(seed: u64, part: &str) -> Self {
        Self(Mutex::new(Seeded::new(seed ^ fnv(part.as_bytes()))))
    }

    fn roll<T>(&self, draw: impl FnOnce(&mut Seeded) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Any number.
    pub(crate) fn number(&self) -> u64 {
        self.roll(Seeded::number)
    }

    /// A number from `least` to `most`, both included.
    pub(crate) fn between(&self, least: u64, most: u64) -> u64 {
        let span = usize::try_from(most - least).unwrap_or(usize::MAX - 1) + 1;
        least + self.roll(|random| random.below(span)) as u64
    }

    /// True with this probability.
    pub(crate) fn chance(&self, probability: f64) -> bool {
        self.roll(|random| random.chance(probability))
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&self, choices: &[T]) -> T {
        self.roll(|random| *random.pick(choices))
    }
}

/// FNV-1a: short, stable for ever, and nobody's secret depends on it.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
