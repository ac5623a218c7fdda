//! Tests inside a flow's document: what starts the flow, what the outside answers,
//! what is expected.
//!
//! Owns the pretended outside and the comparison. The machine is the one of real
//! runs, driven without clock, connectors or storage: nothing leaves, and the same
//! test ends the same way everywhere.

mod drive;
mod judge;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Difference, Environment, Failure, Problem, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::{Outcome, Plan};
use crate::run::Spot;
use crate::view::StepOutcome;

/// One test of a flow; it passed the check together with its flow.
#[derive(Debug, Clone)]
pub struct Test {
    pub(crate) name: String,
    /// The event.
    pub(crate) trigger: Arc<Value>,
    /// `run.started_at`
    pub(crate) started_at: String,
    /// What the outside answers, attempt by attempt; the last answer goes on. A spot
    /// in fewer loops than the step stands for every item of the inner ones.
    pub(crate) replies: BTreeMap<Spot, Vec<Reply>>,
    /// What operations return that have no answer: their connectors' samples.
    pub(crate) samples: BTreeMap<StepId, Arc<Value>>,
    pub(crate) expect: Expect,
}

/// What the outside answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// An operation, or another flow, returns this.
    Output(Arc<Value>),
    /// It fails; `sent` says whether anything may have left the host.
    Failure { failure: Failure, sent: bool },
    /// A person decides.
    Decision { outcome: String, by: String, comment: Option<String> },
    /// The event comes, with this.
    Event(Arc<Value>),
    /// Nothing comes in time.
    TimedOut,
}

/// What is expected; what is absent is not compared.
#[derive(Debug, Clone)]
pub(crate) struct Expect {
    pub(crate) outcome: Outcome,
    pub(crate) output: Option<Wanted>,
    /// The code of the failure.
    pub(crate) failure: Option<String>,
    /// The step that ended the run.
    pub(crate) step: Option<Spot>,
    pub(crate) reason: Option<String>,
    /// Everything the run asks the outside for, step by step.
    pub(crate) effects: Option<Vec<ExpectEffect>>,
    pub(crate) steps: Vec<(Spot, ExpectStep)>,
}

/// A value that is expected whole, or a part of one.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) value: Value,
    pub(crate) extent: model::Extent,
}

/// An effect that is expected.
#[derive(Debug, Clone)]
pub(crate) struct ExpectEffect {
    pub(crate) step: StepId,
    pub(crate) input: Option<Wanted>,
    pub(crate) times: usize,
}

/// What is expected of a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExpectStep {
    pub(crate) outcome: Option<StepOutcome>,
    pub(crate) taken: Option<String>,
    pub(crate) attempts: Option<u32>,
    pub(crate) output: Option<Wanted>,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The test.
    pub name: String,
    /// Whether everything was as expected.
    pub passed: bool,
    /// What was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Why the flow could not be tested to its end: an answer that is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl Test {
    /// The test's name, unique in its flow.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs the flow over the pretended outside. `plan` is of the same document.
    pub fn run(&self, plan: &Plan, environment: &Environment) -> Verdict {
        let (differences, problem) = match drive::drive(plan, self, environment) {
            Ok(story) => (judge::judge(plan, &self.expect, &story), None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        let passed = differences.is_empty() && problem.is_none();
        Verdict { name: self.name.clone(), passed, differences, problem }
    }

    /// What the outside answers to this attempt, counted from 1: what is said of the
    /// very item, else of the items around it, else the connector's sample.
    pub(crate) fn reply(&self, spot: &Spot, attempt: u32) -> Option<Reply> {
        let mut around = Some(spot.iteration.clone());
        while let Some(iteration) = around {
            let found = self.replies.get(&Spot { step: spot.step.clone(), iteration: iteration.clone() });
            if let Some(replies) = found {
                let index = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
                return replies.get(index).or_else(|| replies.last()).cloned();
            }
            around = iteration.outer();
        }
        self.samples.get(&spot.step).cloned().map(Reply::Output)
    }
}
