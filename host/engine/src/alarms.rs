//! What triggers wait for: times of flows, looked after by one sleeper.
//!
//! In memory only: at start, and whenever a flow changes, the times come from what is
//! kept. Each alarm has one time; setting it again moves it. Idle, nothing wakes up
//! but to see whether the clock has jumped.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use model::{Environment, FlowId};
use tokio::sync::Notify;

/// What is to be done for a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Start it: its schedule says so.
    Schedule,
    /// Ask its trigger what happened.
    Poll,
    /// See to its webhook at the remote service.
    Subscription,
}

/// Something to be done for one flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Alarm {
    pub(crate) kind: Kind,
    pub(crate) environment: Environment,
    pub(crate) flow: FlowId,
}

#[derive(Default)]
struct Waiting {
    by_time: BTreeSet<(u64, Arc<Alarm>)>,
    times: HashMap<Arc<Alarm>, u64>,
    /// Those that somebody answers now, and whether they have rung again meanwhile.
    answered: HashMap<Arc<Alarm>, bool>,
}

/// Every alarm with its time.
#[derive(Default)]
pub(crate) struct Alarms {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl Alarms {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The alarm rings at this time, and not at the one it had. None: not at all.
    pub(crate) fn set(&self, alarm: Alarm, at_ms: Option<u64>) {
        let mut waiting = self.lock();
        let alarm = Arc::new(alarm);
        if let Some((alarm, at_ms)) = waiting.times.remove_entry(&alarm) {
            waiting.by_time.remove(&(at_ms, alarm));
        }
        if let Some(at_ms) = at_ms {
            waiting.by_time.insert((at_ms, alarm.clone()));
            waiting.times.insert(alarm, at_ms);
            drop(waiting);
            self.changed.notify_one();
        }
    }

    /// When the alarm rings.
    pub(crate) fn time_of(&self, alarm: &Alarm) -> Option<u64> {
        self.lock().times.get(alarm).copied()
    }

    /// The alarms whose time has come, at most `most`, earliest first. They are
    /// forgotten: whoever takes one sets its next time.
    pub(crate) fn due(&self, now_ms: u64, most: usize) -> Vec<Arc<Alarm>> {
        let mut waiting = self.lock();
        let mut due = Vec::new();
        while due.len() < most
            && let Some((at_ms, _)) = waiting.by_time.first()
            && *at_ms <= now_ms
            && let Some((_, alarm)) = waiting.by_time.pop_first()
        {
            waiting.times.remove(&alarm);
            due.push(alarm);
        }
        due
    }

    /// Begins to answer an alarm. False: somebody does already, and will know that it has
    /// rung again; two at once would not see what the other one does.
    pub(crate) fn begin(&self, alarm: &Arc<Alarm>) -> bool {
        let mut waiting = self.lock();
        if let Some(again) = waiting.answered.get_mut(alarm) {
            *again = true;
            return false;
        }
        waiting.answered.insert(alarm.clone(), false);
        true
    }

    /// The alarm was answered. One that has rung meanwhile rings at `now_ms`.
    pub(crate) fn end(&self, alarm: &Arc<Alarm>, now_ms: u64) {
        let again = self.lock().answered.remove(alarm).unwrap_or_default();
        if again {
            self.set((**alarm).clone(), Some(now_ms));
        }
    }

    /// The earliest time of all.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.lock().by_time.first().map(|(at_ms, _)| *at_ms)
    }

    /// Resolves once an alarm was set.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(flow: &str) -> Alarm {
        let environment = "test".parse().expect("a name");
        Alarm { kind: Kind::Schedule, environment, flow: flow.parse().expect("a name") }
    }

    #[test]
    fn each_alarm_rings_once_at_the_time_set_last() {
        let alarms = Alarms::default();
        alarms.set(alarm("a"), Some(30));
        alarms.set(alarm("b"), Some(20));
        alarms.set(alarm("a"), Some(10));
        alarms.set(alarm("c"), Some(15));
        alarms.set(alarm("c"), None);
        assert_eq!((alarms.next_ms(), alarms.time_of(&alarm("a"))), (Some(10), Some(10)));
        let names = |due: Vec<Arc<Alarm>>| due.iter().map(|alarm| alarm.flow.to_string()).collect::<Vec<_>>();
        assert_eq!(names(alarms.due(9, 10)), [""; 0]);
        assert_eq!(names(alarms.due(30, 1)), ["a"]);
        assert_eq!(names(alarms.due(30, 10)), ["b"]);
        assert_eq!(alarms.next_ms(), None);
    }

    #[test]
    fn an_alarm_is_answered_by_one_at_a_time() {
        let alarms = Alarms::default();
        let (one, other) = (Arc::new(alarm("a")), Arc::new(alarm("b")));
        assert!(alarms.begin(&one) && alarms.begin(&other));
        assert!(!alarms.begin(&one));
        alarms.set(alarm("a"), Some(90));
        alarms.end(&one, 20);
        assert_eq!(alarms.time_of(&one), Some(20), "it rang while it was answered");
        alarms.end(&other, 20);
        assert_eq!(alarms.time_of(&other), None);
        assert!(alarms.begin(&one));
    }
}
