//! Who does the writing: two threads, or the caller.
//!
//! Owns the life of the threads. In stepped mode there are none: a commit is
//! decided, written and shown before the call that asked for it returns, and
//! rows are written whenever enough came together; so a simulated host does
//! the same things in the same order each time.

use crate::behind::{Behind, FailOnPanic};
use crate::committer::Committer;
use crate::journal::WriteFailure;
use crate::queue::{Job, Queue};
use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// See the module.
pub(crate) enum Writer {
    /// Until they are ended.
    Threads(Mutex<Option<Threads>>),
    /// Until the store is closed.
    Stepped(Mutex<Option<Box<Committer>>>),
}

pub(crate) struct Threads {
    committer: JoinHandle<()>,
    behind: JoinHandle<()>,
}

impl Writer {
    /// Starts the threads.
    pub(crate) fn threads(committer: Committer, behind: &Arc<Behind>) -> io::Result<Self> {
        let writer = Arc::clone(behind);
        let behind_thread = Builder::new().name("store-behind".into()).spawn(move || {
            let _fail = FailOnPanic(&writer);
            writer.run();
        })?;
        let spawned = Builder::new().name("store-commit".into()).spawn(move || committer.run());
        match spawned {
            Ok(committer) => Ok(Self::Threads(Mutex::new(Some(Threads { committer, behind: behind_thread })))),
            Err(error) => {
                behind.end();
                Err(error)
            }
        }
    }

    /// Writes on the threads of callers.
    pub(crate) fn stepped(committer: Committer) -> Self {
        Self::Stepped(Mutex::new(Some(Box::new(committer))))
    }

    /// In stepped mode, writes what waits.
    pub(crate) fn step(&self) {
        let Self::Stepped(committer) = self else { return };
        if let Some(committer) = committer.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            committer.step();
        }
    }

    /// Lets the committer do a job between two groups, and waits for it.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        queue: &Queue,
        act: impl FnOnce(&mut Committer) -> Result<T, WriteFailure> + Send + 'static,
    ) -> Result<T, Arc<str>> {
        let outcome = match self {
            Self::Threads(_) => {
                let (sender, receiver) = sync_channel(1);
                let job: Job = Box::new(move |committer| {
                    let (answer, outcome) = match act(committer) {
                        Ok(answer) => (Ok(answer), Ok(())),
                        Err(failure) => (Err(failure.to_string()), Err(failure)),
                    };
                    // Whoever asked may have gone.
                    let _ = sender.send(answer);
                    outcome
                });
                let taken = queue.push_job(job);
                if taken { receiver.recv().ok() } else { None }
            }
            Self::Stepped(committer) => {
                let mut committer = committer.lock().unwrap_or_else(PoisonError::into_inner);
                let live = committer.as_mut().filter(|committer| !committer.broken);
                live.map(|committer| committer.perform(act).map_err(|failure| failure.to_string()))
            }
        };
        match outcome {
            Some(answer) => answer.map_err(Into::into),
            None => Err(queue.closed().unwrap_or_else(|| CLOSED.into())),
        }
    }

    /// Writes what waits, and nothing later. With `settle`, the rows hold all
    /// of it on return. Later calls do nothing.
    pub(crate) fn end(&self, queue: &Queue, behind: &Behind, settle: bool) -> Result<(), Arc<str>> {
        match self {
            Self::Threads(threads) => {
                let Some(threads) = threads.lock().unwrap_or_else(PoisonError::into_inner).take() else {
                    return Ok(());
                };
                end_threads(threads, queue, behind, settle)
            }
            Self::Stepped(committer) => {
                let Some(committer) = committer.lock().unwrap_or_else(PoisonError::into_inner).take() else {
                    return Ok(());
                };
                queue.close(CLOSED);
                committer.finish();
                if settle { behind.settle() } else { Ok(()) }
            }
        }
    }
}

/// Why commits are refused after the end.
const CLOSED: &str = "the store was closed";

fn end_threads(threads: Threads, queue: &Queue, behind: &Behind, settle: bool) -> Result<(), Arc<str>> {
    queue.close(CLOSED);
    let committed = threads.committer.join();
    let settled = if settle { behind.settle() } else { Ok(()) };
    behind.end();
    let written = threads.behind.join();
    if committed.is_err() || written.is_err() {
        tracing::error!("a thread of the store ended in a panic");
    }
    settled
}
