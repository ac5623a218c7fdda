//! `sluice dead`: what gave up, and what becomes of it.

use api::wire::{DeadSelection, NewDiscard, NewReplay, RunAnswer, Version};
use clap::{Args, Subcommand};
use engine::{DeadLetter, Preview, SettledAs, Settlement};
use model::{Failure, FlowId, RunId, StepId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Client, Reply, part};
use crate::exit::{Answer, Exit, Outcome, Stop};
use crate::flow::started;
use crate::input;
use crate::show::{self, Paint, Table, short, time};

/// Dead letters: list, show, edit, replay, discard.
#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List dead letters, newest first
    #[command(
        after_help = "Examples:\n  sluice dead list\n  sluice dead list --flow alert-on-bug --code remote\n  sluice dead list --settled"
    )]
    List {
        #[command(flatten)]
        only: Only,
        /// Those that were replayed or discarded too
        #[arg(long)]
        settled: bool,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        /// Older than this run: for the next page
        #[arg(long, value_name = "RUN")]
        before: Option<RunId>,
    },
    /// Show a dead letter: what happened, the likely cause, the fix
    #[command(after_help = "Example:\n  sluice dead show 01932a6c3b7e7c0f9d2e5a1b4c8d7e6f")]
    Show {
        /// The run that gave up
        #[arg(value_name = "RUN")]
        id: RunId,
    },
    /// Run the event once more, from the start or from a step
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Box<Again>),
    /// Run once more with another event, or with another input of a step
    #[command(
        after_help = "Examples:\n  sluice run show RUN --json | jq .trigger > event.json\n  sluice dead edit RUN --event @event.json\n  sluice dead edit RUN --from post --input '{\"channel\":\"#ops\",\"text\":\"hi\"}'\n\nBoth are checked against their schemas first."
    )]
    Edit {
        /// The run that gave up
        #[arg(value_name = "RUN")]
        id: RunId,
        /// The event: JSON, or @FILE
        #[arg(long, value_name = "JSON|@FILE", required_unless_present = "input", conflicts_with = "input")]
        event: Option<String>,
        /// The step that begins, with --input
        #[arg(long, value_name = "STEP", requires = "input")]
        from: Option<StepId>,
        /// The step's input: JSON, or @FILE
        #[arg(long, value_name = "JSON|@FILE", requires = "from")]
        input: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Say that a call which may have happened did; the run goes on behind it
    #[command(
        after_help = "Examples:\n  sluice dead happened RUN --note 'the order is in the shop'\n  sluice dead happened RUN --output '{\"id\":42}'"
    )]
    Happened {
        /// The run that gave up
        #[arg(value_name = "RUN")]
        id: RunId,
        /// What the call returned, for the steps behind it: JSON, or @FILE
        #[arg(long, value_name = "JSON|@FILE", default_value = "null", hide_default_value = true)]
        output: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Put a letter aside, or many: nothing runs again
    #[command(
        after_help = "Examples:\n  sluice dead discard RUN --note 'a test'\n  sluice dead discard --all --flow alert-on-bug --dry-run"
    )]
    Discard {
        /// The run that gave up
        #[arg(value_name = "RUN", required_unless_present = "all", conflicts_with = "all")]
        id: Option<RunId>,
        /// Every letter that --flow and --code leave
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        only: Only,
        /// Why
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Only say which
        #[arg(long)]
        dry_run: bool,
    },
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  sluice dead replay RUN
  sluice dead replay RUN --from post --newest
  sluice dead replay RUN --dry-run                       the calls it would make, without making them
  sluice dead replay --all --flow alert-on-bug           many; interrupted, the same command goes on

Effects get new idempotency keys: what took effect then may take effect again.";

/// Which letters.
#[derive(Debug, Args)]
pub(crate) struct Only {
    /// Of this flow, in --environment
    #[arg(long, value_name = "ID")]
    flow: Option<FlowId>,
    /// With this problem: remote, may-have-happened, ...
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

/// How a run is replayed.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// With the published version of the flow, not the run's own
    #[arg(long)]
    newest: bool,
    /// Make a call again that may have taken effect
    #[arg(long)]
    yes_repeat: bool,
    /// Show the calls it would make, without making them
    #[arg(long)]
    dry_run: bool,
    /// Wait for the new run's end and show it
    #[arg(long)]
    wait: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// A replay.
#[derive(Debug, Args)]
pub(crate) struct Again {
    /// The run that gave up
    #[arg(value_name = "RUN", required_unless_present = "all", conflicts_with = "all")]
    id: Option<RunId>,
    /// Every letter that --flow and --code leave
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    only: Only,
    /// The step that begins; what the steps before it left behind is kept
    #[arg(long, value_name = "STEP", conflicts_with = "all")]
    from: Option<StepId>,
    #[command(flatten)]
    how: How,
}

#[derive(Deserialize)]
struct List {
    dead_letters: Vec<DeadLetter>,
    next: Option<RunId>,
}

pub(crate) async fn run(global: &Global, command: Dead) -> Outcome {
    let values = match &command {
        Dead::Edit { event, input: given, .. } => {
            (json_of("--event", event.as_ref())?, json_of("--input", given.as_ref())?)
        }
        Dead::Happened { output, .. } => (Some(input::json("--output", output)?), None),
        Dead::List { .. } | Dead::Show { .. } | Dead::Replay(_) | Dead::Discard { .. } => (None, None),
    };
    Client::with(global, async |client| match &command {
        Dead::List { only, settled, limit, before } => {
            let path = list_path(global, only, *settled, *limit, before.as_ref());
            client.get(&path).await.map(|reply| list(reply, none(only, before.as_ref())))
        }
        Dead::Show { id } => client.get(&format!("/api/v1/dead-letters/{id}")).await.map(letter),
        Dead::Replay(again) => replay(client, global, again).await,
        Dead::Edit { id, from, how, .. } => {
            let (event, input) = values;
            one(client, id, how, NewReplay { from: from.clone(), event, input, ..to_replay(how) }).await
        }
        Dead::Happened { id, note, .. } => {
            let new = NewReplay { happened: values.0, note: note.clone(), ..NewReplay::default() };
            let reply: Reply<RunAnswer> = client.post(&format!("/api/v1/runs/{id}/replay"), &new).await?;
            started(client, reply, false).await
        }
        Dead::Discard { id: Some(id), note, .. } => {
            let new = NewDiscard { note: note.clone() };
            client.post(&format!("/api/v1/dead-letters/{id}/discard"), &new).await.map(letter)
        }
        Dead::Discard { id: None, only, dry_run: true, .. } => would_settle(client, global, only).await,
        Dead::Discard { id: None, only, note, dry_run: false, .. } => {
            let selection = DeadSelection { note: note.clone(), ..selection(global, only) };
            many(client, "/api/v1/dead-letters/discard", &selection).await
        }
    })
    .await
}

fn json_of(name: &str, text: Option<&String>) -> Result<Option<Value>, Stop> {
    text.map(|text| input::json(name, text)).transpose()
}

fn list_path(global: &Global, only: &Only, settled: bool, limit: u16, before: Option<&RunId>) -> String {
    let mut path = format!("/api/v1/dead-letters?environment={}&limit={limit}&settled={settled}", global.environment);
    if let Some(flow) = &only.flow {
        path.push_str(&format!("&flow={flow}"));
    }
    if let Some(code) = &only.code {
        path.push_str(&format!("&code={}", part(code)));
    }
    if let Some(before) = before {
        path.push_str(&format!("&before={before}"));
    }
    path
}

fn selection(global: &Global, only: &Only) -> DeadSelection {
    DeadSelection {
        environment: Some(global.environment.clone()),
        flow: only.flow.clone(),
        code: only.code.clone(),
        ..DeadSelection::default()
    }
}

fn to_replay(how: &How) -> NewReplay {
    let version = if how.newest { Version::Newest } else { Version::Original };
    NewReplay { version, repeat: how.yes_repeat, dry: how.dry_run, note: how.note.clone(), ..NewReplay::default() }
}

async fn replay(client: &Client, global: &Global, again: &Again) -> Outcome {
    let Again { id, only, from, how, .. } = again;
    match id {
        Some(id) => one(client, id, how, NewReplay { from: from.clone(), ..to_replay(how) }).await,
        None if how.dry_run => would_settle(client, global, only).await,
        None => {
            let NewReplay { version, repeat, .. } = to_replay(how);
            let selection = DeadSelection { version, repeat, ..selection(global, only) };
            many(client, "/api/v1/dead-letters/replay", &selection).await
        }
    }
}

async fn one(client: &Client, id: &RunId, how: &How, new: NewReplay) -> Outcome {
    let path = format!("/api/v1/runs/{id}/replay");
    if how.dry_run {
        return client.post(&path, &new).await.map(preview);
    }
    let reply: Reply<RunAnswer> = client.post(&path, &new).await?;
    started(client, reply, how.wait).await
}

/// Page after page until there is no more; a page that fails ends it, and the same
/// command goes on later.
async fn many(client: &Client, path: &str, selection: &DeadSelection) -> Outcome {
    let mut all = Settlement::default();
    loop {
        let reply: Reply<Settlement> = client.post(path, selection).await?;
        all.settled.extend(reply.value.settled);
        all.refused = reply.value.refused;
        if !reply.value.more {
            break;
        }
    }
    let mut lines = vec![format!("{} settled, {} left as they are.", all.settled.len(), all.refused.len())];
    lines.extend(all.refused.iter().map(|refused| format!("  {}  {}", refused.run, refused.problem)));
    let exit = if all.refused.is_empty() { Exit::Done } else { Exit::Failed };
    Ok(Answer { exit, json: json!(all), text: lines.join("\n") })
}

/// What many would be done to: the newest page of them.
async fn would_settle(client: &Client, global: &Global, only: &Only) -> Outcome {
    client.get(&list_path(global, only, false, 500, None)).await.map(|reply| list(reply, none(only, None)))
}

/// What to say when there is no letter. A filter that leaves none says nothing of others.
fn none(only: &Only, before: Option<&RunId>) -> &'static str {
    match (&only.flow, &only.code, before) {
        (None, None, None) => "There is no dead letter: nothing gave up.",
        (None, None, Some(_)) => "There is no older dead letter.",
        _ => "No dead letter matches. See all of them: sluice dead list",
    }
}

fn list(reply: Reply<List>, empty: &str) -> Answer {
    let mut table = Table::new(&["RUN", "FLOW", "GAVE UP", "STEP", "STATE", "WHY"]);
    let List { dead_letters, next } = reply.value;
    for letter in dead_letters {
        table.row([
            letter.run.to_string(),
            letter.flow.to_string(),
            time(letter.at_ms),
            letter.step.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            state(&letter).to_owned(),
            show::cut(&letter.problem.what, 100),
        ]);
    }
    let mut text = table.print(Paint::stdout(), empty);
    if let Some(next) = next {
        text.push_str(&format!("\nOlder ones: --before {next}"));
    }
    Answer::done(reply.json, text)
}

fn state(letter: &DeadLetter) -> &'static str {
    match letter.settled.as_ref().map(|settled| settled.how) {
        None if letter.replayed_as.is_some() => "replayed",
        None => "open",
        Some(SettledAs::Replayed) => "replayed",
        Some(SettledAs::Discarded) => "discarded",
        Some(SettledAs::Happened) => "happened",
    }
}

fn letter(reply: Reply<DeadLetter>) -> Answer {
    let (letter, paint) = (&reply.value, Paint::stdout());
    let mut lines = vec![
        format!("{} {}  {}", paint.bold("Dead letter of run"), letter.run, state(letter)),
        format!("  flow       {} in {}", letter.flow, letter.environment),
        format!("  gave up    {}", time(letter.at_ms)),
    ];
    lines.extend(letter.step.as_ref().map(|step| format!("  step       {step}")));
    lines.push(format!("  what       {}", letter.problem.what));
    lines.extend(letter.problem.cause.as_ref().map(|cause| format!("  cause      {cause}")));
    lines.extend(letter.problem.fix.as_ref().map(|fix| format!("  fix        {}", show::hang(fix, 13))));
    lines.extend(letter.replayed_as.as_ref().map(|again| format!("  replayed   as {again}")));
    if let Some(settled) = &letter.settled {
        let note = settled.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        lines.push(format!("  settled    {} by {}{note}", time(settled.at_ms), settled.by));
    } else if let Some(ways) = after_looking(letter) {
        lines.push(format!("  next       {}", show::hang(&ways.join("\n"), 13)));
    } else {
        lines.push(format!(
            "  next       sluice dead replay {0}, sluice dead edit {0}, or sluice dead discard {0}",
            letter.run
        ));
    }
    Answer::done(reply.json, lines.join("\n"))
}

/// What a person says or does who has looked whether a call happened that may have.
pub(crate) fn after_looking(letter: &DeadLetter) -> Option<Vec<String>> {
    if !matches!(letter.failure, Failure::MayHaveHappened { .. }) {
        return None;
    }
    let run = &letter.run;
    let mut ways = Vec::new();
    // A run goes on behind a step only outside of loops.
    if letter.step.is_some() && letter.iteration.is_empty() {
        ways.push(format!("if the remote did it, say so: sluice dead happened {run} --output JSON"));
        ways.push("  (what it returned, if later steps need it; else without --output)".to_owned());
    }
    ways.push(format!("if it did not: sluice dead replay {run} --yes-repeat"));
    ways.push(format!("  (with other values: sluice dead edit {run}, with --yes-repeat too)"));
    ways.push(format!("or leave it at that: sluice dead discard {run}"));
    Some(ways)
}

fn preview(reply: Reply<Preview>) -> Answer {
    let (preview, paint) = (&reply.value, Paint::stdout());
    let mut lines = vec![format!("With version {} these calls would be made:", preview.version)];
    for (number, call) in (1..).zip(&preview.calls) {
        let before = if call.succeeded_before {
            paint.warn("  it succeeded before, and would be repeated")
        } else {
            String::new()
        };
        lines.push(format!("{number}. {}  {}{before}", paint.bold(call.step.as_str()), call.uses));
        lines.push(format!("   input  {}", short(&call.input, 400)));
    }
    lines.push(format!("Then {}.", preview.end));
    Answer::done(reply.json, lines.join("\n"))
}
