//! The service at the other end: it counts, forgets to answer, answers late, refuses,
//! and remembers every key.
//!
//! Judges at once what no later moment could excuse: an effect that took place twice
//! without a key, a key that changed, a key that two effects share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use egress::{Incoming, Outgoing, Transport, TransportError};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::world::World;

/// The whole world of one request.
pub(crate) struct Remote {
    world: Arc<World>,
    works: Arc<Works>,
}

/// What the service has been asked to do, and what it did. Outlives the host.
pub(crate) struct Works {
    dice: Dice,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    works: BTreeMap<(String, String), Work>,
    owners: BTreeMap<String, (String, String)>,
}

/// One effect that a run asked for: (run, mark) names it.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The key it came with first.
    pub(crate) key: String,
    /// How often it took effect.
    pub(crate) effects: u32,
}

/// What a request asks for.
struct Ask {
    operation: String,
    run: String,
    key: String,
    mark: String,
    n: i64,
}

/// What the weather does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    /// Nothing left.
    NoRoute,
    /// Lost on the way there.
    LostRequest,
    /// Lost on the way back.
    LostReply,
    /// Done, and never answered.
    Silent,
    /// Not now, come back in so many seconds.
    Limited(u64),
    /// 503, nothing done.
    Busy,
    /// 500 after the effect.
    Broke,
    /// 500 before it.
    BrokeBefore,
    /// 401, nothing done.
    Expired,
    /// 400, nothing done.
    Refused,
}

impl Works {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice::of(seed, "remote"), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything asked for so far.
    pub(crate) fn all(&self) -> BTreeMap<(String, String), Work> {
        self.known().works.clone()
    }
}

impl Remote {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self { world: world.clone(), works: world.works.clone() }
    }

    async fn carry(&self, outgoing: Outgoing) -> Result<Incoming, TransportError> {
        let world = &self.world;
        world.switch.hold().await;
        let ask = Ask::read(&outgoing);
        let fate = self.fate();
        let (there_ms, back_ms) = (self.works.dice.between(0, 150), self.works.dice.between(0, 150));
        world.trace.note(format_args!("asked {} {} {fate:?}", ask.operation, ask.mark));
        match fate {
            Fate::Fine => {}
            Fate::NoRoute => return Err(TransportError::NotSent("no route".to_owned())),
            _ => world.trace.count(fate.name()),
        }
        tokio::time::sleep(Duration::from_millis(there_ms)).await;
        world.switch.hold().await;
        if let Some(answer) = before(fate) {
            return answer;
        }
        let body = self.perform(&ask);
        tokio::time::sleep(Duration::from_millis(back_ms)).await;
        match fate {
            Fate::LostReply => Err(TransportError::Broken("the connection broke".to_owned())),
            Fate::Silent => {
                std::future::pending::<()>().await;
                Err(TransportError::Broken("silence".to_owned()))
            }
            Fate::Broke => Ok(answer(500, &[], &json!({ "error": "after" }))),
            Fate::Fine
            | Fate::NoRoute
            | Fate::LostRequest
            | Fate::Limited(_)
            | Fate::Busy
            | Fate::BrokeBefore
            | Fate::Expired
            | Fate::Refused => Ok(answer(200, &[], &body)),
        }
    }

    fn fate(&self) -> Fate {
        let (dice, world) = (&self.works.dice, &self.world);
        if world.is_calm() {
            return Fate::Fine;
        }
        if dice.chance(world.scenario.expiry) {
            return Fate::Expired;
        }
        if !dice.chance(world.scenario.weather) {
            return Fate::Fine;
        }
        dice.pick(&[
            Fate::NoRoute,
            Fate::LostRequest,
            Fate::LostReply,
            Fate::LostReply,
            Fate::Silent,
            Fate::Limited(dice.between(0, 30)),
            Fate::Busy,
            Fate::Broke,
            Fate::BrokeBefore,
            Fate::Refused,
        ])
    }

    /// Does what was asked, once for each key, and judges the asking.
    fn perform(&self, ask: &Ask) -> Value {
        let reply = json!({ "n": ask.n + 1 });
        if matches!(ask.operation.as_str(), "read" | "check") {
            return reply;
        }
        let mut known = self.works.known();
        let name = (ask.run.clone(), ask.mark.clone());
        let owner = known.owners.entry(ask.key.clone()).or_insert_with(|| name.clone()).clone();
        if owner != name {
            self.world.trace.broken(format!("{} of run {} came with the key of {owner:?}", ask.mark, ask.run));
        }
        let work = known.works.entry(name).or_insert_with(|| Work { key: ask.key.clone(), effects: 0 });
        if work.key != ask.key {
            self.world.trace.broken(format!("{} of run {} came with a second key {}", ask.mark, ask.run, ask.key));
        }
        let repeats = ask.operation == "fire";
        if repeats || work.effects == 0 {
            work.effects += 1;
            self.world.trace.count("effects");
        }
        if repeats && work.effects > 1 {
            self.world.trace.broken(format!("{} of run {} took effect {} times", ask.mark, ask.run, work.effects));
        }
        reply
    }
}

impl Transport for Remote {
    fn send(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportError>> {
        Box::pin(self.carry(outgoing))
    }
}

impl Ask {
    fn read(outgoing: &Outgoing) -> Self {
        let header = |name: &str| {
            let value = outgoing.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let body: Value = serde_json::from_slice(outgoing.body()).unwrap_or_default();
        Self {
            operation: outgoing.url().path().trim_start_matches('/').to_owned(),
            run: header("x-run"),
            key: header("idempotency-key"),
            mark: body["mark"].as_str().unwrap_or_default().to_owned(),
            n: body["n"].as_i64().unwrap_or_default(),
        }
    }
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Self::Fine => "requests answered",
            Self::NoRoute => "requests without a route",
            Self::LostRequest => "requests lost",
            Self::LostReply => "replies lost",
            Self::Silent => "replies never sent",
            Self::Limited(_) => "rate limits",
            Self::Busy => "remotes busy",
            Self::Broke => "remotes broken after the effect",
            Self::BrokeBefore => "remotes broken before it",
            Self::Expired => "credentials expired",
            Self::Refused => "requests refused",
        }
    }
}

/// The answer of a request that takes no effect.
fn before(fate: Fate) -> Option<Result<Incoming, TransportError>> {
    let nothing = json!({});
    match fate {
        Fate::LostRequest => Some(Err(TransportError::Broken("the connection broke".to_owned()))),
        Fate::Limited(seconds) => Some(Ok(answer(429, &[("retry-after", &seconds.to_string())], &nothing))),
        Fate::Busy => Some(Ok(answer(503, &[], &nothing))),
        Fate::BrokeBefore => Some(Ok(answer(500, &[], &nothing))),
        Fate::Expired => Some(Ok(answer(401, &[], &nothing))),
        Fate::Refused => Some(Ok(answer(400, &[], &nothing))),
        Fate::Fine | Fate::NoRoute | Fate::LostReply | Fate::Silent | Fate::Broke => None,
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &Value) -> Incoming {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Incoming::whole(status, &headers, body.to_string().into())
}
