//! History: documents made of rows that left the living state.
//!
//! Owns one index for each segment, over the records of retirements that lie
//! in it: in memory for the open segment, in a file beside a closed one. The
//! indexes hold nothing that the segments do not say; a missing or damaged one
//! is made again. Listings merge the segments in the order of ids, and open
//! none that cannot add to the page. The values stay where they were written.

pub(crate) mod blocks;
mod file;
mod memory;
mod record;
pub(crate) mod wire;

pub use record::Retire;
pub(crate) use record::{Place, Record, decode, encode};

use crate::blob::{self, BlobId};
use crate::disk::Disk;
use crate::journal::{Files, Pointer, StoreId, scan_closed, seed, segment};
use crate::open_error::OpenError;
use crate::store::{Order, ReadError, Row};
use bytes::Bytes;
use file::IndexFile;
use memory::{Entry, MemoryIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Documents of one segment are forgotten within this part of the time for
/// which they are kept, as far as its size allows. 4: what is forgotten keeps a
/// quarter more on the disk.
const SPREAD: u64 = 4;

/// One document of history, as a listing names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document(Pointer);

/// See the module.
pub(crate) struct History {
    files: Arc<Files>,
    store: StoreId,
    indexes: RwLock<BTreeMap<u64, Index>>,
    /// Documents kept until then or less are forgotten.
    forgotten_ms: AtomicU64,
    /// Every closed segment before this one has its file.
    written_before: AtomicU64,
    /// Held by whoever writes such files.
    writing: Mutex<()>,
}

#[derive(Clone)]
enum Index {
    /// Locked by itself: the open segment's grows while listings read it.
    Memory(Arc<RwLock<MemoryIndex>>),
    File(Arc<IndexFile>),
}

/// What a listing asks of one index.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// `None` for all documents.
    pub(crate) group: Option<&'a [u8]>,
    pub(crate) after: Option<&'a [u8]>,
    pub(crate) limit: usize,
    pub(crate) order: Order,
    pub(crate) forgotten_ms: u64,
}

/// A record that a batch wrote, and where.
pub(crate) struct Written {
    pub(crate) record: Record,
    pub(crate) at: Pointer,
}

impl History {
    /// Without any segment yet.
    pub(crate) fn new(files: Arc<Files>, store: StoreId, forgotten_ms: u64) -> Self {
        Self {
            files,
            store,
            indexes: RwLock::default(),
            forgotten_ms: AtomicU64::new(forgotten_ms),
            written_before: AtomicU64::new(0),
            writing: Mutex::default(),
        }
    }

    /// Shows what was written to `segment`.
    pub(crate) fn add(&self, segment: u64, written: &[Written]) {
        let index = self.write().entry(segment).or_insert_with(|| Index::Memory(Arc::default())).clone();
        match index {
            Index::Memory(index) => {
                let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
                written.iter().for_each(|written| index.add(&written.record, written.at));
            }
            Index::File(_) => tracing::error!(segment, "a closed segment was written to"),
        }
    }

    /// Takes up a closed segment: by its file, or by reading the segment.
    pub(crate) fn take_up(&self, segment: u64) -> Result<(), OpenError> {
        let index = match self.open_file(segment) {
            Ok(file) => Index::File(Arc::new(file)),
            Err(error) => {
                tracing::warn!(segment, %error, "the index of a segment is made again from the segment");
                Index::Memory(Arc::new(RwLock::new(self.rebuild(segment)?)))
            }
        };
        self.write().insert(segment, index);
        Ok(())
    }

    /// Writes the index files that are missing of segments before `open`.
    pub(crate) fn write_files(&self, open: u64) -> io::Result<()> {
        if self.written_before.load(Ordering::Acquire) >= open {
            return Ok(());
        }
        // One at a time: two would write the same new file.
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let unwritten: Vec<(u64, Index)> = {
            let indexes = self.read();
            let closed = indexes.range(..open).filter(|(_, index)| matches!(index, Index::Memory(_)));
            closed.map(|(segment, index)| (*segment, index.clone())).collect()
        };
        for (segment, index) in unwritten {
            let Index::Memory(index) = index else { continue };
            self.write_file(segment, &memory(&index))?;
            let file = self.open_file(segment)?;
            self.write().insert(segment, Index::File(Arc::new(file)));
        }
        self.written_before.store(open, Ordering::Release);
        Ok(())
    }

    /// A page of documents in the order of their ids.
    pub(crate) fn list(
        &self,
        group: Option<&[u8]>,
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Document)>, ReadError> {
        let asked = Asked { group, after, limit, order, forgotten_ms: self.forgotten_ms() };
        let mut found = Vec::new();
        for (segment, nearest, index) in self.candidates(&asked) {
            let full = asked.limit == 0 || found.len() >= asked.limit;
            if full && found.last().is_none_or(|last: &Entry| !is_before(&nearest, &last.id, asked.order)) {
                break;
            }
            found.extend(self.page(segment, &index, asked)?);
            // Stable: of equal ids, the newer segment's comes first.
            found.sort_by(|left, right| match asked.order {
                Order::Ascending => left.id.cmp(&right.id),
                Order::Descending => right.id.cmp(&left.id),
            });
            found.truncate(asked.limit);
        }
        Ok(found.into_iter().map(|entry| (entry.id, Document(entry.at))).collect())
    }

    /// The newest document with exactly this id.
    pub(crate) fn find(&self, id: &[u8]) -> Result<Option<Document>, ReadError> {
        let forgotten_ms = self.forgotten_ms();
        let near: Vec<(u64, Index)> = {
            let indexes = self.read();
            let spans = |index: &Index| index.span().is_some_and(|(first, last)| *first <= *id && *last >= *id);
            indexes.iter().rev().filter(|(_, index)| spans(index)).map(|(at, index)| (*at, index.clone())).collect()
        };
        for (segment, index) in near {
            let entry = self.sound(segment, &index, &|index| index.find(id))?;
            if let Some(entry) = entry.filter(|entry| entry.keep_until_ms > forgotten_ms) {
                return Ok(Some(Document(entry.at)));
            }
        }
        Ok(None)
    }

    /// The rows of a document whose keys start with `prefix`, in the order of
    /// their keys.
    pub(crate) fn rows(&self, Document(at): Document, prefix: &[u8]) -> Result<Vec<Row>, ReadError> {
        let body = self.files.value(at)?;
        let Some(record) = decode(&body) else {
            let file = format!("journal/{}", segment::name(at.segment));
            return Err(ReadError::Damaged { file, offset: at.offset, why: "a document has an unknown form".into() });
        };
        let value = |place| match place {
            Place::Here(value) => Ok(value),
            Place::At(pointer) => self.files.value(pointer),
            Place::Back { distance, len, crc } => {
                let offset = at.offset.saturating_sub(distance.into());
                self.files.value(Pointer { segment: at.segment, offset, len, crc })
            }
            Place::Blob(at) => blob::read(&**self.files.disk(), self.store, at),
        };
        let wanted = record.rows.into_iter().filter(|(key, _)| key.starts_with(prefix));
        wanted.map(|(key, place)| Ok((key, value(place)?))).collect()
    }

    /// Segments whose index may have something of what is asked, with the id
    /// nearest to the beginning of the listing; the nearest first.
    fn candidates(&self, asked: &Asked<'_>) -> Vec<(u64, Bytes, Index)> {
        let indexes = self.read();
        let mut found: Vec<(u64, Bytes, Index)> = indexes
            .iter()
            .rev()
            .filter(|(_, index)| asked.group.is_none_or(|group| index.may_have(group)))
            .filter_map(|(segment, index)| {
                let (first, last) = index.span()?;
                let (nearest, farthest) = match asked.order {
                    Order::Ascending => (first, last),
                    Order::Descending => (last, first),
                };
                let beyond = asked.after.is_none_or(|after| is_before(after, &farthest, asked.order));
                beyond.then(|| (*segment, nearest, index.clone()))
            })
            .collect();
        found.sort_by(|left, right| match asked.order {
            Order::Ascending => left.1.cmp(&right.1),
            Order::Descending => right.1.cmp(&left.1),
        });
        found
    }

    fn page(&self, segment: u64, index: &Index, asked: Asked<'_>) -> Result<Vec<Entry>, ReadError> {
        self.sound(segment, index, &|index| index.page(asked))
    }

    /// Asks an index; a file that turns out to be damaged is made again.
    fn sound<T>(&self, segment: u64, index: &Index, ask: &dyn Fn(&Index) -> io::Result<T>) -> Result<T, ReadError> {
        let error = match ask(index) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        tracing::warn!(segment, %error, "the index of a segment is damaged, and is made again from the segment");
        let again = Index::Memory(Arc::new(RwLock::new(self.rebuild(segment).map_err(unreadable)?)));
        self.write().insert(segment, again.clone());
        ask(&again).map_err(|source| ReadError::Io { file: format!("journal/{}", file_name(segment)), source })
    }

    fn rebuild(&self, segment: u64) -> Result<MemoryIndex, OpenError> {
        let mut index = MemoryIndex::default();
        scan_closed(self.files.disk(), self.store, segment, &mut |batch| {
            for written in records(&Bytes::copy_from_slice(batch.payload), segment, batch.payload_at) {
                index.add(&written.record, written.at);
            }
            Ok(())
        })?;
        Ok(index)
    }

    fn open_file(&self, segment: u64) -> io::Result<IndexFile> {
        let disk = self.files.disk();
        let bytes = disk.open(&segment::name(segment))?.len_bytes()?;
        let file = disk.open(&file_name(segment))?;
        IndexFile::open(file, self.store, seed(&self.store), segment, bytes)
    }

    fn write_file(&self, segment: u64, index: &MemoryIndex) -> io::Result<()> {
        let disk = self.files.disk();
        let bytes = disk.open(&segment::name(segment))?.len_bytes()?;
        let content = file::encode(index, self.store, seed(&self.store), segment, bytes);
        replace_file(&**disk, &file_name(segment), &content)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<u64, Index>> {
        self.indexes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<u64, Index>> {
        self.indexes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What unlinking needs to know.
impl History {
    /// Forgets the documents that are kept until then or less. What is remembered of it
    /// is no later than the latest of those that there are: a clock that was ahead for a
    /// while forgets too much, but nothing that ends when it is right again.
    pub(crate) fn forget(&self, until_ms: u64) {
        let latest_ms = self.read().values().filter_map(Index::latest_ms).max().unwrap_or_default();
        self.forgotten_ms.fetch_max(until_ms.min(latest_ms), Ordering::AcqRel);
    }

    pub(crate) fn forgotten_ms(&self) -> u64 {
        self.forgotten_ms.load(Ordering::Acquire)
    }

    /// Segments that documents need which are not forgotten.
    pub(crate) fn held(&self) -> BTreeSet<u64> {
        let forgotten_ms = self.forgotten_ms();
        self.read().values().flat_map(|index| index.held(forgotten_ms)).collect()
    }

    /// Blobs of documents that are not forgotten.
    pub(crate) fn held_blobs(&self) -> BTreeSet<BlobId> {
        let forgotten_ms = self.forgotten_ms();
        self.read().values().flat_map(|index| index.held_blobs(forgotten_ms)).collect()
    }

    /// Whether the documents of the open segment are far apart: while the last
    /// of them is kept, the first will long be forgotten.
    pub(crate) fn is_spread(&self, open: u64, now_ms: u64) -> bool {
        let Some(Index::Memory(index)) = self.read().get(&open).cloned() else { return false };
        // Locked once: a committer between two locks of one reader would wait for the
        // first, and the second for it.
        let index = memory(&index);
        let (soonest_ms, latest_ms) = (index.soonest_ms(), index.latest_ms());
        let still_kept_ms = latest_ms.saturating_sub(now_ms);
        soonest_ms < latest_ms && latest_ms - soonest_ms >= still_kept_ms / SPREAD
    }

    /// The segments that are there, the open one included.
    pub(crate) fn segments(&self) -> Vec<u64> {
        self.read().keys().copied().collect()
    }

    /// Drops the index of a segment that is unlinked.
    pub(crate) fn drop_segment(&self, segment: u64) {
        self.write().remove(&segment);
    }
}

impl Index {
    fn span(&self) -> Option<(Bytes, Bytes)> {
        match self {
            Self::Memory(index) => memory(index).span(),
            Self::File(index) => index.span(),
        }
    }

    fn may_have(&self, group: &[u8]) -> bool {
        match self {
            Self::Memory(index) => memory(index).has(group),
            Self::File(index) => index.may_have(group),
        }
    }

    fn page(&self, asked: Asked<'_>) -> io::Result<Vec<Entry>> {
        match self {
            Self::Memory(index) => Ok(memory(index).page(asked)),
            Self::File(index) => index.page(asked),
        }
    }

    fn find(&self, id: &[u8]) -> io::Result<Option<Entry>> {
        match self {
            Self::Memory(index) => Ok(memory(index).find(id).cloned()),
            Self::File(index) => index.find(id),
        }
    }

    /// Until when the last of its documents is kept.
    fn latest_ms(&self) -> Option<u64> {
        match self {
            Self::Memory(index) => memory(index).holds().values().max().copied(),
            Self::File(index) => index.holds().values().max().copied(),
        }
    }

    /// Segments that documents need which are kept longer than `forgotten_ms`.
    fn held(&self, forgotten_ms: u64) -> Vec<u64> {
        match self {
            Self::Memory(index) => needed(memory(index).holds(), forgotten_ms),
            Self::File(index) => needed(index.holds(), forgotten_ms),
        }
    }

    /// Blobs of such documents.
    fn held_blobs(&self, forgotten_ms: u64) -> Vec<BlobId> {
        match self {
            Self::Memory(index) => needed(memory(index).blobs(), forgotten_ms),
            Self::File(index) => needed(index.blobs(), forgotten_ms),
        }
    }
}

fn needed<T: Copy>(holds: &BTreeMap<T, u64>, forgotten_ms: u64) -> Vec<T> {
    holds.iter().filter(|(_, until_ms)| **until_ms > forgotten_ms).map(|(needed, _)| *needed).collect()
}

fn memory(index: &RwLock<MemoryIndex>) -> RwLockReadGuard<'_, MemoryIndex> {
    index.read().unwrap_or_else(PoisonError::into_inner)
}

/// The records in a batch that was written at `payload_at`.
pub(crate) fn records(payload: &Bytes, segment: u64, payload_at: u64) -> Vec<Written> {
    let retired = crate::batch::writes(payload).flatten().filter_map(|write| match write {
        crate::batch::Write::Retired { body } => Some(body),
        crate::batch::Write::Put { .. } | crate::batch::Write::PutBlob { .. } | crate::batch::Write::Delete { .. } => {
            None
        }
    });
    let written = retired.filter_map(|body| {
        let len = u32::try_from(body.len()).expect("a record is shorter than its frame");
        let (offset, bytes) = (payload_at + body.start as u64, payload.slice(body));
        let at = Pointer { segment, offset, len, crc: crc32c::crc32c(&bytes) };
        Some(Written { record: decode(&bytes)?, at })
    });
    written.collect()
}

/// The index file of a segment.
pub(crate) fn file_name(segment: u64) -> String {
    format!("{segment:016x}.idx")
}

/// Puts a file in its place whole, or not at all.
pub(crate) fn replace_file(disk: &dyn Disk, name: &str, content: &[u8]) -> io::Result<()> {
    let new = format!("{name}.new");
    match disk.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&new)?;
    file.write_at(0, content)?;
    file.sync_data()?;
    disk.rename(&new, name)?;
    disk.sync_dir()
}

fn is_before(left: &[u8], right: &[u8], order: Order) -> bool {
    match order {
        Order::Ascending => left < right,
        Order::Descending => left > right,
    }
}

fn unreadable(error: OpenError) -> ReadError {
    match error {
        OpenError::Damaged { file, offset, why } => ReadError::Damaged { file, offset, why },
        OpenError::Io { file, source } => ReadError::Io { file, source },
        other @ (OpenError::InUse { .. }
        | OpenError::Folder { .. }
        | OpenError::Version { .. }
        | OpenError::Rows { .. }) => {
            ReadError::Io { file: "journal".into(), source: io::Error::other(other.to_string()) }
        }
    }
}
