//! The files under `policies/`: each parses, prints, fits its connector and the ceiling.

use std::path::{Path, PathBuf};

use model::Manifest;
use policy::{Ceiling, Grant, beyond, capabilities, uncovered};

use crate::fixtures::{files, fixed, github, http, slack};

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).expect(name)
}

fn connectors() -> [(&'static str, Manifest); 4] {
    [("github.toml", github()), ("slack.toml", slack()), ("http.toml", http()), ("files.toml", files())]
}

/// Compares with a committed file; with SLUICEGATE_REWRITE set it writes the file.
pub(crate) fn compare(path: &Path, text: &str) {
    if std::env::var_os("SLUICEGATE_REWRITE").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, committed, "{} is out of date: run the tests with SLUICEGATE_REWRITE=1", path.display());
}

#[test]
fn every_file_of_the_folder_is_loaded_here() {
    let mut known: Vec<String> = connectors().iter().map(|(name, _)| (*name).to_owned()).collect();
    known.extend(["ceiling.toml", "ceiling.schema.json", "grant.schema.json"].map(str::to_owned));
    known.sort();
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut found: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, known);
}

#[test]
fn the_shipped_documents_parse_print_and_fit() {
    let ceiling = Ceiling::parse(&read("ceiling.toml"), "ceiling.toml").unwrap();
    assert_eq!(Ceiling::parse(&ceiling.to_toml(), "printed"), Ok(ceiling.clone()));
    for (name, manifest) in connectors() {
        let grant = Grant::parse(&read(name), name).unwrap();
        assert_eq!(Grant::parse(&grant.to_toml(), "printed").as_ref(), Ok(&grant));
        // Where http may send, and which folders it has, is for the administrator to say.
        let left_open = if name == "http.toml" { 6 } else { 0 };
        assert_eq!(uncovered(&manifest, &grant).len(), left_open, "{name}: {:?}", uncovered(&manifest, &grant));
        assert_eq!(beyond(&ceiling, &grant), [], "{name}");
        assert!(!capabilities(&manifest).is_empty());
    }
}

#[test]
fn what_does_not_fit_is_told_beforehand() {
    let grant = "version = 1\nplugin = \"slack\"\naddresses = [\"127.0.0.1:80\"]\n[operations.post-mesage]\n\
         [operations.update-message]\ndestinations = [\"POST http://slack.com:8080/other\"]\n[operations.check]\n[limits]\nrequests = 9000\nhandles = 5000";
    let grant = Grant::parse(grant, "grant.toml").unwrap();
    let mut manifest = slack();
    manifest.limits.wall_ms = Some(50_000);
    let codes = |problems: Vec<model::Problem>| problems.into_iter().map(|problem| problem.code).collect::<Vec<_>>();
    let wanted = [
        "operation-not-granted",
        "destination-not-granted",
        "scope-not-granted",
        "destination-not-granted",
        "unknown-operation",
        "limit-not-granted",
    ];
    assert_eq!(codes(uncovered(&manifest, &grant)), wanted);
    let ceiling = Ceiling::parse(&read("ceiling.toml"), "ceiling.toml").unwrap();
    assert_eq!(codes(beyond(&ceiling, &grant)), ["beyond-ceiling"; 4]);
}

#[test]
fn methods_and_addresses_that_would_be_denied_are_told_beforehand() {
    let grant = "version = 1\nplugin = \"http\"\naddresses = [\"127.0.0.1:80\"]\n[operations.get]\ndestinations = [\n\
         \"GET http://127.0.0.1/**\", \"GET http://127.0.0.1:9100/**\", \"GET https://192.168.1.1\",\n\
         \"POST https://192.168.1.1\", \"GET https://8.8.8.8\", \"GET http://[::ffff:10.0.0.1]\"]";
    let grant = Grant::parse(grant, "grant.toml").unwrap();
    let told = uncovered(&http(), &grant);
    let told = told.iter().filter(|problem| problem.code.starts_with("address-"));
    let told: Vec<&str> = told.map(|problem| problem.what.as_str()).collect();
    let wanted = [
        "the grant sends to 127.0.0.1:9100, a loopback address that it does not name: it will be denied",
        "the grant sends to 192.168.1.1:443, a private address that it does not name: it will be denied",
        "the grant sends to [::ffff:10.0.0.1]:80, and IPv4-mapped addresses are never dialled",
    ];
    assert_eq!(told, wanted);
    let ceiling = Ceiling::parse(&read("ceiling.toml"), "ceiling.toml").unwrap();
    let grant = "version = 1\nplugin = \"http\"\n[operations.get]\ndestinations = [\"GET,OPTIONS https://a.com\"]";
    let grant = Grant::parse(grant, "grant.toml").unwrap();
    let told = beyond(&ceiling, &grant);
    assert!(told[0].what.ends_with("has no effect for \"OPTIONS\": the ceiling's methods leave it out"), "{told:?}");
    let fix = "in ceiling.toml, add to methods and start the host again:\n    \"OPTIONS\",";
    assert_eq!((told.len(), told[0].fix.as_deref()), (1, Some(fix)));
}

#[test]
fn the_published_schemas_are_those_of_the_code() {
    for (name, schema) in [("grant.schema.json", Grant::json_schema()), ("ceiling.schema.json", Ceiling::json_schema())]
    {
        compare(&folder().join(name), &format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()));
    }
}

#[test]
fn capabilities_read_as_a_person_would_say_them() {
    let text: Vec<String> = capabilities(&github()).iter().map(ToString::to_string).collect();
    assert_eq!(
        text[0],
        "create-issue (create-issue)\n  - makes something new\n  - sends POST to /repos/*/*/issues below the base URL of the connection\n  - uses the scope issues:write: for the test"
    );
    assert!(text.iter().any(|line| line.contains(
        "receives deliveries signed as GitHub signs\n  - to set its webhook up, sends GET,POST to /repos/*/*/hooks below"
    )));
    assert!(text.iter().any(|line| line.contains("asks every 300 s, unless a flow says otherwise\n  - when it asks,")));
    let text: Vec<String> = capabilities(&fixed()).iter().map(ToString::to_string).collect();
    assert!(text[0].contains("sends POST to https://slack.com/api/chat.postMessage"), "{}", text[0]);
    assert!(text[0].contains("uses the scope chat:write"), "{}", text[0]);
}
