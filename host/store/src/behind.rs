//! Passes visible changes on to the rows, one merged round at a time.
//!
//! Owns the thread that does it and the signals around it. A round waits until
//! enough came together or the oldest change has waited long enough; without
//! changes the thread sleeps. When the rows fail, the store stops: going on
//! would only fill memory.

use crate::disk::Disk;
use crate::history::History;
use crate::journal::StoreId;
use crate::options::Options;
use crate::overlay::Overlay;
use crate::rows::{Mark, Rows, RowsError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the free space is looked at again while there is too little. One
/// second: soon for a person who makes space, nothing for the host.
const SPACE_PAUSE: Duration = Duration::from_secs(1);

/// Whoever waits for the rows says so this often. Ten seconds: twenty times what a round
/// is to take.
const WAITED_LONG: Duration = Duration::from_secs(10);

/// Why rows are behind although nothing failed.
const DISK_FULL: &str = "the disk is full";
const CLOSING: &str = "the store is being closed";

/// See the module.
pub(crate) struct Behind {
    pub(crate) overlay: Overlay,
    pub(crate) rows: Arc<dyn Rows>,
    disk: Arc<dyn Disk>,
    store: StoreId,
    history: Arc<History>,
    options: Options,
    signals: Mutex<Signals>,
    to_thread: Condvar,
    from_thread: Condvar,
}

#[derive(Default)]
struct Signals {
    /// Journal bytes made visible since the last round began.
    bytes: usize,
    dirty: bool,
    /// Somebody waits for the rows.
    hurry: bool,
    ending: bool,
    short_of_space: bool,
    /// What the thread is at.
    doing: &'static str,
    /// Rounds tried so far, those included that found too little space.
    tries: u64,
    failed: Option<Arc<str>>,
}

impl Behind {
    pub(crate) fn new(
        overlay: Overlay,
        rows: Arc<dyn Rows>,
        disk: Arc<dyn Disk>,
        store: StoreId,
        history: Arc<History>,
        options: Options,
    ) -> Self {
        Self {
            overlay,
            rows,
            disk,
            store,
            history,
            options,
            signals: Mutex::default(),
            to_thread: Condvar::new(),
            from_thread: Condvar::new(),
        }
    }

    /// The committer made this many journal bytes visible.
    pub(crate) fn note(&self, bytes: usize) {
        let mut signals = self.signals();
        let before = signals.bytes;
        signals.bytes += bytes;
        let woke = !signals.dirty || (before < self.options.behind_bytes && signals.bytes >= self.options.behind_bytes);
        signals.dirty = true;
        drop(signals);
        if woke {
            self.to_thread.notify_one();
        }
    }

    /// Waits until the overlay has room. False when it is full and the rows
    /// cannot take more because the disk is.
    pub(crate) fn wait_for_room(&self) -> bool {
        let has_room = || self.overlay.read().bytes() < self.options.overlay_bytes;
        if has_room() {
            return true;
        }
        if self.options.stepped {
            return self.try_round();
        }
        let mut signals = self.signals();
        while !has_room() {
            if signals.failed.is_some() || signals.short_of_space {
                return false;
            }
            signals = self.wait_for_thread(signals);
        }
        true
    }

    /// Waits until the rows hold everything that is visible now.
    pub(crate) fn settle(&self) -> Result<(), Arc<str>> {
        let goal = self.overlay.read().visible().sequence;
        if self.options.stepped && !self.try_round() {
            return Err(self.failed().unwrap_or_else(|| DISK_FULL.into()));
        }
        let mut signals = self.signals();
        let tries = signals.tries;
        while self.overlay.read().applied().sequence < goal {
            if let Some(reason) = &signals.failed {
                return Err(Arc::clone(reason));
            }
            if signals.ending {
                return Err(CLOSING.into());
            }
            if signals.short_of_space && signals.tries > tries {
                return Err(DISK_FULL.into());
            }
            signals = self.wait_for_thread(signals);
        }
        Ok(())
    }

    /// Waits until the thread has come a step further.
    fn wait_for_thread<'a>(&self, mut signals: MutexGuard<'a, Signals>) -> MutexGuard<'a, Signals> {
        signals.hurry = true;
        signals.dirty = true;
        self.to_thread.notify_one();
        let waited = self.from_thread.wait_timeout(signals, WAITED_LONG);
        let (signals, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            tracing::warn!(doing = signals.doing, "the rows behind the journal are waited for");
        }
        signals
    }

    /// Why the rows cannot be used any more.
    pub(crate) fn failed(&self) -> Option<Arc<str>> {
        self.signals().failed.clone()
    }

    /// Ends the thread after the round that it is in.
    pub(crate) fn end(&self) {
        self.signals().ending = true;
        self.to_thread.notify_all();
    }

    /// The thread.
    pub(crate) fn run(&self) {
        while self.wait_for_work() {
            if !self.has_space() {
                self.pause();
                continue;
            }
            self.begin("writing rows");
            if let Err(error) = self.round() {
                self.fail(&error.to_string());
                return;
            }
            self.begin("writing the index of a segment");
            self.write_indexes();
            let mut signals = self.signals();
            signals.short_of_space = false;
            signals.tries += 1;
            drop(signals);
            self.from_thread.notify_all();
            self.begin("copying rows to a fresh file");
            self.maintain();
            self.begin("waiting for changes");
        }
    }

    fn begin(&self, doing: &'static str) {
        self.signals().doing = doing;
    }

    /// The rows' upkeep, until the next round is due.
    fn maintain(&self) {
        let begun = Instant::now();
        while self.has_space() && self.rows.maintain() {
            let signals = self.signals();
            let waited = signals.dirty && begun.elapsed() >= self.options.behind_delay;
            if waited || signals.hurry || signals.ending || signals.bytes >= self.options.behind_bytes {
                return;
            }
        }
    }

    /// In stepped mode, after a group: a round once enough came together.
    pub(crate) fn step(&self) {
        self.write_indexes();
        if self.signals().bytes >= self.options.behind_bytes {
            self.try_round();
        }
    }

    /// A round on the caller's thread, unless there is too little space or the
    /// rows failed. False when it did not come about.
    fn try_round(&self) -> bool {
        if self.failed().is_some() || !self.has_space() {
            return false;
        }
        let mut signals = self.signals();
        signals.bytes = 0;
        signals.dirty = false;
        drop(signals);
        let done = self.round().inspect_err(|error| self.fail(&error.to_string())).is_ok();
        if done {
            self.rows.maintain();
        }
        done
    }

    /// One round, on the caller's thread: everything visible goes to the rows.
    pub(crate) fn round(&self) -> Result<(), RowsError> {
        let Some((changes, place)) = self.overlay.write().begin_drain() else { return Ok(()) };
        self.rows.apply(&changes, Mark { store: self.store, place })?;
        let drained = self.overlay.write().end_drain(place);
        drop((changes, drained));
        Ok(())
    }

    /// As `round`, for rows that get their mark later.
    pub(crate) fn load(&self) -> Result<(), RowsError> {
        let Some((changes, place)) = self.overlay.write().begin_drain() else { return Ok(()) };
        self.rows.load(&changes)?;
        let drained = self.overlay.write().end_drain(place);
        drop((changes, drained));
        Ok(())
    }

    /// Writes the index files of segments that were closed. They can be made
    /// again, so a failure is said and tried again later.
    pub(crate) fn write_indexes(&self) {
        let open = self.overlay.read().visible().segment;
        if let Err(error) = self.history.write_files(open) {
            tracing::warn!(%error, "the index of a closed segment could not be written");
        }
    }

    /// Marks the rows as unusable; readers still find the overlay.
    pub(crate) fn fail(&self, reason: &str) {
        tracing::error!(reason, "the rows behind the journal failed");
        self.signals().failed.get_or_insert_with(|| reason.into());
        self.from_thread.notify_all();
    }

    fn wait_for_work(&self) -> bool {
        let idle = |signals: &mut Signals| !signals.dirty && !signals.ending;
        let lingering =
            |signals: &mut Signals| !signals.hurry && !signals.ending && signals.bytes < self.options.behind_bytes;
        let signals = self.to_thread.wait_while(self.signals(), idle).unwrap_or_else(PoisonError::into_inner);
        let (mut signals, _) = self
            .to_thread
            .wait_timeout_while(signals, self.options.behind_delay, lingering)
            .unwrap_or_else(PoisonError::into_inner);
        signals.dirty = false;
        signals.hurry = false;
        signals.bytes = 0;
        !signals.ending
    }

    /// What is left to sled to write in.
    pub(crate) fn free_bytes_min(&self) -> u64 {
        self.options.free_bytes_min / 2
    }

    fn has_space(&self) -> bool {
        let enough = self.free_bytes_min();
        enough == 0 || self.disk.free_bytes().is_ok_and(|free| free >= enough)
    }

    fn pause(&self) {
        let mut signals = self.signals();
        signals.short_of_space = true;
        signals.tries += 1;
        signals.dirty = true;
        self.from_thread.notify_all();
        let go_on = |signals: &mut Signals| !signals.ending && !signals.hurry;
        drop(self.to_thread.wait_timeout_while(signals, SPACE_PAUSE, go_on));
    }

    fn signals(&self) -> MutexGuard<'_, Signals> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails the rows if the thread ends in a panic, so that nobody waits for it.
pub(crate) struct FailOnPanic<'a>(pub(crate) &'a Behind);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the thread that writes rows panicked");
        }
    }
}
