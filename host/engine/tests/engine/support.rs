//! A host over a folder, with a clock of the test's own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use egress::{Egress, EgressOptions};
use engine::{Accepted, Clock, Engine, EngineError, Incoming, NewConnection, Options, Parts, RunStatus};
use flow::Format;
use model::{Credential, Environment, FlowId, RunId};
use policy::Ceiling;
use sandbox::Sandbox;
use secrecy::SecretString;
use store::JournalStore;
use vault::Vault;

pub(crate) const DAY_MS: u64 = 24 * 3_600_000;

pub(crate) struct ManualClock {
    pub(crate) now_ms: AtomicU64,
    pub(crate) drawn: AtomicU64,
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        self.drawn.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
    }
}

/// A host over a folder; dropping it is a crash as far as the engine is concerned.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<JournalStore>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Host {
    pub(crate) fn open(folder: &Path, clock: &Arc<ManualClock>, queue_max: usize) -> Self {
        let vault = Vault::open(&folder.join("vault.key")).expect("a key");
        let store = Arc::new(JournalStore::open(&folder.join("store"), store::Options::default()).expect("a store"));
        let ceiling = Ceiling::parse("version = 1\n", "ceiling.toml").expect("a ceiling");
        let parts = Parts {
            folder: folder.to_owned(),
            store: store.clone(),
            connectors: Arc::new(
                Sandbox::open(sandbox::Options::new(folder.join("cache"), vault.derive_key("test")))
                    .expect("a sandbox"),
            ),
            vault,
            egress: Arc::new(Egress::new(EgressOptions::default()).expect("egress")),
            ceiling: Arc::new(ceiling),
            clock: clock.clone(),
            options: Options { workers: 4, queue_max },
        };
        Self { engine: Engine::open(parts).expect("an engine"), store, clock: clock.clone() }
    }

    pub(crate) async fn connect(&self) {
        let new = NewConnection {
            id: "hook".parse().expect("a name"),
            environment: test(),
            plugin: "webhook".parse().expect("a name"),
            team: None,
            label: None,
            base_url: None,
            credential: Credential::None,
            webhook_secret: Some(SecretString::from("correct horse")),
            scopes: Vec::new(),
        };
        self.engine.add_connection(new, "test").await.expect("connected");
    }

    pub(crate) async fn publish(&self, document: &str) {
        self.engine.apply_flow(document, Format::Yaml, "flow.yaml", &test(), "test").await.expect("published");
    }

    pub(crate) async fn send(&self, flow: &str, body: &str) -> Result<Accepted, EngineError> {
        let headers = vec![("x-token".to_owned(), "correct horse".to_owned())];
        let incoming = Incoming { headers, query: String::new(), body: body.to_owned().into() };
        self.engine.accept(&test(), &id(flow), incoming).await
    }

    /// Waits until nothing is ready and nobody works.
    pub(crate) async fn settled(&self) {
        let waiting = async {
            while self.engine.health().ready + self.engine.health().running > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the queue comes to rest");
    }

    /// The host dies and starts again.
    pub(crate) fn crash(self, folder: &Path) -> Self {
        let Self { engine, store, clock } = self;
        drop(engine);
        drop(store);
        Self::open(folder, &clock, 100)
    }

    /// Waits for the end of a run, driven by the engine's own workers.
    pub(crate) async fn ended(&self, run: &RunId) -> RunStatus {
        let waiting = async {
            loop {
                let status = self.engine.run_record(run).expect("a run").status;
                if status.is_final() {
                    return status;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the run ends")
    }
}

pub(crate) fn test() -> Environment {
    "test".parse().expect("a name")
}

pub(crate) fn id(flow: &str) -> FlowId {
    flow.parse().expect("a name")
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock { now_ms: AtomicU64::new(20_000 * DAY_MS), drawn: AtomicU64::new(1) })
}

pub(crate) fn run_of(accepted: &Accepted) -> RunId {
    match accepted {
        Accepted::Queued { run } | Accepted::Duplicate { run } => run.clone(),
        Accepted::Completed(result) => result.run.clone(),
    }
}

pub(crate) const HOOK: &str = r#"
version: 1
id: hook
name: Hook
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: hook
steps:
  - id: twice
    transform: { n: "{{ trigger.n * 2 }}" }
output: { n: "{{ steps.twice.n }}" }
"#;

pub(crate) fn responding() -> String {
    HOOK.replace("id: hook\nname", "id: respond\nname")
        .replace("  connection: hook\n", "  connection: hook\n  respond: { within: 10s }\n")
}
