//! How much at once and how often: one gate for each plugin, one for each connection.
//!
//! A gate counts what is under way (calls, and requests within them) and what was
//! sent in the last minute, and knows the time before which the remote asked not to be
//! bothered. It has no limits of its own: each caller brings the limits of its grant,
//! so that two versions of a connector over one connection share what is counted.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use model::Limits;
use tokio::sync::Notify;

/// A remote that asks for more is asked again after this: an hour.
pub(crate) const WAIT_MS_MAX: u64 = 3_600_000;
/// Gates kept before idle ones are dropped. A gate is some 200 bytes.
const GATES_MAX: usize = 10_000;
const MINUTE_MS: u64 = 60_000;

/// One plugin's or one connection's share of the way out.
pub(crate) struct Gate {
    state: Mutex<State>,
    /// Somebody left.
    left: Notify,
}

struct State {
    calls: u64,
    requests: u64,
    /// Requests sent and not yet paid off by time, times 60,000: one millisecond pays
    /// off what the caller's limit is per minute.
    spent: u64,
    counted_at_ms: u64,
    open_at_ms: u64,
}

/// What is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A call of the connector.
    Call,
    /// A request within one.
    Request,
}

impl State {
    fn under_way(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Call => &mut self.calls,
            Kind::Request => &mut self.requests,
        }
    }
}

/// A place among those under way, left when dropped.
pub(crate) struct Slot(Arc<Gate>, Kind);

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.state().under_way(self.1) -= 1;
        self.0.left.notify_waiters();
    }
}

impl Gate {
    fn new(now_ms: u64) -> Self {
        let state = State { calls: 0, requests: 0, spent: 0, counted_at_ms: now_ms, open_at_ms: 0 };
        Self { state: Mutex::new(state), left: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until fewer are under way than the caller's limit.
    pub(crate) async fn enter(self: &Arc<Self>, kind: Kind, limits: &Limits) -> Slot {
        loop {
            // Listening begins before looking: nobody leaves unnoticed in between.
            let left = self.left.notified();
            if let Some(slot) = self.try_enter(kind, limits) {
                return slot;
            }
            left.await;
        }
    }

    /// A place, if there is one now.
    pub(crate) fn try_enter(self: &Arc<Self>, kind: Kind, limits: &Limits) -> Option<Slot> {
        let mut state = self.state();
        let under_way = state.under_way(kind);
        (*under_way < limits.concurrency.max(1)).then(|| {
            *under_way += 1;
            Slot(Arc::clone(self), kind)
        })
    }

    /// Whether as many are under way as the caller's limit.
    pub(crate) fn is_full(&self, kind: Kind, limits: &Limits) -> bool {
        *self.state().under_way(kind) >= limits.concurrency.max(1)
    }

    /// Takes leave for one request, or says in how many milliseconds there may be.
    pub(crate) fn take(&self, limits: &Limits, now_ms: u64) -> Result<(), u64> {
        let mut state = self.state();
        let per_minute = state.count(limits, now_ms);
        let open_at_ms = state.open_at_ms(now_ms);
        if open_at_ms > now_ms {
            return Err(open_at_ms - now_ms);
        }
        let most = (per_minute - 1).saturating_mul(MINUTE_MS);
        if state.spent > most {
            return Err((state.spent - most).div_ceil(per_minute));
        }
        state.spent += MINUTE_MS;
        Ok(())
    }

    /// Takes leave for a redirect, which is never refused but counts.
    pub(crate) fn charge(&self, limits: &Limits, now_ms: u64) {
        let mut state = self.state();
        let most = state.count(limits, now_ms).saturating_mul(MINUTE_MS);
        // Nobody owes more than a minute's worth.
        state.spent = state.spent.saturating_add(MINUTE_MS).min(most.max(state.spent));
    }

    /// Gives leave back that was not used.
    pub(crate) fn give_back(&self) {
        let mut state = self.state();
        state.spent = state.spent.saturating_sub(MINUTE_MS);
    }

    /// Nothing leaves before `until_ms`.
    pub(crate) fn close_until(&self, until_ms: u64) {
        let mut state = self.state();
        state.open_at_ms = state.open_at_ms.max(until_ms);
    }

    /// The time before which nothing leaves; none when it is open.
    pub(crate) fn closed_until(&self, now_ms: u64) -> Option<u64> {
        Some(self.state().open_at_ms(now_ms)).filter(|at_ms| *at_ms > now_ms)
    }

    fn is_idle(&self, now_ms: u64) -> bool {
        let state = self.state();
        state.open_at_ms <= now_ms && state.counted_at_ms + MINUTE_MS < now_ms
    }
}

impl State {
    /// When something may leave again. No remote is waited for longer than that: what is
    /// left from a clock that was ahead counts for no more.
    fn open_at_ms(&mut self, now_ms: u64) -> u64 {
        self.open_at_ms = self.open_at_ms.min(now_ms.saturating_add(WAIT_MS_MAX));
        self.open_at_ms
    }

    /// Pays off what time has paid off; gives the caller's limit.
    fn count(&mut self, limits: &Limits, now_ms: u64) -> u64 {
        let per_minute = limits.requests_per_minute.max(1);
        if self.counted_at_ms > now_ms.saturating_add(MINUTE_MS) {
            // The clock was ahead.
            self.counted_at_ms = now_ms;
        }
        let passed_ms = now_ms.saturating_sub(self.counted_at_ms);
        self.spent = self.spent.saturating_sub(passed_ms.saturating_mul(per_minute));
        self.counted_at_ms = now_ms.max(self.counted_at_ms);
        per_minute
    }
}

/// The gates of all plugins, or of all connections.
pub(crate) struct Gates<K>(Mutex<HashMap<K, Arc<Gate>>>);

impl<K> Default for Gates<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Gates<K> {
    pub(crate) fn get(&self, key: K, now_ms: u64) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= GATES_MAX && !gates.contains_key(&key) {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_idle(now_ms));
        }
        Arc::clone(gates.entry(key).or_insert_with(|| Arc::new(Gate::new(now_ms))))
    }

    /// The gate, if anybody asked for it lately.
    pub(crate) fn find(&self, key: &K) -> Option<Arc<Gate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(Arc::clone)
    }
}

/// The time before which an answer asks not to be bothered again, if it does
/// (RFC 9110, 10.2.3): 429 or 503 with seconds or an HTTP date.
pub(crate) fn retry_at_ms(status: u16, headers: &HeaderMap, now_ms: u64) -> Option<u64> {
    if !matches!(status, 429 | 503) {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait_ms = match text.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1_000),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
            u64::try_from(date).ok()?.saturating_sub(now_ms)
        }
    };
    (wait_ms > 0).then(|| now_ms + wait_ms.min(WAIT_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_minute: u64) -> Limits {
        Limits { requests_per_minute: per_minute, ..Limits::default() }
    }

    #[test]
    fn a_minutes_worth_may_be_spent_at_once_and_comes_back_evenly() {
        let (limits, start) = (limits(60), 1_000_000);
        let gate = Gate::new(start);
        for _ in 0..60 {
            assert_eq!(gate.take(&limits, start), Ok(()));
        }
        assert_eq!(gate.take(&limits, start), Err(1_000));
        assert_eq!(gate.take(&limits, start + 400), Err(600));
        assert_eq!(gate.take(&limits, start + 1_000), Ok(()));
        assert_eq!(gate.take(&limits, start + 1_000), Err(1_000));
        gate.give_back();
        assert_eq!(gate.take(&limits, start + 1_000), Ok(()));
        gate.charge(&limits, start + 1_000);
        assert_eq!(gate.take(&limits, start + 1_000), Err(1_000));
        for _ in 0..60 {
            assert_eq!(gate.take(&limits, start + 1_000_000), Ok(()), "never more than a minute's worth is saved up");
        }
        assert!(gate.take(&limits, start + 1_000_000).is_err());
    }

    #[test]
    fn a_closed_gate_says_when_it_opens() {
        let limits = limits(60);
        let gate = Gate::new(0);
        gate.close_until(5_000);
        gate.close_until(2_000);
        assert_eq!(gate.take(&limits, 1_000), Err(4_000));
        assert_eq!((gate.closed_until(1_000), gate.closed_until(5_000)), (Some(5_000), None));
        assert_eq!(gate.take(&limits, 5_000), Ok(()));
    }

    #[test]
    fn two_versions_with_other_limits_share_what_is_counted() {
        let (small, large) = (limits(2), limits(10));
        let gate = Arc::new(Gate::new(0));
        for _ in 0..5 {
            assert_eq!(gate.take(&large, 0), Ok(()));
        }
        assert!(gate.take(&small, 0).is_err(), "five were sent, whoever sent them");
        assert_eq!(gate.take(&large, 0), Ok(()));
        let of = |concurrency| Limits { concurrency, ..Limits::default() };
        let first = gate.try_enter(Kind::Call, &of(2)).expect("a slot");
        let second = gate.try_enter(Kind::Call, &of(3)).expect("a slot");
        assert!(gate.try_enter(Kind::Call, &of(2)).is_none());
        let third = gate.try_enter(Kind::Call, &of(3)).expect("the other version's grant has room");
        assert!(gate.try_enter(Kind::Call, &of(3)).is_none(), "asking with another limit makes no new slots");
        assert!(gate.try_enter(Kind::Request, &of(1)).is_some(), "requests are counted apart");
        drop((first, second));
        assert!(gate.try_enter(Kind::Call, &of(2)).is_some());
        drop(third);
        assert_eq!(gate.state().calls, 0);
    }

    #[tokio::test]
    async fn who_waits_enters_when_somebody_leaves() {
        let gate = Arc::new(Gate::new(0));
        let one = Limits { concurrency: 1, ..Limits::default() };
        let first = gate.enter(Kind::Call, &one).await;
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { drop(gate.enter(Kind::Call, &one).await) }
        });
        tokio::task::yield_now().await;
        drop(first);
        waiting.await.expect("it entered");
    }

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date() {
        // 1994-11-06T08:49:37Z, the example of RFC 9110.
        let date_ms = 784_111_777_000;
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (status, value, now_ms, wanted) in [
            (429, "120", 1_000, Some(121_000)),
            (503, " 1 ", 1_000, Some(2_000)),
            (429, date, date_ms - 5_000, Some(date_ms)),
            (429, date, date_ms + 5_000, None),
            (429, "0", 1_000, None),
            (429, "99999999999999999999", 1_000, None),
            (429, "86400", 1_000, Some(3_601_000)),
            (429, "soon", 1_000, None),
            (429, "-5", 1_000, None),
            (200, "120", 1_000, None),
            (500, "120", 1_000, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().expect("a value"));
            assert_eq!(retry_at_ms(status, &headers, now_ms), wanted, "{status} {value}");
        }
    }

    #[test]
    fn a_clock_that_was_ahead_closes_nothing_for_long() {
        const DAY_MS: u64 = 86_400_000;
        let (gate, limits) = (Gate::new(0), Limits { requests_per_minute: 2, ..Limits::default() });
        gate.close_until(DAY_MS + 30_000);
        assert_eq!(gate.take(&limits, DAY_MS), Err(30_000));
        assert_eq!(gate.closed_until(0), Some(WAIT_MS_MAX));
        assert_eq!(gate.take(&limits, WAIT_MS_MAX), Ok(()));
        // The same for what was spent by it.
        let gate = Gate::new(0);
        assert_eq!([DAY_MS; 3].map(|at_ms| gate.take(&limits, at_ms).is_ok()), [true, true, false]);
        assert!(gate.take(&limits, 0).is_err_and(|wait_ms| wait_ms <= MINUTE_MS));
        assert_eq!(gate.take(&limits, MINUTE_MS), Ok(()));
    }

    #[test]
    fn idle_gates_make_room_and_busy_ones_stay() {
        let gates = Gates::default();
        let held = gates.get(0, 0);
        gates.get(1, 0).close_until(1 << 40);
        for key in 2..GATES_MAX + 10 {
            gates.get(key, if key < GATES_MAX { 0 } else { MINUTE_MS * 2 });
        }
        let kept = gates.0.lock().expect("not poisoned");
        assert!(kept.len() < 20, "{}", kept.len());
        assert!(kept.contains_key(&0) && kept.contains_key(&1));
        drop(held);
    }
}
