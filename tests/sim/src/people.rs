//! People who administer the host while it works: revoke, approve, publish, pause,
//! replay, and set clocks wrong. In the end they mend what they broke.

use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, EngineError, ReplayVersion};
use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::documents::{DOCUMENTS, Document};
use crate::template::{approve, connect, environment, publish};
use crate::world::World;

/// A wrong date is a day off; a wrong time is less.
const DAY_MS: i64 = 24 * 3_600_000;
/// Mending that fails this often fails for another reason than a fault.
const MENDS_MAX: u32 = 1_000;

/// Lets people do what they do.
pub(crate) fn meddle(world: &Arc<World>, engine: &Engine, life: u64, everybody: &mut JoinSet<()>) {
    let dice = Arc::new(Dice::of(world.seed ^ life, "people"));
    if world.scenario.people {
        everybody.spawn(administer(world.clone(), engine.clone(), dice.clone()));
        everybody.spawn(replay(world.clone(), engine.clone(), dice.clone()));
    }
    if world.scenario.clock_jumps {
        everybody.spawn(set_clock(world.clone(), dice));
    }
}

async fn pause(dice: &Dice, most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(dice.between(1, most_ms))).await;
}

async fn administer(world: Arc<World>, engine: Engine, dice: Arc<Dice>) {
    for number in 0..dice.between(1, 4) {
        pause(&dice, 10_000).await;
        world.switch.hold().await;
        match dice.between(0, 4) {
            0 => {
                world.trace.count("connections revoked");
                let revoked =
                    engine.revoke_connection(&environment(), &"account".parse().expect("a name"), "ana").await;
                world.trace.note(format_args!("revoke the connection: {}", said(&revoked)));
            }
            1 => {
                world.trace.count("grants revoked");
                let revoked = engine.revoke_plugin("sim", &environment(), "ana").await;
                world.trace.note(format_args!("revoke the grant: {}", said(&revoked)));
            }
            2 => {
                world.trace.count("flows published again");
                let document = any_document(&dice);
                let published = publish(&engine, document, &format!("changed {number}")).await;
                world.trace.note(format_args!("publish {}: {}", document.id, said(&published)));
            }
            3 => {
                world.trace.count("flows paused");
                let document = any_document(&dice);
                let paused = engine.pause_flow(&environment(), &document.id.parse().expect("a name"), "ana").await;
                world.trace.note(format_args!("pause {}: {}", document.id, said(&paused)));
            }
            _ => {
                let checked = engine.check_connection(&environment(), &"account".parse().expect("a name")).await;
                world.trace.note(format_args!("check the connection: {}", said(&checked)));
            }
        }
        pause(&dice, 15_000).await;
        mend(&world, &engine).await;
    }
}

async fn replay(world: Arc<World>, engine: Engine, dice: Arc<Dice>) {
    for _ in 0..dice.between(0, 2) {
        pause(&dice, 30_000).await;
        let Ok(runs) = engine.runs(None, None, None, 50) else { continue };
        let ended: Vec<_> = runs.iter().filter(|run| run.status.is_final()).collect();
        if ended.is_empty() {
            continue;
        }
        let run = &ended[dice.between(0, ended.len() as u64 - 1) as usize].id;
        let version = dice.pick(&[ReplayVersion::Original, ReplayVersion::Newest]);
        let replayed = engine.replay(run, version, "ana").await;
        world.switch.hold().await;
        world.trace.note(format_args!("replay {run}: {}", said(&replayed)));
        if let Ok(new) = replayed {
            world.trace.count("runs replayed");
            world.deliveries.tell(new);
        }
    }
}

async fn set_clock(world: Arc<World>, dice: Arc<Dice>) {
    for _ in 0..dice.between(1, 3) {
        pause(&dice, 20_000).await;
        let wrong_ms = dice.pick(&[-DAY_MS, DAY_MS, 0, 30_000, -30_000]);
        world.trace.count("clocks set wrong");
        world.trace.note(format_args!("the clock is {wrong_ms} ms wrong"));
        world.clock.set_wrong(wrong_ms);
    }
}

/// Makes connections and grant good again.
pub(crate) async fn mend(world: &World, engine: &Engine) {
    for _ in 0..MENDS_MAX {
        world.switch.hold().await;
        match make_good(engine).await {
            Ok(()) => return world.trace.note(format_args!("mended")),
            Err(error) => world.trace.note(format_args!("not mended: {error}")),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.trace.broken("connections and grants cannot be mended".to_owned());
}

/// Approves, connects, and resumes what was paused meanwhile, by a person or by itself.
async fn make_good(engine: &Engine) -> Result<(), EngineError> {
    approve(engine).await?;
    connect(engine).await?;
    for document in &DOCUMENTS {
        match engine.resume_flow(&environment(), &document.id.parse().expect("a name")).await {
            // A flow that is not paused needs nothing.
            Ok(_) | Err(EngineError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn any_document(dice: &Dice) -> &'static Document {
    &DOCUMENTS[usize::try_from(dice.between(0, DOCUMENTS.len() as u64 - 1)).unwrap_or(0)]
}

fn said<T>(outcome: &Result<T, EngineError>) -> String {
    outcome.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned())
}
