//! What a manifest says of its service's pace: how often something may be done, and which
//! calls disturb each other.
//!
//! Counted for each account and operation, in memory: a hint spares the service calls that
//! it would refuse. What the service itself says is another matter (`rates`).

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use model::{ConnectionId, Environment, OperationId, PluginId, RateHint, RunId};
use tokio::sync::{Mutex as Line, OwnedMutexGuard};

use crate::backoff::LATE_MS_MAX;
use crate::call::CallTarget;
use crate::catalogue::{Installed, LiveConnection};
use crate::engine::Engine;

/// Calls of one place that are told when they have their leave; more come back to ask. Some
/// 10 MiB of keys.
const PROMISED_MAX: usize = 100_000;
/// A promise is kept for so long after its time, and as long as the hint's span: after
/// that, others had the place. 5 s: as late as those who wait come back at most.
const LATE_US_MAX: u64 = LATE_MS_MAX * 1_000;
/// Lines that nobody stands in are dropped once there are more than this.
const LINES_MAX: usize = 1_000;

/// An operation, as one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    environment: Environment,
    plugin: PluginId,
    operation: OperationId,
    connection: Option<ConnectionId>,
}

/// Those in line, by the value that they have in common.
type Lines = HashMap<(Place, String), Weak<Line<()>>>;

/// What was done lately, and who stands in line.
#[derive(Default)]
pub(crate) struct Pace {
    places: Mutex<HashMap<Place, Paid>>,
    lines: Mutex<Lines>,
}

/// What was done at one place, and what is promised there.
#[derive(Default)]
struct Paid {
    /// When all that was done or promised is paid off by time, in microseconds since 1970.
    at_us: u64,
    /// Calls that were told to come back, and when: each has its leave then, however many
    /// others came meanwhile.
    promised_us: BTreeMap<String, u64>,
}

impl Pace {
    /// Takes leave for one more, or says in how many milliseconds there is one; for the
    /// call with this key, which comes back, that is a promise.
    fn take(&self, place: Place, key: Option<&str>, hint: RateHint, now_ms: u64) -> Result<(), u64> {
        let (now_us, span_us) = (now_ms.saturating_mul(1_000), u64::from(hint.per_s.max(1)) * 1_000_000);
        let cost_us = span_us / u64::from(hint.calls.max(1));
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = places.entry(place).or_default();
        let line_us = span_us.saturating_add(cost_us.saturating_mul(paid.promised_us.len() as u64));
        if let Some(due_us) = key.and_then(|key| paid.promised_us.get(key).copied()) {
            // A promise from under a clock that was wrong holds no longer than its queue.
            let left_us = due_us.saturating_sub(now_us).min(line_us);
            if left_us > 0 {
                return Err(left_us.div_ceil(1_000));
            }
            key.and_then(|key| paid.promised_us.remove(key));
            // Who was held up elsewhere must not come at once with all the others who were.
            if now_us <= due_us.saturating_add(span_us + LATE_US_MAX) {
                return Ok(());
            }
        }
        // A clock that was set back makes nobody wait longer than the hint and those in
        // line say.
        let owed_us = paid.at_us.saturating_sub(now_us).min(line_us);
        let over_us = (owed_us + cost_us).saturating_sub(span_us);
        let key = key.filter(|_| paid.promised_us.len() < PROMISED_MAX);
        if over_us == 0 || key.is_some() {
            paid.at_us = now_us + owed_us + cost_us;
        }
        if over_us == 0 {
            return Ok(());
        }
        if let Some(key) = key {
            paid.promised_us.insert(key.to_owned(), now_us + over_us);
        }
        Err(over_us.div_ceil(1_000))
    }

    /// A run has ended: none of its calls comes back.
    pub(crate) fn forget(&self, run: &RunId) {
        let run = run.to_string();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for paid in places.values_mut() {
            let from = (Bound::Included(run.as_str()), Bound::Unbounded);
            let its = paid.promised_us.range::<str, _>(from).map(|(key, _)| key.clone());
            let its: Vec<String> = its.take_while(|key| key.starts_with(&run)).collect();
            for key in its {
                paid.promised_us.remove(&key);
            }
        }
    }

    /// Waits for the end of the calls that this one would disturb, and of those before it.
    async fn turn(&self, place: Place, value: String) -> OwnedMutexGuard<()> {
        let line = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() >= LINES_MAX {
                lines.retain(|_, line| line.strong_count() > 0);
            }
            let found = lines.entry((place, value)).or_default();
            found.upgrade().unwrap_or_else(|| {
                let line = Arc::new(Line::default());
                *found = Arc::downgrade(&line);
                line
            })
        };
        line.lock_owned().await
    }
}

impl Engine {
    /// Waits until no call is under way that this one would disturb, and holds the others
    /// back until it is dropped; none: it disturbs nobody.
    pub(crate) async fn turn_of(
        &self,
        target: &CallTarget,
        installed: &Installed,
        environment: &Environment,
        connection: Option<&LiveConnection>,
    ) -> Option<OwnedMutexGuard<()>> {
        let CallTarget::Action { operation, input } = target else { return None };
        let pointer = installed.manifest().action(operation)?.concurrency_key.as_deref()?;
        let value = input.pointer(pointer)?.to_string();
        Some(self.0.pace.turn(place(operation, installed, environment, connection), value).await)
    }

    /// Takes leave for a call where the manifest says how often there may be one, or says
    /// in how many milliseconds. A call with a key comes back then.
    pub(crate) fn take_pace(
        &self,
        target: &CallTarget,
        installed: &Installed,
        environment: &Environment,
        connection: Option<&LiveConnection>,
        key: Option<&str>,
    ) -> Result<(), u64> {
        let manifest = installed.manifest();
        let (operation, hint) = match target {
            CallTarget::Action { operation, .. } => (operation, manifest.action(operation).and_then(|it| it.rate)),
            CallTarget::Poll { trigger, .. } => {
                let poll = manifest.trigger(trigger).and_then(|trigger| trigger.poll.as_ref());
                (trigger, poll.and_then(|poll| poll.rate))
            }
            CallTarget::Receive { .. }
            | CallTarget::Check
            | CallTarget::Subscribe { .. }
            | CallTarget::Renew { .. }
            | CallTarget::Unsubscribe { .. }
            | CallTarget::Choices { .. }
            | CallTarget::Fields { .. }
            | CallTarget::Migrate { .. } => return Ok(()),
        };
        let Some(hint) = hint else { return Ok(()) };
        self.0.pace.take(place(operation, installed, environment, connection), key, hint, self.now_ms())
    }
}

fn place(
    operation: &OperationId,
    installed: &Installed,
    environment: &Environment,
    connection: Option<&LiveConnection>,
) -> Place {
    Place {
        environment: environment.clone(),
        plugin: installed.manifest().id.clone(),
        operation: operation.clone(),
        connection: connection.map(|connection| connection.record.id.clone()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn add_card() -> Place {
        Place {
            environment: "test".parse().expect("a name"),
            plugin: "board".parse().expect("a name"),
            operation: "add-card".parse().expect("a name"),
            connection: None,
        }
    }

    #[test]
    fn so_many_at_once_and_then_as_time_pays_them_off() {
        let (pace, hint) = (Pace::default(), RateHint { calls: 3, per_s: 60 });
        let take = |key: &str, now_ms: u64| pace.take(add_card(), Some(key), hint, now_ms);
        for (key, now_ms, wanted) in [
            ("a", 1_000_000, Ok(())),
            ("b", 1_000_000, Ok(())),
            ("c", 1_000_000, Ok(())),
            // Each has a time of its own, and keeps it.
            ("d", 1_000_000, Err(20_000)),
            ("e", 1_000_000, Err(40_000)),
            ("d", 1_019_999, Err(1)),
            ("e", 1_020_000, Err(20_000)),
            ("f", 1_020_000, Err(40_000)),
            ("d", 1_020_000, Ok(())),
            ("e", 1_050_000, Ok(())),
            ("f", 1_060_000, Ok(())),
            ("g", 1_060_000, Err(20_000)),
            // The clock was set back.
            ("h", 7_000, Err(40_000)),
            ("i", 2_000_000, Ok(())),
        ] {
            assert_eq!(take(key, now_ms), wanted, "{key} at {now_ms}");
        }
        let other = Place { connection: Some("ana".parse().expect("a name")), ..add_card() };
        for key in ["a", "b", "c"] {
            assert_eq!(pace.take(other.clone(), Some(key), hint, 2_000_000), Ok(()), "another account");
        }
    }

    #[test]
    fn a_backlog_comes_back_once_each_and_in_time() {
        let (pace, hint) = (Pace::default(), RateHint { calls: 3, per_s: 1 });
        let mut asked = 0;
        let mut due: std::collections::BTreeSet<(u64, usize)> = (0..3_000).map(|call| (1_000, call)).collect();
        while let Some((now_ms, call)) = due.pop_first() {
            asked += 1;
            if let Err(wait_ms) = pace.take(add_card(), Some(&call.to_string()), hint, now_ms) {
                due.insert((now_ms + wait_ms, call));
            } else {
                assert!(now_ms <= 1_000 + 1_000 * 1_000, "call {call} at {now_ms}");
            }
        }
        assert!(asked <= 6_000, "{asked} times asked for 3,000 calls");
    }

    #[test]
    fn those_who_were_held_up_do_not_come_all_at_once() {
        let (pace, hint) = (Pace::default(), RateHint { calls: 1, per_s: 1 });
        let take = |call: u32, now_ms: u64| pace.take(add_card(), Some(&call.to_string()), hint, now_ms);
        let promised = (0..600).filter(|call| take(*call, 1_000).is_err()).count();
        assert_eq!(promised, 599);
        // All of them come after ten minutes.
        let at_once = (0..600).filter(|call| take(*call, 601_000).is_ok()).count();
        assert!(at_once <= 8, "{at_once} came at once, one a second is right");
    }

    #[test]
    fn who_does_not_come_back_pushes_nobody_away() {
        let (pace, hint) = (Pace::default(), RateHint { calls: 1, per_s: 60 });
        let run: RunId = "0192f0c1a2b34c5d8e9f0a1b2c3d4e5f".parse().expect("an id");
        let take = |key: Option<&str>, now_ms: u64| pace.take(add_card(), key, hint, now_ms);
        assert_eq!(take(None, 1_000), Ok(()));
        for _ in 0..100 {
            assert_eq!(take(None, 1_000), Err(60_000), "whoever only asks takes no place");
        }
        for call in 0..100 {
            take(Some(&format!("{run}-{call}")), 1_000).expect_err("promised");
        }
        assert_eq!(take(None, 1_000), Err(101 * 60_000));
        pace.forget(&run);
        assert_eq!(take(Some("other"), 1_000), Err(60_000), "the run was cancelled");
    }

    #[tokio::test]
    async fn calls_about_the_same_thing_go_one_after_the_other() {
        let pace = Pace::default();
        let first = pace.turn(add_card(), "1".to_owned()).await;
        drop(pace.turn(add_card(), "2".to_owned()).await);
        let second = pace.turn(add_card(), "1".to_owned());
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        drop(second.await);
        for number in 0..=LINES_MAX {
            drop(pace.turn(add_card(), number.to_string()).await);
        }
        assert!(pace.lines.lock().expect("nobody panics with it").len() < LINES_MAX);
    }
}
