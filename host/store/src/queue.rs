//! Batches that wait for the disk: bounded, first in, first out.
//!
//! The committer sleeps here without polling. Once closed, the queue takes
//! nothing more and says why.

use crate::batch::{Expectation, Parts, Writes};
use crate::commit::{Commit, CommitError, Position};
use crate::committer::Committer;
use crate::history::Retire;
use crate::journal::WriteFailure;
use crate::options::Options;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A batch on its way to the journal.
pub(crate) struct Waiting {
    pub(crate) writes: Writes,
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) retires: Vec<Retire>,
    pub(crate) answer: Answer,
}

/// Gives a waiting commit its outcome.
pub(crate) struct Answer(oneshot::Sender<Result<Position, CommitError>>);

impl Answer {
    /// Nobody may be listening any more, which is no concern of ours.
    pub(crate) fn resolve(self, outcome: Result<Position, CommitError>) {
        let _ = self.0.send(outcome);
    }
}

/// Work for the committer between two groups.
pub(crate) type Job = Box<dyn FnOnce(&mut Committer) -> Result<(), WriteFailure> + Send>;

/// See the module.
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    batches_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    jobs: Vec<Job>,
    bytes: usize,
    asleep: bool,
    closed: Option<Arc<str>>,
}

/// What an expectation costs in the queue, beside its key.
const EXPECTATION_BYTES: usize = 64;

impl Queue {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            batches_max: options.queue_batches,
            bytes_max: options.queue_bytes,
        }
    }

    /// Adds batches, one after the other, before the committer can take any.
    pub(crate) fn push(&self, batches: impl IntoIterator<Item = Parts>) -> Vec<Commit> {
        let mut state = self.state();
        let commits = batches.into_iter().map(|batch| self.push_one(&mut state, batch)).collect();
        self.wake(state);
        commits
    }

    /// Adds one batch.
    pub(crate) fn push_single(&self, batch: Parts) -> Commit {
        let mut state = self.state();
        let commit = self.push_one(&mut state, batch);
        self.wake(state);
        commit
    }

    /// Adds a job; false when nothing more is taken.
    pub(crate) fn push_job(&self, job: Job) -> bool {
        let mut state = self.state();
        if state.closed.is_some() {
            return false;
        }
        state.jobs.push(job);
        self.wake(state);
        true
    }

    /// Takes the jobs and the next group: whole batches up to `bytes_max`, at
    /// least one unless there are jobs. Sleeps until there is either; `None`
    /// once closed and empty.
    pub(crate) fn take(&self, bytes_max: usize, group: &mut Vec<Waiting>) -> Option<Vec<Job>> {
        let mut state = self.state();
        while state.waiting.is_empty() && state.jobs.is_empty() {
            if state.closed.is_some() {
                return None;
            }
            state.asleep = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        take_group(&mut state, bytes_max, group);
        Some(std::mem::take(&mut state.jobs))
    }

    /// The same without sleeping: `None` when nothing waits.
    pub(crate) fn try_take(&self, bytes_max: usize, group: &mut Vec<Waiting>) -> Option<()> {
        let mut state = self.state();
        take_group(&mut state, bytes_max, group);
        (!group.is_empty()).then_some(())
    }

    /// Takes nothing more. What waits is still taken by the committer.
    pub(crate) fn close(&self, reason: &str) {
        let mut state = self.state();
        state.closed.get_or_insert_with(|| reason.into());
        state.asleep = false;
        self.arrived.notify_one();
    }

    /// Closes, and refuses what waits.
    pub(crate) fn stop(&self, reason: &str) {
        self.close(reason);
        let mut state = self.state();
        state.bytes = 0;
        let reason = state.closed.clone().unwrap_or_else(|| reason.into());
        let waiting = std::mem::take(&mut state.waiting);
        // Whoever asked for a job learns of the end by its being dropped.
        let jobs = std::mem::take(&mut state.jobs);
        drop((state, jobs));
        for batch in waiting {
            batch.answer.resolve(Err(CommitError::Stopped { reason: Arc::clone(&reason) }));
        }
    }

    /// Why nothing more is taken.
    pub(crate) fn closed(&self) -> Option<Arc<str>> {
        self.state().closed.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    fn push_one(&self, state: &mut State, batch: Parts) -> Commit {
        if let Some(reason) = &state.closed {
            return Commit::ready(Err(CommitError::Stopped { reason: Arc::clone(reason) }));
        }
        let Parts { writes, expectations, retires } = batch;
        let cost = cost(&writes, &expectations, &retires);
        let fits = state.waiting.is_empty() || state.bytes + cost <= self.bytes_max;
        if !fits || state.waiting.len() >= self.batches_max {
            return Commit::ready(Err(CommitError::Busy));
        }
        let (answer, commit) = Commit::pending();
        state.bytes += cost;
        state.waiting.push_back(Waiting { writes, expectations, retires, answer: Answer(answer) });
        commit
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wake = state.asleep && !(state.waiting.is_empty() && state.jobs.is_empty());
        state.asleep &= !wake;
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_group(state: &mut State, bytes_max: usize, group: &mut Vec<Waiting>) {
    let mut bytes = 0;
    while let Some(next) = state.waiting.pop_front_if(|next| bytes == 0 || bytes + cost_of(next) <= bytes_max) {
        bytes += cost_of(&next);
        group.push(next);
    }
    state.bytes -= bytes;
}

fn cost_of(waiting: &Waiting) -> usize {
    cost(&waiting.writes, &waiting.expectations, &waiting.retires)
}

/// Never zero, so that empty batches count as well.
fn cost(writes: &Writes, expectations: &[Expectation], retires: &[Retire]) -> usize {
    let expected: usize = expectations.iter().map(|expectation| expectation.key.len() + EXPECTATION_BYTES).sum();
    let retired: usize = retires.iter().map(Retire::bytes).sum();
    writes.bytes() + expected + retired + 1
}
