//! One file: what readers see, what is durable, and the writes in between.

use crate::seeded::Seeded;
use std::collections::BTreeSet;

/// What a disk writes whole or not at all, by the promise of disks that the
/// journal relies on.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone)]
pub(super) struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
    /// A truncation under way, after the pending writes.
    cut: Option<usize>,
}

impl Inode {
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { live: bytes.clone(), durable: bytes, pending: Vec::new(), cut: None }
    }

    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).expect("simulated files fit into memory");
        overwrite(&mut self.live, offset, bytes);
        self.pending.push((offset, bytes.to_vec()));
    }

    /// The page cache writes whole sectors of what readers see, but only those
    /// that were written since the last sync.
    pub(super) fn sync(&mut self) {
        for sector in self.pending_sectors() {
            self.sync_sector(sector);
        }
        self.pending.clear();
        if let Some(len) = self.cut.take() {
            self.durable.truncate(len);
        }
    }

    /// Some sectors arrive, and the rest is taken for written ever after.
    pub(super) fn fail_sync(&mut self, random: &mut Seeded) {
        for sector in self.pending_sectors() {
            if random.chance(0.5) {
                self.sync_sector(sector);
            }
        }
        self.pending.clear();
    }

    pub(super) fn begin_truncate(&mut self, len: u64) {
        let len = usize::try_from(len).expect("simulated files fit into memory");
        self.live.truncate(len);
        self.cut = Some(len);
    }

    /// What a power loss leaves: each unsynced sector as it was after any
    /// number of the writes to it.
    pub(super) fn after_power_loss(&self, random: &mut Seeded) -> Self {
        let keep = *random.pick(&[0.0, 0.5, 0.9, 1.0]);
        let mut left = self.durable.clone();
        for sector in self.pending_sectors() {
            if random.chance(keep) {
                let writes = random.below(self.pending.len()) + 1;
                for (offset, bytes) in &self.pending[..writes] {
                    overwrite_sector(&mut left, sector, *offset, bytes);
                }
            }
        }
        // The length may arrive without the bytes.
        if random.chance(0.3) && left.len() < self.live.len() {
            left.resize(self.live.len(), 0);
        }
        if let Some(len) = self.cut.filter(|_| random.chance(0.5)) {
            left.truncate(len);
        }
        Self::durable(left)
    }

    fn pending_sectors(&self) -> BTreeSet<usize> {
        let sectors =
            |(offset, bytes): &(usize, Vec<u8>)| offset / SECTOR_BYTES..(offset + bytes.len()).div_ceil(SECTOR_BYTES);
        self.pending.iter().filter(|(_, bytes)| !bytes.is_empty()).flat_map(sectors).collect()
    }

    fn sync_sector(&mut self, sector: usize) {
        let start = (sector * SECTOR_BYTES).min(self.live.len());
        let end = (start + SECTOR_BYTES).min(self.live.len());
        let bytes = self.live[start..end].to_vec();
        overwrite(&mut self.durable, start, &bytes);
    }
}

fn overwrite_sector(file: &mut Vec<u8>, sector: usize, offset: usize, bytes: &[u8]) {
    let start = (sector * SECTOR_BYTES).max(offset);
    let end = ((sector + 1) * SECTOR_BYTES).min(offset + bytes.len());
    if start < end {
        overwrite(file, start, &bytes[start - offset..end - offset]);
    }
}

fn overwrite(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}
