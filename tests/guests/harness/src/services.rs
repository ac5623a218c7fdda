//! What the host does for a guest beside sending requests: a small store in memory, and
//! keys whose codes anyone could compute.
//!
//! The engine's own are tested there; here it matters what a guest can make of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::KeyName;
use sandbox::{Boxed, Expected, KeyRing, MacAlgorithm, StateEntry, StateError, StateStore, Swap};

/// What the engine gives a connector in one flow.
const BYTES_MAX: u64 = 1 << 20;
const VALUE_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<HashMap<String, StateEntry>>);

impl Shelf {
    fn put(&self, key: String, expected: Expected, value: Vec<u8>) -> Result<Swap, StateError> {
        if value.len() as u64 > VALUE_BYTES_MAX {
            return Err(StateError::Limit { which: "state_value_bytes", limit: VALUE_BYTES_MAX });
        }
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = shelf.get(&key).cloned();
        let version = found.as_ref().map(|entry| entry.version);
        let holds = match expected {
            Expected::Anything => true,
            Expected::Nothing => version.is_none(),
            Expected::Version(wanted) => version == Some(wanted),
        };
        if !holds {
            return Ok(Swap::Differs(found));
        }
        let others = shelf.iter().filter(|(known, _)| **known != key);
        let bytes: usize = others.map(|(known, entry)| known.len() + entry.value.len()).sum();
        if (bytes + key.len() + value.len()) as u64 > BYTES_MAX {
            return Err(StateError::Limit { which: "state_bytes", limit: BYTES_MAX });
        }
        let version = version.unwrap_or_default() + 1;
        shelf.insert(key, StateEntry { value, version });
        Ok(Swap::Done(version))
    }
}

impl StateStore for Shelf {
    fn get(&self, key: String) -> Boxed<'_, Result<Option<StateEntry>, StateError>> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn set(&self, key: String, expected: Expected, value: Vec<u8>) -> Boxed<'_, Result<Swap, StateError>> {
        Box::pin(async move { self.put(key, expected, value) })
    }

    fn delete(&self, key: String) -> Boxed<'_, Result<bool, StateError>> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key).is_some();
        Box::pin(async move { Ok(found) })
    }
}

/// Keys, of which the manifest asks for one.
#[derive(Debug)]
pub(crate) struct Keys(pub(crate) KeyName);

impl KeyRing for Keys {
    fn mac(&self, _key: KeyName, _algorithm: MacAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        Some(message.iter().rev().copied().collect())
    }

    fn verify(&self, key: KeyName, algorithm: MacAlgorithm, message: &[u8], code: &[u8]) -> Option<bool> {
        self.mac(key, algorithm, message).map(|wanted| wanted == code)
    }

    fn allows(&self, key: KeyName) -> bool {
        key == self.0
    }
}
