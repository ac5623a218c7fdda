//! Which segments were removed on purpose: one small file.
//!
//! It is durable before the first of them goes, so that a segment that is
//! missing without being named here was lost. With it stands the time up to
//! which history was forgotten, since a forgotten document may have rows in a
//! segment that is gone.

use super::segment::StoreId;
use super::writer::seed;
use crate::disk::Disk;
use crate::history::blocks;
use crate::history::replace_file;
use crate::history::wire::Reader;
use std::collections::BTreeSet;
use std::io;

/// Its file.
pub(crate) const NAME: &str = "unlinked.list";
const VERSION: u32 = 1;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unlinked {
    pub(crate) segments: BTreeSet<u64>,
    pub(crate) forgotten_ms: u64,
}

impl Unlinked {
    /// Reads the list; an empty one when there is none.
    pub(crate) fn read(disk: &dyn Disk, store: StoreId) -> io::Result<Self> {
        let file = match disk.open(NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other?,
        };
        let (content, end) = blocks::read_next(&*file, seed(&store), 0, file.len_bytes()?)?;
        let whole = end == file.len_bytes()?;
        decode(&content).filter(|_| whole).ok_or_else(|| blocks::invalid("the list has an unknown form"))
    }

    /// Makes the list durable.
    pub(crate) fn write(&self, disk: &dyn Disk, store: StoreId) -> io::Result<()> {
        let mut content = VERSION.to_le_bytes().to_vec();
        content.extend_from_slice(&self.forgotten_ms.to_le_bytes());
        let ranges = self.ranges();
        content.extend_from_slice(&u32::try_from(ranges.len()).map_err(io::Error::other)?.to_le_bytes());
        for (first, last) in ranges {
            content.extend_from_slice(&first.to_le_bytes());
            content.extend_from_slice(&last.to_le_bytes());
        }
        let mut bytes = Vec::new();
        blocks::append(&mut bytes, seed(&store), &content);
        replace_file(disk, NAME, &bytes)
    }

    fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &segment in &self.segments {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == segment => *last = segment,
                _ => ranges.push((segment, segment)),
            }
        }
        ranges
    }
}

fn decode(content: &[u8]) -> Option<Unlinked> {
    let mut reader = Reader::new(content);
    if reader.u32()? != VERSION {
        return None;
    }
    let forgotten_ms = reader.u64()?;
    let ranges = reader.list(|reader| Some((reader.u64()?, reader.u64()?)))?;
    let segments = ranges.into_iter().flat_map(|(first, last)| first..=last).collect();
    reader.is_at_end().then_some(Unlinked { segments, forgotten_ms })
}
