//! Where a run is: rebuilt from its entries, one by one, without the plan.
//!
//! A run is a thread, and each item of a loop under way is one more. A thread is at
//! one place at a time; threads never meet but at the end of their loop.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Failure, Remedy, StepId};
use serde_json::{Value, json};

use super::entry::{Branch, Ending, Entry, RunFacts};
use super::event::{After, Pause};
use super::iteration::{Iteration, Spot};
use super::looping::Loop;
use crate::template::Known;

/// Where a run is, and the values its expressions may read. Cheap to clone: values
/// are shared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub(super) run: Option<RunFacts>,
    pub(super) trigger: Option<Known>,
    pub(super) threads: BTreeMap<Iteration, Thread>,
    /// What a person gave instead of a step's expressions.
    pub(super) given: BTreeMap<StepId, Arc<Value>>,
    pub(super) cancelling: Option<String>,
    pub(super) failing: Option<Failing>,
    pub(super) ending: Option<Ending>,
}

/// A run that has failed, while its own steps for that are executed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failing {
    pub(super) ending: Ending,
    /// What those steps see as `error`.
    pub(super) error: Known,
}

/// One sequence of steps under way.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Thread {
    /// What the steps before left behind, those around the loop included.
    pub(super) outputs: Arc<BTreeMap<StepId, Known>>,
    /// The loop's item; none outside loops.
    pub(super) item: Option<Known>,
    pub(super) place: Place,
}

/// One place at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Place {
    /// Before the first step of the run, or of the loop's body.
    #[default]
    Start,
    /// Behind a step.
    Behind(StepId),
    /// At the beginning of a branch.
    In(StepId, Branch),
    /// A call is under way, or was when the host stopped.
    Calling(Attempt),
    /// Between two attempts; `attempt` is the one to come.
    Waiting(Attempt, After),
    /// Something else is waited for.
    Paused(StepId, Pause),
    /// Between two runs of a flow that a step calls; the pause is the one to come.
    Between(StepId, Pause, After),
    /// The items of a loop are under way, each in a thread of its own.
    Looping(StepId, Arc<Loop>),
    /// A step has failed for good; the run, or the loop's item, ends next.
    Broken(Spot, Failure),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attempt {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    /// How many of those before it did nothing, and were asked to wait.
    pub(super) waits: u32,
    pub(super) input: Arc<Value>,
    pub(super) key: String,
    /// The one before was refused for its credential, and this one follows at once.
    pub(super) refused: bool,
}

impl State {
    /// A run without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state that these entries make.
    pub fn replay<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut state = Self::new();
        entries.into_iter().for_each(|entry| state.apply(entry));
        state
    }

    /// Takes one more entry in. Evaluates nothing.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Started { trigger, run } => {
                self.trigger = Some(Known::new(Arc::clone(trigger)));
                self.run = Some(run.clone());
                self.threads.insert(Iteration::default(), Thread::default());
            }
            Entry::Branched { step, iteration, taken } => self.go(iteration, Place::In(step.clone(), *taken)),
            Entry::Skipped { step, iteration } => self.go(iteration, Place::Behind(step.clone())),
            Entry::Evaluated { step, iteration, output } | Entry::Succeeded { step, iteration, output } => {
                self.leave(step, iteration, Arc::clone(output));
            }
            Entry::Intended { step, iteration, input, key } => {
                let (step, input, key) = (step.clone(), Arc::clone(input), key.clone());
                self.go(iteration, Place::Calling(Attempt { step, attempt: 1, waits: 0, input, key, refused: false }));
            }
            Entry::Resumed { attempt, iteration, .. } => {
                if let Some(under_way) = self.attempt(iteration) {
                    self.go(iteration, Place::Calling(Attempt { attempt: *attempt, ..under_way }));
                }
            }
            Entry::Attempted { attempt, iteration, failure, after, waited, .. } => {
                if let Some(under_way) = self.attempt(iteration) {
                    let refused = failure.remedy() == Remedy::Reauthorise && *after != After::Reauthorised;
                    let waits = under_way.waits + u32::from(*waited);
                    let next = Attempt { attempt: attempt + 1, waits, refused, ..under_way };
                    self.go(iteration, Place::Waiting(next, *after));
                } else if let Some(Place::Paused(step, pause)) = self.place(iteration) {
                    let (step, pause) = (step.clone(), pause.with_attempt(attempt + 1));
                    self.go(iteration, Place::Between(step, pause, *after));
                }
            }
            Entry::Failed { step, iteration, failure, continued: true, branch, .. } => {
                self.leave(step, iteration, Arc::new(error_value(failure)));
                if *branch {
                    self.go(iteration, Place::In(step.clone(), Branch::Error));
                }
            }
            Entry::Failed { step, iteration, failure, continued: false, at, .. } => {
                let own = || Spot { step: step.clone(), iteration: iteration.clone() };
                self.go(iteration, Place::Broken(at.clone().unwrap_or_else(own), failure.clone()));
            }
            Entry::LoopBegan { step, iteration, items, concurrency } => {
                self.go(iteration, Place::Looping(step.clone(), Arc::new(Loop::new(Arc::clone(items)))));
                (0..*concurrency).for_each(|_| self.begin_item(iteration));
            }
            Entry::ItemSucceeded { iteration, output, .. } => {
                self.end_item(iteration, |around, index| around.succeed(index, output));
            }
            Entry::ItemFailed { iteration, at, failure, continued, .. } => {
                self.end_item(iteration, |around, index| around.fail(index, at.clone(), failure, *continued));
            }
            Entry::LoopEnded { step, iteration } => {
                let output = self.looping(iteration).map(|around| Arc::new(around.output()));
                self.leave(step, iteration, output.unwrap_or_default());
            }
            Entry::Given { step, input } => {
                self.given.insert(step.clone(), Arc::clone(input));
            }
            Entry::Paused { step, iteration, pause } => {
                self.go(iteration, Place::Paused(step.clone(), pause.clone()));
            }
            Entry::Failing(ending) => self.begin_failing(ending),
            Entry::Cancelling { reason } => self.cancelling = Some(reason.clone()),
            Entry::Finished(ending) => self.ending = Some(ending.clone()),
        }
    }

    /// Facts of the run, once it has begun.
    pub fn run(&self) -> Option<&RunFacts> {
        self.run.as_ref()
    }

    /// The event, once the run has begun.
    pub fn trigger(&self) -> Option<&Arc<Value>> {
        self.trigger.as_ref().map(Known::json)
    }

    /// What a step outside loops left behind: its output, or `{"error": ...}`.
    pub fn output(&self, step: &StepId) -> Option<&Arc<Value>> {
        self.threads.get(&Iteration::default())?.outputs.get(step).map(Known::json)
    }

    /// The steps whose calls are under way or wait for their next attempt.
    pub fn current(&self) -> Vec<Spot> {
        if self.ending.is_some() {
            return Vec::new();
        }
        let spot = |(iteration, thread): (&Iteration, &Thread)| match &thread.place {
            Place::Calling(Attempt { step, .. })
            | Place::Waiting(Attempt { step, .. }, _)
            | Place::Paused(step, _)
            | Place::Between(step, ..) => Some(Spot { step: step.clone(), iteration: iteration.clone() }),
            Place::Start | Place::Behind(_) | Place::In(..) | Place::Looping(..) | Place::Broken(..) => None,
        };
        self.threads.iter().filter_map(spot).collect()
    }

    /// Whether something other than a call is waited for, and no call is under way.
    pub fn is_resting(&self) -> bool {
        let mut places = self.threads.values().map(|thread| &thread.place);
        let paused = places.clone().any(|place| matches!(place, Place::Paused(..)));
        self.is_under_way() && paused && !places.any(|place| matches!(place, Place::Calling(_)))
    }

    /// Whether a call is under way, or was when the host stopped.
    pub fn is_calling(&self) -> bool {
        self.is_under_way() && self.threads.values().any(|thread| matches!(thread.place, Place::Calling(_)))
    }

    /// What is to be called again, operations and flows, each with the number of the
    /// attempt to come.
    pub fn retries(&self) -> Vec<(Spot, u32, After)> {
        let retry = |(iteration, thread): (&Iteration, &Thread)| match &thread.place {
            Place::Waiting(Attempt { step, attempt, .. }, after) => {
                Some((Spot { step: step.clone(), iteration: iteration.clone() }, *attempt, *after))
            }
            Place::Between(step, pause, after) => {
                Some((Spot { step: step.clone(), iteration: iteration.clone() }, pause.attempt(), *after))
            }
            Place::Calling(_)
            | Place::Paused(..)
            | Place::Start
            | Place::Behind(_)
            | Place::In(..)
            | Place::Looping(..)
            | Place::Broken(..) => None,
        };
        self.threads.iter().filter_map(retry).collect()
    }

    /// The calls that wait for another credential of their connection.
    pub fn refused(&self) -> Vec<Spot> {
        let refused = |(spot, _, after)| (after == After::Reauthorised).then_some(spot);
        self.retries().into_iter().filter_map(refused).collect()
    }

    /// What is waited for besides calls, and where.
    pub fn pauses(&self) -> Vec<(Spot, &Pause)> {
        let mut found = Vec::new();
        for (iteration, thread) in &self.threads {
            if let Place::Paused(step, pause) = &thread.place {
                found.push((Spot { step: step.clone(), iteration: iteration.clone() }, pause));
            }
        }
        found
    }

    /// Whether the run has begun and not ended.
    pub fn is_under_way(&self) -> bool {
        self.run.is_some() && self.ending.is_none()
    }

    /// Whether a person asked for the end, and calls under way are waited for.
    pub fn is_cancelling(&self) -> bool {
        self.cancelling.is_some()
    }

    /// How the run ended; none while it has not.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    pub(super) fn place(&self, iteration: &Iteration) -> Option<&Place> {
        self.threads.get(iteration).map(|thread| &thread.place)
    }

    pub(super) fn looping(&self, iteration: &Iteration) -> Option<&Arc<Loop>> {
        match self.place(iteration)? {
            Place::Looping(_, around) => Some(around),
            Place::Start
            | Place::Behind(_)
            | Place::In(..)
            | Place::Calling(_)
            | Place::Waiting(..)
            | Place::Paused(..)
            | Place::Between(..)
            | Place::Broken(..) => None,
        }
    }

    /// What was under way is over; only the run's own thread goes on.
    fn begin_failing(&mut self, ending: &Ending) {
        let outside = Iteration::default();
        self.threads.retain(|iteration, _| *iteration == outside);
        self.go(&outside, Place::Start);
        let problem = ending.failure.as_ref().map(Failure::to_problem);
        let (code, message) = problem.map(|problem| (problem.code, problem.what)).unzip();
        let error = json!({ "code": code, "message": message, "step": ending.step });
        self.failing = Some(Failing { ending: ending.clone(), error: Known::new(Arc::new(error)) });
    }

    fn go(&mut self, iteration: &Iteration, place: Place) {
        if let Some(thread) = self.threads.get_mut(iteration) {
            thread.place = place;
        }
    }

    fn leave(&mut self, step: &StepId, iteration: &Iteration, output: Arc<Value>) {
        if let Some(thread) = self.threads.get_mut(iteration) {
            Arc::make_mut(&mut thread.outputs).insert(step.clone(), Known::new(output));
            thread.place = Place::Behind(step.clone());
        }
    }

    fn begin_item(&mut self, iteration: &Iteration) {
        let Some(thread) = self.threads.get_mut(iteration) else { return };
        let Place::Looping(_, around) = &mut thread.place else { return };
        let Some((index, item)) = Arc::make_mut(around).begin() else { return };
        let outputs = Arc::clone(&thread.outputs);
        let item = Some(Known::new(item));
        self.threads.insert(iteration.item(index), Thread { outputs, item, place: Place::Start });
    }

    fn end_item(&mut self, iteration: &Iteration, tell: impl FnOnce(&mut Loop, u32)) {
        let (Some(outer), Some(index)) = (iteration.outer(), iteration.index()) else { return };
        self.threads.remove(iteration);
        if let Some(Place::Looping(_, around)) = self.threads.get_mut(&outer).map(|thread| &mut thread.place) {
            tell(Arc::make_mut(around), index);
        }
        self.begin_item(&outer);
    }

    fn attempt(&self, iteration: &Iteration) -> Option<Attempt> {
        match self.place(iteration)? {
            Place::Calling(attempt) | Place::Waiting(attempt, _) => Some(attempt.clone()),
            Place::Start
            | Place::Behind(_)
            | Place::In(..)
            | Place::Paused(..)
            | Place::Between(..)
            | Place::Looping(..)
            | Place::Broken(..) => None,
        }
    }
}

/// What expressions see of a failure that the run went past.
fn error_value(failure: &Failure) -> Value {
    let problem = failure.to_problem();
    json!({ "error": { "code": problem.code, "message": problem.what } })
}
