//! Retention: history that may be forgotten gives its space back.
//!
//! A segment goes when nothing needs it: no document that is kept, no living
//! row, and no replay, since two checkpoints stand after it. Living rows that
//! still have their value there are written again first, unless they are most of
//! it: that would free little, and be done again with each turn. The list of what
//! goes is durable before anything does, so a crash at any point leaves either
//! the segment or its name in the list. Blobs go one by one, as soon as neither
//! their key nor a document that is kept needs them.

use crate::blob::{self, BlobId};
use crate::checkpoint::{self, Checkpoint};
use crate::history;
use crate::journal::{Pointer, Unlinked, segment};
use crate::journal_store::{JournalStore, SettleError};
use crate::rows::Cell;
use bytes::Bytes;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::{Arc, PoisonError};

/// An open segment whose documents are far apart is closed once it holds this
/// much. 256 KiB: far more than the few files that closing it costs.
const CLOSE_BYTES_MIN: u64 = 256 << 10;
/// It has to hold as much again for every so many segments, so that their
/// number stays small beside what is kept.
const CLOSE_SEGMENTS: u64 = 32;
/// Rows written again at once. 256: none of their values is above a batch.
const CARRIED_AT_ONCE: usize = 256;

/// Segments that are smaller than the checkpoint which their removal costs wait
/// this long for others. One minute: checkpoints of a large living state are
/// not written more often for little.
const WAIT_MS: u64 = 60_000;

/// A segment goes when at most one in so many of its bytes is a living value. Two: what
/// is freed is then at least what is written for it.
const LIVING_SHARE_MAX: u64 = 2;
/// A segment that lives is not looked at again for so long. A quarter of an hour: looking
/// reads all living rows.
const SPARED_MS: u64 = 15 * 60_000;

/// What the one who tidies remembers.
#[derive(Debug, Default)]
pub(crate) struct Housekeeping {
    /// Size of the last checkpoint.
    checkpoint_bytes: u64,
    /// When segments were removed last.
    unlinked_ms: u64,
    /// Segments that are mostly living values, and until when they are left alone.
    spared: BTreeMap<u64, u64>,
    /// The key that each blob was written under: none ever changes.
    keys: HashMap<BlobId, Bytes>,
}

/// A living row, and where its value is.
type Pin = (Bytes, Pointer);

/// What `tidy` has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Segments removed.
    pub segments: u64,
    /// Bytes of the files removed.
    pub bytes: u64,
    /// Rows whose value was written again, out of a segment that goes.
    pub carried: u64,
    /// Large values removed.
    pub blobs: u64,
}

/// Why nothing, or not everything, was tidied. Nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum TidyError {
    /// The store writes nothing now.
    #[error("the store cannot be tidied: {reason}")]
    Stopped {
        /// Why.
        reason: Arc<str>,
    },
    /// A file could not be read, written or removed.
    #[error("the store cannot be tidied: a file of the journal could not be read or written")]
    Io(#[from] io::Error),
    /// The rows behind the journal are not complete.
    #[error("the store cannot be tidied")]
    Settle(#[from] SettleError),
    /// The rows behind the journal could not be read.
    #[error("the store cannot be tidied: {why}")]
    Rows {
        /// Why.
        why: String,
    },
}

impl JournalStore {
    /// `Store::tidy`.
    pub(crate) fn forget_and_unlink(&self, now_ms: u64) -> Result<Tidied, TidyError> {
        let mut before = self.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.history.forget(now_ms);
        let mut tidied = self.drop_blobs(&mut before.keys)?;
        self.close_old_segment(now_ms)?;
        let mut doomed = self.doomed();
        // No later than if it had begun now: a clock may have been set back.
        let is_spared = |until_ms: u64| (now_ms + 1..=now_ms + SPARED_MS).contains(&until_ms);
        before.spared.retain(|segment, until_ms| is_spared(*until_ms) && doomed.contains(segment));
        doomed.retain(|segment| !before.spared.contains_key(segment));
        let pays = now_ms.abs_diff(before.unlinked_ms) >= WAIT_MS || self.bytes_of(&doomed) >= before.checkpoint_bytes;
        if doomed.is_empty() || !pays {
            return Ok(tidied);
        }
        self.settle()?;
        let (spared, pins) = self.pins(&mut doomed)?;
        before.spared.extend(spared.into_iter().map(|segment| (segment, now_ms + SPARED_MS)));
        if doomed.is_empty() {
            return Ok(tidied);
        }
        let (carried, unreadable) = self.carry(pins)?;
        tidied.carried = carried;
        doomed.retain(|segment| !unreadable.contains(segment));
        before.spared.extend(unreadable.into_iter().map(|segment| (segment, now_ms + SPARED_MS)));
        if doomed.is_empty() {
            return Ok(tidied);
        }
        let (covered, checkpoint_bytes) = self.cover(&doomed)?;
        (before.checkpoint_bytes, before.unlinked_ms) = (checkpoint_bytes, now_ms);
        self.unlink(doomed.into_iter().filter(|segment| *segment < covered).collect(), &mut tidied)?;
        Ok(tidied)
    }

    /// Writes a checkpoint now. Blocks; commits go on.
    ///
    /// # Errors
    /// See `TidyError`.
    pub fn checkpoint(&self) -> Result<(), TidyError> {
        let _one = self.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.settle()?;
        self.write_checkpoint().map(drop)
    }

    pub(crate) fn write_checkpoint(&self) -> Result<Checkpoint, TidyError> {
        let visible = || self.behind.overlay.read().visible().sequence;
        let disk = &**self.files.disk();
        Ok(checkpoint::write(disk, self.store, &*self.behind.rows, &visible, self.behind.free_bytes_min())?)
    }

    /// A segment ends by size; one whose documents are kept shortly must not
    /// wait for it.
    fn close_old_segment(&self, now_ms: u64) -> Result<(), TidyError> {
        let open = self.behind.overlay.read().visible();
        let segments = self.history.segments().len() as u64;
        let bytes_min = CLOSE_BYTES_MIN * (1 + segments / CLOSE_SEGMENTS);
        if open.offset < bytes_min.min(self.segment_bytes / 2) || !self.history.is_spread(open.segment, now_ms) {
            return Ok(());
        }
        self.ask(|committer| committer.close_segment())?;
        self.behind.write_indexes();
        Ok(())
    }

    /// Closed segments that no kept document needs.
    fn doomed(&self) -> BTreeSet<u64> {
        let open = self.behind.overlay.read().visible().segment;
        let held = self.history.held();
        self.history.segments().into_iter().filter(|segment| *segment < open && !held.contains(segment)).collect()
    }

    /// Takes the segments away that are mostly living values; returns them, and the
    /// living rows that have their value in the others.
    fn pins(&self, doomed: &mut BTreeSet<u64>) -> Result<(BTreeSet<u64>, Vec<Pin>), TidyError> {
        let mut pins: Vec<Pin> = Vec::new();
        checkpoint::walk(&*self.behind.rows, &mut |key, cell| {
            match cell {
                Cell::Far(at) if doomed.contains(&at.segment) => pins.push((key.clone(), *at)),
                Cell::Far(_) | Cell::Inline(..) | Cell::Blob(_) | Cell::Gone => {}
            }
            Ok(())
        })?;
        let mut living: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, at) in &pins {
            *living.entry(at.segment).or_default() += u64::from(at.len);
        }
        let is_alive =
            |(segment, bytes): &(u64, u64)| *bytes > self.bytes_of(&BTreeSet::from([*segment])) / LIVING_SHARE_MAX;
        let spared: BTreeSet<u64> = living.into_iter().filter(is_alive).map(|(segment, _)| segment).collect();
        doomed.retain(|segment| !spared.contains(segment));
        pins.retain(|(_, at)| !spared.contains(&at.segment));
        Ok((spared, pins))
    }

    /// Writes living rows again. Returns how many, and the segments whose values cannot
    /// be read now.
    fn carry(&self, pins: Vec<Pin>) -> Result<(u64, BTreeSet<u64>), TidyError> {
        let (mut carried, mut unreadable) = (0, BTreeSet::new());
        for pins in pins.chunks(CARRIED_AT_ONCE) {
            let pins = pins.to_vec();
            let done = self.ask(move |committer| committer.carry(&pins))?;
            carried += done.values;
            unreadable.extend(done.unreadable);
        }
        if carried > 0 {
            self.settle()?;
        }
        Ok((carried, unreadable))
    }

    /// Writes checkpoints until two stand after the doomed segments, or as far
    /// as it pays: a second one right away only when it is smaller than what
    /// it frees. Returns the segment from which on replays may start, and the size
    /// of the newest.
    fn cover(&self, doomed: &BTreeSet<u64>) -> Result<(u64, u64), TidyError> {
        let (disk, last) = (&**self.files.disk(), doomed.last().copied().unwrap_or_default());
        let mut kept = checkpoint::sound(disk, self.store)?;
        for round in 0..checkpoint::KEPT {
            let covers = kept.iter().filter(|kept| kept.place.segment > last).count();
            let pays = round == 0 || kept.first().is_none_or(|newest| newest.bytes <= self.bytes_of(doomed));
            if covers >= checkpoint::KEPT || !pays {
                break;
            }
            kept.insert(0, self.write_checkpoint()?);
            kept.truncate(checkpoint::KEPT);
        }
        let covered = kept.get(checkpoint::KEPT - 1).map_or(0, |oldest| oldest.place.segment);
        Ok((covered, kept.first().map_or(0, |newest| newest.bytes)))
    }

    /// Removes the blobs that nothing needs any more.
    fn drop_blobs(&self, keys: &mut HashMap<BlobId, Bytes>) -> Result<Tidied, TidyError> {
        let (disk, mut tidied) = (&**self.files.disk(), Tidied::default());
        let visible = self.behind.overlay.read().visible().sequence;
        let mut free: Vec<BlobId> = blob::list(disk)?;
        let there: HashSet<BlobId> = free.iter().copied().collect();
        keys.retain(|blob, _| there.contains(blob));
        // Later ones are on their way to a batch.
        free.retain(|blob| blob.sequence <= visible);
        let held = self.history.held_blobs();
        free.retain(|blob| !held.contains(blob));
        let living = free.iter().map(|blob| self.is_living(*blob, keys)).collect::<Result<Vec<_>, _>>()?;
        // Once more: a row may have become history since.
        let held = self.history.held_blobs();
        let free: Vec<BlobId> = free
            .into_iter()
            .zip(living)
            .filter(|(blob, living)| !living && !held.contains(blob))
            .map(|it| it.0)
            .collect();
        if free.is_empty() {
            return Ok(tidied);
        }
        // What is forgotten must stay so when its values are gone.
        self.write_unlinked(BTreeSet::new())?;
        for blob in free {
            tidied.bytes += disk.open(&blob.file())?.len_bytes()?;
            tidied.blobs += 1;
            disk.remove(&blob.file())?;
        }
        disk.sync_dir()?;
        Ok(tidied)
    }

    /// Whether the key that a blob was written under still has it. One whose
    /// header is damaged stays, to be looked at.
    fn is_living(&self, blob: BlobId, keys: &mut HashMap<BlobId, Bytes>) -> Result<bool, TidyError> {
        let key = match keys.entry(blob) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => match blob::key(&**self.files.disk(), self.store, blob) {
                Ok(key) => unknown.insert(key),
                Err(error) => {
                    tracing::warn!(file = blob.file(), %error, "a large value is damaged, and its file is left where it is");
                    return Ok(true);
                }
            },
        };
        let cell = self.behind.overlay.get(&*self.behind.rows, key);
        let cell = cell.map_err(|error| TidyError::Rows { why: error.0 })?;
        Ok(matches!(cell, Some(Cell::Blob(at)) if at.id == blob))
    }

    /// Makes durable what is forgotten, and which segments are gone: these, too,
    /// unless a document has come to need them. Returns all that are.
    fn write_unlinked(&self, doomed: BTreeSet<u64>) -> Result<BTreeSet<u64>, TidyError> {
        let history = Arc::clone(&self.history);
        let segments = self.ask(move |committer| {
            let held = history.held();
            committer.unlinked.extend(doomed.iter().filter(|segment| !held.contains(segment)));
            Ok(committer.unlinked.clone())
        })?;
        let list = Unlinked { segments, forgotten_ms: self.history.forgotten_ms() };
        list.write(&**self.files.disk(), self.store)?;
        Ok(list.segments)
    }

    fn unlink(&self, doomed: BTreeSet<u64>, tidied: &mut Tidied) -> Result<(), TidyError> {
        let agreed = self.write_unlinked(doomed)?;
        let going: Vec<u64> = self.history.segments().into_iter().filter(|segment| agreed.contains(segment)).collect();
        tidied.segments = going.len() as u64;
        tidied.bytes += self.bytes_of(&going.iter().copied().collect());
        let disk = &**self.files.disk();
        for segment in &going {
            self.history.drop_segment(*segment);
            for name in [history::file_name(*segment), segment::name(*segment)] {
                remove_if_there(disk, &name)?;
            }
            // Afterwards: a reader would open it again, and keep its space.
            self.files.forget(*segment);
        }
        disk.sync_dir()?;
        Ok(())
    }

    fn bytes_of(&self, segments: &BTreeSet<u64>) -> u64 {
        let disk = self.files.disk();
        let len = |segment: &u64| disk.open(&segment::name(*segment)).and_then(|file| file.len_bytes()).unwrap_or(0);
        segments.iter().map(len).sum()
    }
}

fn remove_if_there(disk: &dyn crate::disk::Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::history::Retire;
    use crate::options::Options;
    use crate::store::Store as _;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    /// A document, in a batch of its own.
    fn document(number: u64) -> Batch {
        let name = format!("run|{number:06}");
        let mut batch = Batch::new();
        batch.put(&name, "1");
        batch.retire(Retire {
            prefixes: vec![name.into_bytes()],
            id: number.to_be_bytes().to_vec(),
            groups: Vec::new(),
            keep_until_ms: number,
            since: crate::commit::Position::default(),
        });
        batch
    }

    #[test]
    fn looking_at_the_open_segment_stops_no_commit() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { free_bytes_min: 0, ..Options::default() };
        let store = Arc::new(JournalStore::open(folder.path(), options).expect("opens"));
        let over = Arc::new(AtomicBool::new(false));
        let (writer, looker, stop) = (Arc::clone(&store), Arc::clone(&store), Arc::clone(&over));
        let looking = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                looker.history.is_spread(looker.stats().segment, 0);
            }
        });
        let (done, written) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for number in 0..1000 {
                writer.commit(document(number)).wait().expect("committed");
            }
            done.send(())
        });
        let outcome = written.recv_timeout(Duration::from_secs(60));
        over.store(true, Ordering::Relaxed);
        outcome.expect("commits went on");
        looking.join().expect("nobody panics");
    }
}
