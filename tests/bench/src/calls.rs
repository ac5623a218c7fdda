//! S1: a whole plugin call against a raw loop over the same component and pool.
//! S2: what a second processor adds.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use model::Credential;
use sandbox::bench::RawLoop;
use tokio::runtime::Runtime;

use crate::plugin::{Approved, Ready};
use crate::report::{ROUNDS, Rounds, Row, alternate, rate, runtime, timed};

/// Calls in one round of one side.
const CALLS: u32 = 20_000;

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let (one, two) = (runtime(1)?, runtime(2)?);
    let approved = Approved {
        grant: "[operations.\"*\"]\n".to_owned(),
        operation: "act",
        base_url: None,
        credential: Credential::None,
    };
    let ready = Arc::new(one.block_on(Ready::new(folder.path(), &echo(target), approved))?);
    let raw = RawLoop::new(&ready.sandbox, &ready.plugin).map_err(|error| anyhow!(error))?;
    let input = format!("{{\"text\":\"{}\"}}", "x".repeat(1013));
    let whole = alternate(|| ours(&ready, &input, &one), || reference(&ready, &raw, &input, &one))?;
    let part = |rounds: Rounds, what: &str, id: &str| Row {
        id: format!("S1 {id}"),
        what: what.to_owned(),
        ours: rounds.ours,
        reference: Some(rounds.reference),
        unit: "us".to_owned(),
        ratio: Some(rounds.ratio),
        target: "none: where S1 goes".to_owned(),
        met: true,
        rounds: ROUNDS,
    };
    let instance = || per_call(&one, async || raw.instantiate().await.map_err(|error| anyhow!(error)));
    let limited = || {
        let invoke = async || raw.invoke_limited(ready.operation.as_str(), &input).await;
        per_call(&one, async || echoed(&invoke().await.map_err(|error| anyhow!(error))?, &input))
    };
    let instance = alternate(instance, || reference(&ready, &raw, &input, &one))?;
    let limited = alternate(limited, || reference(&ready, &raw, &input, &one))?;
    let asked: (_, Arc<str>) = (ready.clone(), input.as_str().into());
    let by = |runtime, tasks| {
        let asked = asked.clone();
        rate(runtime, tasks, CALLS, move || echo_once(asked.clone()))
    };
    let scaled = alternate(|| by(&two, 2), || by(&one, 1))?;
    Ok(vec![
        Row {
            id: "S1".to_owned(),
            what: "a call that echoes 1 KiB, fresh instance, whole host side, against raw wasmtime in the same pool"
                .to_owned(),
            ours: whole.ours,
            reference: Some(whole.reference),
            unit: "us".to_owned(),
            ratio: Some(whole.ratio),
            target: "at most 1.25 x".to_owned(),
            met: whole.ratio <= 1.25,
            rounds: ROUNDS,
        },
        part(instance, "of the raw loop: a store and an instance, without the call", "instance"),
        part(
            limited,
            "the raw loop under our limits; what S1 takes beyond is the session, context, log and report",
            "limits",
        ),
        Row {
            id: "S2".to_owned(),
            what: "the same on two threads, against one".to_owned(),
            ours: scaled.ours,
            reference: Some(scaled.reference),
            unit: "/s".to_owned(),
            ratio: Some(scaled.ratio),
            target: "at least 1.7 x".to_owned(),
            met: scaled.ratio >= 1.7,
            rounds: ROUNDS,
        },
    ])
}

/// The component that answers its input.
pub(crate) fn echo(target: &Path) -> std::path::PathBuf {
    target.join("guests/echo.wasm")
}

async fn echo_once((ready, input): (Arc<Ready>, Arc<str>)) -> Result<()> {
    echoed(&ready.call(&input).await?, &input)
}

fn ours(ready: &Ready, input: &str, runtime: &Runtime) -> Result<f64> {
    per_call(runtime, async || echoed(&ready.call(input).await?, input))
}

fn reference(ready: &Ready, raw: &RawLoop, input: &String, runtime: &Runtime) -> Result<f64> {
    let invoke = async || raw.invoke(ready.operation.as_str(), input).await.map_err(|error| anyhow!(error));
    per_call(runtime, async || echoed(&invoke().await?, input))
}

fn echoed(output: &str, input: &str) -> Result<()> {
    ensure!(output == input, "echo answered {output:?}");
    Ok(())
}

/// Microseconds for one call, one after the other.
fn per_call(runtime: &Runtime, call: impl AsyncFn() -> Result<()>) -> Result<f64> {
    let work = async {
        for _ in 0..CALLS {
            call().await?;
        }
        Ok(())
    };
    let ((), seconds) = timed(|| runtime.block_on(work))?;
    Ok(seconds * 1e6 / f64::from(CALLS))
}
