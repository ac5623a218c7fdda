//! The answer yes: values that only this crate can make and that are spent once.
//!
//! Invariant: whoever holds a permit holds what was decided on, not a copy that
//! could have changed since.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Target;

use crate::address::AddressPolicy;

/// Leave to send one request to one target. Not `Clone`: one decision, one request.
#[derive(Debug)]
pub struct Permit {
    pub(crate) target: Target,
    pub(crate) rule: Arc<str>,
    pub(crate) addresses: AddressPolicy,
    pub(crate) may_carry_credential: bool,
}

impl Permit {
    /// The target that was decided on; its URL is the one to send.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The rule that allowed it, with its document:
    /// `grant github: GET https://api.github.com/**`.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What every address of the target's host must pass before it is dialled.
    pub fn addresses(&self) -> &AddressPolicy {
        &self.addresses
    }

    /// Whether the target lies within the audience of the connection's credential.
    pub fn may_carry_credential(&self) -> bool {
        self.may_carry_credential
    }
}

/// Leave to work in one folder during one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePermit {
    pub(crate) path: PathBuf,
    pub(crate) write: bool,
    pub(crate) rule: String,
}

impl FilePermit {
    /// The folder on this host; absolute, without `.` and `..`. Links in it are for
    /// whoever opens it to refuse.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it may be written to.
    pub fn may_write(&self) -> bool {
        self.write
    }

    /// The rule that allowed it: `grant files: folder inbox, write`.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}
