//! The centre of the product: a pure function decides, and explains itself.
//!
//! Owns the policy documents (ceiling and grants), the effective permission of one
//! operation, the decision on each request, address and folder, and the words for
//! all of it. Refuses to know IO, clocks and HTTP libraries. Nothing said means no;
//! a deny anywhere wins; only this crate can make a [`Permit`].

mod address;
mod approval;
mod authority;
mod capability;
mod ceiling;
mod coverage;
mod date;
mod denial;
mod document;
mod explain;
mod grant;
mod index;
mod method;
mod permit;
mod print;
mod rule;

pub use address::{AddressError, AddressPolicy, AddressRule, NamedAddress};
pub use approval::{Approval, ConnectionFacts, Subject};
pub use authority::{Authority, check_connection};
pub use capability::{Capability, capabilities};
pub use ceiling::Ceiling;
pub use coverage::{beyond, subjects, uncovered};
pub use date::{Date, DateError};
pub use denial::Denial;
pub use explain::{Explanation, Layer, Step, explain};
pub use grant::{AccessError, FolderAccess, FolderGrant, Grant, GrantedOperation, OperationKey, Version, VersionError};
pub use permit::{FilePermit, Permit};
pub use rule::{CeilingRule, FolderPath, GrantRule, RuleError};
