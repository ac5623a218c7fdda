//! One call of a connector: who asks, what it may, what came of it.
//!
//! Owns the way from an operation's name to a report: component, connection,
//! authority, session, sandbox, and the check of what comes back against the
//! manifest's promise. Whatever is missing is a typed failure, never a panic.

use std::sync::Arc;
use std::time::Duration;

use egress::{Lent, SessionSpec};
use model::{AccessRecord, Credential, Environment, Failure, FieldId, FieldProblem, OperationId, Schema};
use sandbox::{
    Answer, Call, CallContext, Callback, ContextConnection, Delivery, KeyRing, LogLine, Position, Report, Services,
    StateStore, Work,
};
use secrecy::SecretString;
use serde_json::Value;

use crate::catalogue::{Installed, LiveConnection, Part};
use crate::depth::{DEPTH_MAX, is_too_deep};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::keys::ConnectionKeys;
use crate::state::ConnectorState;

/// What is called.
pub(crate) enum CallTarget {
    /// An action with its input.
    Action { operation: OperationId, input: Arc<Value> },
    /// A trigger, with a delivery to be read.
    Receive { trigger: OperationId, config: Arc<Value>, delivery: Delivery },
    /// The account behind a connection.
    Check,
    /// A trigger that is asked what happened.
    Poll { trigger: OperationId, config: Arc<Value>, from: Position },
    /// A trigger's webhook that is to be set up at this address, with this secret.
    Subscribe { trigger: OperationId, config: Arc<Value>, url: String, secret: Option<SecretString> },
    /// A trigger's webhook that is to be prolonged.
    Renew { trigger: OperationId, config: Arc<Value>, url: String, secret: Option<SecretString>, handle: String },
    /// A trigger's webhook that is to be taken away.
    Unsubscribe { trigger: OperationId, config: Arc<Value>, handle: String },
    /// A form's field with values to choose from.
    Choices { field: FieldId, config: Arc<Value>, query: String, page: Option<String> },
    /// An object with fields of the account's own.
    Fields { object: FieldId, config: Arc<Value> },
    /// Stored configuration that an earlier version took.
    Migrate { operation: OperationId, config: Arc<Value>, from_version: String },
}

impl CallTarget {
    fn part(&self) -> Part {
        match self {
            Self::Action { operation: id, .. } | Self::Receive { trigger: id, .. } => Part::Operation(id.clone()),
            Self::Check => Part::Check,
            Self::Poll { trigger, .. } => Part::Poll(trigger.clone()),
            Self::Subscribe { trigger, .. } | Self::Renew { trigger, .. } | Self::Unsubscribe { trigger, .. } => {
                Part::Subscription(trigger.clone())
            }
            Self::Choices { .. } | Self::Fields { .. } => Part::Discovery,
            Self::Migrate { operation, .. } => Part::Migration(operation.clone()),
        }
    }

    /// The operation whose schemas the answer is held to.
    fn operation(&self) -> Option<&OperationId> {
        match self {
            Self::Action { operation: id, .. }
            | Self::Receive { trigger: id, .. }
            | Self::Poll { trigger: id, .. }
            | Self::Migrate { operation: id, .. } => Some(id),
            Self::Check
            | Self::Subscribe { .. }
            | Self::Renew { .. }
            | Self::Unsubscribe { .. }
            | Self::Choices { .. }
            | Self::Fields { .. } => None,
        }
    }

    /// The secret that the connector may have written, without seeing it.
    fn lent(&self) -> Option<&SecretString> {
        match self {
            Self::Subscribe { secret, .. } | Self::Renew { secret, .. } => secret.as_ref(),
            Self::Action { .. }
            | Self::Receive { .. }
            | Self::Check
            | Self::Poll { .. }
            | Self::Unsubscribe { .. }
            | Self::Choices { .. }
            | Self::Fields { .. }
            | Self::Migrate { .. } => None,
        }
    }
}

/// A call waits so long for one of its connection's or plugin's slots, and for the calls
/// that it would disturb; then its worker has better things to do.
const SLOT_WITHIN: Duration = Duration::from_secs(1);
/// And comes back after this.
const SLOT_AGAIN_MS: u64 = 1_000;

/// For whom, as the connector may know it.
pub(crate) struct CallFor<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) flow: Option<String>,
    pub(crate) run: Option<String>,
    pub(crate) step: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) key: String,
    pub(crate) timeout_ms: Option<u64>,
}

/// One call, as people look at it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CallView {
    /// What it returned, or why it failed.
    #[serde(serialize_with = "outcome")]
    pub outcome: Result<Answer, Failure>,
    /// Every access to the outside, with the rule that decided.
    pub accesses: Vec<AccessRecord>,
    /// What it logged.
    pub log: Vec<LogLine>,
    /// From start to end.
    pub duration_us: u64,
    /// The most memory it held, in bytes.
    pub memory_bytes: u64,
}

fn outcome<S: serde::Serializer>(outcome: &Result<Answer, Failure>, to: S) -> Result<S::Ok, S::Error> {
    use serde::Serialize as _;
    let document = match outcome {
        Ok(Answer::Output(output)) => serde_json::json!({ "output": parsed(output) }),
        Ok(Answer::Events(events)) => {
            let events: Vec<Value> = events.iter().map(|event| parsed(&event.payload)).collect();
            serde_json::json!({ "events": events })
        }
        Ok(Answer::Account(account)) => serde_json::json!({ "account": account }),
        Ok(Answer::Page(page)) => {
            let items: Vec<Value> = page.items.iter().map(|item| parsed(&item.payload)).collect();
            serde_json::json!({ "items": items, "cursor": page.cursor, "more": page.more })
        }
        Ok(Answer::Subscribed(made)) => serde_json::json!({ "handle": made.handle, "expires_ms": made.expires_ms }),
        Ok(Answer::Unsubscribed) => serde_json::json!({ "unsubscribed": true }),
        Ok(Answer::Choices(page)) => serde_json::json!(page),
        Ok(Answer::Fields(schema)) => serde_json::json!({ "fields": parsed(schema) }),
        Ok(Answer::Config(config)) => serde_json::json!({ "config": parsed(config) }),
        Err(failure) => serde_json::json!({ "failure": failure, "problem": failure.to_problem() }),
    };
    document.serialize(to)
}

/// The sandbox gives valid JSON only.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

impl Engine {
    /// Calls an action once, outside any flow: for trying a connector.
    ///
    /// # Errors
    /// When the plugin or the connection does not exist. A call that was made and
    /// failed is a view with a failure.
    pub async fn call_action(
        &self,
        plugin: &str,
        operation: &OperationId,
        environment: &Environment,
        connection: Option<&model::ConnectionId>,
        input: Value,
    ) -> Result<CallView, EngineError> {
        let installed = self.installed_for(plugin, environment)?;
        let connection = connection.map(|id| self.live_connection(environment, id)).transpose()?;
        let target = CallTarget::Action { operation: operation.clone(), input: Arc::new(input) };
        self.call_once(target, &installed, environment, connection.as_deref()).await
    }

    pub(crate) async fn call_once(
        &self,
        target: CallTarget,
        installed: &Arc<Installed>,
        environment: &Environment,
        connection: Option<&LiveConnection>,
    ) -> Result<CallView, EngineError> {
        let whom = CallFor {
            environment,
            flow: None,
            run: None,
            step: None,
            attempt: 1,
            key: crate::clock::new_run_id(&self.0.clock).to_string(),
            timeout_ms: None,
        };
        let report = self.call(target, installed, connection, whom).await;
        Ok(CallView {
            outcome: report.outcome,
            accesses: report.accesses,
            log: report.log,
            duration_us: report.duration_us,
            memory_bytes: report.memory_bytes,
        })
    }

    /// Makes one call. Every failure is in the report.
    pub(crate) async fn call(
        &self,
        target: CallTarget,
        installed: &Arc<Installed>,
        connection: Option<&LiveConnection>,
        whom: CallFor<'_>,
    ) -> Report {
        let account = connection.map(|connection| (whom.environment.clone(), connection.record.id.clone()));
        if let Some(wait_ms) = account.as_ref().and_then(|(environment, id)| self.wait_of(environment, id)) {
            return not_made(Failure::RateLimited { retry_after_ms: Some(wait_ms) });
        }
        let report = match self.try_call(target, installed, connection, whom).await {
            Ok(report) => report,
            Err(failure) => return not_made(failure),
        };
        if let Some((environment, id)) = &account {
            self.learn_wait(environment, id, &report).await;
        }
        report
    }

    async fn try_call(
        &self,
        target: CallTarget,
        installed: &Arc<Installed>,
        connection: Option<&LiveConnection>,
        whom: CallFor<'_>,
    ) -> Result<Report, Failure> {
        let operation = target.operation().cloned();
        let authority = self.0.catalogue.authority(whom.environment, installed, &target.part(), connection)?;
        if let CallTarget::Action { operation, input } = &target {
            check_input(installed.taken(operation)?, input)?;
        }
        let turn = self.turn_of(&target, installed, whom.environment, connection);
        let Ok(_turn) = tokio::time::timeout(SLOT_WITHIN, turn).await else {
            return Err(Failure::RateLimited { retry_after_ms: Some(SLOT_AGAIN_MS) });
        };
        let component = self.component(installed).await.map_err(|problem| Failure::Unavailable { problem })?;
        let mut limits = authority.limits();
        limits.wall_ms = limits.wall_ms.min(whom.timeout_ms.unwrap_or(u64::MAX));
        let base_url = authority.base_url().map(|base| base.url().to_string());
        let lent = target.lent().map(|secret| Lent { reference: self.new_reference(), secret: secret.clone() });
        let reference = lent.as_ref().map(|lent| lent.reference.clone());
        let session = self.0.egress.session(SessionSpec {
            digest: installed.record.digest,
            connection: connection.map(|connection| connection.record.id.clone()),
            authority,
            credential: connection.map_or(Credential::None, |connection| connection.secrets.credential.clone()),
            limits,
            deadline: tokio::time::Instant::now() + SLOT_WITHIN + Duration::from_millis(limits.wall_ms),
            lent,
        });
        let Ok(_slots) = tokio::time::timeout(SLOT_WITHIN, session.enter()).await else {
            return Err(Failure::RateLimited { retry_after_ms: Some(SLOT_AGAIN_MS) });
        };
        // Last of all: what is taken is used.
        // A poll that is told when to come back does so under another key.
        let is_poll = matches!(target, CallTarget::Poll { .. });
        let asks = if is_poll { whom.flow.as_deref() } else { whom.run.as_ref().map(|_| whom.key.as_str()) };
        if let Err(wait_ms) = self.take_pace(&target, installed, whom.environment, connection, asks) {
            return Err(Failure::RateLimited { retry_after_ms: Some(wait_ms) });
        }
        let flow = whom.flow.clone();
        let context = CallContext {
            flow: whom.flow,
            run: whom.run,
            step: whom.step,
            attempt: whom.attempt,
            idempotency_key: whom.key,
            environment: whom.environment.to_string(),
            connection: connection.map(|connection| ContextConnection {
                label: connection.record.label.clone(),
                base_url,
                scopes: connection.record.scopes.iter().map(ToString::to_string).collect(),
            }),
        };
        let work = work(target, reference);
        let services = self.services(installed, connection, flow.as_deref(), whom.environment);
        let mut report = component.call(Call { work, context, session, services }).await;
        if let (Ok(answer), Some(operation)) = (&report.outcome, &operation)
            && let Err(failure) = check_answer(installed, operation, answer)
        {
            report.outcome = Err(failure);
        }
        if let Err(Failure::Other { details, .. }) = &mut report.outcome
            && is_too_deep(details)
        {
            *details = Value::String(details.to_string());
        }
        Ok(report)
    }
}

impl Engine {
    /// What the host does for the call beside: state for a flow, keys of a connection.
    fn services(
        &self,
        installed: &Installed,
        connection: Option<&LiveConnection>,
        flow: Option<&str>,
        environment: &Environment,
    ) -> Services {
        let manifest = installed.manifest();
        let flow = flow.and_then(|id| id.parse().ok());
        let state = flow.map(|flow| {
            let owner = (environment, &manifest.id, &flow);
            Arc::new(ConnectorState::new(self.0.store.clone(), self.0.state_turns.clone(), owner))
                as Arc<dyn StateStore>
        });
        let asked = manifest.connection.iter().flat_map(|spec| &spec.keys).map(|key| key.name).collect();
        let keys =
            connection.map(|connection| Arc::new(ConnectionKeys::new(&connection.secrets, asked)) as Arc<dyn KeyRing>);
        Services { state, keys }
    }

    /// Stands for a lent secret in one call: no other text has it, and no encoding of
    /// forms or JSON changes it. About as long as the secrets that the host makes.
    fn new_reference(&self) -> String {
        format!("sluicegate-secret-{}", crate::clock::new_run_id(&self.0.clock))
    }
}

/// The report of a call that the host did not even begin.
pub(crate) fn not_made(failure: Failure) -> Report {
    Report {
        outcome: Err(failure),
        accesses: Vec::new(),
        log: Vec::new(),
        sent: false,
        duration_us: 0,
        memory_bytes: 0,
    }
}

fn work(target: CallTarget, secret: Option<String>) -> Work {
    match target {
        CallTarget::Action { operation, input } => Work::Invoke { operation, input: input.to_string() },
        CallTarget::Receive { trigger, config, delivery } => {
            Work::Receive { trigger, config: config.to_string(), delivery }
        }
        CallTarget::Check => Work::Check,
        CallTarget::Poll { trigger, config, from } => Work::Poll { trigger, config: config.to_string(), from },
        CallTarget::Subscribe { trigger, config, url, secret: _ } => {
            Work::Subscribe { trigger, config: config.to_string(), callback: Callback { url, secret } }
        }
        CallTarget::Renew { trigger, config, url, secret: _, handle } => {
            Work::Renew { trigger, config: config.to_string(), callback: Callback { url, secret }, handle }
        }
        CallTarget::Unsubscribe { trigger, config, handle } => {
            Work::Unsubscribe { trigger, config: config.to_string(), handle }
        }
        CallTarget::Choices { field, config, query, page } => {
            Work::Choices { field, config: config.to_string(), query, page }
        }
        CallTarget::Fields { object, config } => Work::Fields { object, config: config.to_string() },
        CallTarget::Migrate { operation, config, from_version } => {
            Work::Migrate { operation, config: config.to_string(), from_version }
        }
    }
}

fn check_input(schema: &Schema, input: &Value) -> Result<(), Failure> {
    let fields = schema.check(input);
    if fields.is_empty() { Ok(()) } else { Err(Failure::InvalidInput { fields }) }
}

/// Holds an answer to the schemas of its operation; what has none was checked for form.
fn check_answer(installed: &Installed, operation: &OperationId, answer: &Answer) -> Result<(), Failure> {
    let fields = match answer {
        Answer::Output(output) => check_json(installed.given(operation)?, output),
        Answer::Events(events) => {
            let schema = installed.given(operation)?;
            events.iter().flat_map(|event| check_json(schema, &event.payload)).collect()
        }
        Answer::Page(page) => {
            let schema = installed.given(operation)?;
            page.items.iter().flat_map(|item| check_json(schema, &item.payload)).collect()
        }
        Answer::Config(config) => check_json(installed.taken(operation)?, config),
        Answer::Account(_) | Answer::Subscribed(_) | Answer::Unsubscribed | Answer::Choices(_) | Answer::Fields(_) => {
            Vec::new()
        }
    };
    if fields.is_empty() { Ok(()) } else { Err(Failure::InvalidOutput { fields }) }
}

fn check_json(schema: &Schema, json: &str) -> Vec<FieldProblem> {
    match serde_json::from_str(json) {
        Ok(value) if is_too_deep(&value) => vec![FieldProblem {
            path: String::new(),
            expected: format!("at most {DEPTH_MAX} levels of nesting"),
            got: "more".to_owned(),
        }],
        Ok(value) => schema.check(&value),
        Err(error) => vec![FieldProblem { path: String::new(), expected: "JSON".to_owned(), got: error.to_string() }],
    }
}
