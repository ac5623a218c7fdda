//! The machine: whole runs against a scripted world, and what holds for all runs.

#![allow(clippy::unwrap_used, reason = "a failed test is the wanted end")]

mod fixtures;

use std::sync::Arc;

use fixtures::{manual, plan, run_facts};
use flow::{
    After, Effect, Ending, Entry, Event, Outcome, Plan, State, StepOutcome, Transition, pending, step, steps_view,
};
use model::Failure;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What the world answers to a call.
type World<'w> = &'w dyn Fn(&flow::Call) -> Result<Value, (Failure, bool)>;

/// A run as the engine would drive it.
#[derive(Default)]
struct Driven {
    entries: Vec<Entry>,
    state: State,
    calls: Vec<flow::Call>,
    ending: Option<Ending>,
}

impl Driven {
    fn take(&mut self, transition: Transition) -> Vec<Effect> {
        for entry in &transition.entries {
            self.state.apply(entry);
        }
        self.entries.extend(transition.entries);
        transition.effects
    }

    fn perform(&mut self, plan: &Plan, mut effects: Vec<Effect>, world: World<'_>) {
        while let Some(effect) = effects.pop() {
            assert!(effects.is_empty(), "one step at a time");
            let event = match effect {
                Effect::Call(call) => {
                    let step = call.step.clone();
                    let answer = world(&call);
                    self.calls.push(*call);
                    match answer {
                        Ok(output) => Event::CallSucceeded { step, output: Arc::new(output) },
                        Err((failure, sent)) => Event::CallFailed { step, failure, sent },
                    }
                }
                Effect::Retry { step, .. } => Event::RetryDue { step },
                Effect::Continue => Event::Continue,
                Effect::Finish(ending) => {
                    self.ending = Some(ending);
                    return;
                }
            };
            let transition = step(plan, &self.state, event.clone());
            assert_eq!(transition, step(plan, &self.state, event), "the machine is deterministic");
            effects = self.take(transition);
        }
    }

    fn from_start(plan: &Plan, trigger: Value, world: World<'_>) -> Self {
        let mut driven = Self::default();
        let event = Event::Started { trigger: Arc::new(trigger), run: run_facts() };
        let effects = driven.take(step(plan, &State::new(), event));
        driven.perform(plan, effects, world);
        driven
    }

    fn from_entries(plan: &Plan, entries: &[Entry], world: World<'_>) -> Self {
        let state = State::replay(entries);
        let effects = pending(plan, &state);
        let mut driven = Self { entries: entries.to_vec(), state, ..Self::default() };
        driven.perform(plan, effects, world);
        driven
    }
}

fn transient() -> Failure {
    Failure::Transient { message: "x".to_owned() }
}

const POST: &str = "
steps:
  - id: post
    uses: chat/post-message
    connection: team-chat
    input: { channel: '#a', text: 'n {{ trigger.n }}' }
    retry: { attempts: 3, first: 1s, most: 1m }
    timeout: 5s
";
const TOPIC: &str = "
steps:
  - id: topic
    label: Set it
    uses: chat/set-topic
    input: { topic: '{{ trigger.n }}' }
    retry: { attempts: 3, first: 1s, most: 1m }
    on_error: continue
  - id: after
    transform: \"{{ steps.topic.error.code | default('none') }}\"
output: '{{ steps.after }}'
";

#[test]
fn a_call_is_made_retried_and_used() {
    let plan = plan(&manual(TOPIC));
    let world = |call: &flow::Call| match call.attempt {
        1 => Err((transient(), true)),
        2 => Err((Failure::RateLimited { retry_after_ms: Some(70) }, true)),
        _ => Ok(json!({ "done": true })),
    };
    let driven = Driven::from_start(&plan, json!({ "n": 7 }), &world);
    assert_eq!(driven.ending.unwrap().output, Arc::new(json!("none")));
    assert_eq!(driven.calls.len(), 3);
    for (at, call) in (1..).zip(&driven.calls) {
        assert_eq!((call.attempt, call.key.as_str()), (at, "0123456789abcdef0123456789abcdef-topic"));
        assert_eq!(*call.input, json!({ "topic": 7 }));
    }
    let wait = |entry: &Entry| match entry {
        Entry::Attempted { after, .. } => Some(*after),
        _ => None,
    };
    let waits: Vec<After> = driven.entries.iter().filter_map(wait).collect();
    assert_eq!(waits, [After::Backoff { most_ms: 1_000 }, After::Wait { ms: 70 }]);
    let view = steps_view(&plan, &driven.entries);
    assert_eq!((view[0].label.as_str(), view[0].attempts, view[0].outcome), ("Set it", 3, StepOutcome::Succeeded));
    assert!(matches!(view[0].failure, Some(Failure::RateLimited { .. })));
    assert_eq!(view[1].output.as_deref(), Some(&json!("none")));
}

#[test]
fn after_the_last_attempt_the_run_goes_on_or_ends() {
    let world = |_: &flow::Call| Err((transient(), false));
    let went_on = Driven::from_start(&plan(&manual(TOPIC)), json!({ "n": 7 }), &world);
    assert_eq!(went_on.calls.len(), 3);
    assert_eq!(went_on.ending.unwrap().output, Arc::new(json!("transient")));
    let post = plan(&manual(POST));
    let ended = Driven::from_start(&post, json!({ "n": 7 }), &world);
    assert_eq!(ended.calls.len(), 3);
    let ending = ended.ending.unwrap();
    assert_eq!(
        (ending.outcome, ending.failure, ending.step.unwrap().as_str()),
        (Outcome::Failed, Some(transient()), "post")
    );
    assert_eq!(ended.calls[0].timeout_ms, Some(5_000));
    assert_eq!(steps_view(&post, &ended.entries)[0].outcome, StepOutcome::Failed);
}

#[test]
fn what_may_have_happened_is_never_repeated() {
    let post = plan(&manual(&POST.replace("timeout: 5s", "on_error: continue")));
    let sent = |_: &flow::Call| Err((transient(), true));
    let driven = Driven::from_start(&post, json!({ "n": 7 }), &sent);
    assert_eq!(driven.calls.len(), 1);
    assert!(matches!(driven.ending.unwrap().failure, Some(Failure::MayHaveHappened { .. })));

    let begun = &driven.entries[..2];
    let state = State::replay(begun);
    let effects = pending(&post, &state);
    let [Effect::Call(call)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(!call.repeatable());
    let transition = step(&post, &state, Event::Interrupted { step: call.step.clone() });
    let [Effect::Finish(ending)] = transition.effects.as_slice() else { panic!("{transition:?}") };
    assert!(matches!(ending.failure, Some(Failure::MayHaveHappened { .. })));
}

#[test]
fn events_out_of_turn_change_nothing() {
    let post = plan(&manual(POST));
    let id = || "post".parse().unwrap();
    let output = || Arc::new(json!({}));
    let start = || Event::Started { trigger: Arc::new(json!({ "n": 1 })), run: run_facts() };
    let new = State::new();
    let mut calling = State::new();
    step(&post, &new, start()).entries.iter().for_each(|entry| calling.apply(entry));
    let mut finished = calling.clone();
    let done = step(&post, &calling, Event::CallSucceeded { step: id(), output: output() });
    done.entries.iter().for_each(|entry| finished.apply(entry));
    let cancel = || Event::Cancelled { reason: "x".to_owned() };
    for (state, event) in [
        (&new, Event::Continue),
        (&new, cancel()),
        (&new, Event::CallSucceeded { step: id(), output: output() }),
        (&calling, start()),
        (&calling, Event::Continue),
        (&calling, Event::RetryDue { step: id() }),
        (&calling, Event::CallSucceeded { step: "other".parse().unwrap(), output: output() }),
        (&finished, Event::CallSucceeded { step: id(), output: output() }),
        (&finished, Event::CallFailed { step: id(), failure: transient(), sent: true }),
        (&finished, Event::Interrupted { step: id() }),
        (&finished, cancel()),
    ] {
        assert_eq!(step(&post, state, event.clone()), Transition::default(), "{event:?}");
    }
    let cancelled = step(&post, &calling, cancel());
    let [Effect::Finish(ending)] = cancelled.effects.as_slice() else { panic!("{cancelled:?}") };
    assert_eq!((ending.outcome, ending.reason.as_deref()), (Outcome::Cancelled, Some("x")));
}

#[test]
fn an_expression_that_fails_names_its_field() {
    for (rest, field) in [
        ("steps: [{ id: a, transform: { x: ['{{ trigger.no }}'] } }]", "steps.a.transform.x[0]"),
        ("steps: [{ id: a, if: '{{ trigger.no }}', then: [] }]", "steps.a.if"),
        ("steps: [{ id: a, when: '{{ trigger.no }}', transform: 1 }]", "steps.a.when"),
        ("steps: [{ id: a, uses: chat/time, input: { x: '{{ trigger.no }}' } }]", "steps.a.input.x"),
        ("steps: [{ id: a, stop: { outcome: failed, reason: '{{ trigger.no }}' } }]", "steps.a.stop.reason"),
        ("steps: []\noutput: { x: '{{ trigger.no }}' }", "output.x"),
    ] {
        let driven = Driven::from_start(&plan(&manual(rest)), json!({}), &|_| Ok(json!({})));
        match driven.ending.unwrap().failure {
            Some(Failure::Expression { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{rest}: {other:?}"),
        }
    }
}

/// A step of a made-up flow.
#[derive(Debug, Clone)]
enum Made {
    Call { kind: usize, when: Option<usize>, goes_on: bool, attempts: u32 },
    Transform { when: Option<usize>, breaks: bool },
    If { bit: usize, then: Vec<Made>, otherwise: Vec<Made> },
    Stop { bit: usize, failed: bool },
}

const BITS: usize = 4;

fn made_steps() -> impl Strategy<Value = Vec<Made>> {
    let bit = 0..BITS;
    let when = proptest::option::weighted(0.3, 0..BITS);
    let leaf = prop_oneof![
        4 => (0..3_usize, when.clone(), any::<bool>(), 1..4_u32)
            .prop_map(|(kind, when, goes_on, attempts)| Made::Call { kind, when, goes_on, attempts }),
        3 => (when, prop::bool::weighted(0.1)).prop_map(|(when, breaks)| Made::Transform { when, breaks }),
        1 => (bit.clone(), any::<bool>()).prop_map(|(bit, failed)| Made::Stop { bit, failed }),
    ];
    let nested = leaf.prop_recursive(3, 24, 4, move |inner| {
        let block = proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            2 => inner,
            1 => (0..BITS, block.clone(), block).prop_map(|(bit, then, otherwise)| Made::If { bit, then, otherwise }),
        ]
    });
    proptest::collection::vec(nested, 0..6)
}

/// Writes steps as a JSON document; `known` are the steps that may be read.
fn write(made: &[Made], count: &mut usize, known: &mut Vec<String>) -> Value {
    let mut steps = Vec::new();
    for step in made {
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
                "then": write(then, count, &mut known.clone()),
                "else": write(otherwise, count, &mut known.clone()),
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
    let steps = write(made, &mut 0, &mut Vec::new());
    plan(
        &json!({
            "version": 1, "id": "made", "name": "Made", "trigger": { "manual": {} }, "steps": steps,
            "output": { "n": "{{ trigger.n }}" },
        })
        .to_string(),
    )
}

/// A world whose answers depend on step, attempt and seed alone.
fn world(seed: u64) -> impl Fn(&flow::Call) -> Result<Value, (Failure, bool)> {
    move |call| {
        let number: u64 = call.step.as_str()[1..].parse().unwrap();
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
                let first = whole.calls.iter().find(|other| (&other.step, other.attempt) == (&call.step, call.attempt));
                prop_assert_eq!(Some(call), first);
            }
        }
    }

    #[test]
    fn no_text_makes_the_check_panic(text in "\\PC{0,200}", expression in "[a-z .|'\"\\[\\](){}0-9,:=+-]{0,60}") {
        let fixture = fixtures::Fixture::new();
        let _ = flow::check(&text, flow::Format::Auto, "flow.yaml", &fixture);
        let document = json!({
            "version": 1, "id": "a", "name": "A", "trigger": { "manual": {} },
            "steps": [{ "id": "a", "transform": format!("{{{{ {expression} }}}}") }],
        });
        if let Ok(plan) = flow::check(&document.to_string(), flow::Format::Json, "flow.json", &fixture) {
            let driven = Driven::from_start(&plan, json!({ "a": [1] }), &|_| Ok(json!({})));
            prop_assert!(driven.ending.is_some());
        }
    }
}
