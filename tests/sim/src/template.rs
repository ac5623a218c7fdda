//! The host that every world begins with: plugin installed and approved, connections
//! made, flows published. Set up once, then copied disk by disk.

use std::path::Path;
use std::sync::Arc;

use egress::{Egress, EgressOptions, Incoming, Outgoing, Transport, TransportError};
use engine::{Clock as _, Engine, NewConnection, Options, Parts};
use flow::Format;
use futures_util::future::BoxFuture;
use model::{Credential, Environment};
use policy::{Ceiling, Grant};
use secrecy::SecretString;
use store::{JournalStore, MemoryRows, Store};
use tempfile::TempDir;
use testkit::SimDisk;
use vault::Vault;

use crate::clock::SimClock;
use crate::connector::SimConnectors;
use crate::documents::{self, DOCUMENTS, Document, GRANT, HOOK_SECRET, TOKEN};
use crate::world::{World, options};

/// See the module.
pub struct Template {
    folder: TempDir,
    disk: SimDisk,
    ceiling: Arc<Ceiling>,
}

impl Template {
    /// Sets the host up.
    ///
    /// # Errors
    /// Whatever a command answers; none is expected.
    pub fn new() -> Result<Self, String> {
        let ceiling = Ceiling::parse("version = 1\nallowed = [\"* https://*:*\"]\n", "ceiling.toml").map_err(words)?;
        let folder = tempfile::tempdir().map_err(words)?;
        let template = Self { folder, disk: SimDisk::new(0), ceiling: Arc::new(ceiling) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(words)?;
        runtime.block_on(template.set_up())?;
        Ok(template)
    }

    /// A disk of its own with all that was set up.
    pub(crate) fn disk(&self, seed: u64) -> SimDisk {
        // Everything on it is durable: nothing is left to chance.
        self.disk.after_power_loss(seed)
    }

    /// An engine over a store, in a world.
    pub(crate) fn engine(&self, world: &Arc<World>, store: Arc<dyn Store>) -> Result<Engine, String> {
        let clock = world.clock.clone();
        let options = EgressOptions { clock_ms: Arc::new(move || clock.now_ms()), ..EgressOptions::default() };
        let transport = Arc::new(crate::remote::Remote::new(world));
        let egress = Egress::with_transport(options, transport);
        let scenario = &world.scenario;
        let options = Options { workers: scenario.workers, queue_max: scenario.queue_max };
        self.open(Some(world.clone()), store, egress, world.clock.clone(), options)
    }

    fn open(
        &self,
        world: Option<Arc<World>>,
        store: Arc<dyn Store>,
        egress: Egress,
        clock: Arc<SimClock>,
        options: Options,
    ) -> Result<Engine, String> {
        let folder: &Path = self.folder.path();
        Engine::open(Parts {
            folder: folder.to_owned(),
            store,
            vault: Vault::open(&folder.join("vault.key")).map_err(words)?,
            connectors: Arc::new(SimConnectors(world)),
            egress: Arc::new(egress),
            ceiling: self.ceiling.clone(),
            clock,
            options,
        })
        .map_err(words)
    }

    async fn set_up(&self) -> Result<(), String> {
        let store = JournalStore::open_on(Arc::new(self.disk.clone()), MemoryRows::new(), options()).map_err(words)?;
        let store = Arc::new(store);
        let egress = Egress::with_transport(EgressOptions::default(), Arc::new(Nowhere));
        let engine = self.open(None, store.clone(), egress, Arc::new(SimClock::new(0)), Options::default())?;
        engine.install_plugin(b"the simulated connector".to_vec(), "sim").await.map_err(words)?;
        approve(&engine).await.map_err(words)?;
        connect(&engine).await.map_err(words)?;
        for document in &DOCUMENTS {
            publish(&engine, document, "as set up").await.map_err(words)?;
        }
        drop(engine);
        store.close().map_err(words)
    }
}

/// Approves the plugin, as at first.
pub(crate) async fn approve(engine: &Engine) -> Result<(), engine::EngineError> {
    let grant = Grant::parse(GRANT, "grant.toml").expect("the simulated grant is one");
    engine.approve_plugin("sim", grant, environment(), "ana", None).await.map(drop)
}

/// Makes both connections, as at first.
pub(crate) async fn connect(engine: &Engine) -> Result<(), engine::EngineError> {
    let secret = |text: &str| Some(SecretString::from(text));
    let new = |id: &str, plugin: &str, credential| NewConnection {
        id: id.parse().expect("a name"),
        environment: environment(),
        plugin: plugin.parse().expect("a name"),
        team: None,
        label: None,
        base_url: None,
        credential,
        webhook_secret: secret(HOOK_SECRET),
        scopes: Vec::new(),
    };
    let bearer = Credential::Bearer { token: SecretString::from(TOKEN) };
    engine.add_connection(new("account", "sim", bearer), "ana").await?;
    engine.add_connection(new("hook", "webhook", Credential::None), "ana").await.map(drop)
}

/// Publishes a flow; another purpose makes another version.
pub(crate) async fn publish(engine: &Engine, document: &Document, purpose: &str) -> Result<(), engine::EngineError> {
    let text = document.text.replace("@purpose@", purpose);
    engine.apply_flow(&text, Format::Yaml, "flow.yaml", &environment(), "ana").await.map(drop)
}

/// Where everything runs.
pub(crate) fn environment() -> Environment {
    documents::ENVIRONMENT.parse().expect("a name")
}

fn words(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

/// Setting up calls nobody.
struct Nowhere;

impl Transport for Nowhere {
    fn send(&self, _: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportError>> {
        Box::pin(async { Err(TransportError::NotSent("nothing is sent while setting up".to_owned())) })
    }
}
