//! S6: what a healthy flow's callers notice while hostile connectors do their worst in
//! the same host.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use engine::Engine;
use model::OperationId;
use serde_json::Value;
use store::JournalStore;
use tokio::task::JoinSet;

use crate::host;
use crate::report::{ROUNDS, Row, alternate, host_workers, runtime, seconds};
use crate::webhook::{listen, payload};
use crate::wire::waits;

/// Connectors whose action does one thing that no host should suffer from, with the
/// default limits. What needs a service or a folder of its own is measured by none.
const ATTACKS: [&str; 17] = [
    "spin",
    "spin-calling",
    "spin-waiting",
    "sleep",
    "recurse",
    "recurse-heavily",
    "grow-memory",
    "claim-memory",
    "claim-transient",
    "huge-allocation",
    "hoard-handles",
    "huge-output",
    "huge-error",
    "log-flood",
    "stderr-flood",
    "panic",
    "trap",
];
/// Calls of it at the same time: as many as the host has workers for flows.
const AT_ONCE: usize = 64;
/// Connections of the healthy flow's callers, and their requests in one round.
const CALLERS: usize = 2;
const REQUESTS: u64 = 400;

const HEALTHY: &str = r#"
version: 1
id: healthy
name: Ask a connector and respond
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: bench-hook
  respond: { within: 10s }
steps:
  - { id: ask, uses: echo/act, input: { title: "{{ trigger.issue.title }}" } }
output: { answered: "{{ steps.ask }}" }
"#;

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let runtime = runtime(host_workers())?;
    let folder = tempfile::tempdir_in(target)?;
    let (engine, address) = runtime.block_on(serve(folder.path(), target))?;
    let turns = AtomicU64::new(0);
    let healthy = || {
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        p99_ms(waits(address, "/hooks/production/healthy", CALLERS, REQUESTS, &|number| payload(turn, number))?)
    };
    let mut rows = Vec::new();
    for attack in ATTACKS {
        let attacked = || {
            let attackers = runtime.block_on(async { start(&engine, attack) });
            // Until they are at it.
            std::thread::sleep(Duration::from_millis(100));
            let noticed = healthy();
            runtime.block_on(stop(attackers))?;
            noticed
        };
        let rounds = alternate(attacked, healthy)?;
        // The table comes when the last of them is done, which takes minutes.
        eprintln!("  {attack}: {:.2}", rounds.ratio);
        rows.push(Row {
            id: format!("S6 {attack}"),
            what: format!(
                "p99 of a healthy flow's callers beside {AT_ONCE} calls of {attack} at a time, against alone"
            ),
            ours: rounds.ours,
            reference: Some(rounds.reference),
            unit: "ms".to_owned(),
            ratio: Some(rounds.ratio),
            target: "at most 2 x".to_owned(),
            met: rounds.ratio <= 2.0,
            rounds: ROUNDS,
        });
    }
    runtime.shutdown_background();
    Ok(rows)
}

/// The 99th of a hundred, in milliseconds.
fn p99_ms(mut waits: Vec<Duration>) -> Result<f64> {
    waits.sort_unstable();
    let at = (waits.len() * 99).div_ceil(100).saturating_sub(1);
    waits.get(at).map(|wait| seconds(*wait) * 1_000.0).context("requests were answered")
}

/// Calls that follow each other without end, so many at a time.
fn start(engine: &Engine, attack: &'static str) -> JoinSet<Result<()>> {
    let mut attackers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (engine, action) = (engine.clone(), OperationId::from_str("act"));
        attackers.spawn(async move {
            let (action, environment) = (action?, host::environment());
            loop {
                // However it ends, the next one follows.
                engine.call_action(attack, &action, &environment, None, Value::Null).await?;
                // Whoever calls has something to wait for in between: a request, a record.
                tokio::task::yield_now().await;
            }
        });
    }
    attackers
}

/// None of them may have ended before it was told to.
async fn stop(mut attackers: JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = attackers.try_join_next() {
        ended??;
    }
    attackers.shutdown().await;
    Ok(())
}

/// A host with the healthy flow and every hostile connector.
async fn serve(folder: &Path, target: &Path) -> Result<(Engine, SocketAddr)> {
    let store = Arc::new(JournalStore::open(&folder.join("store"), store::Options::default())?);
    let engine = host::engine(folder, store)?;
    engine.run()?;
    for guest in ["echo"].into_iter().chain(ATTACKS) {
        let grant = format!("version = 1\nplugin = \"{guest}\"\n[operations.\"*\"]\n");
        host::install(&engine, &target.join(format!("guests/{guest}.wasm")), &grant).await?;
    }
    host::connect(&engine, engine::BUILT_IN_WEBHOOK, "bench-hook", None).await?;
    host::publish(&engine, HEALTHY).await?;
    let address = listen(api::hooks_router(engine.clone(), host::environment())).await?;
    Ok((engine, address))
}
