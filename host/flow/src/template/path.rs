//! Paths into values, as expressions and messages write them.

use std::fmt;

/// One step down into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Field(String),
    Index(usize),
}

/// A plain reference: `trigger.issue.labels[0]`. The first segment is a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Segment>);

impl Path {
    /// The name in scope it begins with.
    pub(crate) fn root(&self) -> &str {
        match self.0.first() {
            Some(Segment::Field(name)) => name,
            Some(Segment::Index(_)) | None => "",
        }
    }

    /// What follows the root.
    pub(crate) fn below(&self) -> &[Segment] {
        self.0.get(1..).unwrap_or_default()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(&self.0))
    }
}

/// The segments as an expression would write them.
pub(crate) fn show(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        match segment {
            Segment::Field(name) if text.is_empty() => text.push_str(name),
            Segment::Field(name) if is_plain(name) => {
                text.push('.');
                text.push_str(name);
            }
            Segment::Field(name) => text.push_str(&format!("['{name}']")),
            Segment::Index(at) => text.push_str(&format!("[{at}]")),
        }
    }
    text
}

/// A field below a field, as messages write it: names that are not plain in brackets.
pub(crate) fn child(field: &str, name: &str) -> String {
    if is_plain(&name.replace('-', "_")) { format!("{field}.{name}") } else { format!("{field}['{name}']") }
}

/// Whether a name can stand after a dot.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What follows the root of a path as an expression writes it, for tests.
#[cfg(test)]
pub(crate) fn parse_path(text: &str) -> Vec<Segment> {
    text.split(['.', '[', ']'])
        .filter(|part| !part.is_empty())
        .skip(1)
        .map(|part| part.parse().map_or_else(|_| Segment::Field(part.to_owned()), Segment::Index))
        .collect()
}
