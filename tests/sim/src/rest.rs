//! How a world comes to rest: everything works, everybody gets their answers, and the
//! flows that would go on for ever are retired.

use std::time::Duration;

use engine::{Engine, Origin, RunStatus, SubscriptionState, TriggerView};

use crate::flows::{Program, Start};
use crate::judge::Runs;
use crate::people;
use crate::template::environment;
use crate::world::World;

/// A run may wait for a clock that was set wrong by a day, and for a rate limit behind
/// it; past this it is stuck.
const SETTLED_WITHIN_MS: u64 = 5 * 24 * 3_600_000;
/// Polls and webhooks are tried again after an hour at most, whatever they met.
const CAUGHT_UP_WITHIN_MS: u64 = 6 * 3_600_000;
/// A remote asks to wait for half a minute at most.
const TAKEN_AWAY_WITHIN_MS: u64 = 120_000;
/// A schedule that is rarer than this is not waited for.
const RHYTHM_MS_MAX: u64 = 600_000;

/// Waits until nothing happens any more.
pub(crate) async fn come_to_rest(world: &World, engine: &Engine) {
    let of_kind = |wanted: fn(Start) -> bool| {
        let first = world.flows.iter().filter_map(|versions| versions.first());
        first.filter(move |program| wanted(program.start))
    };
    // By a life before this one.
    let is_retired = |program: &Program| world.book.with(|pages| pages.retired.contains(program.id));
    for program in of_kind(|start| matches!(start, Start::Schedule(_))) {
        if !is_retired(program) {
            goes_on(world, engine, program).await;
        }
        people::retire(world, engine, program.id).await;
    }
    for program in of_kind(|start| matches!(start, Start::Poll | Start::Delivered)) {
        if !is_retired(program) {
            catches_up(world, engine, program).await;
        }
        people::retire(world, engine, program.id).await;
        is_taken_away(world, program).await;
    }
    settle(world, engine).await;
}

/// A schedule starts its flow again, now that everything works.
async fn goes_on(world: &World, engine: &Engine, program: &Program) {
    let Start::Schedule(rhythm) = program.start else { return };
    if rhythm.every_ms > RHYTHM_MS_MAX {
        return;
    }
    let calm_ms = world.clock.true_ms();
    let on_time = || {
        Runs::of_flow(engine, program.id).is_some_and(|runs| {
            runs.iter().any(|run| matches!(run.origin, Origin::Schedule { nominal_ms } if nominal_ms > calm_ms))
        })
    };
    wait_until(world, rhythm.every_ms + 300_000, &format!("{} is started on time", program.id), on_time).await;
}

/// A feed was read to its end, and the webhook of a flow is at its service.
async fn catches_up(world: &World, engine: &Engine, program: &Program) {
    let done = || match program.start {
        Start::Poll => {
            let items = world.works.feed().len();
            Runs::of_flow(engine, program.id).is_some_and(|runs| {
                runs.iter().filter(|run| matches!(run.origin, Origin::Poll { .. })).count() >= items
            })
        }
        _ => world.works.hooks(world.clock.true_ms()).len() == 1,
    };
    // What a remote asked for under a wrong clock holds until that time comes.
    let within_ms = if world.scenario.clock_jumps { SETTLED_WITHIN_MS } else { CAUGHT_UP_WITHIN_MS };
    wait_until(world, within_ms, &format!("{} catches up", program.id), done).await;
}

/// A flow that has ended leaves no webhook at its service, long before it would be gone
/// by itself.
async fn is_taken_away(world: &World, program: &Program) {
    if program.start == Start::Delivered && !world.scenario.clock_jumps {
        let gone = || world.works.hooks(world.clock.true_ms()).is_empty();
        wait_until(world, TAKEN_AWAY_WITHIN_MS, &format!("the webhook of {} is taken away", program.id), gone).await;
    }
}

async fn settle(world: &World, engine: &Engine) {
    let is_over = || {
        let health = engine.health();
        let open = [RunStatus::Received, RunStatus::Running, RunStatus::Waiting, RunStatus::NeedsReauthorisation];
        health.running + health.ready + health.waiting == 0
            && open.iter().all(|status| engine.runs(None, Some(*status), None, 1).is_ok_and(|runs| runs.is_empty()))
            && world.works.hooks(world.clock.true_ms()).is_empty()
            && world.flows.iter().filter_map(|versions| versions.first()).all(|program| is_let_go(engine, program))
    };
    let began_ms = world.clock.passed_ms();
    let mut wait = Duration::from_secs(1);
    while !is_over() {
        if world.clock.passed_ms() - began_ms > SETTLED_WITHIN_MS {
            return world.trace.broken(format!("the host never comes to rest: {:?}", engine.health()));
        }
        people::decide_all(world, engine).await;
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(3_600));
    }
}

/// The host does not look after a webhook of the flow any more.
fn is_let_go(engine: &Engine, program: &Program) -> bool {
    match engine.flow(&environment(), &people::name(program.id)).map(|view| view.trigger) {
        Ok(TriggerView::Webhook(hook)) => hook.subscription.is_none_or(|subscription| {
            subscription.state == SubscriptionState::Pending && subscription.next_ms.is_none()
        }),
        Ok(_) => true,
        Err(_) => false,
    }
}

async fn wait_until(world: &World, within_ms: u64, what: &str, done: impl Fn() -> bool) {
    let began_ms = world.clock.passed_ms();
    while !done() {
        if world.clock.passed_ms() - began_ms > within_ms {
            return world.trace.broken(format!("in vain: {what}"));
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
