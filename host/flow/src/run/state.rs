//! Where a run is: rebuilt from its entries, one by one, without the plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Failure, StepId};
use serde_json::{Value, json};

use super::entry::{Branch, Ending, Entry, RunFacts};
use super::event::After;
use crate::template::Known;

/// Where a run is, and the values its expressions may read. Cheap to clone: values
/// are shared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub(super) run: Option<RunFacts>,
    pub(super) trigger: Option<Known>,
    pub(super) outputs: Arc<BTreeMap<StepId, Known>>,
    pub(super) place: Place,
}

/// One place at a time; parallel branches would make it a set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Place {
    /// Not begun.
    #[default]
    New,
    /// Before the first step.
    Start,
    /// Behind a step.
    Behind(StepId),
    /// At the beginning of a branch.
    In(StepId, Branch),
    /// A call is under way, or was when the host stopped.
    Calling(Attempt),
    /// Between two attempts; `attempt` is the one to come.
    Waiting(Attempt, After),
    /// A step has failed for good; the run ends next.
    Broken(StepId, Failure),
    /// Ended.
    Finished(Ending),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attempt {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) input: Arc<Value>,
    pub(super) key: String,
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
                self.place = Place::Start;
            }
            Entry::Branched { step, taken } => self.place = Place::In(step.clone(), *taken),
            Entry::Skipped { step } => self.place = Place::Behind(step.clone()),
            Entry::Evaluated { step, output } | Entry::Succeeded { step, output } => {
                self.keep(step, Arc::clone(output));
                self.place = Place::Behind(step.clone());
            }
            Entry::Intended { step, input, key } => {
                let input = Arc::clone(input);
                self.place = Place::Calling(Attempt { step: step.clone(), attempt: 1, input, key: key.clone() });
            }
            Entry::Resumed { attempt, .. } => {
                if let Some(under_way) = self.attempt() {
                    self.place = Place::Calling(Attempt { attempt: *attempt, ..under_way });
                }
            }
            Entry::Attempted { attempt, after, .. } => {
                if let Some(under_way) = self.attempt() {
                    self.place = Place::Waiting(Attempt { attempt: attempt + 1, ..under_way }, *after);
                }
            }
            Entry::Failed { step, failure, continued: true } => {
                self.keep(step, Arc::new(error_value(failure)));
                self.place = Place::Behind(step.clone());
            }
            Entry::Failed { step, failure, continued: false } => {
                self.place = Place::Broken(step.clone(), failure.clone());
            }
            Entry::Finished(ending) => self.place = Place::Finished(ending.clone()),
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

    /// What a step left behind: its output, or `{"error": ...}`.
    pub fn output(&self, step: &StepId) -> Option<&Arc<Value>> {
        self.outputs.get(step).map(Known::json)
    }

    /// The step whose call is under way or waits for its next attempt.
    pub fn current(&self) -> Option<&StepId> {
        match &self.place {
            Place::Calling(attempt) | Place::Waiting(attempt, _) => Some(&attempt.step),
            Place::New | Place::Start | Place::Behind(_) | Place::In(..) | Place::Broken(..) | Place::Finished(_) => {
                None
            }
        }
    }

    /// How the run ended; none while it has not.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.place {
            Place::Finished(ending) => Some(ending),
            Place::New
            | Place::Start
            | Place::Behind(_)
            | Place::In(..)
            | Place::Calling(_)
            | Place::Waiting(..)
            | Place::Broken(..) => None,
        }
    }

    fn keep(&mut self, step: &StepId, output: Arc<Value>) {
        Arc::make_mut(&mut self.outputs).insert(step.clone(), Known::new(output));
    }

    fn attempt(&self) -> Option<Attempt> {
        match &self.place {
            Place::Calling(attempt) | Place::Waiting(attempt, _) => Some(attempt.clone()),
            Place::New | Place::Start | Place::Behind(_) | Place::In(..) | Place::Broken(..) | Place::Finished(_) => {
                None
            }
        }
    }
}

/// What expressions see of a failure that the run went past.
fn error_value(failure: &Failure) -> Value {
    let problem = failure.to_problem();
    json!({ "error": { "code": problem.code, "message": problem.what } })
}
