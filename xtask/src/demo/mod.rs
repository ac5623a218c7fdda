//! `cargo xtask demo`: builds everything, shows it working, and proves what it claims.
//!
//! With `--check` nobody is needed: the host is stopped at the end and the exit code
//! says whether every claim held. Without, the host and its stand-ins run on.

mod claims;
mod leave;
mod starters;

use std::fs;

use anyhow::{Context as _, Result};

use crate::report::{Claims, stage};
use crate::stage::Stage;
use crate::storm::Storm;
use crate::workspace::{AS_FOR_TESTS, SIMULATED_TIME, cargo, run, short, target};
use crate::{npm, plugins};

pub use leave::stop_left_running;

/// Deliveries in the storm of the demo.
const STORM: usize = 500;

/// Runs the demo; whether every claim held.
///
/// # Errors
/// The demo could not be set up at all.
pub fn demo(check: bool) -> Result<bool> {
    build()?;
    let folder = target().join("demo");
    fs::create_dir_all(&folder).with_context(|| short(&folder))?;
    stop_left_running(&folder)?;
    stage("Fetching GitHub's published webhook payloads", || npm::examples().map(drop))?;
    let mut scene = stage("Setting up, as a person would", || Stage::set(&folder, true))?;
    let mut claims = Claims::default();
    stage("What it does", || claims::works(&scene, &mut claims))?;
    stage("What it refuses", || claims::refuses(&scene, &mut claims))?;
    stage(&format!("kill -9 in the middle of {STORM} deliveries"), || {
        let storm = Storm { name: "storm".to_owned(), deliveries: STORM, connections: 8, kill_at: STORM / 2 };
        claims::survives(&mut scene, &mut claims, &storm);
        Ok(())
    })?;
    stage("The starter jobs, with a kill -9 in their middle", || starters::work(&mut scene, &mut claims))?;
    claims::keeps_secrets(&scene, &mut claims)?;
    if check {
        let outcome = scene.stop().map(|()| "the host ended cleanly on SIGTERM".to_owned());
        claims.settle("the host stops when asked to", outcome.map_err(|error| format!("{error:#}")));
    } else {
        leave::running(scene)?;
    }
    println!("\n{}", claims.summary());
    Ok(claims.held())
}

/// Builds what the demo runs: the host and the connectors.
///
/// # Errors
/// A tool is missing, or something does not compile.
pub fn build() -> Result<()> {
    // Features of dependencies as the whole workspace has them, so that the tests build
    // nothing twice.
    stage("Building the host (the first time takes minutes)", || {
        run(cargo(["build", "--workspace", "--bin", "sluice"]).args(AS_FOR_TESTS).args(SIMULATED_TIME))
    })?;
    stage("Building the connectors", plugins::build)
}
