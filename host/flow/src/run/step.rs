//! The machine: goes on from an event to the next call, or to the end.

use std::sync::Arc;

use model::{Failure, Problem, StepId};
use serde_json::Value;

use super::entry::{Branch, Ending, Entry, RunFacts};
use super::event::{Call, Effect, Event, Transition, idempotency_key};
use super::retry::{Verdict, decide};
use super::state::{Attempt, Place, State};
use crate::plan::{Action, OnError, Outcome, Plan, Step, Work};
use crate::template::{Fault, Known, Scope, Template, is_true};

/// What follows from an event: deterministic, without clock or randomness. The
/// engine makes the entries durable, applies them, then performs the effects.
pub fn step(plan: &Plan, state: &State, event: Event) -> Transition {
    let mut walk = Walk { plan, state: state.clone(), transition: Transition::default() };
    match event {
        Event::Started { trigger, run } => walk.start(trigger, run),
        Event::Continue => {}
        Event::CallSucceeded { step, output } => walk.succeed(&step, output),
        Event::CallFailed { step, failure, sent } => walk.fail_call(&step, failure, sent),
        Event::RetryDue { step } => walk.resume(&step),
        Event::Interrupted { step } => walk.interrupt(&step),
        Event::Cancelled { reason } => walk.cancel(reason),
    }
    walk.advance();
    walk.transition
}

/// What is to be done next, from the entries alone: after recovery, or for a
/// second look. Evaluates nothing.
pub fn pending(plan: &Plan, state: &State) -> Vec<Effect> {
    match &state.place {
        Place::New => Vec::new(),
        Place::Start | Place::Behind(_) | Place::In(..) | Place::Broken(..) => vec![Effect::Continue],
        Place::Calling(attempt) => match find_action(plan, &attempt.step) {
            Some(action) => vec![Effect::Call(Box::new(to_call(action, attempt)))],
            None => vec![Effect::Continue],
        },
        Place::Waiting(attempt, after) => {
            vec![Effect::Retry { step: attempt.step.clone(), attempt: attempt.attempt, after: *after }]
        }
        Place::Finished(ending) => vec![Effect::Finish(ending.clone())],
    }
}

fn find_action<'a>(plan: &'a Plan, step: &StepId) -> Option<&'a Action> {
    match &plan.find(step)?.work {
        Work::Action(action) => Some(action),
        Work::If { .. } | Work::Transform { .. } | Work::Stop { .. } => None,
    }
}

fn to_call(action: &Action, attempt: &Attempt) -> Call {
    Call {
        step: attempt.step.clone(),
        uses: action.uses.clone(),
        connection: action.connection.clone(),
        input: Arc::clone(&attempt.input),
        key: attempt.key.clone(),
        attempt: attempt.attempt,
        timeout_ms: action.timeout_ms,
        effect: action.effect,
        idempotency: action.idempotency.clone(),
    }
}

struct Walk<'a> {
    plan: &'a Plan,
    state: State,
    transition: Transition,
}

impl<'a> Walk<'a> {
    fn record(&mut self, entry: Entry) {
        self.state.apply(&entry);
        self.transition.entries.push(entry);
    }

    fn start(&mut self, trigger: Arc<Value>, run: RunFacts) {
        if self.state.place == Place::New {
            self.record(Entry::Started { trigger, run });
        }
    }

    fn succeed(&mut self, step: &StepId, output: Arc<Value>) {
        if self.calling(step).is_some() {
            self.record(Entry::Succeeded { step: step.clone(), output });
        }
    }

    fn fail_call(&mut self, step: &StepId, failure: Failure, sent: bool) {
        let Some(attempt) = self.calling(step).map(|under_way| under_way.attempt) else { return };
        let Some(action) = find_action(self.plan, step) else { return };
        match decide(action, attempt, &failure, sent) {
            Verdict::Again(after) => {
                self.record(Entry::Attempted { step: step.clone(), attempt, failure, after });
                self.transition.effects.extend(pending(self.plan, &self.state));
            }
            Verdict::GiveUp(failure) => self.fail(step, failure, action.on_error),
        }
    }

    fn resume(&mut self, step: &StepId) {
        let Place::Waiting(attempt, _) = &self.state.place else { return };
        if attempt.step == *step {
            let attempt = attempt.attempt;
            self.record(Entry::Resumed { step: step.clone(), attempt });
            self.transition.effects.extend(pending(self.plan, &self.state));
        }
    }

    fn interrupt(&mut self, step: &StepId) {
        let Some(action) = self.calling(step).and_then(|_| find_action(self.plan, step)) else { return };
        let message = format!("the host stopped during the call of {}, which must not be repeated", action.uses);
        self.fail(step, Failure::MayHaveHappened { message }, action.on_error);
    }

    fn cancel(&mut self, reason: String) {
        if !matches!(self.state.place, Place::New | Place::Finished(_)) {
            let step = self.state.current().cloned();
            self.finish(Ending { step, reason: Some(reason), ..ending(Outcome::Cancelled) });
        }
    }

    fn calling(&self, step: &StepId) -> Option<&Attempt> {
        match &self.state.place {
            Place::Calling(attempt) if attempt.step == *step => Some(attempt),
            Place::Calling(_)
            | Place::New
            | Place::Start
            | Place::Behind(_)
            | Place::In(..)
            | Place::Waiting(..)
            | Place::Broken(..)
            | Place::Finished(_) => None,
        }
    }

    /// A failure that leaves open what happened is never gone past.
    fn fail(&mut self, step: &StepId, failure: Failure, on_error: OnError) {
        let unclear = matches!(failure, Failure::MayHaveHappened { .. });
        let continued = on_error == OnError::Continue && !unclear;
        self.record(Entry::Failed { step: step.clone(), failure, continued });
    }

    fn finish(&mut self, ending: Ending) {
        self.record(Entry::Finished(ending.clone()));
        self.transition.effects.push(Effect::Finish(ending));
    }

    /// Goes on to the next call, wait or end. Ends because every step leads forward.
    fn advance(&mut self) {
        loop {
            let next = match &self.state.place {
                Place::New | Place::Waiting(..) | Place::Finished(_) => return,
                Place::Calling(attempt) => match self.find(&attempt.step) {
                    Ok(_) => return,
                    Err(failure) => Err(failure),
                },
                Place::Start => Ok(self.plan.first),
                Place::Behind(step) => self.find(step).map(|found| found.next),
                Place::In(step, taken) => self.find(step).map(|found| enter(found, *taken)),
                Place::Broken(step, failure) => {
                    let (step, failure) = (Some(step.clone()), Some(failure.clone()));
                    return self.finish(Ending { step, failure, ..ending(Outcome::Failed) });
                }
            };
            match next {
                Ok(Some(index)) => self.perform(&self.plan.steps[index]),
                Ok(None) => return self.end(),
                Err(failure) => return self.finish(Ending { failure: Some(failure), ..ending(Outcome::Failed) }),
            }
        }
    }

    fn find(&self, step: &StepId) -> Result<&'a Step, Failure> {
        self.plan.find(step).ok_or_else(|| Failure::Unavailable {
            problem: Problem::new("unknown-step", format!("the flow's plan has no step {step}"))
                .cause("the run was made by another version of the flow"),
        })
    }

    fn perform(&mut self, step: &'a Step) {
        match self.holds(step) {
            Ok(true) => self.work(step),
            Ok(false) => self.record(Entry::Skipped { step: step.id.clone() }),
            Err(failure) => self.fail(&step.id, failure, on_error(step)),
        }
    }

    fn holds(&self, step: &Step) -> Result<bool, Failure> {
        let Some(when) = &step.when else { return Ok(true) };
        self.eval(when, || format!("steps.{}.when", step.id)).map(|value| is_true(&value))
    }

    fn work(&mut self, step: &'a Step) {
        let done = match &step.work {
            Work::Action(action) => self.call(step, action),
            Work::If { condition, .. } => self.branch(step, condition),
            Work::Transform { value, .. } => self.transform(step, value),
            Work::Stop { outcome, reason, output } => self.stop(step, *outcome, reason.as_ref(), output.as_ref()),
        };
        if let Err(failure) = done {
            self.fail(&step.id, failure, on_error(step));
        }
    }

    fn call(&mut self, step: &Step, action: &Action) -> Result<(), Failure> {
        let input = Arc::new(self.eval(&action.input, || format!("steps.{}.input", step.id))?);
        let Some(run) = &self.state.run else { return Ok(()) };
        let key = idempotency_key(&run.id, &step.id);
        self.record(Entry::Intended { step: step.id.clone(), input, key });
        self.transition.effects.extend(pending(self.plan, &self.state));
        Ok(())
    }

    fn branch(&mut self, step: &Step, condition: &Template) -> Result<(), Failure> {
        let value = self.eval(condition, || format!("steps.{}.if", step.id))?;
        let taken = if is_true(&value) { Branch::Then } else { Branch::Else };
        self.record(Entry::Branched { step: step.id.clone(), taken });
        Ok(())
    }

    fn transform(&mut self, step: &Step, value: &Template) -> Result<(), Failure> {
        let output = Arc::new(self.eval(value, || format!("steps.{}.transform", step.id))?);
        self.record(Entry::Evaluated { step: step.id.clone(), output });
        Ok(())
    }

    fn stop(
        &mut self,
        step: &Step,
        outcome: Outcome,
        reason: Option<&Template>,
        output: Option<&Template>,
    ) -> Result<(), Failure> {
        let reason = reason.map(|reason| self.eval(reason, || format!("steps.{}.stop.reason", step.id))).transpose()?;
        let output = output.map(|output| self.eval(output, || format!("steps.{}.stop.output", step.id))).transpose()?;
        let reason = reason.map(|reason| reason.as_str().map_or_else(|| reason.to_string(), str::to_owned));
        let step = Some(step.id.clone());
        self.finish(Ending { step, reason, output: Arc::new(output.unwrap_or_default()), ..ending(outcome) });
        Ok(())
    }

    /// Behind the last step.
    fn end(&mut self) {
        let output = self.plan.output.as_ref().map(|output| self.eval(output, || "output".to_owned())).transpose();
        self.finish(match output {
            Ok(output) => Ending { output: Arc::new(output.unwrap_or_default()), ..ending(Outcome::Succeeded) },
            Err(failure) => Ending { failure: Some(failure), ..ending(Outcome::Failed) },
        });
    }

    fn eval(&self, template: &Template, field: impl FnOnce() -> String) -> Result<Value, Failure> {
        let (Some(trigger), Some(run)) = (&self.state.trigger, &self.state.run) else {
            return Err(Failure::Expression { field: field(), message: "the run has not begun".to_owned() });
        };
        let scope = scope(self.plan, trigger, &self.state, run);
        template.eval(&scope).map_err(|Fault { field: below, message }| Failure::Expression {
            field: format!("{}{below}", field()),
            message,
        })
    }
}

fn scope<'s>(plan: &'s Plan, trigger: &'s Known, state: &'s State, run: &'s RunFacts) -> Scope<'s> {
    Scope { plan, trigger, outputs: &state.outputs, run }
}

fn ending(outcome: Outcome) -> Ending {
    Ending { outcome, output: Arc::default(), failure: None, step: None, reason: None }
}

/// The first step of a branch; an empty branch leads behind the `if`.
fn enter(step: &Step, taken: Branch) -> Option<usize> {
    match (&step.work, taken) {
        (Work::If { then, .. }, Branch::Then) => then.or(step.next),
        (Work::If { otherwise, .. }, Branch::Else) => otherwise.or(step.next),
        (Work::Action(_) | Work::Transform { .. } | Work::Stop { .. }, _) => step.next,
    }
}

fn on_error(step: &Step) -> OnError {
    match &step.work {
        Work::Action(action) => action.on_error,
        Work::Transform { on_error, .. } => *on_error,
        Work::If { .. } | Work::Stop { .. } => OnError::Fail,
    }
}
