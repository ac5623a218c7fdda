//! The machine: whole runs against a scripted world, and what holds for all runs.

#![allow(clippy::unwrap_used, reason = "a failed test is the wanted end")]

mod fixtures;

use std::sync::Arc;

use fixtures::{manual, plan, run_facts};
use flow::{
    After, Answer, Effect, Ending, Entry, Event, Outcome, Pause, Plan, State, StepOutcome, Transition, pending, step,
    steps_view,
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
    most_at_once: usize,
    ending: Option<Ending>,
}

/// Which of several effects answers first: mixed, but the same after a crash.
fn turn(effect: &Effect) -> u64 {
    let (step, iteration) = match effect {
        Effect::Call(call) => (&call.step, &call.iteration),
        Effect::Retry { step, iteration, .. } | Effect::Pause { step, iteration, .. } => (step, iteration),
        Effect::Release { .. } | Effect::Continue | Effect::Finish(_) => return 0,
    };
    let text = format!("{step}{iteration}");
    text.bytes().fold(7, |mixed: u64, byte| (mixed ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
}

/// What comes of a pause: time passes, or the answer comes, as its words decide.
fn answered(step: model::StepId, iteration: flow::Iteration, pause: &Pause) -> Event {
    let answer = match pause {
        Pause::Signal { key, .. } if key != "never" => Answer::Signalled { payload: Arc::new(json!({ "got": key })) },
        Pause::Approval { outcomes, title, .. } if title != "never" => Answer::Decided {
            outcome: outcomes[0].clone(),
            by: "ana".to_owned(),
            at: "2026-01-02T03:04:05Z".to_owned(),
            comment: None,
        },
        Pause::Child { input, .. } if input["name"] != json!("never") => match input["name"].as_str() {
            Some("broken") => Answer::Broke { failure: Failure::Permanent { message: "it broke".to_owned() } },
            Some("doubt") => Answer::Broke { failure: Failure::MayHaveHappened { message: "maybe".to_owned() } },
            _ => Answer::Returned { output: Arc::new(json!({ "greeting": input["name"] })) },
        },
        Pause::For { .. }
        | Pause::Until { .. }
        | Pause::Signal { .. }
        | Pause::Approval { .. }
        | Pause::Child { .. } => {
            return Event::Due { step, iteration };
        }
    };
    Event::Answered { step, iteration, answer }
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
        while !effects.is_empty() {
            self.most_at_once = self.most_at_once.max(effects.len());
            let first = (0..effects.len()).min_by_key(|index| turn(&effects[*index])).unwrap();
            let event = match effects.remove(first) {
                Effect::Call(call) => {
                    let (step, iteration) = (call.step.clone(), call.iteration.clone());
                    let answer = world(&call);
                    self.calls.push(*call);
                    match answer {
                        Ok(output) => Event::CallSucceeded { step, iteration, output: Arc::new(output) },
                        Err((failure, sent)) => Event::CallFailed { step, iteration, failure, sent },
                    }
                }
                Effect::Retry { step, iteration, .. } => Event::Due { step, iteration },
                Effect::Pause { step, iteration, pause } => answered(step, iteration, &pause),
                Effect::Release { .. } => continue,
                Effect::Continue => Event::Continue,
                Effect::Finish(ending) => {
                    self.ending = Some(ending);
                    return;
                }
            };
            let transition = step(plan, &self.state, event.clone());
            assert_eq!(transition, step(plan, &self.state, event), "the machine is deterministic");
            effects.extend(self.take(transition));
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
    let transition =
        step(&post, &state, Event::Interrupted { step: call.step.clone(), iteration: call.iteration.clone() });
    let [Effect::Finish(ending)] = transition.effects.as_slice() else { panic!("{transition:?}") };
    assert!(matches!(ending.failure, Some(Failure::MayHaveHappened { .. })));
}

#[test]
fn events_out_of_turn_change_nothing() {
    let post = plan(&manual(POST));
    let id = || "post".parse().unwrap();
    let iteration = flow::Iteration::default;
    let output = || Arc::new(json!({}));
    let start = || Event::Started { trigger: Arc::new(json!({ "n": 1 })), run: run_facts() };
    let new = State::new();
    let mut calling = State::new();
    step(&post, &new, start()).entries.iter().for_each(|entry| calling.apply(entry));
    let mut finished = calling.clone();
    let done = step(&post, &calling, Event::CallSucceeded { step: id(), iteration: iteration(), output: output() });
    done.entries.iter().for_each(|entry| finished.apply(entry));
    let cancel = || Event::Cancelled { reason: "x".to_owned() };
    for (state, event) in [
        (&new, Event::Continue),
        (&new, cancel()),
        (&new, Event::CallSucceeded { step: id(), iteration: iteration(), output: output() }),
        (&calling, start()),
        (&calling, Event::Continue),
        (&calling, Event::Due { step: id(), iteration: iteration() }),
        (&calling, Event::CallSucceeded { step: id(), iteration: iteration().item(0), output: output() }),
        (&calling, Event::CallSucceeded { step: "other".parse().unwrap(), iteration: iteration(), output: output() }),
        (&finished, Event::CallSucceeded { step: id(), iteration: iteration(), output: output() }),
        (&finished, Event::CallFailed { step: id(), iteration: iteration(), failure: transient(), sent: true }),
        (&finished, Event::Interrupted { step: id(), iteration: iteration() }),
        (&finished, cancel()),
    ] {
        assert_eq!(step(&post, state, event.clone()), Transition::default(), "{event:?}");
    }
}

#[test]
fn a_cancelled_run_waits_for_the_call_under_way_and_says_what_is_in_doubt() {
    let post = plan(&manual(POST));
    let event = Event::Started { trigger: Arc::new(json!({ "n": 1 })), run: run_facts() };
    let mut driven = Driven::default();
    driven.take(step(&post, &State::new(), event));
    let asked = step(&post, &driven.state, Event::Cancelled { reason: "x".to_owned() });
    assert_eq!(asked.effects, []);
    driven.take(asked);
    assert!(driven.state.is_cancelling());
    let (step_id, iteration) = ("post".parse::<model::StepId>().unwrap(), flow::Iteration::default());
    let answers = [
        (
            Event::CallSucceeded { step: step_id.clone(), iteration: iteration.clone(), output: Arc::new(json!({})) },
            None,
        ),
        (
            Event::CallFailed {
                step: step_id.clone(),
                iteration: iteration.clone(),
                failure: transient(),
                sent: false,
            },
            None,
        ),
        (Event::Interrupted { step: step_id, iteration }, Some("may-have-happened")),
    ];
    for (event, wanted) in answers {
        let transition = step(&post, &driven.state, event);
        let Some(Effect::Finish(ending)) = transition.effects.last() else { panic!("{transition:?}") };
        assert_eq!((ending.outcome, ending.reason.as_deref()), (Outcome::Cancelled, Some("x")));
        assert_eq!(transition.effects.len(), 1);
        let code = ending.failure.as_ref().map(|failure| failure.to_problem().code);
        assert_eq!(code.as_deref(), wanted);
    }
    let calm = plan(&manual(TOPIC));
    let mut waiting = Driven::default();
    waiting.take(step(&calm, &State::new(), Event::Started { trigger: Arc::new(json!({ "n": 1 })), run: run_facts() }));
    let (step_id, iteration) = ("topic".parse().unwrap(), flow::Iteration::default());
    waiting.take(step(
        &calm,
        &waiting.state.clone(),
        Event::CallFailed { step: step_id, iteration, failure: transient(), sent: true },
    ));
    let cancelled = step(&calm, &waiting.state, Event::Cancelled { reason: "y".to_owned() });
    assert!(matches!(cancelled.effects.as_slice(), [Effect::Finish(_)]), "nothing is under way: {cancelled:?}");
}

const DOUBT: &str = "
steps:
  - id: each
    foreach: [1, 2]
    concurrency: 2
    steps:
      - { id: post, uses: chat/post-message, connection: team-chat, input: { channel: '#a', text: '{{ item }}' } }
on_error:
  - { id: tell, uses: chat/post-message, connection: team-chat, input: { channel: '#b', text: 'failed' } }
";

#[test]
fn what_may_have_happened_is_not_hidden_by_another_end() {
    let doubt = plan(&manual(DOUBT));
    // The call in the steps for a failure is lost: that is what somebody has to look at.
    let world = |call: &flow::Call| match call.step.as_str() {
        "tell" => Err((transient(), true)),
        _ => Err((Failure::NotFound { message: "gone".to_owned() }, true)),
    };
    let ending = Driven::from_start(&doubt, json!({}), &world).ending.unwrap();
    let code = |ending: &Ending| ending.failure.as_ref().map(|failure| failure.to_problem().code);
    assert_eq!((ending.outcome, ending.step.as_ref().map(model::StepId::as_str)), (Outcome::Failed, Some("tell")));
    assert_eq!(code(&ending).as_deref(), Some("may-have-happened"));
    // One item is in doubt, and somebody ends the run before the other one has answered.
    let mut driven = Driven::default();
    let event = Event::Started { trigger: Arc::new(json!({})), run: run_facts() };
    driven.take(step(&doubt, &State::new(), event));
    let answer = |index| {
        let (step, iteration) = ("post".parse().unwrap(), flow::Iteration::default().item(index));
        Event::CallFailed { step, iteration, failure: transient(), sent: true }
    };
    driven.take(step(&doubt, &driven.state.clone(), answer(0)));
    driven.take(step(&doubt, &driven.state.clone(), Event::Cancelled { reason: "x".to_owned() }));
    let success = Event::CallSucceeded {
        step: "post".parse().unwrap(),
        iteration: flow::Iteration::default().item(1),
        output: Arc::new(json!({})),
    };
    let transition = step(&doubt, &driven.state, success);
    let Some(Effect::Finish(ending)) = transition.effects.last() else { panic!("{transition:?}") };
    assert_eq!((ending.outcome, code(ending).as_deref()), (Outcome::Cancelled, Some("may-have-happened")));
    assert_eq!(ending.iteration.index(), Some(0));
}

const EACH: &str = "
steps:
  - id: each
    foreach: '{{ trigger.list }}'
    concurrency: 3
    on_item_error: continue
    steps:
      - id: kind
        switch: '{{ item.kind }}'
        cases:
          - is: [a, b]
            steps:
              - id: topic
                uses: chat/set-topic
                input: { topic: '{{ item.name }} {{ loop.index }}' }
                retry: { attempts: 2 }
          - is: 7
            steps: [{ id: seven, transform: '{{ item.name | upper }}' }]
        default: [{ id: other, transform: '{{ item.absent }}' }]
      - id: inner
        foreach: [1, 2]
        steps: [{ id: sum, transform: '{{ item + loop.index }}' }]
        output: '{{ steps.sum }}'
    output: { name: '{{ item.name }}', inner: '{{ steps.inner.outputs }}' }
output: '{{ steps.each }}'
";

#[test]
fn a_loop_keeps_items_apart_and_counts_failures() {
    let plan = plan(&manual(EACH));
    let world = |call: &flow::Call| match (call.iteration.index(), call.attempt) {
        (Some(1), 1) => Err((transient(), true)),
        _ => Ok(json!({})),
    };
    let list = json!([
        { "kind": "a", "name": "n0" }, { "kind": "b", "name": "n1" }, { "kind": 7.0, "name": "n2" },
        { "kind": "c", "name": "n3" }, { "kind": "a", "name": "n4" },
    ]);
    let driven = Driven::from_start(&plan, json!({ "list": list }), &world);
    let output = driven.ending.as_ref().unwrap().output.clone();
    let inner = json!([1, 3]);
    let done = |name: &str| json!({ "name": name, "inner": inner });
    assert_eq!(output["outputs"], json!([done("n0"), done("n1"), done("n2"), null, done("n4")]));
    assert_eq!((&output["succeeded"], &output["failed"]), (&json!(4), &json!(1)));
    assert_eq!(output["errors"][0]["index"], json!(3));
    assert_eq!(driven.most_at_once, 3, "items 2 and 3 end without a call and make room for item 4");
    let keys: Vec<(&str, &Value)> = driven.calls.iter().map(|call| (call.key.as_str(), &*call.input)).collect();
    let key = |index: u32| format!("0123456789abcdef0123456789abcdef-topic-{index}");
    for (index, topic) in [(0, "n0 0"), (1, "n1 1"), (4, "n4 4")] {
        assert!(keys.contains(&(key(index).as_str(), &json!({ "topic": topic }))), "{keys:?}");
    }
    let view = steps_view(&plan, &driven.entries);
    let items = view[0].items.as_ref().unwrap();
    assert_eq!((view.len(), items.total, items.succeeded, items.failed), (1, 5, 4, 1));
    assert_eq!(items.shown[3].outcome, StepOutcome::Continued);
    assert_eq!(items.shown[1].steps[1].attempts, 2);
    assert_eq!(items.shown[4].steps[4].items.as_ref().unwrap().succeeded, 2);
}

#[test]
fn a_failed_item_lets_those_begun_end_and_breaks_the_loop() {
    let text = "
steps:
  - id: each
    foreach: '{{ trigger.list }}'
    concurrency: 2
    on_item_error: ITEM
    on_error: STEP
    steps: [{ id: post, uses: chat/post-message, connection: team-chat, input: { channel: '#a', text: '{{ item }}' } }]
output: \"{{ steps.each | default('') }}\"
";
    let run = |item: &str, step: &str, failure: &dyn Fn() -> Failure| {
        let plan = plan(&manual(&text.replace("ITEM", item).replace("STEP", step)));
        let world = |call: &flow::Call| match call.iteration.index() {
            Some(1) => Err((failure(), true)),
            _ => Ok(json!({ "ts": "1" })),
        };
        Driven::from_start(&plan, json!({ "list": ["a", "b", "c", "d", "e"] }), &world)
    };
    let not_found = || Failure::NotFound { message: "x".to_owned() };
    let gone_past = run("continue", "fail", &not_found);
    assert_eq!(gone_past.calls.len(), 5);
    let ended = run("fail", "fail", &not_found);
    assert!(ended.calls.len() < 5, "no item begins after the failure");
    let ending = ended.ending.unwrap();
    assert_eq!((ending.outcome, ending.failure), (Outcome::Failed, Some(not_found())));
    assert_eq!(format!("{}{}", ending.step.unwrap(), ending.iteration), "post[1]");
    let went_on = run("fail", "continue", &not_found);
    assert_eq!(went_on.ending.unwrap().output["error"]["code"], json!("not-found"));
    let doubt = run("continue", "continue", &transient);
    let ending = doubt.ending.unwrap();
    assert!(matches!(ending.failure, Some(Failure::MayHaveHappened { .. })), "{ending:?}");
}

const WAITING: &str = "
steps:
  - id: rest
    wait: { for: 2h }
  - id: paid
    wait: { event: invoice.paid, key: '{{ trigger.key }}', timeout: 1d }
  - id: ask
    approve: { role: finance, title: '{{ trigger.title }}', outcomes: [send, hold], timeout: 2d, on_timeout: hold }
  - id: greet
    call: greet
    input: { name: '{{ trigger.name }}' }
    timeout: 1h
    on_error: { steps: [{ id: note, transform: '{{ steps.greet.error.code }}' }] }
output:
  paid: '{{ steps.paid }}'
  ask: '{{ steps.ask.outcome }}'
  greet: \"{{ steps.greet.greeting | default('none') }}\"
  note: \"{{ steps.note | default('none') }}\"
";

#[test]
fn a_run_waits_for_times_events_people_and_other_runs() {
    let plan = plan(&manual(WAITING));
    let run = |key: &str, title: &str, name: &str| {
        Driven::from_start(&plan, json!({ "key": key, "title": title, "name": name }), &|_| Ok(json!({})))
    };
    let all = run("k", "Send?", "ana");
    let wanted = json!({ "paid": { "got": "k" }, "ask": "send", "greet": "ana", "note": "none" });
    assert_eq!(*all.ending.unwrap().output, wanted);
    let view = steps_view(&plan, &all.entries);
    assert_eq!(view[2].waits_for.as_deref(), Some("finance to decide (send or hold): Send?"));
    assert_eq!(view[2].output.as_ref().unwrap()["by"], json!("ana"));
    let late = run("never", "never", "never");
    let wanted = json!({ "paid": { "timed_out": true }, "ask": "hold", "greet": "none", "note": "timed-out" });
    assert_eq!(*late.ending.unwrap().output, wanted);
    assert_eq!(steps_view(&plan, &late.entries)[3].taken.as_deref(), Some("on_error"));
    let broken = run("k", "Send?", "broken");
    assert_eq!(broken.ending.unwrap().output["note"], json!("permanent"));
    let doubt = run("k", "Send?", "doubt").ending.unwrap();
    assert!(matches!(doubt.failure, Some(Failure::MayHaveHappened { .. })), "an error branch does not go past it");
}

#[test]
fn what_is_not_waited_for_any_more_is_released() {
    let plan = plan(&manual(WAITING));
    let event =
        Event::Started { trigger: Arc::new(json!({ "key": "k", "title": "t", "name": "n" })), run: run_facts() };
    let mut driven = Driven::default();
    driven.take(step(&plan, &State::new(), event));
    let due = |driven: &mut Driven, id: &str| {
        let event = Event::Due { step: id.parse().unwrap(), iteration: flow::Iteration::default() };
        let transition = step(&plan, &driven.state, event);
        driven.take(transition)
    };
    let effects = due(&mut driven, "rest");
    assert!(matches!(effects.as_slice(), [Effect::Release { .. }, Effect::Pause { .. }]), "{effects:?}");
    assert!(driven.state.is_resting());
    assert_eq!(due(&mut driven, "ask"), [], "it is not there yet");
    let wrong = Answer::Returned { output: Arc::default() };
    let paid =
        |answer| Event::Answered { step: "paid".parse().unwrap(), iteration: flow::Iteration::default(), answer };
    assert_eq!(step(&plan, &driven.state, paid(wrong)), Transition::default());
    let cancelled = step(&plan, &driven.state, Event::Cancelled { reason: "x".to_owned() });
    assert!(matches!(cancelled.effects.as_slice(), [Effect::Release { .. }, Effect::Finish(_)]), "{cancelled:?}");
    let ahead = "steps: [{ id: far, wait: { until: '{{ trigger }}' } }]";
    for (at, wanted) in [("2027-06-01T00:00:00Z", "more than a year ahead"), ("tomorrow", "expects an instant")] {
        let far = Driven::from_start(&fixtures::plan(&manual(ahead)), json!(at), &|_| Ok(json!({})));
        match far.ending.unwrap().failure {
            Some(Failure::Expression { message, .. }) => assert!(message.contains(wanted), "{message}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_run_that_fails_executes_its_own_steps_for_that_once() {
    let text = "
steps: [{ id: post, uses: chat/post-message, connection: team-chat, input: { channel: '#a', text: x } }]
on_error:
  - id: tell
    uses: chat/set-topic
    input: { topic: '{{ error.step }} {{ error.code }}' }
    retry: { attempts: 1 }
";
    let plan = plan(&manual(text));
    for tell_fails in [false, true] {
        let world = |call: &flow::Call| match call.step.as_str() {
            "post" => Err((transient(), true)),
            _ if tell_fails => Err((transient(), true)),
            _ => Ok(json!({})),
        };
        let driven = Driven::from_start(&plan, json!({}), &world);
        let ending = driven.ending.unwrap();
        assert!(matches!(ending.failure, Some(Failure::MayHaveHappened { .. })), "{ending:?}");
        assert_eq!((ending.outcome, ending.step.unwrap().as_str()), (Outcome::Failed, "post"));
        assert_eq!(driven.calls.len(), 2);
        assert_eq!(*driven.calls[1].input, json!({ "topic": "post may-have-happened" }));
    }
}

#[test]
fn a_loop_takes_bounded_lists_only() {
    for (foreach, trigger, wanted) in [
        (
            "{{ trigger.list }}",
            json!({ "list": vec![0; 10_001] }),
            "the list has 10001 items, a loop takes at most 10000",
        ),
        ("{{ trigger.list }}", json!({ "list": vec![0; 1_000_000] }), "the list has 1000000 items"),
        ("{{ trigger.list | reverse }}", json!({ "list": vec![0; 20_000] }), "a loop takes at most 10000"),
        ("{{ trigger.text | split(',') }}", json!({ "text": ",".repeat(20_000) }), "the list has 20001 items"),
        ("{{ trigger.text }}", json!({ "text": "x" }), "expects a list, got text"),
        ("{{ trigger.text | upper }}", json!({ "text": "x" }), "expects a list, got string"),
    ] {
        let plan = plan(&manual(&format!("steps: [{{ id: each, foreach: \"{foreach}\", steps: [] }}]")));
        match Driven::from_start(&plan, trigger, &|_| Ok(json!({}))).ending.unwrap().failure {
            Some(Failure::Expression { field, message }) => {
                assert_eq!(field, "steps.each.foreach");
                assert!(message.contains(wanted), "{message}");
            }
            other => panic!("{foreach}: {other:?}"),
        }
    }
    let all = plan(&manual(
        "steps: [{ id: each, foreach: '{{ trigger.list }}', batch: 300, steps: [] }]\noutput: '{{ steps.each.succeeded }}'",
    ));
    let driven = Driven::from_start(&all, json!({ "list": vec![0; 10_000] }), &|_| Ok(json!({})));
    assert_eq!(driven.ending.unwrap().output, Arc::new(json!(34)));
    let shown = steps_view(&all, &driven.entries)[0].items.clone().unwrap();
    assert_eq!((shown.total, shown.shown.len()), (34, 10));
    let large =
        plan(&manual("steps: [{ id: each, foreach: '{{ trigger.list }}', steps: [], output: '{{ trigger.text }}' }]"));
    let trigger = json!({ "list": [1, 2, 3, 4, 5], "text": "x".repeat(1 << 20) });
    match Driven::from_start(&large, trigger, &|_| Ok(json!({}))).ending.unwrap().failure {
        Some(Failure::Expression { field, message }) => {
            assert_eq!(field, "steps.each.output");
            assert!(message.contains("with the outputs of all items: the value is larger than 4 MiB"), "{message}");
        }
        other => panic!("{other:?}"),
    }
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
        1 => (0..7_usize, any::<bool>(), any::<bool>())
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
    plan(
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
