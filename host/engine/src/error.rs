//! Why the engine refused, in the cases that its callers treat differently.

use model::Problem;
use store::{CommitError, ReadError, TableError};

/// A request to the engine that was not carried out. Nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(Problem),
    /// What was handed in is wrong; every problem found.
    #[error("{}", join(.0))]
    Invalid(Vec<Problem>),
    /// The sender did not prove who it is.
    #[error("{0}")]
    Unauthentic(Problem),
    /// The policy, or the state of something, does not allow it.
    #[error("{0}")]
    Refused(Problem),
    /// It exists already, or changed meanwhile.
    #[error("{0}")]
    Conflict(Problem),
    /// Too much is waiting.
    #[error("{problem}")]
    Busy {
        /// What people read.
        problem: Problem,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The host cannot keep anything at the moment.
    #[error("{0}")]
    Unavailable(Problem),
    /// A fault of the host's own; the details are for its log.
    #[error("a fault of the host")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl EngineError {
    /// What people read.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Invalid(problems) => problems.clone(),
            Self::NotFound(problem)
            | Self::Unauthentic(problem)
            | Self::Refused(problem)
            | Self::Conflict(problem)
            | Self::Busy { problem, .. }
            | Self::Unavailable(problem) => vec![problem.clone()],
            Self::Internal(_) => vec![self.damage().unwrap_or_else(|| {
                Problem::new("internal", "the host made a mistake")
                    .cause("a fault in sluice; the log has the details")
                    .fix("look at the host's log around this time, and report what it says")
            })],
        }
    }

    /// What people read when something stored is not what was written.
    pub(crate) fn damage(&self) -> Option<Problem> {
        let Self::Internal(source) = self else { return None };
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**source);
        while let Some(error) = cause {
            if let Some(error @ ReadError::Damaged { .. }) = error.downcast_ref() {
                return Some(
                    Problem::new("stored-damaged", error.to_string())
                        .cause("the disk changed or lost bytes that had been written durably, or a file was edited or removed")
                        .fix("check the disk; what is lost can be taken from a backup"),
                );
            }
            cause = error.source();
        }
        None
    }

    pub(crate) fn invalid(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }

    pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}

impl From<CommitError> for EngineError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Busy => Self::Busy { problem: error.problem(), retry_after_ms: 1_000 },
            CommitError::Full | CommitError::Stopped { .. } => Self::Unavailable(error.problem()),
            CommitError::TooLarge { .. } => Self::invalid(error.problem()),
            CommitError::Conflict { .. } => Self::internal(error),
        }
    }
}

impl From<ReadError> for EngineError {
    fn from(error: ReadError) -> Self {
        Self::internal(error)
    }
}

impl From<TableError> for EngineError {
    fn from(error: TableError) -> Self {
        Self::internal(error)
    }
}
