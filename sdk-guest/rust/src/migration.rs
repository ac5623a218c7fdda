//! Configuration that an earlier version of the connector took.

use serde_json::Value;

use crate::error::Result;

/// A version without its pre-release: major, minor, patch. Compares as versions do.
pub type Version = (u64, u64, u64);

/// `1.2.3-rc.1` as numbers; what is none counts as 0.
pub(crate) fn parse_version(text: &str) -> Version {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = core.split('.').map(|part| part.parse().unwrap_or_default());
    let mut next = || numbers.next().unwrap_or_default();
    (next(), next(), next())
}

/// What carries an operation's stored configuration over, as `#[migrate]` makes it of a
/// function.
pub trait Migrate {
    /// The operation.
    const OPERATION: &'static str;
    /// Its members in the manifest, as JSON text without braces.
    #[doc(hidden)]
    const FACTS: &'static str;

    /// The configuration as this version takes it.
    ///
    /// # Errors
    /// Those of the function.
    fn migrate(config: Value, from: Version) -> Result<Value>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(parse_version("1.12.3-rc.1+5"), (1, 12, 3));
        assert!(parse_version("0.9.0") < parse_version("0.10.0"));
        assert_eq!(parse_version("x"), (0, 0, 0));
    }
}
