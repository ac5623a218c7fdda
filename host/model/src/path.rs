//! Paths: one normalisation, one pattern language.
//!
//! A pattern is written like a path: `*` stands for one segment, `**` for any
//! number of them, none included. A path is normalised once (unreserved characters
//! decoded, dot segments removed) before it is matched, and sent as it was matched.

use std::fmt;
use std::str::FromStr;

/// A path, or a pattern, that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `%2f` or `%5c`: servers disagree about what these mean.
    #[error("the path has an encoded slash or backslash")]
    EncodedSeparator,
    /// `%` without two hexadecimal digits, or an encoded control character.
    #[error("the path has a malformed or forbidden percent-encoding")]
    Encoding,
    /// `//`: some servers read it as `/`, and some of those before they look at rights.
    #[error("the path has an empty segment (two slashes in a row)")]
    EmptySegment,
    /// `..;x`: some servers leave out what follows the `;`, and then go up.
    #[error("the path has a dot segment with parameters (such as \"..;\")")]
    DotParameters,
    /// A pattern that could not match any normalised path, or is ambiguous.
    #[error("path pattern {0:?} is not a normalised path with \"*\" or \"**\" as whole segments")]
    Pattern(String),
}

/// Decodes unreserved characters, upper-cases the other encodings, removes dot
/// segments. The path starts with `/`; so does the result.
///
/// # Errors
/// Refuses what servers read in different ways: encoded separators, malformed
/// encodings, encoded controls, empty segments but the last, dot segments with
/// parameters.
pub fn normalise(path: &str) -> Result<String, PathError> {
    let decoded = decode_unreserved(path)?;
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = decoded.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." if last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if last {
                    kept.push("");
                }
            }
            "" if !last => return Err(PathError::EmptySegment),
            other if is_dotted(other) => return Err(PathError::DotParameters),
            other => kept.push(other),
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

/// Whether a server that leaves parameters out would see `.` or `..`.
fn is_dotted(segment: &str) -> bool {
    let name = segment.split(';').next().and_then(|name| name.split("%3B").next());
    matches!(name, Some("." | ".."))
}

fn decode_unreserved(path: &str) -> Result<String, PathError> {
    if path.contains('\\') {
        return Err(PathError::EncodedSeparator);
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 3).ok_or(PathError::Encoding)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(PathError::Encoding);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| PathError::Encoding)?;
        match byte {
            b'/' | b'\\' => return Err(PathError::EncodedSeparator),
            0..=0x1f | 0x7f => return Err(PathError::Encoding),
            b'-' | b'.' | b'_' | b'~' => decoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => decoded.push(char::from(byte)),
            _ => decoded.push_str(&format!("%{byte:02X}")),
        }
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    Literal(String),
    One,
    Rest,
}

/// A pattern of normalised paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern(Vec<Segment>);

impl PathPattern {
    /// `/**`: every path.
    pub fn any() -> Self {
        Self(vec![Segment::Rest])
    }

    /// Whether the pattern means this normalised path.
    pub fn matches(&self, path: &str) -> bool {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        matches_from(&self.0, &segments)
    }

    /// Whether every path that `other` means is meant by this pattern too. Sound,
    /// and complete for patterns whose only `**` is the last segment.
    pub fn covers(&self, other: &Self) -> bool {
        covers_from(&self.0, &other.0)
    }

    /// This pattern below the literal normalised path `base` (`/` for none).
    #[must_use]
    pub fn below(&self, base: &str) -> Self {
        let base = base.split('/').filter(|part| !part.is_empty()).map(|part| Segment::Literal(part.to_owned()));
        Self(base.chain(self.0.iter().cloned()).collect())
    }
}

fn matches_from(pattern: &[Segment], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((Segment::Rest, rest)), _) => (0..=path.len()).any(|skipped| matches_from(rest, &path[skipped..])),
        (Some(_), None) => false,
        (Some((Segment::One, rest)), Some((segment, path))) => !segment.is_empty() && matches_from(rest, path),
        (Some((Segment::Literal(literal), rest)), Some((segment, path))) => {
            literal == segment && matches_from(rest, path)
        }
    }
}

fn covers_from(outer: &[Segment], inner: &[Segment]) -> bool {
    match (outer.split_first(), inner.split_first()) {
        (None, None) => true,
        (Some((Segment::Rest, [])), _) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((Segment::Rest, rest)), Some((_, inner_rest))) => {
            covers_from(rest, inner) || covers_from(outer, inner_rest)
        }
        (Some((Segment::One, outer)), Some((Segment::One, inner))) => covers_from(outer, inner),
        (Some((Segment::One, outer)), Some((Segment::Literal(literal), inner))) => {
            !literal.is_empty() && covers_from(outer, inner)
        }
        (Some((Segment::Literal(a), outer)), Some((Segment::Literal(b), inner))) => a == b && covers_from(outer, inner),
        (Some((Segment::One | Segment::Literal(_), _)), Some(_)) => false,
    }
}

/// Patterns with more `**` could be made slow to match.
const REST_MAX: usize = 2;

impl FromStr for PathPattern {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let refuse = || PathError::Pattern(text.chars().take(120).collect());
        let segments = text.strip_prefix('/').ok_or_else(refuse)?;
        if text.contains(['?', '#', ' ']) || normalise(text)? != text {
            return Err(refuse());
        }
        let pattern = segments
            .split('/')
            .map(|segment| match segment {
                "*" => Ok(Segment::One),
                "**" => Ok(Segment::Rest),
                literal if literal.contains('*') => Err(refuse()),
                literal => Ok(Segment::Literal(literal.to_owned())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if pattern.iter().filter(|segment| **segment == Segment::Rest).count() > REST_MAX {
            return Err(refuse());
        }
        Ok(Self(pattern))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Literal(literal) => write!(f, "/{literal}"),
            Segment::One => f.write_str("/*"),
            Segment::Rest => f.write_str("/**"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_once_and_for_all() {
        for (path, wanted) in [
            ("/", "/"),
            ("/a/./b/../c", "/a/c"),
            ("/a/%2E%2e/b", "/b"),
            ("/%7euser/%41", "/~user/A"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("/a/..", "/"),
            ("/../..", "/"),
            ("/a/", "/a/"),
            ("/a;x/..b/c;..", "/a;x/..b/c;.."),
        ] {
            let normal = normalise(path).expect(path);
            assert_eq!(normal, wanted, "{path}");
            assert_eq!(normalise(&normal).as_deref(), Ok(wanted));
        }
        for bad in ["/%2f", "/%5C", "/a\\b", "/%", "/%zz", "/%0a", "/%+1"] {
            assert!(normalise(bad).is_err(), "{bad}");
        }
        for bad in ["//", "//admin", "/a//b", "/a//", "/a/..//b"] {
            assert_eq!(normalise(bad), Err(PathError::EmptySegment), "{bad}");
        }
        for bad in ["/..;/b", "/a/.;x=1", "/a/..%3b/b", "/%2E%2e%3Bx/b", "/..;%3B", "/..%3B;"] {
            assert_eq!(normalise(bad), Err(PathError::DotParameters), "{bad}");
        }
    }

    #[test]
    fn patterns_match_whole_segments() {
        for (pattern, path, wanted) in [
            ("/repos/*/*/issues", "/repos/a/b/issues", true),
            ("/repos/*/*/issues", "/repos/a/b/issues/1", false),
            ("/repos/*/issues", "/repos//issues", false),
            ("/v1/**", "/v1", true),
            ("/v1/**", "/v1/a/b", true),
            ("/v1/**", "/v10", false),
            ("/**", "/", true),
            ("/", "/", true),
            ("/", "/a", false),
            ("/**/raw", "/a/b/raw", true),
        ] {
            let parsed: PathPattern = pattern.parse().expect(pattern);
            assert_eq!(parsed.matches(path), wanted, "{pattern} on {path}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for bad in ["", "a", "/a*", "/***", "/a/../b", "/**/**/**", "/a?b", "/a//b", "//**"] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn covering_is_matching_for_patterns() {
        for (outer, inner, wanted) in [
            ("/**", "/a/*", true),
            ("/a/**", "/a/b/c", true),
            ("/a/*", "/a/b", true),
            ("/a/b", "/a/*", false),
            ("/a/**", "/b/**", false),
            ("/*/x", "/a/x", true),
            ("/a", "/a/**", false),
        ] {
            let (outer, inner): (PathPattern, PathPattern) = (outer.parse().expect(outer), inner.parse().expect(inner));
            assert_eq!(outer.covers(&inner), wanted, "{outer} over {inner}");
        }
    }
}
