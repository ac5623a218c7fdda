//! Message authentication with keys that stay in the host. The manifest says which ones
//! are used, and why: `connection: { keys: [{ name: "credential", why: "..." }] }`.

use std::fmt;

use crate::error::Error;
use crate::host;

/// A key, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The secret of the connection's credential.
    Credential,
    /// What verifies the connection's webhooks. It never signs.
    WebhookSecret,
}

/// How a code is computed (RFC 2104).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// 32 bytes.
    HmacSha256,
    /// 20 bytes; for older services.
    HmacSha1,
    /// 64 bytes.
    HmacSha512,
}

/// Why there is no code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CryptoError {
    /// The key may not be used, or not in this way.
    Denied {
        /// The rule that decided.
        rule: String,
        /// What would change it.
        fix: String,
    },
    /// The connection has no such key.
    NoKey(String),
    /// A limit was reached.
    LimitExceeded {
        /// Its name.
        which: String,
        /// Its value.
        limit: u64,
    },
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { rule, fix } => write!(f, "denied by policy: {rule}. {fix}"),
            Self::NoKey(why) => f.write_str(why),
            Self::LimitExceeded { which, limit } => write!(f, "the call reached its limit {which} = {limit}"),
        }
    }
}

impl std::error::Error for CryptoError {}

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        Self::permanent(error)
    }
}

/// The whole authentication code of a message.
///
/// # Errors
/// When the key may not be used, or is not there.
pub fn sign(key: Key, algorithm: Algorithm, message: impl AsRef<[u8]>) -> Result<Vec<u8>, CryptoError> {
    host::sign(key, algorithm, message.as_ref())
}

/// Whether `code` is the whole authentication code of a message, compared in constant
/// time.
///
/// # Errors
/// When the key may not be used, or is not there.
pub fn verify(
    key: Key,
    algorithm: Algorithm,
    message: impl AsRef<[u8]>,
    code: impl AsRef<[u8]>,
) -> Result<bool, CryptoError> {
    host::verify(key, algorithm, message.as_ref(), code.as_ref())
}
