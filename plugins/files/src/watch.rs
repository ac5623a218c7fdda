//! Watching a folder.
//!
//! The cursor remembers what was there, not a time: files that were moved in keep their
//! old times, and several files may have one time.

use sluicegate_sdk::poll::{Item, Page, Position, Snapshot};
use sluicegate_sdk::{Result, files, object, poll, time};

/// Which files.
#[object]
pub struct Watched {
    /// The name of an opened folder, or a folder below it.
    #[field(placeholder = "inbox", order = 1)]
    pub path: String,
    /// Only files whose names end like this; none named: all of them.
    #[field(label = "Ending", placeholder = ".csv", order = 2)]
    pub ending: Option<String>,
    /// How long a file must have been left alone, in seconds, so that none is read while
    /// it is still being written.
    #[serde(default = "default_settled_s")]
    #[field(label = "Left alone for", advanced, order = 3)]
    pub settled_s: u64,
}

fn default_settled_s() -> u64 {
    2
}

/// A file.
#[object]
pub struct Seen {
    /// The file: the folder, then its name.
    #[field(label = "File")]
    pub path: String,
    /// Its name, without the folder's.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last changed, in milliseconds since 1970.
    #[field(label = "Changed at")]
    pub modified_ms: u64,
}

/// New file
///
/// When a file appears in a folder, whatever its time. A file that goes and comes back
/// is new again.
#[poll(
    every = "1m",
    at_most_every = "10s",
    files = read,
    sample = {
        config: { path: "inbox", ending: ".csv" },
        event: { path: "inbox/today.csv", name: "today.csv", bytes: 18, modified_ms: 0 },
    },
)]
pub fn new_file(config: Watched, from: &Position) -> Result<Page<Seen>> {
    let items = list(&config, from)?.into_iter();
    let items = items.map(|seen| Item { id: seen.name.clone(), at_ms: seen.modified_ms, event: seen });
    let mut page = Snapshot::read(from, items.collect())?;
    // A file that came back is another event than the one that went.
    for item in &mut page.items {
        item.id = version_of(&item.event);
    }
    Ok(page)
}

/// File changed
///
/// When a file appears in a folder, or its time or its size changes.
#[poll(
    every = "1m",
    at_most_every = "10s",
    files = read,
    sample = {
        config: { path: "inbox", ending: ".csv" },
        event: { path: "inbox/today.csv", name: "today.csv", bytes: 18, modified_ms: 0 },
    },
)]
pub fn file_changed(config: Watched, from: &Position) -> Result<Page<Seen>> {
    let items = list(&config, from)?.into_iter().map(|seen| Item::new(version_of(&seen), seen.modified_ms, seen));
    Snapshot::read(from, items.collect())
}

/// The name last: it may hold anything, the numbers cannot.
fn version_of(seen: &Seen) -> String {
    format!("{}:{}:{}", seen.modified_ms, seen.bytes, seen.name)
}

/// What is there at the start counts as known, even while somebody writes it.
fn list(config: &Watched, from: &Position) -> Result<Vec<Seen>> {
    let folder = config.path.trim_end_matches('/');
    let now_ms = time::now_ms();
    let settled = |entry: &files::Entry| {
        // A time to come says nothing of whether somebody writes.
        let age_ms = now_ms.saturating_sub(entry.modified_ms);
        age_ms >= config.settled_s.saturating_mul(1_000) || entry.modified_ms > now_ms
    };
    let ending = config.ending.as_deref().unwrap_or_default();
    let wanted = |entry: &files::Entry| {
        !entry.folder && entry.name.ends_with(ending) && (*from == Position::Now || settled(entry))
    };
    let entries = files::list(folder)?.into_iter().filter(wanted).map(|entry| Seen {
        path: format!("{folder}/{}", entry.name),
        name: entry.name,
        bytes: entry.bytes,
        modified_ms: entry.modified_ms,
    });
    Ok(entries.collect())
}
