//! Flow documents: the check ends, and what passes it runs and can be kept.

use flow::{Format, Plan};
use model::Failure;
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::corpus::FLOWS;
use crate::driven::Driven;
use crate::{fixtures, mutate};

/// As the check promises.
const PROBLEMS_MAX: usize = 100;
/// A plan has what its document says, and words around it: so many times its bytes, and
/// then some for what an empty document has.
const GROWTH_MAX: usize = 40;

/// A flow made of real ones, or any text.
pub fn flow(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let text = match choices.below(5) {
        0 => String::from_utf8_lossy(choices.rest()).into_owned(),
        1 => mutate::text(&FLOWS, &mut choices),
        2 => with_expression(&mutate::expression(&mut choices)),
        _ => mutate::tree(&FLOWS, &mut choices).to_string(),
    };
    let fixture = fixtures::Fixture::new();
    match flow::check_with_tests(&text, Format::Auto, "flow.yaml", &fixture) {
        Ok((plan, _tests)) => passed(&plan, &text, &mut choices),
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= PROBLEMS_MAX, "{} problems: {text}", problems.len());
            assert!(problems.iter().all(|problem| !problem.what.is_empty()), "{problems:?}");
        }
    }
}

fn with_expression(expression: &str) -> String {
    json!({
        "version": 1, "id": "a", "name": "A", "trigger": { "manual": {} },
        "steps": [{ "id": "a", "transform": format!("{{{{ {expression} }}}}") }],
    })
    .to_string()
}

/// A plan is kept as JSON, is the same when read again, and a run of it ends.
fn passed(plan: &Plan, text: &str, choices: &mut Choices<'_>) {
    let kept = serde_json::to_string(plan).expect("a plan has a JSON form");
    assert!(kept.len() <= (text.len() + 100) * GROWTH_MAX, "{} bytes became {}", text.len(), kept.len());
    let read: Plan = serde_json::from_str(&kept).expect("what is kept can be read");
    assert_eq!(serde_json::to_string(&read).expect("as before"), kept);
    let again = flow::check(text, Format::Auto, "flow.yaml", &fixtures::Fixture::new());
    assert_eq!(again.map(|plan| serde_json::to_string(&plan).expect("as before")), Ok(kept), "the check has a memory");
    let (trigger, seed) = (event(choices), choices.number());
    let world = move |call: &flow::Call| answer(call, seed);
    let driven = Driven::from_start(&read, trigger, &world);
    assert!(driven.ending.is_some(), "the run does not end:\n{text}");
}

fn event(choices: &mut Choices<'_>) -> Value {
    match choices.below(4) {
        0 => json!({}),
        1 => json!({ "n": 1, "bits": [true, false, true, false], "name": "ana", "items": [1, 2, 3] }),
        2 => json!({ "body": { "a": [{ "b": null }] }, "headers": {} }),
        _ => json!([]),
    }
}

fn answer(call: &flow::Call, seed: u64) -> Result<Value, (Failure, bool)> {
    match (seed ^ u64::from(call.attempt)) % 5 {
        0 | 1 => Ok(json!({ "ts": "1", "now": 1, "items": [{ "id": 1 }, { "id": 2 }] })),
        2 => Ok(Value::Null),
        3 => Err((Failure::Transient { message: "not yet".to_owned() }, seed & 8 == 0)),
        _ => Err((Failure::NotFound { message: "nothing".to_owned() }, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_has_flows_that_pass() {
        let fixture = fixtures::Fixture::new();
        let passes = |text: &&String| flow::check(text, Format::Auto, "flow.yaml", &fixture).is_ok();
        let good = FLOWS.texts.iter().filter(passes).count();
        assert!(good >= 10, "only {good} of {} pass", FLOWS.texts.len());
        assert!(FLOWS.trees.len() > 50, "{} trees", FLOWS.trees.len());
    }
}
