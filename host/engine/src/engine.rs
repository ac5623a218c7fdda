//! The engine's parts and their life: open, run, drain.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use model::{Problem, RunId};
use policy::Ceiling;
use store::{Order, Store};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use url::Url;
use vault::{Secrets, Vault};

use crate::alarms::Alarms;
use crate::catalogue::{Catalogue, Installed};
use crate::clock::{Clock, RunIds};
use crate::connections;
use crate::connectors::Connectors;
use crate::duplicates::Uncounted;
use crate::error::EngineError;
use crate::flows::{Flows, PAGE};
use crate::hooks::Hooks;
use crate::pace::Pace;
use crate::poll_state::Polls;
use crate::queue::Queue;
use crate::reauthorise::Refusals;
use crate::records::{APPROVALS, CONNECTIONS, PLUGINS};
use crate::state::StateTurns;
use crate::workers::Workers;

/// What the engine is made of.
pub struct Parts {
    /// The data folder, for components.
    pub folder: PathBuf,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Where secrets are sealed.
    pub vault: Vault,
    /// Where connectors run.
    pub connectors: Arc<dyn Connectors>,
    /// The only way out.
    pub egress: Arc<egress::Egress>,
    /// What no grant exceeds.
    pub ceiling: Arc<Ceiling>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// How much at once.
    pub options: Options,
}

/// How much the engine does at once.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Runs under way at the same time. 32: enough to keep two processors and a
    /// slow remote busy; after a kill at most this many effects are in doubt.
    pub workers: usize,
    /// Runs that may wait for a worker before deliveries are refused; one flow fills at
    /// most four fifths. 20,000: the names of runs, a few MiB.
    pub queue_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { workers: 32, queue_max: 20_000 }
    }
}

/// Accepts events, runs flows, and answers for what happened. Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) folder: PathBuf,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Vault,
    pub(crate) connectors: Arc<dyn Connectors>,
    pub(crate) egress: Arc<egress::Egress>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalogue: Catalogue,
    pub(crate) flows: Arc<Flows>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) ids: RunIds,
    pub(crate) refusals: Refusals,
    pub(crate) pace: Pace,
    pub(crate) uncounted: Uncounted,
    /// The last number given in a line of runs.
    pub(crate) order: std::sync::Mutex<u64>,
    pub(crate) alarms: Alarms,
    pub(crate) hooks: Hooks,
    pub(crate) polls: Polls,
    /// Where services reach the host, without a slash at the end.
    pub(crate) public_url: OnceLock<String>,
    pub(crate) workers: Workers,
    /// Turns of calls that write what their connectors keep.
    pub(crate) state_turns: Arc<StateTurns>,
    /// What works in the background until it drains.
    pub(crate) background: std::sync::Mutex<JoinSet<()>>,
    /// Held while something that administrators decide is changed.
    pub(crate) administration: Mutex<()>,
}

/// What the engine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// Runs under way.
    pub running: usize,
    /// Runs that wait for a worker.
    pub ready: usize,
    /// Runs that wait for their time.
    pub waiting: usize,
    /// Whether it is going down.
    pub draining: bool,
}

impl Engine {
    /// Reads what is kept. Nothing runs before `run`.
    ///
    /// # Errors
    /// When the store cannot be read, or the vault's key does not fit it.
    pub fn open(parts: Parts) -> Result<Self, EngineError> {
        let flows = Arc::new(Flows::default());
        let (store, known) = (parts.store.clone(), flows.clone());
        let directory = Box::new(move |run: &RunId| known.lane_of(&*store, run));
        let Options { workers, queue_max } = parts.options;
        let engine = Self(Arc::new(Inner {
            catalogue: Catalogue::new(parts.ceiling),
            flows,
            ids: RunIds::default(),
            refusals: Refusals::default(),
            pace: Pace::default(),
            uncounted: Uncounted::default(),
            order: std::sync::Mutex::default(),
            alarms: Alarms::default(),
            hooks: Hooks::default(),
            polls: Polls::default(),
            public_url: OnceLock::new(),
            queue: Arc::new(Queue::new(parts.clock.clone(), queue_max, Workers::shared(workers), directory)),
            workers: Workers::new(workers),
            folder: parts.folder,
            store: parts.store,
            vault: parts.vault,
            connectors: parts.connectors,
            egress: parts.egress,
            clock: parts.clock,
            state_turns: Arc::default(),
            background: std::sync::Mutex::default(),
            administration: Mutex::new(()),
        }));
        engine.load_catalogue()?;
        engine.load_flows()?;
        engine.load_holds()?;
        engine.load_refusals()?;
        engine.load_order()?;
        Ok(engine)
    }

    /// Says where services reach the host's webhooks: once, before `run`.
    ///
    /// # Errors
    /// When it is no address to which a path can be added.
    pub fn set_public_url(&self, url: &str) -> Result<(), EngineError> {
        let bare = |url: &Url| {
            matches!(url.scheme(), "https" | "http")
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        };
        let Some(url) = Url::parse(url).ok().filter(bare) else {
            let problem = Problem::new("public-url", format!("{url:?} is not an address that services can be told"));
            return Err(EngineError::invalid(problem.fix("write https://HOST, with a path if the host has one")));
        };
        // Set twice, the first one stays.
        let _ = self.0.public_url.set(url.as_str().trim_end_matches('/').to_owned());
        Ok(())
    }

    /// Goes on with every open run, and works until `drain`. Returns how many were
    /// open. Call within a tokio runtime.
    ///
    /// # Errors
    /// When the open runs cannot be read.
    pub fn run(&self) -> Result<usize, EngineError> {
        let open = self.recover()?;
        let mut background = self.0.background.lock().unwrap_or_else(PoisonError::into_inner);
        background.spawn(self.clone().dispatch());
        background.spawn(self.clone().keep_time());
        background.spawn(self.clone().tidy());
        Ok(open)
    }

    /// Takes nothing new, and waits until what is under way has ended or come to a
    /// point where the next start can go on. False: time was up before.
    pub async fn drain(&self, within: Duration) -> bool {
        self.0.queue.close();
        let background = std::mem::take(&mut *self.0.background.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async {
            background.join_all().await;
            self.0.workers.idle().await;
        };
        tokio::time::timeout(within, ended).await.is_ok()
    }

    /// What it is doing.
    pub fn health(&self) -> Health {
        let (running, ready, waiting) = self.0.queue.depth();
        Health { running, ready, waiting, draining: self.0.queue.is_closed() }
    }

    /// Milliseconds since 1970-01-01 UTC, by the engine's clock.
    pub fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// The ceiling in force.
    pub fn ceiling(&self) -> &Arc<Ceiling> {
        &self.0.catalogue.ceiling
    }

    fn load_catalogue(&self) -> Result<(), EngineError> {
        let store = &*self.0.store;
        for record in all(|after| PLUGINS.list(store, &[], after, PAGE, Order::Ascending))? {
            self.0.catalogue.put_plugin(Arc::new(Installed::new(record, None)));
        }
        for record in all(|after| APPROVALS.list(store, &[], after, PAGE, Order::Ascending))? {
            self.0.catalogue.put_approval(record);
        }
        for record in all(|after| CONNECTIONS.list(store, &[], after, PAGE, Order::Ascending))? {
            let secrets = self.0.vault.get(store, &record.environment, &record.id).map_err(|error| {
                EngineError::Unavailable(
                    Problem::new("vault", format!("the secrets of connection {} cannot be opened: {error}", record.id))
                        .cause("the key file does not belong to this data folder, or a record is damaged")
                        .fix("restore the key file that this data folder was made with"),
                )
            })?;
            let secrets = secrets.unwrap_or(Secrets { credential: model::Credential::None, webhook_secret: None });
            self.0.catalogue.put_connection(Arc::new(connections::live(record, secrets)?));
        }
        Ok(())
    }

    /// Compiles approved plugins ahead of their first call, and forgets old
    /// deliveries now and then.
    async fn tidy(self) {
        for installed in self.0.catalogue.plugins() {
            if self.0.catalogue.approvals_of(&installed.record.digest).iter().any(|record| record.revoked.is_none())
                && let Err(problem) = self.component(&installed).await
            {
                tracing::error!(plugin = %installed.manifest().id, problem = %problem, "an approved plugin cannot be loaded");
            }
        }
        if let Err(error) = self.reconsider_all().await {
            tracing::error!(error = &error as &dyn std::error::Error, "flows could not be paused or resumed");
        }
        if let Err(error) = self.resume_all_parked().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "runs of mended connections could not be resumed"
            );
        }
        for round in 0u64.. {
            if self.0.queue.is_closed() {
                return;
            }
            if round % TIDY_SEEN_ROUNDS == 0 {
                if let Err(error) = self.forget_old().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "what is old could not be forgotten");
                }
                if let Err(error) = self.forget_unheard().await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "messages to runs that have ended are left"
                    );
                }
            }
            self.forget_past();
            // Either is a reason to look again.
            let _ = tokio::time::timeout(TIDY_EVERY, self.0.queue.closed()).await;
        }
    }
}

/// How often old history is looked for. A third of a minute, the shortest time for
/// which a run can be kept; a look that finds nothing reads no segment.
const TIDY_EVERY: Duration = Duration::from_secs(20);
/// Buckets of seen deliveries end every three days; an hour is often enough.
const TIDY_SEEN_ROUNDS: u64 = 180;

impl Engine {
    async fn forget_old(&self) -> Result<(), EngineError> {
        self.forget_seen().await?;
        self.forget_settled().await?;
        let _one_at_a_time = self.0.administration.lock().await;
        self.forget_state().await
    }
}

/// Every row of a table, page by page.
fn all<T, K: AsRef<[u8]>, E: Into<EngineError>>(
    page: impl Fn(Option<&[u8]>) -> Result<Vec<(K, T)>, E>,
) -> Result<Vec<T>, EngineError> {
    let mut rows = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let found = page(after.as_deref()).map_err(Into::into)?;
        let Some((last, _)) = found.last() else { return Ok(rows) };
        after = Some(last.as_ref().to_vec());
        rows.extend(found.into_iter().map(|(_, row)| row));
    }
}
