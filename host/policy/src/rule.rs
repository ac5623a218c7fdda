//! Single rules of policy documents, each checked when parsed.
//!
//! Owns what a grant and a ceiling may write as one destination or one folder. A
//! grant names hosts; only a ceiling may say "every host" or "every port".

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use model::{Destination, DestinationError, Host, HostPattern, Methods, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text that is not a rule of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not a destination at all.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// A grant that names no host.
    #[error("destination {0:?} names every host; a grant names the hosts, or a domain as in \"*.example.com\"")]
    EveryHost(String),
    /// A grant that names no port.
    #[error("destination {0:?} names every port; only a ceiling may")]
    EveryPort(String),
    /// Looks like a range of addresses, would be read as a path.
    #[error("destination {0:?} would mean the path {1:?} of one address; ranges of addresses stand under `addresses`")]
    Range(String, String),
    /// Not a folder.
    #[error("folder {0:?} is not an absolute path without \".\" and \"..\" below the root folder")]
    Folder(String),
}

/// A destination, unless it is a range of addresses that would be read as a path.
fn parse_destination(text: &str) -> Result<Destination, RuleError> {
    let destination: Destination = text.parse()?;
    let path = destination.path.to_string();
    let is_address = matches!(destination.host, HostPattern::Exact(Host::Address(IpAddr::V4(_))));
    let looks_like_prefix = path[1..].parse::<u8>().is_ok_and(|bits| bits <= 32);
    let has_port = text.matches(':').count() > 1;
    if is_address && looks_like_prefix && !has_port {
        return Err(RuleError::Range(text.to_owned(), path));
    }
    Ok(destination)
}

macro_rules! as_text {
    ($($name:ident, $error:ty;)*) => {$(
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}
pub(crate) use as_text;

as_text! {
    GrantRule, RuleError;
    CeilingRule, RuleError;
    FolderPath, RuleError;
}

/// A destination as a grant writes it: `GET,POST https://api.example.com/v1/**`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct GrantRule(Destination);

impl GrantRule {
    /// The destination it means.
    pub fn destination(&self) -> &Destination {
        &self.0
    }

    /// The address and port, where the host is written as an address.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self.0.host {
            HostPattern::Exact(Host::Address(address)) => Some(SocketAddr::new(address, self.0.port)),
            HostPattern::Exact(Host::Name(_)) | HostPattern::Below(_) | HostPattern::Range(_) | HostPattern::Any => {
                None
            }
        }
    }

    /// Whether it names one host, not a domain of them. Only such a rule allows
    /// what a manifest leaves open (`any`, `{base-url}`).
    pub fn is_concrete(&self) -> bool {
        matches!(self.0.host, HostPattern::Exact(_))
    }
}

impl FromStr for GrantRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if any_port(text).is_some() {
            return Err(RuleError::EveryPort(text.to_owned()));
        }
        let destination = parse_destination(text)?;
        if destination.host == HostPattern::Any {
            return Err(RuleError::EveryHost(text.to_owned()));
        }
        Ok(Self(destination))
    }
}

impl fmt::Display for GrantRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A destination as a ceiling writes it: also every host (`https://*`) and every
/// port (`https://*:*`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct CeilingRule {
    destination: Destination,
    any_port: bool,
}

impl CeilingRule {
    /// Whether it means this request.
    pub fn matches(&self, target: &Target) -> bool {
        let rule = &self.destination;
        rule.methods.matches(&target.method) && self.matches_origin(target) && rule.path.matches(&target.path)
    }

    /// Whether it means requests to this scheme, host and port.
    pub fn matches_origin(&self, target: &Target) -> bool {
        let rule = &self.destination;
        rule.scheme == target.scheme && (self.any_port || rule.port == target.port) && rule.host.matches(&target.host)
    }

    /// Whether every request that `other` means is meant by it too.
    pub fn covers(&self, other: &Destination) -> bool {
        let mut rule = self.destination.clone();
        if self.any_port {
            rule.port = other.port;
        }
        rule.covers(other)
    }

    pub(crate) fn methods(&self) -> &Methods {
        &self.destination.methods
    }

    pub(crate) fn host(&self) -> &HostPattern {
        &self.destination.host
    }

    /// Whether it means every request to its origins.
    pub(crate) fn is_whole_origin(&self) -> bool {
        self.destination.methods == Methods::Any && self.destination.path == model::PathPattern::any()
    }
}

/// The text without its `:*`, if it ends the authority.
fn any_port(text: &str) -> Option<String> {
    let start = text.find("://")? + 3;
    let end = text[start..].find('/').map_or(text.len(), |at| start + at);
    let authority = text[start..end].strip_suffix(":*")?;
    Some(format!("{}{authority}{}", &text[..start], &text[end..]))
}

impl FromStr for CeilingRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        match any_port(text) {
            Some(text) => Ok(Self { destination: parse_destination(&text)?, any_port: true }),
            None => Ok(Self { destination: parse_destination(text)?, any_port: false }),
        }
    }
}

impl fmt::Display for CeilingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = &self.destination;
        if !self.any_port {
            return rule.fmt(f);
        }
        write!(f, "{} {}://{}:*{}", rule.methods, rule.scheme.as_str(), rule.host, rule.path)
    }
}

/// A folder of this host: absolute, without `.` and `..`, never the root folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct FolderPath(PathBuf);

impl FolderPath {
    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether `other` is this folder or lies below it, whole component by component.
    pub fn contains(&self, other: &Self) -> bool {
        let mut inner = other.0.components();
        self.0.components().all(|component| inner.next() == Some(component))
    }
}

impl FromStr for FolderPath {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let refuse = || RuleError::Folder(text.chars().take(200).collect());
        let plain = text.split('/').all(|part| part != "." && part != "..");
        let path = Path::new(text);
        let named = path.components().any(|component| matches!(component, Component::Normal(_)));
        if !path.is_absolute() || !plain || !named || text.contains('\0') {
            return Err(refuse());
        }
        Ok(Self(path.components().collect()))
    }
}

impl fmt::Display for FolderPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr + fmt::Display>(text: &str, wanted: Option<&str>) {
        let printed = text.parse::<T>().ok().map(|rule| rule.to_string());
        assert_eq!(printed.as_deref(), wanted, "{text}");
    }

    #[test]
    fn a_grant_names_hosts_and_ports() {
        check::<GrantRule>("GET https://A.example.com", Some("GET https://a.example.com/**"));
        check::<GrantRule>("GET https://*.example.com", Some("GET https://*.example.com/**"));
        check::<GrantRule>("GET https://*", None);
        check::<GrantRule>("GET https://a.com:*", None);
        check::<GrantRule>("GET http://10.0.0.0/8", None);
        check::<GrantRule>("GET http://10.0.0.1:80/8", Some("GET http://10.0.0.1/8"));
    }

    #[test]
    fn a_ceiling_may_say_every_host_and_every_port() {
        check::<CeilingRule>("* https://*", Some("* https://*/**"));
        check::<CeilingRule>("* https://*:*", Some("* https://*:*/**"));
        check::<CeilingRule>("GET http://[::1]:*/x", Some("GET http://[::1]:*/x"));
        check::<CeilingRule>("* http://10.0.0.0/8", None);
        let rule: CeilingRule = "* https://*.example.com:*".parse().expect("good");
        for (url, wanted) in [
            ("https://a.example.com:8443/", true),
            ("https://example.com:8443/", false),
            ("http://a.example.com/", false),
        ] {
            assert_eq!(rule.matches(&Target::parse("GET", url).expect(url)), wanted, "{url}");
        }
        assert!(rule.covers(&"GET https://b.example.com:99/x".parse().expect("good")));
    }

    #[test]
    fn folders_are_contained_by_whole_components() {
        check::<FolderPath>("/srv//a/", Some("/srv/a"));
        for bad in ["", "/", "srv", "/srv/../etc", "/srv/./a", "//"] {
            check::<FolderPath>(bad, None);
        }
        let root: FolderPath = "/srv/a".parse().expect("good");
        for (inner, wanted) in [("/srv/a", true), ("/srv/a/b", true), ("/srv/ab", false), ("/srv", false)] {
            assert_eq!(root.contains(&inner.parse().expect(inner)), wanted, "{inner}");
        }
    }
}
