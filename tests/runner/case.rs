//! The document of a case: what is set up, what the receiver answers, and the steps.
//!
//! Texts may hold marks that are filled in: `@receiver@` and `@nowhere@` (addresses,
//! the second with nobody behind it), `@folder@` (the case's own), `@plugins@` and
//! `@guests@` (built components), `@run@` (the run that was accepted last), `@try@`
//! (the number of the try).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows, in a sentence; printed when it fails.
    pub(crate) about: String,
    /// Connectors that are installed, and approved with the grants of `tests/cases`.
    #[serde(default)]
    pub(crate) connectors: Vec<String>,
    /// Options of `sluice serve`.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    /// What the receiver answers: the first that fits and is not used up.
    #[serde(default)]
    pub(crate) answers: Vec<Answer>,
    /// What happens, in order.
    pub(crate) steps: Vec<Step>,
}

/// One answer of the receiver's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// The whole path that it belongs to.
    pub(crate) path: String,
    /// How often it is given; none: always.
    pub(crate) times: Option<usize>,
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) delay_ms: u64,
}

fn ok() -> u16 {
    200
}

fn once() -> usize {
    1
}

/// One step: exactly one of the keys that say what is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// A command: the words after `sluice`; single quotes keep words together.
    pub(crate) run: Option<String>,
    /// A request to the webhook listener: `POST /hooks/test/orders`.
    pub(crate) send: Option<String>,
    /// Requests that the receiver gets, waited for: their path.
    pub(crate) received: Option<String>,
    /// A file below the case's folder that is looked at.
    pub(crate) file: Option<String>,
    /// Waits until no run is open.
    #[serde(default)]
    pub(crate) settle: bool,
    /// Kills the host and starts it again.
    #[serde(default)]
    pub(crate) kill: bool,

    /// The exit code; 0 when left out.
    pub(crate) code: Option<i32>,
    /// The status of the answer.
    pub(crate) status: Option<u16>,
    /// How many requests.
    pub(crate) count: Option<usize>,
    /// Or: as many requests as deliveries were answered 202.
    #[serde(default)]
    pub(crate) accepted: bool,
    /// Sends so often at most, until the status is the expected one; 202 before.
    #[serde(default = "once")]
    pub(crate) tries: usize,
    /// What the output, answer, requests or file hold.
    #[serde(default)]
    pub(crate) shows: Vec<String>,
    /// What they do not hold.
    #[serde(default)]
    pub(crate) hides: Vec<String>,

    /// Headers of the request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Its body.
    #[serde(default)]
    pub(crate) body: String,
    /// Its body as hexadecimal digits instead.
    pub(crate) body_hex: Option<String>,
    /// Its body as so many letters instead.
    pub(crate) body_bytes: Option<usize>,
    /// Signs the body as GitHub does, with the secret of the connection `hook`.
    #[serde(default)]
    pub(crate) signed: bool,
}

impl Case {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("case.toml");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        toml::from_str(&text).with_context(|| file.display().to_string())
    }
}
