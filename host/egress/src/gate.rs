//! How much at once and how often: one gate for each plugin, one for each connection.
//!
//! A gate has slots (requests under way), a rate (a token bucket that holds one
//! minute's worth), and the time before which the remote asked not to be bothered.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use model::Limits;
use tokio::sync::Semaphore;

/// A remote that asks for more is asked again after this: an hour.
const WAIT_MS_MAX: u64 = 3_600_000;
/// Gates kept before idle ones are dropped. A gate is some 200 bytes.
const GATES_MAX: usize = 10_000;
const MINUTE_MS: u64 = 60_000;

/// One plugin's or one connection's share of the way out.
pub(crate) struct Gate(Mutex<State>);

struct State {
    slots: Arc<Semaphore>,
    concurrency: u64,
    per_minute: u64,
    /// Requests left, times 60,000: one millisecond gives back `per_minute`.
    tokens: u64,
    counted_at_ms: u64,
    open_at_ms: u64,
}

impl Gate {
    fn new(limits: &Limits, now_ms: u64) -> Self {
        let per_minute = limits.requests_per_minute.max(1);
        Self(Mutex::new(State {
            slots: Arc::new(slots(limits)),
            concurrency: limits.concurrency,
            per_minute,
            tokens: per_minute.saturating_mul(MINUTE_MS),
            counted_at_ms: now_ms,
            open_at_ms: 0,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes leave for one request, or says in how many milliseconds there may be.
    pub(crate) fn take(&self, limits: &Limits, now_ms: u64) -> Result<(), u64> {
        let mut state = self.state();
        state.count(limits, now_ms);
        if state.open_at_ms > now_ms {
            return Err(state.open_at_ms - now_ms);
        }
        if state.tokens < MINUTE_MS {
            return Err((MINUTE_MS - state.tokens).div_ceil(state.per_minute));
        }
        state.tokens -= MINUTE_MS;
        Ok(())
    }

    /// Takes leave for a redirect, which is never refused but counts.
    pub(crate) fn charge(&self, limits: &Limits, now_ms: u64) {
        let mut state = self.state();
        state.count(limits, now_ms);
        state.tokens = state.tokens.saturating_sub(MINUTE_MS);
    }

    /// Gives leave back that was not used.
    pub(crate) fn give_back(&self) {
        let mut state = self.state();
        state.tokens = (state.tokens + MINUTE_MS).min(state.per_minute.saturating_mul(MINUTE_MS));
    }

    /// Nothing leaves before `until_ms`.
    pub(crate) fn close_until(&self, until_ms: u64) {
        let mut state = self.state();
        state.open_at_ms = state.open_at_ms.max(until_ms);
    }

    /// The slots for requests under way.
    pub(crate) fn slots(&self, limits: &Limits) -> Arc<Semaphore> {
        let mut state = self.state();
        if state.concurrency != limits.concurrency {
            // A grant has changed: requests under way finish on the old slots.
            state.concurrency = limits.concurrency;
            state.slots = Arc::new(slots(limits));
        }
        Arc::clone(&state.slots)
    }

    fn is_idle(&self, now_ms: u64) -> bool {
        let state = self.state();
        state.open_at_ms <= now_ms && state.counted_at_ms + MINUTE_MS < now_ms
    }
}

impl State {
    fn count(&mut self, limits: &Limits, now_ms: u64) {
        self.per_minute = limits.requests_per_minute.max(1);
        let passed_ms = now_ms.saturating_sub(self.counted_at_ms);
        let most = self.per_minute.saturating_mul(MINUTE_MS);
        self.tokens = self.tokens.saturating_add(passed_ms.saturating_mul(self.per_minute)).min(most);
        self.counted_at_ms = now_ms.max(self.counted_at_ms);
    }
}

fn slots(limits: &Limits) -> Semaphore {
    let most = usize::try_from(limits.concurrency).unwrap_or(usize::MAX);
    Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))
}

/// The gates of all plugins, or of all connections.
pub(crate) struct Gates<K>(Mutex<HashMap<K, Arc<Gate>>>);

impl<K> Default for Gates<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Gates<K> {
    pub(crate) fn get(&self, key: K, limits: &Limits, now_ms: u64) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= GATES_MAX && !gates.contains_key(&key) {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_idle(now_ms));
        }
        Arc::clone(gates.entry(key).or_insert_with(|| Arc::new(Gate::new(limits, now_ms))))
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
        let gate = Gate::new(&limits, start);
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
        let gate = Gate::new(&limits, 0);
        gate.close_until(5_000);
        gate.close_until(2_000);
        assert_eq!(gate.take(&limits, 1_000), Err(4_000));
        assert_eq!(gate.take(&limits, 5_000), Ok(()));
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
    fn idle_gates_make_room_and_busy_ones_stay() {
        let gates = Gates::default();
        let limits = limits(60);
        let held = gates.get(0, &limits, 0);
        gates.get(1, &limits, 0).close_until(1 << 40);
        for key in 2..GATES_MAX + 10 {
            gates.get(key, &limits, if key < GATES_MAX { 0 } else { MINUTE_MS * 2 });
        }
        let kept = gates.0.lock().expect("not poisoned");
        assert!(kept.len() < 20, "{}", kept.len());
        assert!(kept.contains_key(&0) && kept.contains_key(&1));
        drop(held);
    }
}
