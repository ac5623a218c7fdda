//! Rows in sled: one database, and now and then a second that takes its place.
//!
//! sled's file never shrinks. Once it is far larger than its rows, they are
//! copied to a fresh database beside it, a page at a time, while rounds go on
//! and are written to both as far as the copy has come. The copy gets its mark
//! when it is complete and durable; so of two databases found at an open, the
//! one whose mark is greater is right, and one without a mark is none. Rows
//! that cannot be opened, or are of another store, are moved aside and kept
//! until the rebuild is done.

use super::database::Database;
use super::{Bounds, Cell, Changes, Mark, Rows, RowsError, Walk};
use crate::store::Order;
use bytes::Bytes;
use std::cmp::Reverse;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The folders that a database may be in, by turns. sled keeps the path it was
/// opened with, so that one in use cannot be renamed.
const FOLDERS: [&str; 2] = ["sled", "sled.b"];
const ASIDE: &str = "sled.aside";
/// A file this many times its rows is made anew. 6: a fresh one takes two to
/// four times its rows, the more the smaller they are.
const GROWN_FACTOR: u64 = 6;
/// Rows of a page are copied in strides. sled splits a leaf of 17 in halves,
/// which stay half empty when rows come in their order: 5.8 times what is
/// written then, 3.5 times this way.
const STRIDE: usize = 61;
/// Rows that are copied at once. 4,096: some ten milliseconds.
const PAGE_ROWS: usize = 4096;

pub(crate) struct SledRows {
    parent: PathBuf,
    options: SledOptions,
    current: RwLock<Arc<Database>>,
    upkeep: Mutex<Upkeep>,
}

/// The numbers that shape it; see `Options`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SledOptions {
    pub(crate) cache_bytes: u64,
    pub(crate) rebuild_bytes_min: u64,
}

struct Upkeep {
    /// Bytes of all rows, once they were counted.
    live: Option<u64>,
    /// The file is left alone until it is this long.
    look_at: u64,
    state: State,
}

enum State {
    Idle,
    /// Rows up to this key are in the fresh database.
    Copying {
        to: Arc<Database>,
        reached: Option<Bytes>,
        live: u64,
    },
    /// The old database goes once nobody reads from it any more.
    Leaving(Arc<Database>),
}

impl SledRows {
    /// Opens the rows in the data folder `parent`; new ones, with the old moved
    /// aside, when they cannot be opened or `is_ours` says no to their mark.
    pub(crate) fn open(
        parent: &Path,
        options: SledOptions,
        is_ours: impl Fn(&Mark) -> bool,
    ) -> Result<Self, RowsError> {
        let mut found: Option<(Option<Mark>, Database)> = None;
        for folder in FOLDERS.map(|name| parent.join(name)).into_iter().filter(|folder| folder.exists()) {
            let (mark, database) = match open_sound(&folder, options, &is_ours) {
                Ok(sound) => sound,
                Err(error) => {
                    tracing::warn!(%error, folder = %folder.display(), "rows behind the journal are not used");
                    move_aside(&folder).map_err(|error| cannot("move old rows aside", &error))?;
                    continue;
                }
            };
            let found_here = (mark, database);
            let (kept, other) = match found.take() {
                None => (found_here, None),
                Some(before) if rank(&before) >= rank(&found_here) => (before, Some(found_here)),
                Some(before) => (found_here, Some(before)),
            };
            found = Some(kept);
            if let Some((_, other)) = other {
                remove(other).map_err(|error| cannot("remove rows that were copied", &error))?;
            }
        }
        let current = match found {
            Some((_, database)) => database,
            None => Database::open(&parent.join(FOLDERS[0]), options.cache_bytes)?,
        };
        let upkeep = Upkeep { live: None, look_at: options.rebuild_bytes_min, state: State::Idle };
        let current = RwLock::new(Arc::new(current));
        Ok(Self { parent: parent.to_owned(), options, current, upkeep: Mutex::new(upkeep) })
    }

    /// Removes what `open` moved aside, once the rebuilt rows are complete.
    pub(crate) fn forget_aside(parent: &Path) -> io::Result<()> {
        match std::fs::remove_dir_all(parent.join(ASIDE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn current(&self) -> Arc<Database> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to the current database, and to a copy as far as it has come.
    fn write(&self, upkeep: &mut Upkeep, changes: &Changes) -> Result<(), RowsError> {
        let grown = self.current().write(changes.iter())?;
        upkeep.live = upkeep.live.map(|live| live.saturating_add_signed(grown));
        if let State::Copying { to, reached: Some(reached), live } = &mut upkeep.state {
            let below = changes.range::<Bytes, _>((Bound::Unbounded, Bound::Included(&*reached)));
            match to.write(below) {
                Ok(grown) => *live = live.saturating_add_signed(grown),
                Err(error) => self.abandon(upkeep, &error),
            }
        }
        Ok(())
    }

    /// A small piece of the upkeep; true when there is more to do at once.
    fn step(&self, upkeep: &mut Upkeep) -> Result<bool, RowsError> {
        match std::mem::replace(&mut upkeep.state, State::Idle) {
            State::Idle => self.look(upkeep),
            State::Copying { to, reached, live } => self.copy_page(upkeep, to, reached, live).map(|()| true),
            State::Leaving(old) => {
                match Arc::try_unwrap(old) {
                    Ok(old) => remove(old).map_err(|error| cannot("remove rows that were copied", &error))?,
                    Err(old) => upkeep.state = State::Leaving(old),
                }
                Ok(false)
            }
        }
    }

    /// Begins a copy when the file is far larger than its rows.
    fn look(&self, upkeep: &mut Upkeep) -> Result<bool, RowsError> {
        let current = self.current();
        let bytes = current.file_bytes()?;
        if bytes < upkeep.look_at {
            return Ok(false);
        }
        let live = match upkeep.live {
            Some(live) => live,
            None => *upkeep.live.insert(current.row_bytes()?),
        };
        if bytes / GROWN_FACTOR <= live {
            return Ok(false);
        }
        tracing::info!(bytes, live, "the rows behind the journal are copied to a fresh file");
        let folder = FOLDERS.map(|name| self.parent.join(name)).into_iter().find(|folder| folder != current.folder());
        let folder = folder.expect("a database is in one folder only");
        remove_folder(&folder).map_err(|error| cannot("make room for fresh rows", &error))?;
        let to = Arc::new(Database::open(&folder, self.options.cache_bytes)?);
        upkeep.state = State::Copying { to, reached: None, live: 0 };
        Ok(true)
    }

    fn copy_page(
        &self,
        upkeep: &mut Upkeep,
        to: Arc<Database>,
        reached: Option<Bytes>,
        live: u64,
    ) -> Result<(), RowsError> {
        let current = self.current();
        let low = reached.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = Arc::clone(&current).walk(&(low, Bound::Unbounded), Order::Ascending);
        let page = rows.take(PAGE_ROWS).collect::<Result<Vec<_>, _>>()?;
        if let Some((last, _)) = page.last() {
            let strides = (0..STRIDE).flat_map(|first| page.iter().skip(first).step_by(STRIDE));
            let live = live.saturating_add_signed(to.write(strides.map(|(key, cell)| (key, cell)))?);
            upkeep.state = State::Copying { to, reached: Some(last.clone()), live };
            return Ok(());
        }
        let mark = current.mark()?.ok_or_else(|| RowsError("rows without a mark were copied".into()))?;
        commit(&to, &mark)?;
        let synced = File::open(&self.parent).and_then(|parent| parent.sync_all());
        synced.map_err(|error| cannot("make the folder of fresh rows durable", &error))?;
        drop(current);
        let mut place = self.current.write().unwrap_or_else(PoisonError::into_inner);
        upkeep.state = State::Leaving(std::mem::replace(&mut *place, to));
        upkeep.live = Some(live);
        // A copy that takes as much again would be made for nothing.
        upkeep.look_at = self.options.rebuild_bytes_min.max(place.file_bytes()?.saturating_mul(2));
        Ok(())
    }

    /// Goes on with the rows as they are: nothing depends on the copy. It is
    /// tried again when the file has doubled.
    fn abandon(&self, upkeep: &mut Upkeep, error: &RowsError) {
        tracing::warn!(%error, "the rows behind the journal could not be copied to a fresh file");
        upkeep.look_at = self.current().file_bytes().unwrap_or(upkeep.look_at).saturating_mul(2);
        upkeep.state = State::Idle;
    }
}

impl Rows for SledRows {
    fn get(&self, key: &[u8]) -> Result<Option<Cell>, RowsError> {
        self.current().get(key)
    }

    fn contains(&self, key: &[u8]) -> Result<bool, RowsError> {
        self.current().contains(key)
    }

    fn walk(&self, bounds: &Bounds, order: Order) -> Walk<'_> {
        self.current().walk(bounds, order)
    }

    fn mark(&self) -> Result<Option<Mark>, RowsError> {
        self.current().mark()
    }

    fn load(&self, changes: &Changes) -> Result<(), RowsError> {
        self.write(&mut self.upkeep(), changes)
    }

    fn apply(&self, changes: &Changes, mark: Mark) -> Result<(), RowsError> {
        let mut upkeep = self.upkeep();
        self.write(&mut upkeep, changes)?;
        commit(&self.current(), &mark)
    }

    fn maintain(&self) -> bool {
        let mut upkeep = self.upkeep();
        match self.step(&mut upkeep) {
            Ok(more) => more,
            Err(error) => {
                self.abandon(&mut upkeep, &error);
                false
            }
        }
    }
}

/// Makes what was written durable, then its mark. The rows first, by
/// themselves: the disk may keep later bytes of one sync and lose earlier ones,
/// and a mark without its rows would hide that they are lost.
fn commit(database: &Database, mark: &Mark) -> Result<(), RowsError> {
    database.sync()?;
    database.set_mark(mark)?;
    database.sync()
}

/// A database that holds what its mark says, or nothing yet.
fn open_sound(
    folder: &Path,
    options: SledOptions,
    is_ours: &dyn Fn(&Mark) -> bool,
) -> Result<(Option<Mark>, Database), RowsError> {
    let database = Database::open(folder, options.cache_bytes)?;
    match database.mark()? {
        Some(mark) if !is_ours(&mark) => Err(RowsError("the rows are of another store".into())),
        None if !database.is_empty() => Err(RowsError("the rows have no mark".into())),
        mark => Ok((mark, database)),
    }
}

/// The greater one is right; of two that say the same, the one that was copied.
fn rank((mark, database): &(Option<Mark>, Database)) -> (u64, Reverse<u64>) {
    let sequence = mark.map_or(0, |mark| mark.place.sequence);
    (sequence, Reverse(database.file_bytes().unwrap_or(u64::MAX)))
}

/// Closes a database and removes its folder.
fn remove(database: Database) -> io::Result<()> {
    let folder = database.folder().to_owned();
    drop(database);
    remove_folder(&folder)
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// An older folder that is already aside is the more valuable one: it is from
/// before a rebuild that did not finish.
fn move_aside(folder: &Path) -> io::Result<()> {
    let aside = folder.with_file_name(ASIDE);
    if aside.exists() { remove_folder(folder) } else { std::fs::rename(folder, aside) }
}

fn cannot(what: &str, error: &io::Error) -> RowsError {
    RowsError(format!("cannot {what}: {error}"))
}
