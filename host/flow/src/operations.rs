//! What the check asks of the host: which connectors and connections there are.
//!
//! The engine implements it over its tables; the check never sees storage.

use std::sync::Arc;

use model::{ConnectionId, Manifest, PluginId, Scope};

/// Looks up connectors and connections of the environment a flow is checked for.
pub trait Operations {
    /// The manifest of the connector that a flow saved now would use.
    fn manifest(&self, plugin: &PluginId) -> Option<Arc<Manifest>>;

    /// Every connector there is, for suggestions.
    fn plugins(&self) -> Vec<PluginId>;

    /// What is known of a connection.
    fn connection(&self, id: &ConnectionId) -> Option<ConnectionFacts>;

    /// Every connection there is, for suggestions.
    fn connections(&self) -> Vec<ConnectionId>;
}

/// What the check needs to know of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The connector it is an account of.
    pub plugin: PluginId,
    /// The scopes its credential holds.
    pub scopes: Vec<Scope>,
}
