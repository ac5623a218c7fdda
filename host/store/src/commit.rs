//! The answer to a commit: a future, and the ways in which it can say no.
//!
//! Resolving with a position means durable and visible; every error but
//! `Stopped` means that nothing of the batch was or will be written.

use bytes::Bytes;
use model::Problem;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Place of a batch in the one order of all batches. Later batches compare
/// greater; the first is 1, and 0 stands for "before every batch".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub(crate) u64);

impl Position {
    /// After every batch: what begins here has not been written yet.
    pub const LAST: Self = Self(u64::MAX);

    /// The position of the batch with this sequence number, for other
    /// implementations of `Store`.
    #[must_use]
    pub const fn from_sequence(sequence: u64) -> Self {
        Self(sequence)
    }

    /// The sequence number.
    #[must_use]
    pub const fn sequence(self) -> u64 {
        self.0
    }
}

/// Why a batch was not committed.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CommitError {
    /// An expectation did not hold; nothing was written.
    #[error("key {} is not as the batch expects", shown(key))]
    Conflict {
        /// The first key whose expectation failed.
        key: Bytes,
    },
    /// The queue of waiting batches is full; nothing was written. Try later.
    #[error("too many batches are waiting to be written")]
    Busy,
    /// The disk is full, or nearly so; nothing was written. Works again when
    /// space returns.
    #[error("the disk that holds the data folder is full")]
    Full,
    /// The batch is larger than any batch may be; nothing was written.
    #[error("{what} has {bytes} bytes, and {bytes_max} are allowed")]
    TooLarge {
        /// What is too large: the batch, or a key in it.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The writer has stopped for good, until the store is opened again. The
    /// batch may or may not be there after that.
    #[error("the store has stopped writing: {reason}")]
    Stopped {
        /// What stopped it.
        reason: Arc<str>,
    },
}

impl CommitError {
    /// The same for people: what happened, the likely cause, the fix.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (code, cause, fix) = match self {
            Self::Conflict { .. } => {
                ("conflict", "Something else changed it first.", "Read it again, then decide again.")
            }
            Self::Busy => ("store-busy", "More arrives than the disk can take.", "Wait a moment, then try again."),
            Self::Full => ("disk-full", "Other files, or history, fill the disk.", "Make space; it goes on by itself."),
            Self::TooLarge { .. } => {
                ("too-large", "One change carries too much.", "Make the payload smaller, or split it.")
            }
            Self::Stopped { .. } => (
                "store-stopped",
                "The disk refused a write, or the host is going down.",
                "Check the disk and the log, then start the host again; what was acknowledged is safe.",
            ),
        };
        Problem::new(code, self.to_string()).cause(cause).fix(fix)
    }
}

/// A batch on its way to the disk. Resolves once it is durable and visible, or
/// refused. Dropping it changes nothing: the batch is written all the same.
#[derive(Debug)]
#[must_use = "an unawaited commit is not known to be durable"]
pub struct Commit(State);

/// Gives a commit its outcome. Dropped without one, the commit says `Stopped`.
#[derive(Debug)]
pub struct Resolver(oneshot::Sender<Outcome>);

impl Resolver {
    /// The outcome. Nobody may be waiting any more.
    pub fn resolve(self, outcome: Result<Position, CommitError>) {
        // Whoever dropped the commit does not want to know.
        let _ = self.0.send(outcome);
    }
}

#[derive(Debug)]
enum State {
    Ready(Option<Outcome>),
    Waiting(oneshot::Receiver<Outcome>),
}

type Outcome = Result<Position, CommitError>;

impl Commit {
    /// A commit whose outcome is known, for other implementations of `Store`.
    pub fn ready(outcome: Result<Position, CommitError>) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    /// A commit whose outcome comes later, for other implementations of `Store`.
    pub fn later() -> (Resolver, Self) {
        let (sender, commit) = Self::pending();
        (Resolver(sender), commit)
    }

    pub(crate) fn pending() -> (oneshot::Sender<Outcome>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(State::Waiting(receiver)))
    }

    /// Blocks this thread until the outcome is there. Not for async code,
    /// where it panics: await the commit there.
    ///
    /// # Errors
    /// As the future.
    pub fn wait(self) -> Result<Position, CommitError> {
        match self.0 {
            State::Ready(outcome) => outcome.unwrap_or_else(gone),
            State::Waiting(receiver) => receiver.blocking_recv().unwrap_or_else(|_| gone()),
        }
    }
}

impl Future for Commit {
    type Output = Result<Position, CommitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(outcome) => Poll::Ready(outcome.take().unwrap_or_else(gone)),
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(context).map(|received| received.unwrap_or_else(|_| gone()))
            }
        }
    }
}

fn gone() -> Outcome {
    Err(CommitError::Stopped { reason: "the writer ended without an answer".into() })
}

fn shown(key: &Bytes) -> String {
    key.escape_ascii().to_string()
}
