//! `cargo xtask test` and `cargo xtask ci`: every proof, timed and summarised.
//!
//! A part that fails does not hide the parts after it. A proof that cannot run on this
//! machine is printed with its reason and counted as skipped.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::report::Claims;
use crate::workspace::{cargo, has, run, spoken};
use crate::{demo, kills, plugins};

/// Kills in the short form of the loop.
const KILLS: usize = 30;

/// What became of one part.
struct Part {
    name: &'static str,
    took: Duration,
    outcome: Result<()>,
}

/// A list of parts as it grows.
#[derive(Default)]
pub struct Suite {
    parts: Vec<Part>,
    skipped: Vec<String>,
}

impl Suite {
    /// Everything that CI runs.
    pub fn ci(&mut self) {
        self.part("format", || run(&mut cargo(["fmt", "--all", "--check"])));
        self.part("clippy", || {
            run(cargo(["clippy", "--workspace", "--all-targets"]).args(["--", "-D", "warnings"]))
        });
        self.part("documentation", || {
            run(cargo(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
        });
        self.test();
    }

    /// Everything that proves that the project works.
    pub fn test(&mut self) {
        self.part("build", || {
            demo::build()?;
            plugins::build_guests()
        });
        self.tests();
        self.part("kill loop", || {
            let mut claims = Claims::default();
            kills::kill_loop(KILLS, &mut claims)?;
            held(&claims)
        });
        self.part("demo", || if demo::demo(true)? { Ok(()) } else { anyhow::bail!("a claim did not hold") });
    }

    fn tests(&mut self) {
        if has("cargo", "nextest") || has("cargo-nextest", "--version") {
            self.part("tests", || run(&mut cargo(["nextest", "run", "--workspace", "--no-fail-fast"])));
        } else {
            self.part("tests", || run(&mut cargo(["test", "--workspace", "--all-targets", "--no-fail-fast"])));
        }
        self.part("examples in documentation", || run(&mut cargo(["test", "--workspace", "--doc", "--quiet"])));
    }

    fn part(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) {
        println!("\n==== {name}");
        let started = Instant::now();
        let outcome = work();
        if let Err(error) = &outcome {
            println!("FAILED  {name}: {error:#}");
        }
        self.parts.push(Part { name, took: started.elapsed(), outcome });
    }

    /// Prints every part with its time, then the figures; whether nothing failed.
    pub fn finish(self) -> bool {
        println!("\n==== summary");
        for part in &self.parts {
            let word = if part.outcome.is_ok() { "ok" } else { "FAILED" };
            println!("{word:<8}{:<28}{:>12}", part.name, spoken(part.took));
        }
        for skipped in &self.skipped {
            println!("skipped {skipped}");
        }
        let failed = self.parts.iter().filter(|part| part.outcome.is_err()).count();
        println!("{} passed, {failed} failed", self.parts.len() - failed);
        failed == 0
    }
}

fn held(claims: &Claims) -> Result<()> {
    println!("{}", claims.summary());
    if claims.held() { Ok(()) } else { anyhow::bail!("a claim did not hold") }
}
