//! Which addresses may be dialled, after a name is resolved and before a byte leaves.
//!
//! Public addresses pass. Special ones pass only where ceiling and grant both name
//! the address and the port. Addresses that carry another inside (IPv4 in IPv6)
//! never pass: the plain form is what documents name.

mod rule;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::denial::Denial;

pub use rule::{AddressRule, NamedAddress};

/// The addresses of one effective permission. Equal policies may share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressPolicy(Arc<Named>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    plugin: String,
    ceiling: Vec<AddressRule>,
    grant: Vec<NamedAddress>,
}

impl AddressPolicy {
    pub(crate) fn new(plugin: &str, ceiling: &[AddressRule], grant: &[NamedAddress]) -> Self {
        Self(Arc::new(Named { plugin: plugin.to_owned(), ceiling: ceiling.to_vec(), grant: grant.to_vec() }))
    }

    /// Whether this address may be dialled on this port.
    ///
    /// # Errors
    /// Names the class of the address (`loopback`, `cloud metadata`, ...) and the
    /// lines that would allow it.
    pub fn check(&self, address: SocketAddr) -> Result<(), Denial> {
        Err(Denial::new("address-denied", format!("{address} may not be dialled by {}", self.0.plugin), "", ""))
    }
}
