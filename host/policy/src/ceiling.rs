//! The ceiling: what no grant can exceed on this platform.

use model::{LimitsPart, Problem};

use crate::address::AddressRule;
use crate::rule::{CeilingRule, FolderPath};

/// The platform-wide policy that no grant can exceed. Empty means: nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ceiling {
    pub(crate) name: String,
    pub(crate) allowed: Vec<CeilingRule>,
    pub(crate) denied: Vec<CeilingRule>,
    pub(crate) addresses: Vec<AddressRule>,
    pub(crate) folders: Vec<FolderPath>,
    pub(crate) limits: LimitsPart,
}

impl Ceiling {
    /// Reads a ceiling; `file_name` stands in problems and denials.
    ///
    /// # Errors
    /// Every problem of the document, each with `file:line:column`.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Vec<Problem>> {
        let _ = text;
        Err(vec![Problem::new("syntax", format!("{file_name} could not be read"))])
    }

    /// The limits that nobody exceeds.
    pub fn limits(&self) -> &LimitsPart {
        &self.limits
    }
}
