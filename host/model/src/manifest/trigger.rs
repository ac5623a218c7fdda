//! Triggers: how events come to the host, and what an example of one looks like.
//!
//! Invariant, kept by `Manifest::problems`: the kind says which of `webhook` and `poll`
//! there are, so that whoever matches on the kind finds them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Deprecated, FileAccess, Need, RateHint, ScopeAsked};
use crate::name::OperationId;
use crate::reach::Reach;
use crate::verification::Webhook;

/// Something that starts a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Its name, stable for ever.
    pub id: OperationId,
    /// What people click: `Issue changed`.
    pub label: String,
    /// When it fires, in a sentence or two.
    pub help: String,
    /// How its events come; `webhook` when left out.
    #[serde(default, skip_serializing_if = "TriggerKind::is_webhook")]
    pub kind: TriggerKind,
    /// How the host verifies and names its deliveries; none when it is only polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// How the host asks for its events; none when they are only delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// What setting up its webhook reaches; none: a person sets it up at the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// JSON Schema of its configuration.
    pub config: Value,
    /// JSON Schema of its events.
    pub event: Value,
    /// An example.
    pub sample: TriggerSample,
    /// Notice that it goes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
}

/// How a trigger's events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// The service delivers them.
    #[default]
    Webhook,
    /// The host asks for them.
    Poll,
    /// The service delivers them, and the host asks now and then for those that did not
    /// come. Both ways give one thing the same dedupe key.
    WebhookThenPoll,
}

impl TriggerKind {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Poll => "poll",
            Self::WebhookThenPoll => "webhook-then-poll",
        }
    }

    /// Whether the service delivers its events.
    pub fn is_delivered(self) -> bool {
        match self {
            Self::Webhook | Self::WebhookThenPoll => true,
            Self::Poll => false,
        }
    }

    /// Whether the host asks for its events.
    pub fn is_polled(self) -> bool {
        match self {
            Self::Poll | Self::WebhookThenPoll => true,
            Self::Webhook => false,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    fn is_webhook(&self) -> bool {
        match self {
            Self::Webhook => true,
            Self::Poll | Self::WebhookThenPoll => false,
        }
    }
}

/// How the host asks for a trigger's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The time between two polls when a flow says none, in seconds.
    pub every_s: u64,
    /// The shortest time between two polls that makes sense or that the service bears,
    /// in seconds; as `every_s` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s_min: Option<u64>,
    /// Where it sends requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Reach>,
    /// What it does in granted folders: nothing, or `read`.
    #[serde(default)]
    pub files: FileAccess,
    /// Whether it works with an account.
    #[serde(default)]
    pub connection: Need,
    /// The scopes it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeAsked>,
    /// How often the service lets it be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateHint>,
}

impl Poll {
    /// The shortest time between two polls, in seconds.
    pub fn every_s_min(&self) -> u64 {
        self.every_s_min.unwrap_or(self.every_s)
    }
}

/// What setting up, prolonging and taking away a trigger's webhook reaches. It always
/// works with an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Where it sends requests.
    pub destinations: Vec<Reach>,
    /// The scopes it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeAsked>,
    /// How a person sets the webhook up when the connector cannot, in plain words.
    pub by_hand: String,
}

/// An example of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerSample {
    /// Fits the configuration schema.
    pub config: Value,
    /// Header names in lower case.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// What the remote sends; a JSON text stands for its own bytes. Nothing when it is
    /// only polled.
    #[serde(default)]
    pub body: Value,
    /// The event it becomes; fits the event schema.
    pub event: Value,
}
