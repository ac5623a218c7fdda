//! Tests inside documents: how they end, and what they say when something differs.

#![allow(clippy::unwrap_used, reason = "a failed test is the wanted end")]

mod fixtures;

use fixtures::{Fixture, manual};
use flow::{Format, Verdict, check_with_tests};

fn verdicts(text: &str) -> Vec<Verdict> {
    let (plan, tests) = check_with_tests(text, Format::Yaml, "flow.yaml", &Fixture::new())
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    tests.iter().map(|test| test.run(&plan, &"test".parse().unwrap())).collect()
}

/// What a single test of a flow says: each difference in a line, or the problem.
fn said(steps: &str, test: &str) -> Vec<String> {
    let text = manual(&format!("steps:\n{steps}\ntests:\n  - {{ name: a, {test} }}\n"));
    let [verdict] = verdicts(&text).try_into().unwrap_or_else(|all| panic!("{all:?}"));
    assert_eq!(verdict.passed, verdict.differences.is_empty() && verdict.problem.is_none());
    let problem = verdict.problem.map(|problem| problem.to_string());
    verdict.differences.iter().map(ToString::to_string).chain(problem).collect()
}

#[test]
fn a_whole_test_passes() {
    for verdict in verdicts(include_str!("cases/testing/flow.yaml")) {
        assert!(verdict.passed, "{verdict:?}");
    }
}

const POST: &str = "  - { id: post, uses: chat/post-message, connection: team-chat, input: { channel: a, text: b } }";
const ASK: &str = "  - { id: ask, approve: { role: boss, title: Well?, outcomes: [go, stay] } }";

#[test]
fn what_differs_is_told_with_its_place() {
    let looping = "  - { id: each, foreach: [1, 2], steps: [{ id: topic, uses: chat/set-topic, input: { topic: \"{{ item }}\" } }] }";
    let branch = "  - { id: way, if: \"{{ trigger.a }}\", then: [{ id: end, stop: { outcome: failed, reason: so } }] }";
    for (steps, test, wanted) in [
        (POST, "expect: { effects: [post] }", &[][..]),
        (POST, "expect: { effects: [] }", &["effects.post: expected never, got once"]),
        (
            POST,
            "expect: { effects: [{ step: post, has: { text: c } }] }",
            &["effects.post.text: expected \"c\", got \"b\""],
        ),
        (
            POST,
            "expect: { steps: { post: { output: { ts: \"2\" } } } }",
            &["steps.post.output.ts: expected \"2\", got \"1\""],
        ),
        (
            POST,
            "answers: { post: { failure: not-found } }, expect: { effects: [post] }",
            &["outcome: expected succeeded, got failed at post: the test says so"],
        ),
        (
            POST,
            "answers: { post: { failure: not-found } }, expect: { failure: conflict, step: post }",
            &["failure: expected conflict, got not-found"],
        ),
        (POST, "answers: { post: { failure: transient } }, expect: { failure: may-have-happened }", &[]),
        (
            POST,
            "answers: { post: { failure: transient, sent: false } }, expect: { failure: transient, steps: { post: { attempts: 4 } } }",
            &["steps.post.attempts: expected 4, got 5"],
        ),
        (
            ASK,
            "answers: { ask: { decision: stay, by: eva } }, expect: { steps: { ask: { output_has: { outcome: go, by: eva } } } }",
            &["steps.ask.output.outcome: expected \"go\", got \"stay\""],
        ),
        (
            ASK,
            "expect: {}",
            &[
                "answers.ask: step ask asks boss to decide, and the test has no answer for it\n  fix: add to the test's answers: ask: { decision: go }",
            ],
        ),
        (
            looping,
            "expect: { effects: [topic, { step: topic, has: { topic: 3 } }] }",
            &["effects.topic[1].topic: expected 3, got 2"],
        ),
        (
            looping,
            "answers: { \"topic[1]\": { failure: permanent } }, expect: { failure: permanent, step: \"topic[0]\" }",
            &["step: expected topic[0], got topic[1]"],
        ),
        (
            looping,
            "expect: { steps: { topic: skipped } }",
            &[
                "steps.topic[0].outcome: expected skipped, got succeeded",
                "steps.topic[1].outcome: expected skipped, got succeeded",
            ],
        ),
        (
            branch,
            "trigger: { a: true }, expect: { outcome: failed, reason: so, steps: { way: { taken: else } } }",
            &["steps.way.taken: expected else, got then"],
        ),
        (
            branch,
            "trigger: { a: false }, expect: { output: 1, steps: { end: succeeded } }",
            &["output: expected 1, got null", "steps.end.outcome: expected succeeded, got not-reached"],
        ),
        (
            "  - { id: call, call: greet, input: { name: a } }",
            "expect: {}",
            &[
                "answers.call: step call calls flow greet, and the test has no answer for it\n  fix: add to the test's answers: call: { output: {} }",
            ],
        ),
    ] {
        assert_eq!(said(steps, test), wanted, "{steps}\n{test}");
    }
}

#[test]
fn a_schedule_and_a_connector_bring_their_own_events() {
    let scheduled = "version: 1\nid: t\nname: T\ntrigger: { schedule: { cron: \"0 9 * * *\", zone: Europe/Berlin } }\n\
        steps: []\noutput: \"{{ trigger.local }} {{ trigger.missed }}\"\ntests:\n  \
        - { name: a, started_at: \"2026-07-01T07:00:00Z\", expect: { output: \"2026-07-01T09:00:00+02:00 0\" } }\n  \
        - { name: b, sample_with: { missed: 3 }, expect: { output: \"2026-01-01T01:00:00+01:00 3\" } }\n";
    let connector = "version: 1\nid: t\nname: T\ntrigger: { uses: tracker/issue, connection: issues }\nsteps: []\n\
        output: \"{{ trigger.title }} {{ trigger.labels }}\"\ntests:\n  \
        - { name: a, expect: { output: \"a []\" } }\n  \
        - { name: b, sample_with: { labels: [x] }, expect: { output: \"a [\\\"x\\\"]\" } }\n";
    for text in [scheduled, connector] {
        let all = verdicts(text);
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|verdict| verdict.passed), "{all:?}");
    }
}
