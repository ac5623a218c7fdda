//! The simulator, in processes side by side, and the sum of what they lived through.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::report::Claims;
use crate::workspace::{AS_FOR_TESTS, SIMULATED_TIME, cargo, run, short, spoken, target};

/// Each process takes every so many-th seed, beginning with its own.
const FIRST_SEED: u64 = 1;

/// Processes under way.
pub(super) struct Worlds {
    children: Vec<Child>,
    began: Instant,
}

/// What one process lived through.
#[derive(Deserialize)]
struct Tally {
    worlds: u64,
    runs: u64,
    first_seed: u64,
    last_seed: u64,
    counts: BTreeMap<String, u64>,
    broken: Vec<(u64, String)>,
}

/// Builds the simulator.
///
/// # Errors
/// It does not compile.
pub fn build() -> Result<()> {
    run(cargo(["build", "--workspace", "--bin", "sim"]).args(AS_FOR_TESTS).args(SIMULATED_TIME))
}

/// Lives through the world of one seed, aloud; whether every promise held.
///
/// # Errors
/// It cannot be built or started.
pub fn replay(seed: u64) -> Result<bool> {
    build()?;
    let status = Command::new(binary()).args(["replay", &seed.to_string()]).status();
    Ok(status.context("the simulator cannot be started")?.success())
}

/// The processors of this machine.
pub(super) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Those that are left beside a host under torture.
pub(super) fn beside() -> usize {
    (processors() - 1).max(1)
}

/// The simulator's program.
pub(super) fn binary() -> std::path::PathBuf {
    target().join("debug").join("sim")
}

impl Worlds {
    /// Starts processes that live through worlds until then.
    pub(super) fn start(processes: usize, until: Instant) -> Result<Self> {
        let seconds = until.saturating_duration_since(Instant::now()).as_secs().to_string();
        Self::spawn(processes, &["--seconds", &seconds])
    }

    /// Starts processes that live through so many runs together.
    pub(super) fn start_runs(processes: usize, runs: u64) -> Result<Self> {
        let each = runs.div_ceil(processes as u64).to_string();
        Self::spawn(processes, &["--runs", &each, "--seconds", "3600"])
    }

    fn spawn(processes: usize, arguments: &[&str]) -> Result<Self> {
        let mut worlds = Self { children: Vec::new(), began: Instant::now() };
        for process in 0..processes {
            let from = (FIRST_SEED + process as u64).to_string();
            let mut command = Command::new(binary());
            command.args(["run", "--from", &from, "--stride", &processes.to_string()]).args(arguments);
            let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
            worlds.children.push(child.with_context(|| format!("{} cannot be started", short(&binary())))?);
        }
        Ok(worlds)
    }

    /// Waits for all of them, and settles one claim over what they say.
    pub(super) fn finish(mut self, claims: &mut Claims) -> Result<()> {
        let mut tallies = Vec::new();
        for child in std::mem::take(&mut self.children) {
            let output = child.wait_with_output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            tallies.push(serde_json::from_str(&text).with_context(|| format!("the simulator said: {text:?}"))?);
        }
        settle(&tallies, self.began.elapsed(), claims)
    }
}

impl Drop for Worlds {
    /// Nothing outlives a torture that broke off.
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn settle(tallies: &[Tally], took: Duration, claims: &mut Claims) -> Result<()> {
    let sum = |figure: fn(&Tally) -> u64| tallies.iter().map(figure).sum::<u64>();
    let (worlds, runs) = (sum(|tally| tally.worlds), sum(|tally| tally.runs));
    let first = tallies.iter().map(|tally| tally.first_seed).min().unwrap_or(0);
    let last = tallies.iter().map(|tally| tally.last_seed).max().unwrap_or(0);
    let mut counts = BTreeMap::new();
    for (what, times) in tallies.iter().flat_map(|tally| &tally.counts) {
        *counts.entry(what).or_insert(0) += times;
    }
    ensure!(worlds > 0, "the simulator lived through no world");
    let rate = runs as f64 / took.as_secs_f64();
    println!("   {runs} runs in {worlds} worlds (seeds {first} to {last}) in {}, {rate:.0} a second", spoken(took));
    counts.iter().for_each(|(what, times)| println!("   {times:>9} {what}"));
    let broken: Vec<_> = tallies.iter().flat_map(|tally| &tally.broken).collect();
    for (seed, what) in &broken {
        println!("   seed {seed}: {what}\n     replay: cargo xtask torture engine --seed {seed}");
    }
    let outcome = match broken.first() {
        None => Ok(format!("{runs} runs, 0 broken promises")),
        Some((seed, what)) => Err(format!("seed {seed}: {what}")),
    };
    claims.settle("the engine keeps its promises in every simulated world", outcome);
    Ok(())
}
