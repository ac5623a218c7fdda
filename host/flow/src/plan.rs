//! The plan: a flow that passed its check, in the form a run walks.
//!
//! Serialisable, stored with the flow's version, never checked again. Steps lie in
//! one list; each names the step that follows it, so that a run finds its place in
//! constant time however deep the branches are.
//!
//! Invariant: every index points into the list, and forward.

mod again;
mod tables;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};

use model::{ConnectionId, Digest, Effect, FlowId, Idempotency, OperationRef, PluginId, StepId, Team};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::template::Template;

pub use again::Retry;
pub(crate) use tables::Tables;
pub use trigger::{Poll, Respond, Start, Trigger};

/// A checked flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub(crate) version: u32,
    pub(crate) id: FlowId,
    pub(crate) name: String,
    pub(crate) purpose: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) team: Option<Team>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    pub(crate) concurrency: Concurrency,
    #[serde(default)]
    pub(crate) keep_ms: Option<u64>,
    pub(crate) trigger: Trigger,
    pub(crate) respond: Option<Respond>,
    pub(crate) first: Option<usize>,
    pub(crate) steps: Vec<Step>,
    pub(crate) output: Option<Template>,
    /// Where the steps begin that are executed once when the run fails.
    #[serde(default)]
    pub(crate) on_error: Option<usize>,
    #[serde(default)]
    pub(crate) locked: BTreeMap<PluginId, Digest>,
    #[serde(default, skip_serializing_if = "Tables::is_empty")]
    pub(crate) tables: Tables,
}

/// How the runs of a flow go beside one another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum Concurrency {
    /// As many as the host has workers for.
    #[default]
    Parallel,
    /// So many.
    Limited {
        /// How many; those that wait for a time or a person do not count.
        most: u32,
    },
    /// One after the other, in the order in which their events were accepted.
    Sequential {
        /// Which of them form one line; none: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Template>,
    },
}

/// One step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// Its name, unique in the flow.
    pub id: StepId,
    /// What people read; the id when there is none.
    pub label: Option<String>,
    /// False skips it.
    pub when: Option<Template>,
    /// What it does.
    pub work: Work,
    /// The step after it; none: the run ends.
    pub next: Option<usize>,
}

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    /// Calls an operation of a connector.
    Action(Box<Action>),
    /// Goes one of two ways.
    If {
        /// Which way.
        condition: Template,
        /// Where `then` begins; none: it is empty.
        then: Option<usize>,
        /// Where `else` begins; none: there is none.
        otherwise: Option<usize>,
        /// What its failure does.
        #[serde(default)]
        on_error: OnError,
    },
    /// Goes one of many ways.
    Switch {
        /// What decides.
        value: Template,
        /// The ways, the first that is met is taken.
        cases: Vec<Case>,
        /// Where `default` begins; none: there is none.
        otherwise: Option<usize>,
        /// What its failure does.
        #[serde(default)]
        on_error: OnError,
    },
    /// Executes its body for each item of a list.
    Foreach(Box<Foreach>),
    /// Runs another flow, and waits for its end.
    Call(Box<SubFlow>),
    /// Waits for a time or for an event.
    Wait {
        /// For what.
        until: Until,
        /// What its failure does.
        #[serde(default)]
        on_error: OnError,
    },
    /// Asks a person to decide.
    Approve(Box<Approve>),
    /// Makes a value.
    Transform {
        /// The value.
        value: Template,
        /// What its failure does.
        on_error: OnError,
    },
    /// Ends the run.
    Stop {
        /// How it ends.
        outcome: Outcome,
        /// Why, for people.
        reason: Option<Template>,
        /// The run's result instead of the flow's `output`.
        output: Option<Template>,
    },
}

impl Work {
    /// The call, when it is one.
    pub fn as_action(&self) -> Option<&Action> {
        match self {
            Self::Action(action) => Some(action),
            Self::If { .. }
            | Self::Switch { .. }
            | Self::Foreach(_)
            | Self::Call(_)
            | Self::Wait { .. }
            | Self::Approve(_)
            | Self::Transform { .. }
            | Self::Stop { .. } => None,
        }
    }

    /// The call of another flow, when it is one.
    pub fn as_call(&self) -> Option<&SubFlow> {
        match self {
            Self::Call(call) => Some(call),
            Self::If { .. }
            | Self::Switch { .. }
            | Self::Foreach(_)
            | Self::Action(_)
            | Self::Wait { .. }
            | Self::Approve(_)
            | Self::Transform { .. }
            | Self::Stop { .. } => None,
        }
    }

    /// The loop, when it is one.
    pub fn as_foreach(&self) -> Option<&Foreach> {
        match self {
            Self::Foreach(foreach) => Some(foreach),
            Self::If { .. }
            | Self::Switch { .. }
            | Self::Action(_)
            | Self::Call(_)
            | Self::Wait { .. }
            | Self::Approve(_)
            | Self::Transform { .. }
            | Self::Stop { .. } => None,
        }
    }

    /// Where its failure's steps begin, once they are known.
    pub(crate) fn set_on_error(&mut self, new: OnError) {
        match self {
            Self::Action(action) => action.on_error = new,
            Self::Foreach(foreach) => foreach.on_error = new,
            Self::Call(call) => call.on_error = new,
            Self::Approve(approve) => approve.on_error = new,
            Self::If { on_error, .. }
            | Self::Switch { on_error, .. }
            | Self::Wait { on_error, .. }
            | Self::Transform { on_error, .. } => *on_error = new,
            Self::Stop { .. } => {}
        }
    }

    /// What its failure does.
    pub fn on_error(&self) -> OnError {
        match self {
            Self::Action(action) => action.on_error,
            Self::Foreach(foreach) => foreach.on_error,
            Self::Call(call) => call.on_error,
            Self::Approve(approve) => approve.on_error,
            Self::If { on_error, .. }
            | Self::Switch { on_error, .. }
            | Self::Wait { on_error, .. }
            | Self::Transform { on_error, .. } => *on_error,
            Self::Stop { .. } => OnError::Fail,
        }
    }
}

/// One way of a `switch`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// The values that take it.
    pub is: Vec<Value>,
    /// Where its steps begin; none: it has none.
    pub first: Option<usize>,
}

/// A loop over a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Foreach {
    /// The list.
    pub items: Template,
    /// Items under way at once, 1 to 50.
    pub concurrency: u32,
    /// Items that one execution of the body takes together; none: one, by itself.
    pub batch: Option<u32>,
    /// Whether an item's failure is gone past.
    pub continues: bool,
    /// Where the body begins; none: it is empty.
    pub body: Option<usize>,
    /// Where in the list of steps the body ends: the index behind it.
    pub end: usize,
    /// What an item leaves in the loop's `outputs`; none: null.
    pub output: Option<Template>,
    /// What its failure does.
    #[serde(default)]
    pub on_error: OnError,
}

/// A call of another flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubFlow {
    /// Which.
    pub flow: FlowId,
    /// Its input.
    pub input: Template,
    /// The longest it may take, in milliseconds; none: as long as it takes.
    pub timeout_ms: Option<u64>,
    /// How often it is run when it fails in a way that may pass; none: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// What its failure does.
    pub on_error: OnError,
}

/// What a `wait` waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// A time from now.
    For {
        /// In milliseconds.
        ms: u64,
    },
    /// An instant: ISO 8601 with an offset.
    At(Template),
    /// An event that somebody signals.
    Event {
        /// Its name.
        name: String,
        /// Which of them.
        key: Template,
        /// The longest it is waited for, in milliseconds.
        timeout_ms: u64,
    },
}

/// A question to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approve {
    /// Who may decide.
    pub role: String,
    /// The question in a line.
    pub title: Template,
    /// What there is to know.
    pub message: Option<Template>,
    /// The answers there are.
    pub outcomes: Vec<String>,
    /// The longest it is waited for, in milliseconds; none: for as long as it takes.
    pub timeout_ms: Option<u64>,
    /// The answer when time is up; none: the step fails.
    pub on_timeout: Option<String>,
    /// What its failure does.
    pub on_error: OnError,
}

/// A call of a connector's operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Action {
    /// Which operation.
    pub uses: OperationRef,
    /// As which account.
    pub connection: Option<ConnectionId>,
    /// Its input.
    pub input: Template,
    /// How often it is tried.
    pub retry: Retry,
    /// The longest one attempt may take, in milliseconds; none: the plugin's limit.
    pub timeout_ms: Option<u64>,
    /// What its failure does.
    pub on_error: OnError,
    /// What it does at the remote, as the manifest said at save.
    pub effect: Effect,
    /// What happens when it is performed twice, as the manifest said at save.
    pub idempotency: Idempotency,
}

/// What a step's failure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Ends the run as failed.
    #[default]
    Fail,
    /// Leaves the failure in `steps.<id>.error` and goes on.
    Continue,
    /// The same, by way of steps of its own, which begin here; none: it has none.
    Branch(Option<usize>),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should.
    Succeeded,
    /// Not as it should.
    Failed,
    /// By a person.
    Cancelled,
}

/// An operation that a flow uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uses {
    /// Which.
    pub operation: OperationRef,
    /// As which account.
    pub connection: Option<ConnectionId>,
    /// The step; none: the trigger.
    pub step: Option<StepId>,
}

impl Plan {
    /// The flow.
    pub fn id(&self) -> &FlowId {
        &self.id
    }

    /// The name people know.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    /// Who answers for it.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The team it belongs to.
    pub fn team(&self) -> Option<&Team> {
        self.team.as_ref()
    }

    /// Words to find it by.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// How its runs go beside one another.
    pub fn concurrency(&self) -> &Concurrency {
        &self.concurrency
    }

    /// How long its ended runs are kept, in milliseconds; none: the host decides.
    pub fn keep_ms(&self) -> Option<u64> {
        self.keep_ms
    }

    /// What starts it.
    pub fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// Whether, and how long, a delivery waits for the flow's output.
    pub fn respond(&self) -> Option<Respond> {
        self.respond
    }

    /// Its steps, those of branches included, in the order of the document.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step of this name.
    pub fn find(&self, id: &StepId) -> Option<&Step> {
        self.index(id).map(|index| &self.steps[index])
    }

    /// Whether the flow says what its result is.
    pub fn has_output(&self) -> bool {
        self.output.is_some()
    }

    /// Every operation it uses, the trigger's first, then in the order of the steps.
    pub fn operations(&self) -> Vec<Uses> {
        let trigger = match &self.trigger {
            Trigger::Connector { uses, connection, .. } => {
                Some(Uses { operation: uses.clone(), connection: Some(connection.clone()), step: None })
            }
            Trigger::Poll(poll) => {
                Some(Uses { operation: poll.uses.clone(), connection: poll.connection.clone(), step: None })
            }
            Trigger::Webhook { .. } | Trigger::Schedule(_) | Trigger::Manual { .. } | Trigger::Call { .. } => None,
        };
        let steps = self.steps.iter().filter_map(|step| {
            let action = step.work.as_action()?;
            Some(Uses {
                operation: action.uses.clone(),
                connection: action.connection.clone(),
                step: Some(step.id.clone()),
            })
        });
        trigger.into_iter().chain(steps).collect()
    }

    /// Every connection it names, a generic webhook's included.
    pub fn connections(&self) -> BTreeSet<&ConnectionId> {
        let trigger = match &self.trigger {
            Trigger::Connector { connection, .. } | Trigger::Webhook { connection, .. } => Some(connection),
            Trigger::Poll(poll) => poll.connection.as_ref(),
            Trigger::Schedule(_) | Trigger::Manual { .. } | Trigger::Call { .. } => None,
        };
        let steps = self.steps.iter().filter_map(|step| step.work.as_action()?.connection.as_ref());
        trigger.into_iter().chain(steps).collect()
    }

    /// Every flow it calls.
    pub fn calls(&self) -> BTreeSet<FlowId> {
        self.steps.iter().filter_map(|step| Some(step.work.as_call()?.flow.clone())).collect()
    }

    /// Fixes which component every connector means, at publish.
    #[must_use]
    pub fn lock(mut self, digests: BTreeMap<PluginId, Digest>) -> Self {
        self.locked = digests;
        self
    }

    /// Which component every connector means; empty before publish.
    pub fn locked(&self) -> &BTreeMap<PluginId, Digest> {
        &self.locked
    }

    pub(crate) fn index(&self, id: &StepId) -> Option<usize> {
        self.steps.iter().position(|step| step.id == *id)
    }
}
