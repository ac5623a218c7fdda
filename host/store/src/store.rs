//! What the rest of the host may ask of a store, whatever is behind it.
//!
//! Small on purpose: a second implementation over a shared database must be
//! possible without touching its users. Nothing here assumes one process.

use crate::backup::{BackupError, BackupWriter};
use crate::batch::Batch;
use crate::commit::Commit;
use crate::history::Document;
use crate::tidy::{Tidied, TidyError};
use bytes::Bytes;

/// An ordered key space with atomic, durable changes.
pub trait Store: Send + Sync + 'static {
    /// Queues one batch. Batches take effect in the order of these calls. The
    /// commit resolves once the batch is durable and visible to readers; it is
    /// a conflict, and nothing is written, when an expectation fails.
    fn commit(&self, batch: Batch) -> Commit;

    /// The value under `key`. May read from disk.
    ///
    /// # Errors
    /// When the stored bytes cannot be read, or are damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, ReadError>;

    /// Up to `limit` rows whose keys start with `prefix`, in `order`, from
    /// `after` (exclusive: the last key of the page before). One consistent
    /// view: a batch is seen whole or not at all.
    ///
    /// # Errors
    /// When the stored bytes cannot be read, or are damaged.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, ReadError>;

    /// Up to `limit` documents of history with their ids, in the order of
    /// these, from `after` (exclusive): those of a group, or all.
    ///
    /// # Errors
    /// When the stored bytes cannot be read, or are damaged.
    fn history(
        &self,
        group: Option<&[u8]>,
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Document)>, ReadError>;

    /// The document with this id.
    ///
    /// # Errors
    /// When the stored bytes cannot be read, or are damaged.
    fn find_document(&self, id: &[u8]) -> Result<Option<Document>, ReadError>;

    /// The rows that became this document and whose keys start with `prefix`,
    /// in the order of their keys.
    ///
    /// # Errors
    /// When the stored bytes cannot be read, or are damaged.
    fn document(&self, document: &Document, prefix: &[u8]) -> Result<Vec<Row>, ReadError>;

    /// Forgets the documents that are kept no longer than `now_ms`, and gives
    /// back the space that nothing needs any more. Blocks; commits go on.
    ///
    /// # Errors
    /// See `TidyError`. What could be done is done.
    fn tidy(&self, now_ms: u64) -> Result<Tidied, TidyError>;

    /// Adds the files that this store comes back from, as of one moment. Blocks;
    /// commits go on. A store in a database of its own is backed up there.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    fn back_up(&self, into: &mut BackupWriter) -> Result<(), BackupError> {
        let _ = into;
        Err(BackupError::Unsupported)
    }
}

/// A key and its value.
pub type Row = (Bytes, Bytes);

/// The order of a scan, by bytes of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first; `after` is a lower bound.
    Ascending,
    /// Greatest key first; `after` is an upper bound.
    Descending,
}

/// Why something stored could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Stored bytes are not what was written.
    #[error("{file} is damaged at byte {offset}: {why}")]
    Damaged {
        /// The file, relative to the data folder.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// The operating system refused the read.
    #[error("cannot read {file}")]
    Io {
        /// The file, relative to the data folder.
        file: String,
        /// The refusal.
        source: std::io::Error,
    },
    /// The rows behind the journal could not be read.
    #[error("cannot read the rows behind the journal: {why}")]
    Rows {
        /// What the key-value library said.
        why: String,
    },
}
