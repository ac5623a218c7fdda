//! What the host does for a call beside sending requests: keep a little state, and
//! compute with keys that stay in the host.
//!
//! Owns the two traits that the engine implements, and their words. A call without a
//! service is told so in a typed answer; it is never a trap.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use model::KeyName;

/// A boxed future, so that the traits can be objects.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the host does for one call. The default: nothing.
#[derive(Debug, Clone, Default)]
pub struct Services {
    /// None: the call belongs to no flow.
    pub state: Option<Arc<dyn StateStore>>,
    /// None: the call has no connection.
    pub keys: Option<Arc<dyn KeyRing>>,
}

/// The connector's own small store, for one flow of one environment. Keys have been
/// checked: 1 to 200 bytes.
pub trait StateStore: fmt::Debug + Send + Sync {
    /// What is kept under a key.
    fn get(&self, key: String) -> Boxed<'_, Result<Option<StateEntry>, StateError>>;

    /// Writes durably where the expectation holds.
    fn set(&self, key: String, expected: Expected, value: Vec<u8>) -> Boxed<'_, Result<Swap, StateError>>;

    /// Removes durably; false when nothing was there.
    fn delete(&self, key: String) -> Boxed<'_, Result<bool, StateError>>;
}

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEntry {
    /// The bytes.
    pub value: Vec<u8>,
    /// Changes with every write; never used again for this key.
    pub version: u64,
}

/// What must be there for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever.
    Anything,
    /// Nothing.
    Nothing,
    /// The entry of this version.
    Version(u64),
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// It was written: its version.
    Done(u64),
    /// Something else is there.
    Differs(Option<StateEntry>),
}

/// Why state could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A quota of the store.
    #[error("the connector reached its limit {which} = {limit}")]
    Limit {
        /// `state_bytes`, `state_value_bytes`, `state_keys`.
        which: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The disk failed.
    #[error("the state could not be kept: {0}")]
    Failed(String),
}

/// The keys of one connection. An implementation computes and never shows a key.
pub trait KeyRing: fmt::Debug + Send + Sync {
    /// The whole authentication code of `message` (RFC 2104); None: there is no such key.
    fn mac(&self, key: KeyName, algorithm: MacAlgorithm, message: &[u8]) -> Option<Vec<u8>>;

    /// Whether `code` is the whole authentication code of `message`, compared in
    /// constant time; None: there is no such key.
    fn verify(&self, key: KeyName, algorithm: MacAlgorithm, message: &[u8], code: &[u8]) -> Option<bool>;

    /// Whether the connector asked for the key, and an administrator saw it.
    fn allows(&self, key: KeyName) -> bool;
}

/// How an authentication code is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacAlgorithm {
    /// HMAC with SHA-256: 32 bytes.
    HmacSha256,
    /// HMAC with SHA-1: 20 bytes. Sound as HMAC, and what older services use.
    HmacSha1,
    /// HMAC with SHA-512: 64 bytes.
    HmacSha512,
}
