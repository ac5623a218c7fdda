//! How a command ends: an answer, or a stop with problems; and the exit code of each.
//!
//! Codes are part of the command line's contract: see [`Exit`].

use std::process::ExitCode;

use model::Problem;
use serde_json::Value;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// What was asked for failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The policy does not allow it.
    Denied = 3,
    /// The host cannot be reached, or its folder is in use.
    Unreachable = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What a command has to say, for programs and for people.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Often done; a call that was made and failed is an answer too.
    pub(crate) exit: Exit,
    /// With `--json`.
    pub(crate) json: Value,
    /// Without.
    pub(crate) text: String,
}

impl Answer {
    /// A command that did what it was asked for.
    pub(crate) fn done(json: Value, text: impl Into<String>) -> Self {
        Self { exit: Exit::Done, json, text: text.into() }
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) exit: Exit,
    pub(crate) problems: Vec<Problem>,
    /// What it did nevertheless, if it was asked for several things.
    pub(crate) done: Option<Done>,
}

/// The part of a command that was done, beside one that failed.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its name in JSON, as in the answer when all is done.
    pub(crate) name: &'static str,
    /// With `--json`.
    pub(crate) values: Vec<Value>,
    /// Without.
    pub(crate) text: String,
}

impl Stop {
    pub(crate) fn new(exit: Exit, problem: Problem) -> Self {
        Self { exit, problems: vec![problem], done: None }
    }

    /// A failure like any other.
    pub(crate) fn failed(problem: Problem) -> Self {
        Self::new(Exit::Failed, problem)
    }

    /// Several problems; denied when one of them is the policy's.
    pub(crate) fn of(problems: Vec<Problem>) -> Self {
        let denied = problems.iter().any(|problem| is_denial(&problem.code));
        Self { exit: if denied { Exit::Denied } else { Exit::Failed }, problems, done: None }
    }
}

/// Codes of problems that only an administrator's grant can mend.
fn is_denial(code: &str) -> bool {
    matches!(
        code,
        "policy-denied" | "plugin-not-approved" | "connection-outside-grant" | "not-approved" | "beyond-ceiling"
    )
}

/// What nobody expected: `anyhow` tells the chain.
impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(Problem::new("unexpected", format!("{error:#}")))
    }
}

/// A command's end.
pub(crate) type Outcome = Result<Answer, Stop>;
