//! What the check asks of the host: which connectors and connections there are.
//!
//! The engine implements it over its tables; the check never sees storage.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{ConnectionId, FlowId, Manifest, PluginId, Scope};
use serde_json::Value;

/// Looks up connectors and connections of the environment a flow is checked for.
pub trait Operations {
    /// The manifest of the connector that a flow saved now would use.
    fn manifest(&self, plugin: &PluginId) -> Option<Arc<Manifest>>;

    /// Every connector there is, for suggestions.
    fn plugins(&self) -> Vec<PluginId>;

    /// Whether a connector is kept that no flow may use here, since nobody approved it.
    fn awaits_approval(&self, plugin: &PluginId) -> bool;

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
    /// Why its own steps must not be executed a second time for the same thing; none:
    /// they may.
    pub once: Option<String>,
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
        Self { callable, input, output, function, calls: plan.calls().into_iter().collect(), once: plan.why_once() }
    }
}

/// Why a flow, or one that it calls, must not be run a second time for the same thing;
/// none: it may.
pub fn why_once(flow: &FlowId, operations: &dyn Operations) -> Option<String> {
    why_once_below(flow, operations, &mut BTreeSet::new())
}

fn why_once_below(flow: &FlowId, operations: &dyn Operations, seen: &mut BTreeSet<FlowId>) -> Option<String> {
    if !seen.insert(flow.clone()) {
        return None;
    }
    let CallFacts { calls, once, .. } = operations.flow(flow)?;
    let below =
        |next: &FlowId| why_once_below(next, operations, seen).map(|why| format!("it calls flow {next}, and {why}"));
    once.or_else(|| calls.iter().find_map(below))
}

/// What the check needs to know of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The connector it is an account of.
    pub plugin: PluginId,
    /// The scopes its credential holds.
    pub scopes: Vec<Scope>,
}
