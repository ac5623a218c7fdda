//! Manifests: what a connector says of itself, read by the host before anybody knows it.

use model::{Manifest, Schema};
use policy::{Ceiling, Grant, Subject, beyond, capabilities, subjects, uncovered};
use serde_json::Value;

use crate::choices::Choices;
use crate::corpus::{MANIFESTS, POLICIES};
use crate::mutate;

/// A manifest made of real ones, or any text.
pub fn manifest(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let text = match choices.below(4) {
        0 => String::from_utf8_lossy(choices.rest()).into_owned(),
        1 => mutate::text(&MANIFESTS, &mut choices),
        _ => mutate::tree(&MANIFESTS, &mut choices).to_string(),
    };
    let Ok(manifest) = serde_json::from_str::<Manifest>(&text) else { return };
    let written = serde_json::to_string(&manifest).expect("a manifest has a JSON form");
    let again: Manifest = serde_json::from_str(&written).expect("what is written can be read");
    assert_eq!(serde_json::to_string(&again).expect("as before"), written);
    for problem in manifest.problems() {
        assert!(!problem.what.is_empty() && !problem.code.is_empty(), "{problem:?}");
    }
    for action in &manifest.actions {
        fits(&action.input, &action.sample.input);
        fits(&action.output, &action.sample.output);
    }
    for trigger in &manifest.triggers {
        fits(&trigger.config, &trigger.sample.config);
        fits(&trigger.event, &trigger.sample.event);
    }
    weigh(&manifest, &mut choices);
}

fn fits(schema: &Value, sample: &Value) {
    if let Ok(schema) = Schema::compile(schema) {
        assert!(schema.check(sample).len() <= 20);
    }
}

/// What an administrator is told of it.
fn weigh(manifest: &Manifest, choices: &mut Choices<'_>) {
    let text = choices.pick(&POLICIES.texts);
    if let Ok(mut grant) = Grant::parse(text, "grant.toml") {
        grant.plugin = manifest.id.clone();
        for problem in uncovered(manifest, &grant) {
            assert!(!problem.what.is_empty(), "{problem:?}");
        }
        let ceiling = Ceiling::parse("version = 1\nallowed = [\"* https://*\"]", "ceiling.toml").expect("a ceiling");
        for problem in beyond(&ceiling, &grant) {
            assert!(!problem.what.is_empty(), "{problem:?}");
        }
    }
    assert!(subjects(manifest).iter().map(Subject::name).all(|name| !name.is_empty()));
    assert!(capabilities(manifest).iter().all(|capability| !capability.to_string().is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_read() {
        assert_eq!(MANIFESTS.trees.len(), MANIFESTS.texts.len());
        for text in &MANIFESTS.texts {
            let manifest: Manifest = serde_json::from_str(text).expect("a manifest");
            assert_eq!(manifest.problems(), []);
        }
    }
}
