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
use crate::documents::{self, DOCUMENTS, Document, HOOK_SECRET, Start};
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
    /// Events in it; one, unless the connector reads it.
    pub(crate) events: u64,
    /// The run it became, once the host has said so.
    pub(crate) run: Option<RunId>,
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
    pub(crate) fn of(seed: u64, scenario: &Scenario) -> Self {
        let dice = Dice::of(seed, "deliveries");
        let hooks: Vec<&Document> = DOCUMENTS.iter().filter(|document| document.start != Start::Manual).collect();
        let delivery = |number| {
            let document = dice.pick(&hooks);
            let events = if document.start == Start::Connector { dice.between(0, 3) } else { 1 };
            Delivery { flow: document.id, id: format!("m{number}"), n: dice.between(0, 100), events, run: None }
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
    fn incoming(&self) -> Incoming {
        let event = |id: String, n: u64| json!({ "id": id, "n": n });
        let body = match self.flow {
            "alert" => (0..self.events).map(|index| event(format!("{}.{index}", self.id), self.n + index)).collect(),
            "batch" => {
                json!({ "id": self.id, "n": self.n, "items": documents::items(self.n).collect::<Vec<_>>() })
            }
            _ => event(self.id.clone(), self.n),
        };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Incoming {
            headers: vec![header("x-token", HOOK_SECRET), header("x-delivery", &self.id)],
            query: String::new(),
            body: body.to_string().into(),
        }
    }
}

/// Sends everything that the host has not acknowledged, and some of the rest again.
pub(crate) fn send_all(world: &Arc<World>, engine: &Engine, life: u64, everybody: &mut JoinSet<()>) {
    let dice = Arc::new(Dice::of(world.seed ^ life, "senders"));
    for (index, delivery) in world.deliveries.all().iter().enumerate() {
        let again = delivery.run.is_some() && !dice.chance(0.2);
        let senders = if again { 0 } else { 1 + u64::from(dice.chance(0.3)) };
        for _ in 0..senders {
            everybody.spawn(send(world.clone(), engine.clone(), dice.clone(), index));
        }
    }
    everybody.spawn(start_some(world.clone(), engine.clone(), dice));
}

async fn send(world: Arc<World>, engine: Engine, dice: Arc<Dice>, index: usize) {
    tokio::time::sleep(Duration::from_millis(dice.between(0, 20_000))).await;
    let delivery = world.deliveries.all().swap_remove(index);
    let flow = delivery.flow.parse().expect("a name");
    for _ in 0..TRIES_MAX {
        let answer = engine.accept(&environment(), &flow, delivery.incoming()).await;
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
        let event: Value = json!({ "id": format!("h{number}"), "n": number });
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
