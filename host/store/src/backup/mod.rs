//! Backups: a folder of files with a list that is written last.
//!
//! Owns the form of a backup and the proof that one is whole: every file's
//! length and CRC32C stand in the list, which itself has a version. A folder
//! without the list is a backup that was cut short. What the files mean is the
//! business of those who add them.

mod journal;
mod restore;

pub use restore::{check, restore};

use model::Problem;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

/// The list's file.
const LIST: &str = "backup.json";
/// The form that this release writes and reads.
const VERSION: u32 = 1;
/// Bytes copied at once. 1 MiB: fast, and nothing beside the host's memory.
const CHUNK_BYTES: usize = 1 << 20;

/// A backup's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The form of this list.
    pub version: u32,
    /// When it was made: milliseconds since 1970-01-01 UTC.
    pub made_at_ms: u64,
    /// The files, as they were added.
    pub files: Vec<BackupFile>,
    /// What is left out on purpose, in plain words.
    pub without: Vec<String>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its place, relative to the backup and to the data folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// CRC32C of its content.
    pub crc32c: u32,
}

/// Why there is no backup, or none that could be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder to write to holds something.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The folder holds no list: no backup, or one that was cut short.
    #[error("{} holds no complete backup", .0.display())]
    Incomplete(PathBuf),
    /// A file is not what was backed up.
    #[error("{path} of the backup is damaged: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A newer release made the backup.
    #[error("the backup has format version {found}, and this release reads version {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// A file could not be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot write what a backup begins with.
    #[error("the store cannot be backed up now")]
    Store(#[from] crate::tidy::TidyError),
    /// This store is backed up by the means of the database it is in.
    #[error("this store has no backup of its own")]
    Unsupported,
}

impl BackupError {
    /// The same for people: what happened, the likely cause, the fix.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let what = match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        };
        let (code, cause, fix) = match self {
            Self::NotEmpty(_) => {
                ("folder-not-empty", "It was used before.", "Name a folder that is empty, or does not exist yet.")
            }
            Self::Incomplete(_) => (
                "backup-incomplete",
                "It is no backup, or writing it was cut short: its list, backup.json, is written last.",
                "Name another backup.",
            ),
            Self::Damaged { .. } => (
                "backup-damaged",
                "The disk changed or lost bytes, or a file was edited, cut or removed.",
                "Nothing that is listed as damaged was put in use. Take another backup, or another copy of this one.",
            ),
            Self::Version { .. } => {
                ("backup-version-unknown", "A newer release made it.", "Restore it with that release or a later one.")
            }
            Self::Io { .. } => (
                "backup-io",
                "The disk is full, failing, or not for this user.",
                "Make space, or mend the permissions.",
            ),
            Self::Store(_) => {
                ("backup-store", "The disk is full or failing.", "Look at the host's log and at the disk.")
            }
            Self::Unsupported => (
                "backup-elsewhere",
                "The store is in a database of its own.",
                "Back that database up, and the data folder with the components.",
            ),
        };
        Problem::new(code, what).cause(cause).fix(fix)
    }
}

/// A backup that is being written.
#[derive(Debug)]
pub struct BackupWriter {
    to: PathBuf,
    files: Vec<BackupFile>,
}

impl Backup {
    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Whether a file of this path is in it.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }
}

impl BackupWriter {
    /// Begins a backup in a folder that is empty or not there yet.
    ///
    /// # Errors
    /// When the folder holds something, or cannot be made.
    pub fn begin(to: &Path) -> Result<Self, BackupError> {
        expect_empty(to)?;
        make_folder(to)?;
        Ok(Self { to: to.to_owned(), files: Vec::new() })
    }

    /// Adds a file from the disk.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn add_file(&mut self, path: &str, from: &Path) -> Result<(), BackupError> {
        let source = File::open(from).map_err(|source| BackupError::Io { path: from.to_owned(), source })?;
        self.add(path, source)
    }

    /// Adds what a reader gives, as a file of this path.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn add(&mut self, path: &str, from: impl Read) -> Result<(), BackupError> {
        let target = self.to.join(path);
        let (bytes, crc32c) = copy(from, &target)?;
        self.files.push(BackupFile { path: path.to_owned(), bytes, crc32c });
        Ok(())
    }

    /// Makes the backup complete.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn finish(self, made_at_ms: u64, without: Vec<String>) -> Result<Backup, BackupError> {
        let backup = Backup { version: VERSION, made_at_ms, files: self.files, without };
        let list = serde_json::to_vec_pretty(&backup).expect("a list has a JSON form");
        copy(&list[..], &self.to.join(LIST))?;
        Ok(backup)
    }
}

/// A folder that is not there, or has nothing in it.
fn expect_empty(folder: &Path) -> Result<(), BackupError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(BackupError::Io { path: folder.to_owned(), source }),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(BackupError::NotEmpty(folder.to_owned())),
        },
    }
}

/// Readable by its owner alone: what was deleted for others to see is in it.
fn make_folder(folder: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| BackupError::Io { path: folder.to_owned(), source })
}

/// Copies to a new file, durably; returns its length and CRC32C.
fn copy(mut from: impl Read, to: &Path) -> Result<(u64, u32), BackupError> {
    let folder = to.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let copied = (|| {
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        let (mut bytes, mut crc) = (0, 0);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let len = from.read(&mut chunk)?;
            if len == 0 {
                break;
            }
            target.write_all(&chunk[..len])?;
            crc = crc32c::crc32c_append(crc, &chunk[..len]);
            bytes += len as u64;
        }
        target.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok((bytes, crc))
    })();
    copied.map_err(|source| BackupError::Io { path: to.to_owned(), source })
}

/// A path of a list stays below the folder.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
