//! A run against its flow: every step in its turn, every effect once, and nothing else.
//!
//! Walks the steps as they were drawn, along the ways that the run says it took, and
//! holds each to what was drawn, to what the remote saw and to what people said. Steps
//! that wait are in `pauses`, the run's end in `end`.

mod end;
mod pauses;

use std::collections::BTreeSet;

use engine::{Origin, RunView};
use flow::{StepOutcome, StepView};
use model::{Failure, RunId};

use super::Evidence;
use crate::book::From;
use crate::flows::{OnError, Op, Program, Step, Test, Work};
pub(super) use pauses::gave_up_on;

/// The step of this name among these.
pub(super) fn find<'a>(steps: &'a [StepView], id: &str) -> Option<&'a StepView> {
    steps.iter().find(|step| step.step.as_str() == id)
}

/// Judges one run that has ended.
pub(super) fn walk(evidence: &Evidence<'_>, view: &RunView, program: &Program) {
    let mut walk = Walk::new(evidence, view, program);
    if view.trigger.is_none() {
        return walk.unread();
    }
    let after = walk.block(&program.steps, &view.steps, None);
    if after == After::Failed && !program.on_error.is_empty() {
        walk.block(&program.on_error, &view.steps, None);
    } else {
        walk.untouched_all(&program.on_error, &view.steps);
    }
    walk.end(after);
}

/// What follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next one.
    On,
    /// It failed, and what is around it with it.
    Failed,
    /// It ended the run: as failed, or not.
    Stopped(bool),
    /// Somebody ended the run.
    Cut,
}

struct Walk<'a> {
    evidence: &'a Evidence<'a>,
    view: &'a RunView,
    program: &'a Program,
    id: String,
    n: u64,
    /// Up to this step all was done by an earlier run; with it, if so.
    kept: Option<(String, bool)>,
    /// A step whose input a person gave, and its mark.
    given: Option<(String, String)>,
    /// Marks that the run may have asked for.
    seen: BTreeSet<String>,
    /// Steps that failed for good.
    failed: BTreeSet<String>,
    /// Whether something may have happened.
    doubt: bool,
    /// Calls from here on come later than this.
    not_before_ms: u64,
}

impl<'a> Walk<'a> {
    fn new(evidence: &'a Evidence<'a>, view: &'a RunView, program: &'a Program) -> Self {
        let event = view.trigger.clone().unwrap_or_default();
        let mut walk = Self {
            evidence,
            view,
            program,
            id: program.event_id(&event),
            n: program.event_n(&event),
            kept: None,
            given: None,
            seen: BTreeSet::new(),
            failed: BTreeSet::new(),
            doubt: false,
            not_before_ms: view.record.accepted_at_ms,
        };
        walk.begin();
        walk
    }

    /// Where a replay begins.
    fn begin(&mut self) {
        let Origin::Replay { of, .. } = &self.view.record.origin else { return };
        let Some(asked) = self.evidence.replay_of(of) else { return };
        let original = self.evidence.runs.get(of).and_then(|view| view.trigger.as_ref());
        match &asked.what.from {
            From::Edited(id) if *id == self.id => {}
            From::Edited(id) => self.broken(format!("was given the event {id}, and has {}", self.id)),
            _ if original.is_some() && original != self.view.trigger.as_ref() => {
                self.broken(format!("has another event than {of}"))
            }
            From::Start => {}
            From::Step(step) => {
                self.kept = Some((step.clone(), false));
                self.given = self.inherited(of);
            }
            From::StepEdited(step, mark) => {
                self.kept = Some((step.clone(), false));
                self.given = Some((step.clone(), mark.clone()));
            }
            From::Behind(step) => {
                self.kept = Some((step.clone(), true));
                self.given = self.inherited(of);
            }
        }
    }

    /// What a person gave an earlier run instead of a step's input, if this run took it
    /// over.
    fn inherited(&self, of: &RunId) -> Option<(String, String)> {
        let Origin::Replay { of: before, .. } = &self.evidence.runs.get(of)?.record.origin else { return None };
        match &self.evidence.replay_of(before)?.what.from {
            From::StepEdited(step, mark) => {
                let given = self.evidence.work(&self.view.record.id, mark).map(|_| (step.clone(), mark.clone()));
                given.or_else(|| self.inherited(before))
            }
            From::Step(_) | From::Behind(_) => self.inherited(before),
            From::Start | From::Edited(_) => None,
        }
    }

    fn broken(&self, what: String) {
        let record = &self.view.record;
        self.evidence.broken(format!("run {} of {} {what}", record.id, record.flow));
    }

    /// Whether an earlier run did this step.
    fn is_kept(&mut self, step: &str) -> bool {
        let Some((until, with_it)) = self.kept.clone() else { return false };
        if until == step {
            self.kept = None;
            return with_it;
        }
        true
    }

    fn block(&mut self, steps: &'a [Step], views: &'a [StepView], index: Option<u32>) -> After {
        let mut after = After::On;
        for step in steps {
            match after {
                After::On => after = self.step(step, views, index),
                After::Failed | After::Stopped(_) | After::Cut => self.untouched(step, views),
            }
        }
        after
    }

    fn step(&mut self, step: &'a Step, views: &'a [StepView], index: Option<u32>) -> After {
        let kept = self.is_kept(&step.id);
        let Some(found) = find(views, &step.id) else {
            self.broken(format!("says nothing of {}", step.id));
            return After::Cut;
        };
        let place = Place { step, found, views, index, kept };
        match &step.work {
            Work::Act { op, when, on_error, .. } => self.act(place, *op, *when, on_error),
            Work::If { test, then, otherwise } => {
                let taken = if test.holds(self.n) { "then" } else { "else" };
                self.way(place, taken, &[("then", then), ("else", otherwise)])
            }
            Work::Switch { cases, otherwise } => {
                let names = ["case 1", "case 2", "case 3"];
                let mut ways: Vec<(&str, &'a [Step])> =
                    names.into_iter().zip(cases.iter().map(Vec::as_slice)).collect();
                let taken = ways.get((self.n % 3) as usize).map_or("default", |(name, _)| name);
                ways.push(("default", otherwise));
                self.way(place, taken, &ways)
            }
            Work::Each { items, batch, continues, steps, .. } => {
                self.each(place, items.div_ceil(*batch), *continues, steps)
            }
            Work::Call { timeout_ms, attempts, on_error, .. } => {
                self.call(place, (*timeout_ms, attempts.unwrap_or(1)), on_error)
            }
            Work::WaitFor { ms } => self.plain(place, |walk| walk.wait(kept, *ms)),
            Work::WaitUntil => self.plain(place, |walk| {
                let at_ms = walk.program.event_at_ms(walk.view.trigger.as_ref().unwrap_or_default());
                walk.not_before_ms = walk.not_before_ms.max(if kept { 0 } else { at_ms });
            }),
            Work::WaitEvent { timeout_ms } => self.plain(place, |walk| walk.event(place, *timeout_ms)),
            Work::Ask { timeout_ms, on_timeout, approved, rejected } => {
                self.ask(place, (*timeout_ms, *on_timeout), approved, rejected)
            }
            Work::Make => self.plain(place, |_| {}),
            Work::Stop { failed } => match self.plain(place, |_| {}) {
                After::On => After::Stopped(*failed),
                after => after,
            },
        }
    }

    /// A step that succeeds, once it is reached.
    fn plain(&mut self, place: Place<'a>, then: impl FnOnce(&mut Self)) -> After {
        match place.found.outcome {
            StepOutcome::Succeeded => {
                then(self);
                After::On
            }
            outcome => self.unfinished(place, outcome),
        }
    }

    /// Only somebody who ends the run leaves a step unfinished.
    fn unfinished(&mut self, place: Place<'a>, outcome: StepOutcome) -> After {
        let open = matches!(
            outcome,
            StepOutcome::NotReached
                | StepOutcome::Calling
                | StepOutcome::Waiting
                | StepOutcome::Looping
                | StepOutcome::Cancelled
        );
        if !open || !self.evidence.was_to_end(self.view) {
            self.broken(format!("has {} as {outcome:?}: {:?}", place.step.id, place.found.failure));
        }
        let inside = if matches!(place.step.work, Work::Each { .. }) { Vec::new() } else { place.step.blocks() };
        inside.into_iter().for_each(|block| self.untouched_all(block, place.views));
        After::Cut
    }

    fn mark(&self, place: Place<'_>) -> String {
        match &self.given {
            Some((step, mark)) if *step == place.step.id => mark.clone(),
            Some(_) | None => format!("{}/{}", self.id, self.program.suffix(&place.step.id, place.index)),
        }
    }

    fn act(&mut self, place: Place<'a>, op: Op, when: Option<Test>, on_error: &'a OnError) -> After {
        let (mark, outcome) = (self.mark(place), place.found.outcome);
        let work = self.evidence.work(&self.view.record.id, &mark);
        let times = work.map_or(0, |work| work.effects);
        let wanted = when.is_none_or(|when| when.holds(self.n));
        if place.kept || !wanted {
            if work.is_some() {
                self.broken(format!("asked for {mark}, which is not its to do"));
            }
        } else {
            self.seen.insert(mark.clone());
        }
        if !wanted && outcome == StepOutcome::Skipped {
            self.untouched_inside(place);
            return After::On;
        }
        let doubt = op == Op::Fire && !place.kept && outcome != StepOutcome::Succeeded;
        self.doubt |= doubt && (times > 0 || is_unclear(place.found)) || place.kept && is_unclear(place.found);
        if let Some(work) = work.filter(|work| work.first_ms < self.not_before_ms)
            && !self.evidence.world.scenario.clock_jumps
        {
            let early_ms = self.not_before_ms - work.first_ms;
            self.broken(format!("asked for {mark} {early_ms} ms before the waits ahead of it were over"));
        }
        match outcome {
            StepOutcome::Succeeded if wanted => {
                if !place.kept && op != Op::Read && times != 1 {
                    self.broken(format!("succeeded with {mark}, which took effect {times} times"));
                }
                self.untouched_inside(place);
                After::On
            }
            StepOutcome::Continued | StepOutcome::Failed if wanted => self.failed(place, on_error),
            outcome => self.unfinished(place, outcome),
        }
    }

    /// A step that failed for good, with what it has for that.
    fn failed(&mut self, place: Place<'a>, on_error: &'a OnError) -> After {
        let goes_on = place.found.outcome == StepOutcome::Continued;
        let may_go_on = !matches!(on_error, OnError::Fail) && !is_unclear(place.found);
        if goes_on != may_go_on && !(may_go_on && self.evidence.was_to_end(self.view)) {
            self.broken(format!("has {} as {:?}, with {on_error:?}", place.step.id, place.found.outcome));
        }
        match on_error {
            OnError::Steps(steps) if goes_on => self.block(steps, place.views, place.index),
            OnError::Fail | OnError::Continue | OnError::Steps(_) if goes_on => After::On,
            OnError::Fail | OnError::Continue | OnError::Steps(_) => {
                self.failed.insert(place.step.id.clone());
                self.untouched_inside(place);
                After::Failed
            }
        }
    }

    fn way(&mut self, place: Place<'a>, taken: &str, ways: &[(&str, &'a [Step])]) -> After {
        if place.found.outcome != StepOutcome::Succeeded {
            return self.unfinished(place, place.found.outcome);
        }
        if place.found.taken.as_deref() != Some(taken) {
            self.broken(format!("went {:?} at {}, instead of {taken}", place.found.taken, place.step.id));
        }
        let mut after = After::On;
        for (name, steps) in ways {
            if *name == taken {
                after = self.block(steps, place.views, place.index);
            } else {
                self.untouched_all(steps, place.views);
            }
        }
        after
    }

    fn each(&mut self, place: Place<'a>, total: u32, continues: bool, steps: &'a [Step]) -> After {
        let outcome = place.found.outcome;
        let Some(items) = &place.found.items else { return self.unfinished(place, outcome) };
        if items.total != total || items.shown.len() != total as usize {
            self.broken(format!("has {} items in {} instead of {total}", items.total, place.step.id));
        }
        let (not_before_ms, before) = (self.not_before_ms, self.failed.len());
        let mut broken = false;
        for item in &items.shown {
            self.not_before_ms = not_before_ms;
            if item.outcome == StepOutcome::NotReached {
                self.untouched_all(steps, &item.steps);
                continue;
            }
            let after = self.block(steps, &item.steps, Some(item.index));
            broken |= item.outcome == StepOutcome::Failed;
            let fits = match item.outcome {
                StepOutcome::Succeeded => after == After::On,
                StepOutcome::Continued => after == After::Failed && continues,
                StepOutcome::Failed => after == After::Failed,
                // A person ends the run between two steps of an item, too.
                _ => self.evidence.was_to_end(self.view),
            };
            if !fits {
                let (index, id) = (item.index, &place.step.id);
                self.broken(format!("has item {index} of {id} as {:?}, and its steps as {after:?}", item.outcome));
            }
        }
        self.not_before_ms = not_before_ms;
        let begun = items.shown.iter().all(|item| item.outcome != StepOutcome::NotReached);
        match outcome {
            StepOutcome::Succeeded if begun && !broken => {
                // What failed inside was gone past.
                let gone_past: Vec<String> = self.failed.iter().skip(before).cloned().collect();
                if continues || gone_past.is_empty() {
                    return After::On;
                }
                self.broken(format!("went past {gone_past:?} in {}", place.step.id));
                After::On
            }
            StepOutcome::Failed if broken => {
                self.failed.insert(place.step.id.clone());
                After::Failed
            }
            outcome => {
                if !self.evidence.was_to_end(self.view) {
                    self.broken(format!("has the loop {} as {outcome:?}", place.step.id));
                }
                After::Cut
            }
        }
    }

    fn untouched_all(&self, steps: &[Step], views: &[StepView]) {
        steps.iter().for_each(|step| self.untouched(step, views));
    }

    fn untouched_inside(&self, place: Place<'_>) {
        place.step.blocks().into_iter().for_each(|block| self.untouched_all(block, place.views));
    }

    /// A step that the run must not have come to. What it would have asked for is not
    /// among what was seen.
    fn untouched(&self, step: &Step, views: &[StepView]) {
        if find(views, &step.id).is_some_and(|found| found.outcome != StepOutcome::NotReached) {
            self.broken(format!("came to {}, which is not on its way", step.id));
        }
        if !matches!(step.work, Work::Each { .. }) {
            step.blocks().into_iter().for_each(|block| self.untouched_all(block, views));
        }
    }
}

/// A step and where it stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    step: &'a Step,
    found: &'a StepView,
    /// Those beside it.
    views: &'a [StepView],
    /// The item of the loop around it.
    index: Option<u32>,
    /// Whether an earlier run did it.
    kept: bool,
}

fn is_unclear(step: &StepView) -> bool {
    matches!(step.failure, Some(Failure::MayHaveHappened { .. }))
}
