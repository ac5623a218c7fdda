//! The host's side of `state`: keys, sizes and budgets; the store is the engine's.
//!
//! A refusal is an ordinary answer to the guest. Whether a value fits the quota is for
//! the store to say, since other calls write to it too.

use crate::bindings::state;
use crate::host::DESCRIBING;
use crate::services::{Expected, StateEntry, StateError, StateStore, Swap};
use crate::state::State;
use std::sync::Arc;

/// A key. 200 bytes: a URL's worth, and far below what the store takes.
const KEY_BYTES_MAX: usize = 200;
/// Writes of one call. Each is a flush of the disk; what needs more belongs into the
/// cursor, or into fewer values.
const WRITES_MAX: u64 = 100;
/// Reads of one call; each may go to the disk.
const READS_MAX: u64 = 1_000;

/// What one call has done with its state.
#[derive(Debug, Default)]
pub(crate) struct StateUse {
    reads: u64,
    writes: u64,
}

impl state::Host for State {
    async fn get(&mut self, key: String) -> Result<Option<state::Entry>, state::StateError> {
        let store = self.store_for(&key)?;
        self.state_use.reads += 1;
        self.within("state_reads", self.state_use.reads, READS_MAX)?;
        let found = store.get(key).await.map_err(|error| self.told(error))?;
        Ok(found.map(to_entry))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Result<u64, state::StateError> {
        match self.write(key, Expected::Anything, value).await? {
            Swap::Done(version) => Ok(version),
            Swap::Differs(_) => {
                Err(state::StateError::Failed("the store refused a write without condition".to_owned()))
            }
        }
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
    ) -> Result<state::Swap, state::StateError> {
        let expected = expected.map_or(Expected::Nothing, Expected::Version);
        match self.write(key, expected, value).await? {
            Swap::Done(version) => Ok(state::Swap::Done(version)),
            Swap::Differs(found) => Ok(state::Swap::Differs(found.map(to_entry))),
        }
    }

    async fn delete(&mut self, key: String) -> Result<bool, state::StateError> {
        let store = self.store_for(&key)?;
        self.count_write()?;
        store.delete(key).await.map_err(|error| self.told(error))
    }
}

impl State {
    async fn write(&mut self, key: String, expected: Expected, value: Vec<u8>) -> Result<Swap, state::StateError> {
        let store = self.store_for(&key)?;
        self.count_write()?;
        store.set(key, expected, value).await.map_err(|error| self.told(error))
    }

    fn store_for(&self, key: &str) -> Result<Arc<dyn StateStore>, state::StateError> {
        if self.session.is_none() {
            return Err(state::StateError::Unavailable(DESCRIBING.0.to_owned()));
        }
        let no_flow = || state::StateError::Unavailable("state belongs to a flow, and none makes this call".to_owned());
        let store = self.services.state.clone().ok_or_else(no_flow)?;
        if (1..=KEY_BYTES_MAX).contains(&key.len()) {
            return Ok(store);
        }
        let why = format!("the key has {} bytes, not 1 to {KEY_BYTES_MAX}", key.len());
        Err(state::StateError::InvalidKey(why))
    }

    fn count_write(&mut self) -> Result<(), state::StateError> {
        self.state_use.writes += 1;
        self.within("state_writes", self.state_use.writes, WRITES_MAX)
    }

    fn within(&mut self, which: &'static str, used: u64, limit: u64) -> Result<(), state::StateError> {
        if used <= limit { Ok(()) } else { Err(self.told(StateError::Limit { which, limit })) }
    }

    fn told(&mut self, error: StateError) -> state::StateError {
        match error {
            StateError::Limit { which, limit } => {
                self.refuse(which, limit);
                state::StateError::LimitExceeded(state::StateLimit { which: which.to_owned(), limit })
            }
            StateError::Failed(why) => state::StateError::Failed(why),
        }
    }
}

fn to_entry(entry: StateEntry) -> state::Entry {
    state::Entry { value: entry.value, version: entry.version }
}
