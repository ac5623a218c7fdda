//! What a manifest says of its service's pace: how often something may be done, and which
//! calls disturb each other.
//!
//! Counted for each account and operation, in memory: a hint spares the service calls that
//! it would refuse. What the service itself says is another matter (`rates`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use model::{ConnectionId, Environment, OperationId, PluginId, RateHint};
use tokio::sync::{Mutex as Line, OwnedMutexGuard};

use crate::call::CallTarget;
use crate::catalogue::{Installed, LiveConnection};
use crate::engine::Engine;

/// Calls of one place that are told when they have their leave; more come back to ask. Some
/// 10 MiB of keys.
const PROMISED_MAX: usize = 100_000;
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
    promised_us: HashMap<String, u64>,
}

impl Pace {
    /// Takes leave for one more, or says in how many milliseconds the call with this key
    /// has it.
    fn take(&self, place: Place, key: &str, hint: RateHint, now_ms: u64) -> Result<(), u64> {
        let (now_us, span_us) = (now_ms.saturating_mul(1_000), u64::from(hint.per_s.max(1)) * 1_000_000);
        let cost_us = span_us / u64::from(hint.calls.max(1));
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = places.entry(place).or_default();
        if let Some(due_us) = paid.promised_us.get(key).copied() {
            // A promise from under a clock that was wrong holds no longer than its queue.
            let left_us = due_us.saturating_sub(now_us).min(span_us + cost_us * paid.promised_us.len() as u64);
            if left_us > 0 {
                return Err(left_us.div_ceil(1_000));
            }
            paid.promised_us.remove(key);
            return Ok(());
        }
        // A clock that was set back makes nobody wait longer than the hint and those in
        // line say.
        let owed_us = paid.at_us.saturating_sub(now_us).min(span_us + cost_us * paid.promised_us.len() as u64);
        let over_us = (owed_us + cost_us).saturating_sub(span_us);
        if over_us == 0 || paid.promised_us.len() < PROMISED_MAX {
            paid.at_us = now_us + owed_us + cost_us;
        }
        if over_us == 0 {
            return Ok(());
        }
        if paid.promised_us.len() >= PROMISED_MAX {
            // Some of them will not come: their runs were cancelled.
            paid.promised_us.retain(|_, due_us| *due_us + span_us >= now_us);
        }
        if paid.promised_us.len() < PROMISED_MAX {
            paid.promised_us.insert(key.to_owned(), now_us + over_us);
        }
        Err(over_us.div_ceil(1_000))
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
    /// in how many milliseconds.
    pub(crate) fn take_pace(
        &self,
        target: &CallTarget,
        installed: &Installed,
        environment: &Environment,
        connection: Option<&LiveConnection>,
        key: &str,
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
        let take = |key: &str, now_ms: u64| pace.take(add_card(), key, hint, now_ms);
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
            assert_eq!(pace.take(other.clone(), key, hint, 2_000_000), Ok(()), "another account");
        }
    }

    #[test]
    fn a_backlog_comes_back_once_each_and_in_time() {
        let (pace, hint) = (Pace::default(), RateHint { calls: 3, per_s: 1 });
        let mut asked = 0;
        let mut due: std::collections::BTreeSet<(u64, usize)> = (0..3_000).map(|call| (1_000, call)).collect();
        while let Some((now_ms, call)) = due.pop_first() {
            asked += 1;
            if let Err(wait_ms) = pace.take(add_card(), &call.to_string(), hint, now_ms) {
                due.insert((now_ms + wait_ms, call));
            } else {
                assert!(now_ms <= 1_000 + 1_000 * 1_000, "call {call} at {now_ms}");
            }
        }
        assert!(asked <= 6_000, "{asked} times asked for 3,000 calls");
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
