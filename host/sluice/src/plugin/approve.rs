//! `sluice plugin approve`: what is given, and what is not.

use std::path::Path;

use api::wire::NewApproval;
use engine::PluginView;
use model::Problem;
use policy::Grant;
use serde::Deserialize;

use super::page::given;
use super::versions;
use crate::cli::Global;
use crate::client::{Client, Reply, part};
use crate::exit::{Answer, Outcome, Stop};
use crate::input;
use crate::show::{Paint, warning};

#[derive(Deserialize)]
struct Approved {
    #[serde(flatten)]
    view: PluginView,
    warnings: Vec<Problem>,
}

pub(super) async fn approve(global: &Global, name: &str, file: &Path, note: Option<String>) -> Outcome {
    let (text, file) = (input::read(file)?, file.display().to_string());
    let grant = Grant::parse(&text, &file).map_err(Stop::of)?;
    let new = NewApproval { environment: global.environment.clone(), grant: text, file: Some(file.clone()), note };
    let path = format!("/api/v1/plugins/{}/approvals", part(name));
    Client::with(global, async |client| {
        let reply: Reply<Approved> = client.post(&path, &new).await.map_err(|stop| name_grant(stop, &file))?;
        let others = versions::others(global, client, &reply.value.view).await;
        Ok(approved(global, &grant, reply, &others))
    })
    .await
}

/// The host's advice is a command to run: it names the grant that was given.
fn name_grant(mut stop: Stop, file: &str) -> Stop {
    for problem in stop.problems.iter_mut().filter(|problem| problem.code == "ambiguous-plugin") {
        problem.fix = problem.fix.take().map(|fix| fix.replace("--grant FILE", &format!("--grant {file}")));
    }
    stop
}

fn approved(global: &Global, grant: &Grant, reply: Reply<Approved>, others: &[PluginView]) -> Answer {
    let paint = Paint::stdout();
    let Approved { view, warnings } = reply.value;
    let manifest = &view.record.manifest;
    let mut lines = vec![format!(
        "{} {} ({}) may do this in {}, and nothing else:",
        manifest.label,
        manifest.version,
        view.record.digest.to_short(),
        paint.bold(global.environment.as_str())
    )];
    lines.extend(given(grant).into_iter().map(|line| format!("  {} {line}", paint.good("+"))));
    lines.extend(warnings.iter().map(|problem| warning(problem, paint)));
    lines.extend(versions::after_approval(&view, others, &global.environment));
    Answer::done(reply.json, lines.join("\n"))
}
