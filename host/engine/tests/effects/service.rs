//! A service that notes what it was asked, and the connector that speaks with it.
//!
//! What it notes outlives the host. How it is to fail is in `Known`.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use engine::{Accepted, Connector, Connectors, Engine, EngineError, Incoming, NewConnection, Wasm};
use futures_util::future::BoxFuture;
use model::{Credential, Digest, Failure, Manifest, Problem, RunId};
use policy::Grant;
use sandbox::{Answer, Call, Event, Expected, Report, Work};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::{Barrier, Semaphore};

use crate::world::{Host, ManualClock, id, test};

const GRANT: &str = "version = 1\nplugin = \"service\"\n[operations.note]\n[operations.fire]\n[operations.queue]\n[operations.slow]\n[operations.events]\n[operations.check]\n\
                     [limits]\nrequests_per_minute = 60000\nconcurrency = 64\n";

/// One call, as the service saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// What it was about.
    pub(crate) mark: String,
    pub(crate) run: String,
    /// The idempotency key.
    pub(crate) key: String,
}

/// What the service knows.
#[derive(Default)]
pub(crate) struct Known {
    /// Every call that took effect, in order.
    pub(crate) notes: Vec<Note>,
    /// Calls that were made, those that failed included.
    pub(crate) calls: usize,
    /// The next answers, as long as there are any.
    pub(crate) failures: VecDeque<Failure>,
    /// The marks that each call found in its connector's state, when it was to keep its own.
    pub(crate) kept: Vec<Option<String>>,
    /// Whether the account's credential is refused.
    pub(crate) expired: bool,
    /// Refusals are answered only with one of these permits.
    pub(crate) gate: Option<Arc<Semaphore>>,
    /// Calls go on once so many are under way together.
    pub(crate) together: Option<Arc<Barrier>>,
    /// Lines with a call under way, and the most there were at once.
    pub(crate) under_way: Vec<String>,
    pub(crate) most_at_once: usize,
    /// Two calls of one line at once: this must stay empty.
    pub(crate) overlaps: Vec<String>,
}

/// Shared between the connector and the test.
#[derive(Clone, Default)]
pub(crate) struct Service(Arc<Mutex<Known>>);

impl Service {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("nobody panics with it")
    }

    /// The marks of one line, in order, a repeated one once.
    pub(crate) fn marks(&self, line: &str) -> Vec<String> {
        let of_line = |note: &Note| note.mark.starts_with(line).then(|| note.mark.clone());
        let mut marks: Vec<String> = self.lock().notes.iter().filter_map(of_line).collect();
        marks.dedup();
        marks
    }

    pub(crate) fn open(&self, folder: &Path, clock: &Arc<ManualClock>) -> Host {
        // What was under way died with the host before.
        self.lock().under_way.clear();
        Host::with_connectors(folder, clock, Arc::new(self.clone()))
    }

    /// Whether the credential is refused, and what the answer waits for.
    fn refuses(&self) -> Option<Option<Arc<Semaphore>>> {
        let mut known = self.lock();
        known.calls += 1;
        known.expired.then(|| known.gate.clone())
    }

    fn begin(&self, mark: &str, line: &str) -> Result<(), Failure> {
        let mut known = self.lock();
        if let Some(failure) = known.failures.pop_front() {
            return Err(failure);
        }
        if known.under_way.iter().any(|other| other == line) {
            known.overlaps.push(mark.to_owned());
        }
        known.under_way.push(line.to_owned());
        known.most_at_once = known.most_at_once.max(known.under_way.len());
        Ok(())
    }

    async fn invoke(&self, operation: &str, call: &Call, input: &Value) -> Result<Answer, Failure> {
        let mark = input["mark"].as_str().expect("a mark").to_owned();
        let line = mark.split('/').next().expect("a line").to_owned();
        if let Some(gate) = self.refuses() {
            if let Some(gate) = gate {
                gate.acquire().await.expect("never closed").forget();
            }
            return Err(Failure::AuthExpired);
        }
        self.begin(&mark, &line)?;
        if let (Some(state), true) = (&call.services.state, input["keep"] == json!(true)) {
            let before = state.get("mark".to_owned()).await.expect("readable");
            let before = before.map(|entry| String::from_utf8(entry.value).expect("text"));
            self.lock().kept.push(before);
            state.set("mark".to_owned(), Expected::Anything, mark.clone().into_bytes()).await.expect("kept");
        }
        let together = self.lock().together.clone();
        if let Some(together) = together {
            together.wait().await;
        }
        // Others have their turn while the service thinks.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut known = self.lock();
        known.under_way.retain(|other| *other != line);
        let (run, key) = (call.context.run.clone().unwrap_or_default(), call.context.idempotency_key.clone());
        let twice = operation == "fire" && known.notes.iter().any(|note| note.mark == mark && note.run == run);
        assert!(!twice, "{mark} was fired twice");
        known.notes.push(Note { mark, run, key });
        Ok(Answer::Output("{}".to_owned()))
    }
}

impl Connectors for Service {
    fn load(&self, _: Digest, _: Wasm) -> BoxFuture<'_, Result<Arc<dyn Connector>, Problem>> {
        let connector = self.clone();
        Box::pin(async move { Ok(Arc::new(connector) as Arc<dyn Connector>) })
    }
}

impl Connector for Service {
    fn describe(&self) -> BoxFuture<'_, Result<Manifest, Vec<Problem>>> {
        let manifest = serde_json::from_value(manifest());
        Box::pin(async move { manifest.map_err(|error| vec![Problem::new("manifest", error.to_string())]) })
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Report> {
        Box::pin(async move {
            let outcome = match &call.work {
                Work::Invoke { operation, input } => {
                    let input = serde_json::from_str(input).expect("JSON");
                    self.invoke(operation.as_str(), &call, &input).await
                }
                Work::Receive { delivery, .. } => self.receive(&delivery.body),
                Work::Check if self.lock().expired => Err(Failure::AuthExpired),
                Work::Check => Ok(Answer::Account("ana".to_owned())),
                other => Err(Failure::Permanent { message: format!("nobody asks for {other:?}") }),
            };
            Report { outcome, accesses: Vec::new(), log: Vec::new(), sent: false, duration_us: 1, memory_bytes: 1 }
        })
    }
}

impl Service {
    /// A delivery is a list of events.
    fn receive(&self, body: &[u8]) -> Result<Answer, Failure> {
        if let Some(failure) = self.lock().failures.pop_front() {
            return Err(failure);
        }
        let events: Vec<Value> = serde_json::from_slice(body).expect("a list");
        let event = |event: Value| Event { dedupe_key: None, payload: event.to_string() };
        Ok(Answer::Events(events.into_iter().map(event).collect()))
    }
}

/// Installs and approves the connector, and makes its connections.
pub(crate) async fn set_up(engine: &Engine) {
    engine.install_plugin(b"the service's connector".to_vec(), "test").await.expect("installed");
    let grant = Grant::parse(GRANT, "grant.toml").expect("a grant");
    engine.approve_plugin("service", grant, test(), "test", None).await.expect("approved");
    connect(engine, "account", "service").await;
    connect(engine, "hook", "webhook").await;
}

pub(crate) async fn connect(engine: &Engine, id: &str, plugin: &str) {
    let credential = match plugin {
        "webhook" => Credential::None,
        _ => Credential::Bearer { token: SecretString::from("a token of the account") },
    };
    let new = NewConnection {
        id: id.parse().expect("a name"),
        environment: test(),
        plugin: plugin.parse().expect("a name"),
        team: None,
        label: None,
        base_url: None,
        credential,
        webhook_secret: Some(SecretString::from("correct horse")),
        scopes: Vec::new(),
    };
    engine.add_connection(new, "test").await.expect("connected");
}

/// Delivers a body to a flow.
pub(crate) async fn send(engine: &Engine, flow: &str, key: &str, body: &Value) -> Result<RunId, EngineError> {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![header("x-token", "correct horse"), header("x-id", key)];
    let incoming = Incoming { headers, query: String::new(), body: body.to_string().into() };
    Ok(match engine.accept(&test(), &id(flow), incoming).await? {
        Accepted::Queued { run } | Accepted::Duplicate { run } => run,
        Accepted::Completed(result) => result.run,
    })
}

fn manifest() -> Value {
    let object = json!({ "type": "object" });
    let input = json!({ "type": "object", "properties": { "mark": { "type": "string" } }, "required": ["mark"] });
    let action = |id: &str, idempotency: &str| {
        json!({
            "id": id, "label": id, "help": "Notes it.", "effect": "create", "idempotency": { "kind": idempotency },
            "destinations": [], "connection": "required", "input": input, "output": object,
            "sample": { "input": { "mark": "a/1" }, "output": {} },
        })
    };
    let (mut queue, mut slow) = (action("queue", "natural"), action("slow", "natural"));
    queue["concurrency_key"] = json!("/mark");
    slow["rate"] = json!({ "calls": 2, "per_s": 60 });
    json!({
        "manifest_version": 1, "id": "service", "version": "1.0.0", "label": "Service", "publisher": "tests",
        "license": "MIT", "support": { "owner": "tests", "contact": "tests@example.com", "policy": "none" },
        "purpose": "Stands for a service.", "data": "Marks.",
        "connection": { "auth": [{ "scheme": "bearer", "help": "a token" }], "check": { "destinations": [] } },
        "actions": [action("note", "natural"), action("fire", "none"), queue, slow],
        "triggers": [{
            "id": "events", "label": "Events", "help": "Fires when delivered.",
            "webhook": {
                "verification": { "scheme": "token", "header": "x-token" },
                "delivery_key": { "from": "header", "name": "x-id" },
            },
            "config": object, "event": { "type": "object" },
            "sample": { "config": {}, "body": [], "event": {} },
        }],
    })
}
