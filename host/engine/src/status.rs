//! How far a run is, in a word.

use serde::{Deserialize, Serialize};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// Accepted; the connector has not read the delivery yet.
    Received,
    /// Under way, or waiting for a worker or a retry.
    Running,
    /// For a time, an event, a person or another run.
    Waiting,
    /// A remote refused the credential of one of its connections: it goes on when that
    /// has another one.
    NeedsReauthorisation,
    /// Done.
    Succeeded,
    /// Gave up; there is a dead letter.
    Failed,
    /// The delivery held nothing for this flow.
    Ignored,
    /// A person ended it.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Ignored | Self::Cancelled)
    }

    /// As documents and the command line write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::NeedsReauthorisation => "needs-reauthorisation",
            Self::Cancelled => "cancelled",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
        }
    }
}
