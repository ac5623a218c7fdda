//! Non-public addresses as documents name them: one with its port in a grant, one or
//! a range with a port or every port in a ceiling.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::class;
use crate::rule::as_text;

/// A text that does not name an address as documents do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {text:?} {reason}")]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

fn refuse(text: &str, reason: &'static str) -> AddressError {
    AddressError { text: text.chars().take(80).collect(), reason }
}

as_text! {
    NamedAddress, AddressError;
    AddressRule, AddressError;
}

/// One address and port, as a grant names it: `127.0.0.1:9100`, `[::1]:9100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct NamedAddress(SocketAddr);

impl NamedAddress {
    /// The address and port.
    pub fn socket(&self) -> SocketAddr {
        self.0
    }

    /// Whether it names this address and port.
    pub fn names(&self, address: SocketAddr) -> bool {
        (self.0.ip(), self.0.port()) == (address.ip(), address.port())
    }
}

impl FromStr for NamedAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let socket: SocketAddr =
            text.parse().map_err(|_| refuse(text, "is not written address:port, as in \"127.0.0.1:9100\""))?;
        if socket.port() == 0 {
            return Err(refuse(text, "has the port 0"));
        }
        if class::is_unnameable(socket.ip()) {
            return Err(refuse(text, "hides another address or is none to dial; name the plain address"));
        }
        if class::special(socket.ip()).is_none() {
            return Err(refuse(text, "is public, which needs no naming; remove it"));
        }
        Ok(Self(socket))
    }
}

impl fmt::Display for NamedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Addresses as a ceiling names them: `127.0.0.1:9100`, `127.0.0.1:*`,
/// `10.0.0.0/8:443`, `[fd00::/8]:*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AddressRule {
    range: IpNet,
    port: Option<u16>,
}

impl AddressRule {
    /// Whether it names this address and port.
    pub fn names(&self, address: SocketAddr) -> bool {
        self.port.is_none_or(|port| port == address.port()) && self.range.contains(&address.ip())
    }
}

impl FromStr for AddressRule {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        const SHAPE: &str = "is not written address:port or range:port, as in \"10.0.0.0/8:443\" or \"[::1]:*\"";
        let (place, port) = text.rsplit_once(':').ok_or_else(|| refuse(text, SHAPE))?;
        let port = match port {
            "*" => None,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|port| *port > 0).ok_or_else(|| refuse(text, SHAPE))?)
            }
            _ => return Err(refuse(text, SHAPE)),
        };
        let bracketed = place.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let range = parse_range(bracketed.unwrap_or(place)).ok_or_else(|| refuse(text, SHAPE))?;
        if bracketed.is_some() != matches!(range, IpNet::V6(_)) {
            return Err(refuse(text, SHAPE));
        }
        if range != range.trunc() {
            return Err(refuse(text, "is a range with bits set after its prefix"));
        }
        if range.prefix_len() == range.max_prefix_len() && class::is_unnameable(range.addr()) {
            return Err(refuse(text, "hides another address or is none to dial; name the plain address"));
        }
        Ok(Self { range, port })
    }
}

fn parse_range(text: &str) -> Option<IpNet> {
    match text.contains('/') {
        true => text.parse().ok(),
        false => text.parse::<IpAddr>().ok().map(IpNet::from),
    }
}

impl fmt::Display for AddressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.range.prefix_len() == self.range.max_prefix_len() {
            true => self.range.addr().to_string(),
            false => self.range.to_string(),
        };
        match self.range {
            IpNet::V4(_) => write!(f, "{place}:")?,
            IpNet::V6(_) => write!(f, "[{place}]:")?,
        }
        match self.port {
            Some(port) => write!(f, "{port}"),
            None => f.write_str("*"),
        }
    }
}
