//! The effective permission of one operation, and the decision on each access.

use std::sync::Arc;

use model::{Digest, Environment, Limits, Manifest, Target};

use crate::approval::{Approval, ConnectionFacts, Subject};
use crate::ceiling::Ceiling;
use crate::denial::Denial;
use crate::permit::{FilePermit, Permit};

/// The effective permission of one digest, environment, operation and connection.
#[derive(Debug, Clone)]
pub struct Authority(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    base_url: Option<Target>,
}

impl Authority {
    /// The effective permission, or why there is none.
    ///
    /// # Errors
    /// Not approved, another environment, missing scopes, a connection outside the
    /// granted origins, ...
    #[expect(clippy::too_many_arguments, reason = "each is a party that must agree")]
    pub fn try_new(
        ceiling: &Arc<Ceiling>,
        approval: Option<&Arc<Approval>>,
        digest: &Digest,
        environment: &Environment,
        manifest: &Manifest,
        subject: Subject<'_>,
        connection: Option<&ConnectionFacts>,
    ) -> Result<Self, Denial> {
        let _ = (ceiling, approval, digest, environment, connection);
        let what = format!("{}/{} may not run", manifest.id, subject.name());
        Err(Denial::new("not-approved", what, "nothing is approved", ""))
    }

    /// What the manifest asks, the grant gives and the ceiling caps.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Where the connection's service lives, if the connector has such a place.
    pub fn base_url(&self) -> Option<&Target> {
        self.0.base_url.as_ref()
    }

    /// Decides one request by name.
    ///
    /// # Errors
    /// The denial, with the rule that is missing or that denied.
    #[expect(clippy::needless_pass_by_value, reason = "a permit will hold it")]
    pub fn decide(&self, target: Target) -> Result<Permit, Denial> {
        Err(Denial::new("denied", format!("{} may not be reached", target.origin()), "nothing said means no", ""))
    }

    /// Decides one access to a folder.
    ///
    /// # Errors
    /// The denial, with the lines that would allow it.
    pub fn decide_file(&self, folder: &str, write: bool) -> Result<FilePermit, Denial> {
        let _ = write;
        Err(Denial::new("denied", format!("folder {folder} may not be opened"), "nothing said means no", ""))
    }
}

/// Whether a connection may be made: environment, connector and place of its service.
///
/// # Errors
/// The denial, with the lines that would allow it.
pub fn check_connection(
    ceiling: &Ceiling,
    approval: &Approval,
    manifest: &Manifest,
    facts: &ConnectionFacts,
) -> Result<(), Denial> {
    let _ = (ceiling, approval, manifest);
    Err(Denial::new("denied", format!("connection {} may not be made", facts.id), "nothing said means no", ""))
}
