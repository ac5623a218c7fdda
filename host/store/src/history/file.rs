//! The index file of a closed segment: never changed, read by position.
//!
//! Blocks of entries in the order of their ids; blocks of entry numbers, the
//! groups' one after the other; blocks that say where each group's begin, in
//! the order of the groups; a footer that says where the blocks are. The last
//! 24 bytes say where the footer is: magic (8), format version (4), length of
//! the footer's content (4), its offset (8). Only the footer stays in memory.
//! Losing the file loses nothing: it is made again from its segment.

use super::Asked;
use super::blocks::{self, BlockAt, invalid};
use super::memory::{Entry, MemoryIndex};
use super::wire::{Reader, put_text};
use crate::blob::BlobId;
use crate::disk::DiskFile;
use crate::journal::{Pointer, StoreId};
use crate::store::Order;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SLUICEX\n";
/// The format that this release writes. It reads 1 too, which is 2 without blobs.
const VERSION: u32 = 2;
const TRAILER_BYTES: usize = 24;
/// A block is closed once it holds this much. 4 KiB: one page of the system's
/// cache, some sixty entries.
const BLOCK_BYTES: usize = 4 << 10;
/// Entry numbers per block, so that a number's block is known by dividing.
const NUMBERS_PER_BLOCK: usize = BLOCK_BYTES / 4;
/// A segment with more groups than this is asked for each, instead of keeping
/// their checksums in memory. 4,096: at most 16 KiB for each segment.
const KNOWN_GROUPS_MAX: usize = 4096;

/// An open index file.
pub(crate) struct IndexFile {
    file: Arc<dyn DiskFile>,
    seed: u32,
    footer: Footer,
}

#[derive(Debug, PartialEq, Eq)]
struct Footer {
    store: StoreId,
    segment: u64,
    /// Length of the segment when it was closed.
    segment_bytes: u64,
    /// The smallest and the greatest id.
    span: (Bytes, Bytes),
    holds: BTreeMap<u64, u64>,
    soonest_ms: u64,
    entries: u32,
    /// Each with the number of its first entry.
    entry_blocks: Vec<(u32, BlockAt)>,
    number_blocks: Vec<BlockAt>,
    /// Each with its first group.
    group_blocks: Vec<(Bytes, BlockAt)>,
    /// Checksums of the groups, sorted; `None` for too many.
    known_groups: Option<Vec<u32>>,
    blobs: BTreeMap<BlobId, u64>,
}

/// The bytes of a segment's index file.
pub(crate) fn encode(index: &MemoryIndex, store: StoreId, seed: u32, segment: u64, segment_bytes: u64) -> Vec<u8> {
    let (entries, groups) = index.sorted();
    let mut out = Vec::new();
    let entry_blocks = put_entries(&mut out, seed, &entries);
    let (number_blocks, group_blocks) = put_groups(&mut out, seed, &groups);
    let mut known: Vec<u32> = groups.iter().map(|(group, _)| crc32c::crc32c(group)).collect();
    known.sort_unstable();
    let footer = Footer {
        store,
        segment,
        segment_bytes,
        span: index.span().unwrap_or_default(),
        holds: index.holds().clone(),
        soonest_ms: index.soonest_ms(),
        entries: u32::try_from(entries.len()).expect("a segment holds fewer than 2^32 records"),
        entry_blocks,
        number_blocks,
        group_blocks,
        known_groups: (known.len() <= KNOWN_GROUPS_MAX).then_some(known),
        blobs: index.blobs().clone(),
    };
    let at = blocks::append(&mut out, seed, &footer.encode());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&at.len.to_le_bytes());
    out.extend_from_slice(&at.offset.to_le_bytes());
    out
}

fn put_entries(out: &mut Vec<u8>, seed: u32, entries: &[&Entry]) -> Vec<(u32, BlockAt)> {
    let (mut found, mut block, mut first) = (Vec::new(), Vec::new(), 0);
    for (number, entry) in (0..).zip(entries) {
        if block.len() >= BLOCK_BYTES {
            found.push((first, blocks::append(out, seed, &block)));
            block.clear();
            first = number;
        }
        put_text(&mut block, &entry.id);
        block.extend_from_slice(&entry.keep_until_ms.to_le_bytes());
        block.extend_from_slice(&entry.at.encode());
    }
    if !block.is_empty() {
        found.push((first, blocks::append(out, seed, &block)));
    }
    found
}

type GroupBlocks = (Vec<BlockAt>, Vec<(Bytes, BlockAt)>);

fn put_groups(out: &mut Vec<u8>, seed: u32, groups: &[(&Bytes, Vec<u32>)]) -> GroupBlocks {
    let numbers: Vec<u32> = groups.iter().flat_map(|(_, numbers)| numbers.iter().copied()).collect();
    let content = |chunk: &[u32]| chunk.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let number_blocks =
        numbers.chunks(NUMBERS_PER_BLOCK).map(|chunk| blocks::append(out, seed, &content(chunk))).collect();
    let (mut found, mut block, mut first, mut start) = (Vec::new(), Vec::new(), Bytes::new(), 0u32);
    for (group, numbers) in groups {
        if block.len() >= BLOCK_BYTES {
            found.push((std::mem::take(&mut first), blocks::append(out, seed, &block)));
            block.clear();
        }
        if block.is_empty() {
            first = (*group).clone();
        }
        let count = u32::try_from(numbers.len()).expect("a segment holds fewer than 2^32 records");
        put_text(&mut block, group);
        block.extend_from_slice(&start.to_le_bytes());
        block.extend_from_slice(&count.to_le_bytes());
        start += count;
    }
    if !block.is_empty() {
        found.push((first, blocks::append(out, seed, &block)));
    }
    (number_blocks, found)
}

impl IndexFile {
    /// Opens an index file, if it is that of this segment.
    pub(crate) fn open(
        file: Arc<dyn DiskFile>,
        store: StoreId,
        seed: u32,
        segment: u64,
        segment_bytes: u64,
    ) -> io::Result<Self> {
        let len = file.len_bytes()?;
        let trailer_at = len.checked_sub(TRAILER_BYTES as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut trailer = [0; TRAILER_BYTES];
        file.read_at(trailer_at, &mut trailer)?;
        let mut reader = Reader::new(&trailer);
        let version = (reader.take(8) == Some(MAGIC)).then(|| reader.u32()).flatten();
        let Some(version @ 1..=VERSION) = version else {
            return Err(invalid("the end of the index is not what was written"));
        };
        let (Some(footer_len), Some(offset)) = (reader.u32(), reader.u64()) else {
            return Err(invalid("the end of the index is cut short"));
        };
        if offset.checked_add(u64::from(footer_len)).is_none_or(|end| end > trailer_at) {
            return Err(invalid("the index has no footer where it should be"));
        }
        let footer = blocks::read(&*file, seed, BlockAt { offset, len: footer_len })?;
        let footer =
            Footer::decode(&footer, version).ok_or_else(|| invalid("the footer of the index has an unknown form"))?;
        let ours = footer.store == store && footer.segment == segment && footer.segment_bytes == segment_bytes;
        if ours { Ok(Self { file, seed, footer }) } else { Err(invalid("the index belongs to another segment")) }
    }

    /// The smallest and the greatest id; `None` without documents.
    pub(crate) fn span(&self) -> Option<(Bytes, Bytes)> {
        (self.footer.entries > 0).then(|| self.footer.span.clone())
    }

    pub(crate) fn holds(&self) -> &BTreeMap<u64, u64> {
        &self.footer.holds
    }

    pub(crate) fn blobs(&self) -> &BTreeMap<BlobId, u64> {
        &self.footer.blobs
    }

    /// False when it surely has no document in this group; reads nothing.
    pub(crate) fn may_have(&self, group: &[u8]) -> bool {
        let known = self.footer.known_groups.as_ref();
        known.is_none_or(|known| known.binary_search(&crc32c::crc32c(group)).is_ok())
    }

    /// A page of the entries of a group, or of all.
    pub(crate) fn page(&self, asked: Asked<'_>) -> io::Result<Vec<Entry>> {
        let mut walk = Walk::new(self);
        let ranked = asked.group.is_some();
        let all = match asked.group {
            None => 0..self.footer.entries,
            Some(group) => self.group(group)?.unwrap_or(0..0),
        };
        let (start, end) = match (asked.after, asked.order) {
            (None, _) => (all.start, all.end),
            (Some(id), Order::Ascending) => (walk.first_where(&all, ranked, &|other| other > id)?, all.end),
            (Some(id), Order::Descending) => (all.start, walk.first_where(&all, ranked, &|other| other >= id)?),
        };
        let mut places: Box<dyn Iterator<Item = u32>> = match asked.order {
            Order::Ascending => Box::new(start..end),
            Order::Descending => Box::new((start..end).rev()),
        };
        let mut found = Vec::new();
        while found.len() < asked.limit {
            let Some(place) = places.next() else { break };
            let entry = walk.at(place, ranked)?;
            found.extend((entry.keep_until_ms > asked.forgotten_ms).then_some(entry));
        }
        Ok(found)
    }

    /// The newest entry with exactly this id.
    pub(crate) fn find(&self, id: &[u8]) -> io::Result<Option<Entry>> {
        let mut walk = Walk::new(self);
        let after = walk.first_where(&(0..self.footer.entries), false, &|other| other > id)?;
        let Some(last) = after.checked_sub(1) else { return Ok(None) };
        Ok(Some(walk.at(last, false)?).filter(|entry| entry.id == id))
    }

    /// Where a group's numbers are among all numbers.
    fn group(&self, group: &[u8]) -> io::Result<Option<Range<u32>>> {
        if !self.may_have(group) {
            return Ok(None);
        }
        let after = self.footer.group_blocks.partition_point(|(first, _)| &**first <= group);
        let Some((_, at)) = after.checked_sub(1).and_then(|last| self.footer.group_blocks.get(last)) else {
            return Ok(None);
        };
        let block = blocks::read(&*self.file, self.seed, *at)?;
        let mut reader = Reader::new(&block);
        while !reader.is_at_end() {
            let (Some(name), Some(start), Some(count)) = (reader.text(), reader.u32(), reader.u32()) else {
                return Err(invalid("a block of groups has an unknown form"));
            };
            if name == group {
                return Ok(Some(start..start.saturating_add(count)));
            }
        }
        Ok(None)
    }
}

/// Reads entries one by one, keeping the blocks it is in.
struct Walk<'a> {
    index: &'a IndexFile,
    numbers: Option<(usize, Vec<u8>)>,
    entries: Option<(usize, Vec<Entry>)>,
}

impl<'a> Walk<'a> {
    fn new(index: &'a IndexFile) -> Self {
        Self { index, numbers: None, entries: None }
    }

    /// The first of the places whose id holds, which all after it do.
    fn first_where(&mut self, range: &Range<u32>, ranked: bool, holds: &dyn Fn(&[u8]) -> bool) -> io::Result<u32> {
        let Range { mut start, mut end } = *range;
        while start < end {
            let middle = start + (end - start) / 2;
            if holds(&self.at(middle, ranked)?.id) { end = middle } else { start = middle + 1 }
        }
        Ok(start)
    }

    /// The entry at a place: of all entries, or of all numbers.
    fn at(&mut self, place: u32, ranked: bool) -> io::Result<Entry> {
        let number = if ranked { self.number(place as usize)? } else { place };
        let blocks = &self.index.footer.entry_blocks;
        let block = blocks.partition_point(|(first, _)| *first <= number).checked_sub(1);
        let Some((block, (first, at))) = block.and_then(|block| Some((block, *blocks.get(block)?))) else {
            return Err(invalid("an entry is in no block"));
        };
        if self.entries.as_ref().is_none_or(|(known, _)| *known != block) {
            let bytes = blocks::read(&*self.index.file, self.index.seed, at)?;
            self.entries = Some((block, entries(&bytes).ok_or_else(|| invalid("entries have an unknown form"))?));
        }
        let entry = self.entries.as_ref().and_then(|(_, entries)| entries.get((number - first) as usize));
        entry.cloned().ok_or_else(|| invalid("an entry is not in its block"))
    }

    fn number(&mut self, place: usize) -> io::Result<u32> {
        let block = place / NUMBERS_PER_BLOCK;
        if self.numbers.as_ref().is_none_or(|(known, _)| *known != block) {
            let at = self.index.footer.number_blocks.get(block).ok_or_else(|| invalid("a number is in no block"))?;
            self.numbers = Some((block, blocks::read(&*self.index.file, self.index.seed, *at)?));
        }
        let start = place % NUMBERS_PER_BLOCK * 4;
        let bytes = self.numbers.as_ref().and_then(|(_, bytes)| bytes.get(start..start + 4));
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or_else(|| invalid("a number is not in its block"))
    }
}

fn entries(block: &[u8]) -> Option<Vec<Entry>> {
    let mut reader = Reader::new(block);
    let mut found = Vec::new();
    while !reader.is_at_end() {
        let id = Bytes::copy_from_slice(reader.text()?);
        let keep_until_ms = reader.u64()?;
        found.push(Entry { id, keep_until_ms, at: Pointer::decode(reader.take(Pointer::BYTES)?)? });
    }
    Some(found)
}

impl Footer {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.segment_bytes.to_le_bytes());
        put_text(&mut out, &self.span.0);
        put_text(&mut out, &self.span.1);
        put_count(&mut out, self.holds.len());
        for (segment, until) in &self.holds {
            out.extend_from_slice(&segment.to_le_bytes());
            out.extend_from_slice(&until.to_le_bytes());
        }
        out.extend_from_slice(&self.soonest_ms.to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        put_count(&mut out, self.entry_blocks.len());
        for (first, at) in &self.entry_blocks {
            out.extend_from_slice(&first.to_le_bytes());
            put_block_at(&mut out, *at);
        }
        put_count(&mut out, self.number_blocks.len());
        self.number_blocks.iter().for_each(|at| put_block_at(&mut out, *at));
        put_count(&mut out, self.group_blocks.len());
        for (first, at) in &self.group_blocks {
            put_text(&mut out, first);
            put_block_at(&mut out, *at);
        }
        out.push(u8::from(self.known_groups.is_some()));
        let known = self.known_groups.as_deref().unwrap_or_default();
        put_count(&mut out, known.len());
        known.iter().for_each(|crc| out.extend_from_slice(&crc.to_le_bytes()));
        put_count(&mut out, self.blobs.len());
        for (id, until) in &self.blobs {
            out.extend_from_slice(&id.sequence.to_le_bytes());
            out.extend_from_slice(&id.index.to_le_bytes());
            out.extend_from_slice(&until.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8], version: u32) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let footer = Self {
            store: reader.take(16)?.try_into().ok()?,
            segment: reader.u64()?,
            segment_bytes: reader.u64()?,
            span: (Bytes::copy_from_slice(reader.text()?), Bytes::copy_from_slice(reader.text()?)),
            holds: reader.list(|reader| Some((reader.u64()?, reader.u64()?)))?.into_iter().collect(),
            soonest_ms: reader.u64()?,
            entries: reader.u32()?,
            entry_blocks: reader.list(|reader| Some((reader.u32()?, block_at(reader)?)))?,
            number_blocks: reader.list(block_at)?,
            group_blocks: reader.list(|reader| Some((Bytes::copy_from_slice(reader.text()?), block_at(reader)?)))?,
            known_groups: {
                let known = reader.take(1)? == [1];
                Some(reader.list(Reader::u32)?).filter(|_| known)
            },
            blobs: if version == 1 { BTreeMap::new() } else { reader.list(held_blob)?.into_iter().collect() },
        };
        reader.is_at_end().then_some(footer)
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).expect("a footer lists blocks of one segment").to_le_bytes());
}

fn put_block_at(out: &mut Vec<u8>, at: BlockAt) {
    out.extend_from_slice(&at.offset.to_le_bytes());
    out.extend_from_slice(&at.len.to_le_bytes());
}

fn held_blob(reader: &mut Reader<'_>) -> Option<(BlobId, u64)> {
    Some((BlobId { sequence: reader.u64()?, index: reader.u32()? }, reader.u64()?))
}

fn block_at(reader: &mut Reader<'_>) -> Option<BlockAt> {
    Some(BlockAt { offset: reader.u64()?, len: reader.u32()? })
}
