//! Hosts that break a promise on purpose, to prove that the judge notices.
//!
//! Each is made at a seam (the disk, the store, the connector), so that the code that
//! ships holds no switch for it.

use clap::ValueEnum;

/// A way to break a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// Commits are answered before they are durable.
    EarlyAnswer,
    /// Now and then a commit is answered and never written.
    LostWrite,
    /// The disk says that it has synced, and has not.
    LyingSync,
    /// A commit is never answered.
    LostWake,
    /// Every attempt of an effect has a key of its own.
    FreshKey,
    /// A broken call is reported as one that never left.
    HiddenEffect,
    /// Two workers perform the same call.
    TwoWorkers,
    /// A failed sync is tried again, and taken for good.
    SyncAgain,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::EarlyAnswer,
        Self::LostWrite,
        Self::LyingSync,
        Self::LostWake,
        Self::FreshKey,
        Self::HiddenEffect,
        Self::TwoWorkers,
        Self::SyncAgain,
    ];
}
