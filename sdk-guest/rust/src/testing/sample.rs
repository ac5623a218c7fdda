//! Runs `samples/*.json`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::stage::{Exchange, Stage};
use crate::delivery::Delivery;
use crate::discovery::{Choice, Offers};
use crate::error::{Error, Result};
use crate::operation::Connector;
use crate::poll::Position;
use crate::subscription::Callback;

/// One file, as `sdk-guest/SAMPLES.md` describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    trigger: Option<String>,
    #[serde(default)]
    check: bool,
    poll: Option<From>,
    subscription: Option<Step>,
    choices: Option<String>,
    fields: Option<String>,
    migrate: Option<String>,
    base_url: Option<String>,
    input: Option<Value>,
    #[serde(default)]
    exchanges: VecDeque<Exchange>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    files_after: BTreeMap<String, Option<String>>,
    #[serde(default)]
    modified_ms: BTreeMap<String, u64>,
    #[serde(default)]
    config: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    query: String,
    #[serde(default)]
    body: Value,
    output: Option<Value>,
    events: Option<Value>,
    account: Option<String>,
    items: Option<Value>,
    cursor: Option<String>,
    #[serde(default)]
    more: bool,
    callback_url: Option<String>,
    handle: Option<String>,
    subscribed: Option<Value>,
    page: Option<String>,
    offers: Option<Value>,
    schema: Option<Value>,
    from_version: Option<String>,
    migrated: Option<Value>,
    error: Option<Value>,
}

/// From where a sample's poll looks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum From {
    Now,
    Beginning,
    After(String),
}

/// What a sample does with a webhook at the remote.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Step {
    Subscribe,
    Renew,
    Unsubscribe,
}

/// Every problem of every file in the folder, each with its file's name.
pub(super) fn run_folder<C: Connector>(folder: &Path) -> Vec<String> {
    let manifest: Value = match serde_json::from_str(&C::describe()) {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("the manifest is no JSON: {error}")],
    };
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for path in files_in(folder, &mut problems) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let operation = name.split('.').next().unwrap_or_default();
        match read(&path) {
            Ok(sample) => {
                seen.insert((operation.to_owned(), sample.error.is_some()));
                problems.extend(
                    run::<C>(operation, sample, &manifest).into_iter().map(|problem| format!("{name}: {problem}")),
                );
            }
            Err(problem) => problems.push(format!("{name}: {problem}")),
        }
    }
    problems.extend(missing(&manifest, &seen));
    problems.extend(trigger_samples::<C>(&manifest));
    problems
}

/// The samples in the manifest itself: each delivery becomes its event. (An action's
/// sample is run by the file that leaves `input` and `output` out.)
fn trigger_samples<C: Connector>(manifest: &Value) -> Vec<String> {
    let triggers =
        manifest["triggers"].as_array().into_iter().flatten().filter(|trigger| !trigger["webhook"].is_null());
    triggers
        .flat_map(|trigger| {
            let id = trigger["id"].as_str().unwrap_or_default();
            let mut sample = trigger["sample"].clone();
            let event = sample["event"].take();
            sample.as_object_mut().map(|members| members.remove("event"));
            sample["trigger"] = id.into();
            sample["events"] = json!([event]);
            let problems = match serde_json::from_value(sample) {
                Ok(sample) => run::<C>(id, sample, manifest),
                Err(error) => vec![error.to_string()],
            };
            problems.into_iter().map(move |problem| format!("{id}, sample of the manifest: {problem}"))
        })
        .collect()
}

fn files_in(folder: &Path, problems: &mut Vec<String>) -> Vec<PathBuf> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
            paths.sort();
            paths
        }
        Err(error) => {
            problems.push(format!("{}: {error}", folder.display()));
            Vec::new()
        }
    }
}

fn read(path: &Path) -> std::result::Result<Sample, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Each action wants one sample that succeeds and one that fails.
fn missing(manifest: &Value, seen: &BTreeSet<(String, bool)>) -> Vec<String> {
    let ids = manifest["actions"].as_array().into_iter().flatten().filter_map(|action| action["id"].as_str());
    ids.flat_map(|id| [(id, false), (id, true)])
        .filter(|(id, fails)| !seen.contains(&((*id).to_owned(), *fails)))
        .map(|(id, fails)| format!("{id}: no sample that {}", if fails { "fails" } else { "succeeds" }))
        .collect()
}

fn run<C: Connector>(operation: &str, mut sample: Sample, manifest: &Value) -> Vec<String> {
    let listed = find(
        manifest,
        if sample.trigger.is_some() { "triggers" } else { "actions" },
        sample.trigger.as_deref().unwrap_or(operation),
    );
    let default_url = manifest["connection"]["base_url"]["default"].as_str().map(str::to_owned);
    let mut stage = Stage::new();
    stage.base_url = sample.base_url.take().or(default_url);
    stage.exchanges = std::mem::take(&mut sample.exchanges);
    stage.files = std::mem::take(&mut sample.files).into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    stage.modified_ms = std::mem::take(&mut sample.modified_ms);
    let (outcome, stage) = stage.run(|| perform::<C>(operation, &sample, listed));
    let mut problems = compare(&sample, listed, outcome);
    problems.extend(stage.wrong.iter().cloned());
    if !stage.exchanges.is_empty() {
        problems.push(format!("{} expected requests were not made", stage.exchanges.len()));
    }
    for (path, wanted) in &sample.files_after {
        let found = stage.content(path).map(|content| String::from_utf8_lossy(content).into_owned());
        if found != *wanted {
            problems.push(format!("expected {path} to hold {wanted:?}, got {found:?}"));
        }
    }
    problems
}

fn find<'a>(manifest: &'a Value, list: &str, id: &str) -> &'a Value {
    let found = manifest[list].as_array().into_iter().flatten().find(|operation| operation["id"] == id);
    found.unwrap_or(&Value::Null)
}

fn perform<C: Connector>(operation: &str, sample: &Sample, listed: &Value) -> Result<Value> {
    if sample.check {
        return C::check().map(Value::String);
    }
    let config = sample.config.clone().unwrap_or_else(|| json!({})).to_string();
    if let Some(field) = &sample.choices {
        return Ok(of_offers(C::choices(field, &config, &sample.query, sample.page.as_deref())?));
    }
    if let Some(object) = &sample.fields {
        return Ok(parsed(&C::fields(object, &config)?));
    }
    if let Some(operation) = &sample.migrate {
        let from = sample.from_version.as_deref().unwrap_or("0.0.0");
        return Ok(parsed(&C::migrate(operation, &config, from)?));
    }
    let Some(trigger) = &sample.trigger else {
        let input = sample.input.as_ref().unwrap_or(&listed["sample"]["input"]);
        return Ok(parsed(&C::invoke(operation, &input.to_string())?));
    };
    match (&sample.poll, sample.subscription) {
        (Some(from), _) => poll::<C>(trigger, &config, from),
        (None, Some(step)) => subscription::<C>(trigger, &config, step, sample),
        (None, None) => receive::<C>(trigger, &config, sample),
    }
}

fn receive<C: Connector>(trigger: &str, config: &str, sample: &Sample) -> Result<Value> {
    let body = match &sample.body {
        Value::String(text) => text.clone().into_bytes(),
        json => json.to_string().into_bytes(),
    };
    let headers = sample.headers.clone().into_iter().collect();
    let delivery = Delivery { headers, query: sample.query.clone(), body };
    let events = C::receive(trigger, config, &delivery)?;
    Ok(events.iter().map(|event| parsed(&event.payload)).collect())
}

fn poll<C: Connector>(trigger: &str, config: &str, from: &From) -> Result<Value> {
    let from = match from {
        From::Now => Position::Now,
        From::Beginning => Position::Beginning,
        From::After(cursor) => Position::After(cursor.clone()),
    };
    let page = C::poll(trigger, config, &from)?;
    let items: Vec<Value> = page.items.iter().map(|item| parsed(&item.payload)).collect();
    Ok(json!({ "items": items, "more": page.more, "cursor": page.cursor }))
}

/// The host's secret stands in the recorded requests as its reference.
fn subscription<C: Connector>(trigger: &str, config: &str, step: Step, sample: &Sample) -> Result<Value> {
    let url = sample.callback_url.clone().unwrap_or_else(|| "https://flows.example.com/hooks/sample".to_owned());
    let callback = Callback { url, secret: Some("sample-secret".to_owned()) };
    let handle = sample.handle.as_deref().unwrap_or_default();
    let made = match step {
        Step::Subscribe => C::subscribe(trigger, config, &callback)?,
        Step::Renew => C::renew(trigger, config, &callback, handle)?,
        Step::Unsubscribe => return C::unsubscribe(trigger, config, handle).map(|()| Value::Null),
    };
    Ok(match made.expires_ms {
        Some(expires_ms) => json!({ "handle": made.handle, "expires_ms": expires_ms }),
        None => json!({ "handle": made.handle }),
    })
}

fn of_offers(offers: Offers) -> Value {
    let choice = |choice: Choice| match choice.help {
        Some(help) => json!({ "value": choice.value, "label": choice.label, "help": help }),
        None => json!({ "value": choice.value, "label": choice.label }),
    };
    let choices: Vec<Value> = offers.choices.into_iter().map(choice).collect();
    match offers.next {
        Some(next) => json!({ "choices": choices, "next": next }),
        None => json!({ "choices": choices }),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn compare(sample: &Sample, listed: &Value, outcome: Result<Value>) -> Vec<String> {
    match (outcome, &sample.error) {
        (Ok(got), None) => {
            let wanted = wanted(sample, listed, &got);
            (got != wanted).then(|| format!("expected {wanted}, got {got}")).into_iter().collect()
        }
        (Ok(got), Some(error)) => vec![format!("expected the error {error}, got {got}")],
        (Err(error), None) => vec![format!("failed: {error}")],
        (Err(error), Some(wanted)) => {
            let got = to_json(&error);
            let differs = wanted.as_object().into_iter().flatten().any(|(name, value)| got.get(name) != Some(value));
            differs.then(|| format!("expected the error {wanted}, got {got}")).into_iter().collect()
        }
    }
}

/// What the sample says the answer is. A cursor is compared when the sample names one:
/// it is in the connector's own words.
fn wanted(sample: &Sample, listed: &Value, got: &Value) -> Value {
    if sample.poll.is_some() {
        let cursor = sample.cursor.clone().map_or_else(|| got["cursor"].clone(), Value::String);
        let items = sample.items.clone().unwrap_or_else(|| json!([]));
        return json!({ "items": items, "more": sample.more, "cursor": cursor });
    }
    if sample.subscription.is_some() {
        return sample.subscribed.clone().unwrap_or_default();
    }
    let account = sample.account.clone().map(Value::String);
    let said = [&sample.output, &sample.events, &account, &sample.offers, &sample.schema, &sample.migrated];
    said.into_iter().flatten().next().cloned().unwrap_or_else(|| listed["sample"]["output"].clone())
}

/// As run records write a failure.
fn to_json(error: &Error) -> Value {
    let mut json = match error {
        Error::AuthExpired | Error::AuthRevoked => json!({}),
        Error::MissingScopes(scopes) => json!({ "scopes": scopes }),
        Error::RateLimited(wait_ms) => json!({ "retry_after_ms": wait_ms }),
        Error::Transient(message) | Error::NotFound(message) | Error::Conflict(message) | Error::Permanent(message) => {
            json!({ "message": message })
        }
        Error::InvalidInput(fields) => {
            let fields: Vec<Value> = fields
                .iter()
                .map(|field| json!({ "path": field.path, "expected": field.expected, "got": field.got }))
                .collect();
            json!({ "fields": fields })
        }
        Error::Remote { status, message } => json!({ "status": status, "message": message }),
        Error::Other { code, details } => json!({ "code": code, "details": details }),
    };
    json["kind"] = error.kind().into();
    json
}
