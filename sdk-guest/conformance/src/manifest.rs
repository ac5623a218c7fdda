//! A manifest as the host reads it.

use model::{Idempotency, Manifest, Schema};
use serde_json::Value;

/// Parses a manifest, and checks its schemas and samples.
///
/// # Panics
/// With all problems, when there are any.
#[track_caller]
#[must_use]
pub fn check_manifest(text: &str) -> Manifest {
    match manifest_problems(text) {
        Ok(manifest) => manifest,
        Err(problems) => panic!("the manifest does not keep the contract:\n{}", problems.join("\n")),
    }
}

/// The manifest, or every problem of it.
///
/// # Errors
/// The problems, each with its place.
pub fn manifest_problems(text: &str) -> Result<Manifest, Vec<String>> {
    let manifest: Manifest = serde_json::from_str(text).map_err(|error| vec![error.to_string()])?;
    let mut problems = Vec::new();
    if manifest.manifest_version != 1 {
        problems.push(format!("manifest_version is {}, not 1", manifest.manifest_version));
    }
    for action in &manifest.actions {
        let id = &action.id;
        fits(&mut problems, &format!("{id} input"), &action.input, &action.sample.input);
        fits(&mut problems, &format!("{id} output"), &action.output, &action.sample.output);
        if matches!(&action.idempotency, Idempotency::Key { place } if place.is_empty()) {
            problems.push(format!("{id} does not say where its idempotency key goes"));
        }
    }
    for trigger in &manifest.triggers {
        let id = &trigger.id;
        fits(&mut problems, &format!("{id} config"), &trigger.config, &trigger.sample.config);
        fits(&mut problems, &format!("{id} event"), &trigger.event, &trigger.sample.event);
    }
    problems.extend(manifest.problems().iter().map(ToString::to_string));
    if problems.is_empty() { Ok(manifest) } else { Err(problems) }
}

fn fits(problems: &mut Vec<String>, place: &str, schema: &Value, sample: &Value) {
    match Schema::compile(schema) {
        Ok(schema) => problems.extend(schema.check(sample).iter().map(|problem| format!("{place} sample: {problem}"))),
        Err(error) => problems.push(format!("{place}: {error}")),
    }
}
