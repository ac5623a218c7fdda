//! Documents that are wrong: every problem at once, with its place and the way out.

use model::Problem;
use policy::{Approval, Ceiling, Grant};

/// Each problem in short: place without the file's name, code, fix.
fn check<T: std::fmt::Debug>(answer: Result<T, Vec<Problem>>, wanted: &[(&str, &str, &str)]) {
    let problems = answer.expect_err("a document that is wrong");
    let short: Vec<(String, String, String)> = problems
        .iter()
        .map(|problem| {
            let place = problem.field.clone().unwrap().strip_prefix("a.toml:").unwrap().to_owned();
            (place, problem.code.clone(), problem.fix.clone().unwrap_or_default())
        })
        .collect();
    let short: Vec<(&str, &str, &str)> = short.iter().map(|(a, b, c)| (&**a, &**b, &**c)).collect();
    assert_eq!(short, wanted, "{problems:#?}");
}

#[test]
fn every_problem_is_told_in_one_pass() {
    let text = r#"version = 2
plugin = "Slack"
scope = ["chat:write"]
addresses = ["localhost:80"]
review_by = 2027-02-29

[operations.post-message]
destination = ["POST https://slack.com"]

[operations.get]
destinations = ["GET https://*", 5, "GET ftp://x", "GET https://a.com", "GET https://a.com/**"]

[limits]
wall_ms = "long"
wal_ms = 5
cpu_ms = 0

[folders.in]
path = "in"
"#;
    let places = [
        ("1:11", "version", "version = 1"),
        ("2:10", "bad-value", ""),
        ("3:1", "unknown-key", "did you mean \"scopes\"?"),
        ("4:14", "bad-value", ""),
        ("8:1", "unknown-key", "did you mean \"destinations\"?"),
        ("11:17", "bad-value", ""),
        ("11:34", "wrong-type", ""),
        ("11:37", "bad-value", ""),
        ("11:73", "repeated", "remove one of the two"),
        ("14:11", "wrong-type", ""),
        ("15:1", "unknown-key", "did you mean \"wall_ms\"?"),
        ("16:10", "bad-value", "cpu_ms = 1 or more"),
        ("18:1", "missing-key", "add the line: access = \"read\""),
        ("19:8", "bad-value", ""),
    ];
    let without_date = text.replace("review_by = 2027-02-29\n", "\n");
    check(Grant::parse(&without_date, "a.toml"), &places);
    assert!(Grant::parse(text, "a.toml").unwrap_err()[0].what.contains("date"), "no such day");
    let problems = Grant::parse(&without_date, "a.toml").unwrap_err();
    assert_eq!(problems[12].what, "the key \"access\" is missing in [folders.in]");
}

#[test]
fn a_ceiling_is_as_strict() {
    check(Ceiling::parse("", "a.toml"), &[("1:1", "missing-key", "add the line: version = 1")]);
    let text = "version = 1\nallow = []\nmethods = [\"get\"]\naddresses = [\"10.1.0.0/8:443\"]\nregions = [\"eu\"]\nlimits = 5";
    check(
        Ceiling::parse(text, "a.toml"),
        &[
            ("2:1", "unknown-key", "did you mean \"allowed\"?"),
            ("3:12", "bad-value", ""),
            ("4:14", "bad-value", ""),
            (
                "5:1",
                "unknown-key",
                "remove it; known here: version, allowed, denied, methods, addresses, publishers, folders, limits",
            ),
            ("6:10", "wrong-type", ""),
        ],
    );
}

#[test]
fn a_misspelt_method_is_refused_where_it_stands() {
    let grant = "version = 1\nplugin = \"a\"\n[operations.get]\n\
         destinations = [\"GTE https://a.com/**\", \"GET,PSOT https://b.com\", \"PROPFIND https://c.com\"]";
    check(
        Grant::parse(grant, "a.toml"),
        &[("4:17", "unknown-method", "did you mean \"GET\"?"), ("4:41", "unknown-method", "did you mean \"POST\"?")],
    );
    let ceiling = "version = 1\nmethods = [\"GET\", \"DELET\"]\ndenied = [\"PTACH https://a.com\"]";
    check(
        Ceiling::parse(ceiling, "a.toml"),
        &[
            ("2:19", "unknown-method", "did you mean \"DELETE\"?"),
            ("3:11", "unknown-method", "did you mean \"PATCH\"?"),
        ],
    );
}

#[test]
fn an_approval_stored_with_an_unknown_method_is_still_read() {
    let stored = serde_json::json!({
        "version": 1, "plugin": "a", "operations": { "get": { "destinations": ["GTE https://a.com/**"] } },
    });
    assert!(serde_json::from_value::<Grant>(stored).is_ok());
}

#[test]
fn what_is_not_toml_says_where() {
    for text in ["version = 1\nplugin = ", "version = 1\nplugin = \"a\"\nplugin = \"a\"", "version = 1\n[limits\n"] {
        let problems = Grant::parse(text, "a.toml").unwrap_err();
        assert_eq!(problems[0].code, "syntax", "{text}");
        assert!(problems[0].field.as_deref().unwrap().starts_with("a.toml:"), "{problems:?}");
    }
}

#[test]
fn a_date_may_be_written_with_or_without_quotes() {
    for day in ["2027-01-31", "\"2027-01-31\""] {
        let grant = Grant::parse(&format!("version = 1\nplugin = \"a\"\nreview_by = {day}"), "a.toml").unwrap();
        assert_eq!(grant.review_by.unwrap().to_string(), "2027-01-31");
    }
}

#[test]
fn an_approval_is_kept_as_json_and_stays_strict() {
    let grant = Grant::parse(include_str!("../../../../policies/slack.toml"), "slack.toml").unwrap();
    let approval = Approval {
        digest: model::Digest::of(b"x"),
        environment: "test".parse().unwrap(),
        grant,
        approved_by: "ada".into(),
        approved_at_ms: 1,
        note: None,
    };
    let text = serde_json::to_string(&approval).unwrap();
    assert_eq!(serde_json::from_str::<Approval>(&text).unwrap(), approval);
    for (good, bad) in [
        ("\"version\":1", "\"version\":2"),
        ("\"plugin\":", "\"teem\":[],\"plugin\":"),
        ("https://slack.com/api/chat.update", "https://*"),
    ] {
        let changed = text.replacen(good, bad, 1);
        assert_ne!(changed, text);
        assert!(serde_json::from_str::<Approval>(&changed).is_err(), "{bad}");
    }
}
