//! The host's one way out, shared by all calls.

use std::sync::Arc;

use model::{ConnectionId, Digest, Environment};

use crate::gate::{Gates, WAIT_MS_MAX};
use crate::options::{Clock, EgressOptions, StartError};
use crate::session::{Session, SessionSpec};
use crate::tls;
use crate::transport::Transport;
use crate::wire::Wire;

/// Pools, gates and settings that all calls share.
pub struct Egress {
    pub(crate) clock: Clock,
    pub(crate) options: EgressOptions,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) plugin_gates: Gates<(Digest, Environment)>,
    /// All versions of a connector share the gate of a connection.
    pub(crate) connection_gates: Gates<(Environment, ConnectionId)>,
}

impl Egress {
    /// Sets up TLS and the network.
    ///
    /// # Errors
    /// When the additional root certificates cannot be read.
    pub fn new(options: EgressOptions) -> Result<Self, StartError> {
        let tls = tls::client_config(&options.extra_roots_pem)?;
        let wire = Wire::new(options.clone(), tls);
        Ok(Self::with_transport(options, Arc::new(wire)))
    }

    /// The same decisions over another transport, such as recorded answers.
    pub fn with_transport(options: EgressOptions, transport: Arc<dyn Transport>) -> Self {
        Self {
            clock: Arc::clone(&options.clock_ms),
            options,
            transport,
            plugin_gates: Gates::default(),
            connection_gates: Gates::default(),
        }
    }

    /// How long nothing leaves over a connection, in milliseconds, since its remote asked
    /// to be left alone; none when it may.
    pub fn held_for_ms(&self, environment: &Environment, connection: &ConnectionId) -> Option<u64> {
        let gate = self.connection_gates.find(&(environment.clone(), connection.clone()))?;
        let now_ms = (self.clock)();
        gate.closed_until(now_ms).map(|until_ms| until_ms - now_ms)
    }

    /// Nothing leaves over a connection for so long, at most an hour: what its remote
    /// asked for by other means than `Retry-After`, or before a restart.
    pub fn hold_for_ms(&self, environment: &Environment, connection: &ConnectionId, wait_ms: u64) {
        let now_ms = (self.clock)();
        let gate = self.connection_gates.get((environment.clone(), connection.clone()), now_ms);
        gate.close_until(now_ms.saturating_add(wait_ms.min(WAIT_MS_MAX)));
    }

    /// The way out of one call.
    pub fn session(self: &Arc<Self>, spec: SessionSpec) -> Arc<Session> {
        Arc::new(Session::new(Arc::clone(self), spec))
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("options", &self.options).finish_non_exhaustive()
    }
}
