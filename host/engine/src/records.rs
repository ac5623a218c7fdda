//! What the engine keeps, and under which keys. The only place that names tables.
//!
//! Rows are JSON documents. Keys put what is listed together next to each other:
//! run ids sort by time of arrival, so that newest-first is a descending scan.

use std::collections::BTreeMap;

use model::{
    AccessRecord, ConnectionId, Digest, Environment, Failure, FlowId, Manifest, OperationRef, PluginId, Problem, RunId,
    Scope, StepId, Team,
};
use sandbox::LogLine;
use serde::{Deserialize, Serialize};
use store::Table;

use crate::duplicates::Duplicates;
use crate::reauthorise::CredentialRefusal;
use crate::schedules::Note;
pub use crate::status::RunStatus;

/// An installed plugin. Key: digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PluginRecord {
    /// Names the component.
    pub digest: Digest,
    /// What the component says of itself.
    pub manifest: Manifest,
    /// The component's size.
    pub bytes: u64,
    /// When it was installed.
    pub installed_at_ms: u64,
    /// By whom.
    pub installed_by: String,
}

/// A grant in force, or taken back. Key: environment, digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// The grant, bound to digest and environment.
    pub approval: policy::Approval,
    /// When and by whom it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// Who took something back, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// When.
    pub at_ms: u64,
    /// By whom.
    pub by: String,
}

/// A connection. Its credential is the vault's. Key: environment, id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// Its name.
    pub id: ConnectionId,
    /// Where it may be used.
    pub environment: Environment,
    /// The connector it belongs to; `webhook` for built-in webhook triggers.
    pub plugin: PluginId,
    /// The team that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Team>,
    /// As people know it.
    pub label: String,
    /// Where the service lives, if the connector lets a connection say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The auth scheme: `bearer`, `basic`, `header`, `query`, `none`.
    pub auth: String,
    /// The scopes that the credential holds, as its owner said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// Whether it has a secret that verifies webhooks.
    pub verifies_webhooks: bool,
    /// When it was made.
    pub created_at_ms: u64,
    /// By whom.
    pub created_by: String,
    /// The account, as the last check named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When and by whom it was taken back; its credential is gone then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
    /// How often its credential was replaced.
    #[serde(default)]
    pub renewals: u32,
    /// When that was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_at_ms: Option<u64>,
}

/// A flow's standing. Key: environment, flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FlowRecord {
    /// Its name.
    pub(crate) id: FlowId,
    /// Where it runs.
    pub(crate) environment: Environment,
    /// The version that new events take.
    pub(crate) version: u32,
    /// The newest version there is; earlier releases had no other than the published.
    #[serde(default)]
    pub(crate) latest: u32,
    /// Set while its events wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<Paused>,
    /// Set once it takes no events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retired: Option<Revoked>,
}

/// Since when a flow's events wait, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// When.
    pub at_ms: u64,
    /// By whom.
    pub by: String,
    /// What has to be mended, when the host paused it; it resumes by itself then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Problem>,
}

/// How long a connection's remote is left alone. Key: environment, connection.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct HoldRecord {
    pub(crate) until_ms: u64,
}

/// A flow's document that is not published. Key: environment, flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DraftRecord {
    /// The document, as it was saved.
    pub(crate) document: String,
    /// What its file was called, for problems.
    pub(crate) file: String,
    /// The document, checked when it was saved.
    pub(crate) plan: flow::Plan,
    /// When it was saved.
    pub(crate) saved_at_ms: u64,
    /// By whom.
    pub(crate) saved_by: String,
}

/// One version of a flow, never changed. Key: environment, flow, version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct VersionRecord {
    /// 1, 2, 3, ...
    pub(crate) version: u32,
    /// The document, as it was applied.
    pub(crate) document: String,
    /// The document, checked.
    pub(crate) plan: flow::Plan,
    /// The plugins it was published with.
    pub(crate) locked: BTreeMap<PluginId, Digest>,
    /// When it was applied.
    pub(crate) applied_at_ms: u64,
    /// By whom.
    pub(crate) applied_by: String,
}

/// What started a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// A verified delivery.
    Webhook {
        /// What the remote sends again with a repeated delivery.
        delivery_key: String,
        /// The event's place in the delivery.
        #[serde(default)]
        index: u32,
    },
    /// A poll of the flow's trigger.
    Poll {
        /// What names the item at the remote.
        item: String,
    },
    /// The flow's schedule.
    Schedule {
        /// The time that was meant.
        nominal_ms: u64,
    },
    /// A person.
    Manual {
        /// Who.
        by: String,
    },
    /// A step of another flow's run.
    Flow {
        /// That run.
        parent: RunId,
        /// Its step.
        step: StepId,
        /// Where in the loops around the step.
        #[serde(default, skip_serializing_if = "flow::Iteration::is_empty")]
        iteration: flow::Iteration,
        /// How many runs called one another to get here: 1 for the first.
        depth: u32,
        /// It may be run again, by its own step or one above: so may all that it calls.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeatable: bool,
        /// The step runs it again should it fail in a way that may pass.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// A person, once more.
    Replay {
        /// The run replayed.
        of: RunId,
        /// Who.
        by: String,
    },
}

/// One execution of a flow version. Key: run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its name.
    pub id: RunId,
    /// Whose.
    pub flow: FlowId,
    /// Where.
    pub environment: Environment,
    /// The version, kept to the end.
    pub version: u32,
    /// How far it is.
    pub status: RunStatus,
    /// What started it.
    pub origin: Origin,
    /// When its event was accepted.
    pub accepted_at_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<u64>,
}

/// A run that is not over. Key: run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct OpenRecord {
    /// Not before this time; 0: at once.
    pub(crate) ready_at_ms: u64,
    /// How often the connector was asked to read the delivery.
    #[serde(default)]
    pub(crate) receive_attempts: u32,
    /// What the run waits for by the clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) timers: Vec<Timer>,
    /// Where it stands in line, if its flow has lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<crate::order::Place>,
    /// The connections that it waits for, until they have another credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<ConnectionId>,
}

/// A step that goes on at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// Which.
    #[serde(flatten)]
    pub(crate) spot: flow::Spot,
    /// When.
    pub(crate) at_ms: u64,
}

/// The raw delivery beside its body. Key: run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct DeliveryRecord {
    /// The headers that the trigger declares.
    pub(crate) headers: Vec<(String, String)>,
    /// The query string.
    pub(crate) query: String,
}

/// What happened in a run, one line per commit. Key: run, sequence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When.
    pub(crate) at_ms: u64,
    /// The facts that the run is rebuilt from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) entries: Vec<flow::Entry>,
    /// The call that led to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<CallRecord>,
}

/// One call of a connector, as it was seen from the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallRecord {
    /// The step; none: the trigger's `receive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Where in the loops around the step.
    #[serde(default, skip_serializing_if = "flow::Iteration::is_empty")]
    pub iteration: flow::Iteration,
    /// From 1.
    pub attempt: u32,
    /// The component; none when it was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Every access to the outside, with the rule that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accesses: Vec<AccessRecord>,
    /// What it logged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
    /// From start to end.
    pub duration_us: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Which credential of its connection the remote refused: how often it was replaced
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u32>,
}

/// A run that gave up. Key: run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The run.
    pub run: RunId,
    /// Whose.
    pub flow: FlowId,
    /// Where.
    pub environment: Environment,
    /// When it gave up.
    pub at_ms: u64,
    /// The step it gave up at; none: before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Where in the loops around the step.
    #[serde(default, skip_serializing_if = "flow::Iteration::is_empty")]
    pub iteration: flow::Iteration,
    /// Why.
    pub failure: Failure,
    /// What happened, the likely cause, the fix.
    pub problem: Problem,
    /// The run that a person started in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed_as: Option<RunId>,
    /// What became of it; none: it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

/// What became of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// When.
    pub at_ms: u64,
    /// By whom.
    pub by: String,
    /// How.
    pub how: SettledAs,
    /// Why, if the person said so; else what they replaced for the replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a dead letter was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettledAs {
    /// Another run does it once more.
    Replayed,
    /// Nothing is done.
    Discarded,
    /// The call had taken effect; another run does the rest.
    Happened,
}

/// A question to a person. Key: run, step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decision {
    /// Its name: the run, the step and its place in loops.
    pub id: String,
    /// The run that waits.
    pub run: RunId,
    /// Whose.
    pub flow: FlowId,
    /// Where.
    pub environment: Environment,
    /// The step that asks.
    #[serde(flatten)]
    pub spot: flow::Spot,
    /// Who may decide.
    pub role: String,
    /// The question in a line.
    pub title: String,
    /// What there is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The answers there are.
    pub outcomes: Vec<String>,
    /// When it was asked.
    pub asked_at_ms: u64,
    /// When time is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at_ms: Option<u64>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// When the run stopped to wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at_ms: Option<u64>,
}

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// One of the outcomes.
    pub outcome: String,
    /// Who.
    pub by: String,
    /// When.
    pub at_ms: u64,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A run that waits for an event. Key: environment, event, hash of the key, run, step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WaitRecord {
    /// The step that waits.
    #[serde(flatten)]
    pub(crate) spot: flow::Spot,
}

/// A run that a step of another one began. Key: run, step and, behind a `#`, which
/// attempt from the second on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The step.
    #[serde(flatten)]
    pub spot: flow::Spot,
    /// The run it began.
    pub run: RunId,
    /// Which run of the step it is, counted from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
}

fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_first(attempt: &u32) -> bool {
    *attempt == first()
}

/// How far a schedule is. Key: environment, flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ScheduleRecord {
    /// The schedule that this is about; another one begins anew.
    pub(crate) schedule: flow::Schedule,
    /// Since when it holds; intervals count from here.
    pub(crate) since_ms: u64,
    /// Times up to here are dealt with.
    pub(crate) last_ms: u64,
    /// The last time that started the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fired_ms: Option<u64>,
    /// The run it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<RunId>,
    /// Times passed over since then.
    #[serde(default)]
    pub(crate) passed: u64,
    /// Times passed over in all.
    #[serde(default)]
    pub(crate) missed: u64,
    /// What was noticed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<Note>,
}

/// Where the polls of a flow are. Key: environment, flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PollRecord {
    /// The trigger that the cursor belongs to; another one begins anew.
    pub(crate) uses: OperationRef,
    /// As which account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connection: Option<ConnectionId>,
    /// With which configuration.
    pub(crate) config: serde_json::Value,
    /// Where the next poll goes on, in the connector's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
    /// The run of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_run: Option<RunId>,
}

/// A flow's webhook at the remote service. Key: environment, flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubscriptionRecord {
    /// The trigger.
    pub(crate) uses: OperationRef,
    /// As which account.
    pub(crate) connection: ConnectionId,
    /// With which configuration.
    pub(crate) config: serde_json::Value,
    /// The component that set it up.
    pub(crate) digest: Digest,
    /// The address that deliveries go to.
    pub(crate) url: String,
    /// Which of the flow's secrets the service has.
    #[serde(default)]
    pub(crate) secret: u32,
    /// What finds it again; none: it is not known to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) handle: Option<String>,
    /// Whether it may be there all the same: an attempt had no answer.
    #[serde(default)]
    pub(crate) maybe: bool,
    /// When it was set up or prolonged last.
    #[serde(default)]
    pub(crate) made_ms: u64,
    /// When the service ends it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_ms: Option<u64>,
    /// Failures in a row.
    #[serde(default)]
    pub(crate) failures: u32,
    /// Why it failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<Problem>,
    /// Since when the host tries to take it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unwanted_ms: Option<u64>,
}

pub(crate) const PLUGINS: Table<PluginRecord> = Table::new("plugin");
pub(crate) const APPROVALS: Table<ApprovalRecord> = Table::new("approval");
pub(crate) const CONNECTIONS: Table<ConnectionRecord> = Table::new("connection");
pub(crate) const HOLDS: Table<HoldRecord> = Table::new("hold");
/// Connections whose credential was refused. Key: environment, connection.
pub(crate) const REFUSALS: Table<CredentialRefusal> = Table::new("refusal");
/// Names only: the runs that wait for such a connection. Key: environment, connection, run.
pub(crate) const PARKED: Table<()> = Table::new("parked");
pub(crate) const FLOWS: Table<FlowRecord> = Table::new("flow");
pub(crate) const DRAFTS: Table<DraftRecord> = Table::new("flow-draft");
pub(crate) const VERSIONS: Table<VersionRecord> = Table::new("flow-version");
pub(crate) const RUNS: Table<RunRecord> = Table::new("run");
pub(crate) const OPEN: Table<OpenRecord> = Table::new("open");
/// Runs of sequential flows, the one whose turn it is first. Key: line, number.
pub(crate) const ORDER: Table<RunId> = Table::new("order");
pub(crate) const DELIVERIES: Table<DeliveryRecord> = Table::new("delivery");
pub(crate) const LINES: Table<Line> = Table::new("line");
/// Letters that are not open any more. Key: run.
pub(crate) const DEAD_SETTLED: Table<DeadLetter> = Table::new("dead-settled");
pub(crate) const DEAD: Table<DeadLetter> = Table::new("dead");
pub(crate) const POLLS: Table<PollRecord> = Table::new("poll");
pub(crate) const SUBSCRIPTIONS: Table<SubscriptionRecord> = Table::new("subscription");
pub(crate) const SCHEDULES: Table<ScheduleRecord> = Table::new("schedule");
/// Messages to runs. Key: run, a name that sorts by time.
pub(crate) const INBOX: Table<crate::inbox::Message> = Table::new("inbox");
pub(crate) const DECISIONS: Table<Decision> = Table::new("decision");
pub(crate) const WAITS: Table<WaitRecord> = Table::new("wait");
pub(crate) const CHILDREN: Table<Child> = Table::new("child");
/// How many deliveries of a flow were repetitions. Key: environment, flow.
pub(crate) const DUPLICATES: Table<Duplicates> = Table::new("duplicates");
/// Not JSON, and so written and read by `seen`. Key: bucket, environment, flow, hash of
/// the key.
pub(crate) const SEEN: Table<()> = Table::new("seen");
/// Raw bytes, not JSON: the delivery's body. Key: run.
pub(crate) const BODIES: Table<()> = Table::new("body");
/// Names only: the runs of a flow. Key: environment, flow, run.
pub(crate) const RUNS_OF_FLOW: Table<()> = Table::new("run-of-flow");
