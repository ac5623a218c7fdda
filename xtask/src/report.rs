//! What is printed: stages with their times, and claims that held or did not.

use std::time::Instant;

use crate::workspace::spoken;

/// Claims so far: each is printed as it is settled.
#[derive(Debug, Default)]
pub struct Claims {
    passed: usize,
    failed: Vec<String>,
}

impl Claims {
    /// Settles a claim: prints it with what was seen, and counts it.
    pub fn settle(&mut self, claim: &str, outcome: Result<String, String>) {
        match outcome {
            Ok(seen) => {
                self.passed += 1;
                let seen = if seen.is_empty() { seen } else { format!(": {seen}") };
                println!("ok      {claim}{seen}");
            }
            Err(why) => {
                println!("FAILED  {claim}: {}", why.trim_end());
                self.failed.push(claim.to_owned());
            }
        }
    }

    /// Whether nothing failed.
    pub fn held(&self) -> bool {
        self.failed.is_empty()
    }

    /// `9 passed, 0 failed`
    pub fn summary(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed.len())
    }
}

/// Prints a headline, does the work, and prints how long it took.
///
/// # Errors
/// Those of the work.
pub fn stage<T>(headline: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    println!("\n== {headline}");
    let started = Instant::now();
    let outcome = work();
    let word = if outcome.is_ok() { "done" } else { "failed" };
    println!("   {word} in {}", spoken(started.elapsed()));
    outcome
}
