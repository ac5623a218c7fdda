//! Hosts and patterns of hosts, canonical when built.
//!
//! Owns the one canonical form (IDNA to ASCII, lower case, no trailing dot, every
//! spelling of an IP address recognised as an address) and the one match at label
//! boundaries. Nothing is matched by substring.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A host in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name: ASCII, lower case, without a trailing dot.
    Name(String),
    /// An address, however it was spelled.
    Address(IpAddr),
}

/// A text that is neither a host nor a pattern of hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host {text:?} {reason}")]
pub struct HostError {
    text: String,
    reason: &'static str,
}

impl HostError {
    fn new(text: &str, reason: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), reason }
    }
}

impl Host {
    /// The canonical form of a URL's host; None when the URL has none, or one with an
    /// empty label: `a.com..` would be another name to rules than `a.com`, and the same to
    /// resolvers.
    pub fn of(url: &url::Url) -> Option<Self> {
        match url.host()? {
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                (!name.split('.').any(str::is_empty)).then(|| Self::Name(name.to_owned()))
            }
            url::Host::Ipv4(address) => Some(Self::Address(address.into())),
            url::Host::Ipv6(address) => Some(Self::Address(address.into())),
        }
    }
}

impl FromStr for Host {
    type Err = HostError;

    /// Parses as the URL standard does for special schemes.
    fn from_str(text: &str) -> Result<Self, HostError> {
        let bracketless = text.parse::<std::net::Ipv6Addr>();
        if let Ok(address) = bracketless {
            return Ok(Self::Address(address.into()));
        }
        let host = url::Host::parse(text).map_err(|_| HostError::new(text, "is not a host name or an address"))?;
        match host {
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
                if name.is_empty() || name.split('.').any(str::is_empty) {
                    return Err(HostError::new(text, "has an empty label"));
                }
                if name.contains('*') {
                    return Err(HostError::new(text, "has a wildcard inside; only a leading \"*.\" is one"));
                }
                Ok(Self::Name(name))
            }
            url::Host::Ipv4(address) => Ok(Self::Address(address.into())),
            url::Host::Ipv6(address) => Ok(Self::Address(address.into())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Which hosts a rule means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This one.
    Exact(Host),
    /// `*.example.com`: one or more labels below, never `example.com` itself.
    Below(String),
    /// `10.0.0.0/8`: the addresses of a range, written as addresses in the URL.
    Range(IpNet),
    /// `*`: every host. For ceilings.
    Any,
}

impl HostPattern {
    /// Whether the rule means this host.
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(exact), host) => exact == host,
            (Self::Below(apex), Host::Name(name)) => {
                name.strip_suffix(apex.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Range(range), Host::Address(address)) => range.contains(address),
            (Self::Below(_), Host::Address(_)) | (Self::Range(_), Host::Name(_)) => false,
        }
    }

    /// Whether every host that `other` means is meant by this pattern too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (pattern, Self::Exact(host)) => pattern.matches(host),
            (Self::Below(apex), Self::Below(below)) => {
                apex == below || Self::Below(apex.clone()).matches(&Host::Name(below.clone()))
            }
            (Self::Range(outer), Self::Range(inner)) => outer.contains(inner),
            (Self::Exact(_), _) | (Self::Below(_), Self::Range(_)) | (Self::Range(_), Self::Below(_)) => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(apex) = text.strip_prefix("*.") {
            return match apex.parse()? {
                Host::Name(name) => Ok(Self::Below(name)),
                Host::Address(_) => Err(HostError::new(text, "has a wildcard before an address")),
            };
        }
        if text.contains('/') {
            let range: IpNet = text.parse().map_err(|_| HostError::new(text, "is not an address range"))?;
            if range != range.trunc() {
                return Err(HostError::new(text, "is a range with bits set after its prefix"));
            }
            return Ok(Self::Range(range));
        }
        Ok(Self::Exact(text.parse()?))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Below(apex) => write!(f, "*.{apex}"),
            Self::Range(range) => write!(f, "{range}"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, host: &str, wanted: bool) {
        let parsed: HostPattern = pattern.parse().expect(pattern);
        assert_eq!(parsed.matches(&host.parse().expect(host)), wanted, "{pattern} on {host}");
        assert_eq!(parsed.to_string().parse::<HostPattern>(), Ok(parsed));
    }

    #[test]
    fn matches_at_label_boundaries_in_canonical_form() {
        check("*.example.com", "a.example.com", true);
        check("*.example.com", "a.b.example.com", true);
        check("*.example.com", "example.com", false);
        check("*.example.com", "evilexample.com", false);
        check("Example.COM", "example.com.", true);
        check("bücher.example", "xn--bcher-kva.example", true);
        check("127.0.0.1", "0x7f.1", true);
        check("127.0.0.1", "2130706433", true);
        check("10.0.0.0/8", "10.2.3.4", true);
        check("10.0.0.0/8", "11.2.3.4", false);
        check("::1", "[::1]", true);
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for text in ["", "*.", "a.*.b", "**", "*.1.2.3.4", "10.1.0.0/8", "a b", "a..b"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn covering_is_matching_for_patterns() {
        for (outer, inner, wanted) in [
            ("*", "*.a.com", true),
            ("*.a.com", "*.b.a.com", true),
            ("*.a.com", "b.a.com", true),
            ("b.a.com", "*.a.com", false),
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.1", true),
            ("*.a.com", "*", false),
        ] {
            let (outer, inner): (HostPattern, HostPattern) = (outer.parse().expect(outer), inner.parse().expect(inner));
            assert_eq!(outer.covers(&inner), wanted, "{outer} over {inner}");
        }
    }
}
