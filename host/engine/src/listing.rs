//! Which runs there are: newest first, by flow, state and time, page by page.
//!
//! Run ids sort by the time of arrival, so a time is a place in the list.

use model::{Environment, FlowId, RunId};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{RunRecord, RunStatus};

/// Which runs are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Those of one flow.
    pub of: Option<(Environment, FlowId)>,
    /// Those in one state.
    pub status: Option<RunStatus>,
    /// Those accepted at this time or later.
    pub since_ms: Option<u64>,
    /// Those accepted before this time.
    pub until_ms: Option<u64>,
}

/// A run in a list.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ListedRun {
    /// Its facts.
    #[serde(flatten)]
    pub record: RunRecord,
    /// What it waits for first: another run, a person, an event, a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// Some runs, newest first.
#[derive(Debug, Clone, Default)]
pub struct RunPage {
    /// Those that were found.
    pub runs: Vec<ListedRun>,
    /// Where to go on: older than this run; none: there is no older one.
    pub next: Option<RunId>,
}

impl Engine {
    /// Those runs that pass a filter, newest first, before `before` (exclusive).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list_runs(&self, filter: &RunFilter, before: Option<&RunId>, limit: usize) -> Result<RunPage, EngineError> {
        let of = filter.of.as_ref().map(|(environment, flow)| (environment, flow));
        let before = before.cloned().into_iter().chain(filter.until_ms.map(first_at)).min();
        let mut runs = self.runs(of, filter.status, before.as_ref(), limit)?;
        let mut next = (runs.len() == limit).then(|| runs.last().map(|run| run.id.clone())).flatten();
        if let Some(oldest) = filter.since_ms.map(first_at) {
            runs.retain(|run| run.id >= oldest);
            next = next.filter(|next| *next >= oldest);
        }
        let listed = |record: RunRecord| {
            let waits_for = self.first_wait(&record)?;
            Ok(ListedRun { record, waits_for })
        };
        Ok(RunPage { runs: runs.into_iter().map(listed).collect::<Result<_, EngineError>>()?, next })
    }
}

/// The first id that a run accepted at this time could have: 48 bits of milliseconds
/// come first (RFC 9562, version 7).
fn first_at(at_ms: u64) -> RunId {
    let at_ms = at_ms.min((1 << 48) - 1);
    format!("{at_ms:012x}{:020x}", 0).parse().expect("32 hexadecimal digits are a run id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_place_among_ids() {
        let first = first_at(1_700_000_000_123);
        assert_eq!(first.as_str(), "018bcfe5687b00000000000000000000");
        assert!(first_at(1_700_000_000_122) < first && first < first_at(1_700_000_000_124));
        assert_eq!(first_at(u64::MAX).as_str(), "ffffffffffff00000000000000000000");
    }
}
