//! Why a store could not be opened, with the likely cause and the way out.

use model::Problem;
use std::io;
use std::path::PathBuf;

/// Why a store could not be opened. Nothing was changed, except for `Rows`.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the folder.
    #[error("data folder {} is in use by {}", folder.display(), holder(*pid))]
    InUse {
        /// The process, when it could be read.
        pid: Option<u32>,
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be created, opened or locked.
    #[error("cannot open data folder {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot read or write {file}")]
    Io {
        /// The file, relative to the data folder.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// Acknowledged bytes are not what was written.
    #[error("{file} is damaged at byte {offset}: {why}")]
    Damaged {
        /// The file, relative to the data folder.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// The file was written by a release that this one does not know.
    #[error("{file} has format version {found}, and this release reads version {supported}")]
    Version {
        /// The file, relative to the data folder.
        file: String,
        /// Its version.
        found: u32,
        /// What this release reads.
        supported: u32,
    },
    /// The rows behind the journal can be neither opened nor built anew.
    #[error("the rows behind the journal cannot be built: {why}")]
    Rows {
        /// Why.
        why: String,
    },
}

impl OpenError {
    /// The same for people: what happened, the likely cause, the fix.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let what = match self {
            Self::Folder { source, .. } | Self::Io { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        };
        Problem::new(self.code(), what).cause(self.cause()).fix(self.fix())
    }

    fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "data-folder-in-use",
            Self::Folder { .. } => "data-folder-unusable",
            Self::Io { .. } => "store-io",
            Self::Damaged { .. } => "store-damaged",
            Self::Version { .. } => "store-version-unknown",
            Self::Rows { .. } => "store-rows-unusable",
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "Another sluice host is running on the same data folder.",
            Self::Folder { .. } => "The folder is missing, or this user may not write to it.",
            Self::Io { .. } => "The disk is full, failing, or not writable for this user.",
            Self::Damaged { .. } => {
                "The disk changed or lost bytes that had been written durably, or a file was edited, cut or removed."
            }
            Self::Version { .. } => "The data folder was used by a newer release.",
            Self::Rows { .. } => "The disk is full or failing.",
        }
    }

    fn fix(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "Stop the other host, or choose another data folder.",
            Self::Folder { .. } => "Create the folder and give this user read and write permission.",
            Self::Io { .. } => "Check the disk and the permissions, then start again.",
            Self::Damaged { .. } => {
                "Nothing was changed. Copy the data folder, check the disk, and restore the folder from a backup."
            }
            Self::Version { .. } => "Run the newer release, or restore a backup made by this one.",
            Self::Rows { .. } => {
                "Free some space or check the disk, then start again: they are rebuilt from the journal."
            }
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
