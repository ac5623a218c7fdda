//! Destinations: where a request may go, written as `GET,POST https://host:port/path`.
//!
//! Owns the text form, the canonical form of a request's target, and the match of
//! one against the other. Decides nothing: `policy` does.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::host::{Host, HostError, HostPattern};
use crate::path::{PathError, PathPattern, normalise};

/// The scheme of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear: only where a rule says `http`.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As URLs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port when none is written.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The methods that a rule means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Methods {
    /// `*`
    Any,
    /// `GET,POST`
    Only(BTreeSet<String>),
}

impl Methods {
    /// Whether the rule means this method (upper case).
    pub fn matches(&self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(methods) => methods.contains(method),
        }
    }

    /// Those that it names; none for `*`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let named = match self {
            Self::Any => None,
            Self::Only(methods) => Some(methods),
        };
        named.into_iter().flatten().map(String::as_str)
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Only(_), Self::Any) => false,
            (Self::Only(outer), Self::Only(inner)) => outer.is_superset(inner),
        }
    }
}

impl FromStr for Methods {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.split(',')
            .map(|method| {
                let token = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
                token.then(|| method.to_owned()).ok_or_else(|| DestinationError::Methods(text.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Self::Only)
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Only(methods) => f.write_str(&methods.iter().map(String::as_str).collect::<Vec<_>>().join(",")),
        }
    }
}

/// A text that is not a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Not two words.
    #[error("destination {0:?} is not methods and a URL, as in \"GET,POST https://api.example.com/v1/**\"")]
    Shape(String),
    /// Methods that are none.
    #[error("methods {0:?} are not \"*\" or upper-case names with commas between")]
    Methods(String),
    /// A scheme that is neither.
    #[error("destination {0:?} does not start with https:// or http://")]
    Scheme(String),
    /// A port that is none.
    #[error("port {0:?} is not a number from 1 to 65535")]
    Port(String),
    /// Parts that a destination does not have.
    #[error("destination {0:?} has user information, a query or a fragment")]
    Extra(String),
    /// A host that is none.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A path pattern that is none.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Scheme, host pattern, port, methods and path pattern of the requests a rule means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Destination {
    /// Which methods.
    pub methods: Methods,
    /// Which scheme.
    pub scheme: Scheme,
    /// Which hosts.
    pub host: HostPattern,
    /// Which port; the scheme's own when none is written.
    pub port: u16,
    /// Which paths; every path when none is written.
    pub path: PathPattern,
}

impl Destination {
    /// Whether the rule means this request.
    pub fn matches(&self, target: &Target) -> bool {
        self.methods.matches(&target.method) && self.matches_origin(target) && self.path.matches(&target.path)
    }

    /// Whether the rule means requests to this scheme, host and port.
    pub fn matches_origin(&self, target: &Target) -> bool {
        self.scheme == target.scheme && self.port == target.port && self.host.matches(&target.host)
    }

    /// Whether every request that `other` means is meant by this rule too.
    pub fn covers(&self, other: &Self) -> bool {
        self.methods.covers(&other.methods)
            && self.scheme == other.scheme
            && self.port == other.port
            && self.host.covers(&other.host)
            && self.path.covers(&other.path)
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let (methods, url) = text.split_once(' ').ok_or_else(|| DestinationError::Shape(text.to_owned()))?;
        let (scheme, rest) = match url.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            _ => return Err(DestinationError::Scheme(url.to_owned())),
        };
        if rest.contains(['@', '?', '#', ' ', '\\']) {
            return Err(DestinationError::Extra(url.to_owned()));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = split_port(authority, scheme)?;
        let path = if path.is_empty() { PathPattern::any() } else { path.parse()? };
        Ok(Self { methods: methods.parse()?, scheme, host: host.parse()?, port, path })
    }
}

/// `[::1]:80`, `host:80`, `host`
fn split_port(authority: &str, scheme: Scheme) -> Result<(&str, u16), DestinationError> {
    let host_end = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[host_end..].find(':') {
        Some(at) => (&authority[..host_end + at], &authority[host_end + at + 1..]),
        None => return Ok((authority, scheme.default_port())),
    };
    match port.parse::<u16>() {
        Ok(number) if number > 0 && !port.starts_with('+') => Ok((host, number)),
        _ => Err(DestinationError::Port(port.to_owned())),
    }
}

impl TryFrom<String> for Destination {
    type Error = DestinationError;

    fn try_from(text: String) -> Result<Self, DestinationError> {
        text.parse()
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.to_string()
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}", self.methods, self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "{}", self.path)
    }
}

/// A URL that no request may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL at all.
    #[error("{url:?} is not an absolute URL: {reason}")]
    Url {
        /// As given, cut short.
        url: String,
        /// The parser's words.
        reason: String,
    },
    /// Neither of the two schemes.
    #[error("the scheme {0:?} is not http or https")]
    Scheme(String),
    /// A name and password in the URL.
    #[error("the URL carries user information before its host")]
    UserInformation,
    /// No host, or one with an empty label.
    #[error("the URL has no host, or one with two dots in a row")]
    Host,
    /// A method that is no HTTP token, or one that builds tunnels.
    #[error("the method {0:?} is not allowed")]
    Method(String),
    /// A path with an encoded slash or backslash, or one that is not decodable.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// The target of one request, canonical: what is decided on is what is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Upper case.
    pub method: String,
    /// http or https.
    pub scheme: Scheme,
    /// Canonical host.
    pub host: Host,
    /// The port, default filled in.
    pub port: u16,
    /// The normalised path, as rules are matched against.
    pub path: String,
    url: Url,
}

impl Target {
    /// Parses the URL of a request as the URL standard does, and refuses what no
    /// rule could mean: user information, other schemes, encoded path separators.
    pub fn parse(method: &str, url: &str) -> Result<Self, TargetError> {
        let parsed = Url::parse(url)
            .map_err(|error| TargetError::Url { url: url.chars().take(120).collect(), reason: error.to_string() })?;
        Self::of(method, parsed)
    }

    /// The same for a URL that is parsed already (a redirect's).
    pub fn of(method: &str, mut url: Url) -> Result<Self, TargetError> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(TargetError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInformation);
        }
        let known = !method.is_empty() && method.len() <= 20 && method.bytes().all(|b| b.is_ascii_uppercase());
        if !known || matches!(method, "CONNECT" | "TRACE") {
            return Err(TargetError::Method(method.chars().take(20).collect()));
        }
        let host = Host::of(&url).ok_or(TargetError::Host)?;
        url.set_host(Some(&host.to_string())).map_err(|_| TargetError::Host)?;
        let path = normalise(url.path())?;
        url.set_fragment(None);
        url.set_path(&path);
        let port = url.port_or_known_default().ok_or(TargetError::Host)?;
        Ok(Self { method: method.to_owned(), scheme, host, port, path, url })
    }

    /// The canonical URL, the one to send.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Scheme, host and port: `https://slack.com:443`.
    pub fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, method: &str, url: &str, wanted: bool) {
        let rule: Destination = rule.parse().expect(rule);
        let target = Target::parse(method, url).expect(url);
        assert_eq!(rule.matches(&target), wanted, "{rule} on {method} {url}");
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }

    #[test]
    fn a_rule_means_method_scheme_host_port_and_path() {
        let rule = "GET,POST https://api.example.com/v1/**";
        check(rule, "GET", "https://api.example.com/v1/users", true);
        check(rule, "GET", "https://API.example.com.:443/v1/users?x=1", true);
        check(rule, "DELETE", "https://api.example.com/v1/users", false);
        check(rule, "GET", "http://api.example.com/v1/users", false);
        check(rule, "GET", "https://api.example.com:8443/v1/users", false);
        check(rule, "GET", "https://api.example.com/v2", false);
        check(rule, "GET", "https://api.example.com/v1/../v2", false);
        check(rule, "GET", "https://api.example.com/v1/%2e%2e/v2", false);
        check("GET https://api.example.com/v1/", "GET", "https://api.example.com/v1/", true);
        check("* http://127.0.0.1:9000", "PATCH", "http://0x7f000001:9000/any", true);
        check("* http://[::1]:9000", "GET", "http://[0:0::1]:9000/", true);
    }

    #[test]
    fn targets_that_no_rule_means_are_refused() {
        for (method, url) in [
            ("GET", "ftp://a.com/"),
            ("GET", "https://user@a.com/"),
            ("GET", "https://:pw@a.com/"),
            ("GET", "a.com"),
            ("GET", "https://a.com../"),
            ("GET", "https://.a.com/"),
            ("GET", "https://a..com/"),
            ("GET", "https://./"),
            ("GET", "https://a.com/x%2fy"),
            ("GET", "https://a.com/x%5Cy"),
            ("GET", "https://a.com//x"),
            ("GET", "https://a.com/a/..;/x"),
            ("CONNECT", "https://a.com/"),
            ("get", "https://a.com/"),
            ("GE T", "https://a.com/"),
        ] {
            assert!(Target::parse(method, url).is_err(), "{method} {url}");
        }
    }

    #[test]
    fn refuses_what_is_no_destination() {
        for text in [
            "https://a.com",
            "get https://a.com",
            "GET ftp://a.com",
            "GET https://u@a.com",
            "GET https://a.com?x",
            "GET https://a.com:0",
            "GET https://a.com:99999",
            "GET https:///x",
            "GET https://a.com/x/../y",
        ] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
