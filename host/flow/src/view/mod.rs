//! The story of a run for people: every step of the plan and what became of it, the
//! items of loops inside them.
//!
//! Invariant: bounded. A loop over ten thousand items shows a few, those that need
//! somebody first, and counts the others.

mod tell;

pub use tell::subject;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Failure, StepId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::{Plan, Step, Work};
use crate::run::{Entry, Iteration, Spot};

/// Items of one loop that are shown.
const ITEMS_SHOWN_MAX: usize = 10;

/// What kind of step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Calls a connector.
    Action,
    /// Goes one of two ways.
    If,
    /// Goes one of many ways.
    Switch,
    /// Executes its steps for each item of a list.
    Foreach,
    /// Runs another flow.
    Call,
    /// Waits for a time or an event.
    Wait,
    /// Asks a person.
    Approve,
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
    /// Its items are under way.
    Looping,
    /// It waits for its next attempt, for a time, an event, a person or another run.
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

impl StepOutcome {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotReached => "not-reached",
            Self::Skipped => "skipped",
            Self::Calling => "calling",
            Self::Looping => "looping",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Continued => "continued",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for StepOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepView {
    /// Its name.
    pub step: StepId,
    /// Where in the loops around it.
    #[serde(default, skip_serializing_if = "Iteration::is_empty")]
    pub iteration: Iteration,
    /// What people read: its label, else its name.
    pub label: String,
    /// What kind of step it is.
    pub kind: StepKind,
    /// The operation or the flow it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    /// What became of it.
    pub outcome: StepOutcome,
    /// Which way it went: `then`, `else`, `case 1`, `default`.
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
    /// What it waits for, or waited for, and who must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The items of a loop that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemsView>,
}

/// The items of a loop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemsView {
    /// How many there are.
    pub total: u32,
    /// How many are done.
    pub succeeded: u32,
    /// How many failed.
    pub failed: u32,
    /// At most ten of them: those that failed, then those under way, then the first.
    pub shown: Vec<ItemView>,
}

/// One item of a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemView {
    /// Counted from 0.
    pub index: u32,
    /// What became of it.
    pub outcome: StepOutcome,
    /// The body's steps.
    pub steps: Vec<StepView>,
}

/// Every step of the plan, in the order of the document, with what the entries say;
/// those of a loop's body are in its items.
pub fn steps_view<'a>(plan: &Plan, entries: impl IntoIterator<Item = &'a Entry>) -> Vec<StepView> {
    Told::of(plan, entries).block(0..plan.steps().len(), &Iteration::default())
}

/// Every execution of a step that the entries tell of; not bounded.
pub(crate) fn told<'a>(plan: &Plan, entries: impl IntoIterator<Item = &'a Entry>) -> BTreeMap<Spot, StepView> {
    Told::of(plan, entries).steps
}

/// What the entries said, step by step.
struct Told<'p> {
    plan: &'p Plan,
    steps: BTreeMap<Spot, StepView>,
    /// The outcome of each item that has one, by its loop and its index last.
    items: BTreeMap<Spot, StepOutcome>,
}

impl<'p> Told<'p> {
    fn of<'a>(plan: &'p Plan, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut told = Self { plan, steps: BTreeMap::new(), items: BTreeMap::new() };
        entries.into_iter().for_each(|entry| told.take(entry));
        told
    }

    fn take(&mut self, entry: &Entry) {
        if let Entry::ItemSucceeded { step, iteration, .. } = entry {
            return self.end_item(step, iteration, StepOutcome::Succeeded);
        }
        if let Entry::ItemFailed { step, iteration, continued, .. } = entry {
            let outcome = if *continued { StepOutcome::Continued } else { StepOutcome::Failed };
            return self.end_item(step, iteration, outcome);
        }
        let Some(spot) = subject(entry) else { return };
        let Some(step) = self.plan.find(&spot.step) else { return };
        let iteration = &spot.iteration;
        let view = self.steps.entry(spot.clone()).or_insert_with(|| unreached(step, iteration));
        tell::tell(view, entry);
    }

    fn end_item(&mut self, step: &StepId, iteration: &Iteration, outcome: StepOutcome) {
        self.items.insert(Spot { step: step.clone(), iteration: iteration.clone() }, outcome);
        let Some(outer) = iteration.outer() else { return };
        let items =
            self.steps.get_mut(&Spot { step: step.clone(), iteration: outer }).and_then(|view| view.items.as_mut());
        if let Some(items) = items {
            let count = if outcome == StepOutcome::Succeeded { &mut items.succeeded } else { &mut items.failed };
            *count += 1;
        }
    }

    /// The steps of this part of the list, as they were in this iteration.
    fn block(&mut self, range: std::ops::Range<usize>, iteration: &Iteration) -> Vec<StepView> {
        let plan = self.plan;
        let mut views = Vec::new();
        let mut at = range.start;
        while let Some(step) = plan.steps().get(at).filter(|_| at < range.end) {
            let spot = Spot { step: step.id.clone(), iteration: iteration.clone() };
            let mut view = self.steps.remove(&spot).unwrap_or_else(|| unreached(step, iteration));
            at += 1;
            if let Some(foreach) = step.work.as_foreach() {
                if let Some(items) = &mut view.items {
                    items.shown = self.shown(&spot, items.total, at..foreach.end);
                }
                at = foreach.end.max(at);
            }
            views.push(view);
        }
        views
    }

    fn shown(&mut self, around: &Spot, total: u32, body: std::ops::Range<usize>) -> Vec<ItemView> {
        let outcomes: Vec<(u32, StepOutcome)> = (0..total)
            .map(|index| {
                let spot = Spot { step: around.step.clone(), iteration: around.iteration.item(index) };
                (index, self.items.get(&spot).copied().unwrap_or_else(|| self.under_way(&spot.iteration, &body)))
            })
            .collect();
        let of_kind = |wanted: fn(StepOutcome) -> bool| outcomes.iter().filter(move |(_, outcome)| wanted(*outcome));
        let failed = of_kind(|outcome| matches!(outcome, StepOutcome::Failed | StepOutcome::Continued));
        let open = of_kind(|outcome| outcome == StepOutcome::Looping);
        let mut chosen = BTreeSet::new();
        for (index, _) in failed.chain(open).chain(&outcomes) {
            if chosen.len() == ITEMS_SHOWN_MAX {
                break;
            }
            chosen.insert(*index);
        }
        let chosen: Vec<(u32, StepOutcome)> =
            outcomes.iter().filter(|(index, _)| chosen.contains(index)).copied().collect();
        chosen
            .into_iter()
            .map(|(index, outcome)| {
                let steps = self.block(body.clone(), &around.iteration.item(index));
                ItemView { index, outcome, steps }
            })
            .collect()
    }

    /// An item that has not ended: begun, if any of its steps is.
    fn under_way(&self, iteration: &Iteration, body: &std::ops::Range<usize>) -> StepOutcome {
        let steps = self.plan.steps().get(body.clone()).unwrap_or_default();
        let begun = steps
            .iter()
            .any(|step| self.steps.contains_key(&Spot { step: step.id.clone(), iteration: iteration.clone() }));
        if begun { StepOutcome::Looping } else { StepOutcome::NotReached }
    }
}

fn unreached(step: &Step, iteration: &Iteration) -> StepView {
    let (kind, uses) = match &step.work {
        Work::Action(action) => (StepKind::Action, Some(action.uses.to_string())),
        Work::If { .. } => (StepKind::If, None),
        Work::Switch { .. } => (StepKind::Switch, None),
        Work::Foreach(_) => (StepKind::Foreach, None),
        Work::Call(call) => (StepKind::Call, Some(call.flow.to_string())),
        Work::Wait { .. } => (StepKind::Wait, None),
        Work::Approve(_) => (StepKind::Approve, None),
        Work::Transform { .. } => (StepKind::Transform, None),
        Work::Stop { .. } => (StepKind::Stop, None),
    };
    StepView {
        step: step.id.clone(),
        iteration: iteration.clone(),
        label: step.label.clone().unwrap_or_else(|| step.id.to_string()),
        kind,
        uses,
        outcome: StepOutcome::NotReached,
        taken: None,
        attempts: 0,
        input: None,
        output: None,
        failure: None,
        waits_for: None,
        items: None,
    }
}
