//! Connector x destination x scope under the shipped documents, as a committed file
//! that a reviewer reads: a change of policy is a change of this file.

use std::fmt::Write as _;
use std::path::Path;

use model::Manifest;
use policy::{Subject, subjects};

use crate::fixtures::{Case, files, github, http, slack};
use crate::shipped::{compare, read};

const REQUESTS: [(&str, &str); 28] = [
    ("GET", "https://api.github.com/user"),
    ("GET", "https://api.github.com/repos/acme/app/issues"),
    ("POST", "https://api.github.com/repos/acme/app/issues"),
    ("POST", "https://api.github.com/repos/acme/app/issues/1/comments"),
    ("POST", "https://api.github.com/repos/acme/app/issues/1/labels"),
    ("DELETE", "https://api.github.com/repos/acme/app"),
    ("GET", "https://api.github.com/user/repos"),
    ("GET", "https://api.github.com/repos/acme/app/labels"),
    ("POST", "https://api.github.com/repos/acme/app/hooks"),
    ("PATCH", "https://api.github.com/repos/acme/app/hooks/7"),
    ("DELETE", "https://api.github.com/repos/acme/app/hooks/7"),
    ("POST", "http://api.github.com/repos/acme/app/issues"),
    ("POST", "https://slack.com/api/chat.postMessage"),
    ("POST", "https://slack.com/api/chat.update"),
    ("GET", "https://slack.com/api/users.lookupByEmail"),
    ("POST", "https://slack.com/api/auth.test"),
    ("POST", "https://slack.com/api/chat.delete"),
    ("GET", "https://slack.com/api/conversations.list"),
    ("POST", "https://slack.com.evil.example/api/chat.postMessage"),
    ("GET", "https://api.example.com/"),
    ("HEAD", "https://api.example.com/deep/down"),
    ("POST", "https://api.example.com/"),
    ("GET", "http://api.example.com/"),
    ("GET", "http://169.254.169.254/latest/meta-data"),
    ("GET", "http://metadata.google.internal/"),
    ("GET", "http://127.0.0.1:9100/"),
    ("GET", "http://[::ffff:127.0.0.1]/"),
    ("GET", "https://10.0.0.1/"),
];

/// What the connection holds: nothing, a part, everything.
fn scopes(name: &str) -> &'static [&'static [&'static str]] {
    match name {
        "github" => &[&[], &["issues:read"], &["issues:read", "issues:write", "repository_hooks:write"]],
        "slack" => &[&[], &["chat:write"], &["chat:write", "channels:read", "users:read", "users:read.email"]],
        _ => &[&[]],
    }
}

fn operations(manifest: &Manifest) -> Vec<String> {
    let name = |subject: Subject<'_>| match subject {
        Subject::Poll(trigger, _) => format!("{}/poll", trigger.id),
        Subject::Subscription(trigger, _) => format!("{}/subscription", trigger.id),
        Subject::Action(_)
        | Subject::Check(_)
        | Subject::Trigger(_)
        | Subject::Discovery(_)
        | Subject::Migration(_) => subject.name().to_owned(),
    };
    subjects(manifest).into_iter().map(name).collect()
}

fn cases(name: &str, manifest: &Manifest, operation: &str) -> Vec<(String, Case)> {
    let grant = read(&format!("{name}.toml"));
    let case = Case::new(&read("ceiling.toml"), &grant, manifest.clone(), operation);
    let mut cases = vec![("no connection".to_owned(), case.clone())];
    if manifest.connection.is_some() {
        let base = (name == "http").then_some("https://api.example.com");
        let of = |scopes: &&[&str]| (format!("scopes [{}]", scopes.join(" ")), case.clone().connected(base, scopes));
        cases.extend(scopes(name).iter().map(of));
    }
    cases
}

#[test]
fn the_matrix_is_as_committed() {
    let mut text = String::from("# operation, connection: what may be sent; everything else of the list is denied\n");
    for (method, url) in REQUESTS {
        writeln!(text, "# {method} {url}").unwrap();
    }
    for (name, manifest) in [("github", github()), ("slack", slack()), ("http", http()), ("files", files())] {
        for operation in operations(&manifest) {
            for (with, case) in cases(name, &manifest, &operation) {
                writeln!(text, "\n{name}/{operation}, {with}").unwrap();
                if let Err(denial) = case.authority() {
                    writeln!(text, "    may not run: {}", denial.code).unwrap();
                    continue;
                }
                for (method, url) in REQUESTS {
                    if let Ok(permit) = case.decide(method, url) {
                        let credential = if permit.may_carry_credential() { ", with credential" } else { "" };
                        writeln!(text, "    {method} {url}{credential}").unwrap();
                    }
                }
            }
        }
    }
    compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/matrix.txt"), &text);
}
