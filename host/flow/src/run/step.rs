//! The machine's two questions: what follows from an event, and what is to be done.

use std::sync::Arc;

use model::{Failure, Remedy, StepId};
use serde_json::Value;

use super::entry::{Entry, RunFacts};
use super::event::{After, Call, Effect, Event, Transition};
use super::iteration::{Iteration, Spot};
use super::retry::{Verdict, decide};
use super::state::{Attempt, Place, State};
use super::walk::{Walk, ending, is_unclear};
use crate::plan::{Action, Outcome, Plan};

/// What follows from an event: deterministic, without clock or randomness. The
/// engine makes the entries durable, applies them, then performs the effects, at
/// once when there are several.
pub fn step(plan: &Plan, state: &State, event: Event) -> Transition {
    let mut walk = Walk::new(plan, state.clone());
    match event {
        Event::Started { trigger, run } => walk.start(trigger, run),
        Event::Continue => {}
        Event::CallSucceeded { step, iteration, output } => walk.succeed(step, iteration, output),
        Event::CallFailed { step, iteration, failure, sent } => walk.fail_call(step, iteration, failure, sent),
        Event::Refused { step, iteration, failure } => walk.refuse(step, iteration, failure),
        Event::Due { step, iteration } => walk.due(step, iteration),
        Event::Answered { step, iteration, answer } => walk.answer(step, iteration, answer),
        Event::Interrupted { step, iteration } => walk.interrupt(step, iteration),
        Event::Cancelled { reason } => walk.cancel(reason),
    }
    walk.advance();
    walk.into_transition()
}

/// What is to be done next, from the entries alone: after recovery, or for a
/// second look. Evaluates nothing. The answer to [`Effect::Continue`], which comes
/// first, adds to the others.
pub fn pending(plan: &Plan, state: &State) -> Vec<Effect> {
    if let Some(ending) = &state.ending {
        return vec![Effect::Finish(ending.clone())];
    }
    let mut effects: Vec<Effect> =
        state.threads.iter().filter_map(|(iteration, thread)| outstanding(plan, iteration, &thread.place)).collect();
    if state.is_under_way() && Walk::new(plan, state.clone()).can_move() {
        effects.insert(0, Effect::Continue);
    }
    effects
}

fn outstanding(plan: &Plan, iteration: &Iteration, place: &Place) -> Option<Effect> {
    match place {
        Place::Calling(attempt) => {
            find_action(plan, &attempt.step).map(|action| Effect::Call(Box::new(to_call(action, attempt, iteration))))
        }
        Place::Waiting(attempt, after) => Some(Effect::Retry {
            step: attempt.step.clone(),
            iteration: iteration.clone(),
            attempt: attempt.attempt,
            after: *after,
        }),
        Place::Between(step, pause, after) => Some(Effect::Retry {
            step: step.clone(),
            iteration: iteration.clone(),
            attempt: pause.attempt(),
            after: *after,
        }),
        Place::Paused(step, pause) => {
            Some(Effect::Pause { step: step.clone(), iteration: iteration.clone(), pause: pause.clone() })
        }
        Place::Start | Place::Behind(_) | Place::In(..) | Place::Looping(..) | Place::Broken(..) => None,
    }
}

fn find_action<'a>(plan: &'a Plan, step: &StepId) -> Option<&'a Action> {
    plan.find(step)?.work.as_action()
}

fn to_call(action: &Action, attempt: &Attempt, iteration: &Iteration) -> Call {
    Call {
        step: attempt.step.clone(),
        iteration: iteration.clone(),
        uses: action.uses.clone(),
        connection: action.connection.clone(),
        input: Arc::clone(&attempt.input),
        key: attempt.key.clone(),
        attempt: attempt.attempt,
        waits: attempt.waits,
        timeout_ms: action.timeout_ms,
        effect: action.effect,
        idempotency: action.idempotency.clone(),
    }
}

impl Walk<'_> {
    fn start(&mut self, trigger: Arc<Value>, run: RunFacts) {
        if self.state.run.is_none() {
            self.record(Entry::Started { trigger, run });
        }
    }

    fn succeed(&mut self, step: StepId, iteration: Iteration, output: Arc<Value>) {
        if self.calling(&step, &iteration).is_some() {
            self.record(Entry::Succeeded { step, iteration, output });
        }
    }

    fn fail_call(&mut self, step: StepId, iteration: Iteration, failure: Failure, sent: bool) {
        let Some(call) = self.calling(&step, &iteration) else { return };
        let Some(action) = find_action(self.plan, &step) else { return };
        match decide(action, call, &failure, sent) {
            Verdict::Again(after) => {
                // A person's answer to a refused credential is no try of the call's.
                let waited = match failure.remedy() {
                    Remedy::Reauthorise => true,
                    Remedy::Retry => false,
                    Remedy::Wait(_) | Remedy::GiveUp => !sent,
                };
                self.try_later(step, iteration, failure, after, waited);
            }
            Verdict::GiveUp(failure) => self.fail(Spot { step, iteration }, failure, action.on_error),
        }
    }

    fn refuse(&mut self, step: StepId, iteration: Iteration, failure: Failure) {
        if self.calling(&step, &iteration).is_some() {
            self.try_later(step, iteration, failure, After::Reauthorised, true);
        }
    }

    fn try_later(&mut self, step: StepId, iteration: Iteration, failure: Failure, after: After, waited: bool) {
        let Some(attempt) = self.calling(&step, &iteration).map(|call| call.attempt) else { return };
        let spot = iteration.clone();
        self.record(Entry::Attempted { step, iteration, attempt, failure, after, waited });
        self.ask(&spot);
    }

    fn due(&mut self, step: StepId, iteration: Iteration) {
        if !self.state.is_under_way() || self.state.is_cancelling() {
            return;
        }
        match self.state.place(&iteration) {
            Some(Place::Waiting(attempt, _)) if attempt.step == step => {
                let attempt = attempt.attempt;
                self.record(Entry::Resumed { step, iteration: iteration.clone(), attempt });
                self.ask(&iteration);
            }
            Some(Place::Between(called, pause, _)) if *called == step => {
                let pause = pause.clone();
                self.pause(&Spot { step, iteration }, pause);
            }
            Some(Place::Paused(paused, pause)) if *paused == step => {
                let pause = pause.clone();
                self.time_out(Spot { step, iteration }, pause);
            }
            Some(
                Place::Waiting(..)
                | Place::Paused(..)
                | Place::Between(..)
                | Place::Start
                | Place::Behind(_)
                | Place::In(..)
                | Place::Calling(_)
                | Place::Looping(..)
                | Place::Broken(..),
            )
            | None => {}
        }
    }

    fn interrupt(&mut self, step: StepId, iteration: Iteration) {
        let Some(action) = self.calling(&step, &iteration).and_then(|_| find_action(self.plan, &step)) else { return };
        let failure = if action.repeatable() {
            Failure::Stopped { reason: format!("the call of {} was not made again", action.uses) }
        } else {
            let message = format!("the host stopped during the call of {}, which must not be repeated", action.uses);
            Failure::MayHaveHappened { message }
        };
        self.fail(Spot { step, iteration }, failure, action.on_error);
    }

    /// Ends at once, or as soon as the calls under way have answered.
    fn cancel(&mut self, reason: String) {
        if self.state.is_under_way() && !self.state.is_cancelling() {
            self.record(Entry::Cancelling { reason });
        }
    }

    fn calling(&self, step: &StepId, iteration: &Iteration) -> Option<&Attempt> {
        match self.state.place(iteration)? {
            Place::Calling(attempt) if attempt.step == *step && self.state.ending.is_none() => Some(attempt),
            Place::Calling(_)
            | Place::Start
            | Place::Behind(_)
            | Place::In(..)
            | Place::Waiting(..)
            | Place::Paused(..)
            | Place::Between(..)
            | Place::Looping(..)
            | Place::Broken(..) => None,
        }
    }

    /// Asks for what this thread waits for.
    pub(super) fn ask(&mut self, iteration: &Iteration) {
        let Some(place) = self.state.place(iteration) else { return };
        let effect = outstanding(self.plan, iteration, place);
        self.transition.effects.extend(effect);
    }

    /// The end that a person asked for: with what is in doubt, if something is.
    pub(super) fn end_cancelled(&mut self, reason: String) {
        let mut broken = self.state.threads.values().filter_map(|thread| match &thread.place {
            Place::Broken(spot, failure) => Some((spot.clone(), failure.clone())),
            // An item's doubt stays with its loop, which waits for the other items.
            Place::Looping(_, around) => around.broken().map(|broken| (broken.at.clone(), broken.failure.clone())),
            Place::Start
            | Place::Behind(_)
            | Place::In(..)
            | Place::Calling(_)
            | Place::Waiting(..)
            | Place::Paused(..)
            | Place::Between(..) => None,
        });
        let doubt = broken.find(|(_, failure)| is_unclear(failure));
        let (spot, failure) = doubt.unzip();
        let spot = spot.or_else(|| self.state.current().into_iter().next());
        let (step, iteration) = spot.map(|spot| (spot.step, spot.iteration)).unzip();
        let iteration = iteration.unwrap_or_default();
        self.finish(super::entry::Ending {
            step,
            iteration,
            failure,
            reason: Some(reason),
            ..ending(Outcome::Cancelled)
        });
    }
}
