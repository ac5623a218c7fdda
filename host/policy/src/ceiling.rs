//! The ceiling: what no grant can exceed on this platform.
//!
//! Owns the document (`version = 1`, strict) and its rules, indexed by host when
//! parsed. An empty ceiling allows nothing.

use model::{LimitsPart, Problem};
use schemars::JsonSchema;
use serde::Serialize;

use crate::address::AddressRule;
use crate::document::{Section, Source, VERSION, report_repeated, report_unknown_methods};
use crate::index::Index;
use crate::method::Method;
use crate::print::Printer;
use crate::rule::{CeilingRule, FolderPath};

/// The keys of the document, as this type describes them to its JSON Schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CeilingDocument {
    /// The format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub(crate) version: u32,
    /// Where connectors may send requests, if a grant says so too. Beside the
    /// destinations that grants write: `https://*` for every host, `:*` for every port.
    #[serde(default)]
    pub(crate) allowed: Vec<CeilingRule>,
    /// Where they never may, whatever else is said.
    #[serde(default)]
    pub(crate) denied: Vec<CeilingRule>,
    /// The HTTP methods that may be used at all; left out: those of the destinations.
    #[serde(default)]
    pub(crate) methods: Option<Vec<Method>>,
    /// Non-public addresses that a grant may name: `127.0.0.1:9100`,
    /// `10.0.0.0/8:443`, `[::1]:*`.
    #[serde(default)]
    pub(crate) addresses: Vec<AddressRule>,
    /// Publishers, as manifests name themselves; left out: any.
    #[serde(default)]
    pub(crate) publishers: Option<Vec<String>>,
    /// Folders in and below which grants may open folders.
    #[serde(default)]
    pub(crate) folders: Vec<FolderPath>,
    /// Limits that no call exceeds.
    #[serde(default)]
    pub(crate) limits: LimitsPart,
}

const KEYS: [&str; 8] = ["version", "allowed", "denied", "methods", "addresses", "publishers", "folders", "limits"];

/// The platform-wide policy that no grant can exceed. The default allows nothing.
#[derive(Debug, Clone, Default)]
pub struct Ceiling {
    name: String,
    document: CeilingDocument,
    allowed: Index<CeilingRule>,
    denied: Index<CeilingRule>,
}

impl PartialEq for Ceiling {
    /// The same rules, whatever the file is called.
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for Ceiling {}

impl Ceiling {
    /// Reads a ceiling; `file_name` stands in problems and denials.
    ///
    /// # Errors
    /// Every problem of the document, each with `file:line:column`.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Vec<Problem>> {
        let (source, table) = Source::read(text, file_name)?;
        let root = Section::root(&source, &table, &KEYS);
        let document = CeilingDocument {
            version: VERSION,
            allowed: rules(&source, &root, "allowed"),
            denied: rules(&source, &root, "denied"),
            methods: root.has("methods").then(|| methods(&source, &root)),
            addresses: root.list("addresses"),
            publishers: root.has("publishers").then(|| root.list("publishers")),
            folders: root.list("folders"),
            limits: root.limits(),
        };
        source.finish(()).map(|()| Self::of(document, file_name))
    }

    fn of(document: CeilingDocument, name: &str) -> Self {
        let allowed = Index::new(document.allowed.iter().map(|rule| (rule.host(), rule.clone())));
        let denied = Index::new(document.denied.iter().map(|rule| (rule.host(), rule.clone())));
        Self { name: name.to_owned(), document, allowed, denied }
    }

    /// The document again; parsing it gives an equal ceiling.
    pub fn to_toml(&self) -> String {
        let document = &self.document;
        let mut printer = Printer::versioned(document.version);
        printer.list("allowed", &document.allowed);
        printer.list("denied", &document.denied);
        if let Some(methods) = &document.methods {
            printer.list_even_empty("methods", methods);
        }
        printer.list("addresses", &document.addresses);
        if let Some(publishers) = &document.publishers {
            printer.list_even_empty("publishers", publishers);
        }
        printer.list("folders", &document.folders);
        printer.limits(&document.limits);
        printer.finish()
    }

    /// The published JSON Schema of the document.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(CeilingDocument).to_value()
    }

    /// The file it was read from, as it was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The limits that nobody exceeds.
    pub fn limits(&self) -> &LimitsPart {
        &self.document.limits
    }

    /// Where a missing line goes. A host reads its ceiling when it starts, and not again.
    pub(crate) fn add_to(&self, list: &str) -> String {
        format!("in {}, add to {list} and start the host again:", self.name)
    }

    pub(crate) fn document(&self) -> &CeilingDocument {
        &self.document
    }

    pub(crate) fn allowed(&self) -> &Index<CeilingRule> {
        &self.allowed
    }

    pub(crate) fn denied(&self) -> &Index<CeilingRule> {
        &self.denied
    }

    pub(crate) fn allows_method(&self, method: &str) -> bool {
        self.document.methods.as_ref().is_none_or(|methods| methods.iter().any(|known| known.as_str() == method))
    }

    pub(crate) fn trusts(&self, publisher: &str) -> bool {
        self.document.publishers.as_ref().is_none_or(|publishers| publishers.iter().any(|known| known == publisher))
    }

    /// The root in or below which this folder lies.
    pub(crate) fn folder_root(&self, folder: &FolderPath) -> Option<&FolderPath> {
        self.document.folders.iter().find(|root| root.contains(folder))
    }
}

fn rules(source: &Source<'_>, root: &Section<'_, '_>, key: &str) -> Vec<CeilingRule> {
    let rules = root.placed_list::<CeilingRule>(key);
    report_repeated(source, &rules);
    for (at, rule) in &rules {
        report_unknown_methods(source, *at, rule.methods().names());
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn methods(source: &Source<'_>, root: &Section<'_, '_>) -> Vec<Method> {
    let methods = root.placed_list::<Method>("methods");
    for (at, method) in &methods {
        report_unknown_methods(source, *at, std::iter::once(method.as_str()));
    }
    methods.into_iter().map(|(_, method)| method).collect()
}
