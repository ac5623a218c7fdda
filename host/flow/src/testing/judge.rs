//! What was expected beside what happened.

use std::collections::{BTreeMap, BTreeSet};

use model::{Difference, StepId, differences};
use serde_json::{Value, json};

use super::drive::Story;
use super::{Expect, ExpectEffect, ExpectStep, Wanted};
use crate::check::show_duration;
use crate::plan::{Outcome, Plan};
use crate::run::{Ending, Entry, Pause, Spot, State};
use crate::view::{StepOutcome, StepView, told};

/// Everything that differs, in the order of the document's keys.
pub(super) fn judge(plan: &Plan, expect: &Expect, story: &Story) -> Vec<Difference> {
    let mut found = of_ending(expect, &story.ending);
    if let Some(wanted) = &expect.effects {
        found.extend(of_effects(wanted, &effects(&story.entries)));
    }
    let views = told(plan, &story.entries);
    let attempts = attempts(&story.entries);
    for (spot, wanted) in &expect.steps {
        let executed: Vec<(&Spot, &StepView)> = views.iter().filter(|(at, _)| is_within(at, spot)).collect();
        let attempts = attempts.iter().filter(|(at, _)| is_within(at, spot)).map(|(_, count)| count).sum();
        found.extend(of_step(spot, wanted, &executed, attempts, &story.state));
    }
    found
}

fn differs(place: impl Into<String>, expected: impl ToString, found: impl ToString) -> Difference {
    Difference { place: place.into(), expected: expected.to_string(), found: found.to_string() }
}

fn of_value(place: &str, wanted: &Wanted, found: &Value) -> Vec<Difference> {
    differences(place, &wanted.value, found, wanted.extent)
}

fn of_ending(expect: &Expect, ending: &Ending) -> Vec<Difference> {
    let mut found = Vec::new();
    if expect.outcome != ending.outcome {
        found.push(differs("outcome", outcome_word(expect.outcome), ending_words(ending)));
    }
    let code = ending.failure.as_ref().map_or_else(|| "none".to_owned(), |failure| failure.to_problem().code);
    found.extend(
        expect.failure.iter().filter(|wanted| **wanted != code).map(|wanted| differs("failure", wanted, &code)),
    );
    let step = ending.step.as_ref().map(|step| Spot { step: step.clone(), iteration: ending.iteration.clone() });
    if let Some(wanted) = expect.step.as_ref().filter(|wanted| step.as_ref() != Some(wanted)) {
        found.push(differs("step", wanted, step.map_or_else(|| "none".to_owned(), |step| step.to_string())));
    }
    if expect.reason.is_some() && expect.reason != ending.reason {
        found.push(differs("reason", quoted(expect.reason.as_ref()), quoted(ending.reason.as_ref())));
    }
    found.extend(expect.output.iter().flat_map(|wanted| of_value("output", wanted, &ending.output)));
    found
}

fn quoted(text: Option<&String>) -> String {
    text.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"))
}

fn ending_words(ending: &Ending) -> String {
    let mut words = outcome_word(ending.outcome).to_owned();
    if let Some(step) = &ending.step {
        words.push_str(&format!(" at {step}{}", ending.iteration));
    }
    if let Some(failure) = &ending.failure {
        words.push_str(&format!(": {}", failure.to_problem().what));
    }
    if let Some(reason) = &ending.reason {
        words.push_str(&format!(": {reason}"));
    }
    words
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}

/// Whether an execution is the one that is meant, or one of the items below it.
fn is_within(at: &Spot, meant: &Spot) -> bool {
    at.step == meant.step && at.iteration.indexes().starts_with(meant.iteration.indexes())
}

/// What the run asked the outside for, in order; attempts of one call are one.
fn effects(entries: &[Entry]) -> BTreeMap<&StepId, Vec<(Spot, Value)>> {
    let mut found: BTreeMap<&StepId, Vec<(Spot, Value)>> = BTreeMap::new();
    for entry in entries {
        let (step, iteration, input) = match entry {
            Entry::Intended { step, iteration, input, .. } => (step, iteration, input.as_ref().clone()),
            Entry::Paused { step, iteration, pause } if pause.attempt() == 1 => (step, iteration, asked(pause)),
            _ => continue,
        };
        let spot = Spot { step: step.clone(), iteration: iteration.clone() };
        found.entry(step).or_default().push((spot, input));
    }
    found
}

/// What a pause asks, in the words of the document.
fn asked(pause: &Pause) -> Value {
    match pause {
        Pause::For { ms } => json!({ "for": show_duration(*ms) }),
        Pause::Until { at_ms } => {
            let at = i64::try_from(*at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            json!({ "until": at.map(|at| at.to_string()) })
        }
        Pause::Signal { name, key, .. } => json!({ "event": name, "key": key }),
        Pause::Approval { role, title, message, outcomes, .. } => {
            json!({ "role": role, "title": title, "message": message, "outcomes": outcomes })
        }
        Pause::Child { input, .. } => input.as_ref().clone(),
    }
}

fn of_effects(wanted: &[ExpectEffect], found: &BTreeMap<&StepId, Vec<(Spot, Value)>>) -> Vec<Difference> {
    let steps: BTreeSet<&StepId> = wanted.iter().map(|effect| &effect.step).chain(found.keys().copied()).collect();
    let mut differences = Vec::new();
    for step in steps {
        let of_step = wanted.iter().filter(|effect| effect.step == *step);
        let wanted: Vec<Option<&Wanted>> =
            of_step.flat_map(|effect| std::iter::repeat_n(effect.input.as_ref(), effect.times)).collect();
        let found = found.get(step).map_or(&[][..], Vec::as_slice);
        if wanted.len() != found.len() {
            differences.push(differs(format!("effects.{step}"), times(wanted.len()), times(found.len())));
        }
        for (wanted, (spot, input)) in wanted.into_iter().zip(found) {
            differences.extend(wanted.iter().flat_map(|wanted| of_value(&format!("effects.{spot}"), wanted, input)));
        }
    }
    differences
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// Attempts begun, by step and item.
fn attempts(entries: &[Entry]) -> BTreeMap<Spot, u32> {
    let mut found = BTreeMap::new();
    for entry in entries {
        let (step, iteration) = match entry {
            Entry::Intended { step, iteration, .. }
            | Entry::Resumed { step, iteration, .. }
            | Entry::Paused { step, iteration, .. } => (step, iteration),
            _ => continue,
        };
        *found.entry(Spot { step: step.clone(), iteration: iteration.clone() }).or_default() += 1;
    }
    found
}

/// Every execution that is meant has to be as expected.
fn of_step(
    meant: &Spot,
    wanted: &ExpectStep,
    executed: &[(&Spot, &StepView)],
    attempts: u32,
    state: &State,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let place = |spot: &Spot, name: &str| format!("steps.{spot}.{name}");
    if let Some(wanted) = wanted.outcome {
        if executed.is_empty() && wanted != StepOutcome::NotReached {
            found.push(differs(place(meant, "outcome"), wanted, StepOutcome::NotReached));
        }
        let other = executed.iter().filter(|(_, view)| view.outcome != wanted);
        found.extend(other.map(|(spot, view)| differs(place(spot, "outcome"), wanted, step_words(view))));
    }
    if let Some(wanted) = &wanted.taken {
        if executed.is_empty() {
            found.push(differs(place(meant, "taken"), wanted, StepOutcome::NotReached));
        }
        let other = executed.iter().filter(|(_, view)| view.taken.as_ref() != Some(wanted));
        let taken = |view: &StepView| view.taken.clone().unwrap_or_else(|| "none".to_owned());
        found.extend(other.map(|(spot, view)| differs(place(spot, "taken"), wanted, taken(view))));
    }
    if let Some(wanted) = wanted.attempts.filter(|wanted| *wanted != attempts) {
        found.push(differs(place(meant, "attempts"), wanted, attempts));
    }
    if let Some(wanted) = &wanted.output {
        if executed.is_empty() {
            found.push(differs(place(meant, "output"), &wanted.value, StepOutcome::NotReached));
        }
        for (spot, view) in executed {
            // A loop's output lies with the run only.
            let of_run = || state.output(&spot.step).filter(|_| spot.iteration.is_empty());
            let output = view.output.as_ref().or_else(of_run).map_or(&Value::Null, AsRef::as_ref);
            found.extend(of_value(&place(spot, "output"), wanted, output));
        }
    }
    found
}

fn step_words(view: &StepView) -> String {
    match &view.failure {
        Some(failure) => format!("{}: {}", view.outcome, failure.to_problem().what),
        None => view.outcome.to_string(),
    }
}
