//! A host over a folder, under a clock that tests set.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use egress::{Egress, EgressOptions};
use engine::{Clock, Engine, Options, Parts, RunRecord, RunStatus};
use flow::Format;
use model::{Environment, FlowId, RunId};
use policy::Ceiling;
use sandbox::Sandbox;
use serde_json::{Value, json};
use store::{JournalStore, Store};
use vault::Vault;

pub(crate) const DAY_MS: u64 = 24 * 3_600_000;

pub(crate) struct ManualClock(pub(crate) AtomicU64);

/// Never drawn twice, also not by a host that was opened again: names of runs are made
/// of it.
static DRAWN: AtomicU64 = AtomicU64::new(1);

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        DRAWN.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
    }
}

pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<JournalStore>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Host {
    pub(crate) fn open(folder: &Path) -> Self {
        Self::open_at(folder, 30_000 * DAY_MS, store::Options::default())
    }

    pub(crate) fn open_at(folder: &Path, now_ms: u64, options: store::Options) -> Self {
        let vault = Vault::open(&folder.join("vault.key")).expect("a key");
        let store = Arc::new(JournalStore::open(&folder.join("store"), options).expect("a store"));
        let clock = Arc::new(ManualClock(AtomicU64::new(now_ms)));
        let parts = Parts {
            folder: folder.to_owned(),
            store: store.clone(),
            connectors: Arc::new(
                Sandbox::open(sandbox::Options::new(folder.join("cache"), vault.derive_key("test")))
                    .expect("a sandbox"),
            ),
            vault,
            egress: Arc::new(Egress::new(EgressOptions::default()).expect("egress")),
            ceiling: Arc::new(Ceiling::parse("version = 1\n", "ceiling.toml").expect("a ceiling")),
            clock: clock.clone(),
            options: Options { workers: 4, queue_max: 100 },
        };
        Self { engine: Engine::open(parts).expect("an engine"), store, clock }
    }

    pub(crate) async fn start(&self, wrong: bool) -> RunId {
        self.begin("greet", json!({ "wrong": wrong })).await
    }

    /// Begins a run of a flow.
    pub(crate) async fn begin(&self, flow: &str, event: Value) -> RunId {
        self.engine.start(&environment(), &name(flow), event, "test").await.expect("started")
    }

    pub(crate) async fn publish(&self, document: &str) {
        self.engine.apply_flow(document, Format::Yaml, "flow.yaml", &environment(), "test").await.expect("published");
    }

    pub(crate) async fn close(self) {
        assert!(self.engine.drain(Duration::from_secs(20)).await);
        self.store.close().expect("closed");
    }

    pub(crate) async fn ended(&self, run: &RunId) -> RunStatus {
        self.reaches(run, RunStatus::is_final).await
    }

    /// Waits until a run has such a status.
    pub(crate) async fn reaches(&self, run: &RunId, such: fn(RunStatus) -> bool) -> RunStatus {
        let waiting = async {
            loop {
                let status = self.engine.run_record(run).expect("a run").status;
                if such(status) {
                    return status;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the run comes to it")
    }

    /// The runs of a flow, the newest first.
    pub(crate) fn runs(&self, flow: &str) -> Vec<RunRecord> {
        self.engine.runs(Some((&environment(), &name(flow))), None, None, 100).expect("listed")
    }

    pub(crate) fn ids(&self, status: Option<RunStatus>, page: usize) -> Vec<RunId> {
        let (environment, flow) = (environment(), flow());
        let mut lists = [None, Some((&environment, &flow))].map(|of| {
            let mut found: Vec<RunId> = Vec::new();
            loop {
                let more = self.engine.runs(of, status, found.last(), page).expect("listed");
                if more.is_empty() {
                    return found;
                }
                found.extend(more.into_iter().map(|record| record.id));
            }
        });
        assert_eq!(lists[0], lists[1], "there is one flow only");
        std::mem::take(&mut lists[0])
    }

    /// Tables that have living rows.
    pub(crate) fn living(&self) -> Vec<String> {
        let rows = self.store.scan(b"", None, usize::MAX, store::Order::Ascending).expect("readable");
        let table =
            |key: &[u8]| store::key::split(key).and_then(|parts| String::from_utf8(parts.first()?.clone()).ok());
        let mut tables: Vec<String> = rows.iter().filter_map(|(key, _)| table(key)).collect();
        tables.dedup();
        tables
    }
}

pub(crate) fn environment() -> Environment {
    "production".parse().expect("a name")
}

pub(crate) fn flow() -> FlowId {
    name("greet")
}

pub(crate) fn name(flow: &str) -> FlowId {
    flow.parse().expect("a name")
}
