//! `sluice flow`, the life of a flow: save, publish, pause, resume, roll back, retire.

use std::path::PathBuf;

use api::wire::{FlowDiff, NewFlow, NewRollback};
use clap::Subcommand;
use engine::{FlowView, VersionView};
use model::FlowId;
use serde::Deserialize;

use super::{document, trigger};
use crate::cli::Global;
use crate::client::{Client, Reply, part};
use crate::exit::{Answer, Outcome, Stop};
use crate::show::{Paint, Table, hang, time};

/// What becomes of a flow.
#[derive(Debug, Subcommand)]
pub(crate) enum Life {
    /// Check a flow and keep it as a draft, which runs nothing
    #[command(after_help = "Example:\n  sluice flow save alert.yaml\n  sluice flow publish alert-on-bug")]
    Save {
        /// YAML or JSON
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Publish a flow's draft: new events take it, open runs keep their version
    #[command(after_help = "Example:\n  sluice flow publish alert-on-bug --environment test")]
    Publish {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
    },
    /// Keep a flow's events without running them
    #[command(
        after_help = "Example:\n  sluice flow pause alert-on-bug\n\nDeliveries are still accepted. Runs under way stop before their next call."
    )]
    Pause {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
    },
    /// Run a paused flow again, the events that waited first
    #[command(after_help = "Example:\n  sluice flow resume alert-on-bug")]
    Resume {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
    },
    /// Make an earlier version the published one, on the connectors it had
    #[command(
        after_help = "Examples:\n  sluice flow rollback alert-on-bug\n  sluice flow rollback alert-on-bug --to 3"
    )]
    Rollback {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
        /// The version; the one before when left out
        #[arg(long, value_name = "VERSION")]
        to: Option<u32>,
    },
    /// End a flow: no new events; open runs go on to their end
    #[command(
        after_help = "Example:\n  sluice flow retire alert-on-bug\n\nTo end its open runs too: sluice run cancel --flow alert-on-bug"
    )]
    Retire {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
    },
    /// List a flow's versions, newest first
    #[command(after_help = "Example:\n  sluice flow versions alert-on-bug")]
    Versions {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
    },
    /// Show what changed between two versions
    #[command(
        after_help = "Examples:\n  sluice flow diff alert-on-bug\n  sluice flow diff alert-on-bug --from 2 --to 4"
    )]
    Diff {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
        /// A version, `published` or `draft`
        #[arg(long, value_name = "VERSION", default_value = "published")]
        from: String,
        /// A version, `published` or `draft`
        #[arg(long, value_name = "VERSION", default_value = "draft")]
        to: String,
    },
}

#[derive(Deserialize)]
struct Versions {
    versions: Vec<VersionView>,
}

impl Life {
    /// The document that is to be saved, read before a host is asked.
    pub(super) fn draft(&self, global: &Global) -> Result<Option<NewFlow>, Stop> {
        match self {
            Self::Save { file } => document(global, file).map(Some),
            Self::Publish { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Rollback { .. }
            | Self::Retire { .. }
            | Self::Versions { .. }
            | Self::Diff { .. } => Ok(None),
        }
    }
}

pub(super) async fn run(client: &Client, global: &Global, command: &Life, draft: Option<&NewFlow>) -> Outcome {
    let path = |id: &FlowId, what: &str| format!("/api/v1/flows/{}/{id}/{what}", global.environment);
    match command {
        Life::Save { .. } => client.post("/api/v1/flows/drafts", &draft).await.map(saved),
        Life::Publish { id } => client.post(&path(id, "publish"), &()).await.map(published),
        Life::Pause { id } => client.post(&path(id, "pause"), &()).await.map(paused),
        Life::Resume { id } => client.post(&path(id, "resume"), &()).await.map(resumed),
        Life::Retire { id } => client.post(&path(id, "retire"), &()).await.map(retired),
        Life::Rollback { id, to } => {
            client.post(&path(id, "rollback"), &NewRollback { version: *to }).await.map(published)
        }
        Life::Versions { id } => client.get(&path(id, "versions")).await.map(versions),
        Life::Diff { id, from, to } => {
            let query = format!("diff?from={}&to={}", part(from), part(to));
            client.get(&path(id, &query)).await.map(diff)
        }
    }
}

fn saved(reply: Reply<FlowView>) -> Answer {
    let view = &reply.value;
    let text = format!(
        "The draft of {} is saved in {}; it runs nothing.\nSee what changes: sluice flow diff {}\nPublish it: sluice flow publish {}",
        view.id, view.environment, view.id, view.id
    );
    Answer::done(reply.json, text)
}

fn published(reply: Reply<FlowView>) -> Answer {
    let view = &reply.value;
    let mut lines = vec![format!("{} is version {} in {} now.", view.id, view.version, view.environment)];
    lines.push(trigger::next_step(&view.trigger, view.id.as_str(), view.environment.as_str()));
    lines.extend(standing(view, Paint::stdout()));
    Answer::done(reply.json, lines.join("\n"))
}

fn paused(reply: Reply<FlowView>) -> Answer {
    let view = &reply.value;
    let text = format!(
        "{} is paused in {}: its events are kept and not run.\nGo on: sluice flow resume {}",
        view.id, view.environment, view.id
    );
    Answer::done(reply.json, text)
}

fn resumed(reply: Reply<FlowView>) -> Answer {
    let view = &reply.value;
    let text = format!("{} runs again in {}, the events that waited first.", view.id, view.environment);
    Answer::done(reply.json, text)
}

fn retired(reply: Reply<FlowView>) -> Answer {
    let view = &reply.value;
    let text = format!(
        "{} is retired in {}: it takes no events. Its open runs go on: sluice run list --flow {}",
        view.id, view.environment, view.id
    );
    Answer::done(reply.json, text)
}

/// Why a flow's events wait, or that it takes none; nothing while it runs.
pub(super) fn standing(view: &FlowView, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(retired) = &view.retired {
        lines.push(format!("  {}    {} by {}", paint.warn("retired"), time(retired.at_ms), retired.by));
    }
    if let Some(paused) = &view.paused {
        lines.push(format!("  {}     {} by {}; its events wait", paint.warn("paused"), time(paused.at_ms), paused.by));
        lines.extend(paused.cause.as_ref().map(|cause| format!("  cause      {}", cause.what)));
        let fix = paused.cause.as_ref().and_then(|cause| cause.fix.clone());
        let fix = fix.unwrap_or_else(|| format!("sluice flow resume {}", view.id));
        lines.push(format!("  fix        {fix}"));
    }
    lines
}

/// For how long a paused flow keeps a run.
pub(super) fn until_resumed(view: &FlowView) -> String {
    let (id, environment) = (&view.id, &view.environment);
    match view.paused.as_ref().and_then(|paused| paused.cause.as_ref()) {
        None => {
            format!("Flow {id} is paused: the run waits until sluice flow resume {id} --environment {environment}.")
        }
        Some(cause) => {
            let fix = cause.fix.as_ref().map(|fix| format!("\n  fix: {}", hang(fix, 7))).unwrap_or_default();
            format!("Flow {id} is paused: the run waits until this is mended: {}{fix}", cause.what)
        }
    }
}

fn versions(reply: Reply<Versions>) -> Answer {
    let mut table = Table::new(&["VERSION", "PUBLISHED", "BY", "STATE", "RUNS ON"]);
    for version in reply.value.versions {
        let plugins: Vec<String> =
            version.locked.iter().map(|(plugin, digest)| format!("{plugin} {}", digest.to_short())).collect();
        table.row([
            version.version.to_string(),
            time(version.applied_at_ms),
            version.applied_by,
            if version.published { "published".to_owned() } else { String::new() },
            plugins.join(", "),
        ]);
    }
    Answer::done(reply.json, table.print(Paint::stdout(), "The flow has no version yet: sluice flow publish ID"))
}

fn diff(reply: Reply<FlowDiff>) -> Answer {
    let paint = Paint::stdout();
    let colour = |line: &str| match line.as_bytes().first() {
        Some(b'-') => paint.bad(line),
        Some(b'+') => paint.good(line),
        Some(_) | None => line.to_owned(),
    };
    let lines: Vec<String> = reply.value.diff.lines().map(colour).collect();
    let text = if lines.is_empty() { "They are alike.".to_owned() } else { lines.join("\n") };
    Answer::done(reply.json, text)
}
