//! One call of a connector, as it is told: outcome, every access, log.

use model::{AccessRecord, Failure, Problem};
use sandbox::LogLine;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Reply;
use crate::exit::{Answer, Exit};
use crate::run::{access_lines, log_line};
use crate::show::{self, Paint, bytes, duration};

/// A call, as the API tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct CallReply {
    outcome: Outcome,
    accesses: Vec<AccessRecord>,
    log: Vec<LogLine>,
    duration_us: u64,
    memory_bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Outcome {
    Failed { failure: Box<Failure>, problem: Problem },
    Output { output: Value },
    Events { events: Vec<Value> },
    Account { account: String },
}

/// The call for people; denied calls have an exit code of their own.
pub(crate) fn answer(reply: Reply<CallReply>) -> Answer {
    let paint = Paint::stdout();
    let call = &reply.value;
    let (exit, mut lines) = match &call.outcome {
        Outcome::Failed { failure, problem } => (exit_of(failure), vec![show::problem(problem, paint)]),
        Outcome::Output { output } => (Exit::Done, vec![show::json(output)]),
        Outcome::Events { events } => (Exit::Done, events.iter().map(show::json).collect()),
        Outcome::Account { account } => (Exit::Done, vec![format!("The credential works: {account}")]),
    };
    lines.push(String::new());
    lines.extend(call.accesses.iter().flat_map(|access| access_lines(access, paint)));
    lines.extend(call.log.iter().map(|line| log_line(line, paint)));
    let took = duration(call.duration_us.div_ceil(1_000));
    lines.push(paint.dim(&format!("took {took}, {} of memory", bytes(call.memory_bytes))));
    Answer { exit, text: lines.join("\n"), json: reply.json }
}

fn exit_of(failure: &Failure) -> Exit {
    match failure {
        Failure::PolicyDenied { .. } => Exit::Denied,
        Failure::Unavailable { problem } if problem.code == "plugin-not-approved" => Exit::Denied,
        _ => Exit::Failed,
    }
}
