//! Testing a connector natively, against recorded exchanges.
//!
//! Owns the stand-in for the host and the runner of `samples/*.json` (the format is in
//! `sdk-guest/SAMPLES.md`). It decides nothing: whether a request would be allowed is
//! for `sluice plugin test` to say, which runs the same files in the real host.
//!
//! ```no_run
//! # use sluicegate_sdk::{Connector, Result};
//! # struct MyConnector;
//! # impl Connector for MyConnector { fn describe() -> String { String::new() } }
//! sluicegate_sdk::testing::check_samples::<MyConnector>(concat!(env!("CARGO_MANIFEST_DIR"), "/samples"));
//! ```

pub(crate) mod host;
mod sample;
mod stage;

use std::path::Path;

pub use stage::Stage;

use crate::Connector;

/// Runs every sample in `folder`; panics with all that differs. Panics too when an
/// action lacks a sample that succeeds or one that fails, since half a test is none.
///
/// # Panics
/// When anything differs, or a file cannot be read.
#[track_caller]
pub fn check_samples<C: Connector>(folder: impl AsRef<Path>) {
    let problems = sample::run_folder::<C>(folder.as_ref());
    assert!(problems.is_empty(), "samples differ:\n{}", problems.join("\n"));
}
