//! Structured log lines, kept with the run, up to the granted number of bytes.

use std::fmt::Display;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For whoever writes the connector.
    Debug,
    /// What happened.
    Info,
    /// Something unusual that did no harm.
    Warn,
    /// Something that did.
    Error,
}

/// Writes one line; `fields` are shown beside the message.
pub fn write(level: Level, message: &str, fields: &[(&str, &dyn Display)]) {
    let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    crate::host::write_log(level, message, &fields);
}

/// [`write()`] at [`Level::Debug`].
pub fn debug(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Debug, message, fields);
}

/// [`write()`] at [`Level::Info`].
pub fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Info, message, fields);
}

/// [`write()`] at [`Level::Warn`].
pub fn warn(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Warn, message, fields);
}

/// [`write()`] at [`Level::Error`].
pub fn error(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Error, message, fields);
}
