//! `cargo xtask test` and `cargo xtask ci`: every proof, timed and summarised.
//!
//! A part that fails does not hide the parts after it. A proof that cannot run on this
//! machine is printed with its reason and counted as skipped.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::languages::LANGUAGES;
use crate::report::Claims;
use crate::workspace::{SIMULATED_TIME, cargo, has, run, spoken, target};
use crate::{demo, kills, plugins, torture};

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
        self.lint();
        self.test();
    }

    /// What needs no running program: format, lints, documentation.
    pub fn lint(&mut self) {
        self.part("format", || run(&mut cargo(["fmt", "--all", "--check"])));
        self.part("clippy", || {
            run(cargo(["clippy", "--workspace", "--all-targets"]).args(SIMULATED_TIME).args(["--", "-D", "warnings"]))
        });
        self.part("documentation", || {
            run(cargo(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
        });
    }

    /// Everything that proves that the project works.
    pub fn test(&mut self) {
        self.part("build", || {
            demo::build()?;
            torture::build_simulator()?;
            plugins::build_guests()
        });
        self.tests();
        if let Some(why) = no_network_for_the_siege() {
            self.skipped.push(format!("siege with names that lie and public addresses: {why}"));
        }
        for language in LANGUAGES {
            // What cannot be read has failed the tests already.
            if let Ok(Some(why)) = language.missing() {
                self.skipped.push(format!("connector in {}: {why}", language.name()));
            }
        }
        self.part("simulator", torture::simulate);
        if !has("npm", "--version") {
            let why = "npm is missing, which fetches GitHub's published webhook payloads: install Node.js";
            self.skipped.extend(["kill loop", "torture", "demo"].map(|proof| format!("{proof}: {why}")));
            return;
        }
        self.part("kill loop", || {
            let mut claims = Claims::default();
            kills::kill_loop(KILLS, None, &mut claims)?;
            println!("{}", claims.summary());
            ensure!(claims.held(), "a claim did not hold");
            Ok(())
        });
        let mut skipped = Vec::new();
        self.part("torture, in short", || {
            skipped = torture::short()?;
            Ok(())
        });
        self.skipped.append(&mut skipped);
        self.part("demo", || {
            ensure!(demo::demo(true)?, "a claim did not hold");
            Ok(())
        });
    }

    /// nextest where it is installed; the toolchain's own runner does as well.
    fn tests(&mut self) {
        if has("cargo-nextest", "--version") {
            self.part("tests", || run(cargo(["nextest", "run", "--workspace", "--no-fail-fast"]).args(SIMULATED_TIME)));
            self.part("examples in documentation", || {
                run(cargo(["test", "--workspace", "--doc", "--quiet"]).args(SIMULATED_TIME))
            });
        } else {
            self.part("tests", || run(cargo(["test", "--workspace", "--no-fail-fast"]).args(SIMULATED_TIME)));
        }
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
        let passed = self.parts.len() - failed;
        match self.skipped.len() {
            0 => println!("{passed} passed, {failed} failed"),
            skipped => println!("{passed} passed, {failed} failed, {skipped} skipped"),
        }
        failed == 0
    }
}

/// Why the siege got no network of its own on this machine, if it did not: only there is
/// port 53 its own, and every address local. An attack with no target tells.
fn no_network_for_the_siege() -> Option<String> {
    // Where it was not built, the tests have failed already.
    let siege = target().join("debug").join("siege");
    let output = Command::new(siege).args(["random", "--count", "0"]).output().ok()?;
    let figures: Value = serde_json::from_slice(&output.stdout).ok()?;
    figures["place"].as_str()?.strip_prefix("loopback: ").map(str::to_owned)
}
