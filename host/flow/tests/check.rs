//! Documents and what the check says of them, one folder each under `cases`.
//!
//! `FLOW_BLESS=1` writes what is said now as what is expected; read the difference.

#![allow(clippy::unwrap_used, reason = "a failed test is the wanted end")]

mod fixtures;

use std::path::Path;

use fixtures::{Fixture, manual};
use flow::{Format, Plan, check};
use model::Schema;

fn outcome(text: &str, name: &str) -> String {
    match check(text, Format::Auto, name, &Fixture::new()) {
        Ok(plan) => format!("good: {} steps\n", plan.steps().len()),
        Err(problems) => problems.iter().map(|problem| format!("[{}] {problem}\n", problem.code)).collect(),
    }
}

#[test]
fn every_case_says_what_is_expected() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let published = Schema::compile_own(&flow::schema()).unwrap();
    let mut folders: Vec<_> = std::fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() > 10, "the cases are gone");
    let mut wrong = Vec::new();
    for folder in folders {
        let text = std::fs::read_to_string(folder.join("flow.yaml")).unwrap();
        let found = outcome(&text, "flow.yaml");
        let expected = folder.join("expected.txt");
        if std::env::var_os("FLOW_BLESS").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", folder.display()));
        }
        let unfit = serde_saphyr::from_str(&text).map(|value| published.check(&value)).unwrap_or_default();
        if found.starts_with("good") && !unfit.is_empty() {
            wrong.push(format!("{}: the published schema refuses it: {unfit:?}", folder.display()));
        }
        if found.contains("[unknown-key]") && unfit.is_empty() {
            wrong.push(format!("{}: the published schema takes an unknown key", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_published_schema_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("flow.schema.json");
    let now = format!("{}\n", serde_json::to_string_pretty(&flow::schema()).unwrap());
    if std::env::var_os("FLOW_BLESS").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), now, "run the test with FLOW_BLESS=1");
}

#[test]
fn the_reference_of_expressions_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../EXPRESSIONS.md");
    let now = flow::reference();
    if std::env::var_os("FLOW_BLESS").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), now, "run the test with FLOW_BLESS=1");
}

#[test]
fn a_plan_survives_storage() {
    let again = |text: &str| {
        let plan = check(text, Format::Yaml, "flow.yaml", &Fixture::new()).unwrap();
        let stored = serde_json::to_string(&plan).unwrap();
        let again: Plan = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), stored);
        again
    };
    again(include_str!("cases/tables/flow.yaml"));
    let again = again(include_str!("cases/good/flow.yaml"));
    let uses: Vec<String> = again.operations().iter().map(|uses| uses.operation.to_string()).collect();
    assert_eq!(uses, ["tracker/issue", "chat/post-message", "chat/set-topic"]);
    let connections: Vec<&str> = again.connections().iter().map(|id| id.as_str()).collect();
    assert_eq!(connections, ["issues", "team-chat"]);
}

#[test]
fn json_and_yaml_make_the_same_plan() {
    let yaml = include_str!("cases/good/flow.yaml");
    let value: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
    let plan_of = |text: &str| serde_json::to_value(check(text, Format::Auto, "f", &Fixture::new()).unwrap()).unwrap();
    assert_eq!(plan_of(yaml), plan_of(&value.to_string()));
}

#[test]
fn hostile_documents_are_refused_quickly() {
    let bomb = {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 8].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        text
    };
    let step = |at: usize| format!("  - {{ id: s{at}, transform: 1 }}\n");
    let many = manual(&format!("steps:\n{}", (0..201).map(step).collect::<String>()));
    let nested = (0..12).fold("[]".to_owned(), |inner, at| format!("[{{id: s{at}, if: true, then: {inner}}}]"));
    let deep = manual(&format!("steps: []\noutput: {}1{}", "[".repeat(200), "]".repeat(200)));
    let deep_json = format!("{{\"a\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    let expression = |inner: &str| manual(&format!("steps: []\noutput: \"{{{{ {inner} }}}}\""));
    for (text, wanted) in [
        (bomb, "not-yaml"),
        (many, "too-many-steps"),
        (manual(&format!("steps: {nested}")), "too-deep"),
        (deep, "not-yaml"),
        (deep_json, "not-json"),
        (expression(&"(".repeat(2_000)), "bad-expression"),
        (expression(&"-".repeat(3_000)), "bad-expression"),
        (expression(&format!("{}1", "[".repeat(1_000))), "bad-expression"),
        (expression(&"1+".repeat(3_000)), "bad-expression"),
        (expression("range(1000)"), "bad-expression"),
        (expression("trigger.x | pprint"), "bad-expression"),
        (expression("trigger.x is weird"), "bad-expression"),
        (expression("trigger.x.items()"), "bad-expression"),
        ("x".repeat((1 << 20) + 1), "too-large"),
        ("a: 1\na: 2".to_owned(), "not-yaml"),
        ("{\"a\": 1, \"a\": 2}".to_owned(), "not-json"),
    ] {
        let problems = check(&text, Format::Auto, "flow.yaml", &Fixture::new()).expect_err(wanted);
        assert!(problems.iter().any(|problem| problem.code == wanted), "wanted {wanted}, got {problems:?}");
    }
}

#[test]
fn the_words_are_for_people() {
    let call = |uses: &str| manual(&format!("steps: [{{ id: a, uses: {uses}/b }}]"));
    for (text, wanted) in [
        ("a: 1\na: 2".to_owned(), "a key is there twice"),
        (format!("{}---\na: 1\n", manual("steps: []\n")), "more than one document"),
        (call("waiting"), "connector \"waiting\" is installed, but not approved in this environment"),
        (call("gone"), "there is no approved connector \"gone\""),
    ] {
        let problems = check(&text, Format::Auto, "flow.yaml", &Fixture::new()).expect_err(wanted);
        assert!(problems.iter().any(|problem| problem.what.contains(wanted)), "wanted {wanted}, got {problems:?}");
        assert!(!format!("{problems:?}").contains("Policy"), "{problems:?}");
    }
}

#[test]
fn the_words_of_other_languages_are_known() {
    for (name, wanted) in [
        ("null", "nothing is written none"),
        ("nil", "nothing is written none"),
        ("TRUE", "true is written true"),
        ("closed", "a text in an expression needs quotes: 'closed'"),
    ] {
        let text = manual(&format!("steps: []\noutput: \"{{{{ {name} }}}}\""));
        let problems = check(&text, Format::Auto, "flow.yaml", &Fixture::new()).expect_err(name);
        assert_eq!(problems[0].fix.as_deref(), Some(wanted), "{name}");
    }
}
