//! Typed tables: JSON documents under a name in the ordered key space.
//!
//! A row's key is the table's name followed by the parts of its own key,
//! joined as `key` describes, so that rows list in the order of their parts
//! and leading parts select a range. Knows nothing of what the documents mean.

use crate::batch::Batch;
use crate::key;
use crate::store::{Order, ReadError, Store};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A table of `T`. Cheap to make; usually a constant.
#[derive(Debug)]
pub struct Table<T> {
    name: &'static str,
    rows: PhantomData<fn() -> T>,
}

/// Why a typed row could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The document has no JSON form (a map with keys that are no text).
    #[error("a row of table {table} cannot be written as JSON")]
    Write {
        /// The table.
        table: &'static str,
        /// What was wrong.
        source: serde_json::Error,
    },
    /// The stored document is not what this release expects.
    #[error("row {} of table {table} cannot be understood", key.escape_ascii())]
    Document {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: Vec<u8>,
        /// What was wrong.
        source: serde_json::Error,
    },
    /// The store could not read.
    #[error("table {table} cannot be read")]
    Read {
        /// The table.
        table: &'static str,
        /// Why.
        source: ReadError,
    },
}

impl<T> Table<T> {
    /// The table of this name. Names never change meaning.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, rows: PhantomData }
    }

    /// The key of a row, or the prefix of all rows that start with `parts`.
    #[must_use]
    pub fn key(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = key::join(&[self.name.as_bytes()]);
        for part in parts {
            key::push(&mut key, part);
        }
        key
    }

    /// The parts of a row's key; `None` when it is not of this table.
    #[must_use]
    pub fn parts(&self, key: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut parts = key::split(key)?;
        (parts.first()?.as_slice() == self.name.as_bytes()).then(|| parts.split_off(1))
    }

    /// Removes a row.
    pub fn delete(&self, batch: &mut Batch, parts: &[&[u8]]) {
        batch.delete(self.key(parts));
    }

    /// The batch is a conflict unless the row is absent.
    pub fn expect_absent(&self, batch: &mut Batch, parts: &[&[u8]]) {
        batch.expect_absent(self.key(parts));
    }

    /// The batch is a conflict unless the row is present.
    pub fn expect_present(&self, batch: &mut Batch, parts: &[&[u8]]) {
        batch.expect_present(self.key(parts));
    }
}

impl<T: Serialize> Table<T> {
    /// Writes a row.
    ///
    /// # Errors
    /// When the document has no JSON form.
    pub fn put(&self, batch: &mut Batch, parts: &[&[u8]], row: &T) -> Result<(), TableError> {
        let document = serde_json::to_vec(row).map_err(|source| TableError::Write { table: self.name, source })?;
        batch.put_bytes(self.key(parts), document.into());
        Ok(())
    }
}

impl<T: DeserializeOwned> Table<T> {
    /// Reads a row.
    ///
    /// # Errors
    /// When the store cannot read, or the document is of another shape.
    pub fn get(&self, store: &dyn Store, parts: &[&[u8]]) -> Result<Option<T>, TableError> {
        let key = self.key(parts);
        let value = store.get(&key).map_err(|source| TableError::Read { table: self.name, source })?;
        value.map(|value| self.parse(&key, &value)).transpose()
    }

    /// Up to `limit` rows whose keys start with the parts `within`, in
    /// `order`, with their keys; `after` is the last key of the page before.
    ///
    /// # Errors
    /// When the store cannot read, or a document is of another shape.
    pub fn list(
        &self,
        store: &dyn Store,
        within: &[&[u8]],
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, T)>, TableError> {
        let rows = store
            .scan(&self.key(within), after, limit, order)
            .map_err(|source| TableError::Read { table: self.name, source })?;
        rows.into_iter().map(|(key, value)| Ok((key.clone(), self.parse(&key, &value)?))).collect()
    }

    /// Reads a row that was found some other way: in a document of history.
    ///
    /// # Errors
    /// When the document is of another shape.
    pub fn parse(&self, key: &[u8], value: &[u8]) -> Result<T, TableError> {
        serde_json::from_slice(value).map_err(|source| TableError::Document {
            table: self.name,
            key: key.to_vec(),
            source,
        })
    }
}
