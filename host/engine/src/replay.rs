//! Once more: a run's event, or the rest of the run from one of its steps.
//!
//! A replay is a run of its own with idempotency keys of its own: what took effect
//! then may take effect again, and says so. From a step on, what the steps before
//! left behind is copied as it was recorded; nothing of them is evaluated again.

use std::sync::Arc;

use flow::Entry;
use model::{Failure, Problem, RunId, StepId};
use serde_json::Value;
use store::Batch;

use crate::dead::put_settled;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::records::{BODIES, DELIVERIES, DeadLetter, Origin, RunRecord, RunStatus, Settled, SettledAs};
use crate::run::{RawDelivery, Run};

/// How a run is replayed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replay {
    /// With which version of the flow.
    pub version: ReplayVersion,
    /// From where, and with what.
    pub from: ReplayFrom,
    /// Says that a call which may have taken effect is to be made again.
    pub repeat: bool,
    /// Why, for whoever looks at the letter.
    pub note: Option<String>,
}

/// Which version a replay takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplayVersion {
    /// The one the run had.
    #[default]
    Original,
    /// The published one.
    Newest,
}

/// Where a replay begins.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplayFrom {
    /// At the beginning.
    Start {
        /// The event instead of the run's own.
        event: Option<Value>,
    },
    /// At a step outside of loops, with what the steps before it left behind.
    Step {
        /// Which.
        step: StepId,
        /// Its input instead of what its expressions say.
        input: Option<Value>,
    },
    /// Behind the step that the run gave up at: a person says that its call took
    /// effect.
    Behind {
        /// What the call is taken to have returned.
        output: Value,
    },
}

impl Default for ReplayFrom {
    fn default() -> Self {
        Self::Start { event: None }
    }
}

impl Engine {
    /// Runs the event of an ended run once more, from the start.
    ///
    /// # Errors
    /// As `replay_as`.
    pub async fn replay(&self, id: &RunId, version: ReplayVersion, by: &str) -> Result<RunId, EngineError> {
        self.replay_as(id, &Replay { version, ..Replay::default() }, by).await
    }

    /// Runs an ended run once more. Its dead letter, if it has an open one, is
    /// settled by it.
    ///
    /// # Errors
    /// When there is no such run, it has not ended or was replayed already, or the
    /// call it gave up at may have taken effect and nobody said to repeat it.
    pub async fn replay_as(&self, id: &RunId, replay: &Replay, by: &str) -> Result<RunId, EngineError> {
        self.check_open()?;
        let (record, flow) = self.to_replay(id, replay)?;
        let letter = self.letter_to_settle(id, replay)?;
        self.check_room(&flow)?;
        let origin = Origin::Replay { of: id.clone(), by: by.to_owned() };
        let mut run = self.new_run(&flow, origin, RunStatus::Running);
        let entries = self.entries_to_replay(&record, &flow, &run, replay, letter.as_ref())?;
        let mut batch = Batch::new();
        if entries.is_empty() {
            run.record.status = RunStatus::Received;
            run.delivery = Some(self.raw_of(id)?);
        }
        run.put_accepted(&mut batch)?;
        if !entries.is_empty() {
            run.put_line(&mut batch, self.now_ms(), entries, None)?;
        }
        self.put_place(&mut run, &mut batch)?;
        if let Some(letter) = letter {
            self.put_replayed(&mut batch, letter, &run, replay, by)?;
        }
        let (new, bytes) = (run.id().clone(), batch.bytes());
        let commit = self.hand_over(batch, [&mut run])?;
        self.settled(id, commit).await?;
        self.set_going(run, bytes);
        Ok(new)
    }

    /// The run and the version that it is replayed with.
    pub(crate) fn to_replay(&self, id: &RunId, replay: &Replay) -> Result<(RunRecord, Arc<Published>), EngineError> {
        let record = self.run_record(id)?;
        if !record.status.is_final() {
            return Err(EngineError::Conflict(
                Problem::new("run-open", format!("run {id} has not ended"))
                    .fix(format!("wait for its end: sluice run show {id}; or end it: sluice run cancel {id}")),
            ));
        }
        let flow = match replay.version {
            ReplayVersion::Original => self.version(&record.environment, &record.flow, record.version)?,
            ReplayVersion::Newest => self.published(&record.environment, &record.flow)?,
        };
        Ok((record, flow))
    }

    fn letter_to_settle(&self, id: &RunId, replay: &Replay) -> Result<Option<DeadLetter>, EngineError> {
        let Some(letter) = self.find_letter(id)? else { return Ok(None) };
        let letter = self.open_letter(&letter.run)?;
        let behind = matches!(replay.from, ReplayFrom::Behind { .. });
        let in_doubt = matches!(letter.failure, Failure::MayHaveHappened { .. });
        if in_doubt && !replay.repeat && !behind {
            return Err(EngineError::Refused(
                Problem::new("may-have-happened", format!("run {id} gave up at a call that may have taken effect"))
                    .cause("the host stopped or lost the answer during a call that must not be repeated")
                    .fix(format!(
                        "look at the service. If it did not happen: sluice dead replay {id} --yes-repeat. If it did: \
                         sluice dead happened {id}"
                    )),
            ));
        }
        Ok(Some(letter))
    }

    fn put_replayed(
        &self,
        batch: &mut Batch,
        mut letter: DeadLetter,
        run: &Run,
        replay: &Replay,
        by: &str,
    ) -> Result<(), EngineError> {
        let how = match replay.from {
            ReplayFrom::Start { .. } | ReplayFrom::Step { .. } => SettledAs::Replayed,
            ReplayFrom::Behind { .. } => SettledAs::Happened,
        };
        let note = replay.note.clone().or_else(|| edited(&replay.from));
        letter.replayed_as = Some(run.id().clone());
        letter.settled = Some(Settled { at_ms: self.now_ms(), by: by.to_owned(), how, note });
        put_settled(batch, &letter)
    }

    /// What the new run begins with; nothing when its delivery has to be read again.
    pub(crate) fn entries_to_replay(
        &self,
        of: &RunRecord,
        flow: &Published,
        run: &Run,
        replay: &Replay,
        letter: Option<&DeadLetter>,
    ) -> Result<Vec<Entry>, EngineError> {
        let recorded: Vec<Entry> = self.lines(&of.id)?.into_iter().flat_map(|line| line.entries).collect();
        let started = |trigger: Arc<Value>| Entry::Started { trigger, run: run.facts() };
        let event = flow::State::replay(&recorded).trigger().cloned();
        match (&replay.from, event) {
            (ReplayFrom::Start { event: Some(event) }, _) => {
                self.check_edited_event(flow, event)?;
                Ok(vec![started(Arc::new(event.clone()))])
            }
            (ReplayFrom::Start { event: None }, event) => Ok(event.map(started).into_iter().collect()),
            (ReplayFrom::Step { .. } | ReplayFrom::Behind { .. }, None) => {
                Err(EngineError::Conflict(not_begun(&of.id)))
            }
            (ReplayFrom::Step { step, input }, Some(event)) => {
                let mut entries = before(&recorded, step).ok_or_else(|| not_reached(&of.id, step))?;
                entries[0] = started(event);
                check_kept(flow, &entries)?;
                if let Some(input) = input {
                    self.check_edited_input(flow, step, input)?;
                    entries.push(Entry::Given { step: step.clone(), input: Arc::new(input.clone()) });
                }
                Ok(entries)
            }
            (ReplayFrom::Behind { output }, Some(event)) => {
                let letter = letter.filter(|letter| letter.iteration.is_empty());
                let step = letter.and_then(|letter| letter.step.clone());
                let step = step.ok_or_else(|| EngineError::Conflict(no_such_call(&of.id)))?;
                let mut entries = before(&recorded, &step).ok_or_else(|| not_reached(&of.id, &step))?;
                entries[0] = started(event);
                check_kept(flow, &entries)?;
                self.check_claimed_output(flow, &step, output)?;
                let output = Arc::new(output.clone());
                // A value that somebody made, as a transform's: no call of this run.
                entries.push(Entry::Evaluated { step, iteration: flow::Iteration::default(), output });
                Ok(entries)
            }
        }
    }

    fn check_edited_event(&self, flow: &Published, event: &Value) -> Result<(), EngineError> {
        let flow::Trigger::Connector { event: schema, .. } = flow.plan().trigger() else {
            return crate::accept::check_event(flow, event);
        };
        let schema = model::Schema::compile(schema).map_err(EngineError::internal)?;
        refuse_fields("trigger", &schema.check(event))
    }

    fn check_edited_input(&self, flow: &Published, step: &StepId, input: &Value) -> Result<(), EngineError> {
        let (installed, operation) = self.action_of(flow, step)?;
        let schema = installed.taken(&operation).map_err(|failure| EngineError::Refused(failure.to_problem()))?;
        refuse_fields(&format!("steps.{step}.input"), &schema.check(input))
    }

    /// Nothing claimed is taken as it is: the steps after it say what they miss.
    fn check_claimed_output(&self, flow: &Published, step: &StepId, output: &Value) -> Result<(), EngineError> {
        if output.is_null() {
            return Ok(());
        }
        let (installed, operation) = self.action_of(flow, step)?;
        let schema = installed.given(&operation).map_err(|failure| EngineError::Refused(failure.to_problem()))?;
        refuse_fields(&format!("steps.{step}.output"), &schema.check(output))
    }

    fn action_of(
        &self,
        flow: &Published,
        step: &StepId,
    ) -> Result<(Arc<crate::catalogue::Installed>, model::OperationId), EngineError> {
        let action = flow.plan().find(step).and_then(|step| step.work.as_action());
        let uses = action.map(|action| &action.uses).ok_or_else(|| {
            EngineError::invalid(
                Problem::new("no-action", format!("step {step} is no action of version {}", flow.record.version))
                    .fix("name a step that calls a connector"),
            )
        })?;
        let digest = flow.plan().locked().get(&uses.plugin);
        let installed = digest.and_then(|digest| self.0.catalogue.plugin(digest)).ok_or_else(|| {
            EngineError::Refused(Problem::new("plugin-gone", format!("the plugin {} is not installed", uses.plugin)))
        })?;
        Ok((installed, uses.operation.clone()))
    }

    fn raw_of(&self, id: &RunId) -> Result<RawDelivery, EngineError> {
        let parts: [&[u8]; 1] = [id.as_str().as_bytes()];
        let gone = || {
            EngineError::Conflict(Problem::new(
                "delivery-gone",
                format!("run {id} held nothing for its flow, so there is nothing to replay"),
            ))
        };
        if let Some(record) = DELIVERIES.get(&*self.0.store, &parts)? {
            let body = self.0.store.get(&BODIES.key(&parts))?.unwrap_or_default();
            return Ok(RawDelivery { record, body });
        }
        let (key, value) = self.past_rows(id, &DELIVERIES.key(&parts))?.into_iter().next().ok_or_else(gone)?;
        let record = DELIVERIES.parse(&key, &value)?;
        let body =
            self.past_rows(id, &BODIES.key(&parts))?.into_iter().next().map(|(_, body)| body).unwrap_or_default();
        Ok(RawDelivery { record, body })
    }
}

/// What a person replaced for a replay, for whoever looks at the letter; none: nothing.
fn edited(from: &ReplayFrom) -> Option<String> {
    match from {
        ReplayFrom::Start { event: Some(_) } => Some("with another event".to_owned()),
        ReplayFrom::Step { step, input: Some(_) } => Some(format!("with another input of step {step}")),
        ReplayFrom::Start { event: None } | ReplayFrom::Step { input: None, .. } | ReplayFrom::Behind { .. } => None,
    }
}

/// The entries before the run first came to a step outside of loops.
fn before(entries: &[Entry], step: &StepId) -> Option<Vec<Entry>> {
    let is_first =
        |entry: &Entry| flow::subject(entry).is_some_and(|spot| spot.step == *step && spot.iteration.is_empty());
    let at = entries.iter().position(is_first)?;
    (at > 0).then(|| entries[..at].to_vec())
}

/// What is kept must mean something to the version, and leave nothing under way.
fn check_kept(flow: &Published, entries: &[Entry]) -> Result<(), EngineError> {
    let plan = flow.plan();
    let steps = entries.iter().filter_map(flow::subject).map(|spot| spot.step);
    if let Some(gone) = steps.into_iter().find(|step| plan.find(step).is_none()) {
        return Err(EngineError::Conflict(
            Problem::new("unknown-step", format!("version {} of the flow has no step {gone}", flow.record.version))
                .cause("the steps before the one named are kept, and the version does not know them")
                .fix("replay from the start, or with the run's own version"),
        ));
    }
    let state = flow::State::replay(entries);
    if flow::pending(plan, &state) == [flow::Effect::Continue] {
        return Ok(());
    }
    Err(EngineError::Conflict(
        Problem::new("within-loop", "the step lies within a loop, or beside calls that were under way")
            .fix("replay from the loop's own step, or from the start"),
    ))
}

fn refuse_fields(place: &str, fields: &[model::FieldProblem]) -> Result<(), EngineError> {
    if fields.is_empty() {
        return Ok(());
    }
    let problem = |field: &model::FieldProblem| {
        Problem::new("edited", field.to_string()).field(format!("{place}{}", field.path.replace('/', ".")))
    };
    Err(EngineError::Invalid(fields.iter().map(problem).collect()))
}

fn not_begun(run: &RunId) -> Problem {
    Problem::new("not-begun", format!("run {run} never came to a step")).fix("replay it from the start")
}

fn no_such_call(run: &RunId) -> Problem {
    Problem::new("no-such-call", format!("run {run} did not give up at a call outside of loops"))
        .fix(format!("replay it from the start: sluice dead replay {run}"))
}

fn not_reached(run: &RunId, step: &StepId) -> EngineError {
    EngineError::invalid(
        Problem::new("not-reached", format!("run {run} never came to a step {step} outside of loops"))
            .fix(format!("name one of its steps: sluice run show {run}")),
    )
}
