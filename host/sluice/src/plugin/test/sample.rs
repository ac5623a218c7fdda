//! Samples as files: the format of `sdk-guest/SAMPLES.md`, strict.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use model::{FieldId, Manifest, OperationId, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exit::Stop;
use crate::input;

/// One file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sample {
    pub(super) trigger: Option<OperationId>,
    #[serde(default)]
    pub(super) check: bool,
    pub(super) poll: Option<From>,
    pub(super) subscription: Option<Step>,
    pub(super) choices: Option<FieldId>,
    pub(super) fields: Option<FieldId>,
    pub(super) migrate: Option<OperationId>,
    pub(super) base_url: Option<String>,
    pub(super) input: Option<Value>,
    #[serde(default)]
    pub(super) exchanges: VecDeque<Exchange>,
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) files_after: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(super) modified_ms: BTreeMap<String, u64>,
    pub(super) config: Option<Value>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) query: String,
    #[serde(default)]
    pub(super) body: Value,
    pub(super) output: Option<Value>,
    pub(super) events: Option<Vec<Value>>,
    pub(super) account: Option<String>,
    pub(super) items: Option<Vec<Value>>,
    pub(super) cursor: Option<String>,
    #[serde(default)]
    pub(super) more: bool,
    pub(super) callback_url: Option<String>,
    pub(super) handle: Option<String>,
    pub(super) subscribed: Option<Value>,
    pub(super) page: Option<String>,
    pub(super) offers: Option<Value>,
    pub(super) schema: Option<Value>,
    pub(super) from_version: Option<String>,
    pub(super) migrated: Option<Value>,
    pub(super) error: Option<Value>,
}

/// From where a sample's poll looks.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum From {
    Now,
    Beginning,
    After(String),
}

/// What a sample does with a webhook at the remote.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    Subscribe,
    Renew,
    Unsubscribe,
}

impl Sample {
    /// Whether it is of an action, which its file is named after.
    fn is_of_action(&self) -> bool {
        let other = [self.trigger.is_some(), self.check, self.choices.is_some(), self.fields.is_some()];
        !other.contains(&true) && self.migrate.is_none()
    }
}

/// A request that must come, and its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    pub(super) request: Expected,
    pub(super) response: Recorded,
}

/// A request that must come.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<Value>,
}

/// What comes back.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Recorded {
    Answer {
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        body: Value,
    },
    Unreachable {
        unreachable: String,
    },
}

/// A sample, what it is called, and what it is of.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// The part of the file's name before the first dot.
    pub(super) operation: String,
    pub(super) sample: Sample,
}

/// Every sample of a folder, by name.
pub(super) fn cases(folder: &Path, manifest: &Manifest) -> Result<Vec<Case>, Stop> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Stop::failed(
            Problem::new("no-samples", format!("the samples in {} cannot be read: {error}", folder.display()))
                .fix("make the folder, or name it with --samples DIR; the format is in SAMPLES.md of the SDK"),
        )
    })?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        match read(&path, manifest) {
            Ok(case) => found.push(case),
            Err(stop) => problems.extend(stop.problems),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(Stop::of(problems)) }
}

fn read(path: &Path, manifest: &Manifest) -> Result<Case, Stop> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let operation = name.split('.').next().unwrap_or_default().to_owned();
    let sample: Sample = serde_json::from_str(&input::read(path)?).map_err(|error| {
        let place = format!("{}:{}:{}", path.display(), error.line(), error.column());
        Stop::failed(
            Problem::new("sample", error.to_string()).field(place).fix("see SAMPLES.md of the SDK for the format"),
        )
    })?;
    if sample.is_of_action() && !manifest.actions.iter().any(|action| action.id.as_str() == operation) {
        let problem = Problem::new("sample", format!("{} has no action {operation}", manifest.id));
        let near = model::nearest(&operation, manifest.actions.iter().map(|action| action.id.as_str()));
        let fix = near
            .map_or_else(|| "name the file after its action".to_owned(), |near| format!("did you mean {near}.json?"));
        return Err(Stop::failed(problem.field(path.display().to_string()).fix(fix)));
    }
    Ok(Case { name, operation, sample })
}

/// The samples in the manifest itself: each delivery becomes its trigger's event.
pub(super) fn of_manifest(manifest: &Manifest) -> Result<Vec<Case>, Stop> {
    let case = |trigger: &model::Trigger| {
        let sample = &trigger.sample;
        let document = json!({
            "trigger": trigger.id, "config": sample.config, "headers": sample.headers, "body": sample.body, "events": [sample.event],
        });
        let sample = serde_json::from_value(document).map_err(anyhow::Error::new)?;
        Ok(Case { name: format!("{} (sample of the manifest)", trigger.id), operation: trigger.id.to_string(), sample })
    };
    manifest.triggers.iter().filter(|trigger| trigger.webhook.is_some()).map(case).collect()
}

/// A recorded body as bytes: JSON stands for its own text, a text for itself.
pub(super) fn bytes(body: &Value) -> Vec<u8> {
    match body {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        json => json.to_string().into_bytes(),
    }
}
