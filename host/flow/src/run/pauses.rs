//! Waits, approvals and calls of other flows: how they begin, and what ends them.

use std::sync::Arc;

use model::Failure;
use serde_json::{Value, json};

use super::entry::{Entry, RunFacts};
use super::event::{After, Answer, Effect, Pause};
use super::iteration::{Iteration, Spot};
use super::state::Place;
use super::walk::Walk;
use crate::plan::{Approve, SubFlow, Until};
use crate::template::Template;

/// A run that waits longer than a year for an instant has another year in mind.
const UNTIL_MS_MAX: i64 = 366 * 86_400_000;
/// A key names one thing; longer ones are documents.
const KEY_BYTES_MAX: usize = 1_000;

impl Walk<'_> {
    pub(super) fn wait(&mut self, spot: &Spot, until: &Until) -> Result<(), Failure> {
        let pause = match until {
            Until::For { ms } => Pause::For { ms: *ms },
            Until::At(at) => self.instant(spot, at)?,
            Until::Event { name, key, timeout_ms } => {
                let key = self.line(spot, key, "wait.key")?;
                if key.len() > KEY_BYTES_MAX {
                    let message = format!("the key has {} bytes, at most {KEY_BYTES_MAX} are taken", key.len());
                    return Err(Failure::Expression { field: format!("steps.{}.wait.key", spot.step), message });
                }
                Pause::Signal { name: name.clone(), key, timeout_ms: *timeout_ms }
            }
        };
        self.pause(spot, pause);
        Ok(())
    }

    pub(super) fn approve(&mut self, spot: &Spot, approve: &Approve) -> Result<(), Failure> {
        let title = self.line(spot, &approve.title, "approve.title")?;
        let message = approve.message.as_ref();
        let message = message.map(|message| self.line(spot, message, "approve.message")).transpose()?;
        let pause = Pause::Approval {
            role: approve.role.clone(),
            title,
            message,
            outcomes: approve.outcomes.clone(),
            timeout_ms: approve.timeout_ms,
            on_timeout: approve.on_timeout.clone(),
        };
        self.pause(spot, pause);
        Ok(())
    }

    pub(super) fn call_flow(&mut self, spot: &Spot, call: &SubFlow) -> Result<(), Failure> {
        let input = self.eval(&spot.iteration, &call.input, || format!("steps.{}.input", spot.step))?;
        let (flow, timeout_ms) = (call.flow.clone(), call.timeout_ms);
        self.pause(spot, Pause::Child { flow, input: Arc::new(input), timeout_ms, attempt: 1 });
        Ok(())
    }

    pub(super) fn pause(&mut self, spot: &Spot, pause: Pause) {
        let Spot { step, iteration } = spot.clone();
        self.record(Entry::Paused { step, iteration, pause });
        self.ask(&spot.iteration);
    }

    /// A text, whatever the expression makes.
    fn line(&self, spot: &Spot, template: &Template, name: &str) -> Result<String, Failure> {
        let value = self.eval(&spot.iteration, template, || format!("steps.{}.{name}", spot.step))?;
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    fn instant(&self, spot: &Spot, at: &Template) -> Result<Pause, Failure> {
        let field = || format!("steps.{}.wait.until", spot.step);
        let text = self.line(spot, at, "wait.until")?;
        let wrong = |message: String| Failure::Expression { field: field(), message };
        let at: jiff::Timestamp = text
            .parse()
            .map_err(|_| wrong(format!("expects an instant such as 2026-03-29T09:00:00+02:00, got {text:?}")))?;
        let began = self.state.run.as_ref().and_then(began_at);
        if began.is_some_and(|began| at.as_millisecond().saturating_sub(began.as_millisecond()) > UNTIL_MS_MAX) {
            return Err(wrong(format!("{at} is more than a year ahead")));
        }
        Ok(Pause::Until { at_ms: u64::try_from(at.as_millisecond()).unwrap_or(0) })
    }

    /// The time of a pause is over.
    pub(super) fn time_out(&mut self, spot: Spot, pause: Pause) {
        let output = match &pause {
            Pause::For { .. } | Pause::Until { .. } => Ok(Value::Null),
            Pause::Signal { .. } => Ok(json!({ "timed_out": true })),
            Pause::Approval { on_timeout: Some(outcome), .. } => Ok(json!({ "outcome": outcome, "timed_out": true })),
            Pause::Approval { role, .. } => Err(format!("nobody with the role {role} decided in time")),
            Pause::Child { flow, .. } => Err(format!("flow {flow} did not end in time; its run is cancelled")),
        };
        self.release(spot.clone(), pause);
        match output {
            Ok(output) => self.return_from(spot, Arc::new(output)),
            Err(message) => self.give_up(spot, Failure::TimedOut { message }),
        }
    }

    /// What a pause waited for has come. Another answer than the pause takes, or a
    /// second one, changes nothing.
    pub(super) fn answer(&mut self, step: model::StepId, iteration: Iteration, answer: Answer) {
        let Some(Place::Paused(paused, pause)) = self.state.place(&iteration) else { return };
        if *paused != step || !self.state.is_under_way() || self.state.is_cancelling() {
            return;
        }
        let outcome = match (pause, answer) {
            (Pause::Signal { .. }, Answer::Signalled { payload }) => Ok(payload),
            (Pause::Approval { .. }, Answer::Decided { outcome, by, at, comment }) => {
                Ok(Arc::new(json!({ "outcome": outcome, "by": by, "at": at, "comment": comment })))
            }
            (Pause::Child { .. }, Answer::Returned { output }) => Ok(output),
            (Pause::Child { attempt, .. }, Answer::Broke { failure, passing }) => {
                let attempt = *attempt;
                match self.again(&step, attempt).filter(|_| passing) {
                    Some(after) => return self.call_again(&Spot { step, iteration }, attempt, failure, after),
                    None => Err(failure),
                }
            }
            (
                Pause::For { .. }
                | Pause::Until { .. }
                | Pause::Signal { .. }
                | Pause::Approval { .. }
                | Pause::Child { .. },
                _,
            ) => return,
        };
        let spot = Spot { step, iteration };
        match outcome {
            Ok(output) => self.return_from(spot, output),
            Err(failure) => self.give_up(spot, failure),
        }
    }

    /// When another run of a called flow begins, if the step allows one.
    fn again(&self, step: &model::StepId, attempt: u32) -> Option<After> {
        let retry = self.plan.find(step)?.work.as_call()?.retry?;
        (attempt < retry.attempts).then(|| After::Backoff { most_ms: retry.wait_ms(attempt) })
    }

    fn call_again(&mut self, spot: &Spot, attempt: u32, failure: Failure, after: After) {
        let Spot { step, iteration } = spot.clone();
        self.record(Entry::Attempted { step, iteration, attempt, failure, after, waited: false });
        self.ask(&spot.iteration);
    }

    fn return_from(&mut self, spot: Spot, output: Arc<Value>) {
        self.record(Entry::Succeeded { step: spot.step, iteration: spot.iteration, output });
    }

    fn give_up(&mut self, spot: Spot, failure: Failure) {
        let on_error = self.plan.find(&spot.step).map(|step| step.work.on_error()).unwrap_or_default();
        self.fail(spot, failure, on_error);
    }

    pub(super) fn release(&mut self, spot: Spot, pause: Pause) {
        let Spot { step, iteration } = spot;
        self.transition.effects.push(Effect::Release { step, iteration, pause });
    }

    /// Nothing is waited for any more: the run ends, or its failure is dealt with.
    pub(super) fn release_all(&mut self) {
        let pauses: Vec<(Spot, Pause)> =
            self.state.pauses().into_iter().map(|(spot, pause)| (spot, pause.clone())).collect();
        pauses.into_iter().for_each(|(spot, pause)| self.release(spot, pause));
    }
}

fn began_at(run: &RunFacts) -> Option<jiff::Timestamp> {
    run.started_at.parse().ok()
}
