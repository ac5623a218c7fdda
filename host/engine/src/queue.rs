//! What waits for a worker, and what waits for its time.
//!
//! Bounded: a delivery that finds it full is refused with the time to come back.
//! Runs with small payloads stay in memory; of the others only the name does.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::RunId;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::run::Run;

/// Something for a worker.
pub(crate) enum Job {
    /// A run with all that it needs.
    Hot(Box<Run>),
    /// A run to be read from the store.
    Stored(RunId),
}

/// Runs kept whole in memory; beyond, only their names wait.
const HOT_MAX: usize = 2_000;
/// A larger payload is read again when its turn comes. 2,000 times this is 32 MiB.
const HOT_BYTES_MAX: usize = 16 << 10;

#[derive(Default)]
struct Waiting {
    ready: VecDeque<Job>,
    timed: BinaryHeap<Reverse<(u64, RunId)>>,
    hot: usize,
}

pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
    closed: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
    ready_max: usize,
}

impl Queue {
    pub(crate) fn new(clock: Arc<dyn Clock>, ready_max: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Notify::new(), closed: watch::Sender::new(false), clock, ready_max }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new events must wait outside.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().ready.len() >= self.ready_max
    }

    /// How many runs wait for a worker, and how many for their time.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.ready.len(), waiting.timed.len())
    }

    /// Whether the host is going down.
    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    pub(crate) fn push(&self, run: Run, payload_bytes: usize) {
        let mut waiting = self.lock();
        let job = if payload_bytes <= HOT_BYTES_MAX && waiting.hot < HOT_MAX {
            waiting.hot += 1;
            Job::Hot(Box::new(run))
        } else {
            Job::Stored(run.id().clone())
        };
        waiting.ready.push_back(job);
        drop(waiting);
        self.changed.notify_one();
    }

    pub(crate) fn push_stored(&self, run: RunId) {
        self.lock().ready.push_back(Job::Stored(run));
        self.changed.notify_one();
    }

    /// The run becomes ready at this time.
    pub(crate) fn push_timed(&self, ready_at_ms: u64, run: RunId) {
        self.lock().timed.push(Reverse((ready_at_ms, run)));
        self.changed.notify_one();
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

    /// The next job, as soon as there is one; None once the queue is closed. For
    /// one consumer. Idle, it wakes up for the next timer only.
    pub(crate) async fn next(&self) -> Option<Job> {
        loop {
            let wait = match self.poll() {
                Polled::Job(job) => return Some(job),
                Polled::Closed => return None,
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

    fn poll(&self) -> Polled {
        let now_ms = self.clock.now_ms();
        let mut waiting = self.lock();
        if self.is_closed() {
            return Polled::Closed;
        }
        while waiting.timed.peek().is_some_and(|Reverse((at_ms, _))| *at_ms <= now_ms) {
            if let Some(Reverse((_, run))) = waiting.timed.pop() {
                waiting.ready.push_back(Job::Stored(run));
            }
        }
        match waiting.ready.pop_front() {
            Some(job) => {
                waiting.hot -= usize::from(matches!(job, Job::Hot(_)));
                Polled::Job(job)
            }
            None => {
                let next = waiting.timed.peek().map(|Reverse((at_ms, _))| *at_ms);
                Polled::Wait(
                    next.map(|at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms).clamp(1, LOOK_AGAIN_MS))),
                )
            }
        }
    }
}

/// A wall clock can jump; a timer is looked at again at least this often.
const LOOK_AGAIN_MS: u64 = 60_000;

enum Polled {
    Job(Job),
    Closed,
    Wait(Option<Duration>),
}
