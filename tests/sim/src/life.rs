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
use crate::template::Template;
use crate::world::{Rows, World, all_rows};
use crate::{judge, senders};

/// What a drain is given. Calls last 30 s at most, and the disk some seconds.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);
/// A run may wait for a clock that was set wrong by a day, and for a rate limit behind
/// it; past this it is stuck.
const SETTLED_WITHIN_MS: u64 = 5 * 24 * 3_600_000;

/// Senders and people are done within hours; settling takes days at most.
const STORY_WITHIN: Duration = Duration::from_secs(20 * 24 * 3_600);

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
    plan(world, end, fault);
    let inner = match world.open_store() {
        Ok(store) => Arc::new(store),
        Err(error) => return Ending::NotOpened(error.to_string()),
    };
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
        told = tokio::time::timeout(STORY_WITHIN, story(world, &engine, life)) => {
            if told.is_err() {
                world.trace.broken("somebody waits for ever for an answer of the host".to_owned());
            }
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
            world.trace.count("I/O errors planned");
            disk.plan(now + operation, Fault::Error);
        }
        Some(DiskFault::Full(operation)) => {
            world.trace.count("writes to a full disk planned");
            disk.plan(now + operation, Fault::Full);
        }
        Some(DiskFault::FullFor(..)) | None => {}
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
    while let Some(joined) = everybody.join_next().await {
        if let Err(error) = joined {
            world.trace.broken(format!("a part of the simulation broke: {error}"));
        }
    }
    world.be_calm();
    world.trace.note(format_args!("calm"));
    people::mend(world, engine).await;
    settle(world, engine).await;
    judge::judge(world, engine);
}

async fn settle(world: &World, engine: &Engine) {
    let began_ms = world.clock.passed_ms();
    let mut wait = Duration::from_secs(1);
    loop {
        tokio::time::sleep(wait).await;
        let health = engine.health();
        if health.running + health.ready + health.waiting == 0 {
            return;
        }
        if world.clock.passed_ms() - began_ms > SETTLED_WITHIN_MS {
            return world.trace.broken(format!("the queue never empties: {health:?}"));
        }
        wait = (wait * 2).min(Duration::from_secs(3_600));
    }
}

fn settled(world: &World, store: &JournalStore) -> Ending {
    match all_rows(store) {
        Ok(rows) => Ending::Settled(rows),
        Err(error) => {
            world.trace.broken(format!("the rows cannot be read: {error}"));
            Ending::Settled(Rows::new())
        }
    }
}
