//! `cargo xtask bench`: builds the benchmarks with the release profile and runs them.
//!
//! Owns nothing of what is measured; `tests/bench` does.

use anyhow::Result;

use crate::plugins;
use crate::report::stage;
use crate::workspace::{cargo, run, target};

/// Measures the parts of these names; all of them when there is none.
///
/// # Errors
/// Something does not build, or a measurement cannot be made.
pub fn bench(parts: &[String]) -> Result<()> {
    stage("Building the connectors and guests", || plugins::build().and_then(|()| plugins::build_guests()))?;
    stage("Building for release (the first time takes long)", || {
        run(&mut cargo(["build", "--release", "--package", "bench", "--package", "sluice"]))
    })?;
    let mut measure = std::process::Command::new(target().join("release/bench"));
    run(measure.args(parts).env("SLUICE_TARGET", target()))
}
