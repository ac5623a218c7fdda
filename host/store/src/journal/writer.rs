//! Appends groups of batches: one write, one sync.
//!
//! Invariants: one group is in flight at a time; after a failed sync nothing
//! is ever written again by this journal; a group that met a full disk is cut
//! off durably before the next one, so no reader can ever find a part of it.

use super::segment::{self, Header, StoreId};
use super::{Files, Place, frame};
use crate::disk::DiskFile;
use std::io;
use std::sync::Arc;

/// A buffer larger than this is given back after its group. 1 MiB: larger than
/// usual groups, small beside the memory of an idle host.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// The writing end of a journal.
pub(crate) struct Journal {
    files: Arc<Files>,
    store: StoreId,
    seed: u32,
    segment_bytes: u64,
    file: Arc<dyn DiskFile>,
    /// After the last durable batch.
    place: Place,
    group: Vec<u8>,
    group_batches: u64,
    /// Durable batches that no later frame has vouched for.
    unclaimed: bool,
}

/// Where a group was written: offsets within the group count from here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) end: Place,
}

/// Why a group was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteFailure {
    /// The disk is full; nothing of the group is left, and writing may go on.
    #[error("the disk is full")]
    Full,
    /// Nothing more may be written.
    #[error("{0}")]
    Broken(String),
}

impl Journal {
    pub(super) fn at(
        files: Arc<Files>,
        store: StoreId,
        file: Arc<dyn DiskFile>,
        place: Place,
        unclaimed: bool,
        segment_bytes: u64,
    ) -> Self {
        let seed = seed(&store);
        Self { files, store, seed, segment_bytes, file, place, group: Vec::new(), group_batches: 0, unclaimed }
    }

    /// A new journal, with its first segment.
    pub(super) fn create(files: Arc<Files>, store: StoreId, segment_bytes: u64) -> io::Result<Self> {
        let header = Header { store, segment: 1, first_sequence: 1 };
        let file = create_segment(&files, &header)?;
        let place = Place { sequence: 0, segment: 1, offset: segment::HEADER_BYTES as u64 };
        Ok(Self::at(files, store, file, place, false, segment_bytes))
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// The sequence of the batch that is added next.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.place.sequence + self.group_batches + 1
    }

    /// Where, within the group being prepared, the next payload will begin.
    pub(crate) fn next_payload_at(&self) -> usize {
        self.group.len() + frame::HEADER_BYTES
    }

    /// Adds a batch to the group being prepared; returns its sequence and the
    /// offset of its payload within the group.
    pub(crate) fn add(&mut self, payload: &[u8]) -> (u64, usize) {
        let sequence = self.next_sequence();
        self.group_batches += 1;
        (sequence, frame::append(&mut self.group, self.seed, sequence, self.place.sequence, payload))
    }

    /// Writes the prepared group and makes it durable.
    pub(crate) fn write_group(&mut self) -> Result<Written, WriteFailure> {
        let result = self.roll_if_full().and_then(|()| self.append());
        self.clear();
        result
    }

    /// Forgets the prepared group, since something beside the journal could not
    /// be written; returns what that means for its batches.
    pub(crate) fn drop_group(&mut self, what: &str, error: &io::Error) -> WriteFailure {
        self.clear();
        if is_full(error) { WriteFailure::Full } else { broken(what, error) }
    }

    fn clear(&mut self) {
        self.group.clear();
        self.group.shrink_to(BUFFER_BYTES_KEPT);
        self.group_batches = 0;
    }

    /// Vouches for the last group, before the journal is closed in peace.
    pub(crate) fn seal(&mut self) -> Result<(), WriteFailure> {
        if !self.unclaimed {
            return Ok(());
        }
        self.add(&[]);
        self.write_group()?;
        self.unclaimed = false;
        Ok(())
    }

    fn append(&mut self) -> Result<Written, WriteFailure> {
        let Place { sequence, segment, offset } = self.place;
        if let Err(error) = self.file.write_at(offset, &self.group) {
            return Err(self.undo(offset, &error));
        }
        self.file.sync_data().map_err(|error| broken("make the journal durable", &error))?;
        self.place.offset = offset + self.group.len() as u64;
        self.place.sequence = sequence + self.group_batches;
        self.unclaimed = true;
        Ok(Written { segment, offset, end: self.place })
    }

    /// A full disk before the sync is no reason to stop: nobody has seen the
    /// group, and `truncate` returns only once the cut is durable.
    fn undo(&self, offset: u64, error: &io::Error) -> WriteFailure {
        if !is_full(error) {
            return broken("write to the journal", error);
        }
        match self.file.truncate(offset) {
            Ok(()) => WriteFailure::Full,
            Err(error) => broken("cut the journal back after the disk was full", &error),
        }
    }

    fn roll_if_full(&mut self) -> Result<(), WriteFailure> {
        if self.place.offset + self.group.len() as u64 <= self.segment_bytes {
            return Ok(());
        }
        self.close_segment()
    }

    /// Begins a new segment, unless the open one has no batch yet.
    pub(crate) fn close_segment(&mut self) -> Result<(), WriteFailure> {
        if self.place.offset <= segment::HEADER_BYTES as u64 {
            return Ok(());
        }
        let number = self.place.segment + 1;
        let header = Header { store: self.store, segment: number, first_sequence: self.place.sequence + 1 };
        match create_segment(&self.files, &header) {
            Ok(file) => {
                self.file = file;
                self.place.segment = number;
                self.place.offset = segment::HEADER_BYTES as u64;
                Ok(())
            }
            Err(error) if is_full(&error) => Err(self.undo_create(&segment::name(number))),
            Err(error) => Err(broken("begin a new journal segment", &error)),
        }
    }

    fn undo_create(&self, name: &str) -> WriteFailure {
        let disk = self.files.disk();
        let removed = match disk.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        match removed.and_then(|()| disk.sync_dir()) {
            Ok(()) => WriteFailure::Full,
            Err(error) => broken("remove a journal segment after the disk was full", &error),
        }
    }
}

/// The start value of every frame's CRC in this store.
pub(crate) fn seed(store: &StoreId) -> u32 {
    crc32c::crc32c(store)
}

fn create_segment(files: &Files, header: &Header) -> io::Result<Arc<dyn DiskFile>> {
    let disk = files.disk();
    let file = disk.create(&segment::name(header.segment))?;
    file.write_at(0, &header.encode())?;
    // A sync that fails is never reported as a full disk: what it left behind
    // is unknown, and the caller must stop.
    file.sync_data().and_then(|()| disk.sync_dir()).map_err(io::Error::other)?;
    Ok(file)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn broken(what: &str, error: &io::Error) -> WriteFailure {
    WriteFailure::Broken(format!("could not {what}: {error}"))
}
