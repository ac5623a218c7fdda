//! The host's side of `files`: permit, quota, record; the disk is `folders`.
//!
//! All disk work happens on the blocking threads: an fsync takes milliseconds, and
//! on a network disk any call may hang. A call that reaches its deadline meanwhile
//! is over at once; what it had begun to write may still take effect, as `sent` says.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use model::{AccessRecord, Failure, Problem};
use policy::FilePermit;

use crate::bindings::files;
use crate::file_path::FilePath;
use crate::folders::{FileError, Folder};
use crate::host::DESCRIBING;
use crate::state::State;

/// Operations of one call, whatever they do: empty files and listings cost the disk as
/// much as others. 10,000: every file of the largest listing.
const OPERATIONS_MAX: u64 = 10_000;
/// Characters of a path in a record.
const PATH_CHARS_MAX: usize = 200;
/// Changes of one call: what it writes, appends and renames. 1,000: each is a flush of the
/// disk, and an empty file takes none of the quota of bytes, but an inode.
const CHANGES_MAX: u64 = 1_000;

/// What is asked for, for the record.
pub(crate) struct Access {
    pub(crate) method: &'static str,
    pub(crate) write: bool,
    pub(crate) sent_bytes: u64,
}

impl files::Host for State {
    async fn list(&mut self, path: String) -> Result<Vec<files::Entry>, files::FileError> {
        let access = Access { method: "LIST", write: false, sent_bytes: 0 };
        let entries = self.access(access, path, |folder, path| folder.list(path), |_| 0).await?;
        let to_entry = |entry: crate::folders::Entry| files::Entry {
            name: entry.name,
            kind: if entry.is_folder { files::Kind::Folder } else { files::Kind::File },
            bytes: entry.bytes,
            modified_ms: entry.modified_ms,
        };
        Ok(entries.into_iter().map(to_entry).collect())
    }

    async fn read(&mut self, path: String, offset: u64, max_bytes: u32) -> Result<Vec<u8>, files::FileError> {
        // What is read is held in memory, by the host and then by the guest.
        let limit = match self.limits().memory_bytes < self.limits().response_bytes {
            true => ("memory_bytes", self.limits().memory_bytes),
            false => ("response_bytes", self.limits().response_bytes),
        };
        let access = Access { method: "READ", write: false, sent_bytes: 0 };
        let work = move |folder: &Folder, path: &FilePath| folder.read(path, offset, max_bytes.into(), limit);
        self.access(access, path, work, |content| content.len() as u64).await
    }

    async fn write(&mut self, path: String, content: Vec<u8>) -> Result<(), files::FileError> {
        let access = Access { method: "WRITE", write: true, sent_bytes: content.len() as u64 };
        self.access(access, path, move |folder, path| folder.write(path, &content), |()| 0).await
    }

    async fn append(&mut self, path: String, content: Vec<u8>) -> Result<(), files::FileError> {
        let access = Access { method: "APPEND", write: true, sent_bytes: content.len() as u64 };
        self.access(access, path, move |folder, path| folder.append(path, &content), |()| 0).await
    }

    async fn rename(&mut self, from: String, to: String) -> Result<(), files::FileError> {
        let to = FilePath::parse(&to).map_err(to_answer)?;
        let access = Access { method: "RENAME", write: true, sent_bytes: 0 };
        let work = move |folder: &Folder, from: &FilePath| {
            if from.folder() != to.folder() {
                return Err(FileError::InvalidPath(format!("{to} is in another granted folder than {from}")));
            }
            folder.rename(from, &to)
        };
        self.access(access, from, work, |()| 0).await
    }
}

impl State {
    async fn access<T: Send + 'static>(
        &mut self,
        access: Access,
        path: String,
        work: impl FnOnce(&Folder, &FilePath) -> Result<T, FileError> + Send + 'static,
        received: fn(&T) -> u64,
    ) -> Result<T, files::FileError> {
        self.count_operation().map_err(to_answer)?;
        let path = FilePath::parse(&path).map_err(to_answer)?;
        let began = Instant::now();
        let permit = self.decide_file(&access, &path)?;
        let result = self.perform(&access, &permit, path.clone(), work).await;
        let mut record = self.record_file(&access, &path, permit.rule(), began);
        match &result {
            Ok(value) => record.received_bytes = received(value),
            Err(error) => record.error = Some(error.to_string()),
        }
        if let Err(FileError::Limit { which, limit }) = &result {
            self.refuse(which, *limit);
        }
        self.keep(record);
        result.map_err(to_answer)
    }

    pub(crate) fn count_operation(&mut self) -> Result<(), FileError> {
        self.folders.operations += 1;
        if self.folders.operations <= OPERATIONS_MAX {
            return Ok(());
        }
        self.refuse("file_operations", OPERATIONS_MAX);
        Err(FileError::Limit { which: "file_operations", limit: OPERATIONS_MAX })
    }

    pub(crate) fn decide_file(&mut self, access: &Access, path: &FilePath) -> Result<FilePermit, files::FileError> {
        let Some(session) = &self.session else {
            let (rule, fix) = DESCRIBING;
            let denial = files::FileDenial { rule: rule.to_owned(), fix: fix.to_owned() };
            return Err(files::FileError::Denied(denial));
        };
        session.authority().decide_file(path.folder(), access.write).map_err(|denial| {
            let mut record = self.record_file(access, path, &denial.rule, Instant::now());
            (record.allowed, record.sent_bytes, record.fix) = (false, 0, Some(denial.fix.clone()));
            self.keep(record);
            files::FileError::Denied(files::FileDenial { rule: denial.rule, fix: denial.fix })
        })
    }

    async fn perform<T: Send + 'static>(
        &mut self,
        access: &Access,
        permit: &FilePermit,
        path: FilePath,
        work: impl FnOnce(&Folder, &FilePath) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let folder = self.folder(path.folder(), permit.path()).await?;
        if access.write {
            self.charge(access.sent_bytes)?;
        }
        blocking(move || work(&folder, &path)).await
    }

    /// Takes one change and its bytes from the quotas, before anything is written.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), FileError> {
        if self.folders.changes >= CHANGES_MAX {
            return Err(FileError::Limit { which: "file_changes", limit: CHANGES_MAX });
        }
        self.folders.changes += 1;
        let limit = self.limits().file_bytes;
        let written = self.folders.written.saturating_add(bytes);
        if written > limit {
            return Err(FileError::Limit { which: "file_bytes", limit });
        }
        self.folders.written = written;
        self.folders.touched.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Opens a granted folder, once. That there is none counts for the verdict: what the
    /// connector claims afterwards is moot.
    pub(crate) async fn folder(&mut self, name: &str, path: &Path) -> Result<Arc<Folder>, FileError> {
        if let Some(folder) = self.folders.get(path) {
            return Ok(folder);
        }
        let owned = path.to_owned();
        let opened = blocking(move || Folder::open(&owned)).await;
        if let Err(FileError::NoFolder(why)) = &opened {
            self.refused.get_or_insert_with(|| no_folder(name, path, why));
        }
        let folder = Arc::new(opened?);
        self.folders.keep(path.to_owned(), folder.clone());
        Ok(folder)
    }

    pub(crate) fn record_file(&self, access: &Access, path: &FilePath, rule: &str, began: Instant) -> AccessRecord {
        AccessRecord {
            at_ms: (self.clock_ms)(),
            method: access.method.to_owned(),
            target: format!("folder {}", path.folder()),
            path: path.segments().join("/").chars().take(PATH_CHARS_MAX).collect(),
            allowed: true,
            rule: rule.to_owned(),
            fix: None,
            address: None,
            status: None,
            error: None,
            sent_bytes: access.sent_bytes,
            received_bytes: 0,
            duration_ms: millis_since(began),
        }
    }

    pub(crate) fn keep(&self, record: AccessRecord) {
        if let Some(session) = &self.session {
            let _place = session.record(record);
        }
    }
}

fn no_folder(name: &str, path: &Path, why: &str) -> Failure {
    let problem = Problem::new("granted-folder", format!("the granted folder {name} ({}) {why}", path.display()))
        .cause("it was moved, removed or never made, or the plugin's grant writes another path")
        .fix(format!(
            "make {} a folder that the user that runs the host may open, or mend its path in the plugin's grant and \
             approve it again; then replay the run",
            path.display()
        ));
    Failure::Unavailable { problem }
}

pub(crate) fn millis_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(FileError::Failed("the host broke off the operation".to_owned())),
    }
}

pub(crate) fn to_answer(error: FileError) -> files::FileError {
    match error {
        FileError::NotFound(what) => files::FileError::NotFound(what),
        FileError::AlreadyExists(what) => files::FileError::AlreadyExists(what),
        FileError::Limit { which, limit } => {
            files::FileError::LimitExceeded(files::FileLimit { which: which.to_owned(), limit })
        }
        FileError::InvalidPath(why) => files::FileError::InvalidPath(why),
        FileError::NoFolder(_) => files::FileError::Failed(error.to_string()),
        FileError::Failed(why) => files::FileError::Failed(why),
    }
}
