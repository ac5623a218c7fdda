//! What waits for a worker, and what waits for its time.
//!
//! Bounded: what finds it full is refused with the time to come back. Fair between
//! teams and flows (`lanes`). Runs with small payloads stay in memory; of the others
//! only the name does. Invariant: a run is worked on by one worker at a time; waking
//! it meanwhile makes it ready again afterwards, and no wake is lost or doubled.

mod lanes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::RunId;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::run::Run;
pub(crate) use lanes::{FlowLane, Lane};
use lanes::{Lanes, Shares};

/// Something for a worker.
pub(crate) enum Job {
    /// A run with all that it needs.
    Hot(Box<Run>),
    /// A run to be read from the store.
    Stored(RunId),
}

/// Whether there is room for one more run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Free,
    /// The flow has more than its share of the queue.
    FlowFull,
    /// Too much is waiting, whoever asks.
    Full,
}

/// Says where a run stands in line; none when it has ended.
pub(crate) type Directory = Box<dyn Fn(&RunId) -> Option<Lane> + Send + Sync>;

/// Runs kept whole in memory; beyond, only their names wait.
const HOT_MAX: usize = 2_000;
/// A larger payload is read again when its turn comes. 2,000 times this is 32 MiB.
const HOT_BYTES_MAX: usize = 16 << 10;
/// A flow may have four times as many runs waiting as there are places left (the
/// dynamic threshold of switch buffers, Choudhury and Hahne 1998): alone it fills
/// four fifths of the queue, and there is always room for another one.
const FLOW_TIMES_FREE: usize = 4;
/// Runs that others begin, and those of a flow that is resumed, ask for no room. What they
/// have taken is not to shut others out: a flow with less than this part of the queue is
/// let in until twice as many wait as there should.
const RESERVES: usize = 100;
/// Runs that wait for their time, for each place of the queue: a million by default,
/// some 60 MiB of names and times.
const TIMED_PER_READY: usize = 50;
/// Timers that come due are moved in pages, so that a million of them at once do not
/// hold the queue.
const DUE_PAGE: usize = 256;
/// A wall clock can jump; a timer is looked at again at least this often.
const LOOK_AGAIN_MS: u64 = 60_000;

/// A run's name as a number: it is 32 hexadecimal digits.
type Name = u128;

/// What the queue knows of a run that is ready or worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ready,
    Working { woken: bool },
}

struct Waiting {
    lanes: Lanes<(Job, Lane)>,
    standing: HashMap<Name, Standing>,
    timed: BTreeSet<(u64, Name)>,
    /// When each of those is due: a run waits for one time, its first.
    due: HashMap<Name, u64>,
    hot: usize,
}

pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
    closed: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
    directory: Directory,
    ready_max: usize,
}

/// Leave to work on one run, given back when it is dropped.
pub(crate) struct Turn {
    queue: Arc<Queue>,
    run: RunId,
    lane: Lane,
}

impl Turn {
    pub(crate) fn flow(&self) -> &FlowLane {
        &self.lane.flow
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.done(&self.run, &self.lane);
    }
}

impl Queue {
    /// A queue for so many workers, with room for so many runs that wait for one.
    pub(crate) fn new(clock: Arc<dyn Clock>, ready_max: usize, workers: usize, directory: Directory) -> Self {
        let lanes = Lanes::new(Shares::of(workers));
        let waiting = Waiting { lanes, standing: HashMap::new(), timed: BTreeSet::new(), due: HashMap::new(), hot: 0 };
        Self {
            waiting: Mutex::new(waiting),
            changed: Notify::new(),
            closed: watch::Sender::new(false),
            clock,
            directory,
            ready_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a new event of this flow may come in.
    pub(crate) fn room(&self, flow: &Arc<FlowLane>) -> Room {
        let waiting = self.lock();
        let (ready, of_flow) = (waiting.lanes.ready(), waiting.lanes.ready_of(flow));
        let free = self.ready_max.saturating_sub(ready);
        let is_reserved = of_flow < self.ready_max / RESERVES && ready / 2 < self.ready_max;
        if waiting.timed.len() >= self.ready_max.saturating_mul(TIMED_PER_READY) || free == 0 && !is_reserved {
            Room::Full
        } else if free > 0 && of_flow >= free.saturating_mul(FLOW_TIMES_FREE) {
            Room::FlowFull
        } else {
            Room::Free
        }
    }

    /// How many runs are worked on, wait for a worker, and wait for their time: of one
    /// moment, so that a run that goes from one to another is not missed.
    pub(crate) fn depth(&self) -> (usize, usize, usize) {
        let waiting = self.lock();
        (waiting.lanes.working(), waiting.lanes.ready(), waiting.timed.len())
    }

    /// Whether the host is going down.
    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// A run that was just made is ready.
    pub(crate) fn push(&self, run: Run, payload_bytes: usize) {
        let (id, lane) = (run.id().clone(), run.lane());
        let mut waiting = self.lock();
        let is_hot = payload_bytes <= HOT_BYTES_MAX && waiting.hot < HOT_MAX;
        let job = if is_hot { Job::Hot(Box::new(run)) } else { Job::Stored(id.clone()) };
        waiting.wake(&id, &lane, job);
        drop(waiting);
        self.changed.notify_one();
    }

    /// Wakes a run: it is ready, or will be once its worker is done with it. False: there
    /// is no such run any more.
    pub(crate) fn push_stored(&self, run: RunId) -> bool {
        let Some(lane) = (self.directory)(&run) else { return false };
        self.lock().wake(&run, &lane, Job::Stored(run.clone()));
        self.changed.notify_one();
        true
    }

    /// Whether a run was woken while it is worked on; its worker sees to that now, and
    /// the run is not made ready again for it.
    pub(crate) fn take_wake(&self, run: &RunId) -> bool {
        match self.lock().standing.get_mut(&name(run)) {
            Some(Standing::Working { woken }) => std::mem::take(woken),
            Some(Standing::Ready) | None => false,
        }
    }

    /// The run becomes ready at this time, and no more at one that was said before.
    pub(crate) fn push_timed(&self, ready_at_ms: u64, run: RunId) {
        let mut waiting = self.lock();
        waiting.forget(name(&run));
        waiting.due.insert(name(&run), ready_at_ms);
        waiting.timed.insert((ready_at_ms, name(&run)));
        drop(waiting);
        self.changed.notify_one();
    }

    /// The run has ended: no time it waited for matters any more.
    pub(crate) fn forget(&self, run: &RunId) {
        self.lock().forget(name(run));
    }

    /// Leave to work on a new run at once, past the queue. None: others of its key
    /// come first.
    pub(crate) fn begin(self: &Arc<Self>, run: &Run) -> Option<Turn> {
        let lane = run.lane();
        let mut waiting = self.lock();
        if !waiting.lanes.begin(&lane) {
            return None;
        }
        waiting.standing.insert(name(run.id()), Standing::Working { woken: false });
        Some(Turn { queue: self.clone(), run: run.id().clone(), lane })
    }

    /// No further job is handed out.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
        self.changed.notify_one();
    }

    /// Resolves once the host is going down.
    pub(crate) async fn closed(&self) {
        // The sender lives in this queue: waiting cannot fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Waits until there is a job to take; false once the queue is closed. For one
    /// consumer. Idle, it wakes up for the next timer only.
    pub(crate) async fn offers(&self) -> bool {
        loop {
            let wait = match self.poll() {
                Polled::Offers => return true,
                Polled::Closed => return false,
                Polled::Wait(wait) => wait,
            };
            match wait {
                None => self.changed.notified().await,
                Some(wait) => {
                    // Either is a reason to look again.
                    let _ = tokio::time::timeout(wait, self.changed.notified()).await;
                }
            }
        }
    }

    /// The job whose turn it is, with the leave to work on it.
    pub(crate) fn take(self: &Arc<Self>) -> Option<(Job, Turn)> {
        if self.is_closed() {
            return None;
        }
        let mut waiting = self.lock();
        let (job, lane) = waiting.lanes.take()?;
        let run = match &job {
            Job::Hot(run) => run.id().clone(),
            Job::Stored(id) => id.clone(),
        };
        waiting.hot -= usize::from(matches!(job, Job::Hot(_)));
        waiting.standing.insert(name(&run), Standing::Working { woken: false });
        Some((job, Turn { queue: self.clone(), run, lane }))
    }

    fn done(&self, run: &RunId, lane: &Lane) {
        let mut waiting = self.lock();
        waiting.lanes.done(lane);
        if waiting.standing.remove(&name(run)) == Some(Standing::Working { woken: true }) {
            waiting.wake(run, lane, Job::Stored(run.clone()));
        }
        drop(waiting);
        self.changed.notify_one();
    }

    fn poll(&self) -> Polled {
        if self.is_closed() {
            return Polled::Closed;
        }
        while self.ripen() == DUE_PAGE {}
        let now_ms = self.clock.now_ms();
        let waiting = self.lock();
        if waiting.lanes.offers() {
            return Polled::Offers;
        }
        let next = waiting.timed.first().map(|(at_ms, _)| *at_ms);
        Polled::Wait(next.map(|at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms).clamp(1, LOOK_AGAIN_MS))))
    }

    /// Wakes a page of those whose time has come. Where they stand is looked up
    /// without the lock.
    fn ripen(&self) -> usize {
        let now_ms = self.clock.now_ms();
        let mut due = Vec::new();
        let mut waiting = self.lock();
        while due.len() < DUE_PAGE && waiting.timed.first().is_some_and(|(at_ms, _)| *at_ms <= now_ms) {
            if let Some((_, name)) = waiting.timed.pop_first() {
                waiting.due.remove(&name);
                due.push(run_id(name));
            }
        }
        drop(waiting);
        let count = due.len();
        for run in due {
            self.push_stored(run);
        }
        count
    }
}

enum Polled {
    Offers,
    Closed,
    Wait(Option<Duration>),
}

impl Waiting {
    fn forget(&mut self, run: Name) {
        if let Some(at_ms) = self.due.remove(&run) {
            self.timed.remove(&(at_ms, run));
        }
    }

    /// One job for each run, however often it is woken.
    fn wake(&mut self, run: &RunId, lane: &Lane, job: Job) {
        match self.standing.get_mut(&name(run)) {
            Some(Standing::Ready) => {}
            Some(Standing::Working { woken }) => *woken = true,
            None => {
                self.hot += usize::from(matches!(job, Job::Hot(_)));
                self.standing.insert(name(run), Standing::Ready);
                self.lanes.push(lane, (job, lane.clone()));
            }
        }
    }
}

fn name(run: &RunId) -> Name {
    Name::from_str_radix(run.as_str(), 16).expect("a run id is 32 hexadecimal digits")
}

fn run_id(name: Name) -> RunId {
    format!("{name:032x}").parse().expect("32 hexadecimal digits are a run id")
}
