//! Flows: checked against what is approved, kept version by version.
//!
//! A version never changes. Publishing locks the digest of every connector it uses;
//! a run keeps its version to the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use flow::{Format, Plan};
use model::{Digest, Environment, FlowId, PluginId, Problem};
use store::{Batch, Order};

use crate::catalogue::Known;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{FLOWS, FlowRecord, VERSIONS, VersionRecord};
use crate::triggers::TriggerView;

/// A flow version, ready to run.
pub(crate) struct Published {
    pub(crate) environment: Environment,
    pub(crate) record: VersionRecord,
    /// The schema of a built-in trigger's events, compiled.
    pub(crate) event: Option<model::Schema>,
}

impl Published {
    pub(crate) fn new(environment: Environment, record: VersionRecord) -> Result<Self, EngineError> {
        let document = match record.plan.trigger() {
            flow::Trigger::Connector { .. } | flow::Trigger::Schedule(_) => None,
            flow::Trigger::Webhook { event, .. } => event.as_ref(),
            flow::Trigger::Manual { input } => input.as_ref(),
        };
        // The flow's check has compiled it already.
        let event = document.map(model::Schema::compile).transpose().map_err(EngineError::internal)?;
        Ok(Self { environment, record, event })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.record.plan
    }
}

type VersionKey = (Environment, FlowId, u32);

/// The flows in memory: the published version of each, and older ones as runs ask.
#[derive(Default)]
pub(crate) struct Flows {
    published: RwLock<HashMap<(Environment, FlowId), Arc<Published>>>,
    older: RwLock<HashMap<VersionKey, Arc<Published>>>,
}

/// Older versions kept in memory: more than runs of old versions are open at once.
const OLDER_MAX: usize = 1_000;

impl Flows {
    pub(crate) fn put(&self, published: Arc<Published>) {
        let key = (published.environment.clone(), published.plan().id().clone());
        self.published.write().unwrap_or_else(PoisonError::into_inner).insert(key, published);
    }

    pub(crate) fn get(&self, environment: &Environment, flow: &FlowId) -> Option<Arc<Published>> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        published.get(&(environment.clone(), flow.clone())).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Published>> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = published.values().cloned().collect();
        all.sort_by(|a, b| (&a.environment, a.plan().id()).cmp(&(&b.environment, b.plan().id())));
        all
    }
}

/// A flow, as people look at it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct FlowView {
    /// Its name.
    pub id: FlowId,
    /// The name people know.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Where it runs.
    pub environment: Environment,
    /// The published version.
    pub version: u32,
    /// When that was applied.
    pub applied_at_ms: u64,
    /// By whom.
    pub applied_by: String,
    /// The connectors it runs on, by digest.
    pub locked: BTreeMap<PluginId, Digest>,
    /// What starts it, and how that goes.
    pub trigger: TriggerView,
    /// The document.
    pub document: String,
}

impl Engine {
    /// Checks a flow document against what is approved in the environment.
    ///
    /// # Errors
    /// Every problem found.
    pub fn check_flow(
        &self,
        document: &str,
        format: Format,
        file: &str,
        environment: &Environment,
    ) -> Result<Plan, EngineError> {
        let known = Known { catalogue: &self.0.catalogue, environment };
        flow::check(document, format, file, &known).map_err(EngineError::Invalid)
    }

    /// Publishes a flow as its next version. The same document on the same plugins
    /// again changes nothing.
    ///
    /// # Errors
    /// Every problem found.
    pub async fn apply_flow(
        &self,
        document: &str,
        format: Format,
        file: &str,
        environment: &Environment,
        by: &str,
    ) -> Result<FlowView, EngineError> {
        let plan = self.check_flow(document, format, file, environment)?;
        let locked = self.lock(&plan, environment)?;
        let _one_at_a_time = self.0.administration.lock().await;
        let current = self.0.flows.get(environment, plan.id());
        if let Some(current) = &current
            && current.record.document == document
            && current.record.locked == locked
        {
            return self.view(current);
        }
        let version = current.map_or(1, |current| current.record.version + 1);
        let plan = plan.lock(locked.clone());
        let record = VersionRecord {
            version,
            document: document.to_owned(),
            plan,
            locked,
            applied_at_ms: self.now_ms(),
            applied_by: by.to_owned(),
        };
        let flow = FlowRecord { id: record.plan.id().clone(), environment: environment.clone(), version };
        let mut batch = Batch::new();
        let (in_environment, id) = (environment.as_str().as_bytes(), flow.id.as_str().as_bytes());
        VERSIONS.put(&mut batch, &[in_environment, id, &version.to_be_bytes()], &record)?;
        FLOWS.put(&mut batch, &[in_environment, id], &flow)?;
        self.put_schedule(&mut batch, environment, &record.plan)?;
        self.0.store.commit(batch).await?;
        let published = Arc::new(Published::new(environment.clone(), record)?);
        self.0.flows.put(published.clone());
        self.arm(&published);
        self.view(&published)
    }

    /// Every published flow.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn flows(&self) -> Result<Vec<FlowView>, EngineError> {
        self.0.flows.all().iter().map(|published| self.view(published)).collect()
    }

    /// The published version of a flow.
    ///
    /// # Errors
    /// When there is none.
    pub fn flow(&self, environment: &Environment, id: &FlowId) -> Result<FlowView, EngineError> {
        self.view(&*self.published(environment, id)?)
    }

    pub(crate) fn published(&self, environment: &Environment, id: &FlowId) -> Result<Arc<Published>, EngineError> {
        self.0.flows.get(environment, id).ok_or_else(|| {
            let problem = Problem::new("unknown-flow", format!("there is no flow {id} in {environment}"));
            let all = self.0.flows.all();
            EngineError::NotFound(match model::nearest(id.as_str(), all.iter().map(|flow| flow.plan().id().as_str())) {
                Some(near) if near != id.as_str() => problem.fix(format!("did you mean {near}?")),
                _ => problem.fix("list them: sluice flow list; add one: sluice flow apply FILE"),
            })
        })
    }

    /// A version that a run was made with.
    pub(crate) fn version(
        &self,
        environment: &Environment,
        id: &FlowId,
        version: u32,
    ) -> Result<Arc<Published>, EngineError> {
        if let Some(published) =
            self.0.flows.get(environment, id).filter(|published| published.record.version == version)
        {
            return Ok(published);
        }
        let key = (environment.clone(), id.clone(), version);
        if let Some(found) = self.0.flows.older.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        let parts: [&[u8]; 3] = [environment.as_str().as_bytes(), id.as_str().as_bytes(), &version.to_be_bytes()];
        let record = VERSIONS.get(&*self.0.store, &parts)?.ok_or_else(|| {
            EngineError::NotFound(Problem::new(
                "unknown-version",
                format!("flow {id} has no version {version} in {environment}"),
            ))
        })?;
        let published = Arc::new(Published::new(environment.clone(), record)?);
        let mut older = self.0.flows.older.write().unwrap_or_else(PoisonError::into_inner);
        if older.len() >= OLDER_MAX {
            older.clear();
        }
        older.insert(key, published.clone());
        Ok(published)
    }

    /// The components that a flow published now would run on.
    fn lock(&self, plan: &Plan, environment: &Environment) -> Result<BTreeMap<PluginId, Digest>, EngineError> {
        let mut locked = BTreeMap::new();
        let mut problems = Vec::new();
        for uses in plan.operations() {
            let plugin = &uses.operation.plugin;
            let Some(installed) = self.approved(environment, plugin) else {
                problems.push(Problem::new(
                    "plugin-not-approved",
                    format!("no version of {plugin} is approved in {environment}"),
                ));
                continue;
            };
            let connection = uses.connection.as_ref().map(|id| self.live_connection(environment, id)).transpose()?;
            for part in installed.parts(&uses.operation.operation) {
                let authority = self.0.catalogue.authority(environment, &installed, &part, connection.as_deref());
                if let Err(failure) = authority {
                    let place = uses.step.as_ref().map_or_else(|| "trigger".to_owned(), |step| format!("steps.{step}"));
                    problems.push(failure.to_problem().field(place));
                }
            }
            locked.insert(plugin.clone(), installed.record.digest);
        }
        if problems.is_empty() { Ok(locked) } else { Err(EngineError::Invalid(problems)) }
    }

    /// Reads the published flows at start.
    pub(crate) fn load_flows(&self) -> Result<(), EngineError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = FLOWS.list(&*self.0.store, &[], after.as_deref(), PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.to_vec());
            for (_, flow) in page {
                let published = self.version(&flow.environment, &flow.id, flow.version)?;
                self.0.flows.put(published);
            }
        }
    }
}

/// Rows read at once at start.
pub(crate) const PAGE: usize = 500;

impl Engine {
    fn view(&self, published: &Published) -> Result<FlowView, EngineError> {
        let (record, plan) = (&published.record, published.plan());
        Ok(FlowView {
            id: plan.id().clone(),
            name: plan.name().to_owned(),
            purpose: plan.purpose().map(str::to_owned),
            environment: published.environment.clone(),
            version: record.version,
            applied_at_ms: record.applied_at_ms,
            applied_by: record.applied_by.clone(),
            locked: record.locked.clone(),
            trigger: self.trigger_view(published)?,
            document: record.document.clone(),
        })
    }
}
