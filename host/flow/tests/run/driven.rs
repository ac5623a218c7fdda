//! A run as the engine would drive it, in a world that answers as the test says.

use std::sync::Arc;

use flow::{Answer, Effect, Ending, Entry, Event, Pause, Plan, State, Transition, pending, step};
use model::Failure;
use serde_json::{Value, json};

use crate::fixtures::run_facts;

/// What the world answers to a call.
pub(crate) type World<'w> = &'w dyn Fn(&flow::Call) -> Result<Value, (Failure, bool)>;

/// A run as the engine would drive it.
#[derive(Default)]
pub(crate) struct Driven {
    pub(crate) entries: Vec<Entry>,
    pub(crate) state: State,
    pub(crate) calls: Vec<flow::Call>,
    pub(crate) most_at_once: usize,
    pub(crate) ending: Option<Ending>,
}

/// Which of several effects answers first: mixed, but the same after a crash.
fn turn(effect: &Effect) -> u64 {
    let (step, iteration) = match effect {
        Effect::Call(call) => (&call.step, &call.iteration),
        Effect::Retry { step, iteration, .. } | Effect::Pause { step, iteration, .. } => (step, iteration),
        Effect::Release { .. } | Effect::Continue | Effect::Finish(_) => return 0,
    };
    let text = format!("{step}{iteration}");
    text.bytes().fold(7, |mixed: u64, byte| (mixed ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
}

/// What comes of a pause: time passes, or the answer comes, as its words decide.
fn answered(step: model::StepId, iteration: flow::Iteration, pause: &Pause) -> Event {
    let answer = match pause {
        Pause::Signal { key, .. } if key != "never" => Answer::Signalled { payload: Arc::new(json!({ "got": key })) },
        Pause::Approval { outcomes, title, .. } if title != "never" => Answer::Decided {
            outcome: outcomes[0].clone(),
            by: "ana".to_owned(),
            at: "2026-01-02T03:04:05Z".to_owned(),
            comment: None,
        },
        Pause::Child { input, attempt, .. } if input["name"] != json!("never") => match input["name"].as_str() {
            Some("broken") => broke(Failure::Permanent { message: "it broke".to_owned() }),
            Some("doubt") => broke(Failure::MayHaveHappened { message: "maybe".to_owned() }),
            Some("late") if *attempt < 3 => broke(Failure::Transient { message: "not yet".to_owned() }),
            _ => Answer::Returned { output: Arc::new(json!({ "greeting": input["name"] })) },
        },
        Pause::For { .. }
        | Pause::Until { .. }
        | Pause::Signal { .. }
        | Pause::Approval { .. }
        | Pause::Child { .. } => {
            return Event::Due { step, iteration };
        }
    };
    Event::Answered { step, iteration, answer }
}

fn broke(failure: Failure) -> Answer {
    Answer::Broke { passing: failure.may_pass(), failure }
}

impl Driven {
    pub(crate) fn take(&mut self, transition: Transition) -> Vec<Effect> {
        for entry in &transition.entries {
            self.state.apply(entry);
        }
        self.entries.extend(transition.entries);
        transition.effects
    }

    pub(crate) fn perform(&mut self, plan: &Plan, mut effects: Vec<Effect>, world: World<'_>) {
        while !effects.is_empty() {
            self.most_at_once = self.most_at_once.max(effects.len());
            let first = (0..effects.len()).min_by_key(|index| turn(&effects[*index])).unwrap();
            let event = match effects.remove(first) {
                Effect::Call(call) => {
                    let (step, iteration) = (call.step.clone(), call.iteration.clone());
                    let answer = world(&call);
                    self.calls.push(*call);
                    match answer {
                        Ok(output) => Event::CallSucceeded { step, iteration, output: Arc::new(output) },
                        Err((failure, sent)) => Event::CallFailed { step, iteration, failure, sent },
                    }
                }
                Effect::Retry { step, iteration, .. } => Event::Due { step, iteration },
                Effect::Pause { step, iteration, pause } => answered(step, iteration, &pause),
                Effect::Release { .. } => continue,
                Effect::Continue => Event::Continue,
                Effect::Finish(ending) => {
                    self.ending = Some(ending);
                    return;
                }
            };
            let transition = step(plan, &self.state, event.clone());
            assert_eq!(transition, step(plan, &self.state, event), "the machine is deterministic");
            effects.extend(self.take(transition));
        }
    }

    pub(crate) fn from_start(plan: &Plan, trigger: Value, world: World<'_>) -> Self {
        let mut driven = Self::default();
        let event = Event::Started { trigger: Arc::new(trigger), run: run_facts() };
        let effects = driven.take(step(plan, &State::new(), event));
        driven.perform(plan, effects, world);
        driven
    }

    pub(crate) fn from_entries(plan: &Plan, entries: &[Entry], world: World<'_>) -> Self {
        let state = State::replay(entries);
        let effects = pending(plan, &state);
        let mut driven = Self { entries: entries.to_vec(), state, ..Self::default() };
        driven.perform(plan, effects, world);
        driven
    }
}
