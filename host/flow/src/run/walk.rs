//! The way from where the entries end to the next effects, or to the end.
//!
//! Evaluates expressions; everything else is decided from places alone.

use std::sync::Arc;

use model::{Failure, Problem, StepId};
use serde_json::Value;

use super::entry::{Branch, Ending, Entry};
use super::event::{Effect, Transition, idempotency_key};
use super::iteration::{Iteration, Spot};
use super::state::{Place, State};
use crate::plan::{Action, Case, Foreach, OnError, Outcome, Plan, Step, Work};
use crate::template::{Budget, Fault, Scope, Template, charge, is_true};

/// Entries of one transition, which is made at once and kept at once. 100,000: ten for
/// each item of the longest loop.
const ENTRIES_MAX: usize = 100_000;
/// Bytes of the values in them: what the store takes in one batch.
const BYTES_MAX: usize = 16 << 20;

/// A run on its way, and what was decided so far.
pub(super) struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) state: State,
    pub(super) transition: Transition,
    left: Budget,
    /// The transition is larger than one may be.
    is_too_large: bool,
}

/// The next thing that can be done without the outside.
enum Move<'a> {
    /// Perform a step.
    Perform(&'a Step),
    /// The run's last step, or the last of a loop's body, is behind.
    End,
    /// All items of a loop are done.
    EndLoop(&'a Step),
    /// A step has failed for good.
    Break(Spot, Failure),
}

impl<'a> Walk<'a> {
    pub(super) fn new(plan: &'a Plan, state: State) -> Self {
        Self { plan, state, transition: Transition::default(), left: Budget::of(BYTES_MAX), is_too_large: false }
    }

    pub(super) fn into_transition(self) -> Transition {
        self.transition
    }

    pub(super) fn record(&mut self, entry: Entry) {
        self.state.apply(&entry);
        let fits = made(&entry).is_none_or(|value| charge(value, &mut self.left).is_ok());
        self.transition.entries.push(entry);
        self.is_too_large |= !fits || self.transition.entries.len() >= ENTRIES_MAX;
    }

    /// A failure that leaves open what happened is never gone past.
    pub(super) fn fail(&mut self, spot: Spot, failure: Failure, on_error: OnError) {
        self.fail_inside(spot, failure, on_error, None);
    }

    fn fail_inside(&mut self, spot: Spot, failure: Failure, on_error: OnError, at: Option<Spot>) {
        let goes_on = match on_error {
            OnError::Fail => false,
            OnError::Continue | OnError::Branch(_) => true,
        };
        let continued = goes_on && !is_unclear(&failure) && !self.state.is_cancelling();
        let branch = continued && matches!(on_error, OnError::Branch(Some(_)));
        self.record(Entry::Failed { step: spot.step, iteration: spot.iteration, failure, continued, at, branch });
    }

    pub(super) fn finish(&mut self, ending: Ending) {
        // A run that has failed ends as it failed, however its steps for that went; only
        // what may have happened in them counts more, since a person has to look.
        let is_news = ending.failure.as_ref().is_some_and(is_unclear);
        let ending = match &self.state.failing {
            Some(failing) if !is_news => failing.ending.clone(),
            Some(_) | None => ending,
        };
        self.transition.effects.retain(|effect| matches!(effect, Effect::Release { .. }));
        self.release_all();
        self.record(Entry::Finished(ending.clone()));
        self.transition.effects.push(Effect::Finish(ending));
    }

    /// The run fails: now, or after the steps it has for that.
    fn fail_run(&mut self, ending: Ending) {
        if self.plan.on_error.is_none() || self.state.failing.is_some() {
            return self.finish(ending);
        }
        self.release_all();
        self.record(Entry::Failing(ending));
    }

    /// Whether something can be done without the outside.
    pub(super) fn can_move(&self) -> bool {
        self.state.cancelling.is_some() && !self.is_calling() || self.next_move().is_some()
    }

    /// Goes on to the next calls, waits or the end. Ends because every step leads
    /// forward and every loop has a last item; and soon, because it does not go on for
    /// longer than what can be kept at once.
    pub(super) fn advance(&mut self) {
        while self.state.is_under_way() {
            if self.is_too_large {
                // What calls under way may have done is never forgotten.
                if !self.is_calling() {
                    self.finish(Ending { failure: Some(too_large()), ..ending(Outcome::Failed) });
                }
                return;
            }
            if let Some(reason) = &self.state.cancelling {
                let reason = reason.clone();
                if !self.is_calling() {
                    self.end_cancelled(reason);
                }
                return;
            }
            let Some((iteration, found)) = self.next_move() else { return };
            match found {
                Ok(Move::Perform(step)) => self.perform(&iteration, step),
                Ok(Move::End) => self.end(&iteration),
                Ok(Move::EndLoop(step)) => self.end_loop(&iteration, step),
                Ok(Move::Break(spot, failure)) => self.break_off(&iteration, spot, failure),
                Err(failure) => self.fail_run(Ending { failure: Some(failure), ..ending(Outcome::Failed) }),
            }
        }
    }

    fn is_calling(&self) -> bool {
        self.state.threads.values().any(|thread| matches!(thread.place, Place::Calling(_)))
    }

    fn next_move(&self) -> Option<(Iteration, Result<Move<'a>, Failure>)> {
        self.state.threads.iter().find_map(|(iteration, thread)| {
            let found = self.move_from(iteration, &thread.place).transpose()?;
            Some((iteration.clone(), found))
        })
    }

    fn move_from(&self, iteration: &Iteration, place: &Place) -> Result<Option<Move<'a>>, Failure> {
        let next = match place {
            Place::Calling(attempt) => return self.find(&attempt.step).map(|_| None),
            Place::Waiting(..) | Place::Paused(..) | Place::Between(..) => return Ok(None),
            Place::Looping(step, around) if around.is_over() => return self.find(step).map(Move::EndLoop).map(Some),
            Place::Looping(..) => return Ok(None),
            Place::Broken(spot, failure) => return Ok(Some(Move::Break(spot.clone(), failure.clone()))),
            Place::Start => self.first(iteration)?,
            Place::Behind(step) => self.find(step)?.next,
            Place::In(step, taken) => enter(self.find(step)?, *taken),
        };
        Ok(Some(next.map_or(Move::End, |index| Move::Perform(&self.plan.steps[index]))))
    }

    /// The first step of the run, or of the body of the loop around.
    fn first(&self, iteration: &Iteration) -> Result<Option<usize>, Failure> {
        match iteration.outer() {
            None if self.state.failing.is_some() => Ok(self.plan.on_error),
            None => Ok(self.plan.first),
            Some(outer) => self.around(&outer).map(|(_, foreach)| foreach.body),
        }
    }

    /// The loop that is under way here.
    fn around(&self, iteration: &Iteration) -> Result<(&'a Step, &'a Foreach), Failure> {
        let Some(Place::Looping(step, _)) = self.state.place(iteration) else {
            return Err(unknown_step("of this loop"));
        };
        let found = self.find(step)?;
        found.work.as_foreach().map(|foreach| (found, foreach)).ok_or_else(|| unknown_step(step.as_str()))
    }

    fn find(&self, step: &StepId) -> Result<&'a Step, Failure> {
        self.plan.find(step).ok_or_else(|| unknown_step(step.as_str()))
    }

    fn perform(&mut self, iteration: &Iteration, step: &'a Step) {
        let spot = Spot { step: step.id.clone(), iteration: iteration.clone() };
        let done = match self.holds(iteration, step) {
            Ok(true) => self.work(&spot, step),
            Ok(false) => {
                self.record(Entry::Skipped { step: step.id.clone(), iteration: iteration.clone() });
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = done {
            self.fail(spot, failure, step.work.on_error());
        }
    }

    fn holds(&self, iteration: &Iteration, step: &Step) -> Result<bool, Failure> {
        let Some(when) = &step.when else { return Ok(true) };
        self.eval(iteration, when, || format!("steps.{}.when", step.id)).map(|value| is_true(&value))
    }

    fn work(&mut self, spot: &Spot, step: &'a Step) -> Result<(), Failure> {
        match &step.work {
            Work::Action(action) => self.call(spot, action),
            Work::If { condition, .. } => self.branch(spot, condition),
            Work::Switch { value, cases, .. } => self.switch(spot, value, cases),
            Work::Foreach(foreach) => self.begin_loop(spot, foreach),
            Work::Call(call) => self.call_flow(spot, call),
            Work::Wait { until, .. } => self.wait(spot, until),
            Work::Approve(approve) => self.approve(spot, approve),
            Work::Transform { value, .. } => self.transform(spot, value),
            Work::Stop { outcome, reason, output } => self.stop(spot, *outcome, reason.as_ref(), output.as_ref()),
        }
    }

    fn call(&mut self, spot: &Spot, action: &Action) -> Result<(), Failure> {
        let Spot { step, iteration } = spot.clone();
        let given = iteration.is_empty().then(|| self.state.given.get(&step).cloned()).flatten();
        let input = match given {
            Some(given) => given,
            None => Arc::new(self.eval(&iteration, &action.input, || format!("steps.{step}.input"))?),
        };
        let Some(run) = &self.state.run else { return Ok(()) };
        let key = idempotency_key(&run.id, &step, &iteration);
        self.record(Entry::Intended { step, iteration, input, key });
        self.ask(&spot.iteration);
        Ok(())
    }

    fn branch(&mut self, spot: &Spot, condition: &Template) -> Result<(), Failure> {
        let Spot { step, iteration } = spot.clone();
        let value = self.eval(&iteration, condition, || format!("steps.{step}.if"))?;
        let taken = if is_true(&value) { Branch::Then } else { Branch::Else };
        self.record(Entry::Branched { step, iteration, taken });
        Ok(())
    }

    fn switch(&mut self, spot: &Spot, value: &Template, cases: &[Case]) -> Result<(), Failure> {
        let Spot { step, iteration } = spot.clone();
        let value = self.eval(&iteration, value, || format!("steps.{step}.switch"))?;
        let met = (0..).zip(cases).find(|(_, case)| case.is.iter().any(|wanted| same(wanted, &value)));
        let taken = met.map_or(Branch::Default, |(index, _)| Branch::Case(index));
        self.record(Entry::Branched { step, iteration, taken });
        Ok(())
    }

    fn begin_loop(&mut self, spot: &Spot, foreach: &Foreach) -> Result<(), Failure> {
        let Spot { step, iteration } = spot.clone();
        let scope = self.scope(&iteration).ok_or_else(|| not_begun(format!("steps.{step}.foreach")))?;
        let items = foreach
            .items
            .eval_items(&scope)
            .map_err(|Fault { message, .. }| Failure::Expression { field: format!("steps.{step}.foreach"), message })?;
        let items = match foreach.batch {
            None => items,
            Some(batch) => {
                let size = usize::try_from(batch).unwrap_or(usize::MAX).max(1);
                items.chunks(size).map(|batch| Value::Array(batch.to_vec())).collect()
            }
        };
        let items = Arc::new(Value::Array(items));
        self.record(Entry::LoopBegan { step, iteration, items, concurrency: foreach.concurrency });
        Ok(())
    }

    fn transform(&mut self, spot: &Spot, value: &Template) -> Result<(), Failure> {
        let Spot { step, iteration } = spot.clone();
        let output = Arc::new(self.eval(&iteration, value, || format!("steps.{step}.transform"))?);
        self.record(Entry::Evaluated { step, iteration, output });
        Ok(())
    }

    fn stop(
        &mut self,
        spot: &Spot,
        outcome: Outcome,
        reason: Option<&Template>,
        output: Option<&Template>,
    ) -> Result<(), Failure> {
        let Spot { step, iteration } = spot.clone();
        let eval = |template: Option<&Template>, name: &str| {
            template.map(|template| self.eval(&iteration, template, || format!("steps.{step}.stop.{name}"))).transpose()
        };
        let (reason, output) = (eval(reason, "reason")?, eval(output, "output")?);
        let reason = reason.map(|reason| reason.as_str().map_or_else(|| reason.to_string(), str::to_owned));
        let output = Arc::new(output.unwrap_or_default());
        self.finish(Ending { step: Some(step), iteration, reason, output, ..ending(outcome) });
        Ok(())
    }

    /// Behind the last step of the run, or of a loop's item.
    fn end(&mut self, iteration: &Iteration) {
        match iteration.outer() {
            None => self.end_run(),
            Some(outer) => self.end_item(iteration, &outer),
        }
    }

    fn end_run(&mut self) {
        if let Some(failing) = &self.state.failing {
            return self.finish(failing.ending.clone());
        }
        let outside = Iteration::default();
        let output =
            self.plan.output.as_ref().map(|output| self.eval(&outside, output, || "output".to_owned())).transpose();
        match output {
            Ok(output) => {
                self.finish(Ending { output: Arc::new(output.unwrap_or_default()), ..ending(Outcome::Succeeded) });
            }
            Err(failure) => self.fail_run(Ending { failure: Some(failure), ..ending(Outcome::Failed) }),
        }
    }

    fn end_item(&mut self, iteration: &Iteration, outer: &Iteration) {
        let (step, foreach) = match self.around(outer) {
            Ok(around) => around,
            Err(failure) => return self.fail_run(Ending { failure: Some(failure), ..ending(Outcome::Failed) }),
        };
        let output = match self.item_output(iteration, outer, step, foreach) {
            Ok(output) => Arc::new(output),
            Err(failure) => {
                let at = Spot { step: step.id.clone(), iteration: iteration.clone() };
                return self.fail_item(iteration, at, failure, step, foreach);
            }
        };
        self.record(Entry::ItemSucceeded { step: step.id.clone(), iteration: iteration.clone(), output });
    }

    fn item_output(
        &self,
        iteration: &Iteration,
        outer: &Iteration,
        step: &Step,
        foreach: &Foreach,
    ) -> Result<Value, Failure> {
        let field = || format!("steps.{}.output", step.id);
        let Some(output) = &foreach.output else { return Ok(Value::Null) };
        let output = self.eval(iteration, output, field)?;
        let fits = self.state.looping(outer).map_or(Ok(()), |around| around.takes(&output));
        fits.map(|()| output).map_err(|message| Failure::Expression {
            field: field(),
            message: format!("with the outputs of all items: {message}"),
        })
    }

    fn fail_item(&mut self, iteration: &Iteration, at: Spot, failure: Failure, step: &Step, foreach: &Foreach) {
        let continued = foreach.continues && !is_unclear(&failure);
        let (step, iteration) = (step.id.clone(), iteration.clone());
        self.record(Entry::ItemFailed { step, iteration, at, failure, continued });
    }

    fn end_loop(&mut self, iteration: &Iteration, step: &Step) {
        let broken = self.state.looping(iteration).and_then(|around| around.broken().cloned());
        let spot = Spot { step: step.id.clone(), iteration: iteration.clone() };
        match broken {
            None => self.record(Entry::LoopEnded { step: spot.step, iteration: spot.iteration }),
            Some(broken) => self.fail_inside(spot, broken.failure, step.work.on_error(), Some(broken.at)),
        }
    }

    /// A step's failure ends the item of the loop around it, or the run.
    fn break_off(&mut self, iteration: &Iteration, spot: Spot, failure: Failure) {
        let around = iteration.outer().map(|outer| self.around(&outer));
        match around {
            Some(Ok((step, foreach))) => self.fail_item(iteration, spot, failure, step, foreach),
            Some(Err(_)) | None => self.fail_run(Ending {
                step: Some(spot.step),
                iteration: spot.iteration,
                failure: Some(failure),
                ..ending(Outcome::Failed)
            }),
        }
    }

    pub(super) fn eval(
        &self,
        iteration: &Iteration,
        template: &Template,
        field: impl Fn() -> String,
    ) -> Result<Value, Failure> {
        let scope = self.scope(iteration).ok_or_else(|| not_begun(field()))?;
        template.eval(&scope).map_err(|Fault { field: below, message }| Failure::Expression {
            field: format!("{}{below}", field()),
            message,
        })
    }

    fn scope(&self, iteration: &Iteration) -> Option<Scope<'_>> {
        let thread = self.state.threads.get(iteration)?;
        Some(Scope {
            plan: self.plan,
            trigger: self.state.trigger.as_ref()?,
            outputs: &thread.outputs,
            run: self.state.run.as_ref()?,
            item: thread.item.as_ref().zip(iteration.index()),
            error: self.state.failing.as_ref().map(|failing| &failing.error),
        })
    }
}

fn not_begun(field: String) -> Failure {
    Failure::Expression { field, message: "the run has not begun".to_owned() }
}

fn unknown_step(step: &str) -> Failure {
    Failure::Unavailable {
        problem: Problem::new("unknown-step", format!("the flow's plan has no step {step}"))
            .cause("the run was made by another version of the flow"),
    }
}

/// The value that the run has made itself; what it was given is bounded where it comes in.
fn made(entry: &Entry) -> Option<&Value> {
    match entry {
        Entry::Evaluated { output: value, .. }
        | Entry::Intended { input: value, .. }
        | Entry::LoopBegan { items: value, .. }
        | Entry::ItemSucceeded { output: value, .. } => Some(value),
        _ => None,
    }
}

fn too_large() -> Failure {
    Failure::Unavailable {
        problem: Problem::new("too-large", "the run made more at once than can be kept")
            .cause(format!(
                "between two calls a run takes at most {ENTRIES_MAX} steps, and makes at most {} MiB",
                BYTES_MAX >> 20
            ))
            .fix("loop over fewer items or smaller values, or divide them among several runs with a call"),
    }
}

pub(super) fn is_unclear(failure: &Failure) -> bool {
    matches!(failure, Failure::MayHaveHappened { .. })
}

/// Whether a switch takes two values for the same: numbers by what they are worth.
fn same(wanted: &Value, found: &Value) -> bool {
    wanted == found || wanted.as_f64().zip(found.as_f64()).is_some_and(|(wanted, found)| wanted == found)
}

pub(super) fn ending(outcome: Outcome) -> Ending {
    Ending { outcome, output: Arc::default(), failure: None, step: None, iteration: Iteration::default(), reason: None }
}

/// The first step of a branch; an empty branch leads behind its step.
fn enter(step: &Step, taken: Branch) -> Option<usize> {
    let first = match (&step.work, taken) {
        (work, Branch::Error) => match work.on_error() {
            OnError::Branch(first) => first,
            OnError::Fail | OnError::Continue => None,
        },
        (Work::If { then, .. }, Branch::Then) => *then,
        (Work::If { otherwise, .. }, Branch::Else) | (Work::Switch { otherwise, .. }, Branch::Default) => *otherwise,
        (Work::Switch { cases, .. }, Branch::Case(index)) => {
            usize::try_from(index).ok().and_then(|index| cases.get(index)).and_then(|case| case.first)
        }
        (
            Work::Action(_)
            | Work::If { .. }
            | Work::Switch { .. }
            | Work::Foreach(_)
            | Work::Call(_)
            | Work::Wait { .. }
            | Work::Approve(_)
            | Work::Transform { .. }
            | Work::Stop { .. },
            _,
        ) => None,
    };
    first.or(step.next)
}
