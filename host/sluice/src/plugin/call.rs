//! One call of a connector, as it is told: outcome, every access, log.

use model::{AccessRecord, Failure, Problem};
use sandbox::LogLine;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Reply;
use crate::exit::{Answer, Exit};
use crate::run::{access_lines, log_line};
use crate::show::{self, Paint, Table, bytes, duration};

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
    Page { items: Vec<Value>, cursor: String, more: bool },
    Choices { choices: Vec<Choice>, next: Option<String> },
    Fields { fields: Value },
    Config { config: Value },
}

#[derive(Debug, Deserialize)]
struct Choice {
    value: String,
    label: String,
    help: Option<String>,
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
        Outcome::Page { items, cursor, more } => (Exit::Done, page_lines(items, cursor, *more, paint)),
        Outcome::Choices { choices, next } => (Exit::Done, choice_lines(choices, next.as_deref(), paint)),
        Outcome::Fields { fields } => (Exit::Done, vec![show::json(fields)]),
        Outcome::Config { config } => (Exit::Done, vec![show::json(config)]),
    };
    lines.push(String::new());
    lines.extend(call.accesses.iter().flat_map(|access| access_lines(access, paint)));
    lines.extend(call.log.iter().map(|line| log_line(line, paint)));
    let took = duration(call.duration_us.div_ceil(1_000));
    lines.push(paint.dim(&format!("took {took}, {} of memory", bytes(call.memory_bytes))));
    Answer { exit, text: lines.join("\n"), json: reply.json }
}

fn page_lines(items: &[Value], cursor: &str, more: bool, paint: Paint) -> Vec<String> {
    let mut lines: Vec<String> = items.iter().map(show::json).collect();
    let count = if items.is_empty() { "nothing".to_owned() } else { format!("{} events", items.len()) };
    lines.push(format!("found {count}{}", if more { "; there is more" } else { "" }));
    lines.push(paint.dim(&format!("cursor {cursor}")));
    lines
}

fn choice_lines(choices: &[Choice], next: Option<&str>, paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["VALUE", "LABEL", "HELP"]);
    for choice in choices {
        table.row([choice.value.clone(), choice.label.clone(), choice.help.clone().unwrap_or_default()]);
    }
    let more = next.map(|next| paint.dim(&format!("there is more: --page {next}")));
    std::iter::once(table.print(paint, "It offers nothing that fits.")).chain(more).collect()
}

fn exit_of(failure: &Failure) -> Exit {
    match failure {
        Failure::PolicyDenied { .. } => Exit::Denied,
        Failure::Unavailable { problem } if problem.code == "plugin-not-approved" => Exit::Denied,
        _ => Exit::Failed,
    }
}
