//! E5: what a run costs beside ten million past runs and a hundred thousand flows,
//! against a host with ten thousand and ten.
//!
//! The history is written by this benchmark: the rows of one real run, once for each
//! past run under a name of its own, retired as the engine retires them. Both hosts
//! answer in turn, in one process, with the same load.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use engine::Engine;
use store::{Batch, JournalStore, Order, Position, Retire, Row as StoredRow, Store as _, key};

use crate::host;
use crate::report::{ROUNDS, Row, alternate, host_workers, runtime};
use crate::webhook::{MAP, listen, payload};
use crate::wire::rate;

const SMALL_RUNS: u64 = 10_000;
const SMALL_FLOWS: u64 = 10;
/// The points of the curve. The last of each is the row's own.
const RUNS: [u64; 3] = [100_000, 1_000_000, 10_000_000];
const FLOWS: [u64; 2] = [1_000, 100_000];
const CONNECTIONS: usize = 16;
/// Requests in one round of one side.
const COUNT: u64 = 6_000;
/// Past runs of one batch, and batches handed over at once: enough for the disk to be
/// what takes the time.
const RUNS_OF_BATCH: u64 = 200;
const BATCHES: usize = 32;
const AT_MOST: f64 = 1.15;

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let runtime = runtime(host_workers())?;
    let folder = tempfile::tempdir_in(target)?;
    let mut small = runtime.block_on(World::open(&folder.path().join("small")))?;
    let mut large = runtime.block_on(World::open(&folder.path().join("large")))?;
    for world in [&mut small, &mut large] {
        world.grow_history(SMALL_RUNS)?;
        runtime.block_on(world.grow_flows(SMALL_FLOWS))?;
    }
    let mut rows = Vec::new();
    let mut turn = 0;
    let point = |large: &World, turn: &mut u64| compare(&small, large, turn);
    for runs in RUNS {
        large.grow_history(runs)?;
        rows.push(point(&large, &mut turn)?);
    }
    for flows in FLOWS {
        runtime.block_on(large.grow_flows(flows))?;
        rows.push(point(&large, &mut turn)?);
    }
    runtime.shutdown_background();
    Ok(rows)
}

/// A run of the large world against one of the small.
fn compare(small: &World, large: &World, turn: &mut u64) -> Result<Row> {
    let mut side = |world: &World| {
        *turn += 1;
        let of = *turn;
        rate(world.address, "/hooks/production/map", CONNECTIONS, COUNT, &|number| payload(of, number))
    };
    let turns = std::cell::RefCell::new(&mut side);
    let rounds = alternate(|| (turns.borrow_mut())(large), || (turns.borrow_mut())(small))?;
    // Cost is time: the inverse of the rates.
    let ratio = 1.0 / rounds.ratio;
    Ok(Row {
        id: format!("E5 {} {}", short(large.runs), short(large.flows)),
        what: format!(
            "a run (webhook, map, respond) beside {} past runs and {} flows, against {SMALL_RUNS} and {SMALL_FLOWS}",
            large.runs, large.flows
        ),
        ours: rounds.ours,
        reference: Some(rounds.reference),
        unit: "/s".to_owned(),
        ratio: Some(ratio),
        target: format!("at most {AT_MOST} x"),
        met: ratio <= AT_MOST,
        rounds: ROUNDS,
    })
}

/// `100k`, `10M`.
fn short(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        1_000_000.. => format!("{}M", count / 1_000_000),
    }
}

/// A host with its past.
struct World {
    engine: Engine,
    store: Arc<JournalStore>,
    address: SocketAddr,
    runs: u64,
    flows: u64,
    /// The rows of one real run, and its name.
    pattern: (Vec<StoredRow>, String),
}

impl World {
    async fn open(folder: &Path) -> Result<Self> {
        let store = Arc::new(JournalStore::open(&folder.join("store"), store::Options::default())?);
        let engine = host::engine(folder, store.clone())?;
        engine.run()?;
        host::connect(&engine, engine::BUILT_IN_WEBHOOK, "bench-hook", None).await?;
        host::publish(&engine, MAP).await?;
        let address = listen(api::hooks_router(engine.clone(), host::environment())).await?;
        let body = payload(0, 0);
        tokio::task::spawn_blocking(move || rate(address, "/hooks/production/map", 1, 1, &|_| body.clone())).await??;
        let (id, document) =
            store.history(None, None, 1, Order::Descending)?.pop().context("the first run is in the history")?;
        let rows = store.document(&document, &[])?;
        let pattern = (rows, String::from_utf8(id.to_vec())?);
        Ok(Self { engine, store, address, runs: 0, flows: 1, pattern })
    }

    /// Writes past runs until there are this many.
    fn grow_history(&mut self, runs: u64) -> Result<()> {
        eprintln!("  writing past runs, {} to {runs}", self.runs);
        while self.runs < runs {
            let mut batches = Vec::with_capacity(BATCHES);
            for _ in 0..BATCHES {
                if self.runs < runs {
                    batches.push(self.past_runs(runs));
                }
            }
            for commit in self.store.commit_all(batches) {
                commit.wait()?;
            }
        }
        self.store.settle()?;
        Ok(())
    }

    fn past_runs(&mut self, runs: u64) -> Batch {
        let mut batch = Batch::new();
        let end = runs.min(self.runs + RUNS_OF_BATCH);
        for number in self.runs..end {
            self.put_past(&mut batch, number);
        }
        self.runs = end;
        batch
    }

    /// One past run: the pattern's rows under another name, as long as the pattern's.
    fn put_past(&self, batch: &mut Batch, number: u64) {
        let (rows, pattern) = &self.pattern;
        // Before every real one, in the order of time.
        let id = format!("0{number:015x}{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut prefixes = Vec::with_capacity(rows.len());
        for (row, value) in rows {
            let row = renamed(row, pattern.as_bytes(), id.as_bytes());
            batch.put(&row, renamed(value, pattern.as_bytes(), id.as_bytes()));
            prefixes.push(row);
        }
        batch.retire(Retire {
            prefixes,
            id: id.into_bytes(),
            groups: vec![
                key::join(&[b"flow", b"production", b"map"]),
                key::join(&[b"status", b"succeeded"]),
                key::join(&[b"flow-status", b"production", b"map", b"succeeded"]),
            ],
            keep_until_ms: u64::MAX,
            since: Position::LAST,
        });
    }

    /// Publishes flows until there are this many.
    async fn grow_flows(&mut self, flows: u64) -> Result<()> {
        eprintln!("  publishing flows, {} to {flows}", self.flows);
        while self.flows < flows {
            let document = MAP.replace("id: map", &format!("id: map-{}", self.flows));
            ensure!(document != MAP, "the flow's id is where it was");
            host::publish(&self.engine, &document).await?;
            self.flows += 1;
        }
        Ok(())
    }
}

/// The bytes with every occurrence of one name replaced by another of its length.
fn renamed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut renamed = bytes.to_vec();
    let mut at = 0;
    while at + from.len() <= renamed.len() {
        if renamed[at..at + from.len()] == *from {
            renamed[at..at + from.len()].copy_from_slice(to);
            at += from.len();
        } else {
            at += 1;
        }
    }
    renamed
}
