//! Services that list things with their times, page by page.
//!
//! A feed remembers which things it has seen since a floor, a little before the newest
//! time (the overlap), and asks for everything from there on: things of one time, and
//! things that a service shows late, are told apart by their ids; nothing hangs on one
//! thing that may be deleted. While several pages are read, a deletion moves what
//! follows, so that a thing can slip from a page not yet read to one that was: such a
//! pass is made again until it finds nothing new. The floor rises only behind what was
//! read whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ITEMS_MAX, Item, Page, Position, cursor};
use crate::error::{Error, Result};

/// Things remembered. With their times they fill 93 of the 128 KiB that a cursor has.
const SEEN_MAX: usize = 5_000;
/// How far the clocks of host and service may be apart, where the host's is needed.
const CLOCKS_APART_MS: u64 = 3_600_000;

/// How to read a service that lists things with their times.
#[derive(Debug, Clone, Copy)]
pub struct Feed {
    oldest_first: bool,
    overlap_ms: u64,
    requests_max: usize,
}

/// What to ask the service for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Things of this time and later, in milliseconds since 1970; None: all of them.
    pub since_ms: Option<u64>,
    /// The `next` of the page before; None: the first page.
    pub page: Option<String>,
}

impl Ask {
    /// The page's number, for services that count them from 1.
    pub fn page_number(&self) -> usize {
        self.page.as_ref().and_then(|page| page.parse().ok()).unwrap_or(1)
    }

    /// `since_ms` as services take it: `2026-01-05T09:00:00Z`.
    pub fn since(&self) -> Option<String> {
        self.since_ms.map(crate::time::format_utc)
    }
}

/// A page of the service's.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// In the service's order.
    pub items: Vec<Item<T>>,
    /// What asks for the next page; None: this was the last.
    pub next: Option<String>,
}

impl Feed {
    /// For services that list the newest first. They need not know `since_ms`: a pass
    /// ends at the first page that is older. A backlog may have 5,000 things.
    pub fn newest_first() -> Self {
        Self { oldest_first: false, overlap_ms: 60_000, requests_max: 5 }
    }

    /// For services that list everything from `since_ms` on, the oldest first, in the
    /// order of the same times. A backlog may have any size.
    pub fn oldest_first() -> Self {
        Self { oldest_first: true, ..Self::newest_first() }
    }

    /// How late the service may show a thing, after others of later times: 60 s when
    /// not said.
    #[must_use]
    pub fn overlap_s(mut self, seconds: u64) -> Self {
        self.overlap_ms = seconds * 1_000;
        self
    }

    /// How many pages to read in one call: 5 when not said. What is left is read in the
    /// next one, which the host makes at once.
    #[must_use]
    pub fn requests_max(mut self, requests: usize) -> Self {
        self.requests_max = requests.max(1);
        self
    }

    /// What is new since the position, by asking `list` for as many pages as it takes.
    ///
    /// # Errors
    /// Those of `list`; `permanent` for a cursor that this connector did not write, and
    /// when more things are of one overlap than can be remembered.
    pub fn read<T>(self, from: &Position, list: impl FnMut(&Ask) -> Result<Listing<T>>) -> Result<Page<T>> {
        self.read_at(crate::time::now_ms(), from, list)
    }

    pub(super) fn read_at<T>(
        self,
        now_ms: u64,
        from: &Position,
        mut list: impl FnMut(&Ask) -> Result<Listing<T>>,
    ) -> Result<Page<T>> {
        let mut reader = Reader { feed: self, now_ms, mark: self.start(now_ms, from)?, found: Vec::new() };
        let mut more = true;
        for _ in 0..self.requests_max {
            let ask =
                Ask { since_ms: Some(reader.mark.floor).filter(|floor| *floor > 0), page: reader.mark.page.clone() };
            more = reader.take(list(&ask)?)?;
            if !more || reader.found.len() == ITEMS_MAX {
                break;
            }
        }
        let Reader { mark, found: mut items, .. } = reader;
        items.sort_by_cached_key(Item::order_key);
        Ok(Page { items, cursor: cursor::write(&Kept::from(&mark))?, more })
    }

    fn start(self, now_ms: u64, from: &Position) -> Result<Mark> {
        match from {
            Position::Beginning => Ok(Mark::default()),
            // Everything in the overlap that exists already must be known as old.
            Position::Now if self.oldest_first => {
                let floor = now_ms.saturating_sub(self.overlap_ms.max(CLOCKS_APART_MS));
                Ok(Mark { floor, quiet: true, ..Mark::default() })
            }
            Position::Now => Ok(Mark { quiet: true, unplaced: true, ..Mark::default() }),
            Position::After(text) => cursor::read::<Kept>(text)?.try_into(),
        }
    }
}

/// What has been read.
#[derive(Debug, Default)]
struct Mark {
    /// Whatever is older has been read, whole.
    floor: u64,
    /// The newest time met in this pass.
    newest: u64,
    /// What was met from the floor on, by the hash of its id, with its time.
    seen: BTreeMap<u64, u64>,
    /// The page to read next; None: the first of a pass.
    page: Option<String>,
    /// The pass under way has met something new.
    fresh: bool,
    /// What is met is old: the flow wants what is yet to come.
    quiet: bool,
    /// The floor is a little before the newest thing, once one is met.
    unplaced: bool,
}

struct Reader<T> {
    feed: Feed,
    now_ms: u64,
    mark: Mark,
    found: Vec<Item<T>>,
}

impl<T> Reader<T> {
    /// Takes a page in. Whether there is more to read.
    fn take(&mut self, listing: Listing<T>) -> Result<bool> {
        let newest = listing.items.iter().map(|item| item.at_ms).max().unwrap_or_default();
        if std::mem::take(&mut self.mark.unplaced) {
            self.mark.floor = self.behind(newest);
        }
        let floor = self.mark.floor;
        self.mark.newest = self.mark.newest.max(newest);
        let older = !self.feed.oldest_first && listing.items.last().is_some_and(|item| item.at_ms < floor);
        for item in listing.items.into_iter().filter(|item| item.at_ms >= floor) {
            if self.found.len() == ITEMS_MAX {
                // The rest of this page is new in the next call.
                return Ok(true);
            }
            self.meet(item);
        }
        if self.mark.seen.len() > SEEN_MAX {
            return Err(too_many());
        }
        match listing.next {
            Some(_) if self.rise_early(newest) => Ok(true),
            Some(next) if !older => {
                self.mark.page = Some(next);
                Ok(true)
            }
            Some(_) | None => Ok(self.end_pass()),
        }
    }

    fn meet(&mut self, item: Item<T>) {
        if self.mark.seen.insert(cursor::hash(&item.id), item.at_ms).is_some() {
            return;
        }
        self.mark.fresh = true;
        if !self.mark.quiet {
            self.found.push(item);
        }
    }

    /// The first page of the oldest things is whole up to its newest time: no page
    /// before it could have moved. So the next one is asked for by time.
    fn rise_early(&mut self, newest: u64) -> bool {
        let rises = self.feed.oldest_first && self.mark.page.is_none() && self.behind(newest) > self.mark.floor;
        if rises {
            self.rise(newest);
            self.mark.fresh = false;
        }
        rises
    }

    /// Whether the pass must be made again: pages may have moved under it.
    fn end_pass(&mut self) -> bool {
        let moved = self.mark.page.take().is_some() && std::mem::take(&mut self.mark.fresh);
        if moved {
            return true;
        }
        self.rise(self.mark.newest);
        (self.mark.newest, self.mark.fresh, self.mark.quiet) = (0, false, false);
        false
    }

    fn rise(&mut self, newest: u64) {
        self.mark.floor = self.mark.floor.max(self.behind(newest));
        let floor = self.mark.floor;
        self.mark.seen.retain(|_, at_ms| *at_ms >= floor);
    }

    /// The overlap before a time; never after the present, since a thing with a time
    /// far in the future must not hide those of today.
    fn behind(&self, at_ms: u64) -> u64 {
        at_ms.min(self.now_ms).saturating_sub(self.feed.overlap_ms)
    }
}

fn too_many() -> Error {
    Error::permanent(format!(
        "more than {SEEN_MAX} things wait to be read, more than can be told apart; publish the flow again, from now on"
    ))
}

/// A mark as the cursor keeps it: hashes and times as bytes, 8 and 6 each.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    v: u8,
    floor: u64,
    newest: u64,
    seen: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    fresh: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    quiet: bool,
}

impl From<&Mark> for Kept {
    fn from(mark: &Mark) -> Self {
        let entry = |(hash, at_ms): (&u64, &u64)| [&hash.to_be_bytes()[..], &at_ms.to_be_bytes()[2..]].concat();
        let bytes: Vec<u8> = mark.seen.iter().flat_map(entry).collect();
        Self {
            v: 1,
            floor: mark.floor,
            newest: mark.newest,
            seen: cursor::encode(&bytes),
            page: mark.page.clone(),
            fresh: mark.fresh,
            quiet: mark.quiet,
        }
    }
}

impl TryFrom<Kept> for Mark {
    type Error = Error;

    fn try_from(kept: Kept) -> Result<Self> {
        let bytes = cursor::decode(&kept.seen).filter(|bytes| kept.v == 1 && bytes.len() % 14 == 0);
        let bytes =
            bytes.ok_or_else(|| Error::permanent("the cursor was written by another version of this connector"))?;
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let seen = bytes.chunks(14).map(|entry| (number(&entry[..8]), number(&entry[8..]))).collect();
        let Kept { floor, newest, page, fresh, quiet, .. } = kept;
        Ok(Self { floor, newest, seen, page, fresh, quiet, unplaced: false })
    }
}
