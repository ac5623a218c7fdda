//! JSON into types, along one path.
//!
//! Every text becomes a `Value` first and a type from there. The parser then exists
//! once in a component, not once for each type, which halves what a connector's types
//! weigh; texts here are small enough not to notice the detour.

use serde::de::DeserializeOwned;
use serde_json::{Error, Value};

/// A type from a JSON text.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    T::deserialize(&serde_json::from_slice::<Value>(text)?)
}
