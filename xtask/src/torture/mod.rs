//! `cargo xtask torture engine`: the long form of every proof that the engine keeps its
//! promises, and the short form that the test suite runs.
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
    stage(&format!("{} kills", scale.kills), || kills::kill_loop(scale.kills, &mut claims))?;
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
    let scale = Scale::short();
    let until = Instant::now() + SHORT_WITHIN;
    parts(&scale, &PARTS, until, &mut claims, &mut skipped)?;
    println!("{}", claims.summary());
    ensure!(claims.held(), "a claim did not hold");
    Ok(skipped)
}

/// One part of it, in its short form; whether every promise held.
///
/// # Errors
/// There is no such part, or nothing could be set up.
pub fn only(name: &str) -> Result<bool> {
    let Some(part) = PARTS.iter().find(|(known, ..)| *known == name) else {
        let known: Vec<&str> = PARTS.iter().map(|(known, ..)| *known).collect();
        bail!("there is no part {name}: choose one of {}", known.join(", "));
    };
    demo::build()?;
    let (mut claims, mut skipped) = (Claims::default(), Vec::new());
    parts(&Scale::short(), &[*part], Instant::now() + SHORT_WITHIN, &mut claims, &mut skipped)?;
    println!("\n{}, {} skipped", claims.summary(), skipped.len());
    Ok(claims.held())
}

type Work = fn(&mut Part<'_>) -> Result<()>;
type Named = (&'static str, &'static str, Work);

/// By name, with what people read.
const PARTS: [Named; 6] = [
    ("power", "Power losses on a real file system", power::lose_power),
    ("syscalls", "Kills at every sync, rename and truncation", syscalls::kill_at_each),
    ("errors", "Errors of the disk at every write and sync", errors::fail_each),
    ("full", "A full disk", full::fill),
    ("counting", "A counting upstream", counting::count),
    ("damage", "Damaged files", damage::damage),
];

fn parts(scale: &Scale, parts: &[Named], until: Instant, claims: &mut Claims, skipped: &mut Vec<String>) -> Result<()> {
    for (name, headline, work) in parts.iter().copied() {
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
