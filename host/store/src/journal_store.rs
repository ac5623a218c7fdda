//! The store over a journal: wiring of queue, committer, overlay and rows.
//!
//! Owns opening and closing. Reading takes no part in writing: readers see the
//! overlay over the rows, and values left in the journal are read from there.

use crate::backup::{BackupError, BackupWriter};
use crate::batch::{Batch, KEY_BYTES_MAX};
use crate::behind::Behind;
use crate::blob;
use crate::commit::{Commit, CommitError, Position};
use crate::committer::{Committer, Counters};
use crate::disk::{Disk, RealDisk};
use crate::history::{Document, History};
use crate::journal::{Catalogue, Files, StoreId, WriteFailure};
use crate::lock::FolderLock;
use crate::open_error::OpenError;
use crate::opening::{self, Opened, rows_error};
use crate::options::Options;
use crate::overlay::bounds;
use crate::queue::Queue;
use crate::rows::{Cell, MemoryRows, Rows, RowsError, SledOptions, SledRows};
use crate::store::{Order, ReadError, Row, Store};
use crate::tidy::{Housekeeping, Tidied, TidyError};
use crate::writer::Writer;
use bytes::Bytes;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// The durable store of one data folder: `journal/` holds the truth, `sled/`
/// (and `sled.b/`, by turns) what it adds up to. Dropping it without `close` is as safe as a crash.
pub struct JournalStore {
    queue: Arc<Queue>,
    pub(crate) behind: Arc<Behind>,
    pub(crate) files: Arc<Files>,
    pub(crate) history: Arc<History>,
    counters: Arc<Counters>,
    batch_bytes_max: usize,
    pub(crate) store: StoreId,
    pub(crate) segment_bytes: u64,
    /// Held by whoever tidies or copies, one at a time.
    pub(crate) housekeeping: Mutex<Housekeeping>,
    writer: Writer,
    _lock: Option<FolderLock>,
}

/// Figures about a store, since it was opened where they count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Batches committed.
    pub commits: u64,
    /// Batches refused as conflicts.
    pub conflicts: u64,
    /// Groups written, each with one sync.
    pub groups: u64,
    /// Bytes of committed batches.
    pub journal_bytes: u64,
    /// Batches waiting now.
    pub queued: usize,
    /// Keys that the rows do not hold yet.
    pub overlay_keys: usize,
    /// Journal bytes that the rows do not hold yet.
    pub overlay_bytes: usize,
    /// The last visible batch.
    pub visible: Position,
    /// The last batch that the rows hold.
    pub applied: Position,
    /// The newest segment of the journal.
    pub segment: u64,
}

/// A store could not bring everything to its place before it was closed, or
/// settled. Nothing is lost: the next open replays the journal.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the rows behind the journal are not complete: {reason}")]
pub struct SettleError {
    /// Why.
    pub reason: Arc<str>,
}

impl JournalStore {
    /// Opens the store in `folder`, creating it when missing.
    ///
    /// # Errors
    /// When another process holds the folder, or acknowledged bytes are
    /// damaged; see `OpenError`.
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let lock = FolderLock::take(folder)?;
        let refused = |source| OpenError::Folder { folder: folder.to_owned(), source };
        let disk = Arc::new(RealDisk::open(&folder.join("journal")).map_err(refused)?);
        let catalogue = Catalogue::read(disk)?;
        let Options { cache_bytes, rebuild_bytes_min, .. } = options;
        let shape = SledOptions { cache_bytes, rebuild_bytes_min };
        let rows = SledRows::open(folder, shape, |mark| catalogue.may_have_made(mark)).map_err(rows_error)?;
        let store = Self::recover(catalogue, Arc::new(rows), options, Some(lock))?;
        if let Err(error) = SledRows::forget_aside(folder) {
            tracing::warn!(%error, "old rows that were moved aside could not be removed");
        }
        Ok(store)
    }

    /// Opens the store on a disk of the caller's, with its rows in memory: for
    /// simulated hosts. Rows of another store, or empty ones, are rebuilt.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_on(disk: Arc<dyn Disk>, rows: MemoryRows, options: Options) -> Result<Self, OpenError> {
        let catalogue = Catalogue::read(disk)?;
        if rows.mark().map_err(rows_error)?.is_none_or(|mark| !catalogue.may_have_made(&mark)) {
            rows.clear();
        }
        Self::recover(catalogue, Arc::new(rows), options, None)
    }

    /// Queues several batches at once, in order. Each is atomic on its own,
    /// and as far as limits allow they share one group.
    pub fn commit_all(&self, batches: Vec<Batch>) -> Vec<Commit> {
        if let Some(error) = batches.iter().find_map(|batch| self.too_large(batch)) {
            return batches.iter().map(|_| Commit::ready(Err(error.clone()))).collect();
        }
        let commits = self.queue.push(batches.into_iter().map(Batch::into_parts));
        self.writer.step();
        commits
    }

    /// Blocks until the rows hold every batch that is visible now.
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub fn settle(&self) -> Result<(), SettleError> {
        self.behind.settle().map_err(|reason| SettleError { reason })
    }

    /// Writes what waits, brings the rows up to date and ends the writing.
    /// Later commits resolve as `Stopped`; reading goes on. Blocks.
    ///
    /// # Errors
    /// When the rows could not be brought up to date.
    pub fn close(&self) -> Result<(), SettleError> {
        self.end(true)
    }

    /// Why the store no longer writes; `None` while it does.
    #[must_use]
    pub fn stopped(&self) -> Option<Arc<str>> {
        self.queue.closed().or_else(|| self.behind.failed())
    }

    /// Figures for metrics and tests.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let layers = self.behind.overlay.read();
        Stats {
            commits: self.counters.commits.load(Ordering::Relaxed),
            conflicts: self.counters.conflicts.load(Ordering::Relaxed),
            groups: self.counters.groups.load(Ordering::Relaxed),
            journal_bytes: self.counters.journal_bytes.load(Ordering::Relaxed),
            queued: self.queue.len(),
            overlay_keys: layers.keys(),
            overlay_bytes: layers.bytes(),
            visible: Position(layers.visible().sequence),
            applied: Position(layers.applied().sequence),
            segment: layers.visible().segment,
        }
    }

    fn recover(
        catalogue: Catalogue,
        rows: Arc<dyn Rows>,
        options: Options,
        lock: Option<FolderLock>,
    ) -> Result<Self, OpenError> {
        let store = catalogue.store();
        let unlinked = catalogue.unlinked().segments.clone();
        let Opened { behind, history, journal } = opening::open(catalogue, rows, &options)?;
        let queue = Arc::new(Queue::new(&options));
        let counters = Arc::<Counters>::default();
        let files = Arc::clone(journal.files());
        let Options { batch_bytes_max, segment_bytes, stepped, .. } = options;
        let committer = Committer {
            journal,
            queue: Arc::clone(&queue),
            behind: Arc::clone(&behind),
            counters: Arc::clone(&counters),
            options,
            store,
            history: Arc::clone(&history),
            indexed: 0,
            unlinked,
            broken: false,
        };
        let writer = if stepped {
            Writer::stepped(committer)
        } else {
            Writer::threads(committer, &behind).map_err(|source| OpenError::Io { file: "threads".into(), source })?
        };
        behind.note(0);
        let housekeeping = Mutex::default();
        Ok(Self {
            queue,
            behind,
            files,
            history,
            counters,
            batch_bytes_max,
            store,
            segment_bytes,
            housekeeping,
            writer,
            _lock: lock,
        })
    }

    /// Lets the committer do something between two groups.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Committer) -> Result<T, WriteFailure> + Send + 'static,
    ) -> Result<T, TidyError> {
        self.writer.ask(&self.queue, act).map_err(|reason| TidyError::Stopped { reason })
    }

    fn too_large(&self, batch: &Batch) -> Option<CommitError> {
        let long_key = batch.key_too_long().map(|bytes| ("the key", bytes, KEY_BYTES_MAX));
        let large =
            (batch.bytes() > self.batch_bytes_max).then_some(("the batch", batch.bytes(), self.batch_bytes_max));
        let (what, bytes, bytes_max) = long_key.or(large)?;
        Some(CommitError::TooLarge { what, bytes, bytes_max })
    }

    fn value(&self, cell: Cell) -> Result<Option<Bytes>, ReadError> {
        match cell {
            Cell::Inline(value, _) => Ok(Some(value)),
            Cell::Far(pointer) => self.files.value(pointer).map(Some),
            Cell::Blob(at) => blob::read(&**self.files.disk(), self.store, at).map(Some),
            Cell::Gone => Ok(None),
        }
    }

    fn end(&self, settle: bool) -> Result<(), SettleError> {
        self.writer.end(&self.queue, &self.behind, settle).map_err(|reason| SettleError { reason })
    }
}

impl Store for JournalStore {
    fn commit(&self, batch: Batch) -> Commit {
        if let Some(error) = self.too_large(&batch) {
            return Commit::ready(Err(error));
        }
        let commit = self.queue.push_single(batch.into_parts());
        self.writer.step();
        commit
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
        again_if_moved(&|| match self.behind.overlay.get(&*self.behind.rows, key).map_err(unreadable)? {
            Some(cell) => self.value(cell),
            None => Ok(None),
        })
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, ReadError> {
        let Some(bounds) = bounds(prefix, after, order) else { return Ok(Vec::new()) };
        again_if_moved(&|| {
            let layers = self.behind.overlay.read();
            let cells = layers.scan(&*self.behind.rows, &bounds, limit, order).map_err(unreadable)?;
            drop(layers);
            let mut rows = Vec::with_capacity(cells.len());
            for (key, cell) in cells {
                rows.extend(self.value(cell)?.map(|value| (key, value)));
            }
            Ok(rows)
        })
    }

    fn history(
        &self,
        group: Option<&[u8]>,
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Document)>, ReadError> {
        self.history.list(group, after, limit, order)
    }

    fn find_document(&self, id: &[u8]) -> Result<Option<Document>, ReadError> {
        self.history.find(id)
    }

    fn document(&self, document: &Document, prefix: &[u8]) -> Result<Vec<Row>, ReadError> {
        again_if_moved(&|| self.history.rows(*document, prefix))
    }

    fn tidy(&self, now_ms: u64) -> Result<Tidied, TidyError> {
        self.forget_and_unlink(now_ms)
    }

    fn back_up(&self, into: &mut BackupWriter) -> Result<(), BackupError> {
        self.back_up_files(into)
    }
}

impl Drop for JournalStore {
    fn drop(&mut self) {
        // Without settling there is nothing that could fail.
        let _ = self.end(false);
    }
}

/// A value may be written again, and its old file removed, between finding its
/// row and reading it; the row then says where it is now. A file that is still
/// not there is lost.
fn again_if_moved<T>(read: &dyn Fn() -> Result<T, ReadError>) -> Result<T, ReadError> {
    let is_missing = |source: &std::io::Error| source.kind() == std::io::ErrorKind::NotFound;
    match read() {
        Err(ReadError::Io { source, .. }) if is_missing(&source) => {}
        other => return other,
    }
    match read() {
        Err(ReadError::Io { file, source }) if is_missing(&source) => {
            Err(ReadError::Damaged { file, offset: 0, why: "the file is missing".to_owned() })
        }
        other => other,
    }
}

fn unreadable(error: RowsError) -> ReadError {
    ReadError::Rows { why: error.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Bounds, Changes, Mark, Walk};

    /// Rows that can be read but never written.
    struct Broken(MemoryRows);

    impl Rows for Broken {
        fn get(&self, key: &[u8]) -> Result<Option<Cell>, RowsError> {
            self.0.get(key)
        }
        fn contains(&self, key: &[u8]) -> Result<bool, RowsError> {
            self.0.contains(key)
        }
        fn walk(&self, bounds: &Bounds, order: Order) -> Walk<'_> {
            self.0.walk(bounds, order)
        }
        fn mark(&self) -> Result<Option<Mark>, RowsError> {
            self.0.mark()
        }
        fn load(&self, changes: &Changes) -> Result<(), RowsError> {
            self.0.load(changes)
        }
        fn apply(&self, changes: &Changes, _: Mark) -> Result<(), RowsError> {
            // One kind of failure for each way out of the thread.
            assert!(!changes.contains_key(&b"panic"[..]), "the rows panic");
            Err(RowsError("the rows refuse".into()))
        }
    }

    fn check(key: &str, expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(RealDisk::open(folder.path()).expect("a disk"));
        let catalogue = Catalogue::read(disk).expect("an empty journal");
        let rows = Arc::new(Broken(MemoryRows::new()));
        let store = JournalStore::recover(catalogue, rows, Options::default(), None).expect("a store");
        let put = || {
            let mut batch = Batch::new();
            batch.put(key, "1");
            store.commit(batch).wait()
        };
        put().expect("the journal takes it");
        let error = store.settle().expect_err("the rows cannot");
        assert!(error.reason.contains(expected), "{error}");
        let outcome = put();
        assert!(matches!(&outcome, Err(CommitError::Stopped { reason }) if reason.contains(expected)), "{outcome:?}");
        assert!(store.stopped().is_some());
        assert_eq!(store.get(key.as_bytes()).expect("readable").as_deref(), Some(&b"1"[..]), "the overlay still reads");
    }

    #[test]
    fn rows_that_fail_stop_the_store_and_nobody_waits() {
        check("fail", "the rows refuse");
        check("panic", "panicked");
    }
}
