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
use crate::document::{Entry, Section, Source, VERSION, report_repeated, report_unknown_methods};
use crate::print::{Printer, key};
use crate::rule::{FolderPath, GrantRule, as_text};

/// The version of the document: 1, the only one there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(with = "u32", extend("const" = 1))]
pub struct Version;

/// A version that this release does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("version {0} of the grant is not read by this release, which reads 1")]
pub struct VersionError(u32);

impl TryFrom<u32> for Version {
    type Error = VersionError;

    fn try_from(version: u32) -> Result<Self, VersionError> {
        (version == VERSION).then_some(Self).ok_or(VersionError(version))
    }
}

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        VERSION
    }
}

/// What an administrator gives a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The format: 1.
    pub version: Version,
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

/// An access that folders do not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("access {0:?} is neither \"read\" nor \"write\"")]
pub struct AccessError(String);

impl FromStr for FolderAccess {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            other => Err(AccessError(other.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for FolderAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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

const KEYS: [&str; 10] =
    ["version", "plugin", "note", "review_by", "teams", "scopes", "addresses", "operations", "limits", "folders"];

impl Grant {
    /// Reads a grant; `file_name` stands in problems.
    ///
    /// # Errors
    /// Every problem of the document, each with `file:line:column`.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Vec<Problem>> {
        let (source, table) = Source::read(text, file_name)?;
        let root = Section::root(&source, &table, &KEYS);
        // Everything is read before anything is missed, so that every problem is told.
        let plugin = root.required("plugin", "plugin = \"the connector's id\"");
        let (note, review_by) = (root.optional("note"), root.optional("review_by"));
        let (teams, scopes, addresses) = (root.list("teams"), root.list("scopes"), root.list("addresses"));
        let (operations, limits, folders) = (operations(&source, &root), root.limits(), folders(&root));
        source.finish(())?;
        let plugin = plugin.ok_or_else(Vec::new)?;
        Ok(Self { version: Version, plugin, note, review_by, teams, scopes, addresses, operations, limits, folders })
    }

    /// A grant that gives nothing.
    pub fn nothing(plugin: &PluginId) -> Self {
        Self {
            version: Version,
            plugin: plugin.clone(),
            note: None,
            review_by: None,
            teams: Vec::new(),
            scopes: Vec::new(),
            addresses: Vec::new(),
            operations: BTreeMap::new(),
            limits: LimitsPart::default(),
            folders: BTreeMap::new(),
        }
    }

    /// The document again; parsing it gives an equal grant.
    pub fn to_toml(&self) -> String {
        let mut printer = Printer::versioned(VERSION);
        printer.text("plugin", &self.plugin);
        if let Some(note) = &self.note {
            printer.text("note", note);
        }
        if let Some(day) = &self.review_by {
            printer.text("review_by", day);
        }
        printer.list("teams", &self.teams);
        printer.list("scopes", &self.scopes);
        printer.list("addresses", &self.addresses);
        for (name, operation) in &self.operations {
            printer.table(&format!("operations.{}", key(&name.to_string())));
            printer.list("destinations", &operation.destinations);
        }
        printer.limits(&self.limits);
        for (name, folder) in &self.folders {
            printer.table(&format!("folders.{}", key(name.as_str())));
            printer.text("path", &folder.path);
            printer.text("access", folder.access);
        }
        printer.finish()
    }

    /// The published JSON Schema of the document.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// What the grant says of an operation: by its name, and for every operation.
    pub(crate) fn said_of<'g>(
        &'g self,
        operation: &str,
    ) -> impl Iterator<Item = (&'g OperationKey, &'g GrantedOperation)> {
        let operation = operation.to_owned();
        self.operations.iter().filter(move |(key, _)| match key {
            OperationKey::Every => true,
            OperationKey::One(id) => id.as_str() == operation,
        })
    }
}

fn operations(source: &Source<'_>, root: &Section<'_, '_>) -> BTreeMap<OperationKey, GrantedOperation> {
    let Some(section) = root.free_section("operations") else { return BTreeMap::new() };
    let read = |entry: Entry<'_, '_, OperationKey>| {
        let operation = section.section_of(&entry, &["destinations"])?;
        let destinations = operation.placed_list::<GrantRule>("destinations");
        report_repeated(source, &destinations);
        for (at, rule) in &destinations {
            report_unknown_methods(source, *at, rule.destination().methods.names());
        }
        let destinations = destinations.into_iter().map(|(_, rule)| rule).collect();
        Some((entry.key, GrantedOperation { destinations }))
    };
    section.entries().into_iter().filter_map(read).collect()
}

fn folders(root: &Section<'_, '_>) -> BTreeMap<FolderName, FolderGrant> {
    let Some(section) = root.free_section("folders") else { return BTreeMap::new() };
    let read = |entry: Entry<'_, '_, FolderName>| {
        let folder = section.section_of(&entry, &["path", "access"])?;
        let path = folder.required("path", "path = \"/srv/sluicegate/NAME\"");
        let access = folder.required("access", "access = \"read\"");
        Some((entry.key, FolderGrant { path: path?, access: access? }))
    };
    section.entries().into_iter().filter_map(read).collect()
}
