//! What goes over the wire besides the engine's own views: requests in, answers out.
//!
//! Requests are strict: an unknown field is refused. Both sides of the Unix socket
//! use these types, so that the command line cannot drift from the API.

use engine::{FlowStanding, FlowView, Occasion};
use model::{ConnectionId, Environment, FieldId, FlowId, OperationId, PluginId, Problem, RunId, Scope, StepId, Team};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The body of every refusal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Problems {
    /// What is wrong, each with cause and fix.
    pub problems: Vec<Problem>,
}

/// The answer of `/healthz` and `/readyz`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Alive {
    /// `ok`; `ready` or `draining`
    pub status: &'static str,
}

/// A run that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunAnswer {
    /// Its name.
    pub run: RunId,
    /// Whether the delivery had been accepted before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// A flow, and how its runs are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowPage {
    /// Its published version, or its draft.
    #[serde(flatten)]
    pub flow: FlowView,
    /// How its runs are.
    pub standing: FlowStanding,
}

/// A synchronous run that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRefused {
    /// Its name.
    pub run: RunId,
    /// Why it gave up.
    pub problems: Vec<Problem>,
}

/// Binds a grant to a plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApproval {
    /// Where it holds.
    pub environment: Environment,
    /// The grant, as TOML.
    pub grant: String,
    /// What the grant's file is called, for problems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One call of an action, for trying.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCall {
    /// The action.
    pub operation: OperationId,
    /// Where its grant holds.
    pub environment: Environment,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Its input.
    #[serde(default)]
    pub input: Value,
}

/// Asks for a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBackup {
    /// A folder of the host's machine: absolute, and empty or not there yet.
    pub to: String,
    /// Whether the vault's key file goes along.
    #[serde(default)]
    pub with_key: bool,
}

/// A backup that is complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupMade {
    /// Its folder.
    pub to: String,
    /// How many files are in it.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What was left out on purpose.
    pub without: Vec<String>,
}

/// A question to a connector, outside any flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewQuestion {
    /// What is asked.
    pub ask: Ask,
    /// Where its grant holds.
    pub environment: Environment,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What a form holds so far, a trigger's configuration, or one of an earlier version.
    #[serde(default = "no_config")]
    pub config: Value,
}

fn no_config() -> Value {
    serde_json::json!({})
}

/// What is asked of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Values for a field of a form.
    Choices {
        /// One that the manifest lists.
        field: FieldId,
        /// What the person has typed.
        #[serde(default)]
        query: String,
        /// The `next` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page: Option<String>,
    },
    /// Fields that the account has beyond the usual ones.
    Fields {
        /// One that the manifest lists.
        object: FieldId,
    },
    /// What happened, on trial.
    Poll {
        /// The trigger.
        trigger: OperationId,
        /// From where to look.
        from: PollFrom,
    },
    /// Configuration as this version takes it.
    Migrate {
        /// The action or trigger.
        operation: OperationId,
        /// The version that it was written for.
        from_version: String,
    },
}

/// From where a poll looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PollFrom {
    /// What is yet to come.
    Now,
    /// Everything there is.
    Beginning,
    /// Where the page before ended.
    After(String),
}

/// A connection to be made. Secrets are in it: it is never printed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// Its name.
    pub id: ConnectionId,
    /// Where it may be used.
    pub environment: Environment,
    /// The connector, or `webhook`.
    pub plugin: PluginId,
    /// The team that owns it; a grant may name the teams that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Team>,
    /// As people know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where the service lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The credential.
    #[serde(default)]
    pub auth: NewAuth,
    /// What verifies deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Secret>,
    /// The scopes that the credential holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
}

/// What is to be new about a connection; what is absent stays.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionUpdate {
    /// Another credential, of the same scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The user it belongs to, for basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What verifies deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Secret>,
    /// The scopes that the credential holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
}

/// A credential on its way to the vault.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NewAuth {
    /// `Authorization: Bearer SECRET`
    Bearer {
        /// The token.
        secret: Secret,
    },
    /// `Authorization: Basic ...`
    Basic {
        /// The user.
        user: String,
        /// The password.
        secret: Secret,
    },
    /// A header of the service's own.
    Header {
        /// Its name.
        name: String,
        /// What stands before the credential.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// The credential.
        secret: Secret,
    },
    /// A parameter of the query.
    Query {
        /// Its name.
        name: String,
        /// The credential.
        secret: Secret,
    },
    /// No credential.
    #[default]
    None,
}

/// A secret text that goes over the wire and is never printed.
#[derive(Clone)]
pub struct Secret(pub SecretString);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(SecretString::from(text)))
    }
}

/// A question to the policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The plugin: id, digest or its beginning.
    pub plugin: String,
    /// An action, a trigger, or `check`.
    pub operation: OperationId,
    /// Where.
    pub environment: Environment,
    /// With which account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The request's method.
    pub method: String,
    /// The request's URL.
    pub url: String,
}

/// The policy's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explained {
    /// What was asked.
    pub question: String,
    /// The answer.
    pub allowed: bool,
    /// Whether the credential would go along.
    pub carries_credential: bool,
    /// What each party says, in order.
    pub steps: Vec<ExplainedStep>,
    /// Why not, and what would change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What one party to a decision says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExplainedStep {
    /// Who.
    pub party: String,
    /// Whether it lets the request pass.
    pub passes: bool,
    /// The rule that it names, or that it misses.
    pub rule: String,
}

/// A flow's document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFlow {
    /// YAML or JSON.
    pub document: String,
    /// Which of them; left out: JSON when it begins with a brace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<DocumentFormat>,
    /// What its file is called, for problems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where it runs.
    pub environment: Environment,
}

/// A flow whose own tests are to run: a document, or a flow that is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTest {
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// How it is written; left out: JSON when it begins with a brace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<DocumentFormat>,
    /// What its file is called, for problems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The flow, when there is no document: its draft, else what is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowId>,
    /// Which environment's connectors and connections it is checked against.
    pub environment: Environment,
    /// The only test that is to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How a flow's own tests ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestedFlow {
    /// The flow.
    pub id: FlowId,
    /// Each test, in the order of the document.
    pub tests: Vec<flow::Verdict>,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// A flow that was published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppliedFlow {
    /// As it is now.
    #[serde(flatten)]
    pub flow: FlowView,
    /// What keeps its events from coming, if anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
}

/// A flow document that is right.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckedFlow {
    /// Its name.
    pub id: String,
    /// The name people know.
    pub name: String,
    /// How many steps it has.
    pub steps: usize,
    /// The operations that it uses.
    pub operations: Vec<String>,
    /// The connections that it uses.
    pub connections: Vec<ConnectionId>,
    /// When it would start next, for flows with a schedule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Occasion>,
    /// What would keep its events from coming, if anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
}

/// Makes an earlier version the published one.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRollback {
    /// Which; the one before when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// What changed between two of a flow's documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowDiff {
    /// Line by line, those removed with `-`, those added with `+`; empty when alike.
    pub diff: String,
}

/// Starts a flow by hand.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// The event.
    #[serde(default)]
    pub input: Value,
}

/// Changes a flow's webhook.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateHook {
    /// How long the old address and secret go on to be good, in milliseconds.
    pub overlap_ms: u64,
    /// What becomes of the secret.
    #[serde(default)]
    pub secret: HookSecret,
}

/// What becomes of a webhook's secret.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HookSecret {
    /// The host makes one and tells it in the answer.
    #[default]
    Made,
    /// It stays.
    Kept,
    /// The sender made this one.
    Given {
        /// What it signs with from now on.
        secret: Secret,
    },
}

/// A flow's webhook after a change.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotatedHook {
    /// The path that deliveries are sent to.
    pub hook: String,
    /// The secret that the host made; it is not told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Until then the old ones are good as well.
    pub before_until_ms: u64,
}

/// Asks a run to end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCancel {
    /// Why, for those who look at it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Asks for a run once more: from the start, perhaps with another event; or from a
/// step, perhaps with another input; or behind the call that it gave up at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewReplay {
    /// With which version of the flow.
    #[serde(default)]
    pub version: Version,
    /// The step that begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<StepId>,
    /// The event instead of the run's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
    /// The step's input instead of what its expressions say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The call that the run gave up at took effect; this is what it returned.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub happened: Option<Value>,
    /// Make a call again that may have taken effect.
    #[serde(default)]
    pub repeat: bool,
    /// Only say what it would do.
    #[serde(default)]
    pub dry: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A value that is there, null included.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Which dead letters, and what becomes of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadSelection {
    /// Those of one environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Those of one flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowId>,
    /// Those with this problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Replayed with which version of the flow.
    #[serde(default)]
    pub version: Version,
    /// Make calls again that may have taken effect.
    #[serde(default)]
    pub repeat: bool,
    /// Discarded why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Puts a dead letter aside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDiscard {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Which version of the flow a replay takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// The one the run had.
    #[default]
    Original,
    /// The published one.
    Newest,
}

/// A person's answer to a question.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDecision {
    /// One of the question's outcomes.
    pub outcome: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// An event that runs may wait for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSignal {
    /// Which of the events of this name.
    pub key: String,
    /// What comes with it.
    #[serde(default)]
    pub payload: Value,
}

/// Whom an event reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signalled {
    /// The runs that waited for it.
    pub runs: Vec<RunId>,
}
