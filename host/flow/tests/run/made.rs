//! Flows that chance makes up: what holds for every run of every flow. Documents of any text
//! are tried in `tests/fuzzed`.

use flow::{Entry, Plan, State};
use model::Failure;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::driven::Driven;
use crate::{fixtures, transient};

/// A step of a made-up flow.
#[derive(Debug, Clone)]
enum Made {
    Call { kind: usize, when: Option<usize>, goes_on: bool, attempts: u32 },
    Transform { when: Option<usize>, breaks: bool },
    If { bit: usize, then: Vec<Made>, otherwise: Vec<Made> },
    Switch { cases: Vec<Vec<Made>>, default: Vec<Made> },
    Pause { kind: usize, goes_on: bool, recovers: bool },
    Each { items: usize, concurrency: u32, goes_on: bool, steps: Vec<Made> },
    Stop { bit: usize, failed: bool },
}

const BITS: usize = 4;

fn made_steps() -> impl Strategy<Value = Vec<Made>> {
    let bit = 0..BITS;
    let when = proptest::option::weighted(0.3, 0..BITS);
    let leaf = prop_oneof![
        4 => (0..3_usize, when.clone(), any::<bool>(), 1..4_u32)
            .prop_map(|(kind, when, goes_on, attempts)| Made::Call { kind, when, goes_on, attempts }),
        1 => (0..9_usize, any::<bool>(), any::<bool>())
            .prop_map(|(kind, goes_on, recovers)| Made::Pause { kind, goes_on, recovers }),
        3 => (when, prop::bool::weighted(0.1)).prop_map(|(when, breaks)| Made::Transform { when, breaks }),
        1 => (bit.clone(), any::<bool>()).prop_map(|(bit, failed)| Made::Stop { bit, failed }),
    ];
    let nested = leaf.prop_recursive(3, 24, 4, move |inner| {
        let block = proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            2 => inner,
            1 => (0..BITS, block.clone(), block.clone())
                .prop_map(|(bit, then, otherwise)| Made::If { bit, then, otherwise }),
            1 => (proptest::collection::vec(block.clone(), 1..3), block.clone())
                .prop_map(|(cases, default)| Made::Switch { cases, default }),
            1 => (0..4_usize, 1..4_u32, any::<bool>(), block)
                .prop_map(|(items, concurrency, goes_on, steps)| Made::Each { items, concurrency, goes_on, steps }),
        ]
    });
    proptest::collection::vec(nested, 0..6)
}

/// Writes steps as a JSON document; `known` are the steps that may be read.
fn write(made: &[Made], count: &mut usize, known: &mut Vec<String>, in_loop: bool) -> Value {
    let mut steps = Vec::new();
    // A stop would end several items at once.
    for step in made.iter().filter(|step| !in_loop || !matches!(step, Made::Stop { .. })) {
        let id = format!("s{count}");
        *count += 1;
        let read = known.last().map_or("{{ trigger.n }}".to_owned(), |id| format!("{{{{ steps.{id} | default(0) }}}}"));
        let condition = |bit: &usize| json!(format!("{{{{ trigger.bits[{bit}] }}}}"));
        let mut written = match step {
            Made::Call { kind, goes_on, attempts, .. } => {
                let on_error = if *goes_on { "continue" } else { "fail" };
                let retry = json!({ "attempts": attempts });
                match kind {
                    0 => {
                        json!({ "uses": "chat/set-topic", "input": { "topic": read }, "retry": retry, "on_error": on_error })
                    }
                    1 => json!({ "uses": "chat/time", "input": { "x": [read] }, "retry": retry, "on_error": on_error }),
                    _ => json!({
                        "uses": "chat/post-message", "connection": "team-chat", "retry": retry, "on_error": on_error,
                        "input": { "channel": "#a", "text": format!("was {read}") },
                    }),
                }
            }
            Made::Transform { breaks: false, .. } => json!({ "transform": { "was": read } }),
            Made::Transform { breaks: true, .. } => {
                json!({ "transform": "{{ trigger.absent }}", "on_error": "continue" })
            }
            Made::If { bit, then, otherwise } => json!({
                "if": condition(bit),
                "then": write(then, count, &mut known.clone(), in_loop),
                "else": write(otherwise, count, &mut known.clone(), in_loop),
            }),
            Made::Switch { cases, default } => {
                let cases: Vec<Value> = (0..)
                    .zip(cases)
                    .map(|(is, steps)| json!({ "is": is, "steps": write(steps, count, &mut known.clone(), in_loop) }))
                    .collect();
                let default = write(default, count, &mut known.clone(), in_loop);
                json!({ "switch": "{{ trigger.n % 3 }}", "cases": cases, "default": default })
            }
            Made::Pause { kind, goes_on, recovers } => {
                let mut step = match kind {
                    0 => json!({ "wait": { "for": "1s" } }),
                    1 => json!({ "wait": { "event": "e", "key": "k {{ trigger.n }}", "timeout": "1d" } }),
                    2 => json!({ "wait": { "event": "e", "key": "never", "timeout": "1d" } }),
                    3 => json!({ "approve": { "role": "r", "title": "never", "timeout": "1d" } }),
                    4 => json!({ "approve": { "role": "r", "title": "{{ trigger.n }}" } }),
                    5 => json!({ "call": "greet", "input": { "name": "ana" } }),
                    6 => json!({ "call": "greet", "input": { "name": "late" }, "retry": { "attempts": 3 } }),
                    7 => json!({ "call": "greet", "input": { "name": "late" }, "retry": { "attempts": 2 } }),
                    _ => json!({ "call": "greet", "input": { "name": "broken" } }),
                };
                if *recovers {
                    let inner = format!("s{count}");
                    *count += 1;
                    let seen = format!("{{{{ steps.{id}.error.code }}}}");
                    step["on_error"] = json!({ "steps": [{ "id": inner, "transform": seen }] });
                } else if *goes_on {
                    step["on_error"] = json!("continue");
                }
                step
            }
            Made::Each { items, concurrency, goes_on, steps } => json!({
                "foreach": vec!["{{ trigger.n }}"; *items],
                "concurrency": concurrency,
                "on_item_error": if *goes_on { "continue" } else { "fail" },
                "steps": write(steps, count, &mut known.clone(), true),
                "output": { "at": "{{ loop.index }}", "was": read },
                "on_error": "continue",
            }),
            Made::Stop { bit, failed } => json!({
                "when": condition(bit),
                "stop": { "outcome": if *failed { "failed" } else { "succeeded" }, "output": { "last": read } },
            }),
        };
        if let Made::Call { when: Some(bit), .. } | Made::Transform { when: Some(bit), .. } = step {
            written["when"] = condition(bit);
        }
        written["id"] = json!(id);
        steps.push(written);
        if let Made::Call { .. } | Made::Transform { .. } = step {
            known.push(id);
        }
    }
    Value::Array(steps)
}

fn made_plan(made: &[Made]) -> Plan {
    let steps = write(made, &mut 0, &mut Vec::new(), false);
    fixtures::plan(
        &json!({
            "version": 1, "id": "made", "name": "Made", "trigger": { "manual": {} }, "steps": steps,
            "output": { "n": "{{ trigger.n }}" },
            "on_error": [{ "id": "told", "uses": "chat/set-topic", "input": { "topic": "{{ error.code }}" } }],
        })
        .to_string(),
    )
}

/// A world whose answers depend on step, attempt and seed alone.
fn world(seed: u64) -> impl Fn(&flow::Call) -> Result<Value, (Failure, bool)> {
    move |call| {
        let number: u64 = call.step.as_str()[1..].parse().unwrap_or(99);
        let number = call.iteration.indexes().iter().fold(number, |number, index| number * 7 + u64::from(*index));
        let mixed = (seed ^ (number * 31 + u64::from(call.attempt))).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        match mixed {
            0..=8 => Ok(json!({ "ts": number.to_string(), "now": call.attempt })),
            9 | 10 => Err((transient(), false)),
            11 => Err((transient(), true)),
            12 => Err((Failure::RateLimited { retry_after_ms: Some(5) }, true)),
            13 => Err((Failure::NotFound { message: "x".to_owned() }, true)),
            14 => Err((Failure::Remote { status: 500, message: "x".to_owned() }, true)),
            _ => Err((Failure::Crashed { message: "x".to_owned() }, false)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_survives_a_crash_after_any_entry(
        made in made_steps(), seed in any::<u64>(), bits in proptest::array::uniform4(any::<bool>()),
    ) {
        let plan = made_plan(&made);
        let trigger = json!({ "n": 1, "bits": bits });
        let whole = Driven::from_start(&plan, trigger, &world(seed));
        prop_assert!(whole.ending.is_some());
        prop_assert_eq!(&State::replay(&whole.entries), &whole.state);

        let stored: Vec<String> = whole.entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
        let read: Vec<Entry> = stored.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        prop_assert_eq!(&read, &whole.entries);
        let later: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();

        for crash in 1..=read.len() {
            let resumed = Driven::from_entries(&later, &read[..crash], &world(seed));
            prop_assert_eq!(&resumed.entries, &whole.entries, "crash after {}", crash);
            prop_assert_eq!(&resumed.ending, &whole.ending);
            for call in &resumed.calls {
                let same = |other: &&flow::Call| {
                    (&other.step, &other.iteration, other.attempt) == (&call.step, &call.iteration, call.attempt)
                };
                prop_assert_eq!(Some(call), whole.calls.iter().find(same));
            }
        }
    }
}
