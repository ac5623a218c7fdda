//! S1: a whole plugin call against a raw loop over the same component and pool.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use egress::{Egress, EgressOptions, SessionSpec};
use model::{Credential, Digest, Limits, Manifest, OperationId};
use policy::{Approval, Authority, Ceiling, Grant, Subject};
use sandbox::bench::RawLoop;
use sandbox::{Answer, Call, CallContext, Plugin, Sandbox, Services, Work};
use tokio::runtime::Runtime;

use crate::report::{ROUNDS, Row, alternate, timed};

/// Calls in one round of one side.
const CALLS: u32 = 5_000;

pub(crate) fn measure(target: &Path) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let sandbox = Sandbox::open(sandbox::Options::new(folder.path().join("cache"), [7; 32]))?;
    let wasm = std::fs::read(echo(target)).with_context(|| format!("{} is not built", echo(target).display()))?;
    let plugin = sandbox.load(&wasm).map_err(|error| anyhow!("{error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let manifest = runtime.block_on(sandbox.describe(&plugin)).map_err(|problems| anyhow!("{problems:?}"))?;
    let calls = Calls {
        authority: authority(&plugin, &manifest)?,
        egress: Arc::new(Egress::new(EgressOptions::default())?),
        raw: RawLoop::new(&sandbox, &plugin).map_err(|error| anyhow!(error))?,
        operation: operation(&manifest)?,
        input: format!("{{\"text\":\"{}\"}}", "x".repeat(1013)),
        digest: plugin.digest(),
        sandbox,
        plugin,
    };
    let rounds = alternate(|| calls.ours(&runtime), || calls.reference(&runtime))?;
    Ok(vec![Row {
        id: "S1".to_owned(),
        what: "a call that echoes 1 KiB, fresh instance, whole host side, against raw wasmtime in the same pool"
            .to_owned(),
        ours: rounds.ours,
        reference: Some(rounds.reference),
        unit: "us".to_owned(),
        ratio: Some(rounds.ratio),
        target: "at most 1.25 x".to_owned(),
        met: rounds.ratio <= 1.25,
        rounds: ROUNDS,
    }])
}

/// The component that answers its input.
pub(crate) fn echo(target: &Path) -> std::path::PathBuf {
    target.join("guests/echo.wasm")
}

struct Calls {
    sandbox: Sandbox,
    plugin: Plugin,
    digest: Digest,
    authority: Authority,
    egress: Arc<Egress>,
    raw: RawLoop,
    operation: OperationId,
    input: String,
}

impl Calls {
    fn ours(&self, runtime: &Runtime) -> Result<f64> {
        per_call(runtime, async || {
            let limits = self.authority.limits();
            let session = self.egress.session(SessionSpec {
                digest: self.digest,
                connection: None,
                authority: self.authority.clone(),
                credential: Credential::None,
                limits,
                deadline: tokio::time::Instant::now() + Duration::from_millis(limits.wall_ms),
            });
            let call = Call {
                work: Work::Invoke { operation: self.operation.clone(), input: self.input.clone() },
                context: context(),
                limits,
                session,
                services: Services::default(),
            };
            let report = self.sandbox.call(&self.plugin, call).await;
            match report.outcome {
                Ok(Answer::Output(output)) if output == self.input => Ok(()),
                other => Err(anyhow!("echo answered {other:?}")),
            }
        })
    }

    fn reference(&self, runtime: &Runtime) -> Result<f64> {
        per_call(runtime, async || {
            let output = self.raw.invoke(self.operation.as_str(), &self.input).await.map_err(|error| anyhow!(error))?;
            if output == self.input { Ok(()) } else { Err(anyhow!("echo answered {output:?}")) }
        })
    }
}

/// Microseconds for one call, on a worker as the host uses it.
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

fn context() -> CallContext {
    CallContext {
        flow: Some("bench".to_owned()),
        run: Some("0192f0c1a2b34c5d8e9f0a1b2c3d4e5f".to_owned()),
        step: Some("echo".to_owned()),
        attempt: 1,
        idempotency_key: "0192f0c1a2b34c5d8e9f0a1b2c3d4e5f-echo".to_owned(),
        environment: "production".to_owned(),
        connection: None,
    }
}

fn operation(manifest: &Manifest) -> Result<OperationId> {
    manifest.actions.first().map(|action| action.id.clone()).context("the guest has an action")
}

fn authority(plugin: &Plugin, manifest: &Manifest) -> Result<Authority> {
    let grant = format!("version = 1\nplugin = \"{}\"\n[operations.\"*\"]\n", manifest.id);
    let grant = Grant::parse(&grant, "grant.toml").map_err(|problems| anyhow!("{problems:?}"))?;
    let ceiling = Ceiling::parse(crate::host::CEILING, "ceiling.toml").map_err(|problems| anyhow!("{problems:?}"))?;
    let environment = crate::host::environment();
    let approval = Approval {
        digest: plugin.digest(),
        environment: environment.clone(),
        grant,
        approved_by: "bench".to_owned(),
        approved_at_ms: 0,
        note: None,
    };
    let action = manifest.actions.first().context("the guest has an action")?;
    let digest = plugin.digest();
    let authority = Authority::try_new(
        &Arc::new(ceiling),
        Some(&Arc::new(approval)),
        &digest,
        &environment,
        manifest,
        Subject::Action(action),
        None,
    );
    let authority = authority.map_err(|denial| anyhow!("{denial}"))?;
    debug_assert_eq!(authority.limits(), Limits::default());
    Ok(authority)
}
