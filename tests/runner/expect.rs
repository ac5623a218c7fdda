//! Holding what was seen against what a step expects.

use std::fmt::Debug;

use anyhow::{Result, ensure};

use crate::case::Step;

/// Fails unless both are equal; `seen` says what else there was.
pub(crate) fn equal<T: PartialEq + Debug>(what: &str, got: &T, wanted: &T, seen: &str) -> Result<()> {
    ensure!(got == wanted, "{what} is {got:?}, not {wanted:?}; there was:\n{seen}");
    Ok(())
}

/// Fails unless the text shows and hides what the step says.
pub(crate) fn text(step: &Step, seen: &str, fill: impl Fn(&str) -> String) -> Result<()> {
    for wanted in step.shows.iter().map(|text| fill(text)) {
        ensure!(seen.contains(&wanted), "{wanted:?} is missing in:\n{seen}");
    }
    for unwanted in step.hides.iter().map(|text| fill(text)) {
        ensure!(!seen.contains(&unwanted), "{unwanted:?} stands in:\n{seen}");
    }
    Ok(())
}
