//! What expressions make, and what they refuse, through whole runs.

#![allow(clippy::unwrap_used, reason = "a failed test is the wanted end")]

mod fixtures;

use std::sync::Arc;

use fixtures::{json, manual, plan, run_facts};
use flow::{Effect, Event, Outcome, State, step};
use model::Failure;
use serde_json::{Value, json};

/// The value of a template over this event, or what is wrong with it.
fn eval(template: &Value, trigger: Value) -> Result<Value, String> {
    eval_with("", template, trigger)
}

/// The same in a flow with further keys.
fn eval_with(keys: &str, template: &Value, trigger: Value) -> Result<Value, String> {
    let plan = plan(&manual(&format!("{keys}steps: []\noutput: {template}")));
    let event = Event::Started { trigger: Arc::new(trigger), run: run_facts() };
    let transition = step(&plan, &State::new(), event);
    let [Effect::Finish(ending)] = transition.effects.as_slice() else { panic!("{transition:?}") };
    match (&ending.outcome, &ending.failure) {
        (Outcome::Succeeded, None) => Ok(ending.output.as_ref().clone()),
        (Outcome::Failed, Some(Failure::Expression { field, message })) => Err(format!("{field}: {message}")),
        other => panic!("{other:?}"),
    }
}

fn event() -> Value {
    json!({
        "title": "Crash <b>", "n": 3, "f": 1.5, "big": 9_007_199_254_740_993_i64, "no": null, "yes": true,
        "labels": ["bug", "ui"], "user": { "login": "ana", "a-b": 1 }, "z": { "y": 1, "x": 2 },
    })
}

#[test]
fn values_keep_their_type_and_texts_are_joined() {
    for (template, wanted) in [
        (r#""plain""#, r#""plain""#),
        (r#""{{ trigger.title }}""#, r#""Crash <b>""#),
        (r#""{{ trigger.n }}""#, "3"),
        (r#""{{ trigger.f }}""#, "1.5"),
        (r#""{{ trigger.big }}""#, "9007199254740993"),
        (r#""{{ trigger.big + 1 }}""#, "9007199254740994"),
        (r#""{{ trigger.no }}""#, "null"),
        (r#""{{ trigger.z }}""#, r#"{"y":1,"x":2}"#),
        (r#""{{ [trigger.z] }}""#, r#"[{"y":1,"x":2}]"#),
        (r#""{{ trigger.labels[1] }}""#, r#""ui""#),
        (r#""{{ trigger.labels[-1] }}""#, r#""ui""#),
        (r#""{{ trigger['user']['a-b'] }}""#, "1"),
        (r#""n={{ trigger.n }} {{ trigger.no }} {{ trigger.labels }}""#, r#""n=3  [\"bug\",\"ui\"]""#),
        (r#""{{ trigger.title }}!""#, r#""Crash <b>!""#),
        (r#""{{ 'bug' in trigger.labels }}""#, "true"),
        (r#""{{ trigger.n > 2 and trigger.yes }}""#, "true"),
        (r#""{{ trigger.labels | length }}""#, "2"),
        (r#""{{ trigger.labels | join(', ') }}""#, r#""bug, ui""#),
        (r#""{{ trigger.labels | map('upper') | list }}""#, r#"["BUG","UI"]"#),
        (r#""{{ trigger.title | lower | replace('crash', 'fall') }}""#, r#""fall <b>""#),
        (r#""{{ 'a,b' | split(',') }}""#, r#"["a","b"]"#),
        (r#""{{ trigger.z | tojson }}""#, r#""{\"y\":1,\"x\":2}""#),
        (r#""{{ trigger.none | default('x') }}""#, r#""x""#),
        (r#""{{ trigger.none.deeper.still | default('x') }}""#, r#""x""#),
        (r#""{{ trigger.user.login | default('x') }}""#, r#""ana""#),
        (r#""{{ trigger.none.deeper is defined }}""#, "false"),
        (r#""{{ trigger.user.login is defined }}""#, "true"),
        (r#""{{ trigger.none.deeper if trigger.none is defined else 'x' }}""#, r#""x""#),
        (r#""{{ '}}' }} {{ '{{' }}""#, r#""}} {{""#),
        (r#""{% if x %}{# text #}""#, r#""{% if x %}{# text #}""#),
        (r#""{{ run.id }}/{{ run.started_at }}""#, r#""0123456789abcdef0123456789abcdef/2026-01-02T03:04:05Z""#),
        (r#""{{ flow.id }} {{ flow.name }} {{ flow.version }} {{ env }}""#, r#""test Test 3 test""#),
        (r#"{"a": ["{{ trigger.n }}", {"b": "{{ trigger.yes }}"}], "c": 1}"#, r#"{"a":[3,{"b":true}],"c":1}"#),
    ] {
        let made = eval(&json(template), event()).unwrap_or_else(|error| panic!("{template}: {error}"));
        assert_eq!(made.to_string(), json(wanted).to_string(), "{template}");
    }
}

#[test]
fn what_is_absent_or_impossible_is_said_with_its_place() {
    for (template, wanted) in [
        (r#""{{ trigger.nope }}""#, "output: trigger.nope is not there; the value has title, n,"),
        (
            r#"{"a": [1, "{{ trigger.user.nope }}"]}"#,
            "output.a[1]: trigger.user.nope is not there; the value has login",
        ),
        (r#""{{ trigger.labels[7] }}""#, "output: trigger.labels[7] is not there; the list has 2 items"),
        (r#""{{ trigger.no.x }}""#, "output: trigger.no.x is not there; what it should be in is null"),
        (r#""x {{ trigger.nope.x }}""#, "output: trigger.nope is not there"),
        (r#""{{ [trigger.nope] }}""#, "output: the value is not there"),
        (r#""{{ trigger.nope ~ 'x' | upper }}""#, "output: "),
        (
            r#""{{ trigger.nope.x + 1 }}""#,
            "output: a value it reads is not there: trigger.nope is not there; the value has title, n,",
        ),
        (r#""{{ trigger.title + 1 }}""#, "output: "),
        (r#""{{ 'x' if trigger.nope else 'y' }}""#, "output: "),
        (r#""{{ trigger.n / 0 }}""#, "output: "),
    ] {
        match eval(&json(template), event()) {
            Err(message) => assert!(message.starts_with(wanted), "{template}: {message}"),
            Ok(value) => panic!("{template} made {value}"),
        }
    }
}

#[test]
fn what_an_expression_misses_is_named() {
    let message = eval(&json!("{{ trigger.labels[5] + 1 }}"), event()).unwrap_err();
    assert!(message.ends_with(": trigger.labels[5] is not there; the list has 2 items"), "{message}");
    let inside = eval(&json!("{{ [trigger.user.no] }}"), event()).unwrap_err();
    assert_eq!(inside, "output: the value is not there: trigger.user.no is not there; the value has login, a-b");
    let other = eval(&json!("{{ trigger.n + trigger.labels }}"), event()).unwrap_err();
    assert!(!other.contains("is not there"), "{other}");
}

#[test]
fn tables_are_looked_into() {
    let tables = "tables: { teams: { bug: { name: Core }, 7: seven, on: true }, none_yet: {} }\n";
    for (expression, wanted) in [
        ("trigger.a | lookup('teams')", Ok(json!({ "name": "Core" }))),
        ("(trigger.a | lookup('teams')).name", Ok(json!("Core"))),
        ("trigger.n | lookup('teams')", Ok(json!("seven"))),
        ("trigger.b | lookup('teams', 'other')", Ok(json!("other"))),
        ("trigger.no | lookup('teams', none)", Ok(json!(null))),
        ("trigger.l | map('lookup', 'teams', '-') | list", Ok(json!([{ "name": "Core" }, "-"]))),
        ("'on' | lookup('teams')", Ok(json!(true))),
        ("'on' | lookup('teams') | string", Ok(json!("true"))),
        (
            "trigger.b | lookup('teams')",
            Err("output: filter lookup: expects a key of table teams, which has 7, bug, on, got \"docs\""),
        ),
        ("trigger.no | lookup('teams')", Err("output: filter lookup: expects text, got null")),
        (
            "trigger.nope | lookup('teams', 1)",
            Err("output: a value it reads is not there: trigger.nope is not there; the value has a, b, n, no, l"),
        ),
    ] {
        let trigger = json!({ "a": "bug", "b": "docs", "n": 7, "no": null, "l": ["bug", "x"] });
        let made = eval_with(tables, &json!(format!("{{{{ {expression} }}}}")), trigger);
        assert_eq!(made, wanted.map_err(str::to_owned), "{expression}");
    }
}

#[test]
fn work_size_and_depth_are_bounded() {
    let long = "x".repeat(3 << 20);
    let many = "{{ trigger.n }}";
    let sum = vec!["trigger.n"; 400].join("+");
    let deep = (0..120).fold(json!(1), |value, _| json!([value]));
    for (template, trigger, wanted) in [
        (json!("{{ trigger.a ~ trigger.a }}"), json!({ "a": long }), "larger than 4 MiB"),
        (json!(["{{ trigger.a }}", "{{ trigger.a }}"]), json!({ "a": long }), "larger than 4 MiB"),
        (json!("{{ trigger.a }}{{ trigger.a }}"), json!({ "a": long }), "larger than 4 MiB"),
        (json!("{{ trigger.a | replace('x', 'yyyyyyyy') }}"), json!({ "a": long }), "larger than 4 MiB"),
        (json!("{{ trigger.l | join(trigger.a) }}"), json!({ "l": [1, 2, 3], "a": long }), "larger than 4 MiB"),
        (json!("{{ trigger.a | split('x') }}"), json!({ "a": long }), "more than 100000 parts"),
        (
            json!("{{ trigger.l | map('pad_left', 1000) | list | length }}"),
            json!({ "l": vec![1; 100_000] }),
            "more than 64 MiB on its way",
        ),
        (
            json!(format!("{{{{ [{}] | flatten | length }}}}", vec!["trigger.l"; 60].join(", "))),
            json!({ "l": vec![1; 10_000] }),
            "more than 500000 items",
        ),
        (json!("{{ 'x' * 1000000000000 }}"), json!({}), "too large"),
        (json!("{{ trigger.n * 1000000000000 }}"), json!({ "n": "x" }), "too large"),
        (json!(format!("{{{{ {sum} }}}}")), json!({ "n": 1 }), "takes more than 1000 operations"),
        (json!(format!("{{{{ trigger.d }}}}{many}")), json!({ "d": deep, "n": 1 }), "deeper than 100 levels"),
        (json!("{{ [trigger.d] }}"), json!({ "d": deep }), "deeper than 100 levels"),
    ] {
        match eval(&template, trigger) {
            Err(message) => assert!(message.contains(wanted), "{message}"),
            Ok(value) => panic!("wanted {wanted}, made {} bytes", value.to_string().len()),
        }
    }
}
