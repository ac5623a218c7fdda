//! Who sends events: remotes that deliver at least once, and people who start flows.
//!
//! A sender knows what was acknowledged to it and nothing else; what it was not told
//! it sends again, sometimes twice at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{Accepted, Engine, EngineError, Incoming};
use model::RunId;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::flows::{Program, Start};
use crate::manifest::HOOK_SECRET;
use crate::scenario::Scenario;
use crate::template::environment;
use crate::world::World;

/// A host that refuses a delivery this often will never take it.
const TRIES_MAX: u32 = 2_000;

/// One delivery of a remote.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Whose.
    pub(crate) flow: &'static str,
    /// The same in every repetition.
    pub(crate) id: String,
    /// What its events carry.
    pub(crate) n: u64,
    /// The instant that they name, in seconds since the world began.
    pub(crate) at_s: u64,
    /// Events in it; one, unless the connector reads it.
    pub(crate) events: u64,
    /// Whether the connector reads it.
    pub(crate) read: bool,
    /// The run it became, once the host has said so.
    pub(crate) run: Option<RunId>,
    /// When it was sent first.
    pub(crate) sent_ms: Option<u64>,
    /// When the host said so first.
    pub(crate) told_ms: Option<u64>,
}

/// What was sent, and what the host said to it. Outlives the host.
pub(crate) struct Deliveries {
    sent: Mutex<Vec<Delivery>>,
    starts_left: Mutex<u64>,
    /// Runs that people were told of: started or replayed.
    told: Mutex<Vec<RunId>>,
    not_opened: AtomicUsize,
}

impl Deliveries {
    pub(crate) fn of(seed: u64, scenario: &Scenario, flows: &[Vec<Program>]) -> Self {
        let dice = Dice::of(seed, "deliveries");
        let hooks: Vec<&Program> = flows
            .iter()
            .filter_map(|versions| versions.first())
            .filter(|program| matches!(program.start, Start::Delivered | Start::Webhook { .. }))
            .collect();
        let delivery = |number| {
            let program = dice.pick(&hooks);
            let read = program.start == Start::Delivered;
            Delivery {
                flow: program.id,
                id: format!("m{number}"),
                n: dice.between(0, 100),
                at_s: dice.pick(&[0, 20, 90, 9_000]),
                events: if read { dice.between(0, 3) } else { 1 },
                read,
                run: None,
                sent_ms: None,
                told_ms: None,
            }
        };
        Self {
            sent: Mutex::new((0..scenario.deliveries).map(delivery).collect()),
            starts_left: Mutex::new(scenario.starts),
            told: Mutex::default(),
            not_opened: AtomicUsize::new(0),
        }
    }

    fn sent(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every delivery, acknowledged or not.
    pub(crate) fn all(&self) -> Vec<Delivery> {
        self.sent().clone()
    }

    /// The runs that people were told of.
    pub(crate) fn told(&self) -> Vec<RunId> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A person was told of a run.
    pub(crate) fn tell(&self, run: RunId) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(run);
    }

    /// Counts an opening that failed; how many there were.
    pub(crate) fn note_not_opened(&self) -> usize {
        self.not_opened.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Takes one of the starts that are left.
    fn take_start(&self) -> Option<u64> {
        let mut left = self.starts_left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.checked_sub(1)?;
        Some(*left)
    }
}

impl Delivery {
    /// The name of one of its events.
    pub(crate) fn event_id(&self, index: u64) -> String {
        if self.read { format!("{}.{index}", self.id) } else { self.id.clone() }
    }

    fn incoming(&self, secret: &str) -> Incoming {
        let event = |index| event(&self.event_id(index), self.n + index, self.at_s);
        let body = if self.read { (0..self.events).map(event).collect() } else { event(0) };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Incoming {
            headers: vec![header("x-token", secret), header("x-delivery", &self.id)],
            query: String::new(),
            body: body.to_string().into(),
        }
    }
}

/// An event as every service of the world writes it; `at_s` is less than ten hours.
pub(crate) fn event(id: &str, n: u64, at_s: u64) -> Value {
    // Worlds begin at eight in the morning.
    let (hours, minutes, seconds) = (8 + at_s / 3_600, at_s / 60 % 60, at_s % 60);
    json!({ "id": id, "n": n, "at": format!("2027-01-15T{hours:02}:{minutes:02}:{seconds:02}Z"), "at_s": at_s })
}

/// What a sender may prove itself with, best first.
pub(crate) fn secrets(world: &World, flow: &str) -> Vec<String> {
    let rotated = world.book.with(|pages| pages.secrets.get(flow).cloned()).unwrap_or_default();
    let told = world.works.secret_of(flow);
    told.into_iter().chain(rotated.into_iter().rev()).chain([HOOK_SECRET.to_owned()]).collect()
}

/// Sends everything that the host has not acknowledged, and some of the rest again.
pub(crate) fn send_all(world: &Arc<World>, engine: &Engine, life: u64, everybody: &mut JoinSet<()>) {
    let dice = Arc::new(Dice::of(world.seed ^ life, "senders"));
    for (index, delivery) in world.deliveries.all().iter().enumerate() {
        let settled = delivery.run.is_some() && (world.is_calm() || !dice.chance(0.2));
        let senders = if settled { 0 } else { 1 + u64::from(dice.chance(0.3)) };
        for _ in 0..senders {
            everybody.spawn(send(world.clone(), engine.clone(), dice.clone(), index));
        }
    }
    everybody.spawn(start_some(world.clone(), engine.clone(), dice));
}

async fn send(world: Arc<World>, engine: Engine, dice: Arc<Dice>, index: usize) {
    tokio::time::sleep(Duration::from_millis(dice.between(0, 20_000))).await;
    world.deliveries.sent()[index].sent_ms.get_or_insert(world.clock.true_ms());
    let delivery = world.deliveries.all().swap_remove(index);
    let flow = delivery.flow.parse().expect("a name");
    for attempt in 0..TRIES_MAX as usize {
        let secrets = secrets(&world, delivery.flow);
        let secret = &secrets[attempt % secrets.len()];
        let answer = engine.accept(&environment(), &flow, delivery.incoming(secret)).await;
        world.switch.hold().await;
        let wait_ms = match answer {
            Ok(accepted) => return acknowledged(&world, index, &accepted),
            Err(EngineError::Busy { retry_after_ms, .. }) => {
                world.trace.count("deliveries refused as busy");
                retry_after_ms
            }
            Err(EngineError::Unauthentic(_) | EngineError::Unavailable(_) | EngineError::Refused(_)) => 1_000,
            Err(EngineError::Internal(source)) => {
                world.trace.note(format_args!("internal: {source}"));
                world.trace.count("internal faults shown to senders");
                1_000
            }
            Err(error @ (EngineError::NotFound(_) | EngineError::Invalid(_) | EngineError::Conflict(_))) => {
                return world.trace.broken(format!("{} was refused: {error}", delivery.id));
            }
        };
        tokio::time::sleep(Duration::from_millis(wait_ms + dice.between(0, 1_000))).await;
    }
    world.trace.broken(format!("{} of {} is never accepted", delivery.id, delivery.flow));
}

fn acknowledged(world: &World, index: usize, accepted: &Accepted) {
    let run = match accepted {
        Accepted::Queued { run } => run,
        Accepted::Duplicate { run } => {
            world.trace.count("duplicates recognised");
            run
        }
        Accepted::Completed(result) => &result.run,
    };
    let mut sent = world.deliveries.sent();
    let delivery = &mut sent[index];
    delivery.told_ms.get_or_insert(world.clock.true_ms());
    world.trace.note(format_args!("acknowledged {} as {run}", delivery.id));
    match &delivery.run {
        Some(before) if before != run => {
            let what = format!("{} became the run {before}, and then {run}", delivery.id);
            world.trace.broken(what);
        }
        _ => delivery.run = Some(run.clone()),
    }
}

/// People start flows; who gets no answer does not try again.
async fn start_some(world: Arc<World>, engine: Engine, dice: Arc<Dice>) {
    while let Some(number) = world.deliveries.take_start() {
        tokio::time::sleep(Duration::from_millis(dice.between(0, 8_000))).await;
        let event = event(&format!("h{number}"), dice.between(0, 100), 30);
        let started = engine.start(&environment(), &"hand".parse().expect("a name"), event, "ana").await;
        world.switch.hold().await;
        match started {
            Ok(run) => {
                world.trace.note(format_args!("started {run}"));
                world.deliveries.tell(run);
            }
            Err(error) => world.trace.note(format_args!("not started: {error}")),
        }
    }
}
