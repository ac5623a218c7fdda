//! An HTTP method as ceilings list them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::as_text;

/// A method name: upper-case letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub(crate) struct Method(String);

/// A text that is not a method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("method {0:?} is not written in upper-case letters, as in \"GET\"")]
pub(crate) struct MethodError(String);

as_text! { Method, MethodError; }

impl Method {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        let good = !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_uppercase());
        good.then(|| Self(text.to_owned())).ok_or_else(|| MethodError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
