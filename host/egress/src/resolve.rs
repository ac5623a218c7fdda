//! From names to addresses, each checked before it is dialled.
//!
//! A name is resolved once for each new connection; the connection is made to the
//! addresses that were checked, so a name that changes its mind gains nothing. One
//! denied address denies the request, whatever the others are.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use policy::{AddressPolicy, Denial};

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, a canonical name and never an address.
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// A denied address, on its way up through the client's errors.
#[derive(Debug, thiserror::Error)]
#[error("address {address} is denied")]
pub(crate) struct AddressDenied {
    pub(crate) denial: Denial,
    pub(crate) address: SocketAddr,
}

/// Resolves for one pool, which means for one origin under one address policy.
pub(crate) struct CheckedResolver {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) addresses: AddressPolicy,
    pub(crate) port: u16,
}

/// Every address, or the first denial.
pub(crate) fn check_all(
    addresses: &AddressPolicy,
    found: impl IntoIterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, AddressDenied> {
    let check = |address| match addresses.check(address) {
        Ok(()) => Ok(address),
        Err(denial) => Err(AddressDenied { denial, address }),
    };
    found.into_iter().map(check).collect()
}

impl reqwest::dns::Resolve for CheckedResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolving = self.resolver.resolve(name.as_str().to_owned());
        let (addresses, port) = (self.addresses.clone(), self.port);
        Box::pin(async move {
            let found = resolving.await?;
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            let checked = check_all(&addresses, found.into_iter().map(|ip| SocketAddr::new(ip, port)))?;
            Ok(Box::new(checked.into_iter()) as reqwest::dns::Addrs)
        })
    }
}
