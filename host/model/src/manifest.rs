//! The manifest: what a connector declares about itself.
//!
//! Owns the document format (version 1, strict) and its checks that need nothing but
//! the document. Whether the component keeps its word is the sandbox's to find out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::LimitsPart;
use crate::name::{OperationId, PluginId, Scope};
use crate::reach::Reach;

mod check;
mod discovery;
mod trigger;

pub use discovery::{Choices, CustomObject, Discovery, Migration};
pub use trigger::{Poll, Subscription, Trigger, TriggerKind, TriggerSample};

/// What a connector declares about itself, as its `describe` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format: 1.
    pub manifest_version: u32,
    /// The connector, the same in every version.
    pub id: PluginId,
    /// Semantic version of this component.
    #[schemars(with = "String")]
    pub version: semver::Version,
    /// The name people know: `GitHub`.
    pub label: String,
    /// Who publishes it.
    pub publisher: String,
    /// SPDX expression.
    pub license: String,
    /// Where people read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Who answers for it.
    pub support: Support,
    /// Words of the catalogue: `chat`, `code`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// An SVG document of at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// What it is for, in one paragraph.
    pub purpose: String,
    /// Which data it handles, in plain words.
    pub data: String,
    /// What an administrator should think of before approving.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<String>,
    /// From when on it should not be used, and what instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
    /// The account it works with; none for connectors without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionSpec>,
    /// What flows can do with it.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// What starts flows.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// What its forms can offer; none when `discovery` is not exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    /// The stored configurations that it carries over from earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<Migration>,
    /// Ready-made choices of scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope_templates: Vec<ScopeTemplate>,
    /// The limits it asks for.
    #[serde(default)]
    pub limits: LimitsPart,
}

/// Who answers for a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Support {
    /// The team or person that owns it.
    pub owner: String,
    /// Mail address or URL.
    pub contact: String,
    /// What may be expected: `community`, `working days`, ...
    pub policy: String,
}

/// Notice that something goes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deprecated {
    /// Why, and what to use instead.
    pub notice: String,
    /// ISO 8601 date after which it may stop working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_life: Option<String>,
}

/// The account that a connector works with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSpec {
    /// Where the service lives, when a connection may say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<BaseUrl>,
    /// The ways to authenticate, the recommended one first.
    pub auth: Vec<AuthScheme>,
    /// What `account.check` reaches; none when it is not exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// The keys that it computes with, which stay in the host; none: `crypto` is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyAsked>,
}

/// A secret that stays in the host and that a connector may compute with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyName {
    /// The secret of the connection's credential: signs and verifies.
    Credential,
    /// What verifies the connection's webhooks: verifies and never signs.
    WebhookSecret,
}

impl KeyName {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::WebhookSecret => "webhook-secret",
        }
    }
}

/// A key that a connector computes with, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyAsked {
    /// Which.
    pub name: KeyName,
    /// Why, in plain words.
    pub why: String,
}

/// A configurable place of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseUrl {
    /// Used when a connection says none; none here: every connection must say one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What to enter, in plain words.
    pub help: String,
}

/// What testing a connection reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Where it sends requests.
    pub destinations: Vec<Reach>,
    /// The scopes it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeAsked>,
}

/// A way to authenticate; the host adds the credential, the connector never sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AuthScheme {
    /// `Authorization: Bearer TOKEN`
    Bearer {
        /// What to enter and where to find it.
        help: String,
    },
    /// `Authorization: Basic ...`
    Basic {
        /// What to enter and where to find it.
        help: String,
    },
    /// A header of the service's own.
    Header {
        /// Its name; none: the connection says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What stands before the credential: `Token `.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// What to enter and where to find it.
        help: String,
    },
    /// A parameter of the query.
    Query {
        /// Its name; none: the connection says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What to enter and where to find it.
        help: String,
    },
    /// No credential.
    None {
        /// Why none is needed.
        help: String,
    },
}

impl AuthScheme {
    /// The scheme's name in documents and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bearer { .. } => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::Query { .. } => "query",
            Self::None { .. } => "none",
        }
    }
}

/// What an action does at the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Makes something new.
    Create,
    /// Changes something.
    Update,
    /// Removes something.
    Delete,
}

/// What happens when an action is performed twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Idempotency {
    /// The same as once, by nature.
    Natural,
    /// The same as once, since the remote knows the key.
    Key {
        /// Where the key goes: a header's name, or a word on the field.
        place: String,
    },
    /// It takes effect twice: the host never repeats it silently.
    None,
}

/// Whether an operation works with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// It takes none.
    #[default]
    None,
    /// With or without.
    Optional,
    /// Only with one.
    Required,
}

/// What an operation does in granted folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileAccess {
    /// Nothing.
    #[default]
    None,
    /// Lists and reads.
    Read,
    /// Reads, writes, appends, renames.
    Write,
}

/// A scope that an operation needs, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeAsked {
    /// Its name at the remote.
    pub name: Scope,
    /// Why, in plain words.
    pub why: String,
}

/// How often the remote service lets something be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateHint {
    /// This many calls ...
    pub calls: u32,
    /// ... in this many seconds.
    pub per_s: u32,
}

/// A ready-made choice of scopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeTemplate {
    /// `read-only`, `events-only`, `full`.
    pub id: String,
    /// What one can do with it.
    pub label: String,
    /// The scopes.
    pub scopes: Vec<Scope>,
}

/// Something a flow can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Its name, stable for ever.
    pub id: OperationId,
    /// What people click: `Post a message`.
    pub label: String,
    /// What it does, in a sentence or two.
    pub help: String,
    /// What it does at the remote.
    pub effect: Effect,
    /// What happens when it is performed twice.
    pub idempotency: Idempotency,
    /// Where it sends requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Reach>,
    /// What it does in granted folders.
    #[serde(default)]
    pub files: FileAccess,
    /// Whether it works with an account.
    #[serde(default)]
    pub connection: Need,
    /// The scopes it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeAsked>,
    /// JSON Schema of its input, with presentation hints.
    pub input: Value,
    /// JSON Schema of its output; `required` fields are guaranteed.
    pub output: Value,
    /// An example, as `plugin test` runs it.
    pub sample: Sample,
    /// How often the service lets it be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateHint>,
    /// JSON Pointer (RFC 6901) to a field of the input: calls with the same value there
    /// disturb each other, so that they are better made one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// Notice that it goes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
}

/// An example of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Fits the input schema.
    pub input: Value,
    /// Fits the output schema.
    pub output: Value,
}

/// Either kind of operation.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// An action.
    Action(&'a Action),
    /// A trigger.
    Trigger(&'a Trigger),
}

impl Manifest {
    /// The action of this name.
    pub fn action(&self, id: &OperationId) -> Option<&Action> {
        self.actions.iter().find(|action| action.id == *id)
    }

    /// The trigger of this name.
    pub fn trigger(&self, id: &OperationId) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.id == *id)
    }
}
