//! A host over a folder, and short ways to flows, runs and times.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use egress::{Egress, EgressOptions};
use engine::{Clock, Connectors, Engine, FlowView, Options, Parts, PollView, RunRecord, ScheduleView, TriggerView};
use flow::Format;
use model::{Environment, FlowId, RunId};
use policy::Ceiling;
use sandbox::Sandbox;
use serde_json::Value;
use store::{Batch, Commit, CommitError, Document, JournalStore, Order, ReadError, Row, Store, Tidied, TidyError};
use vault::Vault;

/// Longer than anything here takes, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct ManualClock {
    now_ms: AtomicU64,
    drawn: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at this time, in UTC.
    pub(crate) fn at(time: &str) -> Arc<Self> {
        let clock = Arc::new(Self { now_ms: AtomicU64::new(0), drawn: AtomicU64::new(1) });
        clock.set(time);
        clock
    }

    pub(crate) fn set(&self, time: &str) {
        let at: jiff::Timestamp = time.parse().expect("a time");
        self.now_ms.store(u64::try_from(at.as_millisecond()).expect("after 1970"), Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        self.drawn.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
    }
}

/// A host over a folder; `crash` ends it without any farewell.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    store: Arc<Frail>,
}

/// A store that stops taking commits when the test says so, as at a crash.
struct Frail {
    store: JournalStore,
    left: AtomicU64,
    commits: AtomicU64,
}

impl Store for Frail {
    fn commit(&self, batch: Batch) -> Commit {
        let take = |left: u64| (left > 0).then(|| left.saturating_sub(u64::from(left != u64::MAX)));
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            return Commit::ready(Err(CommitError::Stopped { reason: "the test crashed it".into() }));
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.store.commit(batch)
    }

    fn get(&self, key: &[u8]) -> Result<Option<bytes::Bytes>, ReadError> {
        self.store.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, ReadError> {
        self.store.scan(prefix, after, limit, order)
    }

    fn history(
        &self,
        group: Option<&[u8]>,
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(bytes::Bytes, Document)>, ReadError> {
        self.store.history(group, after, limit, order)
    }

    fn find_document(&self, id: &[u8]) -> Result<Option<Document>, ReadError> {
        self.store.find_document(id)
    }

    fn document(&self, document: &Document, prefix: &[u8]) -> Result<Vec<Row>, ReadError> {
        self.store.document(document, prefix)
    }

    fn tidy(&self, now_ms: u64) -> Result<Tidied, TidyError> {
        self.store.tidy(now_ms)
    }
}

impl Host {
    pub(crate) fn open(folder: &Path, clock: &Arc<ManualClock>) -> Self {
        Self::with_queue(folder, clock, 10_000)
    }

    pub(crate) fn with_queue(folder: &Path, clock: &Arc<ManualClock>, queue_max: usize) -> Self {
        let vault = Vault::open(&folder.join("vault.key")).expect("a key");
        let options = sandbox::Options::new(folder.join("cache"), vault.derive_key("test"));
        Self::of(folder, clock, queue_max, Arc::new(Sandbox::open(options).expect("a sandbox")))
    }

    /// A host whose connectors are the test's own.
    pub(crate) fn with_connectors(folder: &Path, clock: &Arc<ManualClock>, connectors: Arc<dyn Connectors>) -> Self {
        Self::of(folder, clock, 10_000, connectors)
    }

    fn of(folder: &Path, clock: &Arc<ManualClock>, queue_max: usize, connectors: Arc<dyn Connectors>) -> Self {
        let vault = Vault::open(&folder.join("vault.key")).expect("a key");
        let store = JournalStore::open(&folder.join("store"), store::Options::default()).expect("a store");
        let store = Arc::new(Frail { store, left: AtomicU64::new(u64::MAX), commits: AtomicU64::new(0) });
        let parts = Parts {
            folder: folder.to_owned(),
            store: store.clone(),
            connectors,
            vault,
            egress: Arc::new(Egress::new(EgressOptions::default()).expect("egress")),
            ceiling: Arc::new(Ceiling::parse("version = 1\n", "ceiling.toml").expect("a ceiling")),
            clock: clock.clone(),
            options: Options { workers: 4, queue_max },
        };
        Self { engine: Engine::open(parts).expect("an engine"), store }
    }

    /// A host that works.
    pub(crate) fn start(folder: &Path, clock: &Arc<ManualClock>) -> Self {
        let host = Self::open(folder, clock);
        host.engine.run().expect("running");
        host
    }

    /// Ends whatever was under way.
    pub(crate) async fn crash(self) {
        // Waiting for nothing: what had not been kept is lost.
        self.engine.drain(Duration::ZERO).await;
        let weak = Arc::downgrade(&self.store);
        drop(self);
        until("the store is let go of", || (weak.strong_count() == 0).then_some(())).await;
    }

    /// From now on, so many commits succeed, and then none any more.
    pub(crate) fn stop_after(&self, commits: u64) {
        self.store.left.store(commits, Ordering::SeqCst);
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.store.left.load(Ordering::SeqCst) == 0
    }

    /// How many batches were written.
    pub(crate) fn commits(&self) -> u64 {
        self.store.commits.load(Ordering::SeqCst)
    }

    pub(crate) fn poll(&self, flow: &str) -> PollView {
        match self.trigger(flow) {
            TriggerView::Poll(poll) => poll,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn publish(&self, document: &str) -> FlowView {
        self.engine.apply_flow(document, Format::Yaml, "flow.yaml", &test(), "test").await.expect("published")
    }

    /// The flow's runs, oldest first.
    pub(crate) fn runs(&self, flow: &str) -> Vec<RunRecord> {
        let mut runs = self.engine.runs(Some((&test(), &id(flow))), None, None, 5_000).expect("readable");
        runs.reverse();
        runs
    }

    /// Waits until there are so many runs, and gives their events, oldest first.
    pub(crate) async fn events(&self, flow: &str, count: usize) -> Vec<Value> {
        let runs = until("the runs are there", || Some(self.runs(flow)).filter(|runs| runs.len() >= count)).await;
        assert_eq!(runs.len(), count, "{runs:#?}");
        runs.iter().map(|run| self.event(&run.id)).collect()
    }

    pub(crate) fn event(&self, run: &RunId) -> Value {
        self.engine.show_run(run).expect("a run").trigger.expect("an event")
    }

    pub(crate) fn trigger(&self, flow: &str) -> TriggerView {
        self.engine.flow(&test(), &id(flow)).expect("a flow").trigger
    }

    pub(crate) fn schedule(&self, flow: &str) -> ScheduleView {
        match self.trigger(flow) {
            TriggerView::Schedule(schedule) => schedule,
            other => panic!("{other:?}"),
        }
    }
}

/// Waits for something while the test's clock goes on, a second at each look.
pub(crate) async fn in_time<T>(clock: &ManualClock, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    until(what, || {
        clock.pass(1_000);
        look()
    })
    .await
}

/// Waits for something, in real time.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn test() -> Environment {
    "test".parse().expect("a name")
}

pub(crate) fn id(flow: &str) -> FlowId {
    flow.parse().expect("a name")
}
