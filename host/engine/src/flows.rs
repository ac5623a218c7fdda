//! Flows: checked against what is approved, kept version by version.
//!
//! A version never changes. Publishing locks the digest of every connector it uses;
//! a run keeps its version to the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use flow::{Format, Plan};
use model::{Digest, Environment, FlowId, PluginId, Problem, RunId};
use store::{Batch, Order, Store};

use crate::catalogue::Known;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::queue::{FlowLane, Lane};
use crate::records::{
    DRAFTS, DraftRecord, FLOWS, FlowRecord, Paused, RUNS, Revoked, RunRecord, VERSIONS, VersionRecord,
};
use crate::triggers::TriggerView;

/// A flow version, ready to run.
pub(crate) struct Published {
    pub(crate) environment: Environment,
    pub(crate) record: VersionRecord,
    /// The schema of a built-in trigger's events, compiled.
    pub(crate) event: Option<model::Schema>,
    /// How its runs stand in line.
    pub(crate) lane: Arc<FlowLane>,
}

impl Published {
    pub(crate) fn new(environment: Environment, record: VersionRecord) -> Result<Self, EngineError> {
        let document = match record.plan.trigger() {
            flow::Trigger::Connector { .. } | flow::Trigger::Poll(_) | flow::Trigger::Schedule(_) => None,
            flow::Trigger::Webhook { event, .. } => event.as_ref(),
            flow::Trigger::Manual { input } | flow::Trigger::Call { input, .. } => input.as_ref(),
        };
        // The flow's check has compiled it already.
        let event = document.map(model::Schema::compile).transpose().map_err(EngineError::internal)?;
        let (flow, team) = (record.plan.id().clone(), record.plan.team().cloned());
        let lane = Arc::new(FlowLane { environment: environment.clone(), flow, team });
        Ok(Self { environment, record, event, lane })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.record.plan
    }

    /// How many of its runs are worked on at once.
    pub(crate) fn most(&self) -> usize {
        match self.plan().concurrency() {
            // Those that have to wait for another one are let go again at once.
            flow::Concurrency::Parallel | flow::Concurrency::Sequential { .. } => usize::MAX,
            flow::Concurrency::Limited { most } => usize::try_from(*most).unwrap_or(usize::MAX),
        }
    }
}

type VersionKey = (Environment, FlowId, u32);
type Standing = (Arc<Published>, Arc<FlowRecord>);

/// The flows in memory: the published version of each with its standing, and older
/// ones as runs ask.
#[derive(Default)]
pub(crate) struct Flows {
    published: RwLock<HashMap<(Environment, FlowId), Standing>>,
    older: RwLock<HashMap<VersionKey, Arc<Published>>>,
}

/// Older versions kept in memory: more than runs of old versions are open at once.
const OLDER_MAX: usize = 1_000;

impl Flows {
    pub(crate) fn put(&self, published: Arc<Published>, record: Arc<FlowRecord>) {
        let key = (published.environment.clone(), published.plan().id().clone());
        self.published.write().unwrap_or_else(PoisonError::into_inner).insert(key, (published, record));
    }

    pub(crate) fn get(&self, environment: &Environment, flow: &FlowId) -> Option<Arc<Published>> {
        self.standing(environment, flow).map(|(published, _)| published)
    }

    /// Whether it is paused, retired, and which version is the newest.
    pub(crate) fn record(&self, environment: &Environment, flow: &FlowId) -> Option<Arc<FlowRecord>> {
        self.standing(environment, flow).map(|(_, record)| record)
    }

    fn standing(&self, environment: &Environment, flow: &FlowId) -> Option<Standing> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        published.get(&(environment.clone(), flow.clone())).cloned()
    }

    /// Where a run stands in line; none when there is no such run. One that cannot be
    /// read stands somewhere too: its worker says what is wrong.
    pub(crate) fn lane_of(&self, store: &dyn Store, run: &RunId) -> Option<Lane> {
        let record = RUNS.get(store, &[run.as_str().as_bytes()]).transpose()?;
        let published = record.as_ref().ok().and_then(|record| self.get(&record.environment, &record.flow));
        let most = published.as_ref().map_or(usize::MAX, |published| published.most());
        let flow = match (published, record) {
            (Some(published), _) => published.lane.clone(),
            (None, Ok(RunRecord { environment, flow, .. })) => Arc::new(FlowLane { environment, flow, team: None }),
            (None, Err(_)) => Arc::new(FlowLane {
                environment: "unreadable".parse().expect("a name"),
                flow: "unreadable".parse().expect("a name"),
                team: None,
            }),
        };
        Some(Lane { flow, key: 0, most })
    }

    pub(crate) fn all(&self) -> Vec<Arc<Published>> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = published.values().map(|(published, _)| published.clone()).collect();
        all.sort_by(|a, b| (&a.environment, a.plan().id()).cmp(&(&b.environment, b.plan().id())));
        all
    }
}

/// How far a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowState {
    /// Saved and checked; it runs nothing.
    Draft,
    /// It takes events and runs them.
    Published,
    /// It takes events and keeps them.
    Paused,
    /// It takes no events and no calls.
    Retired,
}

impl FlowState {
    /// As documents and the command line write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Paused => "paused",
            Self::Retired => "retired",
        }
    }

    fn of(record: &FlowRecord) -> Self {
        match (&record.retired, &record.paused) {
            (Some(_), _) => Self::Retired,
            (None, Some(_)) => Self::Paused,
            (None, None) => Self::Published,
        }
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
    /// How far it is.
    pub state: FlowState,
    /// The published version; 0 while there is only a draft.
    pub version: u32,
    /// When that was applied, or the draft saved.
    pub applied_at_ms: u64,
    /// By whom.
    pub applied_by: String,
    /// Since when its events wait, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// Since when it takes no events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Revoked>,
    /// When the draft was saved that is not published yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_saved_at_ms: Option<u64>,
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
        let known = Known { catalogue: &self.0.catalogue, flows: &self.0.flows, environment };
        let plan = flow::check(document, format, file, &known).map_err(EngineError::Invalid)?;
        let problems = self.calls_of_retired(environment, &plan);
        if problems.is_empty() { Ok(plan) } else { Err(EngineError::Invalid(problems)) }
    }

    /// Publishes a flow as its next version; its draft is gone then. The same document
    /// on the same plugins again makes no version. A flow that a person paused stays
    /// paused.
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
        let id = plan.id().clone();
        let current = self.0.flows.get(environment, &id);
        let is_same = |current: &Published| current.record.document == document && current.record.locked == locked;
        let same = current.filter(|current| is_same(current));
        let before = self.0.flows.record(environment, &id);
        let version = match (&same, &before) {
            (Some(same), _) => same.record.version,
            (None, Some(before)) => before.latest.max(before.version) + 1,
            (None, None) => 1,
        };
        let flow = FlowRecord {
            id: id.clone(),
            environment: environment.clone(),
            version,
            latest: before.as_ref().map_or(version, |before| before.latest.max(version)),
            paused: before.as_ref().and_then(|before| before.paused.clone()).filter(|paused| paused.cause.is_none()),
            retired: None,
        };
        let plan = plan.lock(locked.clone());
        let record = VersionRecord {
            version,
            document: document.to_owned(),
            plan,
            locked,
            applied_at_ms: self.now_ms(),
            applied_by: by.to_owned(),
        };
        let mut batch = Batch::new();
        let key: [&[u8]; 2] = [environment.as_str().as_bytes(), id.as_str().as_bytes()];
        if same.is_none() {
            VERSIONS.put(&mut batch, &[key[0], key[1], &version.to_be_bytes()], &record)?;
        }
        FLOWS.put(&mut batch, &key, &flow)?;
        DRAFTS.delete(&mut batch, &key);
        self.put_schedule(&mut batch, environment, &record.plan)?;
        let hook = self.put_hook(&mut batch, environment, &record.plan)?;
        self.0.store.commit(batch).await?;
        if let Some(hook) = hook {
            self.0.hooks.put(environment, &id, hook);
        }
        let published = same.map_or_else(|| Published::new(environment.clone(), record).map(Arc::new), Ok)?;
        let resumes = before.is_some_and(|before| before.paused.is_some()) && flow.paused.is_none();
        self.0.flows.put(published.clone(), Arc::new(flow));
        self.arm(&published);
        if resumes {
            self.wake_flow(environment, &id)?;
        }
        self.flow(environment, &id)
    }

    /// Every flow, those that are only drafts included.
    ///
    /// # Errors
    /// When the drafts cannot be read.
    pub fn flows(&self) -> Result<Vec<FlowView>, EngineError> {
        let mut drafts: BTreeMap<(Environment, FlowId), DraftRecord> = BTreeMap::new();
        for (environment, draft) in self.drafts()? {
            drafts.insert((environment, draft.plan.id().clone()), draft);
        }
        let mut views: Vec<FlowView> = Vec::new();
        for published in self.0.flows.all() {
            let draft = drafts.remove(&(published.environment.clone(), published.plan().id().clone()));
            views.push(self.view(&published, draft.as_ref())?);
        }
        for ((environment, _), draft) in &drafts {
            views.push(self.view_draft(environment, draft)?);
        }
        views.sort_by(|a, b| (&a.environment, &a.id).cmp(&(&b.environment, &b.id)));
        Ok(views)
    }

    /// A flow: its published version, or its draft when there is no other.
    ///
    /// # Errors
    /// When there is neither.
    pub fn flow(&self, environment: &Environment, id: &FlowId) -> Result<FlowView, EngineError> {
        let draft = self.draft(environment, id)?;
        match (self.published(environment, id), draft) {
            (Ok(published), draft) => self.view(&published, draft.as_ref()),
            (Err(_), Some(draft)) => self.view_draft(environment, &draft),
            (Err(error), None) => Err(error),
        }
    }

    fn view(&self, published: &Published, draft: Option<&DraftRecord>) -> Result<FlowView, EngineError> {
        let (record, plan) = (&published.record, published.plan());
        let standing = self.0.flows.record(&published.environment, plan.id());
        Ok(FlowView {
            id: plan.id().clone(),
            name: plan.name().to_owned(),
            purpose: plan.purpose().map(str::to_owned),
            environment: published.environment.clone(),
            state: standing.as_deref().map_or(FlowState::Draft, FlowState::of),
            version: record.version,
            applied_at_ms: record.applied_at_ms,
            applied_by: record.applied_by.clone(),
            paused: standing.as_ref().and_then(|standing| standing.paused.clone()),
            retired: standing.as_ref().and_then(|standing| standing.retired.clone()),
            draft_saved_at_ms: draft.map(|draft| draft.saved_at_ms),
            locked: record.locked.clone(),
            trigger: self.trigger_view(published)?,
            document: record.document.clone(),
        })
    }

    /// A flow that is only a draft, as the version 0 that it has not got.
    fn view_draft(&self, environment: &Environment, draft: &DraftRecord) -> Result<FlowView, EngineError> {
        let record = VersionRecord {
            version: 0,
            document: draft.document.clone(),
            plan: draft.plan.clone(),
            locked: BTreeMap::new(),
            applied_at_ms: draft.saved_at_ms,
            applied_by: draft.saved_by.clone(),
        };
        self.view(&Published::new(environment.clone(), record)?, Some(draft))
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
                self.load_hook(&flow.environment, &flow.id)?;
                self.0.flows.put(published, Arc::new(flow));
            }
        }
    }
}

/// Rows read at once at start.
pub(crate) const PAGE: usize = 500;
