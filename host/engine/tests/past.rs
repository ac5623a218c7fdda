//! Runs that are over: history instead of living rows, found, replayed, and
//! forgotten in time; and data folders of earlier releases.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use egress::{Egress, EgressOptions};
use engine::{Clock, DeadFilter, Engine, Options, Parts, ReplayVersion, RunStatus};
use flow::Format;
use model::{Environment, FlowId, RunId};
use policy::Ceiling;
use sandbox::Sandbox;
use serde_json::json;
use store::{JournalStore, Store};
use vault::Vault;

const DAY_MS: u64 = 24 * 3_600_000;

struct ManualClock(AtomicU64);

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

struct Host {
    engine: Engine,
    store: Arc<JournalStore>,
    clock: Arc<ManualClock>,
}

impl Host {
    fn open(folder: &Path) -> Self {
        let vault = Vault::open(&folder.join("vault.key")).expect("a key");
        let store = Arc::new(JournalStore::open(&folder.join("store"), store::Options::default()).expect("a store"));
        let clock = Arc::new(ManualClock(AtomicU64::new(30_000 * DAY_MS)));
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

    async fn start(&self, wrong: bool) -> RunId {
        let event = json!({ "wrong": wrong });
        self.engine.start(&environment(), &flow(), event, "test").await.expect("started")
    }

    async fn ended(&self, run: &RunId) -> RunStatus {
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

    fn ids(&self, status: Option<RunStatus>, page: usize) -> Vec<RunId> {
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
    fn living(&self) -> Vec<String> {
        let rows = self.store.scan(b"", None, usize::MAX, store::Order::Ascending).expect("readable");
        let table =
            |key: &[u8]| store::key::split(key).and_then(|parts| String::from_utf8(parts.first()?.clone()).ok());
        let mut tables: Vec<String> = rows.iter().filter_map(|(key, _)| table(key)).collect();
        tables.dedup();
        tables
    }
}

fn environment() -> Environment {
    "production".parse().expect("a name")
}

fn flow() -> FlowId {
    "greet".parse().expect("a name")
}

const FLOW: &str = r#"
version: 1
id: greet
name: Greetings
trigger:
  manual: {}
steps:
  - id: check
    if: "{{ trigger.wrong }}"
    then:
      - id: give-up
        stop: { outcome: failed, reason: it is wrong }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_run_leaves_the_living_state_and_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::open(folder.path());
    host.engine.apply_flow(FLOW, Format::Yaml, "flow.yaml", &environment(), "test").await.expect("published");
    host.engine.run().expect("running");
    let mut runs = Vec::new();
    for number in 0..9 {
        let run = host.start(number % 3 == 0).await;
        host.ended(&run).await;
        runs.push(run);
    }
    runs.sort_by(|left, right| right.cmp(left));
    let failed: Vec<RunId> =
        host.engine.dead_letters(None, 100).expect("listed").into_iter().map(|it| it.run).collect();
    assert_eq!(failed.len(), 3);
    assert!(host.engine.drain(Duration::from_secs(20)).await);
    host.store.close().expect("closed");
    drop(host);

    let host = Host::open(folder.path());
    assert_eq!(host.living(), ["dead", "flow", "flow-version"], "ended runs cost the living state nothing");
    for page in [1, 4, 100] {
        assert_eq!(host.ids(None, page), runs);
        assert_eq!(host.ids(Some(RunStatus::Failed), page), failed);
        assert_eq!(host.ids(Some(RunStatus::Succeeded), page).len(), 6);
        assert_eq!(host.ids(Some(RunStatus::Running), page), []);
    }
    let shown = host.engine.show_run(&failed[0]).expect("shown");
    assert_eq!(shown.record.status, RunStatus::Failed);
    assert!(shown.dead_letter.is_some() && shown.steps.len() == 2 && shown.trigger.is_some(), "{shown:?}");

    host.engine.run().expect("running");
    let again = host.engine.replay(&failed[0], ReplayVersion::Original, "test").await.expect("replayed");
    assert_eq!(host.ended(&again).await, RunStatus::Failed, "with the event of the run that is history");

    host.clock.0.fetch_add(31 * DAY_MS, Ordering::SeqCst);
    host.store.tidy(host.engine.now_ms()).expect("tidied");
    assert_eq!(host.ids(None, 100), []);
    assert!(host.engine.run_record(&runs[0]).is_err(), "forgotten");
    let open = host.engine.list_dead(&DeadFilter::default(), None, 100).expect("listed").letters;
    assert_eq!(open.len(), 3, "until they are settled");
    host.engine.drain(Duration::from_secs(20)).await;
}

/// A data folder of release 0.1.0: rows without a place in the journal, ended
/// runs among the living, one run still open, one dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_the_first_release_opens_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data-0.1.0.tar.gz");
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().expect("tar");
    assert!(status.success());
    let host = Host::open(folder.path());
    assert_eq!(host.ids(None, 3).len(), 4);
    assert_eq!(host.ids(Some(RunStatus::Succeeded), 1).len(), 2);
    let open = host.ids(Some(RunStatus::Running), 1);
    assert_eq!(open.len(), 1);
    host.engine.run().expect("running");
    assert_eq!(host.ended(&open[0]).await, RunStatus::Succeeded);
    let shown = host.engine.show_run(&open[0]).expect("shown");
    assert_eq!(shown.output, Some(json!({ "greeting": "Hello Edsger" })));
    let letters = host.engine.dead_letters(None, 10).expect("listed");
    assert_eq!(letters.len(), 1);
    let again = host.engine.replay(&letters[0].run, ReplayVersion::Original, "test").await.expect("replayed");
    assert_eq!(host.ended(&again).await, RunStatus::Failed);
    assert!(host.engine.drain(Duration::from_secs(20)).await);
    host.store.close().expect("closed");
    drop(host);
    let host = Host::open(folder.path());
    assert_eq!(host.ids(None, 2).len(), 5);
    assert_eq!(host.ids(Some(RunStatus::Running), 1), []);
}
