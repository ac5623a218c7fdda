//! Printing documents as people write them: one item a line, tables last.
//!
//! Invariant: what is printed here is parsed back to the same value.

use std::fmt::{Display, Write as _};

use model::LimitsPart;

/// A document on its way to text.
#[derive(Default)]
pub(crate) struct Printer(String);

impl Printer {
    /// A document of this version.
    pub(crate) fn versioned(version: u32) -> Self {
        Self(format!("version = {version}\n"))
    }

    /// `key = "text"`
    pub(crate) fn text(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {}", quoted(&value.to_string()));
    }

    /// `key = [...]`, one item a line; nothing for an empty list.
    pub(crate) fn list<T: Display>(&mut self, key: &str, items: &[T]) {
        if !items.is_empty() {
            self.list_even_empty(key, items);
        }
    }

    /// The same, but an empty list is said.
    pub(crate) fn list_even_empty<T: Display>(&mut self, key: &str, items: &[T]) {
        let _ = write!(self.0, "{key} = [");
        for item in items {
            let _ = write!(self.0, "\n    {},", quoted(&item.to_string()));
        }
        self.0.push_str(if items.is_empty() { "]\n" } else { "\n]\n" });
    }

    /// `[a.b]`
    pub(crate) fn table(&mut self, name: &str) {
        let _ = write!(self.0, "\n[{name}]\n");
    }

    /// `[limits]` and its lines; nothing when none is said.
    pub(crate) fn limits(&mut self, limits: &LimitsPart) {
        let entries = limits.entries();
        if !entries.is_empty() {
            self.table("limits");
        }
        for (name, limit) in entries {
            let _ = writeln!(self.0, "{name} = {limit}");
        }
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A TOML basic string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A TOML key: bare where it can be.
pub(crate) fn key(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match !text.is_empty() && text.bytes().all(bare) {
        true => text.to_owned(),
        false => quoted(text),
    }
}
