//! One host under test: its clock, its resolver, and the grants that tests give.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use egress::{Egress, EgressOptions, Lent, Request, Resolve, Session, SessionSpec};
use futures_util::future::BoxFuture;
use model::{Credential, Digest, Environment, Limits, Manifest, parse_base_url};
use policy::{Approval, Authority, Ceiling, ConnectionFacts, Grant, Subject};
use serde_json::json;
use tokio::time::Instant;

/// When tests begin.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// Answers as it is told, one answer after the other; the last one stays.
#[derive(Default)]
pub(crate) struct Liar {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Liar {
    pub(crate) fn says(&self, host: &str, answers: &[&[&str]]) {
        let parse = |list: &&[&str]| list.iter().map(|ip| ip.parse().expect("an address")).collect();
        let answers = answers.iter().rev().map(parse).collect();
        self.answers.lock().expect("not poisoned").insert(host.to_owned(), answers);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

impl Resolve for Liar {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.answers.lock().expect("not poisoned");
        let answer = match answers.get_mut(&host) {
            Some(list) if list.len() > 1 => Ok(list.pop().expect("has more than one")),
            Some(list) => Ok(list[0].clone()),
            None => Err(io::Error::other("no such name")),
        };
        self.asked.lock().expect("not poisoned").push(host);
        Box::pin(async move { answer })
    }
}

/// One host.
pub(crate) struct World {
    pub(crate) egress: Arc<Egress>,
    pub(crate) resolver: Arc<Liar>,
    clock: Arc<AtomicU64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EgressOptions)) -> Self {
        let (resolver, clock) = (Arc::new(Liar::default()), Arc::new(AtomicU64::new(START_MS)));
        let now = Arc::clone(&clock);
        let mut options = EgressOptions {
            resolver: Arc::clone(&resolver) as Arc<dyn Resolve>,
            clock_ms: Arc::new(move || now.load(Ordering::SeqCst)),
            ..EgressOptions::default()
        };
        change(&mut options);
        Self { egress: Arc::new(Egress::new(options).expect("starts")), resolver, clock }
    }

    pub(crate) fn pass_ms(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn session(&self, given: &Given) -> Arc<Session> {
        given.session(&self.egress)
    }
}

/// What a test gives its connector.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) rules: Vec<String>,
    pub(crate) addresses: Vec<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) credential: Credential,
    pub(crate) limits: Limits,
    pub(crate) component: &'static str,
    pub(crate) connection: &'static str,
    pub(crate) environment: &'static str,
    /// A reference, and what is written in its place.
    pub(crate) lent: Option<(&'static str, &'static str)>,
}

impl Given {
    /// These destinations, and these loopback ports.
    pub(crate) fn new(rules: &[&str], ports: &[u16]) -> Self {
        Self {
            rules: rules.iter().map(|&rule| rule.to_owned()).collect(),
            addresses: ports.iter().map(|port| format!("127.0.0.1:{port}")).collect(),
            base_url: None,
            credential: Credential::None,
            limits: Limits::default(),
            component: "component",
            connection: "account",
            environment: "test",
            lent: None,
        }
    }

    /// Everything on these loopback ports; the first one is the connection's service.
    pub(crate) fn ports(ports: &[u16]) -> Self {
        let rules: Vec<String> = ports.iter().map(|port| format!("* http://127.0.0.1:{port}")).collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        Self { base_url: Some(format!("http://127.0.0.1:{}", ports[0])), ..Self::new(&rules, ports) }
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        Self { credential: Credential::Bearer { token: token.into() }, ..self }
    }

    pub(crate) fn lending(self, reference: &'static str, secret: &'static str) -> Self {
        Self { lent: Some((reference, secret)), ..self }
    }

    pub(crate) fn session(&self, egress: &Arc<Egress>) -> Arc<Session> {
        egress.session(SessionSpec {
            digest: Digest::of(self.component.as_bytes()),
            connection: self.base_url.is_some().then(|| self.connection.parse().expect("an id")),
            authority: self.authority(),
            credential: self.credential.clone(),
            limits: self.limits,
            deadline: Instant::now() + Duration::from_secs(60),
            lent: self.lent.map(|(reference, secret)| Lent { reference: reference.to_owned(), secret: secret.into() }),
        })
    }

    fn authority(&self) -> Authority {
        let ceiling = "version = 1\nallowed = [\"* https://*:*\", \"* http://*:*\"]\n\
                       methods = [\"GET\", \"HEAD\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\"]\n\
                       addresses = [\"127.0.0.1:*\"]\n";
        let ceiling = Arc::new(Ceiling::parse(ceiling, "ceiling.toml").expect("a ceiling"));
        let grant = format!(
            "version = 1\nplugin = \"probe\"\naddresses = {:?}\n[operations.go]\ndestinations = {:?}\n",
            self.addresses, self.rules
        );
        let digest = Digest::of(self.component.as_bytes());
        let environment: Environment = self.environment.parse().expect("an environment");
        let approval = Arc::new(Approval {
            digest,
            environment: environment.clone(),
            grant: Grant::parse(&grant, "grant.toml").expect("a grant"),
            approved_by: "tester".to_owned(),
            approved_at_ms: START_MS,
            note: None,
        });
        let manifest = self.manifest();
        let facts = self.base_url.as_ref().map(|url| ConnectionFacts {
            id: self.connection.parse().expect("an id"),
            label: "Account".to_owned(),
            plugin: manifest.id.clone(),
            environment: environment.clone(),
            team: None,
            base_url: Some(parse_base_url(url).expect("a base URL")),
            scopes: Vec::new(),
        });
        let subject = Subject::Action(&manifest.actions[0]);
        Authority::try_new(&ceiling, Some(&approval), &digest, &environment, &manifest, subject, facts.as_ref())
            .unwrap_or_else(|denial| panic!("{denial}"))
    }

    fn manifest(&self) -> Manifest {
        let document = json!({
            "manifest_version": 1, "id": "probe", "version": "1.0.0", "label": "Probe", "publisher": "Tests",
            "license": "MIT", "support": { "owner": "tests", "contact": "tests", "policy": "none" },
            "purpose": "Probes.", "data": "None.",
            "connection": { "base_url": { "help": "Where." }, "auth": [{ "scheme": "none", "help": "None." }] },
            "actions": [{
                "id": "go", "label": "Go", "help": "Goes.", "effect": "read", "idempotency": { "kind": "natural" },
                "destinations": self.rules, "connection": "optional",
                "input": {}, "output": {}, "sample": { "input": null, "output": null },
            }],
        });
        serde_json::from_value(document).expect("a manifest")
    }
}

pub(crate) fn get(url: impl Into<String>) -> Request {
    Request { method: "GET".to_owned(), url: url.into(), ..Request::default() }
}

pub(crate) fn post(url: impl Into<String>, body: &'static str) -> Request {
    Request { method: "POST".to_owned(), url: url.into(), body: body.into(), ..Request::default() }
}

pub(crate) fn with_header(request: Request, name: &str, value: &str) -> Request {
    let mut request = request;
    request.headers.push((name.to_owned(), value.to_owned()));
    request
}
