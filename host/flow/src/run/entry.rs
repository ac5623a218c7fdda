//! What is journaled of a run: facts, never intentions without a name for them.
//!
//! Serialised with every run ever made: variants and fields may be added with
//! defaults, never renamed or removed.

use std::sync::Arc;

use model::{Environment, Failure, RunId, StepId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{After, Pause};
use super::iteration::{Iteration, Spot};
use crate::plan::Outcome;

/// Facts of a run that expressions may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// `run.id`
    pub id: RunId,
    /// `run.started_at`: ISO 8601, UTC.
    pub started_at: String,
    /// `flow.version`
    pub flow_version: u64,
    /// `env`
    pub environment: Environment,
}

/// Which way a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branch {
    /// The condition of an `if` held.
    Then,
    /// It did not.
    Else,
    /// A `switch` took this case, counted from 0.
    Case(u32),
    /// No case of a `switch` was met.
    Default,
    /// The step failed and has steps for that.
    Error,
}

/// One fact of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The run began.
    Started {
        /// The event.
        trigger: Arc<Value>,
        /// What expressions may know of the run.
        run: RunFacts,
    },
    /// An `if` or a `switch` went one way.
    Branched {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// Which way.
        taken: Branch,
    },
    /// A step's `when` did not hold.
    Skipped {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
    },
    /// A `transform` made its value.
    Evaluated {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// The value.
        output: Arc<Value>,
    },
    /// A call is about to be made for the first time.
    Intended {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// The input of every attempt.
        input: Arc<Value>,
        /// The idempotency key of every attempt.
        key: String,
    },
    /// A further attempt is about to be made, with the same input and key.
    Resumed {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// Counted from 1.
        attempt: u32,
    },
    /// An attempt failed and another follows.
    Attempted {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// Counted from 1.
        attempt: u32,
        /// Why it failed.
        failure: Failure,
        /// When the next one is due.
        after: After,
        /// Whether it did nothing, and was asked to wait: it counts as no try.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waited: bool,
    },
    /// A call succeeded.
    Succeeded {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// What it returned.
        output: Arc<Value>,
    },
    /// A step failed for good.
    Failed {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// Why.
        failure: Failure,
        /// Whether the run goes on all the same.
        continued: bool,
        /// What failed inside of it, when it is a loop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Spot>,
        /// Whether it goes on with the step's own steps for that.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        branch: bool,
    },
    /// A step waits for something that is not a call.
    Paused {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// For what.
        pause: Pause,
    },
    /// The run has failed; its own steps for that are executed before it ends so.
    Failing(Ending),
    /// A `foreach` began.
    LoopBegan {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
        /// The list of its items; with a batch size, of lists of items.
        items: Arc<Value>,
        /// Items under way at once, at most.
        concurrency: u32,
    },
    /// An item of a `foreach` is done.
    ItemSucceeded {
        /// The loop.
        step: StepId,
        /// The item's index last.
        iteration: Iteration,
        /// The item's output; null when the loop has none.
        output: Arc<Value>,
    },
    /// An item of a `foreach` failed.
    ItemFailed {
        /// The loop.
        step: StepId,
        /// The item's index last.
        iteration: Iteration,
        /// What failed.
        at: Spot,
        /// Why.
        failure: Failure,
        /// Whether the loop goes on with the next item.
        continued: bool,
    },
    /// All items of a `foreach` are done, or have failed and were gone past.
    LoopEnded {
        /// The step.
        step: StepId,
        /// Where in the loops around it.
        #[serde(default, skip_serializing_if = "Iteration::is_empty")]
        iteration: Iteration,
    },
    /// A person gave a step's input, instead of what its expressions say.
    Given {
        /// The step; it lies outside of loops.
        step: StepId,
        /// Its input.
        input: Arc<Value>,
    },
    /// A person asked for the end; the calls under way are waited for.
    Cancelling {
        /// Why.
        reason: String,
    },
    /// The run ended.
    Finished(Ending),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// In one word.
    pub outcome: Outcome,
    /// The run's result; null when there is none.
    #[serde(default, skip_serializing_if = "is_null")]
    pub output: Arc<Value>,
    /// The failure that ended it; none when a `stop` or a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The step that ended it; none: the last one, the flow's `output`, or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Where in the loops around that step.
    #[serde(default, skip_serializing_if = "Iteration::is_empty")]
    pub iteration: Iteration,
    /// What a `stop` or a person gave as the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn is_null(value: &Arc<Value>) -> bool {
    value.is_null()
}
