//! The service at the other end: it counts, forgets to answer, answers late, refuses,
//! and remembers every key.
//!
//! Judges at once what no later moment could excuse: an effect that took place twice
//! without a key, a key that changed, a key that two effects share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use egress::{Incoming, Outgoing, Transport, TransportError};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::flows::Op;
use crate::senders::event;
use crate::world::World;

/// A webhook that nobody prolongs is gone after this.
const HOOK_LIFE_MS: u64 = 15 * 60_000;
/// Items on one page of the feed.
const PAGE: usize = 2;

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
    hooks: Vec<Hook>,
    /// Webhooks ever made: names the next one.
    made: u64,
    feed: Vec<FeedItem>,
    /// Calls under way, by flow: the runs that make them.
    under_way: BTreeMap<String, Vec<String>>,
}

/// A webhook at the service.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    handle: String,
    /// Where deliveries go to.
    pub(crate) url: String,
    /// What they are proved with.
    secret: String,
    expires_ms: u64,
}

/// Something that the host finds when it asks.
#[derive(Debug, Clone)]
pub(crate) struct FeedItem {
    /// Its event.
    pub(crate) event: Value,
    /// Since when it is there.
    since_ms: u64,
}

/// One effect that a run asked for: (run, mark) names it.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The key it came with first.
    pub(crate) key: String,
    /// The number it came with first.
    n: i64,
    /// When it was asked for first.
    pub(crate) first_ms: u64,
    /// When it was asked for last.
    pub(crate) last_ms: u64,
    /// How often it took effect.
    pub(crate) effects: u32,
}

/// What a request asks for.
struct Ask {
    operation: String,
    flow: String,
    run: String,
    key: String,
    mark: String,
    n: i64,
    body: Value,
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
    pub(crate) fn new(seed: u64, items: u64, begin_ms: u64) -> Self {
        let dice = Dice::of(seed, "feed");
        let mut since_ms = begin_ms;
        let item = |number| {
            since_ms += dice.between(0, 15_000);
            FeedItem { event: event(&format!("f{number}"), dice.between(0, 100), 60), since_ms }
        };
        let known = Known { feed: (0..items).map(item).collect(), ..Known::default() };
        Self { dice: Dice::of(seed, "remote"), known: Mutex::new(known) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything asked for so far.
    pub(crate) fn all(&self) -> BTreeMap<(String, String), Work> {
        self.known().works.clone()
    }

    /// Everything that the feed will ever have.
    pub(crate) fn feed(&self) -> Vec<FeedItem> {
        self.known().feed.clone()
    }

    /// The webhooks that are there.
    pub(crate) fn hooks(&self, now_ms: u64) -> Vec<Hook> {
        self.known().hooks(now_ms).clone()
    }

    /// What deliveries to this flow are proved with, as the service was told.
    pub(crate) fn secret_of(&self, flow: &str) -> Option<String> {
        let known = self.known();
        let hook = known.hooks.iter().rev().find(|hook| hook.url.ends_with(&format!("/{flow}")))?;
        Some(hook.secret.clone())
    }

    /// The host is down: nothing that it asked for is under way.
    pub(crate) fn hang_up(&self) {
        self.known().under_way.clear();
    }
}

impl Known {
    fn hooks(&mut self, now_ms: u64) -> &mut Vec<Hook> {
        self.hooks.retain(|hook| hook.expires_ms > now_ms);
        &mut self.hooks
    }

    /// One for each address, however often it is asked for.
    fn subscribe(&mut self, body: &Value, now_ms: u64) -> (u16, Value) {
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (url, secret, expires_ms) = (text("url"), text("secret"), now_ms + HOOK_LIFE_MS);
        let wanted = body["handle"].as_str();
        self.made += 1;
        let handle = format!("hook{}", self.made);
        let hooks = self.hooks(now_ms);
        let found = hooks.iter_mut().find(|hook| wanted.map_or(hook.url == url, |handle| hook.handle == handle));
        let handle = match (found, wanted) {
            (Some(hook), _) => {
                *hook = Hook { handle: hook.handle.clone(), url, secret, expires_ms };
                hook.handle.clone()
            }
            (None, Some(_)) => return (404, json!({})),
            (None, None) => {
                hooks.push(Hook { handle: handle.clone(), url, secret, expires_ms });
                handle
            }
        };
        (200, json!({ "handle": handle, "expires_ms": expires_ms }))
    }

    fn unsubscribe(&mut self, body: &Value, now_ms: u64) -> (u16, Value) {
        let hooks = self.hooks(now_ms);
        let before = hooks.len();
        hooks.retain(|hook| body["handle"] != hook.handle);
        (if hooks.len() < before { 200 } else { 404 }, json!({}))
    }

    /// A page of what is there; the last item of the page before comes again.
    fn page(&self, body: &Value, now_ms: u64) -> (u16, Value) {
        let after = body["after"].as_str().and_then(|after| after.parse().ok()).unwrap_or(0_usize);
        let there = self.feed.iter().take_while(|item| item.since_ms <= now_ms).count();
        let end = (after + PAGE).min(there);
        let items: Vec<&Value> = self.feed[after.saturating_sub(1)..end].iter().map(|item| &item.event).collect();
        (200, json!({ "items": items, "next": end.to_string(), "more": end < there }))
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
        let _under_way = self.begin(&ask);
        let fate = self.fate();
        let (there_ms, back_ms) = (self.works.dice.between(0, 150), self.works.dice.between(0, 150));
        world.trace.note(format_args!("asked {} {} {fate:?}", ask.operation, ask.mark));
        world.trace.count(fate.name());
        if fate == Fate::NoRoute {
            return Err(TransportError::NotSent("no route".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(there_ms)).await;
        world.switch.hold().await;
        if let Some(answer) = before(fate) {
            return answer;
        }
        let (status, body) = self.perform(&ask);
        tokio::time::sleep(Duration::from_millis(back_ms)).await;
        match fate {
            Fate::LostReply => Err(TransportError::Broken("the connection broke".to_owned())),
            Fate::Silent => {
                std::future::pending::<()>().await;
                Err(TransportError::Broken("silence".to_owned()))
            }
            Fate::Broke => Ok(answer(500, &[], &json!({ "error": "after" }))),
            _ => Ok(answer(status, &[], &body)),
        }
    }

    /// Notes who asks, until it is over; judges whether so many may.
    fn begin(&self, ask: &Ask) -> Option<UnderWay> {
        let world = &self.world;
        let most = world.flows.iter().flatten().find(|program| program.id == ask.flow)?.most;
        let mut known = self.works.known();
        if !ask.mark.is_empty() {
            let now_ms = world.clock.true_ms();
            let name = (ask.run.clone(), ask.mark.clone());
            let work = Work { key: ask.key.clone(), n: ask.n, first_ms: now_ms, last_ms: now_ms, effects: 0 };
            known.works.entry(name).or_insert(work).last_ms = now_ms;
        }
        let runs = known.under_way.entry(ask.flow.clone()).or_default();
        runs.push(ask.run.clone());
        let distinct: BTreeSet<&String> = runs.iter().filter(|run| !run.is_empty()).collect();
        if most.is_some_and(|most| distinct.len() as u64 > most) {
            world.trace.broken(format!("{} runs of {} were worked on at once", distinct.len(), ask.flow));
        }
        Some(UnderWay { works: self.works.clone(), flow: ask.flow.clone(), run: ask.run.clone() })
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
    fn perform(&self, ask: &Ask) -> (u16, Value) {
        let now_ms = self.world.clock.true_ms();
        let mut known = self.works.known();
        match ask.operation.as_str() {
            "subscribe" => return known.subscribe(&ask.body, now_ms),
            "unsubscribe" => return known.unsubscribe(&ask.body, now_ms),
            "feed" => return known.page(&ask.body, now_ms),
            _ => {}
        }
        let reply = json!({ "n": ask.n + 1 });
        if ["read", "check"].contains(&ask.operation.as_str()) {
            return (200, reply);
        }
        let trace = &self.world.trace;
        let name = (ask.run.clone(), ask.mark.clone());
        let owner = known.owners.entry(ask.key.clone()).or_insert_with(|| name.clone()).clone();
        if owner != name {
            trace.broken(format!("{} of run {} came with the key of {owner:?}", ask.mark, ask.run));
        }
        let Some(work) = known.works.get_mut(&name) else { return (200, reply) };
        if work.key != ask.key {
            trace.broken(format!("{} of run {} came with a second key {}", ask.mark, ask.run, ask.key));
        }
        if work.n != ask.n {
            trace.broken(format!("{} of run {} came with {}, and then with {}", ask.mark, ask.run, work.n, ask.n));
        }
        let repeats = ask.operation == Op::Fire.name();
        if repeats || work.effects == 0 {
            work.effects += 1;
            trace.count("effects");
        }
        if repeats && work.effects > 1 {
            trace.broken(format!("{} of run {} took effect {} times", ask.mark, ask.run, work.effects));
        }
        (200, reply)
    }
}

/// A request that somebody waits for.
struct UnderWay {
    works: Arc<Works>,
    flow: String,
    run: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut known = self.works.known();
        if let Some(runs) = known.under_way.get_mut(&self.flow)
            && let Some(at) = runs.iter().position(|run| *run == self.run)
        {
            runs.remove(at);
        }
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
            flow: header("x-flow"),
            run: header("x-run"),
            key: header("idempotency-key"),
            mark: body["mark"].as_str().unwrap_or_default().to_owned(),
            n: body["n"].as_i64().unwrap_or_default(),
            body,
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
