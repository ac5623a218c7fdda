//! The numbers that shape a store, with defaults that suit one host.

use std::time::Duration;

/// How a store writes and how much it holds in memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment is closed once it would grow past this. 64 MiB: a few minutes
    /// of heavy load, so that retention frees space in useful pieces, and few
    /// enough files for years of history.
    pub segment_bytes: u64,
    /// Largest batch. 16 MiB: four times the largest payload that a run may
    /// carry inline, and far under `queue_bytes`.
    pub batch_bytes_max: usize,
    /// Batches that may wait for the disk. 8,192: several times the number of
    /// connections that the host accepts at once.
    pub queue_batches: usize,
    /// Bytes that may wait for the disk. 32 MiB: under half a second of a
    /// slow disk.
    pub queue_bytes: usize,
    /// Writes of one group, in bytes, unless one batch is larger. 4 MiB:
    /// bounds the time that the first batch of a group waits for the last.
    pub group_bytes: usize,
    /// Journal bytes that may be visible but not yet in sled. Commits wait
    /// above it. 64 MiB bounds memory and the replay after a crash.
    pub overlay_bytes: usize,
    /// Rows are passed on to sled once this many journal bytes came together,
    pub behind_bytes: usize,
    /// or after this long. 4 MiB and 500 ms: rows that live shorter than that
    /// (the state of most runs) never cost sled a write.
    pub behind_delay: Duration,
    /// Values above this never enter sled, which would put them into files
    /// that tear at a power loss; it gets a pointer into the journal. 4 KiB is
    /// the largest size that was proved safe.
    pub inline_bytes_max: usize,
    /// Values of this many bytes or more become files of their own, beside the
    /// journal; only those above 4 KiB ever do. 256 KiB: the two more syncs are
    /// little beside writing that much, and such a value can go by itself.
    pub blob_bytes_min: usize,
    /// sled's file is made anew once it is larger than this, and six times its
    /// rows: sled's files never shrink. 8 MiB: below it, what there is to gain
    /// is less than what sled takes for nothing.
    pub rebuild_bytes_min: u64,
    /// sled's page cache. 64 MiB holds the living state of a busy host.
    pub cache_bytes: u64,
    /// Commits are refused as `Full` while less than this is free on the disk,
    /// and sled is left alone below half of it: sled does not survive a full
    /// disk without repair. 64 MiB is more than one round of sled writes.
    pub free_bytes_min: u64,
    /// Everything is done on the threads of callers: a commit is over when the
    /// call that made it returns, and `behind_delay` counts for nothing. For
    /// simulated hosts, which must do the same each time.
    pub stepped: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            batch_bytes_max: 16 << 20,
            queue_batches: 8192,
            queue_bytes: 32 << 20,
            group_bytes: 4 << 20,
            overlay_bytes: 64 << 20,
            behind_bytes: 4 << 20,
            behind_delay: Duration::from_millis(500),
            inline_bytes_max: 4096,
            blob_bytes_min: 256 << 10,
            rebuild_bytes_min: 8 << 20,
            cache_bytes: 64 << 20,
            free_bytes_min: 64 << 20,
            stepped: false,
        }
    }
}
