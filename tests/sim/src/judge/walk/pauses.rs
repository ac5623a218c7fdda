//! Steps that wait: for another flow's run, a time, an event or a person.

use engine::{RunStatus, RunView};
use flow::{Iteration, StepOutcome};
use model::Failure;

use super::{After, Place, Walk, find, is_unclear};
use crate::book::Told;
use crate::flows::{OnError, Step};

impl<'a> Walk<'a> {
    pub(super) fn call(
        &mut self,
        place: Place<'a>,
        (timeout_ms, attempts): (Option<u64>, u64),
        on_error: &'a OnError,
    ) -> After {
        let outcome = place.found.outcome;
        let done = matches!(outcome, StepOutcome::Succeeded | StepOutcome::Continued | StepOutcome::Failed);
        if place.kept || !done {
            return match outcome {
                StepOutcome::Succeeded => {
                    self.untouched_inside(place);
                    After::On
                }
                StepOutcome::Continued | StepOutcome::Failed if place.kept => {
                    self.doubt |= is_unclear(place.found);
                    self.failed(place, on_error)
                }
                outcome => self.unfinished(place, outcome),
            };
        }
        let Some(child) = self.last_try(place, attempts) else {
            self.broken(format!("has no run for {}", place.step.id));
            return After::Cut;
        };
        let late = matches!(place.found.failure, Some(Failure::TimedOut { .. }));
        let succeeded = child.record.status == RunStatus::Succeeded;
        let fits = match outcome {
            StepOutcome::Succeeded => succeeded,
            _ => !succeeded || late,
        };
        if !fits || late && timeout_ms.is_none() {
            let (status, failure) = (child.record.status.as_str(), &place.found.failure);
            self.broken(format!("has {} as {outcome:?}, and its run {status}: {failure:?}", place.step.id));
        }
        if outcome == StepOutcome::Succeeded {
            if place.found.output.as_deref() != child.output.as_ref() {
                self.broken(format!("was told {:?} by {}", place.found.output, child.record.id));
            }
            self.untouched_inside(place);
            return After::On;
        }
        self.doubt |= is_unclear(place.found);
        if late {
            self.not_before_ms += timeout_ms.unwrap_or_default();
        }
        self.failed(place, on_error)
    }

    /// The last of the runs that a step began for one call. Those before failed in a way
    /// that may pass; so has this one only if there were as many as there may be.
    fn last_try(&self, place: Place<'a>, attempts: u64) -> Option<&'a RunView> {
        let own =
            |child: &&engine::Child| child.spot.step == place.found.step && child.spot.iteration.index() == place.index;
        let tries: Vec<&RunView> =
            self.view.children.iter().filter(own).filter_map(|child| self.evidence.runs.get(&child.run)).collect();
        let (last, before) = tries.split_last()?;
        if !before.is_empty() {
            self.evidence.world.trace.count("flows that were run again");
        }
        for wrong in before.iter().filter(|tried| !failed_in_passing(tried)) {
            self.broken(format!(
                "ran {} again, and {} {}",
                place.step.id,
                wrong.record.id,
                wrong.record.status.as_str()
            ));
        }
        let (count, late) = (tries.len() as u64, matches!(place.found.failure, Some(Failure::TimedOut { .. })));
        if count > attempts || count < attempts && failed_in_passing(last) && !late {
            self.broken(format!("ran {} {count} times, and may {attempts} times", place.step.id));
        }
        Some(last)
    }

    pub(super) fn wait(&mut self, kept: bool, ms: u64) {
        self.not_before_ms += if kept { 0 } else { ms };
    }

    /// Whether something that was said then came in time for a wait of this length: it
    /// began after the run did.
    fn in_time(&self, told: &Told, timeout_ms: u64) -> bool {
        let until_ms = self.view.record.accepted_at_ms + timeout_ms;
        let clear = !self.evidence.world.scenario.clock_jumps;
        clear && matches!(told, Told::Yes { at_ms, .. } if *at_ms < until_ms)
    }

    pub(super) fn event(&mut self, place: Place<'a>, timeout_ms: u64) {
        if place.kept {
            return;
        }
        let (key, run) = (self.mark(place), &self.view.record.id);
        let of_key: Vec<_> = self.evidence.book.signals.iter().filter(|entry| entry.what.key == key).collect();
        let heard = of_key.iter().find(|entry| matches!(&entry.told, Told::Yes { runs, .. } if runs.contains(run)));
        let output = place.found.output.clone().unwrap_or_default();
        match output["serial"].as_u64() {
            Some(serial) => {
                self.evidence.world.trace.count("waits ended by an event");
                let asked = of_key.iter().any(|entry| entry.what.serial == serial);
                if !asked || heard.is_some_and(|entry| entry.what.serial != serial) {
                    self.broken(format!("heard {serial} for {key}, instead of {heard:?}"));
                }
            }
            None if output["timed_out"] == true => {
                self.evidence.world.trace.count("waits ended by the clock");
                if heard.is_some_and(|entry| self.in_time(&entry.told, timeout_ms)) {
                    self.broken(format!("waited for {key} until time was up, and was told before: {heard:?}"));
                }
                self.wait(place.kept, timeout_ms);
            }
            None => self.broken(format!("ended its wait for {key} with {output}")),
        }
    }

    pub(super) fn ask(
        &mut self,
        place: Place<'a>,
        (timeout_ms, on_timeout): (Option<u64>, bool),
        approved: &'a [Step],
        rejected: &'a [Step],
    ) -> After {
        let iteration = place.index.map(|index| format!(":{index}")).unwrap_or_default();
        let id = format!("{}:{}{iteration}", self.view.record.id, place.step.id);
        let of_id: Vec<_> = self.evidence.book.decisions.iter().filter(|entry| entry.what.id == id).collect();
        let heard = of_id.iter().find(|entry| entry.told.is_yes());
        let output = place.found.output.clone().unwrap_or_default();
        let outcome = output["outcome"].as_str().unwrap_or_default();
        let late = output["timed_out"] == true || matches!(place.found.failure, Some(Failure::TimedOut { .. }));
        match (place.found.outcome, timeout_ms) {
            (StepOutcome::Succeeded | StepOutcome::Failed, _) if place.kept => {}
            (StepOutcome::Succeeded | StepOutcome::Failed, Some(timeout_ms)) if late => {
                self.evidence.world.trace.count("approvals that nobody gave in time");
                let told = heard.is_some_and(|entry| self.in_time(&entry.told, timeout_ms));
                if told || on_timeout != (place.found.outcome == StepOutcome::Succeeded) {
                    self.broken(format!("waited for {id} until time was up: {output}, {heard:?}"));
                }
                self.wait(false, timeout_ms);
            }
            (StepOutcome::Succeeded, _) => {
                self.evidence.world.trace.count("approvals given");
                let asked = of_id.iter().any(|entry| entry.what.outcome == outcome);
                if !asked || heard.is_some_and(|entry| entry.what.outcome != outcome) {
                    self.broken(format!("took {outcome:?} for the answer to {id}, instead of {heard:?}"));
                }
            }
            (outcome, _) => return self.unfinished(place, outcome),
        }
        let way = find(place.views, &format!("{}-way", place.step.id));
        let Some(way) = way.filter(|_| place.found.outcome == StepOutcome::Succeeded) else {
            self.failed.insert(place.step.id.clone());
            self.untouched_inside(place);
            return After::Failed;
        };
        let taken = if outcome == "approve" { "then" } else { "else" };
        self.way(Place { found: way, ..place }, taken, &[("then", approved), ("else", rejected)])
    }
}

fn failed_in_passing(view: &RunView) -> bool {
    view.dead_letter.as_ref().is_some_and(|letter| letter.failure.may_pass())
}

/// Whether a run was begun by a call that did not wait for its end.
pub(in crate::judge) fn gave_up_on(parent: &RunView, step: &str, iteration: &Iteration) -> bool {
    let steps = match iteration.index() {
        None => &parent.steps,
        Some(index) => {
            let items = parent.steps.iter().filter_map(|step| step.items.as_ref()).flat_map(|items| &items.shown);
            let mut inside = items.filter(|item| item.index == index && find(&item.steps, step).is_some());
            match inside.next() {
                Some(item) => &item.steps,
                None => return false,
            }
        }
    };
    find(steps, step).is_some_and(|step| matches!(step.failure, Some(Failure::TimedOut { .. })))
}
