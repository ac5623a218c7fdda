//! Who asks: the approval of a plugin, the facts of a connection, the operation.

use model::{Action, Check, ConnectionId, Digest, Environment, FileAccess, Need, PluginId};
use model::{Reach, Scope, ScopeAsked, Target, Team, Trigger};
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

/// The operation that asks.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// An action of a flow's step.
    Action(&'a Action),
    /// The test of a connection.
    Check(&'a Check),
    /// A trigger that maps a delivery; it sends nothing.
    Trigger(&'a Trigger),
}

impl<'a> Subject<'a> {
    /// Its name in grants: the operation's id, or `check`.
    pub fn name(&self) -> &'a str {
        match self {
            Self::Action(action) => action.id.as_str(),
            Self::Check(_) => "check",
            Self::Trigger(trigger) => trigger.id.as_str(),
        }
    }

    pub(crate) fn reaches(&self) -> &'a [Reach] {
        match self {
            Self::Action(action) => &action.destinations,
            Self::Check(check) => &check.destinations,
            Self::Trigger(_) => &[],
        }
    }

    pub(crate) fn scopes(&self) -> &'a [ScopeAsked] {
        match self {
            Self::Action(action) => &action.scopes,
            Self::Check(check) => &check.scopes,
            Self::Trigger(_) => &[],
        }
    }

    pub(crate) fn files(&self) -> FileAccess {
        match self {
            Self::Action(action) => action.files,
            Self::Check(_) | Self::Trigger(_) => FileAccess::None,
        }
    }

    pub(crate) fn need(&self) -> Need {
        match self {
            Self::Action(action) => action.connection,
            Self::Check(_) => Need::Required,
            Self::Trigger(_) => Need::Optional,
        }
    }
}
