//! What is journaled of a run: facts, never intentions without a name for them.
//!
//! Serialised with every run ever made: variants and fields may be added with
//! defaults, never renamed or removed.

use std::sync::Arc;

use model::{Environment, Failure, RunId, StepId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::After;
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

/// Which way an `if` went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branch {
    /// The condition held.
    Then,
    /// It did not.
    Else,
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
    /// An `if` went one way.
    Branched {
        /// The step.
        step: StepId,
        /// Which way.
        taken: Branch,
    },
    /// A step's `when` did not hold.
    Skipped {
        /// The step.
        step: StepId,
    },
    /// A `transform` made its value.
    Evaluated {
        /// The step.
        step: StepId,
        /// The value.
        output: Arc<Value>,
    },
    /// A call is about to be made for the first time.
    Intended {
        /// The step.
        step: StepId,
        /// The input of every attempt.
        input: Arc<Value>,
        /// The idempotency key of every attempt.
        key: String,
    },
    /// A further attempt is about to be made, with the same input and key.
    Resumed {
        /// The step.
        step: StepId,
        /// Counted from 1.
        attempt: u32,
    },
    /// An attempt failed and another follows.
    Attempted {
        /// The step.
        step: StepId,
        /// Counted from 1.
        attempt: u32,
        /// Why it failed.
        failure: Failure,
        /// When the next one is due.
        after: After,
    },
    /// A call succeeded.
    Succeeded {
        /// The step.
        step: StepId,
        /// What it returned.
        output: Arc<Value>,
    },
    /// A step failed for good.
    Failed {
        /// The step.
        step: StepId,
        /// Why.
        failure: Failure,
        /// Whether the run goes on all the same.
        continued: bool,
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
    /// What a `stop` or a person gave as the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn is_null(value: &Arc<Value>) -> bool {
    value.is_null()
}
