//! Manifests shaped like the shipped connectors, and one builder for a whole case.

use std::sync::Arc;

use model::{Digest, Environment, Manifest, Target, parse_base_url};
use policy::{
    Approval, Authority, Ceiling, ConnectionFacts, Denial, Explanation, Grant, Permit, Subject, explain, subjects,
};
use serde_json::{Value, json};

pub(crate) fn action(id: &str, destinations: &[&str], scopes: &[&str], connection: &str, files: &str) -> Value {
    let scopes: Vec<Value> = scopes.iter().map(|name| json!({ "name": name, "why": "for the test" })).collect();
    json!({
        "id": id, "label": id, "help": id, "effect": "create", "idempotency": { "kind": "none" },
        "destinations": destinations, "scopes": scopes, "connection": connection, "files": files,
        "input": {}, "output": {}, "sample": { "input": {}, "output": {} },
    })
}

fn trigger(id: &str) -> Value {
    json!({
        "id": id, "label": id, "help": id, "config": {}, "event": {},
        "webhook": { "verification": { "scheme": "github" }, "delivery_key": { "from": "fingerprint" } },
        "sample": { "config": {}, "body": {}, "event": {} },
    })
}

pub(crate) fn manifest(id: &str, connection: &Value, actions: &[Value], triggers: &[&str]) -> Manifest {
    let triggers: Vec<Value> = triggers.iter().map(|id| trigger(id)).collect();
    let manifest = json!({
        "manifest_version": 1, "id": id, "version": "1.0.0", "label": id, "publisher": "Sluicegate",
        "license": "MIT", "support": { "owner": "us", "contact": "us@example.com", "policy": "community" },
        "purpose": "tests", "data": "none", "connection": connection, "actions": actions, "triggers": triggers,
    });
    serde_json::from_value(manifest).unwrap()
}

pub(crate) fn github() -> Manifest {
    let connection = json!({
        "base_url": { "default": "https://api.github.com", "help": "the API's root" },
        "auth": [{ "scheme": "bearer", "help": "a token" }],
        "check": { "destinations": ["GET {base-url}/user"] },
    });
    let issues = "{base-url}/repos/*/*/issues";
    let actions = vec![
        action("create-issue", &[&format!("POST {issues}")], &["issues:write"], "required", "none"),
        action("comment-on-issue", &[&format!("POST {issues}/*/comments")], &["issues:write"], "required", "none"),
        action("add-labels", &[&format!("POST {issues}/*/labels")], &["issues:write"], "required", "none"),
        action("list-issues", &[&format!("GET {issues}")], &["issues:read"], "optional", "none"),
    ];
    let mut manifest = manifest("github", &connection, &actions, &["issue", "pull-request", "push"]);
    let hooks = "{base-url}/repos/*/*/hooks";
    for trigger in &mut manifest.triggers {
        let destinations = [format!("GET,POST {hooks}"), format!("PATCH,DELETE {hooks}/*")];
        trigger.subscription = parsed(json!({
            "destinations": destinations, "by_hand": "in the settings",
            "scopes": [{ "name": "repository_hooks:write", "why": "for the test" }],
        }));
    }
    let scopes = ["issues:read"];
    manifest.triggers.push(polled("new-issue", &[&format!("GET {issues}")], &scopes, "required", "none"));
    manifest.discovery = parsed(discovery(&["GET {base-url}/user/repos", "GET {base-url}/repos/*/*/labels"], &scopes));
    manifest
}

fn parsed<T: serde::de::DeserializeOwned>(document: Value) -> Option<T> {
    Some(serde_json::from_value(document).unwrap())
}

fn polled(id: &str, destinations: &[&str], scopes: &[&str], connection: &str, files: &str) -> model::Trigger {
    let scopes: Vec<Value> = scopes.iter().map(|name| json!({ "name": name, "why": "for the test" })).collect();
    let trigger = json!({
        "id": id, "label": id, "help": id, "kind": "poll", "config": {}, "event": {},
        "poll": {
            "every_s": 300, "destinations": destinations, "scopes": scopes, "connection": connection, "files": files,
        },
        "sample": { "config": {}, "event": {} },
    });
    serde_json::from_value(trigger).unwrap()
}

fn discovery(destinations: &[&str], scopes: &[&str]) -> Value {
    let scopes: Vec<Value> = scopes.iter().map(|name| json!({ "name": name, "why": "for the test" })).collect();
    json!({
        "destinations": destinations, "connection": "required", "scopes": scopes,
        "choices": [{ "field": "thing", "label": "A thing", "help": "All of them." }],
    })
}

pub(crate) fn slack() -> Manifest {
    let connection = json!({
        "base_url": { "default": "https://slack.com/api", "help": "the API's root" },
        "auth": [{ "scheme": "bearer", "help": "a token" }],
        "check": { "destinations": ["POST {base-url}/auth.test"] },
    });
    let api = "{base-url}";
    let mail = ["users:read", "users:read.email"];
    let actions = vec![
        action("post-message", &[&format!("POST {api}/chat.postMessage")], &["chat:write"], "required", "none"),
        action("update-message", &[&format!("POST {api}/chat.update")], &["chat:write"], "required", "none"),
        action("find-user", &[&format!("GET {api}/users.lookupByEmail")], &mail, "required", "none"),
    ];
    let mut manifest = manifest("slack", &connection, &actions, &[]);
    manifest.discovery = parsed(discovery(&["GET {base-url}/conversations.list"], &["channels:read"]));
    manifest
}

/// A connector without a base URL: its manifest fixes every place.
pub(crate) fn fixed() -> Manifest {
    let connection = json!({
        "auth": [{ "scheme": "bearer", "help": "a token" }],
        "check": { "destinations": ["POST https://slack.com/api/auth.test"] },
    });
    let api = "https://slack.com/api";
    let mail = ["users:read", "users:read.email"];
    let actions = vec![
        action("post-message", &[&format!("POST {api}/chat.postMessage")], &["chat:write"], "required", "none"),
        action("update-message", &[&format!("POST {api}/chat.update")], &["chat:write"], "required", "none"),
        action("find-user", &[&format!("GET {api}/users.lookupByEmail")], &mail, "required", "none"),
    ];
    manifest("slack", &connection, &actions, &[])
}

pub(crate) fn http() -> Manifest {
    let connection = json!({
        "base_url": { "help": "the root of the service" },
        "auth": [{ "scheme": "none", "help": "public" }],
    });
    let actions = vec![
        action("get", &["GET any"], &[], "optional", "none"),
        action("send", &["POST,PUT,PATCH,DELETE any"], &[], "optional", "none"),
        action("send-once", &["POST,PUT,PATCH,DELETE any"], &[], "optional", "none"),
        action("download", &["GET any"], &[], "optional", "write"),
        action("upload", &["PUT,POST any"], &[], "optional", "read"),
    ];
    manifest("http", &connection, &actions, &[])
}

pub(crate) fn files() -> Manifest {
    let reads = ["list", "read-text", "read-csv", "read-json-lines"].map(|id| (id, "read"));
    let writes = ["write-text", "append-text", "append-csv", "append-json-lines"].map(|id| (id, "write"));
    let actions: Vec<_> =
        reads.into_iter().chain(writes).map(|(id, access)| action(id, &[], &[], "none", access)).collect();
    let mut manifest = manifest("files", &Value::Null, &actions, &[]);
    manifest.triggers = ["new-file", "file-changed"].map(|id| polled(id, &[], &[], "none", "read")).into();
    manifest
}

/// Everything that one decision needs; tests change what they are about.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) ceiling: Arc<Ceiling>,
    pub(crate) approval: Option<Arc<Approval>>,
    pub(crate) digest: Digest,
    pub(crate) environment: Environment,
    pub(crate) manifest: Manifest,
    pub(crate) operation: String,
    pub(crate) connection: Option<ConnectionFacts>,
}

pub(crate) const OPEN: &str = "version = 1\nallowed = [\"* https://*:*\", \"* http://*:*\"]\n\
     addresses = [\"127.0.0.0/8:*\"]\nfolders = [\"/srv\"]";

impl Case {
    pub(crate) fn new(ceiling: &str, grant: &str, manifest: Manifest, operation: &str) -> Self {
        let digest = Digest::of(manifest.id.as_str().as_bytes());
        let environment: Environment = "test".parse().unwrap();
        let grant = Grant::parse(grant, "grant.toml").unwrap();
        let approval = Approval {
            digest,
            environment: environment.clone(),
            grant,
            approved_by: "ada".into(),
            approved_at_ms: 0,
            note: None,
        };
        let ceiling = Arc::new(Ceiling::parse(ceiling, "ceiling.toml").unwrap());
        let (approval, operation) = (Some(Arc::new(approval)), operation.to_owned());
        Self { ceiling, approval, digest, environment, manifest, operation, connection: None }
    }

    pub(crate) fn connected(mut self, base_url: Option<&str>, scopes: &[&str]) -> Self {
        self.connection = Some(ConnectionFacts {
            id: "account".parse().unwrap(),
            label: "An account".into(),
            plugin: self.manifest.id.clone(),
            environment: self.environment.clone(),
            team: None,
            base_url: base_url.map(|url| parse_base_url(url).unwrap()),
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        });
        self
    }

    pub(crate) fn with_grant(&self, change: impl FnOnce(&mut Grant)) -> Self {
        let mut approval = (**self.approval.as_ref().unwrap()).clone();
        change(&mut approval.grant);
        Self { approval: Some(Arc::new(approval)), ..self.clone() }
    }

    /// `issue` reads a delivery, `issue/subscription` sets its webhook up.
    pub(crate) fn subject(&self) -> Subject<'_> {
        let is_meant = |subject: &Subject<'_>| match subject {
            Subject::Poll(trigger, _) => format!("{}/poll", trigger.id) == self.operation,
            Subject::Subscription(trigger, _) => format!("{}/subscription", trigger.id) == self.operation,
            Subject::Action(_)
            | Subject::Check(_)
            | Subject::Trigger(_)
            | Subject::Discovery(_)
            | Subject::Migration(_) => subject.name() == self.operation,
        };
        subjects(&self.manifest).into_iter().find(is_meant).unwrap()
    }

    pub(crate) fn authority(&self) -> Result<Authority, Denial> {
        Authority::try_new(
            &self.ceiling,
            self.approval.as_ref(),
            &self.digest,
            &self.environment,
            &self.manifest,
            self.subject(),
            self.connection.as_ref(),
        )
    }

    pub(crate) fn decide(&self, method: &str, url: &str) -> Result<Permit, Denial> {
        self.authority()?.decide(Target::parse(method, url).unwrap())
    }

    pub(crate) fn explain(&self, method: &str, url: &str) -> Explanation {
        explain(
            &self.ceiling,
            self.approval.as_ref(),
            &self.digest,
            &self.environment,
            &self.manifest,
            self.subject(),
            self.connection.as_ref(),
            &Target::parse(method, url).unwrap(),
        )
    }
}
