//! Retention: history that may be forgotten gives its space back.
//!
//! A segment goes when nothing needs it: no document that is kept, no living
//! row, and no replay, since two checkpoints stand after it. Living rows that
//! still have their value there are written again first. The list of what
//! goes is durable before anything does, so a crash at any point leaves either
//! the segment or its name in the list.

use crate::checkpoint::{self, Checkpoint};
use crate::history;
use crate::journal::{Pointer, Unlinked, segment};
use crate::journal_store::{JournalStore, SettleError};
use crate::rows::Cell;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, PoisonError};

/// An open segment with forgotten documents is closed once it holds this much.
/// 256 KiB: far more than the few files that closing it costs.
const CLOSE_BYTES_MIN: u64 = 256 << 10;
/// Rows written again at once. 256: none of their values is above a batch.
const CARRIED_AT_ONCE: usize = 256;

/// What `tidy` has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Segments removed.
    pub segments: u64,
    /// Bytes of the files removed.
    pub bytes: u64,
    /// Rows whose value was written again, out of a segment that goes.
    pub carried: u64,
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
}

impl JournalStore {
    /// `Store::tidy`.
    pub(crate) fn forget_and_unlink(&self, now_ms: u64) -> Result<Tidied, TidyError> {
        let _one = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        self.history.forget(now_ms);
        self.close_old_segment()?;
        let doomed = self.doomed();
        if doomed.is_empty() {
            return Ok(Tidied::default());
        }
        self.settle()?;
        let carried = self.carry(&doomed)?;
        let covered = self.cover(&doomed)?;
        let doomed: BTreeSet<u64> = doomed.into_iter().filter(|segment| *segment < covered).collect();
        Ok(Tidied { carried, ..self.unlink(doomed)? })
    }

    /// Writes a checkpoint now. Blocks; commits go on.
    ///
    /// # Errors
    /// See `TidyError`.
    pub fn checkpoint(&self) -> Result<(), TidyError> {
        let _one = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        self.settle()?;
        self.write_checkpoint().map(drop)
    }

    pub(crate) fn write_checkpoint(&self) -> Result<Checkpoint, TidyError> {
        let visible = || self.behind.overlay.read().visible().sequence;
        Ok(checkpoint::write(&**self.files.disk(), self.store, &*self.behind.rows, &visible)?)
    }

    /// A segment ends by size; one whose documents are kept shortly must not
    /// wait for it.
    fn close_old_segment(&self) -> Result<(), TidyError> {
        let open = self.behind.overlay.read().visible();
        if open.offset < CLOSE_BYTES_MIN.min(self.segment_bytes / 2) || !self.history.has_forgotten(open.segment) {
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

    /// Writes living rows again that have their value in these segments.
    fn carry(&self, doomed: &BTreeSet<u64>) -> Result<u64, TidyError> {
        let mut pins: Vec<(Bytes, Pointer)> = Vec::new();
        checkpoint::walk(&*self.behind.rows, &mut |key, cell| {
            match cell {
                Cell::Far(at) if doomed.contains(&at.segment) => pins.push((key.clone(), *at)),
                Cell::Far(_) | Cell::Inline(..) | Cell::Gone => {}
            }
            Ok(())
        })?;
        let mut carried = 0;
        for pins in pins.chunks(CARRIED_AT_ONCE) {
            let pins = pins.to_vec();
            carried += self.ask(move |committer| committer.carry(&pins))?;
        }
        if carried > 0 {
            self.settle()?;
        }
        Ok(carried)
    }

    /// Writes checkpoints until two stand after the doomed segments, or as far
    /// as it pays: a second one right away only when it is smaller than what
    /// it frees. Returns the segment from which on replays may start.
    fn cover(&self, doomed: &BTreeSet<u64>) -> Result<u64, TidyError> {
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
        Ok(kept.get(checkpoint::KEPT - 1).map_or(0, |oldest| oldest.place.segment))
    }

    fn unlink(&self, doomed: BTreeSet<u64>) -> Result<Tidied, TidyError> {
        let history = Arc::clone(&self.history);
        let agreed = self.ask(move |committer| {
            let held = history.held();
            committer.unlinked.extend(doomed.iter().filter(|segment| !held.contains(segment)));
            Ok(committer.unlinked.clone())
        })?;
        let going: Vec<u64> = self.history.segments().into_iter().filter(|segment| agreed.contains(segment)).collect();
        let bytes = self.bytes_of(&going.iter().copied().collect());
        let disk = &**self.files.disk();
        Unlinked { segments: agreed, forgotten_ms: self.history.forgotten_ms() }.write(disk, self.store)?;
        for segment in &going {
            self.history.drop_segment(*segment);
            self.files.forget(*segment);
            for name in [history::file_name(*segment), segment::name(*segment)] {
                remove_if_there(disk, &name)?;
            }
        }
        disk.sync_dir()?;
        Ok(Tidied { segments: going.len() as u64, bytes, carried: 0 })
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
