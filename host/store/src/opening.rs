//! Brings a store back to where it was: rows, overlay and history.
//!
//! The segment that the rows stand in, and every later one, is read whole: for
//! the batches that the rows do not hold yet, and for the history in them.
//! Earlier segments are taken up by their index files.

use crate::batch::{self, Write};
use crate::behind::Behind;
use crate::committer::show_batch;
use crate::history::{self, History};
use crate::journal::{Catalogue, Journal, Place, Replayed, segment};
use crate::open_error::OpenError;
use crate::options::Options;
use crate::overlay::Overlay;
use crate::rows::{Rows, RowsError};
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
    let from = rows.mark().map_err(rows_error)?.map(|mark| mark.place);
    let start = from.unwrap_or(Place { sequence: 0, segment: 0, offset: 0 });
    let store = catalogue.store();
    let history = Arc::new(History::new(Arc::clone(catalogue.files()), store, 0));
    let overlay = Overlay::new(start);
    let behind = Behind::new(overlay, rows, Arc::clone(catalogue.disk()), store, Arc::clone(&history), options.clone());
    for earlier in catalogue.segments().iter().filter(|number| **number < start.segment) {
        history.take_up(*earlier)?;
    }
    let mut visit = |batch: Replayed<'_>| {
        show_replayed(&behind, &history, &batch, start, options)?;
        let full = behind.overlay.read().bytes() >= options.overlay_bytes.min(options.behind_bytes);
        if full { behind.round().map_err(rows_error) } else { Ok(()) }
    };
    let journal = catalogue.replay(from, options.segment_bytes, &mut visit)?;
    behind.overlay.write().advance(journal.place(), 0);
    history.add(journal.place().segment, &[]);
    behind.write_indexes();
    Ok(Opened { behind: Arc::new(behind), history, journal })
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
        show_batch(&mut layers, &payload, number, batch.payload_at, options.inline_bytes_max);
        layers.advance(batch.end, payload.len());
    }
    Ok(())
}

pub(crate) fn rows_error(error: RowsError) -> OpenError {
    OpenError::Rows { why: error.0 }
}
