//! The host's one way out, shared by all calls.

use std::sync::Arc;

use crate::options::{Clock, EgressOptions, StartError};
use crate::session::{Session, SessionSpec};

/// Pools, gates and settings that all calls share.
pub struct Egress {
    pub(crate) clock: Clock,
    pub(crate) options: EgressOptions,
}

impl Egress {
    /// Sets up TLS and the network transport.
    ///
    /// # Errors
    /// When the additional root certificates cannot be read.
    pub fn new(options: EgressOptions) -> Result<Self, StartError> {
        Ok(Self { clock: Arc::clone(&options.clock_ms), options })
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
