//! What the check asks of the host: which connectors and connections there are.
//!
//! The engine implements it over its tables; the check never sees storage.

use std::sync::Arc;

use model::{ConnectionId, FlowId, Manifest, PluginId, Scope};
use serde_json::Value;

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

    /// What is known of a published flow, as one that others may call.
    fn flow(&self, _id: &FlowId) -> Option<CallFacts> {
        None
    }

    /// Every published flow, for suggestions.
    fn flows(&self) -> Vec<FlowId> {
        Vec::new()
    }
}

/// What the check needs to know of a flow that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFacts {
    /// Whether its trigger is `call`.
    pub callable: bool,
    /// JSON Schema of its input; none: anything.
    pub input: Option<Value>,
    /// JSON Schema of its output; none: anything.
    pub output: Option<Value>,
    /// It only reads and computes.
    pub function: bool,
    /// The flows that it calls.
    pub calls: Vec<FlowId>,
}

impl CallFacts {
    /// What others may know of a flow.
    pub fn of(plan: &crate::plan::Plan) -> Self {
        use crate::plan::Trigger;
        let (callable, input, output, function) = match plan.trigger() {
            Trigger::Call { input, output, function } => (true, input.clone(), output.clone(), *function),
            Trigger::Connector { .. }
            | Trigger::Poll(_)
            | Trigger::Webhook { .. }
            | Trigger::Schedule(_)
            | Trigger::Manual { .. } => (false, None, None, false),
        };
        Self { callable, input, output, function, calls: plan.calls().into_iter().collect() }
    }
}

/// What the check needs to know of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The connector it is an account of.
    pub plugin: PluginId,
    /// The scopes its credential holds.
    pub scopes: Vec<Scope>,
}
