//! What a run waits for, in words: who or what has to come first, and who must act.

use model::RunId;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{RunRecord, RunStatus};

/// Something that a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitView {
    /// For what.
    pub what: String,
}

impl Engine {
    /// What an open run waits for.
    pub(crate) fn waits_of(&self, record: &RunRecord) -> Result<Vec<WaitView>, EngineError> {
        let before = self.comes_before(record)?;
        Ok(before.map(|first| WaitView { what: for_its_turn(record, &first) }).into_iter().collect())
    }
}

/// Another run of the same line comes first.
pub(crate) fn for_its_turn(record: &RunRecord, first: &RunId) -> String {
    match record.status {
        RunStatus::Received => format!("run {first} of the same flow, whose delivery is read first"),
        RunStatus::Running
        | RunStatus::Waiting
        | RunStatus::NeedsReauthorisation
        | RunStatus::Succeeded
        | RunStatus::Failed
        | RunStatus::Ignored
        | RunStatus::Cancelled => format!("run {first} of the same key, which came first"),
    }
}
