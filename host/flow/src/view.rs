//! The story of a run for people: every step of the plan and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Failure, StepId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::{Plan, Step, Work};
use crate::run::{Branch, Entry};

/// What kind of step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Calls a connector.
    Action,
    /// Goes one of two ways.
    If,
    /// Makes a value.
    Transform,
    /// Ends the run.
    Stop,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// The run has not come to it, or went past it on another branch.
    NotReached,
    /// Its `when` did not hold.
    Skipped,
    /// Its call is under way.
    Calling,
    /// It waits for its next attempt.
    Waiting,
    /// Done.
    Succeeded,
    /// Failed, and the run went on.
    Continued,
    /// Failed, and the run with it.
    Failed,
    /// A person ended the run during its call.
    Cancelled,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepView {
    /// Its name.
    pub step: StepId,
    /// What people read: its label, else its name.
    pub label: String,
    /// What kind of step it is.
    pub kind: StepKind,
    /// The operation it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    /// What became of it.
    pub outcome: StepOutcome,
    /// Which way an `if` went: `then` or `else`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// The input of its call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Arc<Value>>,
    /// Its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Arc<Value>>,
    /// Its last failure, also when a later attempt succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Every step of the plan, in the order of the document, with what the entries say.
pub fn steps_view<'a>(plan: &Plan, entries: impl IntoIterator<Item = &'a Entry>) -> Vec<StepView> {
    let mut views: Vec<StepView> = plan.steps().iter().map(unreached).collect();
    let places: BTreeMap<StepId, usize> =
        plan.steps().iter().enumerate().map(|(at, step)| (step.id.clone(), at)).collect();
    for entry in entries {
        let place = subject(entry).and_then(|step| places.get(step));
        if let Some(view) = place.and_then(|at| views.get_mut(*at)) {
            tell(view, entry);
        }
    }
    views
}

fn unreached(step: &Step) -> StepView {
    let (kind, uses) = match &step.work {
        Work::Action(action) => (StepKind::Action, Some(action.uses.to_string())),
        Work::If { .. } => (StepKind::If, None),
        Work::Transform { .. } => (StepKind::Transform, None),
        Work::Stop { .. } => (StepKind::Stop, None),
    };
    StepView {
        step: step.id.clone(),
        label: step.label.clone().unwrap_or_else(|| step.id.to_string()),
        kind,
        uses,
        outcome: StepOutcome::NotReached,
        taken: None,
        attempts: 0,
        input: None,
        output: None,
        failure: None,
    }
}

fn subject(entry: &Entry) -> Option<&StepId> {
    match entry {
        Entry::Started { .. } => None,
        Entry::Branched { step, .. }
        | Entry::Skipped { step }
        | Entry::Evaluated { step, .. }
        | Entry::Intended { step, .. }
        | Entry::Resumed { step, .. }
        | Entry::Attempted { step, .. }
        | Entry::Succeeded { step, .. }
        | Entry::Failed { step, .. } => Some(step),
        Entry::Finished(ending) => ending.step.as_ref(),
    }
}

fn tell(view: &mut StepView, entry: &Entry) {
    match entry {
        Entry::Started { .. } => {}
        Entry::Branched { taken, .. } => {
            view.outcome = StepOutcome::Succeeded;
            view.taken = Some(branch_word(*taken).to_owned());
        }
        Entry::Skipped { .. } => view.outcome = StepOutcome::Skipped,
        Entry::Evaluated { output, .. } | Entry::Succeeded { output, .. } => {
            view.outcome = StepOutcome::Succeeded;
            view.output = Some(Arc::clone(output));
        }
        Entry::Intended { input, .. } => {
            view.outcome = StepOutcome::Calling;
            view.attempts = 1;
            view.input = Some(Arc::clone(input));
        }
        Entry::Resumed { attempt, .. } => {
            view.outcome = StepOutcome::Calling;
            view.attempts = *attempt;
        }
        Entry::Attempted { failure, .. } => {
            view.outcome = StepOutcome::Waiting;
            view.failure = Some(failure.clone());
        }
        Entry::Failed { failure, continued, .. } => {
            view.outcome = if *continued { StepOutcome::Continued } else { StepOutcome::Failed };
            view.failure = Some(failure.clone());
        }
        Entry::Finished(_) => match view.outcome {
            StepOutcome::NotReached => view.outcome = StepOutcome::Succeeded,
            StepOutcome::Calling | StepOutcome::Waiting => view.outcome = StepOutcome::Cancelled,
            StepOutcome::Skipped
            | StepOutcome::Succeeded
            | StepOutcome::Continued
            | StepOutcome::Failed
            | StepOutcome::Cancelled => {}
        },
    }
}

fn branch_word(taken: Branch) -> &'static str {
    match taken {
        Branch::Then => "then",
        Branch::Else => "else",
    }
}
