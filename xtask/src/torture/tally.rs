//! How much of each torture, and what came of it in figures.

use crate::report::Claims;
use crate::storm::Aftermath;

/// How often each thing is done.
#[derive(Debug, Clone)]
pub struct Scale {
    /// Simulated runs, where they are counted instead of timed.
    pub simulated_runs: u64,
    /// Kills under load.
    pub kills: usize,
    /// Losses of power.
    pub power_losses: usize,
    /// Every so many-th moment of a scripted run: 1 is each.
    pub every: usize,
    /// What the counting upstream counts.
    pub counted: Counted,
    /// Bit flips, and as many truncations.
    pub damages: usize,
    /// Simulated minutes of load, and runs that begin in each of their seconds.
    pub load: (u64, u64),
}

/// What the counting upstream counts.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Flows that call it.
    pub flows: usize,
    /// Deliveries to them.
    pub deliveries: usize,
    /// Kills meanwhile.
    pub kills: usize,
}

impl Scale {
    /// What a release is put through.
    pub fn long() -> Self {
        let counted = Counted { flows: 10_000, deliveries: 10_000, kills: 200 };
        Self {
            simulated_runs: u64::MAX,
            kills: 300,
            power_losses: 100,
            every: 1,
            counted,
            damages: 200,
            load: (60, 40),
        }
    }

    /// What fits into the test suite's minutes.
    pub fn short() -> Self {
        let counted = Counted { flows: 20, deliveries: 600, kills: 12 };
        Self { simulated_runs: 10_000, kills: 30, power_losses: 15, every: 6, counted, damages: 8, load: (15, 10) }
    }
}

/// Storms added up.
#[derive(Debug, Default)]
pub(super) struct Sum {
    done: usize,
    uncertain: usize,
    repeated: usize,
    broken: Vec<String>,
}

impl Sum {
    /// One more storm, or why it broke off.
    pub(super) fn add(&mut self, name: &str, outcome: anyhow::Result<Aftermath>) -> bool {
        match outcome {
            Ok(aftermath) => {
                self.done += aftermath.verdict.done;
                self.uncertain += aftermath.verdict.uncertain;
                self.repeated += aftermath.repeated;
                self.broken.extend(aftermath.verdict.broken.into_iter().map(|what| format!("{name}: {what}")));
                true
            }
            Err(error) => {
                self.broken.push(format!("{name}: {error:#}"));
                false
            }
        }
    }

    /// Something else that broke a promise.
    pub(super) fn broke(&mut self, what: String) {
        self.broken.push(what);
    }

    /// Settles one claim over all of it.
    pub(super) fn settle(self, claim: &str, claims: &mut Claims) {
        println!(
            "   {} delivered once, {} \"may have happened\", {} kept although their answer was lost",
            self.done, self.uncertain, self.repeated
        );
        let outcome =
            if self.broken.is_empty() { Ok("0 lost, 0 doubled".to_owned()) } else { Err(self.broken.join("; ")) };
        claims.settle(claim, outcome);
    }
}
