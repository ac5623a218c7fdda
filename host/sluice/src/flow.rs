//! `sluice flow`: flow documents and what they became.

mod form;
mod life;
mod rotate;
mod test;
mod trigger;

use std::path::{Path, PathBuf};

use api::wire::{AppliedFlow, CheckedFlow, DocumentFormat, FlowPage, NewFlow, NewRun, NewSignal, RunAnswer, Signalled};
use clap::Subcommand;
use engine::{FlowView, RunStatus, TriggerView};
use model::{FlowId, Problem};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::Global;
use crate::client::{Client, Reply, part};
use crate::exit::{Answer, Exit, Outcome, Stop};
use crate::several::Several;
use crate::show::{Paint, Table, time, warning};
use crate::{input, run as runs};

/// Flows: check, apply, start.
#[derive(Debug, Subcommand)]
pub(crate) enum Flow {
    /// Check a flow against what is approved, and change nothing
    #[command(after_help = "Example:\n  sluice flow check alert.yaml --environment test")]
    Check {
        /// YAML or JSON
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Run the tests inside a flow's document; nothing leaves the host
    Test(test::Test),
    /// Publish flows: new events take this version, open runs keep theirs
    #[command(
        after_help = "Examples:\n  sluice flow apply alert.yaml\n  sluice flow apply flows/*.yaml --environment test"
    )]
    Apply {
        /// YAML or JSON
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Save, publish, pause, resume, roll back, retire
    #[command(flatten)]
    Life(life::Life),
    /// List flows, drafts included
    List,
    /// Show a flow: version, connectors, how its runs are, who must act; and its document
    #[command(after_help = "Example:\n  sluice flow show alert-on-bug")]
    Show {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
    },
    /// Tell the runs that wait for an event that it has happened
    #[command(
        after_help = "Examples:\n  sluice flow signal invoice.paid --key 4711\n  sluice flow signal invoice.paid --key 4711 --payload '{\"amount\":12}'\n\nIt reaches runs that wait already, in --environment; it is not kept for later ones."
    )]
    Signal {
        /// The event's name
        #[arg(value_name = "EVENT")]
        name: String,
        /// Which of these events
        #[arg(long, value_name = "KEY")]
        key: String,
        /// What comes with it: JSON, or @FILE
        #[arg(long, value_name = "JSON|@FILE", default_value = "null", hide_default_value = true)]
        payload: String,
    },
    /// Start a flow that has a manual trigger
    #[command(
        after_help = "Examples:\n  sluice flow run greet --field name=Ada --wait\n  sluice flow run greet --input '{\"name\":\"Ada\"}'\n  sluice flow run greet --input @event.json\n\nOn a terminal, needed fields that are missing are asked for; else they get their defaults."
    )]
    Run {
        /// The flow
        #[arg(value_name = "ID")]
        id: FlowId,
        /// The event: JSON, or @FILE
        #[arg(long, value_name = "JSON|@FILE", default_value = "null", hide_default_value = true)]
        input: String,
        /// A field of the event, typed by the flow's form; again for more
        #[arg(long = "field", value_name = "NAME=VALUE")]
        fields: Vec<String>,
        /// Wait for the run's end and show it
        #[arg(long)]
        wait: bool,
    },
    /// Change the address or the secret of a flow's webhook
    RotateHook(rotate::Rotate),
}

#[derive(Deserialize)]
struct List {
    flows: Vec<FlowView>,
}

pub(crate) async fn run(global: &Global, command: Flow) -> Outcome {
    // What can be wrong here is found before a host is asked.
    let documents: Vec<NewFlow> = match &command {
        Flow::Check { file } => vec![document(global, file)?],
        Flow::Apply { files } => files.iter().map(|file| document(global, file)).collect::<Result<_, _>>()?,
        Flow::Life(_)
        | Flow::Test(_)
        | Flow::List
        | Flow::Show { .. }
        | Flow::Run { .. }
        | Flow::Signal { .. }
        | Flow::RotateHook(_) => Vec::new(),
    };
    let test = match &command {
        Flow::Test(test) => Some(test::request(global, test)?),
        _ => None,
    };
    let rotation = match &command {
        Flow::RotateHook(rotate) => Some(rotate::request(rotate)?),
        Flow::Life(_)
        | Flow::Check { .. }
        | Flow::Test(_)
        | Flow::Apply { .. }
        | Flow::List
        | Flow::Show { .. }
        | Flow::Run { .. }
        | Flow::Signal { .. } => None,
    };
    let draft = match &command {
        Flow::Life(life) => life.draft(global)?,
        Flow::Check { .. }
        | Flow::Test(_)
        | Flow::Apply { .. }
        | Flow::List
        | Flow::Show { .. }
        | Flow::Run { .. }
        | Flow::Signal { .. }
        | Flow::RotateHook(_) => None,
    };
    let event = match &command {
        Flow::Run { input, .. } => input::json("--input", input)?,
        Flow::Signal { payload, .. } => input::json("--payload", payload)?,
        _ => Value::Null,
    };
    Client::with(global, async |client| match &command {
        Flow::Check { file } => {
            client.post("/api/v1/flows/check", &documents[0]).await.map(|reply| checked(reply, file))
        }
        Flow::Test(_) => client.post("/api/v1/flows/test", &test).await.map(test::told),
        Flow::Apply { .. } => apply(client, &documents).await,
        Flow::Life(life) => life::run(client, global, life, draft.as_ref()).await,
        Flow::List => client.get("/api/v1/flows").await.map(list),
        Flow::Show { id } => client.get(&format!("/api/v1/flows/{}/{id}", global.environment)).await.map(show),
        Flow::Signal { name, key, .. } => {
            let path = format!("/api/v1/events/{}/{}", global.environment, part(name));
            client.post(&path, &NewSignal { key: key.clone(), payload: event }).await.map(signalled)
        }
        Flow::Run { id, wait, fields, .. } => {
            let path = format!("/api/v1/flows/{}/{id}", global.environment);
            let flow: FlowView = client.get(&path).await?.value;
            let event = fill_in(global, &flow, event, fields)?;
            let reply = client.post(&format!("{path}/runs"), &NewRun { input: event }).await?;
            match &flow.paused {
                Some(_) => kept(client, &flow, reply, *wait).await,
                None => started(client, reply, *wait).await,
            }
        }
        Flow::RotateHook(rotate) => {
            let rotation = rotation.as_ref().expect("it was read for this command above");
            rotate::rotate(client, global, rotate, rotation).await
        }
    })
    .await
}

fn signalled(reply: Reply<Signalled>) -> Answer {
    let runs = &reply.value.runs;
    let text = if runs.is_empty() {
        "No run waits for this event with this key; it is not kept for later ones.".to_owned()
    } else {
        let names: String = runs.iter().map(|run| format!("\n  {run}")).collect();
        format!("It reached {} runs:{names}", runs.len())
    };
    Answer::done(reply.json, text)
}

/// What a file's name says of how it is written.
fn format(file: &Path) -> Option<DocumentFormat> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Some(DocumentFormat::Json),
        Some("yaml" | "yml") => Some(DocumentFormat::Yaml),
        _ => None,
    }
}

fn document(global: &Global, file: &Path) -> Result<NewFlow, Stop> {
    Ok(NewFlow {
        document: input::read(file)?,
        format: format(file),
        file: Some(file.display().to_string()),
        environment: global.environment.clone(),
    })
}

fn checked(reply: Reply<CheckedFlow>, file: &Path) -> Answer {
    let flow = &reply.value;
    let mut text = format!("{}: {} ({}) is right, {} steps.", file.display(), flow.name, flow.id, flow.steps);
    if !flow.next.is_empty() {
        text.push_str(&format!("\nIt would start at {}.", trigger::listed(&flow.next)));
    }
    text.push_str(&warned(&flow.warnings));
    Answer::done(reply.json, text)
}

/// One after the other; one that is wrong keeps none of the others back.
async fn apply(client: &Client, documents: &[NewFlow]) -> Outcome {
    let mut all = Several::of("flows");
    for document in documents {
        let outcome = client.post("/api/v1/flows", document).await.map(applied);
        if !all.take(document.file.as_deref().unwrap_or_default(), outcome) {
            break;
        }
    }
    all.told()
}

fn applied(reply: Reply<AppliedFlow>) -> Answer {
    let AppliedFlow { flow: view, warnings } = &reply.value;
    let mut text =
        format!("{} ({}) is published as version {} in {}.\n", view.name, view.id, view.version, view.environment);
    text.push_str(&trigger::next_step(&view.trigger, view.id.as_str(), view.environment.as_str()));
    text.extend(life::standing(view, Paint::stdout()).iter().map(|line| format!("\n{line}")));
    text.push_str(&warned(warnings));
    Answer::done(reply.json, text)
}

/// Each on lines of its own.
fn warned(warnings: &[Problem]) -> String {
    warnings.iter().map(|problem| format!("\n{}", warning(problem, Paint::stdout()))).collect()
}

fn list(reply: Reply<List>) -> Answer {
    let mut table = Table::new(&["ID", "ENVIRONMENT", "STATE", "VERSION", "APPLIED", "STARTED BY", "NAME"]);
    for flow in reply.value.flows {
        table.row([
            flow.id.to_string(),
            flow.environment.to_string(),
            flow.state.as_str().to_owned(),
            flow.version.to_string(),
            time(flow.applied_at_ms),
            trigger::word(&flow.trigger),
            flow.name,
        ]);
    }
    Answer::done(reply.json, table.print(Paint::stdout(), "There is no flow yet. Publish one: sluice flow apply FILE"))
}

fn show(reply: Reply<FlowPage>) -> Answer {
    let paint = Paint::stdout();
    let FlowPage { flow, standing } = &reply.value;
    let mut lines =
        vec![format!("{} ({}), version {} in {}", paint.bold(&flow.name), flow.id, flow.version, flow.environment)];
    lines.push(format!("  state      {}", flow.state.as_str()));
    lines.extend(life::standing(flow, paint));
    lines.extend(flow.purpose.as_ref().map(|purpose| format!("  purpose    {purpose}")));
    lines.push(format!("  applied    {} by {}", time(flow.applied_at_ms), flow.applied_by));
    lines.extend(
        flow.draft_saved_at_ms
            .map(|at_ms| format!("  draft      saved {}; see sluice flow diff {}", time(at_ms), flow.id)),
    );
    lines.extend(trigger::lines(&flow.trigger));
    lines.extend(flow.locked.iter().map(|(plugin, digest)| format!("  runs on    {plugin} {digest}")));
    lines.extend(runs::standing(standing, paint));
    lines.push(String::new());
    lines.push(flow.document.trim_end().to_owned());
    Answer::done(reply.json, lines.join("\n"))
}

/// The event, with fields and answers put in as the flow's form has them.
fn fill_in(global: &Global, flow: &FlowView, input: Value, fields: &[String]) -> Result<Value, Stop> {
    match &flow.trigger {
        TriggerView::Manual { input: schema } => form::event(schema.as_ref(), input, fields, !global.json),
        // The host says why such a flow is not started by hand.
        TriggerView::Webhook(_) | TriggerView::Poll(_) | TriggerView::Schedule(_) | TriggerView::Call { .. } => {
            Ok(input)
        }
    }
}

/// What to say of a run that a paused flow keeps: whoever waited for its end would wait
/// for a person.
async fn kept(client: &Client, flow: &FlowView, reply: Reply<RunAnswer>, wait: bool) -> Outcome {
    let run = &reply.value.run;
    let mut text = format!("Run {run} is accepted. {}", life::until_resumed(flow));
    if wait {
        let seen = client.look(run).await?;
        text.push_str(&format!("\nIts end is not waited for.\n\n{}", runs::page(&seen.value, Paint::stdout())));
        return Ok(Answer { exit: Exit::Failed, text, json: seen.json });
    }
    text.push_str(&format!("\nLook at it: sluice run show {run}"));
    Ok(Answer::done(reply.json, text))
}

/// What to say of a run that was just accepted; or of its end.
pub(crate) async fn started(client: &Client, reply: Reply<RunAnswer>, wait: bool) -> Outcome {
    let run = &reply.value.run;
    if wait {
        let ended = client.wait(run).await?;
        let exit = if ended.value.record.status == RunStatus::Failed { Exit::Failed } else { Exit::Done };
        return Ok(Answer { exit, text: runs::page(&ended.value, Paint::stdout()), json: ended.json });
    }
    let next = if client.is_remote() {
        format!("Look at it: sluice run show {run}")
    } else {
        "No host is running: it will run when one does (sluice serve), or at once with --wait.".to_owned()
    };
    Ok(Answer::done(reply.json, format!("Run {run} is accepted.\n{next}")))
}
