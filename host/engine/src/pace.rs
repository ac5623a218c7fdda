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
    /// When all that was done is paid off by time, in microseconds since 1970.
    paid_at_us: Mutex<HashMap<Place, u64>>,
    lines: Mutex<Lines>,
}

impl Pace {
    /// Takes leave for one more, or says in how many milliseconds there may be one.
    fn take(&self, place: Place, hint: RateHint, now_ms: u64) -> Result<(), u64> {
        let (now_us, span_us) = (now_ms.saturating_mul(1_000), u64::from(hint.per_s.max(1)) * 1_000_000);
        let cost_us = span_us / u64::from(hint.calls.max(1));
        let mut all = self.paid_at_us.lock().unwrap_or_else(PoisonError::into_inner);
        let paid_at_us = all.entry(place).or_default();
        // A clock that was set back makes nobody wait longer than the hint says.
        let owed_us = paid_at_us.saturating_sub(now_us).min(span_us);
        if owed_us + cost_us > span_us {
            return Err((owed_us + cost_us - span_us).div_ceil(1_000));
        }
        *paid_at_us = now_us + owed_us + cost_us;
        Ok(())
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
        self.0.pace.take(place(operation, installed, environment, connection), hint, self.now_ms())
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
        let take = |now_ms: u64| pace.take(add_card(), hint, now_ms);
        for (now_ms, wanted) in [
            (1_000_000, Ok(())),
            (1_000_000, Ok(())),
            (1_000_000, Ok(())),
            (1_000_000, Err(20_000)),
            (1_019_999, Err(1)),
            (1_020_000, Ok(())),
            (1_020_000, Err(20_000)),
            // The clock was set back.
            (7_000, Err(20_000)),
            (2_000_000, Ok(())),
        ] {
            assert_eq!(take(now_ms), wanted, "at {now_ms}");
        }
        let other = Place { connection: Some("ana".parse().expect("a name")), ..add_card() };
        for _ in 0..3 {
            assert_eq!(pace.take(other.clone(), hint, 2_000_000), Ok(()), "another account");
        }
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
