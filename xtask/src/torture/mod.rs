//! `cargo xtask torture engine`: the long form of every proof that the engine keeps its
//! promises, and the short form that the test suite runs. `cargo xtask torture sandbox`:
//! the same of every test over seeds (`seeds.rs`).
//!
//! The simulator lives through worlds all the time on the processors that are left,
//! while real hosts are killed, starved, lied to and damaged one after another. Each
//! part prints its counts; a part that this machine cannot run says why.

mod counting;
mod damage;
mod errors;
mod full;
mod mount;
mod power;
mod retention;
mod seeds;
mod simulator;
mod strace;
mod syscalls;
mod tally;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::report::{Claims, stage};
use crate::workspace::target;
use crate::{demo, kills};

pub use seeds::sandbox;
pub use simulator::{build as build_simulator, replay};
pub use tally::Scale;

/// Everything a part needs to know.
pub struct Part<'a> {
    /// Where it may work.
    folder: PathBuf,
    /// How much of it.
    scale: &'a Scale,
    /// When it has to come to its end.
    until: Instant,
    /// What it settles.
    claims: &'a mut Claims,
    /// What could not be proved here, and why.
    skipped: &'a mut Vec<String>,
}

impl Part<'_> {
    /// Whether the time is over.
    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    fn skip(&mut self, what: &str, why: &str) {
        println!("skipped {what}: {why}");
        self.skipped.push(format!("{what}: {why}"));
    }
}

/// A part of the short form that comes later than this is skipped, and says so.
const SHORT_WITHIN: Duration = Duration::from_secs(4 * 60);

/// Tortures the engine for so many minutes; whether every promise held.
///
/// # Errors
/// Nothing could be set up at all.
pub fn engine(minutes: u64) -> Result<bool> {
    demo::build()?;
    build_simulator()?;
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let worlds = simulator::Worlds::start(simulator::beside(), until)?;
    let (mut claims, mut skipped) = (Claims::default(), Vec::new());
    let scale = Scale::long();
    parts(&scale, &PARTS, until, &mut claims, &mut skipped)?;
    stage("The simulator", || worlds.finish(&mut claims))?;
    skipped.iter().for_each(|what| println!("skipped {what}"));
    println!("\n{}, {} skipped", claims.summary(), skipped.len());
    Ok(claims.held())
}

/// The simulator's share of the test suite: so many runs, on every processor.
///
/// # Errors
/// A promise was broken, or the simulator cannot be started.
pub fn simulate() -> Result<()> {
    let mut claims = Claims::default();
    simulator::Worlds::start_runs(simulator::processors(), Scale::short().simulated_runs)?.finish(&mut claims)?;
    ensure!(claims.held(), "a claim did not hold");
    Ok(())
}

/// The crash loops' share of the test suite: the reasons of what it skipped.
///
/// # Errors
/// A promise was broken, or nothing could be set up.
pub fn short() -> Result<Vec<String>> {
    let (mut claims, mut skipped) = (Claims::default(), Vec::new());
    // The suite has a kill loop of its own.
    parts(&Scale::short(), &PARTS[1..], Instant::now() + SHORT_WITHIN, &mut claims, &mut skipped)?;
    println!("{}", claims.summary());
    ensure!(claims.held(), "a claim did not hold");
    Ok(skipped)
}

/// One part of it, in its short form; whether every promise held.
///
/// # Errors
/// There is no such part, or nothing could be set up.
pub fn only(name: &str) -> Result<bool> {
    let Some(part) = PARTS.iter().find(|part| part.name == name) else {
        let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        bail!("there is no part {name}: choose one of {}", known.join(", "));
    };
    demo::build()?;
    build_simulator()?;
    let (mut claims, mut skipped) = (Claims::default(), Vec::new());
    parts(&Scale::short(), &[*part], Instant::now() + SHORT_WITHIN, &mut claims, &mut skipped)?;
    println!("\n{}, {} skipped", claims.summary(), skipped.len());
    Ok(claims.held())
}

/// One of them.
#[derive(Clone, Copy)]
struct Named {
    name: &'static str,
    headline: &'static str,
    /// Its part of the time, beside those of the parts after it. What a part leaves over
    /// goes to them.
    share: u32,
    work: fn(&mut Part<'_>) -> Result<()>,
}

/// In the order in which they are done.
const PARTS: [Named; 8] = [
    Named { name: "kills", headline: "Kills under load", share: 5, work: kill },
    Named { name: "power", headline: "Power losses on a real file system", share: 5, work: power::lose_power },
    Named { name: "counting", headline: "A counting upstream", share: 9, work: counting::count },
    Named {
        name: "syscalls",
        headline: "Kills at every sync, rename and truncation",
        share: 4,
        work: syscalls::kill_at_each,
    },
    Named { name: "errors", headline: "Errors of the disk at every write and sync", share: 3, work: errors::fail_each },
    Named { name: "full", headline: "A full disk", share: 1, work: full::fill },
    Named { name: "damage", headline: "Damaged files", share: 2, work: damage::damage },
    Named { name: "retention", headline: "Load whose runs are kept for a minute", share: 2, work: retention::measure },
];

fn kill(part: &mut Part<'_>) -> Result<()> {
    kills::kill_loop(part.scale.kills, Some(part.until), part.claims)
}

fn parts(scale: &Scale, parts: &[Named], until: Instant, claims: &mut Claims, skipped: &mut Vec<String>) -> Result<()> {
    let mut shares: u32 = parts.iter().map(|part| part.share).sum();
    for Named { name, headline, share, work } in parts.iter().copied() {
        let left = until.saturating_duration_since(Instant::now());
        let until = Instant::now() + left * share / shares;
        shares -= share;
        let folder = target().join("torture").join(name);
        let mut part = Part { folder, scale, until, claims, skipped };
        if part.is_late() {
            part.skip(headline, "the time was over before");
            continue;
        }
        stage(headline, || {
            if let Err(error) = work(&mut part) {
                part.claims.settle(headline, Err(format!("{error:#}")));
            }
            Ok(())
        })?;
    }
    Ok(())
}
