//! Paths as connectors write them: a granted folder's name, then names below it.

use std::fmt;

use crate::folders::FileError;

/// Unfinished files begin with it; connectors neither see nor name them.
pub(crate) const TEMP_PREFIX: &str = ".sluicegate-";
/// What Linux takes for one name.
const NAME_BYTES_MAX: usize = 255;
/// Names on a path. 32: deeper trees are someone's mistake.
const DEPTH_MAX: usize = 32;

/// `inbox/2026/report.csv`: relative, plain, within one granted folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePath {
    folder: String,
    segments: Vec<String>,
}

impl FilePath {
    /// Parses a path; `inbox` alone is the folder itself.
    pub(crate) fn parse(text: &str) -> Result<Self, FileError> {
        let refuse = |why: &str| {
            let shown: String = text.chars().take(100).flat_map(char::escape_debug).collect();
            FileError::InvalidPath(format!("path \"{shown}\" {why}"))
        };
        let mut names = text.split('/');
        let folder = names.next().unwrap_or_default().to_owned();
        let segments: Vec<String> = names.map(str::to_owned).collect();
        if folder.is_empty() {
            return Err(refuse("must begin with the name of a granted folder"));
        }
        if segments.len() > DEPTH_MAX {
            return Err(refuse("has more than 32 names"));
        }
        for name in std::iter::once(&folder).chain(&segments) {
            if name.is_empty() || name == "." || name == ".." {
                return Err(refuse("must not hold empty names, \".\" or \"..\""));
            }
            if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
                return Err(refuse("holds a name that is too long or has control characters"));
            }
            if name.starts_with(TEMP_PREFIX) {
                return Err(refuse("holds a name that the host keeps for itself"));
            }
        }
        Ok(Self { folder, segments })
    }

    /// The granted folder's name.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// The names below it.
    pub(crate) fn segments(&self) -> &[String] {
        &self.segments
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.folder)?;
        self.segments.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_relative_paths_only() {
        let deep = format!("a{}", "/b".repeat(33));
        let long = format!("a/{}", "b".repeat(256));
        for (text, ok) in [
            ("inbox", true),
            ("inbox/a/b.txt", true),
            ("inbox/..hidden", true),
            ("inbox/ünï", true),
            ("", false),
            ("/etc/passwd", false),
            ("inbox/../x", false),
            ("..", false),
            ("inbox/./x", false),
            ("inbox//x", false),
            ("inbox/", false),
            ("inbox/a\0b", false),
            ("inbox/a\nb", false),
            ("inbox/.sluicegate-1.tmp", false),
            (deep.as_str(), false),
            (long.as_str(), false),
        ] {
            let parsed = FilePath::parse(text);
            assert_eq!(parsed.is_ok(), ok, "{text:?}");
            assert!(parsed.is_err() || parsed.is_ok_and(|path| path.to_string() == text));
        }
    }
}
