//! What a replay would do, without doing it.
//!
//! The machine is driven with the answers that the run got then: a call whose answer
//! is on record is told and passed, at the first one without an answer it ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use flow::{Effect, Event, State};
use model::{RunId, StepId};
use serde_json::Value;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::RunStatus;
use crate::redact::redact;
use crate::replay::Replay;

/// A loop of many items is told by its first calls.
const CALLS_MAX: usize = 200;

/// What a replay would do.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Preview {
    /// The run that would be replayed.
    pub run: RunId,
    /// The version it would take.
    pub version: u32,
    /// The calls it would make, in order.
    pub calls: Vec<PlannedCall>,
    /// Where the preview ends, and why.
    pub end: String,
}

/// A call that would be made.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PlannedCall {
    /// The step.
    pub step: StepId,
    /// The operation.
    pub uses: String,
    /// What it does at the remote.
    pub effect: model::Effect,
    /// Its input, redacted.
    pub input: Value,
    /// Whether the run made this call then, and it succeeded: it would be repeated,
    /// with a new idempotency key.
    pub succeeded_before: bool,
}

impl Engine {
    /// Says what a replay would do. Nothing is kept and nothing leaves the host.
    ///
    /// # Errors
    /// When the replay would be refused, whatever it does.
    pub fn preview(&self, id: &RunId, replay: &Replay, by: &str) -> Result<Preview, EngineError> {
        let (record, flow) = self.to_replay(id, replay)?;
        let letter = self.find_letter(id)?;
        let origin = crate::records::Origin::Replay { of: id.clone(), by: by.to_owned() };
        let run = self.new_run(&flow, origin, RunStatus::Running);
        let entries = self.entries_to_replay(&record, &flow, &run, replay, letter.as_ref())?;
        let mut preview =
            Preview { run: id.clone(), version: flow.record.version, calls: Vec::new(), end: String::new() };
        if entries.is_empty() {
            preview.end = "the connector would read the delivery first".to_owned();
            return Ok(preview);
        }
        let answers = self.lines(id)?.into_iter().flat_map(|line| line.entries).filter_map(answer).collect();
        let end = self.walk(&flow, State::replay(&entries), &answers, &mut preview);
        preview.end = end;
        Ok(preview)
    }

    fn walk(
        &self,
        flow: &crate::flows::Published,
        mut state: State,
        answers: &Answers,
        preview: &mut Preview,
    ) -> String {
        let plan = flow.plan();
        let mut transition = flow::step(plan, &state, Event::Continue);
        let mut open = VecDeque::new();
        loop {
            transition.entries.iter().for_each(|entry| state.apply(entry));
            for effect in transition.effects {
                match effect {
                    Effect::Call(call) => open.push_back(call),
                    Effect::Finish(ending) => return format!("the run would end: {}", word(ending.outcome)),
                    Effect::Retry { .. } | Effect::Pause { .. } | Effect::Release { .. } | Effect::Continue => {}
                }
            }
            let Some(call) = open.pop_front() else { return "the run would wait".to_owned() };
            let answer = answers.get(&(call.step.clone(), call.iteration.clone())).cloned();
            preview.calls.push(self.planned(flow, &call, answer.is_some()));
            if preview.calls.len() == CALLS_MAX {
                return format!("these are the first {CALLS_MAX} calls");
            }
            let Some(output) = answer else {
                return format!("the rest depends on the answer of step {}", call.step);
            };
            let event = Event::CallSucceeded { step: call.step, iteration: call.iteration, output };
            transition = flow::step(plan, &state, event);
        }
    }

    fn planned(&self, flow: &crate::flows::Published, call: &flow::Call, succeeded_before: bool) -> PlannedCall {
        let digest = flow.plan().locked().get(&call.uses.plugin);
        let installed = digest.and_then(|digest| self.0.catalogue.plugin(digest));
        let schema = installed.as_ref().and_then(|installed| installed.manifest().action(&call.uses.operation));
        PlannedCall {
            step: call.step.clone(),
            uses: call.uses.to_string(),
            effect: call.effect,
            input: redact(schema.map(|action| &action.input), &call.input),
            succeeded_before,
        }
    }
}

type Answers = HashMap<(StepId, flow::Iteration), Arc<Value>>;

fn answer(entry: flow::Entry) -> Option<((StepId, flow::Iteration), Arc<Value>)> {
    let flow::Entry::Succeeded { step, iteration, output } = entry else { return None };
    Some(((step, iteration), output))
}

fn word(outcome: flow::Outcome) -> &'static str {
    match outcome {
        flow::Outcome::Succeeded => "succeeded",
        flow::Outcome::Failed => "failed",
        flow::Outcome::Cancelled => "cancelled",
    }
}
