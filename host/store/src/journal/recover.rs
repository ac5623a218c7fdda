//! Finds out, at open, what the journal holds.
//!
//! A bad frame is a torn tail only in the last segment, and only when nothing
//! after it says that it was durable; it is cut off then. Everything else is
//! damage to acknowledged batches, reported before anything is changed.

use super::segment::{self, Header, HeaderError, StoreId};
use super::writer::{Journal, seed};
use super::{Files, Place, Unlinked, frame, unlinked};
use crate::disk::{Disk, DiskFile};
use crate::open_error::OpenError;
use crate::rows::Mark;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// The segments that are there, before their frames are read.
pub(crate) struct Catalogue {
    disk: Arc<dyn Disk>,
    files: Arc<Files>,
    /// Numbers, without a gap that `unlinked` does not explain.
    segments: Vec<u64>,
    unlinked: Unlinked,
    store: StoreId,
    /// There is no segment: the identity was made up just now.
    fresh: bool,
    /// A last segment whose creation was cut short: it never held a frame.
    stillborn: Option<u64>,
}

/// One batch read back.
pub(crate) struct Replayed<'a> {
    /// Just after the batch.
    pub(crate) end: Place,
    pub(crate) payload: &'a [u8],
    /// Offset of the payload in the segment.
    pub(crate) payload_at: u64,
    /// Every batch up to this one is durable, as far as is known yet.
    pub(crate) durable: u64,
}

/// What the scan of the last segment found.
struct Tail {
    place: Place,
    /// Offsets and sequences of durable-looking batches that no later frame
    /// vouches for.
    unclaimed: VecDeque<(u64, u64)>,
    /// The last batch has no later frame to vouch for it, and it wrote.
    last_wrote: bool,
    torn: bool,
}

impl Catalogue {
    /// Lists the segments and reads the header of the last.
    pub(crate) fn read(disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let names = disk.list().map_err(|source| OpenError::Io { file: "journal".into(), source })?;
        let mut segments: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
        segments.sort_unstable();
        let files = Arc::new(Files::new(Arc::clone(&disk)));
        let (store, unlinked) = (StoreId::default(), Unlinked::default());
        let mut catalogue = Self { disk, files, segments, unlinked, store, fresh: false, stillborn: None };
        catalogue.set_stillborn_apart()?;
        catalogue.identify()?;
        catalogue.explain_gaps()?;
        Ok(catalogue)
    }

    /// Every segment before the last is there, or was removed on purpose.
    fn explain_gaps(&mut self) -> Result<(), OpenError> {
        let file = format!("journal/{}", unlinked::NAME);
        self.unlinked = Unlinked::read(&*self.disk, self.store).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                OpenError::Damaged { file, offset: 0, why: "the list is not what was written".into() }
            }
            _ => OpenError::Io { file, source },
        })?;
        self.segments.retain(|number| !self.unlinked.segments.contains(number));
        let mut expected = 1;
        for &number in &self.segments {
            if let Some(lost) = (expected..number).find(|number| !self.unlinked.segments.contains(number)) {
                return Err(damaged(lost, 0, "this segment is missing"));
            }
            expected = number + 1;
        }
        Ok(())
    }

    /// The segments that were removed on purpose.
    pub(crate) fn unlinked(&self) -> &Unlinked {
        &self.unlinked
    }

    /// For reading values.
    pub(crate) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// The segments that are there.
    pub(crate) fn segments(&self) -> &[u64] {
        &self.segments
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Identity of the store; that of a new one when there is no segment.
    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    /// False for rows that were certainly not made from this journal.
    pub(crate) fn may_have_made(&self, mark: &Mark) -> bool {
        let is_there = !self.unlinked.segments.contains(&mark.place.segment);
        self.fresh || (self.store == mark.store && is_there)
    }

    /// Replays every batch of the segment that `from` is in and of later ones
    /// (of all when `None`), cuts a torn tail, and makes durable what was read. A
    /// journal that ends before the batch `until` is refused before it is changed.
    /// Batches up to `from` are visited for the history in them.
    pub(crate) fn replay(
        self,
        from: Option<Place>,
        until: u64,
        segment_bytes: u64,
        visit: &mut dyn FnMut(Replayed<'_>) -> Result<(), OpenError>,
    ) -> Result<Journal, OpenError> {
        let files = Arc::clone(&self.files);
        let Some(&last) = self.segments.last() else {
            return self.begin(from, files, segment_bytes);
        };
        let store = self.store;
        let mut tail = self.start(from)?;
        for number in tail.place.segment..=last {
            self.scan(number, last, &mut tail, visit)?;
        }
        check_reached(until, &tail.place)?;
        let file = self.open(last)?;
        self.mend(&*file, &tail).map_err(|source| io_error(last, source))?;
        let unclaimed = tail.last_wrote;
        Ok(Journal::at(files, store, file, tail.place, unclaimed, segment_bytes))
    }

    /// A journal without segments: a new store, unless rows say otherwise.
    fn begin(self, from: Option<Place>, files: Arc<Files>, segment_bytes: u64) -> Result<Journal, OpenError> {
        if let Some(place) = from.filter(|place| place.sequence > 0) {
            return Err(damaged(place.segment, 0, "the journal is missing, but rows made from it are there"));
        }
        self.remove_stillborn()
            .and_then(|()| Journal::create(files, self.store, segment_bytes))
            .map_err(|source| io_error(1, source))
    }

    /// Where to start, and that the journal reaches that far.
    fn start(&self, from: Option<Place>) -> Result<Tail, OpenError> {
        let first = self.segments[0];
        let place = match from {
            Some(place) if !self.segments.contains(&place.segment) => {
                return Err(damaged(place.segment, 0, "this segment is missing, but rows made from it are there"));
            }
            Some(place) => self.beginning(place.segment)?,
            None if first != 1 => return Err(damaged(1, 0, "this segment is missing")),
            None => Place { sequence: 0, segment: 1, offset: segment::HEADER_BYTES as u64 },
        };
        Ok(Tail { place, unclaimed: VecDeque::new(), last_wrote: false, torn: false })
    }

    /// Just before the first batch of a segment.
    fn beginning(&self, number: u64) -> Result<Place, OpenError> {
        let header = self.header(number, &*self.open(number)?)?;
        let sequence = header.first_sequence.saturating_sub(1);
        Ok(Place { sequence, segment: number, offset: segment::HEADER_BYTES as u64 })
    }

    fn scan(
        &self,
        number: u64,
        last: u64,
        tail: &mut Tail,
        visit: &mut dyn FnMut(Replayed<'_>) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let file = self.open(number)?;
        let header = self.header(number, &*file)?;
        if header.store != self.store {
            return Err(damaged(number, 16, "this segment belongs to another store"));
        }
        if number != tail.place.segment {
            tail.place.segment = number;
            tail.place.offset = segment::HEADER_BYTES as u64;
            tail.unclaimed.clear();
            tail.last_wrote = false;
            if header.first_sequence != tail.place.sequence + 1 {
                return Err(damaged(number, 40, "batches between this segment and the one before are missing"));
            }
        }
        let bytes = read_from(&*file, tail.place.offset).map_err(|source| io_error(number, source))?;
        let may_be_torn = number == last && self.stillborn.is_none();
        scan_frames(&bytes, number, seed(&self.store), may_be_torn, tail, visit)
    }

    /// Cuts the torn tail, and makes durable what no frame vouches for. Those
    /// bytes are written again first: after a failed sync the page cache may
    /// hold them as clean although they never reached the disk.
    fn mend(&self, file: &dyn DiskFile, tail: &Tail) -> io::Result<()> {
        if tail.torn {
            tracing::warn!(
                segment = tail.place.segment,
                offset = tail.place.offset,
                "the last write before a crash was torn and is cut off; it was never acknowledged"
            );
            file.truncate(tail.place.offset)?;
        }
        if let Some(&(offset, _)) = tail.unclaimed.front() {
            let bytes = read_from(file, offset)?;
            file.write_at(offset, &bytes)?;
        }
        file.sync_data()?;
        self.remove_stillborn()?;
        self.disk.sync_dir()
    }

    /// A header is durable before any frame is written after it; so a last
    /// segment no longer than a header, without a sound one, held nothing.
    fn set_stillborn_apart(&mut self) -> Result<(), OpenError> {
        let Some(&last) = self.segments.last() else { return Ok(()) };
        let file = self.open(last)?;
        let len = file.len_bytes().map_err(|source| io_error(last, source))?;
        if len <= segment::HEADER_BYTES as u64 && matches!(self.header(last, &*file), Err(OpenError::Damaged { .. })) {
            self.stillborn = self.segments.pop();
        }
        Ok(())
    }

    fn identify(&mut self) -> Result<(), OpenError> {
        if let Some(&last) = self.segments.last() {
            let file = self.open(last)?;
            self.store = self.header(last, &*file)?.store;
            return Ok(());
        }
        self.fresh = true;
        getrandom::fill(&mut self.store).map_err(|error| io_error(1, io::Error::other(error.to_string())))
    }

    fn remove_stillborn(&self) -> io::Result<()> {
        let Some(number) = self.stillborn else { return Ok(()) };
        self.disk.remove(&segment::name(number))?;
        self.disk.sync_dir()
    }

    fn open(&self, number: u64) -> Result<Arc<dyn DiskFile>, OpenError> {
        self.disk.open(&segment::name(number)).map_err(|source| io_error(number, source))
    }

    fn header(&self, number: u64, file: &dyn DiskFile) -> Result<Header, OpenError> {
        let mut bytes = [0; segment::HEADER_BYTES];
        match file.read_at(0, &mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged(number, 0, "the file ends within its header"));
            }
            Err(source) => return Err(io_error(number, source)),
        }
        match Header::decode(&bytes) {
            Ok(header) if header.segment == number => Ok(header),
            Ok(_) => Err(damaged(number, 32, "the header is that of another segment")),
            Err(HeaderError::Damaged) => Err(damaged(number, 0, "the header is not what was written")),
            Err(HeaderError::Version(found)) => {
                Err(OpenError::Version { file: file_of(number), found, supported: segment::VERSION })
            }
        }
    }
}

/// Rows are made from acknowledged batches: what is read ends no earlier.
fn check_reached(until: u64, reached: &Place) -> Result<(), OpenError> {
    if until > reached.sequence {
        return Err(damaged(reached.segment, reached.offset, "the file ends before batches that were acknowledged"));
    }
    Ok(())
}

/// Visits every batch of a segment that has a successor.
pub(crate) fn scan_closed(
    disk: &Arc<dyn Disk>,
    store: StoreId,
    number: u64,
    visit: &mut dyn FnMut(Replayed<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let files = Arc::new(Files::new(Arc::clone(disk)));
    let disk = Arc::clone(disk);
    let catalogue = Catalogue {
        disk,
        files,
        segments: vec![number],
        unlinked: Unlinked::default(),
        store,
        fresh: false,
        stillborn: None,
    };
    let place = catalogue.beginning(number)?;
    let mut tail = Tail { place, unclaimed: VecDeque::new(), last_wrote: false, torn: false };
    catalogue.scan(number, number + 1, &mut tail, visit)
}

fn scan_frames(
    bytes: &[u8],
    number: u64,
    seed: u32,
    may_be_torn: bool,
    tail: &mut Tail,
    visit: &mut dyn FnMut(Replayed<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let base = tail.place.offset;
    let mut at = 0;
    while at < bytes.len() {
        let expected = tail.place.sequence + 1;
        let offset = base + at as u64;
        let Some(frame) = frame::parse(bytes, at, seed) else {
            if !may_be_torn || frame::find_claim(bytes, at + 1, seed, expected).is_some() {
                return Err(damaged(number, offset, "an acknowledged batch is not what was written"));
            }
            tail.torn = true;
            break;
        };
        if frame.sequence != expected {
            let why = format!("batch {expected} should be here, but batch {} is", frame.sequence);
            return Err(damaged(number, offset, &why));
        }
        while tail.unclaimed.front().is_some_and(|(_, sequence)| *sequence <= frame.durable) {
            tail.unclaimed.pop_front();
        }
        tail.unclaimed.push_back((offset, expected));
        tail.last_wrote = !frame.payload.is_empty();
        at = frame.payload.end;
        tail.place = Place { sequence: expected, segment: number, offset: base + at as u64 };
        let payload_at = base + frame.payload.start as u64;
        visit(Replayed { end: tail.place, payload: &bytes[frame.payload], payload_at, durable: frame.durable })?;
    }
    Ok(())
}

fn read_from(file: &dyn DiskFile, offset: u64) -> io::Result<Vec<u8>> {
    let len = file.len_bytes()?.checked_sub(offset).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_at(offset, &mut bytes)?;
    Ok(bytes)
}

fn file_of(number: u64) -> String {
    format!("journal/{}", segment::name(number))
}

fn io_error(number: u64, source: io::Error) -> OpenError {
    OpenError::Io { file: file_of(number), source }
}

fn damaged(number: u64, offset: u64, why: &str) -> OpenError {
    OpenError::Damaged { file: file_of(number), offset, why: why.to_owned() }
}
