//! A connector describes itself: twice, with no capability, and must not differ.
//!
//! Owns the comparison of what a manifest says with what the component exports, of
//! its schemas and samples. What the document alone can get wrong is `model`'s.

use std::time::{Duration, Instant};

use model::{Failure, Limits, Manifest, Operation, Problem, Schema};
use serde_json::Value;
use serde_json::error::Category;

use crate::bindings::shared;
use crate::call::{Answer, CallContext};
use crate::inspect::Exports;
use crate::invoke::Returned;
use crate::outcome::wall;
use crate::plugin::{Loaded, Plugin};
use crate::sandbox::{Inner, Sandbox};
use crate::services::Services;
use crate::state::State;

/// A manifest. 1 MiB: a connector with 100 operations has 200 KiB.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Language runtimes need more to start than a later call is granted.
pub(crate) const LIMITS: Limits = Limits {
    memory_bytes: 256 << 20,
    cpu_ms: 10_000,
    wall_ms: 30_000,
    request_bytes: 0,
    response_bytes: 0,
    requests: 0,
    output_bytes: MANIFEST_BYTES_MAX,
    log_bytes: 16 << 10,
    file_bytes: 0,
    concurrency: 1,
    requests_per_minute: 0,
    ..Limits::DEFAULT
};

impl Sandbox {
    /// The connector's manifest, run twice and checked against the component.
    ///
    /// # Errors
    /// Every problem found: it broke off, its answers differ, the document is not
    /// valid, it and the exports disagree, a schema is none, a sample does not fit.
    pub async fn describe(&self, plugin: &Plugin) -> Result<Manifest, Vec<Problem>> {
        let first = self.0.describe(&plugin.0).await.map_err(broke_off)?;
        let second = self.0.describe(&plugin.0).await.map_err(broke_off)?;
        agree(&first, &second)?;
        let manifest = parse(&first)?;
        let problems = check(&manifest, plugin.exports());
        if problems.is_empty() { Ok(manifest) } else { Err(problems) }
    }
}

impl Inner {
    async fn describe(&self, plugin: &Loaded) -> Result<String, Failure> {
        let began = Instant::now();
        let deadline = began + wall(&LIMITS);
        let _room = self.room.enter(deadline).await?;
        let meter = self.meter(&LIMITS, plugin.digest);
        let clock = self.options.clock_ms.clone();
        let context = CallContext::default();
        let mut store =
            self.store(State::new(None, Services::default(), context, (began, deadline), meter.clone(), clock));
        let ended = self.run(deadline, meter, describe(plugin, &mut store)).await;
        let size = |text: String, limits: &Limits| {
            if text.len() as u64 <= limits.output_bytes {
                return Ok(Answer::Output(text));
            }
            Err(crate::outcome::exceeded("output_bytes", limits.output_bytes))
        };
        ended.judge(store.data(), size)?.into_output()
    }
}

/// Describes, and finds every function it claims to export with the contract's types.
async fn describe(plugin: &Loaded, store: &mut wasmtime::Store<State>) -> Returned<String> {
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    if let Some(acts) = &plugin.acts {
        acts.load(&mut *store, &instance)?;
    }
    if let Some(receives) = &plugin.receives {
        receives.load(&mut *store, &instance)?;
    }
    if let Some(checks) = &plugin.checks {
        checks.load(&mut *store, &instance)?;
    }
    if let Some(polls) = &plugin.polls {
        polls.load(&mut *store, &instance)?;
    }
    if let Some(subscribes) = &plugin.subscribes {
        subscribes.load(&mut *store, &instance)?;
    }
    if let Some(discovers) = &plugin.discovers {
        discovers.load(&mut *store, &instance)?;
    }
    if let Some(migrates) = &plugin.migrates {
        migrates.load(&mut *store, &instance)?;
    }
    let manifest = plugin.describes.load(&mut *store, &instance)?;
    let text = manifest.sluicegate_connector_manifest().call_describe(store).await?;
    Ok(Ok::<_, shared::Error>(text))
}

fn broke_off(failure: Failure) -> Vec<Problem> {
    let problem = failure.to_problem();
    let mut wrapped =
        Problem::new("manifest-failed", format!("the connector cannot describe itself: {}", problem.what));
    wrapped.cause = problem.cause;
    vec![wrapped.fix("describe must return a constant document, without reaching outside")]
}

/// Two descriptions of one component must be the same, byte for byte.
fn agree(first: &str, second: &str) -> Result<(), Vec<Problem>> {
    if first == second {
        return Ok(());
    }
    Err(vec![
        Problem::new("manifest-unstable", "the connector describes itself differently each time")
            .cause("the manifest depends on chance, on time or on stored values")
            .fix("return a constant document from describe"),
    ])
}

fn parse(text: &str) -> Result<Manifest, Vec<Problem>> {
    let mut document = serde_json::Deserializer::from_str(text);
    let manifest: Manifest =
        serde_path_to_error::deserialize(&mut document).map_err(|error| vec![not_valid(&error)])?;
    document
        .end()
        .map_err(|error| vec![Problem::new("manifest-invalid", format!("the manifest is not valid: {error}"))])?;
    if manifest.manifest_version != 1 {
        let what = format!("manifest_version {} is not known; this host reads 1", manifest.manifest_version);
        return Err(vec![Problem::new("manifest-version", what).field("manifest_version")]);
    }
    Ok(manifest)
}

/// The document does not read as a manifest: people get the place by name, since they
/// never saw the text that an SDK printed.
fn not_valid(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let (place, error) = (error.path().to_string(), error.inner());
    let words = error.to_string();
    let at = format!(" at line {} column {}", error.line(), error.column());
    let what = format!("the manifest is not valid: {}", words.strip_suffix(&at).unwrap_or(&words));
    let problem = Problem::new("manifest-invalid", what);
    if error.classify() != Category::Data {
        return problem
            .cause("the connector was built for another manifest format, or by hand")
            .fix("build the connector with this host's SDK; the format is manifest.schema.json");
    }
    let problem = problem
        .cause(
            "a value in the connector's manifest (its attributes, or `connector!`) does not have the form it needs; \
             or the connector was built for another manifest format",
        )
        .fix(
            "correct it there and build again; if it is right, build with this host's SDK: the format is \
             manifest.schema.json",
        );
    // The path of the whole document.
    if place == "." { problem } else { problem.field(place) }
}

/// What document and component must agree on.
fn check(manifest: &Manifest, exports: Exports) -> Vec<Problem> {
    let mut problems = Vec::new();
    let checks = manifest.connection.as_ref().is_some_and(|connection| connection.check.is_some());
    let triggers = &manifest.triggers;
    for (declared, exported, interface, place) in [
        (!manifest.actions.is_empty(), exports.actions, "actions", "actions"),
        (triggers.iter().any(|trigger| trigger.webhook.is_some()), exports.webhooks, "webhooks", "triggers"),
        (triggers.iter().any(|trigger| trigger.poll.is_some()), exports.polling, "polling", "triggers with a poll"),
        (
            triggers.iter().any(|trigger| trigger.subscription.is_some()),
            exports.subscriptions,
            "subscriptions",
            "triggers with a subscription",
        ),
        (checks, exports.account, "account", "connection.check"),
        (manifest.discovery.is_some(), exports.discovery, "discovery", "discovery"),
        (!manifest.migrations.is_empty(), exports.migration, "migration", "migrations"),
    ] {
        problems.extend(disagreement(declared, exported, interface, place));
    }
    for action in &manifest.actions {
        check_operation(Operation::Action(action), &mut problems);
    }
    for trigger in &manifest.triggers {
        check_operation(Operation::Trigger(trigger), &mut problems);
    }
    problems.extend(manifest.problems());
    problems
}

fn disagreement(declared: bool, exported: bool, interface: &str, place: &str) -> Option<Problem> {
    let what = match (declared, exported) {
        (true, false) => format!("the manifest declares {place}, but the component does not export {interface}"),
        (false, true) => format!("the component exports {interface}, but the manifest declares no {place}"),
        (true, true) | (false, false) => return None,
    };
    Some(
        Problem::new("manifest-and-exports-differ", what)
            .cause("the manifest was written by hand, or the wrong component was built")
            .fix("export exactly what the manifest declares; the SDK's macro does it")
            .field(place),
    )
}

fn check_operation(operation: Operation<'_>, problems: &mut Vec<Problem>) {
    match operation {
        Operation::Action(action) => {
            let place = format!("actions.{}", action.id);
            fits(&place, "input", &action.input, "sample.input", &action.sample.input, problems);
            fits(&place, "output", &action.output, "sample.output", &action.sample.output, problems);
        }
        Operation::Trigger(trigger) => {
            let place = format!("triggers.{}", trigger.id);
            fits(&place, "config", &trigger.config, "sample.config", &trigger.sample.config, problems);
            fits(&place, "event", &trigger.event, "sample.event", &trigger.sample.event, problems);
        }
    }
}

fn fits(place: &str, schema_at: &str, schema: &Value, sample_at: &str, sample: &Value, problems: &mut Vec<Problem>) {
    match Schema::compile(schema) {
        Err(error) => problems.push(
            Problem::new("manifest-schema", error.to_string())
                .fix("correct the schema")
                .field(format!("{place}.{schema_at}")),
        ),
        Ok(schema) => problems.extend(schema.check(sample).into_iter().map(|problem| {
            Problem::new("manifest-sample", format!("the sample does not fit its own schema: {problem}"))
                .fix("correct the sample or the schema")
                .field(format!("{place}.{sample_at}{}", problem.path.replace('/', ".")))
        })),
    }
}

/// The longest that [`Sandbox::describe`] takes, for those who wait for it.
pub const DESCRIBE_MAX: Duration = Duration::from_millis(2 * LIMITS.wall_ms);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_descriptions_must_be_equal() {
        assert!(agree("{}", "{}").is_ok());
        assert_eq!(agree("{}", "{ }").expect_err("refused")[0].code, "manifest-unstable");
    }

    #[test]
    fn slips_are_named_by_their_place() {
        for (text, place, words) in [
            (r#"{"manifest_version":1,"id":"Acme","version":"0.1.0"}"#, Some("id"), "\"Acme\""),
            (r#"{"manifest_version":1,"actions":[],"limits":{"wall":5}}"#, Some("limits.wall"), "`wall`"),
            ("{\"manifest_version\": 1,\n \"scope_templates\": [7]}", Some("scope_templates[0]"), "integer `7`"),
            (r#"{"manifest_version":1}"#, None, "missing field `id`"),
        ] {
            let problems = parse(text).expect_err("refused");
            assert_eq!(problems[0].code, "manifest-invalid");
            assert_eq!(problems[0].field.as_deref(), place, "{}", problems[0]);
            assert!(problems[0].what.contains(words) && !problems[0].what.contains(" column "), "{}", problems[0]);
            assert!(problems[0].cause.as_ref().is_some_and(|cause| cause.contains("`connector!`")));
        }
        let cut = parse(r#"{"id":"#).expect_err("refused");
        assert!(cut[0].what.contains("EOF") && !cut[0].what.contains(" column "), "{}", cut[0]);
        assert_eq!(cut[0].field, None);
    }

    #[test]
    fn document_and_exports_agree_both_ways() {
        for (declared, exported, wanted) in [
            (true, true, None),
            (false, false, None),
            (true, false, Some("declares triggers, but the component does not export webhooks")),
            (false, true, Some("exports webhooks, but the manifest declares no triggers")),
        ] {
            let found = disagreement(declared, exported, "webhooks", "triggers").map(|problem| problem.what);
            assert_eq!(found.is_some(), wanted.is_some());
            assert!(found.is_none_or(|found| found.contains(wanted.unwrap_or_default())));
        }
    }
}
