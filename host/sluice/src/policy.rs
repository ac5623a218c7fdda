//! `sluice policy`: documents checked on the spot, decisions explained.

use std::path::{Path, PathBuf};

use ::policy::{Ceiling, Grant, beyond};
use api::wire::{Explained, Question};
use clap::{Args, Subcommand};
use model::{ConnectionId, OperationId, Problem};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Client, Reply};
use crate::exit::{Answer, Exit, Outcome, Stop};
use crate::input;
use crate::show::{Paint, hang};

/// Ceilings and grants: check, explain.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check ceilings and grants; needs no host
    #[command(
        after_help = "Examples:\n  sluice policy check grant.toml\n  sluice policy check ceiling.toml grants/*.toml\n\nWith a ceiling, the grants beside it are compared with it: exit code 1 when one goes beyond."
    )]
    Check {
        /// TOML: a grant names its plugin, a ceiling does not; `ceiling.toml` is a ceiling
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Say which rules allow or deny a request, party by party
    Explain(Explain),
}

/// A request that an operation might send.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sluice policy explain --plugin slack --operation post-message --connection team-slack \\\n    POST https://slack.com/api/chat.postMessage"
)]
pub(crate) struct Explain {
    /// The plugin: id, digest or its beginning
    #[arg(long, value_name = "PLUGIN")]
    plugin: String,
    /// The operation, or `check`
    #[arg(long, value_name = "OPERATION")]
    operation: OperationId,
    /// With which account
    #[arg(long, value_name = "ID")]
    connection: Option<ConnectionId>,
    /// The request's method
    #[arg(value_name = "METHOD")]
    method: String,
    /// The request's URL
    #[arg(value_name = "URL")]
    url: String,
}

pub(crate) async fn run(global: &Global, command: Policy) -> Outcome {
    match command {
        Policy::Check { files } => check(&files),
        Policy::Explain(explain) => {
            let question = Question {
                plugin: explain.plugin,
                operation: explain.operation,
                environment: global.environment.clone(),
                connection: explain.connection,
                method: explain.method.to_ascii_uppercase(),
                url: explain.url,
            };
            Client::with(global, async |client| client.post("/api/v1/policy/explain", &question).await.map(explained))
                .await
        }
    }
}

/// A document of one kind or the other, without a mistake.
enum Checked {
    Ceiling(Box<Ceiling>),
    Grant(Box<Grant>),
}

impl Checked {
    fn kind(&self) -> &'static str {
        match self {
            Self::Ceiling(_) => "ceiling",
            Self::Grant(_) => "grant",
        }
    }
}

fn check(files: &[PathBuf]) -> Outcome {
    let (mut checked, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match check_one(file) {
            Ok(document) => checked.push((file.display().to_string(), document)),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(Stop { exit: Exit::Failed, problems, done: None });
    }
    let mut lines: Vec<String> =
        checked.iter().map(|(file, document)| format!("{file}: the {} is right.", document.kind())).collect();
    let mut told: Vec<Value> =
        checked.iter().map(|(file, document)| json!({ "file": file, "kind": document.kind() })).collect();
    let mut exit = Exit::Done;
    for (at, (file, document)) in checked.iter().enumerate() {
        let Checked::Grant(grant) = document else { continue };
        let found = beyond_ceilings(&checked, grant);
        if !found.is_empty() {
            exit = Exit::Failed;
            lines.push(beyond_line(file, &found, Paint::stdout()));
            told[at]["beyond"] = json!(found);
        }
    }
    Ok(Answer { exit, json: json!({ "checked": told }), text: lines.join("\n") })
}

/// What a grant gives and the ceilings beside it do not allow.
fn beyond_ceilings(checked: &[(String, Checked)], grant: &Grant) -> Vec<Problem> {
    let ceilings = checked.iter().filter_map(|(_, document)| match document {
        Checked::Ceiling(ceiling) => Some(ceiling),
        Checked::Grant(_) => None,
    });
    ceilings.flat_map(|ceiling| beyond(ceiling, grant)).collect()
}

fn beyond_line(file: &str, found: &[Problem], paint: Paint) -> String {
    let warning = paint.warn("warning:");
    let mut text = format!("{warning} {file} goes beyond the ceiling; sluice plugin approve would refuse it:");
    for problem in found {
        text.push_str(&format!("\n  - {}", hang(&problem.to_string(), 2)));
    }
    text
}

fn check_one(file: &Path) -> Result<Checked, Vec<Problem>> {
    let text = input::read(file).map_err(|stop| stop.problems)?;
    let name = file.display().to_string();
    if is_grant(&text) && file.file_name().is_none_or(|name| name != "ceiling.toml") {
        Grant::parse(&text, &name).map(|grant| Checked::Grant(Box::new(grant)))
    } else {
        Ceiling::parse(&text, &name).map(|ceiling| Checked::Ceiling(Box::new(ceiling)))
    }
}

/// A document with a slip in it is still of its kind: any key that only grants have
/// makes it one, and so does a misspelt one near the start of a line.
fn is_grant(text: &str) -> bool {
    const OF_CEILINGS: [&str; 5] = ["allowed", "denied", "methods", "publishers", "folders ="];
    let has = |key: &str| text.lines().any(|line| line.trim_start().starts_with(key));
    let of_grants = ["plugin", "scopes", "[operations", "[folders", "teams", "review_by"].into_iter().any(has);
    of_grants || !(OF_CEILINGS.into_iter().any(has) || has_keys_of_both_alone(text))
}

/// Whether a document says only what both kinds can: a grant would name its plugin.
fn has_keys_of_both_alone(text: &str) -> bool {
    const OF_BOTH: [&str; 3] = ["version", "addresses", "limits"];
    let document = text.parse::<toml::Table>();
    document.is_ok_and(|table| table.len() > 1 && table.keys().all(|key| OF_BOTH.contains(&key.as_str())))
}

fn explained(reply: Reply<Explained>) -> Answer {
    let paint = Paint::stdout();
    let answer = &reply.value;
    let verdict = if answer.allowed { paint.good("allowed") } else { paint.bad("denied") };
    let mut lines = vec![format!("{verdict}  {}", answer.question)];
    for step in &answer.steps {
        let mark = if step.passes { paint.good("yes") } else { paint.bad("NO ") };
        lines.push(format!("  {mark}  {:<17} {}", step.party, hang(&step.rule, 25)));
    }
    if answer.allowed {
        let words = if answer.carries_credential { "goes along" } else { "stays behind" };
        lines.push(format!("  The connection's credential {words}."));
    }
    if let Some(problem) = &answer.problem {
        lines.push(format!("{}\n{problem}", paint.bold("Why not")));
    }
    let exit = if answer.allowed { Exit::Done } else { Exit::Denied };
    Answer { exit, text: lines.join("\n"), json: reply.json }
}

#[cfg(test)]
mod tests {
    use super::is_grant;

    #[test]
    fn grants_and_ceilings_are_told_apart() {
        for (text, wanted) in [
            ("version = 1\nplugin = \"slack\"\n", true),
            ("version = 1\nplugn = \"slack\"\n[operations.a]\n", true),
            ("version = 1\nallowed = []\n", false),
            ("version = 1\nfolders = [\"/srv\"]\nmethods = []\n[limits]\n", false),
            ("version = 1\n[limits]\nwall_ms = 1000\n", false),
            ("version = 1\nplugn = \"slack\"\n[limits]\nwall_ms = 1000\n", true),
            (include_str!("../../../policies/ceiling.toml"), false),
            (include_str!("../../../policies/files.toml"), true),
        ] {
            assert_eq!(is_grant(text), wanted, "{text}");
        }
    }
}
