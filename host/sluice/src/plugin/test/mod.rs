//! `sluice plugin test`: a connector's samples in the real sandbox, under the real
//! policy, with recorded answers below the decision in place of the network.
//!
//! The grant gives exactly what the manifest asks for, so that a request which the
//! manifest forgot is denied here as it would be in production.

mod build;
mod compare;
mod files;
mod grant;
mod outcome;
mod recorded;
mod sample;

use std::collections::BTreeSet;
use std::path::Path;

use model::{Manifest, Problem};
use policy::{Ceiling, Grant};
use sandbox::{Options, Plugin, Sandbox};
use serde::Serialize;
use serde_json::json;

use crate::cli::Global;
use crate::compile::{self, CompileLimits};
use crate::exit::{Answer, Exit, Outcome, Stop};
use crate::input;
use crate::show::{Paint, hang};
use sample::{Case, cases, of_manifest};

/// What all samples of a connector share.
pub(super) struct Bench {
    sandbox: Sandbox,
    plugin: Plugin,
    manifest: Manifest,
}

/// How one sample went.
#[derive(Debug, Serialize)]
struct Verdict {
    sample: String,
    passed: bool,
    /// What differs, one entry each; empty when it passed.
    differences: Vec<String>,
}

pub(super) async fn test(global: &Global, path: &Path, samples: Option<&Path>) -> Outcome {
    let component = if path.is_dir() { build::component(path)? } else { path.to_owned() };
    let samples = samples.map_or_else(|| beside(path), Path::to_owned);
    let scratch = tempfile::tempdir().map_err(anyhow::Error::new)?;
    let bench = Bench::open(&component, scratch.path(), global.compile).await?;
    let mut cases = cases(&samples, &bench.manifest)?;
    let missing = missing(&bench.manifest, &cases);
    cases.extend(of_manifest(&bench.manifest)?);
    let mut verdicts = Vec::new();
    for case in cases {
        let name = case.name.clone();
        let differences = bench.run(case, scratch.path()).await.unwrap_or_else(|stop| texts(&stop.problems));
        verdicts.push(Verdict { sample: name, passed: differences.is_empty(), differences });
    }
    verdicts.extend(missing);
    Ok(answer(&bench.manifest, &verdicts))
}

/// `samples` in the connector's folder, which is where its component was built.
fn beside(path: &Path) -> std::path::PathBuf {
    if path.is_dir() { path.join("samples") } else { path.parent().unwrap_or(Path::new(".")).join("samples") }
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

impl Bench {
    async fn open(component: &Path, scratch: &Path, limits: CompileLimits) -> Result<Self, Stop> {
        let wasm = input::read_bytes(component)?;
        // The code is compiled once and forgotten: its key protects nothing.
        let mut options = Options::new(scratch.join("cache"), [0; 32]);
        (options.calls_max, options.warm_slots) = (8, 4);
        options.compiler = Some(compile::in_child(limits));
        let opened =
            Sandbox::open(options).map_err(|error| Stop::failed(Problem::new("sandbox", error.to_string())))?;
        let sandbox = opened.clone();
        let loaded = tokio::task::spawn_blocking(move || sandbox.load(&wasm)).await.map_err(anyhow::Error::new)?;
        let plugin =
            loaded.map_err(|error| Stop::failed(Problem::from(error).field(component.display().to_string())))?;
        let manifest = opened.describe(&plugin).await.map_err(Stop::of)?;
        Ok(Self { sandbox: opened, plugin, manifest })
    }
}

/// Each action wants one sample that succeeds and one that fails: half a test is none.
fn missing(manifest: &Manifest, cases: &[Case]) -> Vec<Verdict> {
    let seen: BTreeSet<(&str, bool)> =
        cases.iter().map(|case| (case.operation.as_str(), case.sample.error.is_some())).collect();
    let wanted = manifest.actions.iter().flat_map(|action| [(action.id.as_str(), false), (action.id.as_str(), true)]);
    let absent = wanted.filter(|wanted| !seen.contains(wanted));
    let verdict = |(action, fails): (&str, bool)| {
        let (file, what) =
            if fails { (format!("{action}.CASE.json"), "fails") } else { (format!("{action}.json"), "succeeds") };
        Verdict {
            sample: file,
            passed: false,
            differences: vec![format!("{action} has no sample that {what}: add one to the folder of samples")],
        }
    };
    absent.map(verdict).collect()
}

fn answer(manifest: &Manifest, verdicts: &[Verdict]) -> Answer {
    let paint = Paint::stdout();
    let failed = verdicts.iter().filter(|verdict| !verdict.passed).count();
    let passed = verdicts.len() - failed;
    let mut lines = vec![format!("{} {} ({})", paint.bold(&manifest.label), manifest.version, manifest.id)];
    for verdict in verdicts {
        let mark = if verdict.passed { paint.good("pass") } else { paint.bad("FAIL") };
        lines.push(format!("  {mark}  {}", verdict.sample));
        lines.extend(verdict.differences.iter().map(|difference| format!("        {}", hang(difference, 8))));
    }
    lines.push(format!("{passed} passed, {failed} failed"));
    let json = json!({
        "plugin": manifest.id, "version": manifest.version, "passed": passed, "failed": failed, "samples": verdicts,
    });
    Answer { exit: if failed == 0 { Exit::Done } else { Exit::Failed }, json, text: lines.join("\n") }
}

/// A ceiling as wide as a test needs: the grant decides.
fn ceiling(grant: &Grant, folders: &Path) -> Result<Ceiling, Stop> {
    let list = |items: Vec<String>| toml::Value::Array(items.into_iter().map(toml::Value::String).collect());
    let addresses = list(grant.addresses.iter().map(ToString::to_string).collect());
    let folders = list(vec![folders.display().to_string()]);
    let text = format!(
        "version = 1\nallowed = [\"* https://*:*\", \"* http://*:*\"]\naddresses = {addresses}\nfolders = {folders}\n"
    );
    Ceiling::parse(&text, "the test's ceiling").map_err(Stop::of)
}
