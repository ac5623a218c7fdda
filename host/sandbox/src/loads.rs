//! Who loads which component at the moment, and what is loaded.
//!
//! Whoever wants a component that somebody is loading waits, and shares what comes of
//! it, be it the component or the refusal: a component that takes the compiler minutes
//! to give up on costs them once. Who asks later tries again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use model::Digest;

use crate::error::LoadError;
use crate::plugin::Loaded;

/// Names that are kept before those that nobody uses are forgotten. 1,024: more than a
/// host has plugins, for 100 KiB.
const SLOTS_MAX: usize = 1_024;

/// What is loaded, by digest.
#[derive(Default)]
pub(crate) struct Loads {
    slots: Mutex<HashMap<Digest, Arc<Slot>>>,
}

/// One component.
#[derive(Default)]
struct Slot {
    /// Attempts that have ended.
    ended: AtomicU64,
    /// Held while the component is loaded.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: Weak<Loaded>,
    /// Of the last attempt, if it failed.
    refused: Option<LoadError>,
}

impl Loads {
    /// The component if it is loaded, else what `load` makes of it; of all who ask at the
    /// same time, one does.
    pub(crate) fn once(
        &self,
        digest: Digest,
        load: impl FnOnce() -> Result<Arc<Loaded>, LoadError>,
    ) -> Result<Arc<Loaded>, LoadError> {
        let (slot, ended) = self.slot(digest);
        let mut state = lock(&slot.state);
        if let Some(loaded) = state.loaded.upgrade() {
            return Ok(loaded);
        }
        let shared = slot.ended.load(Ordering::Acquire) > ended;
        if let (true, Some(refused)) = (shared, &state.refused) {
            return Err(refused.clone());
        }
        let result = load();
        match &result {
            Ok(loaded) => *state = State { loaded: Arc::downgrade(loaded), refused: None },
            Err(error) => state.refused = Some(error.clone()),
        }
        slot.ended.fetch_add(1, Ordering::Release);
        result
    }

    /// The slot, and how many attempts had ended by now.
    fn slot(&self, digest: Digest) -> (Arc<Slot>, u64) {
        let mut slots = lock(&self.slots);
        if slots.len() >= SLOTS_MAX && !slots.contains_key(&digest) {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || lock(&slot.state).loaded.strong_count() > 0);
        }
        let slot = slots.entry(digest).or_default();
        let ended = slot.ended.load(Ordering::Acquire);
        (slot.clone(), ended)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn refusal() -> LoadError {
        LoadError::Compile("too much".to_owned())
    }

    #[test]
    fn who_waits_shares_the_refusal_and_who_comes_later_tries_again() {
        let (loads, tries) = (Loads::default(), AtomicUsize::new(0));
        let digest = Digest::of(b"bomb");
        let (slot, _) = loads.slot(digest);
        let ask = |others: usize| {
            let error = loads.once(digest, || {
                tries.fetch_add(1, Ordering::SeqCst);
                // The map holds the slot, so do this test and each who asks.
                while Arc::strong_count(&slot) < 2 + others {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(refusal())
            });
            assert_eq!(error.err(), Some(refusal()));
        };
        thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| ask(4)))));
        assert_eq!(tries.load(Ordering::SeqCst), 1, "four asked at once");
        ask(1);
        assert_eq!(tries.load(Ordering::SeqCst), 2, "another time, another try");
    }

    #[test]
    fn names_that_nobody_uses_are_forgotten() {
        let loads = Loads::default();
        let (held, _) = loads.slot(Digest::of(b"held"));
        for index in 0..SLOTS_MAX * 2 {
            let refused = loads.once(Digest::of(&index.to_le_bytes()), || Err(refusal()));
            assert!(refused.is_err());
        }
        assert!(lock(&loads.slots).len() <= SLOTS_MAX);
        assert!(Arc::ptr_eq(&held, &loads.slot(Digest::of(b"held")).0));
    }
}
