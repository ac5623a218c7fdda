//! Load in a real folder, in simulated time: what stays on the disk when runs are kept
//! for a minute, and how long a restart takes.
//!
//! The engine and the store are the real ones, sled included. The store writes on the
//! thread of its caller, and its rows are brought up to date as often as its own thread
//! would do it, so that time passes as fast as the machine allows.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egress::{Egress, EgressOptions};
use engine::{Connector, Connectors, Engine, NewConnection, Options, Parts, Wasm};
use flow::Format;
use futures_util::future::BoxFuture;
use model::{Credential, Digest, Environment, FlowId, Problem};
use policy::Ceiling;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use store::{JournalStore, Order, ReadError, Store as _, key};
use vault::Vault;

use crate::clock::SimClock;
use crate::dice::Dice;

/// Twice a second, as the store's thread does it.
const STEP: Duration = Duration::from_millis(500);
/// How long runs are kept, as the flow says.
const KEPT_MS: u64 = 60_000;
/// When measuring begins: the first runs are forgotten by then.
const WARM_SECONDS: u64 = 300;
/// Between two measurements: a prime, so that they fall on all moments of a minute.
const MEASURED_EVERY_SECONDS: u64 = 97;

const TOKEN: &str = "token-of-the-load";
const FLOW: &str = r#"
version: 1
id: note
name: Take a note
retention: { keep: 1m }
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: hook
steps:
  - id: shape
    transform: { title: "{{ trigger.title }}", text: "{{ trigger.text }}" }
  - id: linger
    if: "{{ trigger.lingers }}"
    then:
      - id: rest
        wait: { for: 10m }
output: { title: "{{ steps.shape.title }}" }
"#;

/// What a load left.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Load {
    /// Runs that were begun.
    pub runs: u64,
    /// The data at the end.
    pub end: Space,
    /// The data when the folder was largest beside what lives in it.
    pub worst: Space,
    /// From opening the folder to going on with its open runs.
    pub restart_ms: u64,
    /// Those open runs.
    pub open: usize,
}

/// What a folder holds, in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Space {
    /// Keys and values of all rows that live.
    pub rows: u64,
    /// Those of runs that are over and kept.
    pub history: u64,
    /// The journal's segments and their indexes.
    pub segments: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Large values.
    pub blobs: u64,
    /// sled's files.
    pub sled: u64,
}

impl Space {
    /// Bytes that somebody can still ask for.
    pub fn live(&self) -> u64 {
        self.rows + self.history
    }

    /// Bytes of all files.
    pub fn folder(&self) -> u64 {
        self.segments + self.checkpoints + self.blobs + self.sled
    }

    /// How many times what lives the folder takes.
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    pub fn ratio(&self) -> f64 {
        self.folder() as f64 / self.live().max(1) as f64
    }
}

/// Lives so many minutes with so many runs a second, in an empty folder.
///
/// # Errors
/// Whatever the host answers; none is expected.
pub fn live_load(folder: &Path, minutes: u64, runs_a_second: u64) -> Result<Load, String> {
    let clock = Arc::new(SimClock::new(1, None));
    let mut load = in_time(&clock, pass(folder, &clock, minutes, runs_a_second))?;
    clock.pass(1_000);
    let (restart_ms, open) = in_time(&clock, async {
        let begun = Instant::now();
        let host = Host::open(folder, &clock)?;
        let open = host.engine.run().map_err(words)?;
        Ok((u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), open))
    })?;
    (load.restart_ms, load.open) = (restart_ms, open);
    Ok(load)
}

/// One life of a host, in a runtime of its own.
fn in_time<T>(clock: &SimClock, life: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time();
    #[cfg(feature = "paused")]
    runtime.start_paused(true);
    runtime.build().map_err(words)?.block_on(async {
        clock.begin();
        let outcome = life.await;
        clock.end();
        outcome
    })
}

/// The load itself; the host ends as at a kill.
async fn pass(folder: &Path, clock: &Arc<SimClock>, minutes: u64, runs_a_second: u64) -> Result<Load, String> {
    let host = Host::open(folder, clock)?;
    host.set_up().await?;
    host.engine.run().map_err(words)?;
    let (dice, mut load) = (Dice::of(1, "load"), Load::default());
    for second in 0..minutes * 60 {
        for half in 0..2 {
            for _ in 0..(runs_a_second + half) / 2 {
                load.runs += 1;
                host.deliver(load.runs, &dice).await?;
            }
            tokio::time::sleep(STEP).await;
            host.store.settle().map_err(words)?;
        }
        if second >= WARM_SECONDS && second % MEASURED_EVERY_SECONDS == 0 {
            load.end = host.measure(folder)?;
            if load.end.ratio() > load.worst.ratio() {
                load.worst = load.end;
            }
        }
    }
    load.end = host.measure(folder)?;
    Ok(load)
}

struct Host {
    engine: Engine,
    store: Arc<JournalStore>,
    clock: Arc<SimClock>,
}

impl Host {
    fn open(folder: &Path, clock: &Arc<SimClock>) -> Result<Self, String> {
        let options = store::Options { stepped: true, ..store::Options::default() };
        let store = Arc::new(JournalStore::open(&folder.join("store"), options).map_err(words)?);
        let engine = Engine::open(Parts {
            folder: folder.to_owned(),
            store: store.clone(),
            vault: Vault::open(&folder.join("vault.key")).map_err(words)?,
            connectors: Arc::new(NoConnectors),
            egress: Arc::new(Egress::new(EgressOptions::default()).map_err(words)?),
            ceiling: Arc::new(Ceiling::parse("version = 1\n", "ceiling.toml").map_err(words)?),
            clock: clock.clone(),
            options: Options::default(),
        })
        .map_err(words)?;
        Ok(Self { engine, store, clock: clock.clone() })
    }

    async fn set_up(&self) -> Result<(), String> {
        let hook = NewConnection {
            id: "hook".parse().map_err(words)?,
            environment: environment(),
            plugin: engine::BUILT_IN_WEBHOOK.parse().map_err(words)?,
            team: None,
            label: None,
            base_url: None,
            credential: Credential::None,
            webhook_secret: Some(SecretString::from(TOKEN)),
            scopes: Vec::new(),
        };
        self.engine.add_connection(hook, "ana").await.map_err(words)?;
        self.engine.apply_flow(FLOW, Format::Yaml, "flow.yaml", &environment(), "ana").await.map_err(words)?;
        Ok(())
    }

    async fn deliver(&self, number: u64, dice: &Dice) -> Result<(), String> {
        let incoming = engine::Incoming {
            headers: vec![("x-token".to_owned(), TOKEN.to_owned())],
            query: String::new(),
            body: event(number, dice).to_string().into(),
        };
        self.engine.accept(&environment(), &flow(), incoming).await.map(drop).map_err(words)
    }

    /// What the folder holds now. Runs whose time is over count for nothing, whether
    /// the host has forgotten them yet or not.
    fn measure(&self, folder: &Path) -> Result<Space, String> {
        use engine::Clock as _;
        let mut space = sizes(&folder.join("store"))?;
        (space.rows, space.history) = live(&self.store, self.clock.now_ms()).map_err(words)?;
        Ok(space)
    }
}

/// As large as the deliveries of services are: up to ten KiB mostly, rarely half a
/// MiB. Some begin runs that rest for a while.
fn event(number: u64, dice: &Dice) -> Value {
    let words = match dice.between(0, 999) {
        0..400 => 100,
        400..900 => 1_000,
        900..999 => 3_000,
        _ => 50_000,
    };
    json!({
        "id": format!("note-{number}"), "lingers": dice.chance(0.01),
        "title": format!("Note {number}"), "text": format!("word {:04x} ", dice.between(0, 0xffff)).repeat(words),
    })
}

/// Bytes of the rows that live, and of the runs that are kept.
fn live(store: &JournalStore, now_ms: u64) -> Result<(u64, u64), ReadError> {
    let bytes = |rows: &[store::Row]| rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
    let (mut living, mut history, mut after) = (0, 0, None::<Vec<u8>>);
    loop {
        let page = store.scan(b"", after.as_deref(), 1_000, Order::Ascending)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.to_vec());
        living += bytes(&page);
    }
    for (_, document) in store.history(None, None, usize::MAX, Order::Ascending)? {
        let rows = store.document(&document, b"")?;
        let run = key::join(&[b"run"]);
        let record = rows.iter().find(|(key, _)| key.starts_with(&run));
        let record: Option<Value> = record.and_then(|(_, value)| serde_json::from_slice(value).ok());
        let ended_ms = record.and_then(|record| record["finished_at_ms"].as_u64()).unwrap_or(0);
        if ended_ms + KEPT_MS > now_ms {
            history += bytes(&rows);
        }
    }
    Ok((living, history))
}

/// Bytes of the files by what they are.
fn sizes(store: &Path) -> Result<Space, String> {
    let (mut space, mut folders) = (Space::default(), vec![store.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(words)? {
            let entry = entry.map_err(words)?;
            let (path, meta) = (entry.path(), entry.metadata().map_err(words)?);
            if meta.is_dir() {
                folders.push(path);
                continue;
            }
            let kind = match path.extension().and_then(|extension| extension.to_str()) {
                _ if !folder.ends_with("journal") => &mut space.sled,
                Some("ckp") => &mut space.checkpoints,
                Some("blob") => &mut space.blobs,
                _ => &mut space.segments,
            };
            *kind += meta.len();
        }
    }
    Ok(space)
}

/// No flow of the load calls anybody.
struct NoConnectors;

impl Connectors for NoConnectors {
    fn load(&self, _: Digest, _: Wasm) -> BoxFuture<'_, Result<Arc<dyn Connector>, Problem>> {
        Box::pin(async { Err(Problem::new("no-connectors", "this load has no connectors")) })
    }
}

fn environment() -> Environment {
    "production".parse().expect("a name")
}

fn flow() -> FlowId {
    "note".parse().expect("a name")
}

fn words(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
