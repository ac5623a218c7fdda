//! Where a connector says it sends requests: fixed, or left to connection and grant.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::destination::{Destination, DestinationError, Methods, Target};
use crate::host::HostPattern;
use crate::path::PathPattern;

/// A destination in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Reach {
    /// `POST https://slack.com/api/chat.postMessage`
    Fixed(Destination),
    /// `POST {base-url}/chat.postMessage`: below the connection's base URL.
    BaseUrl {
        /// Which methods.
        methods: Methods,
        /// Which paths below the base URL.
        path: PathPattern,
    },
    /// `GET,POST any`: wherever connection and grant agree.
    Any {
        /// Which methods.
        methods: Methods,
    },
}

const BASE_URL: &str = "{base-url}";

impl Reach {
    /// Which methods.
    pub fn methods(&self) -> &Methods {
        match self {
            Self::Fixed(destination) => &destination.methods,
            Self::BaseUrl { methods, .. } | Self::Any { methods } => methods,
        }
    }

    /// The destination for a connection with this base URL; None when the reach
    /// needs a base URL and there is none, or leaves the destination open.
    pub fn resolve(&self, base_url: Option<&Target>) -> Option<Destination> {
        match (self, base_url) {
            (Self::Fixed(destination), _) => Some(destination.clone()),
            (Self::BaseUrl { methods, path }, Some(base)) => Some(below(base, methods, path)),
            (Self::Any { methods }, Some(base)) => Some(below(base, methods, &PathPattern::any())),
            (Self::BaseUrl { .. } | Self::Any { .. }, None) => None,
        }
    }
}

fn below(base: &Target, methods: &Methods, path: &PathPattern) -> Destination {
    Destination {
        methods: methods.clone(),
        scheme: base.scheme,
        host: HostPattern::Exact(base.host.clone()),
        port: base.port,
        path: path.below(&base.path),
    }
}

/// Parses a base URL: absolute, without query, fragment or user information.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_base_url(text: &str) -> Result<Target, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not an absolute URL: {error}"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} has a query or a fragment, which a base URL cannot have"));
    }
    Target::of("GET", url).map_err(|error| error.to_string())
}

impl FromStr for Reach {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let Some((methods, place)) = text.split_once(' ') else {
            return Err(DestinationError::Shape(text.to_owned()));
        };
        if place == "any" {
            return Ok(Self::Any { methods: methods.parse()? });
        }
        match place.strip_prefix(BASE_URL) {
            Some("") => Ok(Self::BaseUrl { methods: methods.parse()?, path: PathPattern::any() }),
            Some(path) => Ok(Self::BaseUrl { methods: methods.parse()?, path: path.parse()? }),
            None => text.parse().map(Self::Fixed),
        }
    }
}

impl TryFrom<String> for Reach {
    type Error = DestinationError;

    fn try_from(text: String) -> Result<Self, DestinationError> {
        text.parse()
    }
}

impl From<Reach> for String {
    fn from(reach: Reach) -> Self {
        reach.to_string()
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(destination) => write!(f, "{destination}"),
            Self::BaseUrl { methods, path } => write!(f, "{methods} {BASE_URL}{path}"),
            Self::Any { methods } => write!(f, "{methods} any"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_below_the_base_url() {
        let base = parse_base_url("https://git.example.com/api/v3").expect("good");
        for (reach, wanted) in [
            ("POST {base-url}/repos/*/*/issues", "POST https://git.example.com/api/v3/repos/*/*/issues"),
            ("GET any", "GET https://git.example.com/api/v3/**"),
            ("GET https://a.com/x", "GET https://a.com/x"),
        ] {
            let parsed: Reach = reach.parse().expect(reach);
            assert_eq!(parsed.resolve(Some(&base)).expect("resolved").to_string(), wanted);
            assert_eq!(parsed.to_string(), reach);
        }
        assert_eq!("GET any".parse::<Reach>().expect("good").resolve(None), None);
        assert!(parse_base_url("https://a.com/?x=1").is_err());
        assert!(parse_base_url("https://u@a.com/").is_err());
        assert_eq!(parse_base_url("https://a.com/api/").expect("good").path, "/api/");
    }
}
