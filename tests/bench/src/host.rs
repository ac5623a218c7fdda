//! A host in this process, as the binary assembles it, over a folder of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use egress::{Egress, EgressOptions};
use engine::{Engine, NewConnection, Options, Parts, SystemClock};
use flow::Format;
use model::{Credential, Environment};
use policy::{Ceiling, Grant};
use sandbox::Sandbox;
use secrecy::SecretString;
use store::JournalStore;
use vault::Vault;

/// Allows loopback, for the receiver that stands in for a service.
pub(crate) const CEILING: &str = r#"
version = 1
allowed = ["* https://*:*", "* http://127.0.0.1:*"]
addresses = ["127.0.0.1:*"]
"#;

/// An engine over `folder`, with room for all calls of a benchmark.
pub(crate) fn engine(folder: &Path, store: Arc<JournalStore>) -> Result<Engine> {
    let vault = Vault::open(&folder.join("vault.key")).map_err(|error| anyhow!("{error}"))?;
    let options = sandbox::Options::new(folder.join("cache"), vault.derive_key("code-cache"));
    let ceiling = Ceiling::parse(CEILING, "ceiling.toml").map_err(|problems| anyhow!("{problems:?}"))?;
    let parts = Parts {
        folder: folder.to_owned(),
        store,
        vault,
        connectors: Arc::new(Sandbox::open(options)?),
        egress: Arc::new(Egress::new(EgressOptions::default())?),
        ceiling: Arc::new(ceiling),
        clock: Arc::new(SystemClock),
        options: Options { workers: 64, queue_max: 200_000 },
    };
    Ok(Engine::open(parts)?)
}

/// Installs and approves a component.
pub(crate) async fn install(engine: &Engine, wasm: &Path, grant: &str) -> Result<()> {
    let bytes = std::fs::read(wasm).with_context(|| format!("{} is not built", wasm.display()))?;
    let view = engine.install_plugin(bytes, "bench").await?;
    let grant = Grant::parse(grant, "grant.toml").map_err(|problems| anyhow!("{problems:?}"))?;
    engine.approve_plugin(&view.record.digest.to_string(), grant, environment(), "bench", None).await?;
    Ok(())
}

/// What lets the `http` connector post to the receiver.
pub(crate) fn http_grant(receiver: SocketAddr) -> String {
    format!(
        "version = 1\nplugin = \"http\"\naddresses = [\"{receiver}\"]\n[operations.send]\ndestinations = [\"POST http://{receiver}/**\"]\n[limits]\nrequests_per_minute = 100000000\n"
    )
}

/// A connection with a webhook secret.
pub(crate) async fn connect(engine: &Engine, plugin: &str, id: &str, base_url: Option<String>) -> Result<()> {
    let webhook_secret = (plugin == engine::BUILT_IN_WEBHOOK).then(|| SecretString::from(TOKEN));
    let new = NewConnection {
        id: id.parse()?,
        environment: environment(),
        plugin: plugin.parse()?,
        team: None,
        label: None,
        base_url,
        credential: Credential::None,
        webhook_secret,
        scopes: Vec::new(),
    };
    engine.add_connection(new, "bench").await?;
    Ok(())
}

/// Publishes a flow.
pub(crate) async fn publish(engine: &Engine, document: &str) -> Result<()> {
    engine.apply_flow(document, Format::Yaml, "flow.yaml", &environment(), "bench").await?;
    Ok(())
}

/// What senders show.
pub(crate) const TOKEN: &str = "bench-token-0123456789";

pub(crate) fn environment() -> Environment {
    "production".parse().expect("a name")
}
