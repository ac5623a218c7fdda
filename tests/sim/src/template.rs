//! The host that every world begins with: plugin installed and approved, connections
//! made. Set up once, then copied disk by disk; each world publishes its own flows.

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
use crate::manifest::{self, GRANT, HOOK_SECRET, PUBLIC_URL, TOKEN};
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
        let set_up = async |engine: &Engine| {
            engine.install_plugin(b"the simulated connector".to_vec(), "sim").await.map_err(words)?;
            approve(engine).await.map_err(words)?;
            connect(engine).await.map_err(words)
        };
        template.with_engine(&template.disk, set_up)?;
        Ok(template)
    }

    /// A disk of its own with all that was set up, and these flows published.
    pub(crate) fn disk(&self, seed: u64, flows: &[String]) -> Result<SimDisk, String> {
        // Everything on it is durable: nothing is left to chance.
        let disk = self.disk.after_power_loss(seed);
        let first = async |engine: &Engine| {
            for document in flows {
                publish(engine, document).await.map_err(words)?;
            }
            Ok(())
        };
        self.with_engine(&disk, first)?;
        Ok(disk)
    }

    /// Does something with a host that nothing happens to.
    fn with_engine(&self, disk: &SimDisk, work: impl AsyncFnOnce(&Engine) -> Result<(), String>) -> Result<(), String> {
        let store = JournalStore::open_on(Arc::new(disk.clone()), MemoryRows::new(), options()).map_err(words)?;
        let store = Arc::new(store);
        let egress = Egress::with_transport(EgressOptions::default(), Arc::new(Nowhere));
        let engine = self.open(None, store.clone(), egress, Arc::new(SimClock::new(0, None)), Options::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(words)?;
        runtime.block_on(work(&engine))?;
        drop(engine);
        store.close().map_err(words)
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
        let engine = Engine::open(Parts {
            folder: folder.to_owned(),
            store,
            vault: Vault::open(&folder.join("vault.key")).map_err(words)?,
            connectors: Arc::new(SimConnectors(world)),
            egress: Arc::new(egress),
            ceiling: self.ceiling.clone(),
            clock,
            options,
        })
        .map_err(words)?;
        engine.set_public_url(PUBLIC_URL).map_err(words)?;
        Ok(engine)
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

/// Publishes a version of a flow.
pub(crate) async fn publish(engine: &Engine, document: &str) -> Result<(), engine::EngineError> {
    engine.apply_flow(document, Format::Json, "flow.json", &environment(), "ana").await.map(drop)
}

/// Where everything runs.
pub(crate) fn environment() -> Environment {
    manifest::ENVIRONMENT.parse().expect("a name")
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
