//! One life of the host, from opening the store to its end.

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use store::{Disk as _, JournalStore};
use testkit::Fault;
use tokio::task::JoinSet;

use crate::crash::End;
use crate::people;
use crate::scenario::{DiskFault, PlannedEnd};
use crate::store::SimStore;
use crate::tamper;
use crate::template::Template;
use crate::world::{Rows, World, all_rows};
use crate::{judge, rest, senders};

/// What a drain is given. Calls last 30 s at most, and the disk some seconds.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);
/// Senders and people are done within minutes, unless somebody is never answered.
const EVERYBODY_WITHIN: Duration = Duration::from_secs(3 * 3_600);

/// Every part of coming to rest has its own time; this is for an answer that never comes.
const REST_WITHIN: Duration = Duration::from_secs(12 * 24 * 3_600);

/// How a life ended.
pub(crate) enum Ending {
    /// Everything has come to its end; the rows that are left.
    Settled(Rows),
    /// The host is down.
    Down(End),
    /// It could not begin.
    NotOpened(String),
}

/// Lives one life. Call within its runtime.
pub(crate) async fn live(world: &Arc<World>, template: &Template, life: u64) -> Ending {
    world.clock.begin();
    world.switch.reset();
    world.trace.note(format_args!("life {life}"));
    let index = usize::try_from(life).unwrap_or(usize::MAX);
    let end = world.scenario.ends.get(index).copied();
    let fault = world.scenario.disk_faults.get(index).copied();
    let began = world.disk().operations();
    plan(world, end, fault);
    let ending = begun(world, template, life, end, fault).await;
    count_met(world, began, fault);
    ending
}

async fn begun(
    world: &Arc<World>,
    template: &Template,
    life: u64,
    end: Option<PlannedEnd>,
    fault: Option<DiskFault>,
) -> Ending {
    let inner = match world.open_store() {
        Ok(store) => Arc::new(store),
        Err(error) => return Ending::NotOpened(error.to_string()),
    };
    if let Some(mutant) = world.mutant {
        tamper::at_start(mutant, &inner).await;
    }
    let store = SimStore::new(inner.clone(), world, end, life);
    tokio::spawn(store.clone().work());
    let engine = match template.engine(world, store) {
        Ok(engine) => engine,
        Err(error) => return Ending::NotOpened(error),
    };
    judge::kept(world, &engine);
    match engine.run() {
        Ok(open) => world.trace.note(format_args!("{open} open")),
        Err(error) => return Ending::NotOpened(error.to_string()),
    }
    tokio::spawn(doom(world.clone(), end, fault));
    tokio::select! {
        biased;
        end = world.switch.down(false) => go_down(world, &engine, &inner, end).await,
        () = story(world, &engine, life) => settled(world, &inner),
        () = world.clock.worn_out() => {
            world.trace.broken("the host never sleeps".to_owned());
            settled(world, &inner)
        }
    }
}

/// Plans what the disk does in this life.
fn plan(world: &World, end: Option<PlannedEnd>, fault: Option<DiskFault>) {
    let disk = world.disk();
    let now = disk.operations();
    if let Some(PlannedEnd::AtDisk(operation)) = end {
        disk.plan(now + operation, Fault::PowerLoss);
    }
    match fault {
        Some(DiskFault::Error(operation)) => {
            disk.plan(now + operation, Fault::Error);
        }
        Some(DiskFault::Full(operation)) => {
            disk.plan(now + operation, Fault::Full);
        }
        Some(DiskFault::FullFor(..)) | None => {}
    }
}

/// A fault that was planned behind the last operation of a life met nothing.
fn count_met(world: &World, began: u64, fault: Option<DiskFault>) {
    let met = |operation: u64| world.disk().operations() > began + operation;
    match fault {
        Some(DiskFault::Error(operation)) if met(operation) => world.trace.count("I/O errors met"),
        Some(DiskFault::Full(operation)) if met(operation) => world.trace.count("writes that met a full disk"),
        Some(DiskFault::Error(_) | DiskFault::Full(_) | DiskFault::FullFor(..)) | None => {}
    }
}

/// What happens at its time, whatever else does.
async fn doom(world: Arc<World>, end: Option<PlannedEnd>, fault: Option<DiskFault>) {
    if let Some(DiskFault::FullFor(after_ms, lasts_ms)) = fault {
        tokio::spawn(fill(world.clone(), after_ms, lasts_ms));
    }
    if let Some(PlannedEnd::After(ms, end)) = end {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        world.trace.note(format_args!("{end:?} now"));
        world.switch.pull(end);
    }
}

async fn fill(world: Arc<World>, after_ms: u64, lasts_ms: u64) {
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    let disk = world.disk();
    let used = u64::MAX - disk.free_bytes().unwrap_or(u64::MAX);
    disk.set_capacity(used + 700);
    world.trace.count("disks filled");
    world.trace.note(format_args!("the disk is full"));
    tokio::time::sleep(Duration::from_millis(lasts_ms)).await;
    disk.set_capacity(u64::MAX);
    world.trace.note(format_args!("the disk has space"));
}

async fn go_down(world: &Arc<World>, engine: &Engine, store: &JournalStore, end: End) -> Ending {
    if end != End::Drain {
        return Ending::Down(end);
    }
    tokio::select! {
        biased;
        harder = world.switch.down(true) => Ending::Down(harder),
        drained = engine.drain(DRAIN_WITHIN) => {
            world.trace.note(format_args!("drained: {drained}"));
            // A store that has stopped cannot be brought up to date; the next start does it.
            let _ = store.close();
            Ending::Down(End::Drain)
        }
    }
}

/// Everybody does what they do; then the world comes to rest, and is judged.
async fn story(world: &Arc<World>, engine: &Engine, life: u64) {
    let mut everybody = JoinSet::new();
    senders::send_all(world, engine, life, &mut everybody);
    if !world.is_calm() {
        people::meddle(world, engine, life, &mut everybody);
    }
    let done = async {
        while let Some(joined) = everybody.join_next().await {
            if let Err(error) = joined {
                world.trace.broken(format!("a part of the simulation broke: {error}"));
            }
        }
    };
    if tokio::time::timeout(EVERYBODY_WITHIN, done).await.is_err() {
        return world.trace.broken("somebody waits for ever for an answer of the host".to_owned());
    }
    world.be_calm();
    world.trace.note(format_args!("calm"));
    people::mend(world, engine).await;
    if tokio::time::timeout(REST_WITHIN, rest::come_to_rest(world, engine)).await.is_err() {
        return world.trace.broken("the host never comes to rest: it does not answer".to_owned());
    }
    if world.power_is_off() {
        // Nobody has noticed yet, and nobody can be judged any more.
        world.switch.pull(End::PowerLoss);
        return std::future::pending().await;
    }
    judge::judge(world, engine);
}

fn settled(world: &World, store: &JournalStore) -> Ending {
    match all_rows(store) {
        Ok(rows) => {
            judge::nothing_is_left(world, store);
            Ending::Settled(rows)
        }
        Err(error) => {
            world.trace.broken(format!("the rows cannot be read: {error}"));
            Ending::Settled(Rows::new())
        }
    }
}
