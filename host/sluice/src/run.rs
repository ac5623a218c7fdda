//! `sluice run`: what happened, and why.

mod page;
mod standing;

use api::wire::{NewCancel, NewReplay, Version};
use clap::Subcommand;
use engine::{ListedRun, Origin, RunStatus, RunView};
use model::{FlowId, RunId};
use serde::Deserialize;

use crate::cli::Global;
use crate::client::{Client, Reply};
use crate::exit::{Answer, Outcome};
use crate::flow::started;
use crate::show::{Paint, Table, duration, time};

pub(crate) use page::{access_lines, log_line, page};
pub(crate) use standing::standing;

/// Runs: list, look at, replay, cancel.
#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// List runs, newest first
    #[command(
        after_help = "Examples:\n  sluice run list\n  sluice run list --flow alert-on-bug --status failed --since 2h\n  sluice run list --since 2026-11-22T08:00:00Z --until 2026-11-22T09:00:00Z"
    )]
    List {
        /// Runs of this flow only, in --environment
        #[arg(long, value_name = "ID")]
        flow: Option<FlowId>,
        /// Runs of this status only
        #[arg(long, value_name = "STATUS", value_parser = ["received", "running", "waiting", "needs-reauthorisation", "succeeded", "failed", "ignored", "cancelled"])]
        status: Option<String>,
        /// Accepted at this time or later: 2026-11-22T08:00:00Z, or 2h for two hours ago
        #[arg(long, value_name = "TIME", value_parser = when)]
        since: Option<u64>,
        /// Accepted before this time
        #[arg(long, value_name = "TIME", value_parser = when)]
        until: Option<u64>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        /// Older than this run: for the next page
        #[arg(long, value_name = "RUN")]
        before: Option<RunId>,
    },
    /// Show a run: each step, each call, each decision; and if it failed, why
    #[command(after_help = "Example:\n  sluice run show 01932a6c3b7e7c0f9d2e5a1b4c8d7e6f")]
    Show {
        /// The run
        #[arg(value_name = "RUN")]
        id: RunId,
    },
    /// End a run: at once if it waits, else when the calls it has under way have answered
    #[command(after_help = "Example:\n  sluice run cancel RUN --reason 'sent by mistake'")]
    Cancel {
        /// The run
        #[arg(value_name = "RUN")]
        id: RunId,
        /// Why, for those who look at it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Run the event of an ended run once more, from the start
    #[command(
        after_help = "Examples:\n  sluice run replay RUN\n  sluice run replay RUN --newest --wait\n\nEffects get new idempotency keys: what took effect then may take effect again."
    )]
    Replay {
        /// The run
        #[arg(value_name = "RUN")]
        id: RunId,
        /// With the published version of the flow, not the run's own
        #[arg(long)]
        newest: bool,
        /// Make a call again that may have taken effect
        #[arg(long)]
        yes_repeat: bool,
        /// Wait for the new run's end and show it
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Deserialize)]
struct List {
    runs: Vec<ListedRun>,
    next: Option<RunId>,
}

pub(crate) async fn run(global: &Global, command: Run) -> Outcome {
    Client::with(global, async |client| match &command {
        Run::List { flow, status, since, until, limit, before } => {
            let mut path = list_path(global, flow.as_ref(), status.as_deref(), *limit, before.as_ref());
            path.extend(since.map(|at_ms| format!("&since_ms={at_ms}")));
            path.extend(until.map(|at_ms| format!("&until_ms={at_ms}")));
            client.get(&path).await.map(list)
        }
        Run::Show { id } => {
            let reply: Reply<RunView> = client.get(&format!("/api/v1/runs/{id}")).await?;
            Ok(Answer::done(reply.json, page(&reply.value, Paint::stdout())))
        }
        Run::Cancel { id, reason } => {
            let new = NewCancel { reason: reason.clone() };
            let reply: Reply<RunView> = client.post(&format!("/api/v1/runs/{id}/cancel"), &new).await?;
            let text = cancelled(&reply.value, client.is_remote());
            Ok(Answer::done(reply.json, text))
        }
        Run::Replay { id, newest, yes_repeat, wait } => {
            let version = if *newest { Version::Newest } else { Version::Original };
            let new = NewReplay { version, repeat: *yes_repeat, ..NewReplay::default() };
            let reply = client.post(&format!("/api/v1/runs/{id}/replay"), &new).await?;
            started(client, reply, *wait).await
        }
    })
    .await
}

/// What a person who ends a run may expect.
fn cancelled(run: &RunView, is_remote: bool) -> String {
    let id = &run.record.id;
    let when = match run.record.status {
        RunStatus::Cancelled => "is cancelled: it has ended".to_owned(),
        ended if ended.is_final() => format!("has ended: {}", ended.as_str()),
        _ if !is_remote => "is cancelled: no host is running, and it ends when one does (sluice serve)".to_owned(),
        // Nothing is under way that an answer could come from.
        RunStatus::Waiting | RunStatus::NeedsReauthorisation => "is cancelled: it ends at once".to_owned(),
        _ => "is cancelled: it ends as soon as its calls have answered".to_owned(),
    };
    format!("Run {id} {when}.\nLook at it: sluice run show {id}")
}

fn list_path(
    global: &Global,
    flow: Option<&FlowId>,
    status: Option<&str>,
    limit: u16,
    before: Option<&RunId>,
) -> String {
    let mut path = format!("/api/v1/runs?limit={limit}");
    if let Some(flow) = flow {
        path.push_str(&format!("&flow={flow}&environment={}", global.environment));
    }
    if let Some(status) = status {
        path.push_str(&format!("&status={status}"));
    }
    if let Some(before) = before {
        path.push_str(&format!("&before={before}"));
    }
    path
}

/// A point in time, or how long ago.
fn when(text: &str) -> Result<u64, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return u64::try_from(at.as_millisecond()).map_err(|_| "times before 1970 hold no runs".to_owned());
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("write a time such as 2026-11-22T08:00:00Z, or 30m, 2h, 7d ago".to_owned()),
    };
    let ago_ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    let ago_ms = ago_ms.ok_or_else(|| format!("{number:?} is no number of times {unit}"))?;
    Ok(engine::Clock::now_ms(&engine::SystemClock).saturating_sub(ago_ms))
}

fn list(reply: Reply<List>) -> Answer {
    let mut table =
        Table::new(&["RUN", "FLOW", "ENVIRONMENT", "STATUS", "ACCEPTED", "TOOK", "STARTED BY", "WAITS FOR"]);
    let List { runs, next } = reply.value;
    for ListedRun { record: run, waits_for } in runs {
        let took = run.finished_at_ms.map_or_else(String::new, |end| duration(end.saturating_sub(run.accepted_at_ms)));
        table.row([
            run.id.to_string(),
            run.flow.to_string(),
            run.environment.to_string(),
            run.status.as_str().to_owned(),
            time(run.accepted_at_ms),
            took,
            origin(&run.origin),
            waits_for.unwrap_or_default(),
        ]);
    }
    let mut text =
        table.print(Paint::stdout(), "There is no such run. Start one: sluice flow run ID --wait, or send a delivery");
    if let Some(next) = next {
        text.push_str(&format!("\nOlder ones: --before {next}"));
    }
    Answer::done(reply.json, text)
}

/// What started a run, in a few words.
fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Webhook { delivery_key, index: 0 } => format!("delivery {}", short_key(delivery_key)),
        Origin::Webhook { delivery_key, index } => format!("delivery {}, event {}", short_key(delivery_key), index + 1),
        Origin::Poll { item } => format!("poll, {}", crate::show::cut(item, 60)),
        Origin::Schedule { nominal_ms } => format!("schedule, {}", time(*nominal_ms)),
        Origin::Manual { by } => by.clone(),
        Origin::Flow { parent, step, iteration, .. } => format!("run {parent}, step {step}{iteration}"),
        Origin::Replay { of, by } => format!("{by}, replay of {of}"),
    }
}

/// Fingerprints are long and tell nobody anything.
fn short_key(key: &str) -> String {
    match key.split_once(':') {
        Some(("key", key)) => crate::show::cut(key, 60),
        Some(("body", fingerprint)) => fingerprint.chars().take(12).collect(),
        _ => crate::show::cut(key, 60),
    }
}

/// A status in its colour.
fn status(status: RunStatus, paint: Paint) -> String {
    match status {
        RunStatus::Succeeded => paint.good(status.as_str()),
        RunStatus::Failed | RunStatus::NeedsReauthorisation => paint.bad(status.as_str()),
        RunStatus::Received | RunStatus::Running | RunStatus::Waiting => paint.warn(status.as_str()),
        RunStatus::Ignored | RunStatus::Cancelled => paint.dim(status.as_str()),
    }
}
