//! The machine: whole runs against a scripted world, and what holds for all runs.

#![allow(clippy::unwrap_used, reason = "a failed test is the wanted end")]

mod driven;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod made;

use std::sync::Arc;

use driven::Driven;
use fixtures::{manual, plan, run_facts};
use flow::{
    After, Answer, Effect, Ending, Entry, Event, Outcome, Pause, State, StepOutcome, Transition, pending, step,
    steps_view,
};
use model::Failure;
use serde_json::{Value, json};

/// A failure that may pass.
pub(crate) fn transient() -> Failure {
    Failure::Transient { message: "x".to_owned() }
}

/// How long the next attempt is waited for.
fn waits(entry: &Entry) -> Option<After> {
    match entry {
        Entry::Attempted { after, .. } => Some(*after),
        _ => None,
    }
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
    let waits: Vec<After> = driven.entries.iter().filter_map(waits).collect();
    assert_eq!(waits, [After::Backoff { most_ms: 1_000 }, After::Wait { ms: 70 }]);
    let view = steps_view(&plan, &driven.entries);
    assert_eq!((view[0].label.as_str(), view[0].attempts, view[0].outcome), ("Set it", 3, StepOutcome::Succeeded));
    assert!(matches!(view[0].failure, Some(Failure::RateLimited { .. })));
    assert_eq!(view[1].output.as_deref(), Some(&json!("none")));
}

#[test]
fn being_told_to_wait_costs_no_try() {
    let post = plan(&manual(POST));
    let world = |call: &flow::Call| match call.attempt {
        1..=9 => Err((Failure::RateLimited { retry_after_ms: Some(70) }, false)),
        10 | 11 => Err((transient(), false)),
        _ => Ok(json!({ "id": "1" })),
    };
    let driven = Driven::from_start(&post, json!({ "n": 7 }), &world);
    assert_eq!((driven.calls.len(), driven.ending.expect("over").outcome), (12, Outcome::Succeeded));
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

const AGAIN: &str = "
steps:
  - id: greet
    call: greet
    input: { name: '{{ trigger.name }}' }
    retry: { attempts: ATTEMPTS, first: 1s, most: 3s }
output: '{{ steps.greet.greeting }}'
";

#[test]
fn a_flow_that_failed_in_passing_is_run_again_and_no_other() {
    let run = |attempts: &str, name: &str| {
        let plan = plan(&manual(&AGAIN.replace("ATTEMPTS", attempts)));
        let driven = Driven::from_start(&plan, json!({ "name": name }), &|_| Ok(json!({})));
        let pause = |entry: &Entry| match entry {
            Entry::Paused { pause: Pause::Child { attempt, input, .. }, .. } => Some((*attempt, input["name"].clone())),
            _ => None,
        };
        let runs: Vec<_> = driven.entries.iter().filter_map(pause).collect();
        assert!(runs.iter().all(|(_, input)| input == name), "the same input each time: {runs:?}");
        let view = steps_view(&plan, &driven.entries).swap_remove(0);
        assert_eq!(usize::try_from(view.attempts).unwrap(), runs.len());
        (runs.len(), driven)
    };
    let (runs, driven) = run("3", "late");
    assert_eq!((runs, &*driven.ending.unwrap().output), (3, &json!("late")));
    let waits: Vec<After> = driven.entries.iter().filter_map(waits).collect();
    assert_eq!(waits, [After::Backoff { most_ms: 1_000 }, After::Backoff { most_ms: 2_000 }]);
    for (attempts, name, wanted, code) in
        [("2", "late", 2, "transient"), ("3", "broken", 1, "permanent"), ("3", "doubt", 1, "may-have-happened")]
    {
        let (runs, driven) = run(attempts, name);
        let failure = driven.ending.unwrap().failure.unwrap().to_problem();
        assert_eq!((runs, failure.code.as_str()), (wanted, code));
    }
}

#[test]
fn between_two_runs_of_a_flow_nothing_is_released_and_late_answers_change_nothing() {
    let plan = plan(&manual(&AGAIN.replace("ATTEMPTS", "3")));
    let event = Event::Started { trigger: Arc::new(json!({ "name": "late" })), run: run_facts() };
    let mut driven = Driven::default();
    driven.take(step(&plan, &State::new(), event));
    let passing = || Answer::Broke { failure: transient(), passing: true };
    let answered = |answer| {
        let (step, iteration) = ("greet".parse().unwrap(), flow::Iteration::default());
        Event::Answered { step, iteration, answer }
    };
    let effects = driven.take(step(&plan, &driven.state, answered(passing())));
    assert!(matches!(effects.as_slice(), [Effect::Retry { attempt: 2, .. }]), "{effects:?}");
    assert_eq!(pending(&plan, &driven.state), effects, "the same after a crash");
    assert_eq!(driven.state.retries().len(), 1);
    assert_eq!(step(&plan, &driven.state, answered(passing())), Transition::default());
    let cancelled = step(&plan, &driven.state, Event::Cancelled { reason: "x".to_owned() });
    assert!(matches!(cancelled.effects.as_slice(), [Effect::Finish(_)]), "{cancelled:?}");
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

/// However a document multiplies what came in: between two calls a run takes bounded
/// room and time, and says so when that is not enough.
#[test]
fn a_run_makes_no_more_at_once_than_can_be_kept() {
    let list = |length: usize| json!((0..length).collect::<Vec<_>>());
    let many = "steps:\n  - { id: each, foreach: '{{ trigger.list }}', steps: [ { id: large, transform: '{{ trigger.text }}' } ] }";
    let nested = "steps:\n  - { id: outer, foreach: '{{ trigger.list }}', steps: [ { id: inner, foreach: '{{ trigger.list }}', steps: [] } ] }";
    let calling = "steps:\n  - id: each\n    foreach: '{{ trigger.list }}'\n    concurrency: 2\n    steps:\n      - { id: call, uses: chat/set-topic, input: { topic: a } }\n      - { id: large, transform: '{{ trigger.text }}' }";
    let text = "x".repeat(3 << 20);
    for (steps, trigger, calls) in [
        (many, json!({ "list": list(10_000), "text": text }), 0),
        (nested, json!({ "list": list(10_000) }), 0),
        // Each answer has room of its own.
        (calling, json!({ "list": list(40), "text": text }), 40),
    ] {
        let driven = Driven::from_start(&plan(&manual(steps)), trigger, &|_| Ok(json!({})));
        let ending = driven.ending.expect("an end");
        assert_eq!(driven.calls.len(), calls, "{steps}");
        if calls > 0 {
            assert_eq!((ending.outcome, ending.failure), (Outcome::Succeeded, None));
            continue;
        }
        let Some(Failure::Unavailable { problem }) = ending.failure else { panic!("{steps}: {:?}", ending.failure) };
        assert!(problem.code == "too-large" && problem.fix.is_some(), "{problem}");
        assert!(driven.entries.len() <= 100_001, "{}", driven.entries.len());
        let large = driven.entries.iter().filter(|entry| matches!(entry, Entry::Evaluated { .. })).count();
        assert!(large <= 6, "{large} of 3 MiB each");
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
