//! What runs wait for besides calls: times, events, people and other runs.
//!
//! Owns the rows by which whoever has the answer finds the run. They are written in
//! the batch in which the run begins to wait, and go in the one in which it stops.

use flow::{Answer, Pause, Spot, Trigger};
use model::{Environment, Failure, FlowId, Problem, RunId, StepId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{Batch, CommitError, Order};

use crate::accept::check_event;
use crate::catalogue::Known;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::inbox::Message;
use crate::records::{CHILDREN, Child, DECISIONS, Decision, Origin, RunStatus, Timer, WAITS, WaitRecord};
use crate::run::Run;

/// Runs that one signal reaches. More wait for the same thing only by mistake.
const SIGNALLED_MAX: usize = 1_000;
/// Runs that call one another: deeper ones are a loop.
const CALLS_DEPTH_MAX: u32 = 10;

/// What beginning to wait leads to.
#[derive(Default)]
pub(crate) struct Paused {
    /// When time is up.
    pub(crate) timer: Option<Timer>,
    /// A run that was begun, and is to be queued after the commit.
    pub(crate) child: Option<Run>,
    /// The answer is in the inbox already.
    pub(crate) answered: bool,
}

impl Engine {
    /// Writes what it takes to be found by the answer.
    pub(crate) fn put_pause(
        &self,
        run: &Run,
        batch: &mut Batch,
        spot: Spot,
        pause: Pause,
    ) -> Result<Paused, EngineError> {
        let now_ms = self.now_ms();
        let timer = due_at(&pause, now_ms).map(|at_ms| Timer { spot: spot.clone(), at_ms });
        let mut paused = Paused { timer, ..Paused::default() };
        match pause {
            Pause::For { .. } | Pause::Until { .. } => {}
            Pause::Signal { name, key, .. } => {
                let key = wait_key(run, &name, &key, &spot);
                WAITS.put(batch, &key.each_ref().map(Vec::as_slice), &WaitRecord { spot })?;
            }
            Pause::Approval { role, title, message, outcomes, .. } => {
                let decision = Decision {
                    id: format!("{}:{}", run.id(), spot_key(&spot)),
                    run: run.id().clone(),
                    flow: run.record.flow.clone(),
                    environment: run.record.environment.clone(),
                    role,
                    title,
                    message,
                    outcomes,
                    asked_at_ms: now_ms,
                    due_at_ms: paused.timer.as_ref().map(|timer| timer.at_ms),
                    decided: None,
                    closed_at_ms: None,
                    spot: spot.clone(),
                };
                DECISIONS.put(batch, &[run.id().as_str().as_bytes(), spot_key(&spot).as_bytes()], &decision)?;
            }
            Pause::Child { flow, input, attempt, .. } => match self.new_child(run, &spot, &flow, &input, attempt) {
                Ok(mut child) => {
                    child.put_accepted(batch)?;
                    self.put_started(&mut child, batch, input)?;
                    if let Some(problem) = self.would_wait_for_itself(run, &child)? {
                        child.open.place = None;
                        child.put_dead(batch, now_ms, None, Failure::Unavailable { problem })?;
                    }
                    let record = Child { spot: spot.clone(), run: child.id().clone(), attempt };
                    let place = child_key(&spot, attempt);
                    CHILDREN.put(batch, &[run.id().as_str().as_bytes(), place.as_bytes()], &record)?;
                    if child.record.status.is_final() {
                        let failure = broke(&child, "it could not be given its place in line");
                        let answer = Answer::Broke { failure, passing: false };
                        self.put_answer(batch, run.id(), spot, answer)?;
                        paused.answered = true;
                    }
                    paused.child = Some(child);
                }
                Err(problem) => {
                    let answer = Answer::Broke { failure: Failure::Unavailable { problem }, passing: false };
                    self.put_answer(batch, run.id(), spot, answer)?;
                    paused.answered = true;
                }
            },
        }
        Ok(paused)
    }

    /// Nobody waits for the answer any more. Returns a run that is to be woken.
    pub(crate) fn put_release(
        &self,
        run: &Run,
        batch: &mut Batch,
        spot: &Spot,
        pause: &Pause,
    ) -> Result<Option<RunId>, EngineError> {
        let place = spot_key(spot);
        let parts: [&[u8]; 2] = [run.id().as_str().as_bytes(), place.as_bytes()];
        match pause {
            Pause::For { .. } | Pause::Until { .. } => Ok(None),
            Pause::Signal { name, key, .. } => {
                let key = wait_key(run, name, key, spot);
                WAITS.delete(batch, &key.each_ref().map(Vec::as_slice));
                Ok(None)
            }
            Pause::Approval { .. } => {
                if let Some(mut decision) = DECISIONS.get(&*self.0.store, &parts)? {
                    decision.closed_at_ms = Some(self.now_ms());
                    DECISIONS.put(batch, &parts, &decision)?;
                }
                Ok(None)
            }
            Pause::Child { attempt, .. } => {
                let parts = [parts[0], &child_key(spot, *attempt).into_bytes()];
                let Some(child) = CHILDREN.get(&*self.0.store, &parts)? else { return Ok(None) };
                let by = format!("run {}", run.id());
                let reason = "the run that called it does not wait any more".to_owned();
                self.put_message(batch, &child.run, &Message::Cancel { by, reason })?;
                Ok(Some(child.run))
            }
        }
    }

    /// Tells every run of the environment that waits for this event; returns them.
    ///
    /// # Errors
    /// When the event names nothing, or the store refuses.
    pub async fn signal(
        &self,
        environment: &Environment,
        name: &str,
        key: &str,
        payload: Value,
    ) -> Result<Vec<RunId>, EngineError> {
        self.check_open()?;
        let payload = std::sync::Arc::new(payload);
        let prefix: [&[u8]; 3] = [environment.as_str().as_bytes(), name.as_bytes(), &hash(key)];
        let mut reached = Vec::new();
        let rows = WAITS.list(&*self.0.store, &prefix, None, SIGNALLED_MAX, Order::Ascending)?;
        for (row, wait) in rows {
            let run = WAITS.parts(&row).and_then(|parts| String::from_utf8(parts.into_iter().nth(3)?).ok());
            let Some(run) = run.and_then(|run| run.parse::<RunId>().ok()) else { continue };
            let mut batch = Batch::new();
            batch.expect_present(&row);
            batch.delete(&row);
            let answer = Answer::Signalled { payload: payload.clone() };
            self.put_message(&mut batch, &run, &Message::Answer { spot: wait.spot, answer })?;
            match self.0.store.commit(batch).await {
                Ok(_) => {}
                // Another event was first, or the time was up.
                Err(CommitError::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            self.wake(&run).await;
            reached.push(run);
        }
        Ok(reached)
    }

    /// The run that a step begins; a problem when it cannot begin.
    fn new_child(&self, parent: &Run, spot: &Spot, flow: &FlowId, input: &Value, attempt: u32) -> Result<Run, Problem> {
        let (depth, inherited) = match &parent.record.origin {
            Origin::Flow { depth, repeatable, .. } => (depth + 1, *repeatable),
            Origin::Webhook { .. }
            | Origin::Poll { .. }
            | Origin::Schedule { .. }
            | Origin::Manual { .. }
            | Origin::Replay { .. } => (1, false),
        };
        let retry = retry_of(parent, &spot.step);
        let (repeatable, again) = (inherited || retry.is_some(), retry.is_some_and(|retry| attempt < retry.attempts));
        if depth > CALLS_DEPTH_MAX {
            let what = format!("flows call one another more than {CALLS_DEPTH_MAX} deep");
            return Err(Problem::new("too-deep", what).fix(format!("end the chain of calls before flow {flow}")));
        }
        let first = |error: EngineError| error.problems().swap_remove(0);
        let published = self.published(&parent.record.environment, flow).map_err(first)?;
        if let Some(problem) = self.why_not_called(&parent.record.environment, flow) {
            return Err(problem);
        }
        if !matches!(published.plan().trigger(), Trigger::Call { .. }) {
            let problem = Problem::new("not-callable", format!("flow {flow} is not started by calls any more"));
            return Err(problem.fix("give it the trigger call: {} again"));
        }
        if repeatable {
            self.check_repeatable(&parent.record.environment, flow, &spot.step)?;
            let checked = self.published(&parent.record.environment, flow).map_err(first)?;
            if !std::sync::Arc::ptr_eq(&published, &checked) {
                // Published anew meanwhile: which of them was checked is not known.
                return self.new_child(parent, spot, flow, input, attempt);
            }
        }
        check_event(&published, input).map_err(first)?;
        let Spot { step, iteration } = spot.clone();
        let parent = parent.id().clone();
        let origin = Origin::Flow { parent, step, iteration, depth, repeatable, again };
        Ok(self.new_run(&published, origin, RunStatus::Running))
    }

    /// The flow may have another version since the step that calls it was checked: one
    /// that could do something twice is not begun where another run may follow.
    fn check_repeatable(&self, environment: &Environment, flow: &FlowId, step: &StepId) -> Result<(), Problem> {
        let known = Known { catalogue: &self.0.catalogue, flows: &self.0.flows, environment };
        let Some(why) = flow::why_once(flow, &known) else { return Ok(()) };
        let what = format!("step {step} may be tried again, and flow {flow} must not be run twice: {why}");
        Err(Problem::new("not-repeatable", what)
            .cause(format!("flow {flow} was published anew since the flow that calls it"))
            .fix(format!("remove retry from the step that calls it, or take that step out of flow {flow}")))
    }

    /// Tells the run that began this one how it ended. Returns it, to be woken.
    pub(crate) fn put_return(
        &self,
        run: &Run,
        batch: &mut Batch,
        failure: Option<&Failure>,
        output: &std::sync::Arc<Value>,
    ) -> Result<Option<RunId>, EngineError> {
        let Origin::Flow { parent, step, iteration, .. } = &run.record.origin else { return Ok(None) };
        let answer = match failure {
            None => returned(run, output),
            Some(failure @ Failure::MayHaveHappened { .. }) => {
                Answer::Broke { failure: failure.clone(), passing: false }
            }
            Some(failure) => {
                Answer::Broke { failure: broke(run, &failure.to_problem().what), passing: failure.may_pass() }
            }
        };
        let spot = Spot { step: step.clone(), iteration: iteration.clone() };
        self.put_message(batch, parent, &Message::Answer { spot, answer })?;
        Ok(Some(parent.clone()))
    }

    /// The runs that the steps of this one began.
    pub(crate) fn children(&self, run: &RunId) -> Result<Vec<Child>, EngineError> {
        let parts: [&[u8]; 1] = [run.as_str().as_bytes()];
        let (mut children, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = CHILDREN.list(&*self.0.store, &parts, after.as_deref(), crate::flows::PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.to_vec());
            children.extend(page.into_iter().map(|(_, child)| child));
        }
        for (key, value) in self.past_rows(run, &CHILDREN.key(&parts))? {
            children.push(CHILDREN.parse(&key, &value)?);
        }
        children.sort_by(|a, b| (&a.spot, a.attempt).cmp(&(&b.spot, b.attempt)));
        Ok(children)
    }
}

/// The output as the trigger declares it: only the fields it names.
fn returned(run: &Run, output: &std::sync::Arc<Value>) -> Answer {
    let Trigger::Call { output: Some(schema), .. } = run.flow.plan().trigger() else {
        return Answer::Returned { output: output.clone() };
    };
    let declared = schema.get("properties").and_then(Value::as_object);
    let mut kept = Value::clone(output);
    if let (Some(declared), Some(fields)) = (declared, kept.as_object_mut()) {
        fields.retain(|name, _| declared.contains_key(name));
    }
    // The flow's check has compiled it already.
    let problems = model::Schema::compile(schema).map(|schema| schema.check(&kept)).unwrap_or_default();
    match problems.first() {
        None => Answer::Returned { output: kept.into() },
        Some(problem) => {
            Answer::Broke { failure: broke(run, &format!("its output breaks its promise: {problem}")), passing: false }
        }
    }
}

fn broke(run: &Run, what: &str) -> Failure {
    let (id, flow) = (run.id(), &run.record.flow);
    let problem = Problem::new("sub-flow-failed", format!("the run of flow {flow} did not succeed: {what}"))
        .fix(format!("look at it: sluice run show {id}"));
    Failure::Unavailable { problem }
}

fn due_at(pause: &Pause, now_ms: u64) -> Option<u64> {
    match pause {
        Pause::For { ms } => Some(now_ms.saturating_add(*ms)),
        Pause::Until { at_ms } => Some(*at_ms),
        Pause::Signal { timeout_ms, .. } => Some(now_ms.saturating_add(*timeout_ms)),
        Pause::Approval { timeout_ms, .. } | Pause::Child { timeout_ms, .. } => {
            timeout_ms.map(|timeout_ms| now_ms.saturating_add(timeout_ms))
        }
    }
}

/// A step's place as keys and names write it; ids of steps have no colon.
pub(crate) fn spot_key(spot: &Spot) -> String {
    let indexes = spot.iteration.indexes().iter().map(|index| format!(":{index}"));
    format!("{}{}", spot.step, indexes.collect::<String>())
}

/// Where the run is kept that a step began; its first one as runs without retry always
/// kept theirs.
fn child_key(spot: &Spot, attempt: u32) -> String {
    let place = spot_key(spot);
    if attempt == 1 { place } else { format!("{place}#{attempt}") }
}

/// How often a step runs the flow that it calls.
fn retry_of(run: &Run, step: &StepId) -> Option<flow::Retry> {
    run.flow.plan().find(step)?.work.as_call()?.retry
}

fn hash(key: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(key)[..16]);
    short
}

fn wait_key(run: &Run, name: &str, key: &str, spot: &Spot) -> [Vec<u8>; 5] {
    [
        run.record.environment.as_str().as_bytes().to_vec(),
        name.as_bytes().to_vec(),
        hash(key).to_vec(),
        run.id().as_str().as_bytes().to_vec(),
        spot_key(spot).into_bytes(),
    ]
}
