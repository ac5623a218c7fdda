//! The one thread that writes: takes waiting batches, decides, appends, shows.
//!
//! Invariants: expectations are checked in queue order against everything
//! before them, the same group included; a batch is answered only after its
//! group is durable and visible; the first failure that is not a clean "full"
//! ends the thread and answers everybody.

use crate::batch::{self, Batch, Write};
use crate::behind::Behind;
use crate::blob::{self, Blob};
use crate::commit::{CommitError, Position};
use crate::decide::{Group, Reach};
use crate::history::{self, History, Retire};
use crate::journal::{Journal, Place, Pointer, StoreId, WriteFailure, Written};
use crate::options::Options;
use crate::overlay::Layers;
use crate::queue::{Answer, Queue, Waiting};
use crate::rows::{Cell, RowsError};
use crate::store::ReadError;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A batch up to this size is kept alive whole by the overlay instead of being
/// copied key by key. 16 KiB: copying costs more below, memory above.
const SHARED_BYTES_MAX: usize = 16 << 10;

/// What the committer has done since the store was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) journal_bytes: AtomicU64,
}

/// See the module.
pub(crate) struct Committer {
    pub(crate) journal: Journal,
    pub(crate) queue: Arc<Queue>,
    pub(crate) behind: Arc<Behind>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) options: Options,
    pub(crate) store: StoreId,
    pub(crate) history: Arc<History>,
    /// The newest segment that the history knows of.
    pub(crate) indexed: u64,
    /// Segments that are no longer there.
    pub(crate) unlinked: BTreeSet<u64>,
    /// Writing has failed for good.
    pub(crate) broken: bool,
}

/// A batch of the group, with what was decided about it.
struct Decided {
    answer: Answer,
    verdict: Verdict,
}

enum Verdict {
    /// Its sequence, its encoded writes, and where these begin within the group.
    Write {
        sequence: u64,
        payload: Bytes,
        payload_at: usize,
        /// What it retires was not written before this; none: it retires nothing.
        since: Option<Position>,
    },
    /// Expectations hold, and there is nothing to write.
    Holds,
    Conflict(Bytes),
}

impl Committer {
    /// The thread: runs until the queue is closed and empty, or writing fails.
    pub(crate) fn run(mut self) {
        let _stop = StopOnPanic(Arc::clone(&self.queue));
        let (mut waiting, mut decided) = (Vec::new(), Vec::new());
        while let Some(jobs) = self.queue.take(self.options.group_bytes, &mut waiting) {
            for job in jobs {
                if let Err(WriteFailure::Broken(reason)) = job(&mut self) {
                    self.stop(&reason);
                    return refuse(&mut waiting, &mut decided, &stopped(&reason));
                }
            }
            if !waiting.is_empty() && !self.commit_or_refuse(&mut waiting, &mut decided) {
                return;
            }
        }
        self.seal();
    }

    /// In stepped mode: commits what waits, then lets the rows catch up when
    /// enough came together.
    pub(crate) fn step(&mut self) {
        let (mut waiting, mut decided) = (Vec::new(), Vec::new());
        while self.queue.try_take(self.options.group_bytes, &mut waiting).is_some() {
            if !self.commit_or_refuse(&mut waiting, &mut decided) {
                return;
            }
            self.behind.step();
        }
    }

    /// In stepped mode: commits what waits, as the last.
    pub(crate) fn finish(mut self) {
        self.step();
        // A writer that broke has refused, and must not write a seal.
        if !self.broken {
            self.seal();
        }
    }

    /// Commits a group; false when nothing may be written any more.
    fn commit_or_refuse(&mut self, waiting: &mut Vec<Waiting>, decided: &mut Vec<Decided>) -> bool {
        match self.commit_group(waiting, decided) {
            Ok(()) => true,
            Err(WriteFailure::Full) => {
                refuse(waiting, decided, &CommitError::Full);
                true
            }
            Err(WriteFailure::Broken(reason)) => {
                self.queue.close(&reason);
                refuse(waiting, decided, &stopped(&reason));
                self.stop(&reason);
                false
            }
        }
    }

    /// In stepped mode: a job, at once.
    pub(crate) fn perform<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, WriteFailure>,
    ) -> Result<T, WriteFailure> {
        let outcome = act(self);
        if let Err(WriteFailure::Broken(reason)) = &outcome {
            self.stop(reason);
        }
        outcome
    }

    fn stop(&mut self, reason: &str) {
        tracing::error!(reason, "the store has stopped writing");
        self.broken = true;
        self.queue.stop(reason);
    }

    fn seal(&mut self) {
        if let Err(failure) = self.journal.seal() {
            tracing::warn!(?failure, "the journal was closed without its seal");
        }
    }

    fn commit_group(&mut self, waiting: &mut Vec<Waiting>, decided: &mut Vec<Decided>) -> Result<(), WriteFailure> {
        self.check_room()?;
        let blobs = self.decide(waiting, decided).map_err(|error| WriteFailure::Broken(error.to_string()))?;
        let writes = decided.iter().any(|batch| matches!(batch.verdict, Verdict::Write { .. }));
        if writes {
            let written = self.write_group(&blobs)?;
            self.show(decided, written);
        }
        self.answer(decided);
        Ok(())
    }

    /// Writes the large values, then the group that names them.
    fn write_group(&mut self, blobs: &[Blob]) -> Result<Written, WriteFailure> {
        let files = Arc::clone(self.journal.files());
        let disk = &**files.disk();
        let written = match blob::write(disk, self.store, blobs) {
            Ok(()) => self.journal.write_group(),
            Err(error) => Err(self.journal.drop_group("write a large value", &error)),
        };
        // After any other failure the group may be there at the next open.
        if matches!(written, Err(WriteFailure::Full)) {
            blob::take_back(disk, blobs);
        }
        written
    }

    /// Room for what others write.
    fn check_room(&self) -> Result<(), WriteFailure> {
        self.check_space(self.options.free_bytes_min)
    }

    /// Whether the rows take more, and the disk has so much space.
    fn check_space(&self, free_bytes_min: u64) -> Result<(), WriteFailure> {
        if let Some(reason) = self.behind.failed() {
            return Err(WriteFailure::Broken(reason.to_string()));
        }
        let free = if free_bytes_min == 0 { Ok(u64::MAX) } else { self.journal.files().disk().free_bytes() };
        match free {
            Ok(free) if free < free_bytes_min => Err(WriteFailure::Full),
            Err(error) => Err(WriteFailure::Broken(format!("could not read the free space: {error}"))),
            Ok(_) if self.behind.wait_for_room() => Ok(()),
            Ok(_) => match self.behind.failed() {
                Some(reason) => Err(WriteFailure::Broken(reason.to_string())),
                None => Err(WriteFailure::Full),
            },
        }
    }

    /// Decides each batch and adds those that hold to the journal's group;
    /// returns the large values to be written before it.
    fn decide(&mut self, waiting: &mut Vec<Waiting>, decided: &mut Vec<Decided>) -> Result<Vec<Blob>, RowsError> {
        let asks = |batch: &Waiting| !batch.expectations.is_empty() || !batch.retires.is_empty();
        let track = waiting.iter().skip(1).any(asks) || waiting.iter().any(|batch| !batch.retires.is_empty());
        let (mut group, mut blobs) = (Group::default(), Vec::new());
        for Waiting { writes, expectations, retires, answer } in waiting.drain(..) {
            // On an error the batches left undecided are dropped unanswered,
            // which their commits take for a stop.
            let conflict = group.conflict(&expectations, &self.behind.overlay, &*self.behind.rows)?;
            let verdict = match conflict {
                Some(key) => Verdict::Conflict(key),
                None if writes.bytes() == 0 && retires.is_empty() => Verdict::Holds,
                None => {
                    let placed = writes.place(self.journal.next_sequence(), self.options.blob_bytes_min);
                    let (payload, large) = placed;
                    blobs.extend(large);
                    if track {
                        group.note(&payload, self.journal.next_payload_at());
                    }
                    let payload = self.work_out(payload, &retires, &mut group)?;
                    let (sequence, payload_at) = self.journal.add(&payload);
                    // Of several documents the oldest counts.
                    let since = retires.iter().map(|retire| retire.since).min();
                    Verdict::Write { sequence, payload, payload_at, since }
                }
            };
            decided.push(Decided { answer, verdict });
        }
        Ok(blobs)
    }

    /// Appends the records of a batch's retirements to its writes.
    fn work_out(&self, payload: Bytes, retires: &[Retire], group: &mut Group) -> Result<Bytes, RowsError> {
        if retires.is_empty() {
            return Ok(payload);
        }
        let mut payload = Vec::from(payload);
        let reach = Reach { newest: self.journal.place().segment, unlinked: &self.unlinked };
        for retire in retires {
            let body_at = self.journal.next_payload_at() + payload.len() + batch::RETIRED_HEADER_BYTES;
            let body = group.retire(retire, body_at, &self.behind.overlay, &*self.behind.rows, &reach)?;
            batch::append_retired(&mut payload, &body);
        }
        Ok(payload.into())
    }

    /// History first: whoever does not find a row there any more must find the
    /// document that it became.
    fn show(&mut self, decided: &[Decided], written: Written) {
        self.show_history(decided, &written);
        let mut bytes = 0;
        let mut layers = self.behind.overlay.write();
        for Decided { verdict, .. } in decided {
            if let Verdict::Write { payload, payload_at, since, .. } = verdict {
                let payload_at = written.offset + *payload_at as u64;
                bytes += payload.len();
                let at = (written.segment, payload_at);
                show_batch(&mut layers, payload, at, since.unwrap_or_default(), self.options.inline_bytes_max);
            }
        }
        layers.advance(written.end, bytes);
        drop(layers);
        self.behind.note(bytes);
        self.counters.groups.fetch_add(1, Ordering::Relaxed);
        self.counters.journal_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn show_history(&mut self, decided: &[Decided], written: &Written) {
        let records: Vec<_> = decided
            .iter()
            .filter_map(|batch| match &batch.verdict {
                Verdict::Write { payload, payload_at, since: Some(_), .. } => Some((payload, *payload_at)),
                Verdict::Write { .. } | Verdict::Holds | Verdict::Conflict(_) => None,
            })
            .flat_map(|(payload, at)| history::records(payload, written.segment, written.offset + at as u64))
            .collect();
        if !records.is_empty() || written.segment != self.indexed {
            self.history.add(written.segment, &records);
            self.indexed = written.segment;
        }
    }

    fn answer(&self, decided: &mut Vec<Decided>) {
        let durable = Position(self.journal.place().sequence);
        for Decided { answer, verdict } in decided.drain(..) {
            let outcome = match verdict {
                Verdict::Write { sequence, .. } => Ok(Position(sequence)),
                Verdict::Holds => Ok(durable),
                Verdict::Conflict(key) => Err(CommitError::Conflict { key }),
            };
            // Counted first: whoever has the answer finds it in the figures.
            let counter = if outcome.is_ok() { &self.counters.commits } else { &self.counters.conflicts };
            counter.fetch_add(1, Ordering::Relaxed);
            answer.resolve(outcome);
        }
    }
}

/// What `Committer::carry` did.
#[derive(Default)]
pub(crate) struct Carried {
    /// Values written again.
    pub(crate) values: u64,
    /// Segments with living values that could not be read, and so have to stay.
    pub(crate) unreadable: BTreeSet<u64>,
}

/// Jobs of those who tidy.
impl Committer {
    /// After the last durable batch.
    pub(crate) fn place(&self) -> Place {
        self.journal.place()
    }

    /// Closes the open segment before it is full.
    pub(crate) fn close_segment(&mut self) -> Result<(), WriteFailure> {
        self.journal.close_segment()?;
        let place = self.journal.place();
        self.history.add(place.segment, &[]);
        self.indexed = place.segment;
        self.behind.overlay.write().advance(place, 0);
        self.behind.note(0);
        Ok(())
    }

    /// Writes values again whose rows still have them where the pins say.
    pub(crate) fn carry(&mut self, pins: &[(Bytes, Pointer)]) -> Result<Carried, WriteFailure> {
        let (mut batch, mut carried) = (Batch::new(), Carried::default());
        for (key, at) in pins {
            let broken = |error: &dyn std::fmt::Display| WriteFailure::Broken(error.to_string());
            let cell = self.behind.overlay.get(&*self.behind.rows, key).map_err(|error| broken(&error))?;
            if cell == Some(Cell::Far(*at)) {
                match self.journal.files().value(*at) {
                    Ok(value) => batch.put_bytes(key, value),
                    // Whoever asks for it is told; nobody else has to suffer.
                    Err(error @ ReadError::Damaged { .. }) => {
                        tracing::error!(%error, key = %key.escape_ascii(), "a living value is lost");
                        continue;
                    }
                    Err(error) => {
                        tracing::error!(%error, key = %key.escape_ascii(), "a living value cannot be read now");
                        carried.unreadable.insert(at.segment);
                        continue;
                    }
                }
                carried.values += 1;
            }
            if batch.bytes() >= self.options.group_bytes {
                self.write_alone(std::mem::take(&mut batch))?;
            }
        }
        self.write_alone(batch)?;
        Ok(carried)
    }

    /// Writes a batch of the store's own.
    fn write_alone(&mut self, batch: Batch) -> Result<(), WriteFailure> {
        if batch.is_empty() {
            return Ok(());
        }
        // What makes space must not wait for it, nor take what sled writes in.
        let margin = self.options.free_bytes_min / 4 * 3;
        self.check_space(if margin == 0 { 0 } else { margin + batch.bytes() as u64 })?;
        let (payload, blobs) =
            batch.into_parts().writes.place(self.journal.next_sequence(), self.options.blob_bytes_min);
        let (_, at) = self.journal.add(&payload);
        let written = self.write_group(&blobs)?;
        if written.segment != self.indexed {
            self.history.add(written.segment, &[]);
            self.indexed = written.segment;
        }
        let mut layers = self.behind.overlay.write();
        let payload_at = written.offset + at as u64;
        let at = (written.segment, payload_at);
        show_batch(&mut layers, &payload, at, Position::default(), self.options.inline_bytes_max);
        layers.advance(written.end, payload.len());
        drop(layers);
        self.behind.note(payload.len());
        Ok(())
    }
}

/// Puts the writes of one batch into the overlay. `at` is its segment, and where it
/// begins there; what it retires was not written before `since`. The bytes were
/// checked before: by their CRC, or because this process encoded them.
pub(crate) fn show_batch(
    layers: &mut Layers,
    payload: &Bytes,
    (segment, payload_at): (u64, u64),
    since: Position,
    inline_bytes_max: usize,
) {
    let shared = payload.len() <= SHARED_BYTES_MAX;
    let part = |range| {
        let part = payload.slice(range);
        if shared { part } else { Bytes::copy_from_slice(&part) }
    };
    for write in batch::writes(payload).flatten() {
        match write {
            Write::Put { key, value } => {
                let at = Pointer {
                    segment,
                    offset: payload_at + value.start as u64,
                    len: u32::try_from(value.len()).expect("a value is shorter than its batch"),
                    crc: crc32c::crc32c(&payload[value.clone()]),
                };
                let inline = value.len() <= inline_bytes_max;
                let cell = if inline { Cell::Inline(part(value), Some(at)) } else { Cell::Far(at) };
                layers.insert(part(key), cell);
            }
            Write::PutBlob { key, at } => layers.insert(part(key), Cell::Blob(at)),
            Write::Delete { key } => layers.insert(part(key), Cell::Gone),
            Write::Retired { body } => {
                let record = history::decode(&payload.slice(body));
                let keys = record.into_iter().flat_map(|record| record.rows).map(|(key, _)| key);
                keys.for_each(|key| layers.remove(key, since));
            }
        }
    }
}

fn stopped(reason: &str) -> CommitError {
    CommitError::Stopped { reason: reason.into() }
}

fn refuse(waiting: &mut Vec<Waiting>, decided: &mut Vec<Decided>, error: &CommitError) {
    for answer in decided.drain(..).map(|batch| batch.answer).chain(waiting.drain(..).map(|batch| batch.answer)) {
        answer.resolve(Err(error.clone()));
    }
}

/// Refuses everybody if the thread ends in a panic, so that nobody waits.
struct StopOnPanic(Arc<Queue>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the thread that writes the journal panicked");
        }
    }
}
