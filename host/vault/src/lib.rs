//! The vault: credentials of connections, sealed at rest.
//!
//! Owns the key file, the format of sealed values and the only serialised form of
//! a credential. Refuses to know plugins, flows and requests. Invariants: a sealed
//! value opens only under its own environment, connection and field; a nonce is
//! never used twice; nothing here prints or logs a secret.

mod error;
mod key;
mod seal;
mod secrets;
mod vault;

pub use error::VaultError;
pub use secrets::{SECRET_BYTES_MIN, Secrets};
pub use vault::Vault;
