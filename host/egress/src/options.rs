//! What an operator may set, with defaults that suit most services.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::resolve::{Resolve, SystemResolver};

/// Milliseconds since 1970-01-01 UTC.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How the host sends.
#[derive(Clone)]
pub struct EgressOptions {
    /// From name to established connection, TLS included. 10 s: two lost packets
    /// at the start of a connection cost 3 s each.
    pub connect_timeout: Duration,
    /// From sending to the head of the answer. 20 s: below the default wall limit
    /// of a call, so that the connector can still say what failed.
    pub first_byte_timeout: Duration,
    /// Between two pieces of an answer's body. 10 s.
    pub idle_timeout: Duration,
    /// How long an unused connection is kept. 30 s: shorter than most services
    /// keep theirs, so that requests seldom meet a connection just closed.
    pub keep_alive: Duration,
    /// Pools kept (one for each plugin, connection, origin and address policy);
    /// the least recently used goes first. 512: some 20 KiB each.
    pub pools_max: usize,
    /// Certificates of authorities trusted besides the system's, as PEM.
    pub extra_roots_pem: Vec<u8>,
    /// Finds the addresses of names.
    pub resolver: Arc<dyn Resolve>,
    /// The time of day, in milliseconds since 1970-01-01 UTC.
    pub clock_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Default for EgressOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(30),
            pools_max: 512,
            extra_roots_pem: Vec::new(),
            resolver: Arc::new(SystemResolver),
            clock_ms: Arc::new(system_time_ms),
        }
    }
}

impl std::fmt::Debug for EgressOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EgressOptions").field("pools_max", &self.pools_max).finish_non_exhaustive()
    }
}

#[allow(clippy::disallowed_methods, reason = "the one default for the clock that callers may replace")]
fn system_time_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Why sending cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The extra roots are no certificates.
    #[error("the additional root certificates cannot be read: {0}")]
    Roots(String),
    /// There are extra roots, and no certificate among them.
    #[error(
        "the additional root certificates hold no certificate in PEM form; likely cause: they are in DER form, or a key"
    )]
    NoRoots,
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}
