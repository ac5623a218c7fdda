//! Names: parsed once at the edge, compared as text ever after.
//!
//! Owns the one rule for names in documents, URLs and on the command line. A name
//! is never a raw `String` inside the host.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text that is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} {reason}")]
pub struct NameError {
    /// What was wanted: `flow id`, `scope`, ...
    pub kind: &'static str,
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// Why it is not one, as the end of a sentence.
    pub reason: &'static str,
}

/// Names fit in a table cell, a file name and a metric label.
const NAME_BYTES_MAX: usize = 63;
/// Scopes are the remote's words; some services use whole URLs.
const SCOPE_BYTES_MAX: usize = 200;

fn error(kind: &'static str, text: &str, reason: &'static str) -> NameError {
    NameError { kind, text: text.chars().take(80).collect(), reason }
}

/// Lower-case letters, digits and single separators; starts with a letter.
fn check_name(kind: &'static str, text: &str, separators: &[u8]) -> Result<(), NameError> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(error(kind, text, "is empty"));
    }
    if bytes.len() > NAME_BYTES_MAX {
        return Err(error(kind, text, "is longer than 63 characters"));
    }
    if !bytes[0].is_ascii_lowercase() {
        return Err(error(kind, text, "must start with a lower-case letter"));
    }
    for &byte in bytes {
        if !byte.is_ascii_lowercase() && !byte.is_ascii_digit() && !separators.contains(&byte) {
            return Err(error(kind, text, "may hold only lower-case letters, digits and hyphens"));
        }
    }
    if separators.contains(&bytes[bytes.len() - 1]) {
        return Err(error(kind, text, "must not end with a separator"));
    }
    Ok(())
}

fn check_scope(kind: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > SCOPE_BYTES_MAX {
        return Err(error(kind, text, "must have 1 to 200 characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(error(kind, text, "may hold only visible ASCII characters"));
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&'static str, &str) -> Result<(), NameError> = $check;
                check($kind, text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

names! {
    /// A connector's id, the same in every version of it: `github`.
    PluginId, "plugin id", |kind, text| check_name(kind, text, b"-");
    /// An action or a trigger of a connector: `post-message`.
    OperationId, "operation id", |kind, text| check_name(kind, text, b"-");
    /// What a connector's forms can ask about: `channel`, `contact`.
    FieldId, "field id", |kind, text| check_name(kind, text, b"-");
    /// A flow: `alert-on-bug`.
    FlowId, "flow id", |kind, text| check_name(kind, text, b"-");
    /// A step of a flow; also a name in expressions, hence `_` beside `-`.
    StepId, "step id", |kind, text| check_name(kind, text, b"_-");
    /// A connection: `team-slack`.
    ConnectionId, "connection id", |kind, text| check_name(kind, text, b"-");
    /// Where flows run: `test`, `production`, ...
    Environment, "environment", |kind, text| check_name(kind, text, b"-");
    /// A team that owns flows and connections.
    Team, "team", |kind, text| check_name(kind, text, b"-");
    /// A folder that a grant opens, as connectors name it.
    FolderName, "folder name", |kind, text| check_name(kind, text, b"-_");
    /// A named right at the remote service: `chat:write`.
    Scope, "scope", check_scope;
    /// One execution of a flow; sorts by time of arrival.
    RunId, "run id", |kind, text| {
        (text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
            .then_some(())
            .ok_or_else(|| error(kind, text, "must be 32 lower-case hexadecimal digits"))
    };
}

/// An operation of a connector, as flows and grants write it: `slack/post-message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct OperationRef {
    /// The connector.
    pub plugin: PluginId,
    /// Its action or trigger.
    pub operation: OperationId,
}

impl FromStr for OperationRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (plugin, operation) = text
            .split_once('/')
            .ok_or_else(|| error("operation", text, "must be written plugin/operation, as in slack/post-message"))?;
        Ok(Self { plugin: plugin.parse()?, operation: operation.parse()? })
    }
}

impl TryFrom<String> for OperationRef {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<OperationRef> for String {
    fn from(operation: OperationRef) -> Self {
        operation.to_string()
    }
}

impl fmt::Display for OperationRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.plugin, self.operation)
    }
}

/// The known name nearest to `text`, when it is near enough to be a slip of the pen.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(text, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().max(text.len()) / 4)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_once() {
        for (text, good) in [
            ("post-message", true),
            ("a", true),
            ("", false),
            ("Post", false),
            ("9lives", false),
            ("a_b", false),
            ("a-", false),
            ("a b", false),
            ("é", false),
            (&"a".repeat(64), false),
        ] {
            assert_eq!(text.parse::<FlowId>().is_ok(), good, "{text:?}");
        }
        assert!("chat:write".parse::<Scope>().is_ok());
        assert!("a b".parse::<Scope>().is_err());
        assert_eq!("slack/post-message".parse::<OperationRef>().expect("good").to_string(), "slack/post-message");
        assert!("slack".parse::<OperationRef>().is_err());
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_near() {
        assert_eq!(nearest("chanel", ["channel", "text"]), Some("channel"));
        assert_eq!(nearest("zzz", ["channel", "text"]), None);
    }
}
