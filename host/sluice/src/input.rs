//! JSON from the command line or a file, and documents from files.

use std::path::Path;

use model::Problem;
use serde_json::Value;

use crate::exit::{Exit, Stop};

/// JSON as written, or the file's after an `@`. `name` is the option that has it.
pub(crate) fn json(name: &str, argument: &str) -> Result<Value, Stop> {
    let (text, place) = match argument.strip_prefix('@') {
        Some(path) => (read(Path::new(path))?, path),
        None => (argument.to_owned(), name),
    };
    serde_json::from_str(&text).map_err(|error| {
        Stop::new(
            Exit::Usage,
            Problem::new("malformed-json", format!("the input is not JSON: {error}"))
                .field(format!("{place}:{}:{}", error.line(), error.column()))
                .fix("write a JSON document such as {\"text\":\"hello\"}, or @FILE to read one"),
        )
    })
}

/// A text file, whole.
pub(crate) fn read(path: &Path) -> Result<String, Stop> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|_| {
        Stop::failed(
            Problem::new("not-text", format!("{} is not text in UTF-8", path.display())).fix("save it as UTF-8"),
        )
    })
}

/// A file, whole.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Stop> {
    std::fs::read(path).map_err(|error| {
        Stop::failed(
            Problem::new("file", format!("{} cannot be read: {error}", path.display()))
                .fix("look at its name and permissions"),
        )
    })
}
