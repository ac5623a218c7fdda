//! What forms can ask a connector: choices, fields of an account's own, and what became
//! of configuration that an earlier version took.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Need, ScopeAsked};
use crate::name::{FieldId, OperationId};
use crate::reach::Reach;

/// What a connector's forms can offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Where it sends requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Reach>,
    /// Whether it works with an account.
    #[serde(default)]
    pub connection: Need,
    /// The scopes it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeAsked>,
    /// The fields it knows values for. A schema's field names one: `"choices": "channel"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choices>,
    /// The objects whose fields differ from account to account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<CustomObject>,
}

/// A field with values to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// Its name, stable for ever.
    pub field: FieldId,
    /// What is chosen: `A channel`.
    pub label: String,
    /// Which are offered, in a sentence or two.
    pub help: String,
    /// The fields of the form that must be filled in before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// An object whose fields differ from account to account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomObject {
    /// Its name, stable for ever.
    pub object: FieldId,
    /// What people call it.
    pub label: String,
}

/// Stored configuration of an operation that this version carries over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// The action or trigger.
    pub operation: OperationId,
    /// Configuration written for versions before this one needs it.
    #[schemars(with = "String")]
    pub before: semver::Version,
    /// What changes about it, in plain words.
    pub what: String,
}
