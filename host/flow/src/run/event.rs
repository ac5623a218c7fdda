//! What happens to a run, and what it asks the engine for.

use std::sync::Arc;

use model::{ConnectionId, Failure, FlowId, Idempotency, OperationRef, RunId, StepId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Ending, Entry, RunFacts};
use super::iteration::Iteration;

/// Something that happened to a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It begins.
    Started {
        /// The event.
        trigger: Arc<Value>,
        /// What expressions may know of the run.
        run: RunFacts,
    },
    /// Go on from where the entries end: the answer to [`Effect::Continue`].
    Continue,
    /// The call under way returned.
    CallSucceeded {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
        /// What it returned; the engine has checked it.
        output: Arc<Value>,
    },
    /// The call under way failed.
    CallFailed {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
        /// Why.
        failure: Failure,
        /// Whether any byte of it may have left the host. A call that must not be
        /// repeated is not retried when it may have.
        sent: bool,
    },
    /// The call under way was not made: its connection waits for another credential.
    Refused {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
        /// What the remote said of the credential, to whoever asked before.
        failure: Failure,
    },
    /// The wait of [`Effect::Retry`], or the time of [`Effect::Pause`], is over.
    Due {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
    },
    /// What [`Effect::Pause`] waits for has come.
    Answered {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
        /// What came.
        answer: Answer,
    },
    /// After a crash: the call under way must not be repeated, and nobody knows
    /// whether it took effect.
    Interrupted {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
    },
    /// A person ends the run.
    Cancelled {
        /// Why.
        reason: String,
    },
}

/// What follows from an event. Entries first: they are durable before any effect
/// is performed. Both empty: the event does not concern the run as it is (a late or
/// repeated answer), and nothing changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transition {
    /// To be journaled, in one batch.
    pub entries: Vec<Entry>,
    /// To be performed after that.
    pub effects: Vec<Effect>,
}

/// Something the run asks the engine for.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Call an operation, then report `CallSucceeded` or `CallFailed`.
    Call(Box<Call>),
    /// Report `Due` when the wait is over.
    Retry {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
        /// The attempt to come, counted from 1.
        attempt: u32,
        /// How long to wait.
        after: After,
    },
    /// Report `Answered` when it has come, or `Due` when its time is over.
    Pause {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
        /// What is waited for.
        pause: Pause,
    },
    /// What this pause waited for is not waited for any more.
    Release {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        iteration: Iteration,
        /// What was waited for.
        pause: Pause,
    },
    /// Report `Continue`: the entries end between two steps. Only after recovery.
    Continue,
    /// The run has ended; a failed one makes a dead letter.
    Finish(Ending),
}

/// A call of a connector's operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The step.
    pub step: StepId,
    /// Where in the loops around it.
    pub iteration: Iteration,
    /// Which operation.
    pub uses: OperationRef,
    /// As which account.
    pub connection: Option<ConnectionId>,
    /// Its input, the same at every attempt.
    pub input: Arc<Value>,
    /// The idempotency key, the same at every attempt.
    pub key: String,
    /// Counted from 1.
    pub attempt: u32,
    /// How many of those before it did nothing, and were asked to wait.
    pub waits: u32,
    /// The longest it may take, in milliseconds; none: the plugin's limit.
    pub timeout_ms: Option<u64>,
    /// What it does at the remote.
    pub effect: model::Effect,
    /// What happens when it is performed twice.
    pub idempotency: Idempotency,
}

impl Call {
    /// Whether it may be performed again when nobody knows if it took effect. When
    /// not, a call that `pending` names after a crash is reported as `Interrupted`.
    pub fn repeatable(&self) -> bool {
        self.effect == model::Effect::Read || self.idempotency != Idempotency::None
    }
}

/// What a run waits for besides calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Pause {
    /// Time to pass.
    For {
        /// In milliseconds.
        ms: u64,
    },
    /// An instant.
    Until {
        /// In milliseconds since 1970-01-01 UTC.
        at_ms: u64,
    },
    /// An event that somebody signals.
    Signal {
        /// Its name.
        name: String,
        /// Which of them.
        key: String,
        /// The longest it is waited for, in milliseconds.
        timeout_ms: u64,
    },
    /// A person's decision.
    Approval {
        /// Who may decide.
        role: String,
        /// The question in a line.
        title: String,
        /// What there is to know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The answers there are.
        outcomes: Vec<String>,
        /// The longest it is waited for, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// The answer when time is up; none: the step fails.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_timeout: Option<String>,
    },
    /// The end of a run of another flow.
    Child {
        /// Which flow.
        flow: FlowId,
        /// Its input.
        input: Arc<Value>,
        /// The longest it is waited for, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// Which run of it this is, counted from 1.
        #[serde(default = "first", skip_serializing_if = "is_first")]
        attempt: u32,
    },
}

fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_first(attempt: &u32) -> bool {
    *attempt == first()
}

impl Pause {
    /// Which run of a called flow it waits for, counted from 1; 1 for everything else.
    pub(crate) fn attempt(&self) -> u32 {
        match self {
            Self::Child { attempt, .. } => *attempt,
            Self::For { .. } | Self::Until { .. } | Self::Signal { .. } | Self::Approval { .. } => first(),
        }
    }

    /// The same for another run of a called flow.
    pub(super) fn with_attempt(&self, next: u32) -> Self {
        let mut pause = self.clone();
        if let Self::Child { attempt, .. } = &mut pause {
            *attempt = next;
        }
        pause
    }
}

/// What a pause waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Answer {
    /// The event.
    Signalled {
        /// What came with it.
        payload: Arc<Value>,
    },
    /// A person decided.
    Decided {
        /// One of the outcomes.
        outcome: String,
        /// Who.
        by: String,
        /// When: ISO 8601, UTC.
        at: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// The other flow's run succeeded.
    Returned {
        /// Its output.
        output: Arc<Value>,
    },
    /// The other flow's run did not succeed, or could not begin.
    Broke {
        /// Why.
        failure: Failure,
        /// Whether another run may succeed: what failed in it is worth another try.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        passing: bool,
    },
}

/// How long to wait for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// Any time up to `most_ms`: the engine draws it (full jitter).
    Backoff {
        /// The longest wait, in milliseconds, doubled already for the attempt.
        most_ms: u64,
    },
    /// What the remote said, for the whole connection.
    Wait {
        /// In milliseconds.
        ms: u64,
    },
    /// Until the connection has another credential: the engine says when.
    Reauthorised,
}

/// The idempotency key of a step's call: the same at every attempt of a run,
/// another in every run and for every item of a loop.
pub fn idempotency_key(run: &RunId, step: &StepId, iteration: &Iteration) -> String {
    let indexes = iteration.indexes().iter().map(|index| format!("-{index}"));
    format!("{run}-{step}{}", indexes.collect::<String>())
}
