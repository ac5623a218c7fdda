//! The centre of the product: a pure function decides, and explains itself.
//!
//! Owns the policy documents (ceiling and grants), the effective permission of one
//! operation, the decision on each request, address and folder, and the words for
//! all of it. Refuses to know IO, clocks and HTTP libraries. Nothing said means no;
//! a deny anywhere wins; only this crate can make a [`Permit`].

mod address;
mod approval;
mod authority;
mod ceiling;
mod date;
mod denial;
mod grant;
mod permit;
mod rule;

pub use address::{AddressPolicy, AddressRule, NamedAddress};
pub use approval::{Approval, ConnectionFacts, Subject};
pub use authority::{Authority, check_connection};
pub use ceiling::Ceiling;
pub use date::Date;
pub use denial::Denial;
pub use grant::{FolderAccess, FolderGrant, Grant, GrantedOperation, OperationKey};
pub use permit::{FilePermit, Permit};
pub use rule::{CeilingRule, FolderPath, GrantRule, RuleError};
