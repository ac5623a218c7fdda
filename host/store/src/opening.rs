//! Brings a store back to where it was: rows, overlay and history.
//!
//! The segment that the rows stand in, and every later one, is read whole: for
//! the batches that the rows do not hold yet, and for the history in them.
//! Earlier segments are taken up by their index files.

use crate::batch::{self, Write};
use crate::behind::Behind;
use crate::blob;
use crate::checkpoint;
use crate::commit::Position;
use crate::committer::show_batch;
use crate::disk::Disk;
use crate::history::{self, History};
use crate::journal::{Catalogue, Journal, Place, Replayed, segment};
use crate::open_error::OpenError;
use crate::options::Options;
use crate::overlay::Overlay;
use crate::rows::{Changes, Mark, Rows, RowsError};
use bytes::Bytes;
use std::sync::Arc;

/// A store that is up to date, before anything writes to it.
pub(crate) struct Opened {
    pub(crate) behind: Arc<Behind>,
    pub(crate) history: Arc<History>,
    pub(crate) journal: Journal,
}

/// Brings the journal into the overlay, and into the rows whenever the overlay
/// is full.
pub(crate) fn open(catalogue: Catalogue, rows: Arc<dyn Rows>, options: &Options) -> Result<Opened, OpenError> {
    let Filled { from, until } = fill(&catalogue, &*rows)?;
    let start = from.unwrap_or(Place { sequence: 0, segment: 0, offset: 0 });
    let store = catalogue.store();
    let history = Arc::new(History::new(Arc::clone(catalogue.files()), store, catalogue.unlinked().forgotten_ms));
    let overlay = Overlay::new(start);
    let behind = Behind::new(
        overlay,
        Arc::clone(&rows),
        Arc::clone(catalogue.disk()),
        store,
        Arc::clone(&history),
        options.clone(),
    );
    for earlier in catalogue.segments().iter().filter(|number| **number < start.segment) {
        history.take_up(*earlier)?;
    }
    let mut visit = |batch: Replayed<'_>| {
        // Rows never run ahead of the journal: of what a failed sync has left to be read,
        // a loss of power would leave the rows alone. Nor do they say less than they hold:
        // a checkpoint's stand for nothing before all that is in them was read.
        let durable = batch.durable + 1 == batch.end.sequence;
        let full = behind.overlay.read().bytes() >= options.overlay_bytes.min(options.behind_bytes);
        if full && durable {
            let round = if batch.durable < until { behind.load() } else { behind.round() };
            round.map_err(rows_error)?;
        }
        show_replayed(&behind, &history, &batch, start, options)
    };
    let journal = catalogue.replay(from, until, options.segment_bytes, &mut visit)?;
    if let (Some(place), None) = (from, rows.mark().map_err(rows_error)?) {
        rows.apply(&Changes::new(), Mark { store, place }).map_err(rows_error)?;
    }
    sweep(&history, &**journal.files().disk(), journal.place())?;
    behind.overlay.write().advance(journal.place(), 0);
    history.add(journal.place().segment, &[]);
    behind.write_indexes();
    Ok(Opened { behind: Arc::new(behind), history, journal })
}

/// What the rows hold before the journal is replayed.
struct Filled {
    /// Replay starts here; at the beginning when `None`.
    from: Option<Place>,
    /// Replay reaches at least this batch: the rows hold some of what it wrote.
    until: u64,
}

/// Fills empty rows from the newest sound checkpoint, if there is one. They get their
/// mark when the journal was seen to hold all that is in them: not here.
fn fill(catalogue: &Catalogue, rows: &dyn Rows) -> Result<Filled, OpenError> {
    if let Some(Mark { place, .. }) = rows.mark().map_err(rows_error)? {
        return Ok(Filled { from: Some(place), until: place.sequence });
    }
    let (disk, store) = (&**catalogue.disk(), catalogue.store());
    let sound = checkpoint::sound(disk, store).map_err(|source| OpenError::Io { file: "journal".into(), source })?;
    let usable = sound.into_iter().find(|found| catalogue.segments().contains(&found.place.segment));
    match usable {
        Some(found) => {
            checkpoint::load(disk, store, &found, rows).map_err(rows_error)?;
            Ok(Filled { from: Some(found.place), until: found.until })
        }
        None if catalogue.unlinked().segments.is_empty() => Ok(Filled { from: None, until: 0 }),
        None => Err(lost("there is no sound checkpoint, and the segments before it are gone")),
    }
}

/// Removes what a crash left of files that were on their way in or out: blobs
/// of batches that were never written among them.
fn sweep(history: &History, disk: &dyn Disk, end: Place) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { file: "journal".into(), source };
    let kept = history.segments();
    let gone = |name: &String| {
        let number = name.strip_suffix(".log").or_else(|| name.strip_suffix(".idx"));
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        name.ends_with(".new") || number.is_some_and(|number| kept.last() > Some(&number) && !kept.contains(&number))
    };
    for name in disk.list().map_err(io)?.iter().filter(|name| gone(name)) {
        disk.remove(name).map_err(io)?;
    }
    let blobs = blob::list(disk).map_err(io)?;
    for blob in blobs.iter().filter(|blob| blob.sequence > end.sequence) {
        disk.remove(&blob.file()).map_err(io)?;
    }
    Ok(())
}

fn lost(why: &str) -> OpenError {
    OpenError::Damaged { file: "journal".into(), offset: 0, why: why.to_owned() }
}

fn show_replayed(
    behind: &Behind,
    history: &History,
    batch: &Replayed<'_>,
    start: Place,
    options: &Options,
) -> Result<(), OpenError> {
    let number = batch.end.segment;
    let damaged = |why: &str| OpenError::Damaged {
        file: format!("journal/{}", segment::name(number)),
        offset: batch.payload_at,
        why: why.to_owned(),
    };
    if batch.end.sequence == start.sequence && batch.end != start {
        return Err(damaged("the rows behind the journal were made from other batches than these"));
    }
    let payload = Bytes::copy_from_slice(batch.payload);
    let writes: Vec<Write> =
        batch::writes(&payload).collect::<Option<_>>().ok_or_else(|| damaged("the batch has an unknown form"))?;
    let retired = writes.iter().filter(|write| matches!(write, Write::Retired { .. })).count();
    let records = history::records(&payload, number, batch.payload_at);
    if records.len() != retired {
        return Err(damaged("a document of history has an unknown form"));
    }
    history.add(number, &records);
    if batch.end.sequence > start.sequence {
        let mut layers = behind.overlay.write();
        let at = (number, batch.payload_at);
        show_batch(&mut layers, &payload, at, Position::default(), options.inline_bytes_max);
        layers.advance(batch.end, payload.len());
    }
    Ok(())
}

pub(crate) fn rows_error(error: RowsError) -> OpenError {
    OpenError::Rows { why: error.0 }
}
