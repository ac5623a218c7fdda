//! What administrators approved, live in memory: plugins, grants, connections.
//!
//! Owns the one answer to "may this call be made, and with what": an `Authority`
//! per operation and connection, cached until anything here changes. The store is
//! written first (`plugins`, `connections`); this is what it adds up to.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use model::{
    ConnectionId, Digest, Environment, Failure, Manifest, OperationId, PluginId, Problem, Schema, SchemaError,
};
use policy::{Approval, Authority, Ceiling, ConnectionFacts, Subject};

use crate::connectors::Connector;
use crate::records::{ApprovalRecord, ConnectionRecord, PluginRecord};

/// The connector id of connections that only verify built-in webhook triggers.
pub const BUILT_IN_WEBHOOK: &str = "webhook";

/// An installed plugin, compiled when it is first called.
pub(crate) struct Installed {
    pub(crate) record: PluginRecord,
    pub(crate) connector: OnceLock<Arc<dyn Connector>>,
    schemas: HashMap<OperationId, Schemas>,
}

/// The two schemas of an operation: what goes in (input, config) and what comes
/// out (output, event).
struct Schemas {
    taken: LazySchema,
    given: LazySchema,
}

struct LazySchema {
    document: serde_json::Value,
    compiled: OnceLock<Result<Schema, SchemaError>>,
}

impl LazySchema {
    fn new(document: &serde_json::Value) -> Self {
        Self { document: document.clone(), compiled: OnceLock::new() }
    }

    /// Schemas were compiled at install; one that this release refuses lets nothing pass.
    fn get(&self) -> Result<&Schema, Failure> {
        self.compiled.get_or_init(|| Schema::compile(&self.document)).as_ref().map_err(|error| {
            let problem = Problem::new("schema-refused", error.to_string())
                .cause("the plugin was installed by a release that accepted this schema")
                .fix("install a version of the plugin with a simpler schema");
            Failure::Unavailable { problem }
        })
    }
}

impl Installed {
    pub(crate) fn new(record: PluginRecord, connector: Option<Arc<dyn Connector>>) -> Self {
        let schemas = |id: &OperationId, taken, given| {
            (id.clone(), Schemas { taken: LazySchema::new(taken), given: LazySchema::new(given) })
        };
        let manifest = &record.manifest;
        let actions = manifest.actions.iter().map(|action| schemas(&action.id, &action.input, &action.output));
        let triggers = manifest.triggers.iter().map(|trigger| schemas(&trigger.id, &trigger.config, &trigger.event));
        let schemas = actions.chain(triggers).collect();
        let cell = OnceLock::new();
        if let Some(connector) = connector {
            // A new cell is empty.
            let _ = cell.set(connector);
        }
        Self { record, connector: cell, schemas }
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.record.manifest
    }

    /// The schema of an action's input or a trigger's config.
    pub(crate) fn taken(&self, operation: &OperationId) -> Result<&Schema, Failure> {
        self.schemas(operation)?.taken.get()
    }

    /// The schema of an action's output or a trigger's events.
    pub(crate) fn given(&self, operation: &OperationId) -> Result<&Schema, Failure> {
        self.schemas(operation)?.given.get()
    }

    /// The parts of an operation that a flow with it relies on.
    pub(crate) fn parts(&self, operation: &OperationId) -> Vec<Part> {
        let kind = self.manifest().trigger(operation).map(|trigger| trigger.kind);
        let read = kind.is_none_or(model::TriggerKind::is_delivered).then(|| Part::Operation(operation.clone()));
        let asked = kind.is_some_and(model::TriggerKind::is_polled).then(|| Part::Poll(operation.clone()));
        read.into_iter().chain(asked).collect()
    }

    fn schemas(&self, operation: &OperationId) -> Result<&Schemas, Failure> {
        let unknown = || Failure::Unavailable { problem: unknown_operation(self.manifest(), operation.as_str()) };
        self.schemas.get(operation).ok_or_else(unknown)
    }
}

/// A connection with its secrets.
pub(crate) struct LiveConnection {
    pub(crate) record: ConnectionRecord,
    pub(crate) facts: ConnectionFacts,
    pub(crate) secrets: vault::Secrets,
}

#[derive(Default)]
struct Live {
    plugins: HashMap<Digest, Arc<Installed>>,
    approvals: HashMap<(Environment, Digest), (ApprovalRecord, Arc<Approval>)>,
    connections: HashMap<(Environment, ConnectionId), Arc<LiveConnection>>,
    authorities: HashMap<AuthorityKey, Authority>,
    /// Counts changes, so that an authority made from what was true before one is
    /// never cached after it.
    generation: u64,
}

type AuthorityKey = (Environment, Digest, Part, Option<ConnectionId>);

/// The part of a connector that is called: what it may do differs between the parts of
/// one operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// An action, or a trigger that reads a delivery.
    Operation(OperationId),
    /// A trigger that is asked what happened.
    Poll(OperationId),
    /// A trigger that sets up or takes away its webhook.
    Subscription(OperationId),
    /// The test of a connection.
    Check,
    /// What forms ask.
    Discovery,
    /// Stored configuration of an operation that is carried over.
    Migration(OperationId),
}

impl Part {
    fn name(&self) -> &str {
        match self {
            Self::Operation(id) | Self::Poll(id) | Self::Subscription(id) | Self::Migration(id) => id.as_str(),
            Self::Check => "check",
            Self::Discovery => "discovery",
        }
    }

    /// Who asks the policy; None: the connector does not have this part.
    fn subject<'a>(&'a self, manifest: &'a Manifest) -> Option<Subject<'a>> {
        match self {
            Self::Operation(id) => {
                manifest.action(id).map(Subject::Action).or_else(|| manifest.trigger(id).map(Subject::Trigger))
            }
            Self::Poll(id) => {
                let trigger = manifest.trigger(id)?;
                trigger.poll.as_ref().map(|poll| Subject::Poll(trigger, poll))
            }
            Self::Subscription(id) => {
                let trigger = manifest.trigger(id)?;
                trigger.subscription.as_ref().map(|subscription| Subject::Subscription(trigger, subscription))
            }
            Self::Check => manifest.connection.as_ref()?.check.as_ref().map(Subject::Check),
            Self::Discovery => manifest.discovery.as_ref().map(Subject::Discovery),
            Self::Migration(id) => {
                manifest.migrations.iter().any(|migration| migration.operation == *id).then_some(Subject::Migration(id))
            }
        }
    }
}

/// The live state. Locks are held for look-ups only.
pub(crate) struct Catalogue {
    pub(crate) ceiling: Arc<Ceiling>,
    live: RwLock<Live>,
}

impl Catalogue {
    pub(crate) fn new(ceiling: Arc<Ceiling>) -> Self {
        Self { ceiling, live: RwLock::default() }
    }

    fn read<T>(&self, look: impl FnOnce(&Live) -> T) -> T {
        look(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Live)) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut live);
        live.authorities.clear();
        live.generation += 1;
    }

    pub(crate) fn put_plugin(&self, installed: Arc<Installed>) {
        self.change(|live| {
            live.plugins.insert(installed.record.digest, installed);
        });
    }

    pub(crate) fn put_approval(&self, record: ApprovalRecord) {
        let approval = Arc::new(record.approval.clone());
        let key = (approval.environment.clone(), approval.digest);
        self.change(|live| {
            live.approvals.insert(key, (record, approval));
        });
    }

    pub(crate) fn put_connection(&self, connection: Arc<LiveConnection>) {
        let key = (connection.record.environment.clone(), connection.record.id.clone());
        self.change(|live| {
            live.connections.insert(key, connection);
        });
    }

    pub(crate) fn plugin(&self, digest: &Digest) -> Option<Arc<Installed>> {
        self.read(|live| live.plugins.get(digest).cloned())
    }

    /// Every installed plugin, by id, then newest first.
    pub(crate) fn plugins(&self) -> Vec<Arc<Installed>> {
        let mut plugins: Vec<_> = self.read(|live| live.plugins.values().cloned().collect());
        plugins.sort_by(|a, b| {
            let (a, b) = (&a.record, &b.record);
            (&a.manifest.id, b.installed_at_ms, a.digest).cmp(&(&b.manifest.id, a.installed_at_ms, b.digest))
        });
        plugins
    }

    /// The approvals of one digest, in force or revoked, by environment.
    pub(crate) fn approvals_of(&self, digest: &Digest) -> Vec<ApprovalRecord> {
        let mut found: Vec<_> = self.read(|live| {
            live.approvals
                .values()
                .filter(|(record, _)| record.approval.digest == *digest)
                .map(|(r, _)| r.clone())
                .collect()
        });
        found.sort_by(|a, b| a.approval.environment.cmp(&b.approval.environment));
        found
    }

    pub(crate) fn approval(&self, environment: &Environment, digest: &Digest) -> Option<ApprovalRecord> {
        self.read(|live| live.approvals.get(&(environment.clone(), *digest)).map(|(record, _)| record.clone()))
    }

    /// The component of this connector that was approved last in the environment,
    /// and not taken back.
    pub(crate) fn approved(&self, environment: &Environment, plugin: &PluginId) -> Option<Arc<Installed>> {
        self.read(|live| {
            live.approvals
                .values()
                .filter(|(record, approval)| record.revoked.is_none() && approval.environment == *environment)
                .filter_map(|(_, approval)| Some((approval.approved_at_ms, live.plugins.get(&approval.digest)?)))
                .filter(|(_, installed)| installed.manifest().id == *plugin)
                .max_by_key(|(at_ms, installed)| (*at_ms, installed.record.digest))
                .map(|(_, installed)| installed.clone())
        })
    }

    pub(crate) fn connection(&self, environment: &Environment, id: &ConnectionId) -> Option<Arc<LiveConnection>> {
        self.read(|live| live.connections.get(&(environment.clone(), id.clone())).cloned())
    }

    pub(crate) fn connections(&self) -> Vec<Arc<LiveConnection>> {
        let mut connections: Vec<_> = self.read(|live| live.connections.values().cloned().collect());
        connections.sort_by(|a, b| (&a.record.environment, &a.record.id).cmp(&(&b.record.environment, &b.record.id)));
        connections
    }

    /// What one part of a connector may do over one connection.
    pub(crate) fn authority(
        &self,
        environment: &Environment,
        installed: &Installed,
        part: &Part,
        connection: Option<&LiveConnection>,
    ) -> Result<Authority, Failure> {
        let digest = installed.record.digest;
        let key =
            (environment.clone(), digest, part.clone(), connection.map(|connection| connection.record.id.clone()));
        if let Some(authority) = self.read(|live| live.authorities.get(&key).cloned()) {
            return Ok(authority);
        }
        let (generation, approval) = self.read(|live| {
            let found = live.approvals.get(&(environment.clone(), digest));
            let in_force = found.filter(|(record, _)| record.revoked.is_none());
            (live.generation, in_force.map(|(_, approval)| approval.clone()))
        });
        let Some(subject) = part.subject(installed.manifest()) else {
            return Err(Failure::Unavailable { problem: unknown_operation(installed.manifest(), part.name()) });
        };
        let authority = Authority::try_new(
            &self.ceiling,
            approval.as_ref(),
            &digest,
            environment,
            installed.manifest(),
            subject,
            connection.map(|connection| &connection.facts),
        )
        .map_err(|denial| denial.to_failure())?;
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let is_live = connection.is_none_or(|connection| {
            let key = (environment.clone(), connection.record.id.clone());
            live.connections.get(&key).is_some_and(|now| std::ptr::eq(&**now, connection))
        });
        if live.generation == generation && is_live {
            live.authorities.insert(key, authority.clone());
        }
        Ok(authority)
    }
}

pub(crate) fn unknown_operation(manifest: &Manifest, name: &str) -> Problem {
    let problem =
        Problem::new("unknown-operation", format!("{} {} has no operation {name}", manifest.id, manifest.version));
    let known = manifest.actions.iter().map(|action| action.id.as_str());
    match model::nearest(name, known.chain(manifest.triggers.iter().map(|trigger| trigger.id.as_str()))) {
        Some(near) => problem.fix(format!("did you mean {near}?")),
        None => problem.fix(format!("list its operations: sluice plugin show {}", manifest.id)),
    }
}

/// What `flow` asks about connectors and connections of one environment.
pub(crate) struct Known<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) flows: &'a crate::flows::Flows,
    pub(crate) environment: &'a Environment,
}

impl flow::Operations for Known<'_> {
    fn manifest(&self, plugin: &PluginId) -> Option<Arc<Manifest>> {
        self.catalogue.approved(self.environment, plugin).map(|installed| Arc::new(installed.manifest().clone()))
    }

    fn plugins(&self) -> Vec<PluginId> {
        let mut ids: Vec<_> =
            self.catalogue.plugins().iter().map(|installed| installed.manifest().id.clone()).collect();
        ids.dedup();
        ids.retain(|id| self.catalogue.approved(self.environment, id).is_some());
        ids
    }

    fn awaits_approval(&self, plugin: &PluginId) -> bool {
        let is_installed = || self.catalogue.plugins().iter().any(|installed| installed.manifest().id == *plugin);
        self.catalogue.approved(self.environment, plugin).is_none() && is_installed()
    }

    fn connection(&self, id: &ConnectionId) -> Option<flow::ConnectionFacts> {
        let connection = self.catalogue.connection(self.environment, id)?;
        let record = &connection.record;
        let facts = || flow::ConnectionFacts { plugin: record.plugin.clone(), scopes: record.scopes.clone() };
        record.revoked.is_none().then(facts)
    }

    fn connections(&self) -> Vec<ConnectionId> {
        let mut live = self.catalogue.connections();
        live.retain(|connection| {
            connection.record.environment == *self.environment && connection.record.revoked.is_none()
        });
        live.iter().map(|connection| connection.record.id.clone()).collect()
    }

    fn flow(&self, id: &model::FlowId) -> Option<flow::CallFacts> {
        self.flows.get(self.environment, id).map(|published| flow::CallFacts::of(published.plan()))
    }

    fn flows(&self) -> Vec<model::FlowId> {
        let all = self.flows.all();
        let here = all.iter().filter(|flow| flow.environment == *self.environment).map(|flow| flow.plan().id());
        let is_retired =
            |id: &model::FlowId| self.flows.record(self.environment, id).is_some_and(|record| record.retired.is_some());
        here.filter(|id| !is_retired(id)).cloned().collect()
    }
}

/// A plugin that was named but is not there.
pub(crate) fn no_plugin(name: &str, known: &[Arc<Installed>]) -> Problem {
    let problem = Problem::new("unknown-plugin", format!("no plugin {name} is installed"));
    match model::nearest(name, known.iter().map(|installed| installed.record.manifest.id.as_str())) {
        Some(near) => problem.fix(format!("did you mean {near}?")),
        None => problem.fix("install it: sluice plugin install FILE.wasm"),
    }
}
