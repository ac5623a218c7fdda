//! Who asks: the approval of a plugin, the facts of a connection, the operation.

use model::{Action, Check, ConnectionId, Digest, Discovery, Environment, FileAccess, Need, OperationId, PluginId};
use model::{Poll, Reach, Scope, ScopeAsked, Subscription, Target, Team, Trigger};
use serde::{Deserialize, Serialize};

use crate::grant::Grant;

/// A grant bound to a digest and an environment by an administrator: what is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The component that it is for, and no other.
    pub digest: Digest,
    /// Where it holds.
    pub environment: Environment,
    /// What it gives.
    pub grant: Grant,
    /// The administrator.
    pub approved_by: String,
    /// In milliseconds since 1970-01-01 UTC.
    pub approved_at_ms: u64,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a decision needs to know of a connection; never its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Its id.
    pub id: ConnectionId,
    /// What people call it.
    pub label: String,
    /// The connector it is an account of.
    pub plugin: PluginId,
    /// Where it lives; it never leaves it.
    pub environment: Environment,
    /// The team that owns it, if one does.
    pub team: Option<Team>,
    /// Where its service lives; None: the manifest's default, if there is one.
    pub base_url: Option<Target>,
    /// The scopes that its credential holds.
    pub scopes: Vec<Scope>,
}

/// The operation that asks, and for which part of its work.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// An action of a flow's step.
    Action(&'a Action),
    /// The test of a connection.
    Check(&'a Check),
    /// A trigger that maps a delivery; it sends nothing.
    Trigger(&'a Trigger),
    /// A trigger that is asked for what happened.
    Poll(&'a Trigger, &'a Poll),
    /// A trigger that sets up, prolongs or takes away its webhook.
    Subscription(&'a Trigger, &'a Subscription),
    /// What a form asks while it is filled in.
    Discovery(&'a Discovery),
    /// Stored configuration that is carried over; it sends nothing.
    Migration(&'a OperationId),
}

impl<'a> Subject<'a> {
    /// Its name in grants: the operation's id, `check` or `discovery`.
    pub fn name(&self) -> &'a str {
        match self {
            Self::Action(action) => action.id.as_str(),
            Self::Check(_) => "check",
            Self::Discovery(_) => "discovery",
            Self::Trigger(trigger) | Self::Poll(trigger, _) | Self::Subscription(trigger, _) => trigger.id.as_str(),
            Self::Migration(operation) => operation.as_str(),
        }
    }

    /// Where it says it sends requests.
    pub fn reaches(&self) -> &'a [Reach] {
        match self {
            Self::Action(action) => &action.destinations,
            Self::Check(check) => &check.destinations,
            Self::Poll(_, poll) => &poll.destinations,
            Self::Subscription(_, subscription) => &subscription.destinations,
            Self::Discovery(discovery) => &discovery.destinations,
            Self::Trigger(_) | Self::Migration(_) => &[],
        }
    }

    /// The scopes it needs.
    pub fn scopes(&self) -> &'a [ScopeAsked] {
        match self {
            Self::Action(action) => &action.scopes,
            Self::Check(check) => &check.scopes,
            Self::Poll(_, poll) => &poll.scopes,
            Self::Subscription(_, subscription) => &subscription.scopes,
            Self::Discovery(discovery) => &discovery.scopes,
            Self::Trigger(_) | Self::Migration(_) => &[],
        }
    }

    /// What it does in granted folders.
    pub fn files(&self) -> FileAccess {
        match self {
            Self::Action(action) => action.files,
            Self::Poll(_, poll) => poll.files,
            Self::Check(_) | Self::Trigger(_) | Self::Subscription(..) | Self::Discovery(_) | Self::Migration(_) => {
                FileAccess::None
            }
        }
    }

    /// Whether it works with an account.
    pub fn need(&self) -> Need {
        match self {
            Self::Action(action) => action.connection,
            Self::Poll(_, poll) => poll.connection,
            Self::Discovery(discovery) => discovery.connection,
            Self::Check(_) | Self::Subscription(..) => Need::Required,
            Self::Trigger(_) => Need::Optional,
            Self::Migration(_) => Need::None,
        }
    }
}
