//! Requests through the real egress, looked at where they leave.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use egress::{Egress, EgressOptions, Incoming, Outgoing, Request, Resolve, SessionSpec, Transport, TransportError};
use futures_util::future::BoxFuture;
use model::{Credential, Digest, Environment, Host, Limits, Manifest, Target};
use policy::{Approval, Authority, Ceiling, Grant, Subject};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use url::Url;

use crate::choices::Choices;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Dialled {
    /// Nothing left.
    Refused,
    /// It left for this URL.
    Sent(Url),
    /// This name was asked of the resolver.
    Resolved(String),
    /// This address would have been dialled, and was denied.
    Denied(IpAddr),
}

type Seen = Arc<Mutex<Vec<Dialled>>>;

/// One host, with two ways out: one that writes down what leaves, and the real network
/// with a resolver that knows no name.
struct Stage {
    runtime: Runtime,
    seen: Seen,
    recorded: Arc<Egress>,
    network: Arc<Egress>,
    manifest: Manifest,
    ceiling: Arc<Ceiling>,
}

static STAGE: LazyLock<Mutex<Stage>> = LazyLock::new(|| Mutex::new(Stage::new()));

#[derive(Debug)]
struct Recorder(Seen);

impl Transport for Recorder {
    fn send(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportError>> {
        note(&self.0, Dialled::Sent(outgoing.url().clone()));
        Box::pin(async { Ok(Incoming::whole(200, &[], Bytes::new())) })
    }
}

impl Resolve for Recorder {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        note(&self.0, Dialled::Resolved(host));
        Box::pin(async { Err(io::Error::from(io::ErrorKind::NotFound)) })
    }
}

fn note(seen: &Seen, dialled: Dialled) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(dialled);
}

/// Everything that a request under this rule made happen outside.
pub(crate) fn dial(rule: &str, method: &str, url: &str, choices: &mut Choices<'_>) -> Vec<Dialled> {
    let stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(authority) = stage.authority(rule) else { return vec![Dialled::Refused] };
    stage.send(&stage.recorded, authority.clone(), method, url);
    // A client for each origin is slow to make; and nothing public is ever dialled.
    if choices.one_in(8) && leads_nowhere(&authority, method, url) {
        stage.send(&stage.network, authority, method, url);
    }
    std::mem::take(&mut *stage.seen.lock().unwrap_or_else(PoisonError::into_inner))
}

fn leads_nowhere(authority: &Authority, method: &str, url: &str) -> bool {
    let Ok(permit) = Target::parse(method, url).map(|target| authority.decide(target)) else { return true };
    let Ok(permit) = permit else { return true };
    match permit.target().host {
        Host::Name(_) => true,
        Host::Address(address) => permit.addresses().check((address, permit.target().port).into()).is_err(),
    }
}

impl Stage {
    fn new() -> Self {
        let seen = Seen::default();
        let recorder = || Arc::new(Recorder(Arc::clone(&seen)));
        let options = EgressOptions { resolver: recorder(), clock_ms: Arc::new(|| 0), ..EgressOptions::default() };
        let manifest = json!({
            "manifest_version": 1, "id": "p", "version": "1.0.0", "label": "p", "publisher": "p", "license": "MIT",
            "support": { "owner": "p", "contact": "p@example.com", "policy": "none" }, "purpose": "p", "data": "p",
            "actions": [{
                "id": "go", "label": "go", "help": "go", "effect": "create", "idempotency": { "kind": "none" },
                "destinations": ["* any", "* https://*.example", "* http://a.b"], "input": {}, "output": {},
                "sample": { "input": {}, "output": {} },
            }],
        });
        let ceiling = "version = 1\nallowed = [\"* https://*:*\", \"* http://*:*\"]";
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            recorded: Arc::new(Egress::with_transport(options.clone(), recorder())),
            network: Arc::new(Egress::new(options).expect("a way out")),
            manifest: serde_json::from_value(manifest).expect("a manifest"),
            ceiling: Arc::new(Ceiling::parse(ceiling, "ceiling.toml").expect("a ceiling")),
            seen,
        }
    }

    fn authority(&self, rule: &str) -> Option<Authority> {
        let grant = format!("version = 1\nplugin = \"p\"\n[operations.go]\ndestinations = [{rule:?}]");
        let environment: Environment = "test".parse().expect("a name");
        let digest = Digest::of(b"p");
        let approval = Arc::new(Approval {
            digest,
            environment: environment.clone(),
            grant: Grant::parse(&grant, "grant.toml").ok()?,
            approved_by: "p".to_owned(),
            approved_at_ms: 0,
            note: None,
        });
        let subject = Subject::Action(&self.manifest.actions[0]);
        Authority::try_new(&self.ceiling, Some(&approval), &digest, &environment, &self.manifest, subject, None).ok()
    }

    fn send(&self, egress: &Arc<Egress>, authority: Authority, method: &str, url: &str) {
        let limits = Limits { requests_per_minute: 1 << 40, ..Limits::default() };
        self.runtime.block_on(async {
            let deadline = Instant::now() + Duration::from_secs(60);
            let digest = *authority.digest();
            let (connection, credential, lent) = (None, Credential::None, None);
            let spec = SessionSpec { digest, connection, authority, credential, limits, deadline, lent };
            let session = egress.session(spec);
            let request = Request { method: method.to_owned(), url: url.to_owned(), ..Request::default() };
            // What it answers is told by what was seen; records tell which address was denied.
            let _ = session.send(request).await;
            for record in session.records() {
                let address = record.address.filter(|_| !record.allowed);
                if let Some(address) = address.and_then(|text| text.parse::<std::net::SocketAddr>().ok()) {
                    note(&self.seen, Dialled::Denied(address.ip()));
                }
            }
        });
    }
}
