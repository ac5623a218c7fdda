//! Files in the folders that the grant names.
//!
//! Paths are relative, with `/`, start with the name of a granted folder, and never
//! leave it. The host decides on each operation and records it.

use std::fmt;

use crate::error::Error;
use crate::host;

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the folder's.
    pub name: String,
    /// A folder, or else a file.
    pub folder: bool,
    /// Its size.
    pub bytes: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub modified_ms: u64,
}

/// Why a file could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// The grant does not allow it.
    Denied {
        /// The rule that decided, or that is missing.
        rule: String,
        /// What an administrator would change.
        fix: String,
    },
    /// Nothing is there.
    NotFound(String),
    /// Something is there already.
    AlreadyExists(String),
    /// A granted limit was reached.
    LimitExceeded {
        /// Its name in grants.
        which: String,
        /// Its value.
        limit: u64,
    },
    /// Malformed, or not a plain file or folder.
    InvalidPath(String),
    /// The disk failed.
    Failed(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { rule, fix } => write!(f, "denied by policy: {rule}. {fix}"),
            Self::NotFound(path) => write!(f, "there is no {path}"),
            Self::AlreadyExists(path) => write!(f, "{path} exists already"),
            Self::LimitExceeded { which, limit } => write!(f, "the call reached its limit {which} = {limit}"),
            Self::InvalidPath(why) => f.write_str(why),
            Self::Failed(why) => write!(f, "the disk failed: {why}"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotFound(_) => Self::not_found(error),
            FileError::AlreadyExists(_) => Self::conflict(error),
            FileError::InvalidPath(why) => Self::invalid_input("/path", "a path in a granted folder", why),
            FileError::Failed(_) => Self::transient(error),
            FileError::Denied { .. } | FileError::LimitExceeded { .. } => Self::permanent(error),
        }
    }
}

/// The entries of a folder, sorted by name.
///
/// # Errors
/// When the grant, the path or the disk does not allow it.
pub fn list(path: &str) -> Result<Vec<Entry>, FileError> {
    host::list_files(path)
}

/// Up to `bytes_max` bytes from `offset`; fewer at the end of the file.
///
/// # Errors
/// When the grant, the path or the disk does not allow it.
pub fn read(path: &str, offset: u64, bytes_max: u32) -> Result<Vec<u8>, FileError> {
    host::read_file(path, offset, bytes_max)
}

/// Replaces the whole file, or makes it. On disk when this returns.
///
/// # Errors
/// When the grant, the path or the disk does not allow it.
pub fn write(path: &str, content: impl AsRef<[u8]>) -> Result<(), FileError> {
    host::write_file(path, content.as_ref())
}

/// Adds to the end of the file, or makes it. On disk when this returns.
///
/// # Errors
/// When the grant, the path or the disk does not allow it.
pub fn append(path: &str, content: impl AsRef<[u8]>) -> Result<(), FileError> {
    host::append_file(path, content.as_ref())
}

/// Moves within one granted folder; an existing target is not replaced.
///
/// # Errors
/// When the grant, the path or the disk does not allow it.
pub fn rename(from: &str, to: &str) -> Result<(), FileError> {
    host::rename_file(from, to)
}
