//! Prints what the host adds to a raw wasmtime call, and what loading kept code
//! costs beside reading and hashing it. For orientation; `cargo xtask bench` judges.
//!
//! Usage: `overhead COMPONENT OPERATION` (built with `cargo build -p sandbox --example overhead`), with an operation that answers its input.

use std::sync::Arc;
use std::time::{Duration, Instant};

use egress::{Egress, EgressOptions, Session, SessionSpec};
use model::{Credential, Digest, Environment, Limits, Manifest};
use policy::{Approval, Authority, Ceiling, Grant, Subject};
use sandbox::bench::RawLoop;
use sandbox::{Call, CallContext, Options, Sandbox, Work};

const CALLS: u32 = 2_000;
const ROUNDS: usize = 7;
const PLUGINS: u32 = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let wasm = std::fs::read(arguments.next().ok_or("which component?")?)?;
    let operation = arguments.next().ok_or("which operation?")?;
    let home = std::env::temp_dir().join(format!("sandbox-overhead-{}", std::process::id()));
    let sandbox = Sandbox::open(Options::new(&home, [1; 32]))?;
    let plugin = sandbox.load(&wasm)?;
    let manifest = sandbox.describe(&plugin).await.map_err(|problems| format!("{problems:?}"))?;
    let raw = RawLoop::new(&sandbox, &plugin)?;
    let egress = Arc::new(Egress::new(EgressOptions::default())?);
    let authority = authority(&plugin.digest(), &manifest)?;
    let input = format!("{{\"text\":\"{}\"}}", "x".repeat(1_012));
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            raw.invoke(&operation, &input).await?;
        }
        reference.push(start.elapsed() / CALLS);
        let start = Instant::now();
        for _ in 0..CALLS {
            let work = Work::Invoke { operation: operation.parse()?, input: input.clone() };
            let call = Call {
                work,
                context: context(),
                limits: Limits::default(),
                session: session(&egress, &plugin.digest(), &authority),
            };
            sandbox.call(&plugin, call).await.outcome.map_err(|failure| format!("{failure:?}"))?;
        }
        ours.push(start.elapsed() / CALLS);
    }
    let (ours, reference) = (median(ours), median(reference));
    println!("call: ours {ours:?}, raw {reference:?}, ratio {:.2}", ours.as_secs_f64() / reference.as_secs_f64());
    load(&home, &wasm)?;
    std::fs::remove_dir_all(home)?;
    Ok(())
}

fn load(home: &std::path::Path, wasm: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let component = |index: u32| {
        // A custom section of its own makes each component another one.
        let mut wasm = wasm.to_vec();
        wasm.extend([0, 6, 1, b'n']);
        wasm.extend(index.to_le_bytes());
        wasm
    };
    let digests: Vec<Digest> = (0..PLUGINS).map(|index| Digest::of(&component(index))).collect();
    let sandbox = Sandbox::open(Options::new(home, [1; 32]))?;
    for index in 0..PLUGINS {
        sandbox.load(&component(index))?;
    }
    drop(sandbox);
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for entry in std::fs::read_dir(home)? {
            std::hint::black_box(Digest::of(&std::fs::read(entry?.path())?));
        }
        reference.push(start.elapsed() / PLUGINS);
        let sandbox = Sandbox::open(Options::new(home, [1; 32]))?;
        let start = Instant::now();
        let plugins: Result<Vec<_>, _> = digests
            .iter()
            .map(|digest| sandbox.load_cached(digest, || Err(std::io::ErrorKind::NotFound.into())))
            .collect();
        ours.push(start.elapsed() / PLUGINS);
        drop(plugins?);
    }
    let (ours, reference) = (median(ours), median(reference));
    println!(
        "load: ours {ours:?}, read and hash {reference:?}, ratio {:.2}",
        ours.as_secs_f64() / reference.as_secs_f64()
    );
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn context() -> CallContext {
    CallContext {
        attempt: 1,
        idempotency_key: "key".to_owned(),
        environment: "test".to_owned(),
        ..CallContext::default()
    }
}

fn session(egress: &Arc<Egress>, digest: &Digest, authority: &Authority) -> Session {
    let limits = Limits::default();
    egress.session(SessionSpec {
        digest: *digest,
        connection: None,
        authority: authority.clone(),
        credential: Credential::None,
        limits,
        deadline: tokio::time::Instant::now() + Duration::from_millis(limits.wall_ms),
    })
}

fn authority(digest: &Digest, manifest: &Manifest) -> Result<Authority, Box<dyn std::error::Error>> {
    let environment: Environment = "test".parse()?;
    let grant = format!("version = 1\nplugin = \"{}\"\n[operations.\"*\"]\ndestinations = []\n", manifest.id);
    let approval = Approval {
        digest: *digest,
        environment: environment.clone(),
        grant: Grant::parse(&grant, "grant.toml").map_err(|problems| format!("{problems:?}"))?,
        approved_by: "bench".to_owned(),
        approved_at_ms: 0,
        note: None,
    };
    let ceiling =
        Arc::new(Ceiling::parse("version = 1\n", "ceiling.toml").map_err(|problems| format!("{problems:?}"))?);
    let action = manifest.actions.first().ok_or("no action")?;
    let subject = Subject::Action(action);
    Ok(Authority::try_new(&ceiling, Some(&Arc::new(approval)), digest, &environment, manifest, subject, None)?)
}
