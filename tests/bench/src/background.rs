//! E3 and E4: webhooks that are acknowledged at once and run behind, against plain
//! axum with a task queue and the same group commit.
//!
//! Every event carries a number, and the receiver counts each number: an event that
//! is lost or doubled fails the benchmark, on either side.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use engine::Engine;
use serde_json::{Value, json};
use store::{Batch, JournalStore, Store as _};
use tokio::sync::Semaphore;

use crate::host;
use crate::report::{ROUNDS, Row, host_workers, median, runtime};
use crate::webhook::{listen, payload};
use crate::wire::rate;

/// Events of one round of one side, and rounds: a burst, and a backlog.
const EVENTS: [(u64, usize); 2] = [(5_000, ROUNDS), (BACKLOG, 5)];
const BACKLOG: u64 = 100_000;
const CONNECTIONS: usize = 64;
/// What runs at once behind the acknowledgement, on both sides.
const WORKERS: usize = 64;
/// A backlog that takes longer is a fault, not a figure; so is one of which nothing
/// arrives for so long.
const PATIENCE: Duration = Duration::from_secs(600);
const SILENCE: Duration = Duration::from_secs(60);

const BEHIND: &str = r#"
version: 1
id: behind
name: Acknowledge, then map and post
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: bench-hook
steps:
  - id: send
    uses: http/send
    connection: receiver
    input: { method: POST, url: /take, json: { title: "{{ trigger.issue.title }}", n: "{{ trigger.n }}" } }
"#;

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let runtime = runtime(host_workers())?;
    let folder = tempfile::tempdir_in(target)?;
    let places = runtime.block_on(serve(folder.path(), target))?;
    let mut rows = Vec::new();
    let mut turn = 0;
    for (events, rounds) in EVENTS {
        let (mut accepts, mut completes, mut bytes) = (Sides::default(), Sides::default(), Vec::new());
        // One round to warm up, as everywhere.
        for round in 0..=rounds {
            let written = written_bytes()?;
            turn += 1;
            let ours = places.side(places.host, "/hooks/production/behind", turn, events)?;
            places.store.settle()?;
            let written = written_bytes()? - written;
            turn += 1;
            let reference = places.side(places.reference, "/behind", turn, events)?;
            places.plain.settle()?;
            eprintln!(
                "  {events} events, round {round} of {rounds}: {:.0} accepted and {:.0} completed a second, {:.0} and {:.0} by the reference",
                ours.accepted, ours.completed, reference.accepted, reference.completed
            );
            if round > 0 {
                accepts.push(ours.accepted, reference.accepted);
                completes.push(ours.completed, reference.completed);
                #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
                bytes.push(written as f64 / events as f64);
            }
        }
        rows.push(accepts.row(&format!("E3 accept {events}"), "acknowledged, a second", 0.6));
        rows.push(completes.row(&format!("E3 complete {events}"), "arrived at the receiver, a second", 0.35));
        rows.push(written_row(&mut bytes, events));
    }
    runtime.shutdown_background();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(rows)
}

fn written_row(bytes: &mut [f64], events: u64) -> Row {
    let each = median(bytes);
    #[expect(clippy::cast_precision_loss, reason = "about 1 KiB")]
    let sent = payload(1, 1).len() as f64;
    Row {
        id: format!("E4 {events}"),
        what: format!("bytes written for each of {events} runs of E3, all files, against the payload"),
        ours: each,
        reference: Some(sent),
        unit: "bytes".to_owned(),
        ratio: Some(each / sent),
        target: "at most 4 x".to_owned(),
        met: each / sent <= 4.0,
        rounds: bytes.len(),
    }
}

/// Figures of both sides, round by round.
#[derive(Default)]
struct Sides {
    ours: Vec<f64>,
    references: Vec<f64>,
    ratios: Vec<f64>,
}

impl Sides {
    fn push(&mut self, ours: f64, reference: f64) {
        self.ours.push(ours);
        self.references.push(reference);
        self.ratios.push(ours / reference);
    }

    fn row(&mut self, id: &str, what: &str, at_least: f64) -> Row {
        let ratio = median(&mut self.ratios);
        Row {
            id: id.to_owned(),
            what: format!("webhook, 202, then map and POST through a sandboxed connector: {what}"),
            ours: median(&mut self.ours),
            reference: Some(median(&mut self.references)),
            unit: "/s".to_owned(),
            ratio: Some(ratio),
            target: format!("at least {at_least} x"),
            met: ratio >= at_least,
            rounds: self.ratios.len(),
        }
    }
}

/// What one side did in one round, events a second.
struct Figures {
    accepted: f64,
    completed: f64,
}

struct Places {
    host: SocketAddr,
    reference: SocketAddr,
    counter: Arc<Counter>,
    engine: Engine,
    store: Arc<JournalStore>,
    plain: Arc<JournalStore>,
}

impl Places {
    /// Sends the events of one round and waits until each has arrived.
    fn side(&self, address: SocketAddr, path: &str, turn: u64, events: u64) -> Result<Figures> {
        self.counter.begin();
        let begun = Instant::now();
        let accepted = rate(address, path, CONNECTIONS, events, &|number| payload(turn, number))?;
        let (mut before, mut last) = (0, Instant::now());
        loop {
            let arrived = self.counter.arrived.load(Ordering::Relaxed);
            if arrived >= events {
                break;
            }
            if arrived != before {
                (before, last) = (arrived, Instant::now());
            }
            if begun.elapsed() >= PATIENCE || last.elapsed() >= SILENCE {
                bail!("{arrived} of {events} arrived; {:?}; {:?}", self.engine.health(), self.store.stats());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let completed = events as f64 / begun.elapsed().as_secs_f64();
        self.counter.check(events)?;
        Ok(Figures { accepted, completed })
    }
}

/// Counts how often each event of the round arrived.
struct Counter {
    seen: Vec<AtomicU8>,
    arrived: AtomicU64,
}

impl Counter {
    fn new(events_max: u64) -> Self {
        Self { seen: (0..events_max).map(|_| AtomicU8::new(0)).collect(), arrived: AtomicU64::new(0) }
    }

    fn begin(&self) {
        self.seen.iter().for_each(|seen| seen.store(0, Ordering::Relaxed));
        self.arrived.store(0, Ordering::Relaxed);
    }

    fn count(&self, number: u64) {
        if let Some(seen) = usize::try_from(number).ok().and_then(|number| self.seen.get(number)) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    fn check(&self, events: u64) -> Result<()> {
        let events = usize::try_from(events)?;
        let wrong = self.seen.iter().take(events).filter(|seen| seen.load(Ordering::Relaxed) != 1).count();
        ensure!(wrong == 0, "{wrong} of {events} events were lost or doubled");
        Ok(())
    }
}

async fn serve(folder: &Path, target: &Path) -> Result<Places> {
    let counter = Arc::new(Counter::new(BACKLOG));
    let receiver = listen(Router::new().route("/take", post(take)).with_state(counter.clone())).await?;
    let store = Arc::new(JournalStore::open(&folder.join("store"), store::Options::default())?);
    let engine = host::engine(folder, store.clone())?;
    engine.run()?;
    host::install(&engine, &target.join("plugins/http.wasm"), &host::http_grant(receiver)).await?;
    host::connect(&engine, engine::BUILT_IN_WEBHOOK, "bench-hook", None).await?;
    host::connect(&engine, "http", "receiver", Some(format!("http://{receiver}"))).await?;
    host::publish(&engine, BEHIND).await?;
    let host = listen(api::hooks_router(engine.clone(), host::environment())).await?;

    let plain = Arc::new(JournalStore::open(&folder.join("plain"), store::Options::default())?);
    let state = Plain {
        store: plain.clone(),
        client: reqwest::Client::builder().no_proxy().build()?,
        receiver,
        workers: Arc::new(Semaphore::new(WORKERS)),
    };
    let reference = listen(Router::new().route("/behind", post(accept)).with_state(state)).await?;
    Ok(Places { host, reference, counter, engine, store, plain })
}

/// What a service answers.
async fn take(State(counter): State<Arc<Counter>>, body: Bytes) -> Result<Json<Value>, StatusCode> {
    let document: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    counter.count(document["n"].as_u64().ok_or(StatusCode::BAD_REQUEST)?);
    Ok(Json(json!({ "ok": true })))
}

#[derive(Clone)]
struct Plain {
    store: Arc<JournalStore>,
    client: reqwest::Client,
    receiver: SocketAddr,
    workers: Arc<Semaphore>,
}

impl Plain {
    async fn keep(&self, kind: &str, id: &str, document: &[u8]) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(format!("{kind}/{id}"), document);
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Maps, posts, and keeps the answer.
    async fn work(&self, event: &Value) -> Result<()> {
        let mapped = json!({ "title": event["issue"]["title"], "n": event["n"] });
        let request = self
            .client
            .post(format!("http://{}/take", self.receiver))
            .header("content-type", "application/json")
            .body(mapped.to_string());
        let answer = request.send().await?.error_for_status()?.bytes().await?;
        self.keep("answer", event["id"].as_str().context("an event without an id")?, &answer).await
    }
}

/// Keeps the event, then answers; the rest happens behind.
async fn accept(State(plain): State<Plain>, body: Bytes) -> Result<StatusCode, StatusCode> {
    let event: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let id = event["id"].as_str().ok_or(StatusCode::BAD_REQUEST)?;
    plain.keep("event", id, &body).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    tokio::spawn(async move {
        let Ok(_worker) = plain.workers.clone().acquire_owned().await else { return };
        // An event that fails is missed by the count, which fails the benchmark.
        let _ = plain.work(&event).await;
    });
    Ok(StatusCode::ACCEPTED)
}

/// Bytes that this process has handed to the disk so far.
fn written_bytes() -> Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io").context("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("a count of written bytes")?;
    Ok(line.trim().parse()?)
}
