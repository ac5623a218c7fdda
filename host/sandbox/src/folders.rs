//! Granted folders on disk: opened once per call, links refused at every step.
//!
//! Blocking. Every name on a path is opened alone, relative to its parent, without
//! following links, so that nothing below a folder can lead out of it. Only plain
//! files with one name and folders exist here: devices, pipes, sockets and hard
//! links do not. Knows nothing of permits.
//!
//! This holds while others change the folder. What they move out of it while it is
//! open, or move in, goes along: moving a file into a granted folder grants it. A hard
//! link that is there is refused; one that is made and taken away between two system
//! calls may be missed, which gives nothing to those who make it: Linux lets only them
//! link a file who may read and write it (`fs.protected_hardlinks`, on by default).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::UNIX_EPOCH;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _};
use rustix::fs::{Mode, OFlags, RenameFlags, openat, renameat_with};

use crate::file_path::{FilePath, TEMP_PREFIX};

/// Entries of one listing; more is an error, since the guest could not know that
/// some are missing. 10,000: about 1 MiB.
const ENTRIES_MAX: usize = 10_000;

/// Why a file operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{0} does not exist")]
    NotFound(String),
    #[error("{0} exists already")]
    AlreadyExists(String),
    #[error("the limit {which} = {limit} is reached")]
    Limit { which: &'static str, limit: u64 },
    #[error("{0}")]
    InvalidPath(String),
    /// The granted folder itself cannot be used: for an administrator to mend.
    #[error("the granted folder {0}")]
    NoFolder(&'static str),
    #[error("{0}")]
    Failed(String),
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_folder: bool,
    pub(crate) bytes: u64,
    pub(crate) modified_ms: u64,
}

/// The folders that one call has opened, and what it has written.
#[derive(Default)]
pub(crate) struct Folders {
    open: Vec<(PathBuf, Arc<Folder>)>,
    /// Calls of `files`, whatever came of them.
    pub(crate) operations: u64,
    /// Bytes handed to `write` and `append`.
    pub(crate) written: u64,
    /// Calls of `write`, `append` and `rename`.
    pub(crate) changes: u64,
    /// Whether anything may have changed on disk. Shared with whoever is about to.
    pub(crate) touched: Arc<AtomicBool>,
}

impl Folders {
    /// The folder, if it was opened before.
    pub(crate) fn get(&self, path: &Path) -> Option<Arc<Folder>> {
        self.open.iter().find(|(known, _)| known == path).map(|(_, folder)| folder.clone())
    }

    /// Keeps a folder for the rest of the call.
    pub(crate) fn keep(&mut self, path: PathBuf, folder: Arc<Folder>) {
        self.open.push((path, folder));
    }
}

/// An open folder.
pub(crate) struct Folder(Dir);

/// A file that nobody sees yet, under a name of the host's own. Gone when it is dropped.
pub(crate) struct Draft {
    parent: Dir,
    temp: String,
    name: String,
    path: FilePath,
    file: File,
}

impl Draft {
    /// Adds to its end.
    pub(crate) fn write(&mut self, content: &[u8]) -> Result<(), FileError> {
        self.file.write_all(content).map_err(|error| explain(&self.path, error))
    }

    /// Gives it its name, if `may` agrees once its content is on disk; what had it before is
    /// replaced. On disk when this returns.
    pub(crate) fn keep(self, may: impl FnOnce() -> Result<(), FileError>) -> Result<(), FileError> {
        self.file.sync_all().map_err(|error| explain(&self.path, error))?;
        may()?;
        let kept = self.parent.rename(&self.temp, &self.parent, &self.name);
        kept.and_then(|()| sync(&self.parent)).map_err(|error| explain(&self.path, error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // When it has its name already, nothing is there any more.
        let _gone = self.parent.remove_file(&self.temp);
    }
}

impl Folder {
    /// Opens a granted folder; no part of its path may be a link.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let root = Dir::open_ambient_dir("/", ambient_authority()).map_err(unopened)?;
        path.components()
            .filter(|part| !matches!(part, Component::RootDir))
            .try_fold(root, |dir, part| open_folder(&dir, part.as_os_str()))
            .map(Self)
            .map_err(unopened)
    }

    /// The entries, sorted by name. What is neither file nor folder is left out.
    pub(crate) fn list(&self, path: &FilePath) -> Result<Vec<Entry>, FileError> {
        let dir = self.walk(path, path.segments(), false)?;
        let mut entries = Vec::new();
        for entry in dir.entries().map_err(|error| explain(path, error))? {
            let entry = entry.map_err(|error| explain(path, error))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // It may have gone since.
            let Ok(meta) = dir.symlink_metadata(&name) else { continue };
            let plain = meta.is_dir() || (meta.is_file() && meta.nlink() == 1);
            if !plain || name.starts_with(TEMP_PREFIX) {
                continue;
            }
            if entries.len() == ENTRIES_MAX {
                return Err(FileError::Limit { which: "entries", limit: ENTRIES_MAX as u64 });
            }
            entries.push(to_entry(name, &meta));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Up to `bytes_max` bytes from `offset`; more than the limit is none at all.
    pub(crate) fn read(
        &self,
        path: &FilePath,
        offset: u64,
        bytes_max: u64,
        (which, limit): (&'static str, u64),
    ) -> Result<Vec<u8>, FileError> {
        let (mut file, size) = self.open_file(path)?;
        let wanted = size.saturating_sub(offset).min(bytes_max);
        if wanted > limit {
            return Err(FileError::Limit { which, limit });
        }
        let mut content = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.take(wanted).read_to_end(&mut content))
            .map_err(|error| explain(path, error))?;
        Ok(content)
    }

    /// Replaces or makes the file, on disk when this returns.
    pub(crate) fn write(&self, path: &FilePath, content: &[u8]) -> Result<(), FileError> {
        let mut draft = self.draft(path)?;
        draft.write(content)?;
        draft.keep(|| Ok(()))
    }

    /// A file to be written piece by piece, which becomes the one at `path` when it is
    /// kept.
    pub(crate) fn draft(&self, path: &FilePath) -> Result<Draft, FileError> {
        let (parent, name) = self.parent(path, true)?;
        match parent.symlink_metadata(name) {
            Ok(meta) if !meta.is_file() || meta.nlink() != 1 => return Err(not_plain(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(explain(path, error)),
        }
        let temp = temp_name().map_err(|error| explain(path, error))?;
        let file = open_file(&parent, &temp, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)
            .map_err(|error| explain(path, error))?;
        Ok(Draft { parent, temp, name: name.to_owned(), path: path.clone(), file })
    }

    /// The file, open for reading, and its size.
    pub(crate) fn open_file(&self, path: &FilePath) -> Result<(File, u64), FileError> {
        let (parent, name) = self.parent(path, false)?;
        let file = open_file(&parent, name, OFlags::RDONLY).map_err(|error| explain(path, error))?;
        let size = plain_size(&file, &parent, name, path)?;
        Ok((file, size))
    }

    /// Adds to the file or makes it, on disk when this returns.
    pub(crate) fn append(&self, path: &FilePath, content: &[u8]) -> Result<(), FileError> {
        let (parent, name) = self.parent(path, true)?;
        let mut file = open_file(&parent, name, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND)
            .map_err(|error| explain(path, error))?;
        let size = plain_size(&file, &parent, name, path)?;
        file.write_all(content).and_then(|()| file.sync_all()).map_err(|error| explain(path, error))?;
        if size == 0 { sync(&parent).map_err(|error| explain(path, error)) } else { Ok(()) }
    }

    /// Moves a file or a folder; nothing is replaced.
    pub(crate) fn rename(&self, from: &FilePath, to: &FilePath) -> Result<(), FileError> {
        let (source, source_name) = self.parent(from, false)?;
        let meta = source.symlink_metadata(source_name).map_err(|error| explain(from, error))?;
        if !meta.is_dir() && (!meta.is_file() || meta.nlink() != 1) {
            return Err(not_plain(from));
        }
        let (target, target_name) = self.parent(to, true)?;
        renameat_with(&source, source_name, &target, target_name, RenameFlags::NOREPLACE)
            .map_err(|error| explain(to, error.into()))?;
        sync(&source).and_then(|()| sync(&target)).map_err(|error| explain(to, error))
    }

    fn parent<'a>(&self, path: &'a FilePath, make: bool) -> Result<(Dir, &'a str), FileError> {
        let Some((name, parents)) = path.segments().split_last() else {
            return Err(FileError::InvalidPath(format!("{path} is the granted folder itself")));
        };
        Ok((self.walk(path, parents, make)?, name))
    }

    fn walk(&self, path: &FilePath, segments: &[String], make: bool) -> Result<Dir, FileError> {
        let start = self.0.try_clone().map_err(|error| explain(path, error))?;
        segments.iter().try_fold(start, |dir, name| {
            match open_folder(&dir, name.as_ref()) {
                Err(error) if make && error.kind() == io::ErrorKind::NotFound => make_folder(&dir, name),
                other => other,
            }
            .map_err(|error| explain(path, error))
        })
    }
}

fn open_folder(dir: &Dir, name: &std::ffi::OsStr) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(Dir::from_std_file(File::from(openat(dir, name, flags, Mode::empty())?)))
}

fn make_folder(dir: &Dir, name: &str) -> io::Result<Dir> {
    match dir.create_dir(name) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => sync(dir)?,
    }
    open_folder(dir, name.as_ref())
}

fn open_file(dir: &Dir, name: &str, flags: OFlags) -> io::Result<File> {
    // Without blocking: a pipe would wait for its other end.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    Ok(File::from(openat(dir, name, flags, mode)?))
}

/// The size of an open file, if it is a plain one, and this name is its only one. The
/// name is looked at after the file is open: the links of the file alone would say one as
/// well of a file elsewhere whose second name, the one here, has just been removed.
fn plain_size(file: &File, parent: &Dir, name: &str, path: &FilePath) -> Result<u64, FileError> {
    let meta = file.metadata().map_err(|error| explain(path, error))?;
    let named = parent.symlink_metadata(name).map_err(|error| explain(path, error))?;
    let same = (named.dev(), named.ino()) == (meta.dev(), meta.ino());
    let alone = meta.nlink() == 1 && named.nlink() == 1;
    if meta.is_file() && same && alone { Ok(meta.len()) } else { Err(not_plain(path)) }
}

fn sync(dir: &Dir) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    File::from(openat(dir, ".", flags, Mode::empty())?).sync_all()
}

fn temp_name() -> io::Result<String> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    Ok(format!("{TEMP_PREFIX}{}.tmp", hex::encode(nonce)))
}

fn not_plain(path: &FilePath) -> FileError {
    FileError::InvalidPath(format!("{path} is not a plain file or folder: links, pipes and devices are refused"))
}

/// What stays as it is until somebody mends it is told from a passing fault.
fn unopened(error: io::Error) -> FileError {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => FileError::NoFolder("does not exist"),
        Some(Errno::NOTDIR | Errno::LOOP) => FileError::NoFolder("is no folder, or its path leads over a link"),
        Some(Errno::ACCESS | Errno::PERM) => FileError::NoFolder("may not be opened by the user that runs the host"),
        _ => FileError::Failed(format!("the granted folder cannot be opened: {error}")),
    }
}

fn explain(path: &FilePath, error: io::Error) -> FileError {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => FileError::NotFound(path.to_string()),
        Some(Errno::EXIST | Errno::NOTEMPTY) => FileError::AlreadyExists(path.to_string()),
        Some(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::MLINK) => not_plain(path),
        Some(Errno::NAMETOOLONG | Errno::INVAL | Errno::XDEV) => {
            FileError::InvalidPath(format!("{path} cannot be used: {error}"))
        }
        _ => FileError::Failed(format!("{path}: {error}")),
    }
}

fn to_entry(name: String, meta: &cap_std::fs::Metadata) -> Entry {
    let modified = meta.modified().ok().and_then(|time| time.into_std().duration_since(UNIX_EPOCH).ok());
    let modified_ms = modified.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Entry { name, is_folder: meta.is_dir(), bytes: if meta.is_dir() { 0 } else { meta.len() }, modified_ms }
}

#[cfg(test)]
#[path = "folders_tests.rs"]
mod tests;
