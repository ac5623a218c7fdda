//! What starts a flow, in the form that the engine acts on.

use model::{ConnectionId, OperationRef, Webhook};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schedule::Schedule;

/// What starts a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Trigger {
    /// A connector's webhook trigger.
    Connector {
        /// Which.
        uses: OperationRef,
        /// Whose webhook secret verifies.
        connection: ConnectionId,
        /// Its configuration; fits the trigger's schema.
        config: Value,
        /// How deliveries are verified and named, as the manifest said at save.
        webhook: Webhook,
        /// JSON Schema of its events.
        event: Value,
        /// Whether deliveries also have to know an address that cannot be guessed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hook_token: bool,
        /// The connector sets its webhook up itself; how a person does it instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subscribe: Option<String>,
    },
    /// A connector's trigger that the host asks, now and then.
    Poll(Poll),
    /// Any sender; the body is the event.
    Webhook {
        /// How deliveries are verified and named.
        webhook: Webhook,
        /// Whose webhook secret verifies.
        connection: ConnectionId,
        /// JSON Schema of its events; none: anything.
        event: Option<Value>,
        /// Whether deliveries also have to know an address that cannot be guessed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hook_token: bool,
    },
    /// Times of the calendar, or a steady interval.
    Schedule(Schedule),
    /// A person, or the API.
    Manual {
        /// JSON Schema of its input; none: anything.
        input: Option<Value>,
    },
    /// A step of another flow.
    Call {
        /// JSON Schema of its input; none: anything.
        input: Option<Value>,
        /// JSON Schema of its output; none: anything. Only what it names is returned.
        output: Option<Value>,
        /// It only reads and computes.
        #[serde(default)]
        function: bool,
    },
}

/// How a trigger is asked for its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Poll {
    /// Which.
    pub uses: OperationRef,
    /// As which account.
    pub connection: Option<ConnectionId>,
    /// Its configuration; fits the trigger's schema.
    pub config: Value,
    /// The time between two polls, in milliseconds.
    pub every_ms: u64,
    /// Where the first one begins.
    pub from: Start,
    /// JSON Schema of its events.
    pub event: Value,
}

/// Where the first poll of a flow begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// With what happens from now on: no flood of what is there already.
    #[default]
    Now,
    /// With everything there is.
    Beginning,
}

/// Synchronous mode: the flow's output answers the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Respond {
    /// How long the sender is kept waiting, in milliseconds.
    pub within_ms: u64,
}
