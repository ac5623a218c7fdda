//! Tests over seeds: a few in the suite, as many as time allows under torture.
//!
//! In the suite such a test takes the seeds from 0 up to the number that it names. With
//! `TORTURE_SECONDS=N` in the environment it takes seeds until N seconds have passed,
//! beginning with `TORTURE_SEED` (0 when it is not set). Seeds go one after another, so
//! that a failing one can be had again: `TORTURE_SEED=17 TORTURE_SECONDS=0` takes 17
//! alone. Either way it prints one line, `torture: NAME {JSON}`, which
//! `cargo xtask torture` adds up. Its function's name begins with `tortured_`: that is
//! how the long form finds it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{env, panic};

use serde_json::json;

/// Seeds that are named when many fail. 20: the first ones tell what is wrong.
const FAILURES_MAX: usize = 20;

/// The seeds of one test, and what came of them.
#[derive(Debug)]
pub struct Torture {
    name: &'static str,
    first: u64,
    taken: u64,
    end: End,
    counts: BTreeMap<String, u64>,
    failed: u64,
    failures: Vec<(u64, String)>,
}

/// When no further seed is taken.
#[derive(Debug, Clone, Copy)]
enum End {
    After(u64),
    At(Instant),
}

impl Torture {
    /// The seeds of the test of this name: so many in the suite, and as the
    /// environment says under torture.
    ///
    /// # Panics
    /// When a variable of the environment is no number.
    #[must_use]
    pub fn new(name: &'static str, seeds_in_suite: u64) -> Self {
        let until = number("TORTURE_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
        Self::with(name, number("TORTURE_SEED").unwrap_or(0), until.map_or(End::After(seeds_in_suite), End::At))
    }

    fn with(name: &'static str, first: u64, end: End) -> Self {
        Self { name, first, taken: 0, end, counts: BTreeMap::new(), failed: 0, failures: Vec::new() }
    }

    /// Whether this is the long form.
    #[must_use]
    pub fn is_long(&self) -> bool {
        matches!(self.end, End::At(_))
    }

    /// The next seed; none when it is enough. There is always a first one.
    pub fn next_seed(&mut self) -> Option<u64> {
        let enough = match self.end {
            End::After(seeds) => self.taken >= seeds,
            End::At(time) => Instant::now() >= time,
        };
        if enough && self.taken > 0 {
            return None;
        }
        self.taken += 1;
        Some(self.first + self.taken - 1)
    }

    /// One more of these.
    pub fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// So many more of these.
    pub fn add(&mut self, what: &str, times: u64) {
        *self.counts.entry(what.to_owned()).or_default() += times;
    }

    /// How many there were of these.
    #[must_use]
    pub fn counted(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// This seed broke a promise.
    pub fn fail(&mut self, seed: u64, why: impl Into<String>) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push((seed, why.into()));
        }
    }

    /// Does the work for each seed; a panic in it breaks a promise of that seed.
    pub fn each(&mut self, mut work: impl FnMut(&mut Self, u64)) {
        while let Some(seed) = self.next_seed() {
            let done = panic::catch_unwind(panic::AssertUnwindSafe(|| work(self, seed)));
            if let Err(payload) = done {
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
                self.fail(seed, text.unwrap_or("a panic without words"));
            }
        }
    }

    /// Prints the line.
    ///
    /// # Panics
    /// When a seed broke a promise.
    #[allow(clippy::panic, reason = "the end of a test")]
    pub fn finish(self) {
        println!("torture: {} {}", self.name, self.line());
        if let Some((seed, why)) = self.failures.first() {
            let replay = format!("again: TORTURE_SEED={seed} TORTURE_SECONDS=0");
            panic!("{}: {} seeds failed, the first is {seed}: {why} ({replay})", self.name, self.failed);
        }
    }

    fn line(&self) -> serde_json::Value {
        json!({
            "seeds": self.taken,
            "first": self.first,
            "failed": self.failed,
            "failures": self.failures,
            "counts": self.counts,
        })
    }
}

#[allow(clippy::panic, reason = "a test that was started wrongly")]
fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(mut torture: Torture) -> Vec<u64> {
        std::iter::from_fn(|| torture.next_seed()).collect()
    }

    #[test]
    fn seeds_go_one_after_another_and_there_is_always_a_first() {
        assert_eq!(seeds(Torture::with("a", 0, End::After(3))), [0, 1, 2]);
        assert_eq!(seeds(Torture::with("a", 17, End::At(Instant::now()))), [17]);
    }

    #[test]
    fn the_line_says_what_came_of_them() {
        let mut torture = Torture::with("a", 5, End::After(3));
        torture.each(|torture, seed| {
            torture.count("tried");
            assert!(seed != 6, "six");
        });
        assert_eq!(
            torture.line(),
            json!({ "seeds": 3, "first": 5, "failed": 1, "failures": [[6, "six"]], "counts": { "tried": 3 } })
        );
        assert!(panic::catch_unwind(|| torture.finish()).is_err());
    }
}
