//! One test for each hostile guest, by its name: what exactly becomes of it, while a
//! neighbour in the same sandbox notices nothing.

#![allow(clippy::panic, reason = "tests")]

mod answers;
mod files;
mod lies;
mod logs;
mod made;
mod manifests;
mod memory;
mod network;
mod pointers;
mod requests;
mod secrets;
mod services;
mod shapes;
mod streams;
mod time;
mod transfers;
mod world;

use answers::*;
use files::*;
use lies::*;
use logs::*;
use made::*;
use manifests::*;
use memory::*;
use network::*;
use pointers::*;
use requests::*;
use secrets::*;
use services::*;
use shapes::*;
use streams::*;
use time::*;
use transfers::*;
use world::*;

// A guest without a test does not compile: the list names a function for each folder.
include!(concat!(env!("OUT_DIR"), "/demanded.rs"));

use model::Failure;
use sandbox::{Answer, Report};

type Outcome = Result<Answer, Failure>;

/// The failure of a call that the host ended at this limit.
fn limit(which: &str, limit: u64) -> Outcome {
    Err(Failure::LimitExceeded { which: which.to_owned(), limit })
}

/// The answer of an action.
fn output(json: &str) -> Outcome {
    Ok(Answer::Output(json.to_owned()))
}

/// The texts that a guest tells of what it tried, one for each try.
fn told(report: &Report) -> Vec<String> {
    match &report.outcome {
        Ok(Answer::Output(json)) => serde_json::from_str(json).expect("the guest answers a list of texts"),
        other => panic!("the guest was to survive: {other:?}"),
    }
}

/// The rule of a policy's denial.
fn denial(report: &Report) -> &str {
    match &report.outcome {
        Err(Failure::PolicyDenied { rule, .. }) => rule,
        other => panic!("the policy was to deny: {other:?}"),
    }
}

/// The message of a crash.
fn crash(report: &Report) -> &str {
    match &report.outcome {
        Err(Failure::Crashed { message }) => message,
        other => panic!("the guest was to crash: {other:?}"),
    }
}

/// Whether a text could forge lines, drive a terminal, or read otherwise than it is.
fn hidden(text: &str) -> bool {
    text.contains(|c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}'))
}
