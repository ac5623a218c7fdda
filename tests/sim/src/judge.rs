//! Holds what the host did against what it promised, from outside.
//!
//! Reads the host's own account (runs, steps, dead letters) beside the remote's and the
//! senders', and says every difference that no promise covers.

use std::collections::BTreeMap;

use engine::{Engine, Origin, RunRecord, RunStatus, RunView};
use flow::{StepOutcome, StepView};
use model::{Failure, RunId};

use crate::documents::{Document, Kind, Wanted, document};
use crate::remote::Work;
use crate::senders::Delivery;
use crate::world::World;

type Works = BTreeMap<(String, String), Work>;

/// More runs than any world makes.
const RUNS_MAX: usize = 10_000;

/// Whether everything that was acknowledged is still there.
pub(crate) fn kept(world: &World, engine: &Engine) {
    let acknowledged = world.deliveries.all().into_iter().filter_map(|delivery| delivery.run);
    for run in acknowledged.chain(world.deliveries.told()) {
        if let Err(error) = engine.run_record(&run) {
            world.trace.broken(format!("the acknowledged run {run} is lost: {error}"));
        }
    }
}

/// Judges a world at rest.
pub(crate) fn judge(world: &World, engine: &Engine) {
    kept(world, engine);
    let runs = match engine.runs(None, None, None, RUNS_MAX) {
        Ok(runs) => runs,
        Err(error) => return world.trace.broken(format!("runs cannot be listed: {error}")),
    };
    let works = world.works.all();
    one_run_for_each_event(world, &runs);
    for record in &runs {
        match engine.show_run(&record.id) {
            Ok(view) => judge_run(world, &view, &works),
            Err(error) => world.trace.broken(format!("run {} cannot be shown: {error}", record.id)),
        }
    }
    for (run, mark) in works.keys() {
        if !runs.iter().any(|record| record.id.as_str() == run) {
            world.trace.broken(format!("{mark} took effect for the run {run}, which nobody knows"));
        }
    }
}

/// Each delivery became one run for each of its events, and no run came from nowhere.
fn one_run_for_each_event(world: &World, runs: &[RunRecord]) {
    let mut by_event: BTreeMap<(String, String, u32), Vec<&RunRecord>> = BTreeMap::new();
    for record in runs {
        if let Origin::Webhook { delivery_key, index } = &record.origin {
            by_event.entry((record.flow.to_string(), delivery_key.clone(), *index)).or_default().push(record);
        }
    }
    for ((flow, key, index), found) in &by_event {
        if found.len() > 1 {
            world.trace.broken(format!("event {index} of {key} of {flow} became {} runs", found.len()));
        }
    }
    for delivery in world.deliveries.all() {
        match &delivery.run {
            None => world.trace.broken(format!("{} was never acknowledged", delivery.id)),
            Some(run) => siblings(world, &delivery, run, runs),
        }
    }
    let sent = world.deliveries.all().len();
    let first = by_event.keys().filter(|(_, _, index)| *index == 0).count();
    if first > sent {
        world.trace.broken(format!("{sent} deliveries became {first} first runs"));
    }
}

/// A delivery that was read has a run for each of its events.
fn siblings(world: &World, delivery: &Delivery, run: &RunId, runs: &[RunRecord]) {
    let Some(first) = runs.iter().find(|record| record.id == *run) else { return };
    let Origin::Webhook { delivery_key, .. } = &first.origin else {
        return world.trace.broken(format!("{} became {run}, which came from elsewhere", delivery.id));
    };
    let of_delivery = |record: &&RunRecord| {
        record.flow == first.flow
            && matches!(&record.origin, Origin::Webhook { delivery_key: key, .. } if key == delivery_key)
    };
    let found = runs.iter().filter(of_delivery).count() as u64;
    // A connector that could not read the delivery leaves one run, with a dead letter.
    let unread = first.status == RunStatus::Failed && found == 1;
    if found != delivery.events.max(1) && !unread {
        world.trace.broken(format!("{} with {} events became {found} runs", delivery.id, delivery.events));
    }
    if delivery.events == 0 && first.status != RunStatus::Ignored && !unread {
        world.trace.broken(format!("{} held nothing, but its run {}", delivery.id, first.status.as_str()));
    }
}

fn judge_run(world: &World, view: &RunView, works: &Works) {
    let record = &view.record;
    if !record.status.is_final() {
        return world.trace.broken(format!("run {} never ended: {}", record.id, record.status.as_str()));
    }
    world.trace.count("runs ended");
    world.trace.note(format_args!("{} of {} {}", record.id, record.flow, record.status.as_str()));
    let Some(document) = document(record.flow.as_str()) else {
        return world.trace.broken(format!("run {} is of the flow {}, which nobody made", record.id, record.flow));
    };
    match record.status {
        RunStatus::Succeeded => {
            world.trace.count("runs succeeded");
            complete(world, view, document, works);
        }
        RunStatus::Failed => {
            world.trace.count("runs failed");
            explained(world, view, document, works);
        }
        RunStatus::Ignored if view.trigger.is_none() => {}
        status => world.trace.broken(format!("run {} ended as {}", record.id, status.as_str())),
    }
}

/// What the event of this run must lead to, with how often each took effect.
fn effects(view: &RunView, document: &Document, works: &Works) -> Vec<(Wanted, u32)> {
    let Some(event) = &view.trigger else { return Vec::new() };
    let (id, n) = (event["id"].as_str().unwrap_or_default(), event["n"].as_u64().unwrap_or_default());
    let count = |wanted: Wanted| {
        let times = times(view, &format!("{id}/{}", wanted.suffix), works);
        (wanted, times)
    };
    document.wanted(n).into_iter().map(count).collect()
}

fn times(view: &RunView, mark: &str, works: &Works) -> u32 {
    works.get(&(view.record.id.to_string(), mark.to_owned())).map_or(0, |work| work.effects)
}

/// Effects of this run that its event does not lead to.
fn uncalled_for(world: &World, view: &RunView, document: &Document, works: &Works) {
    let run = view.record.id.to_string();
    let expected = effects(view, document, works);
    for (_, mark) in works.keys().filter(|(of, _)| *of == run) {
        let suffix = mark.rsplit('/').next().unwrap_or_default();
        if !expected.iter().any(|(wanted, _)| wanted.suffix == suffix) {
            world.trace.broken(format!("run {run} made the effect {mark}, which nobody asked for"));
        }
    }
}

fn complete(world: &World, view: &RunView, document: &Document, works: &Works) {
    uncalled_for(world, view, document, works);
    for (wanted, times) in effects(view, document, works) {
        let settled = match wanted.kind {
            Kind::Keyed | Kind::Once => times == 1,
            Kind::OnceOrNever => times == 1 || went_past(view, wanted.step),
        };
        if !settled {
            let (run, suffix) = (&view.record.id, &wanted.suffix);
            world.trace.broken(format!("run {run} succeeded, and {suffix} took effect {times} times"));
        }
    }
    if doubts(view, works).is_some() {
        world.trace.broken(format!("run {} succeeded past a doubt", view.record.id));
    }
}

/// Whether the step surely failed, and the flow said to go on.
fn went_past(view: &RunView, step: &str) -> bool {
    view.steps.iter().any(|found| found.step.as_str() == step && found.outcome == StepOutcome::Continued)
}

/// A call that must not be repeated, that did not succeed, and that took effect or may
/// have: what a dead letter has to say.
fn doubts(view: &RunView, works: &Works) -> Option<String> {
    let mut found = None;
    each_step(&view.steps, &mut |step| {
        if step.uses.as_deref() != Some("sim/fire") || step.outcome == StepOutcome::Succeeded {
            return;
        }
        let mark = step.input.as_ref().and_then(|input| input["mark"].as_str()).unwrap_or_default();
        let says_so = matches!(step.failure, Some(Failure::MayHaveHappened { .. }));
        if says_so || times(view, mark, works) > 0 {
            found = Some(mark.to_owned());
        }
    });
    found
}

fn each_step(steps: &[StepView], look: &mut impl FnMut(&StepView)) {
    for step in steps {
        look(step);
        let items = step.items.iter().flat_map(|items| &items.shown);
        items.for_each(|item| each_step(&item.steps, look));
    }
}

fn explained(world: &World, view: &RunView, document: &Document, works: &Works) {
    let run = &view.record.id;
    uncalled_for(world, view, document, works);
    let Some(letter) = &view.dead_letter else {
        return world.trace.broken(format!("run {run} failed without a dead letter"));
    };
    let step = letter.step.as_ref().map(model::StepId::as_str).unwrap_or_default();
    if letter.problem.what.is_empty() {
        world.trace.broken(format!("the dead letter of run {run} says nothing"));
    }
    let n = view.trigger.as_ref().and_then(|event| event["n"].as_u64());
    let stopped = matches!(letter.failure, Failure::Stopped { .. });
    if stopped != (step == "halt" && n.is_some_and(document.stops)) {
        world.trace.broken(format!("run {run} stopped of its own will at {step}, with n = {n:?}"));
    }
    let says_so = matches!(letter.failure, Failure::MayHaveHappened { .. });
    match doubts(view, works) {
        Some(mark) if !says_so => {
            let what = &letter.problem.what;
            world.trace.broken(format!("{mark} of run {run} may have happened, and its letter hides it: {what}"));
        }
        None if says_so => world.trace.broken(format!("run {run} doubts {step}, where nothing is in doubt")),
        Some(_) => world.trace.count("dead letters that say may-have-happened"),
        None => {}
    }
    in_order(world, view, document, works, step);
}

/// Everything before the step that gave up has happened, and nothing behind it.
fn in_order(world: &World, view: &RunView, document: &Document, works: &Works, step: &str) {
    let run = &view.record.id;
    let Some(phase) = document.phase(step) else {
        if works.keys().any(|(of, _)| of == run.as_str()) && view.trigger.is_none() {
            world.trace.broken(format!("run {run} had effects before its delivery was read"));
        }
        return;
    };
    for (wanted, times) in effects(view, document, works) {
        if wanted.phase < phase && times == 0 && !went_past(view, wanted.step) {
            world.trace.broken(format!("run {run} gave up at {step}, and {} before it never happened", wanted.suffix));
        }
        if wanted.phase > phase && times > 0 {
            world.trace.broken(format!("run {run} gave up at {step}, and {} behind it happened", wanted.suffix));
        }
    }
}
