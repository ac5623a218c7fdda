//! The store: an ordered key space, durable through an append-only journal
//! with group commit, with sled written behind it.
//!
//! The only crate naming sled. It refuses to know what the records mean.
//! Invariants: nothing is acknowledged before it is durable in the journal; a
//! batch is there whole or not at all, at any crash; sled holds nothing that
//! the journal cannot give again; damage is reported, never read.

mod backup;
mod batch;
mod behind;
mod blob;
mod checkpoint;
mod commit;
mod committer;
mod decide;
mod disk;
mod history;
mod journal;
mod journal_store;
pub mod key;
mod lock;
mod open_error;
mod opening;
mod options;
mod overlay;
mod queue;
mod rows;
mod store;
mod table;
mod tidy;
mod writer;

pub use backup::{Backup, BackupError, BackupFile, BackupWriter, check as check_backup, restore as restore_backup};
pub use batch::{Batch, KEY_BYTES_MAX};
pub use commit::{Commit, CommitError, Position, Resolver};
pub use disk::{Disk, DiskFile, RealDisk};
pub use history::{Document, Retire};
pub use journal_store::{JournalStore, SettleError, Stats};
pub use open_error::OpenError;
pub use options::Options;
pub use rows::MemoryRows;
pub use store::{Order, ReadError, Row, Store};
pub use table::{Table, TableError};
pub use tidy::{Tidied, TidyError};
