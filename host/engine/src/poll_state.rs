//! How the polls of each flow go, in memory: a start of the host begins anew.
//!
//! Owns the promise that nobody polls a flow twice at once, and the waits after
//! failures.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::{Failure, Problem, Remedy};

use crate::alarms::Alarm;
use crate::backoff::{backoff_ms, jitter_ms};

/// How the polls of a flow go.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollState {
    under_way: bool,
    /// When the last one ended.
    pub(crate) last_ms: Option<u64>,
    /// In a row.
    pub(crate) failures: u32,
    /// Of the last one.
    pub(crate) problem: Option<Problem>,
}

impl PollState {
    /// Takes a success in; the wait is the next one's.
    pub(crate) fn succeeded(&mut self, now_ms: u64, wait_ms: u64) -> u64 {
        (self.last_ms, self.failures, self.problem) = (Some(now_ms), 0, None);
        wait_ms
    }

    /// Takes in that the credential of the connection is refused: nobody asks until it has
    /// another one.
    pub(crate) fn refused(&mut self, failure: &Failure) {
        self.problem = Some(failure.to_problem());
    }

    /// Takes a failure in; gives the wait before the next poll.
    pub(crate) fn failed(&mut self, now_ms: u64, failure: &Failure, every_ms: u64, chance: u64) -> u64 {
        self.last_ms = Some(now_ms);
        self.failures += 1;
        self.problem = Some(failure.to_problem());
        wait_after(failure.remedy(), self.failures, every_ms, chance)
    }
}

/// What the remote asked for; for what may pass, longer from time to time; for what a
/// person has to mend, the longest wait at once.
fn wait_after(remedy: Remedy, failures: u32, every_ms: u64, chance: u64) -> u64 {
    if let Remedy::Wait(Some(asked_ms)) = remedy {
        // Never sooner than asked.
        return asked_ms.saturating_add(jitter_ms(every_ms.min(60_000), chance));
    }
    let may_pass = remedy == Remedy::Retry || remedy == Remedy::Wait(None);
    if may_pass { backoff_ms(failures, chance) } else { backoff_ms(u32::MAX, chance).max(every_ms) }
}

/// The states of all flows.
#[derive(Default)]
pub(crate) struct Polls(Mutex<HashMap<Alarm, PollState>>);

/// The right to poll a flow: nobody else has it meanwhile.
pub(crate) struct OnlyOne<'a> {
    polls: &'a Polls,
    alarm: Alarm,
}

impl Polls {
    /// Changes a flow's state, or looks at it.
    pub(crate) fn change<T>(&self, alarm: &Alarm, change: impl FnOnce(&mut PollState) -> T) -> T {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match states.get_mut(alarm) {
            Some(state) => change(state),
            None => change(states.entry(alarm.clone()).or_default()),
        }
    }

    /// None: somebody polls the flow already.
    pub(crate) fn begin(&self, alarm: &Alarm) -> Option<OnlyOne<'_>> {
        let busy = self.change(alarm, |state| std::mem::replace(&mut state.under_way, true));
        (!busy).then(|| OnlyOne { polls: self, alarm: alarm.clone() })
    }
}

impl Drop for OnlyOne<'_> {
    fn drop(&mut self) {
        self.polls.change(&self.alarm, |state| state.under_way = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::Kind;

    #[test]
    fn nobody_polls_twice_at_once_whatever_happens() {
        let (environment, flow) = ("test".parse().expect("a name"), "flow".parse().expect("a name"));
        let alarm = Alarm { kind: Kind::Poll, environment, flow };
        let polls = Polls::default();
        let one = polls.begin(&alarm);
        assert!(one.is_some() && polls.begin(&alarm).is_none());
        drop(one);
        assert!(polls.begin(&alarm).is_some());
    }

    #[test]
    fn the_wait_fits_the_failure() {
        assert!((60_000..=126_000).contains(&wait_after(Remedy::Wait(Some(60_000)), 1, 300_000, 7)));
        assert!(wait_after(Remedy::Retry, 1, 300_000, 7) <= 30_000);
        assert!(wait_after(Remedy::GiveUp, 1, 300_000, 7) >= 1_800_000);
    }
}
