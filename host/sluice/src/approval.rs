//! `sluice approval`: questions that runs put to people.

use api::wire::NewDecision;
use clap::Subcommand;
use engine::Decision;
use serde::Deserialize;

use crate::cli::Global;
use crate::client::{Client, Reply, part};
use crate::exit::{Answer, Outcome};
use crate::show::{Paint, Table, cut, hang, time};

/// A question longer than a line is read with `show`.
const TITLE_CHARS_MAX: usize = 60;

/// Approvals: list, look at, decide.
#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// List what waits for a person
    #[command(after_help = "Examples:\n  sluice approval list\n  sluice approval list --all --limit 100")]
    List {
        /// Those that are decided or closed too
        #[arg(long)]
        all: bool,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        /// Behind this one: for the next page
        #[arg(long, value_name = "APPROVAL")]
        after: Option<String>,
    },
    /// Show one: the question, who may decide, until when
    #[command(after_help = "Example:\n  sluice approval show 01932a6c3b7e7c0f9d2e5a1b4c8d7e6f:ask")]
    Show {
        /// The approval
        #[arg(value_name = "APPROVAL")]
        id: String,
    },
    /// Decide one; the run goes on
    #[command(
        after_help = "Example:\n  sluice approval decide 01932a6c3b7e7c0f9d2e5a1b4c8d7e6f:ask approve --comment 'checked with Ana'"
    )]
    Decide {
        /// The approval
        #[arg(value_name = "APPROVAL")]
        id: String,
        /// One of its outcomes
        #[arg(value_name = "OUTCOME")]
        outcome: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
}

#[derive(Deserialize)]
struct List {
    approvals: Vec<Decision>,
    next: Option<String>,
}

pub(crate) async fn run(global: &Global, command: Approval) -> Outcome {
    Client::with(global, async |client| match &command {
        Approval::List { all, limit, after } => {
            let after = after.as_ref().map(|after| format!("&after={}", part(after))).unwrap_or_default();
            client.get(&format!("/api/v1/approvals?all={all}&limit={limit}{after}")).await.map(list)
        }
        Approval::Show { id } => client.get(&format!("/api/v1/approvals/{}", part(id))).await.map(show),
        Approval::Decide { id, outcome, comment } => {
            let new = NewDecision { outcome: outcome.clone(), comment: comment.clone() };
            client.post(&format!("/api/v1/approvals/{}", part(id)), &new).await.map(show)
        }
    })
    .await
}

fn list(reply: Reply<List>) -> Answer {
    let mut table = Table::new(&["APPROVAL", "FLOW", "WHO", "QUESTION", "STATE", "UNTIL"]);
    let List { approvals, next } = reply.value;
    for approval in approvals {
        table.row([
            approval.id.clone(),
            approval.flow.to_string(),
            approval.role.clone(),
            cut(&approval.title, TITLE_CHARS_MAX),
            state(&approval),
            approval.due_at_ms.map(time).unwrap_or_default(),
        ]);
    }
    let mut text = table.print(Paint::stdout(), "Nothing waits for a person.");
    if let Some(next) = next {
        text.push_str(&format!("\nMore: --after {next}"));
    }
    Answer::done(reply.json, text)
}

fn show(reply: Reply<Decision>) -> Answer {
    let approval = &reply.value;
    let paint = Paint::stdout();
    let mut lines = vec![
        format!("{} {}  {}", paint.bold("Approval"), approval.id, state(approval)),
        format!("  question  {}", hang(&approval.title, 12)),
        format!("  who       {}", approval.role),
        format!("  answers   {}", approval.outcomes.join(", ")),
        format!("  asked     {} by flow {} in {}", time(approval.asked_at_ms), approval.flow, approval.environment),
    ];
    lines.extend(approval.message.as_ref().map(|message| format!("  message   {}", hang(message, 12))));
    lines.extend(approval.due_at_ms.map(|at_ms| format!("  until     {}", time(at_ms))));
    if let Some(decided) = &approval.decided {
        lines.push(format!("  decided   {} by {}, {}", decided.outcome, decided.by, time(decided.at_ms)));
        lines.extend(decided.comment.as_ref().map(|comment| format!("  comment   {}", hang(comment, 12))));
    } else if approval.closed_at_ms.is_none() {
        lines.push(format!("  next      sluice approval decide {} {}", approval.id, approval.outcomes.join("|")));
    }
    Answer::done(reply.json, lines.join("\n"))
}

fn state(approval: &Decision) -> String {
    match (&approval.decided, approval.closed_at_ms) {
        (Some(decided), _) => format!("{} by {}", decided.outcome, decided.by),
        (None, Some(_)) => "closed".to_owned(),
        (None, None) => "open".to_owned(),
    }
}
