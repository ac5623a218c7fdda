//! What a connector may know of the call it serves. Never a secret.

/// The call that is being served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The flow, when one makes the call.
    pub flow: Option<String>,
    /// Its run.
    pub run: Option<String>,
    /// Its step.
    pub step: Option<String>,
    /// 1 for the first try.
    pub attempt: u32,
    /// The same for every try of one effect, and for nothing else.
    pub idempotency_key: String,
    /// `test`, `production`, ...
    pub environment: String,
    /// None: the operation needs no account.
    pub connection: Option<Connection>,
}

/// What is known of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// As its owner named it.
    pub label: String,
    /// Where the service lives.
    pub base_url: Option<String>,
    /// The scopes that the credential holds.
    pub scopes: Vec<String>,
}

/// The call that is being served.
pub fn current() -> Call {
    crate::host::call()
}

/// Milliseconds until the host ends this call.
pub fn remaining_ms() -> u64 {
    crate::host::remaining_ms()
}
