//! A small store of the connector's own, for one flow: what one call keeps, a later call
//! for the same flow finds. At most 1 MiB, 64 KiB for one value.
//!
//! What a poll has seen belongs into its cursor, which the host keeps in one batch with
//! the events; this store is not part of that batch.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::{host, reading};

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The value.
    pub value: T,
    /// Changes with every write.
    pub version: u64,
}

/// Why something could not be kept or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateError {
    /// The call belongs to no flow.
    Unavailable(String),
    /// A key has 1 to 200 bytes.
    InvalidKey(String),
    /// A limit was reached.
    LimitExceeded {
        /// Its name.
        which: String,
        /// Its value.
        limit: u64,
    },
    /// The disk failed, or the value is not of the type asked for.
    Failed(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) | Self::InvalidKey(why) | Self::Failed(why) => f.write_str(why),
            Self::LimitExceeded { which, limit } => write!(f, "the connector reached its limit {which} = {limit}"),
        }
    }
}

impl std::error::Error for StateError {}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Failed(_) => Self::transient(error),
            StateError::Unavailable(_) | StateError::InvalidKey(_) | StateError::LimitExceeded { .. } => {
                Self::permanent(error)
            }
        }
    }
}

/// The value under a key; None: there is none.
///
/// # Errors
/// When it cannot be read, or is of another type.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, StateError> {
    Ok(entry(key)?.map(|entry| entry.value))
}

/// The value under a key with its version, for [`replace`].
///
/// # Errors
/// When it cannot be read, or is of another type.
pub fn entry<T: DeserializeOwned>(key: &str) -> Result<Option<Entry<T>>, StateError> {
    let Some(found) = host::get_state(key)? else { return Ok(None) };
    let value = reading::parse(&found.value)
        .map_err(|error| StateError::Failed(format!("what is kept under {key:?} is something else: {error}")))?;
    Ok(Some(Entry { value, version: found.version }))
}

/// Keeps a value, whatever was there. On disk when this returns.
///
/// # Errors
/// When a limit is reached or the disk fails.
pub fn set<T: Serialize>(key: &str, value: &T) -> Result<(), StateError> {
    host::set_state(key, &to_bytes(value)?).map(|_| ())
}

/// Keeps a value if what is there has this version (None: if nothing is there); false
/// when something else is. On disk when this returns.
///
/// # Errors
/// When a limit is reached or the disk fails.
pub fn replace<T: Serialize>(key: &str, expected: Option<u64>, value: &T) -> Result<bool, StateError> {
    host::replace_state(key, expected, &to_bytes(value)?)
}

/// Removes what is there; false when nothing was. On disk when this returns.
///
/// # Errors
/// When a limit is reached or the disk fails.
pub fn delete(key: &str) -> Result<bool, StateError> {
    host::delete_state(key)
}

fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, StateError> {
    serde_json::to_vec(value).map_err(|error| StateError::Failed(format!("the value is no JSON: {error}")))
}
