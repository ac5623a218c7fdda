//! The host's one way out, shared by all calls.

use std::sync::Arc;

use model::{ConnectionId, Digest, Environment};

use crate::gate::Gates;
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

    /// The way out of one call.
    pub fn session(self: &Arc<Self>, spec: SessionSpec) -> Session {
        Session::new(Arc::clone(self), spec)
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("options", &self.options).finish_non_exhaustive()
    }
}
