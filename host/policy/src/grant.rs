//! Grants: what an administrator gives a connector, as a template without digest.
//!
//! Binding a grant to a digest and an environment makes an `Approval`; only that is
//! ever in force.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use model::{FolderName, LimitsPart, NameError, OperationId, PluginId, Problem, Scope, Team};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::NamedAddress;
use crate::date::Date;
use crate::rule::{FolderPath, GrantRule, as_text};

/// What an administrator gives a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The format: 1.
    pub version: u32,
    /// The connector that it is for.
    pub plugin: PluginId,
    /// What it is for, in the administrator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The day by which someone should look at it again; shown, stops nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_by: Option<Date>,
    /// The teams whose connections may be used; empty: everyone's. Operations
    /// without a connection are refused when teams are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<Team>,
    /// The scopes that operations may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// Non-public addresses that may be dialled, each with its port; the ceiling
    /// must name them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<NamedAddress>,
    /// The operations that may be used and where each may send requests; `"*"`
    /// stands for every operation of the connector.
    #[serde(default)]
    pub operations: BTreeMap<OperationKey, GrantedOperation>,
    /// Limits given; others keep the platform's defaults.
    #[serde(default)]
    pub limits: LimitsPart,
    /// Folders opened, by the name the connector calls them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub folders: BTreeMap<FolderName, FolderGrant>,
}

/// What one operation is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantedOperation {
    /// Where it may send requests.
    #[serde(default)]
    pub destinations: Vec<GrantRule>,
}

/// A folder that a grant opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderGrant {
    /// Where it is on this host.
    pub path: FolderPath,
    /// What may be done in it.
    pub access: FolderAccess,
}

/// What may be done in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FolderAccess {
    /// List and read.
    Read,
    /// Read, write, append, rename.
    Write,
}

impl FolderAccess {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// For which operation: `"*"` or a name; `check` is the test of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum OperationKey {
    /// Every operation of the connector.
    Every,
    /// This one.
    One(OperationId),
}

as_text! { OperationKey, NameError; }

impl FromStr for OperationKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "*" => Ok(Self::Every),
            name => name.parse().map(Self::One),
        }
    }
}

impl fmt::Display for OperationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::One(id) => id.fmt(f),
        }
    }
}

impl Grant {
    /// Reads a grant; `file_name` stands in problems.
    ///
    /// # Errors
    /// Every problem of the document, each with `file:line:column`.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Vec<Problem>> {
        let _ = text;
        Err(vec![Problem::new("syntax", format!("{file_name} could not be read"))])
    }
}
