//! Runs that are over: how their rows become history, and how they are found
//! again.
//!
//! An ended run costs the living state nothing: its rows are one document of
//! the store's history, found by its id and in lists by flow and by status. The
//! dead letter of a run that gave up stays a living row, since people work on it.

use model::{Environment, FlowId, RunId};
use store::key::join;
use store::{Batch, Order, Position, Retire, Row};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{BODIES, CHILDREN, DECISIONS, DELIVERIES, INBOX, LINES, RUNS, RunRecord, RunStatus};

/// How long an ended run is kept whose flow does not say. 30 days: a month's report can still be explained.
const KEPT_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// Takes the rows of an ended run out of the living state, once the batch is written.
/// None of them was written before `since`.
pub(crate) fn retire(batch: &mut Batch, record: &RunRecord, keep_ms: Option<u64>, since: Position) {
    let id = record.id.as_str().as_bytes();
    batch.retire(Retire {
        prefixes: vec![
            RUNS.key(&[id]),
            LINES.key(&[id]),
            DELIVERIES.key(&[id]),
            BODIES.key(&[id]),
            DECISIONS.key(&[id]),
            CHILDREN.key(&[id]),
            INBOX.key(&[id]),
        ],
        id: id.to_vec(),
        groups: [(true, false), (false, true), (true, true)]
            .into_iter()
            .filter_map(|(by_flow, by_status)| {
                group(by_flow.then_some((&record.environment, &record.flow)), by_status.then_some(record.status))
            })
            .collect(),
        keep_until_ms: record
            .finished_at_ms
            .unwrap_or(record.accepted_at_ms)
            .saturating_add(keep_ms.unwrap_or(KEPT_MS)),
        since,
    });
}

/// The list of ended runs of a flow, with a status, or both; none: of all.
fn group(flow: Option<(&Environment, &FlowId)>, status: Option<RunStatus>) -> Option<Vec<u8>> {
    let flow = flow.map(|(environment, flow)| flow_parts(environment, flow));
    match (flow, status) {
        (None, None) => None,
        (None, Some(status)) => Some(join(&[b"status", status.as_str().as_bytes()])),
        (Some([environment, flow]), None) => Some(join(&[b"flow", environment, flow])),
        (Some([environment, flow]), Some(status)) => {
            Some(join(&[b"flow-status", environment, flow, status.as_str().as_bytes()]))
        }
    }
}

fn flow_parts<'a>(environment: &'a Environment, flow: &'a FlowId) -> [&'a [u8]; 2] {
    [environment.as_str().as_bytes(), flow.as_str().as_bytes()]
}

impl Engine {
    /// Ended runs, newest first, of one flow or of all, before `before`.
    pub(crate) fn past_runs(
        &self,
        of: Option<(&Environment, &FlowId)>,
        status: Option<RunStatus>,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, EngineError> {
        let store = &*self.0.store;
        let (list, before) = (group(of, status), before.map(|id| id.as_str().as_bytes()));
        let listed = store.history(list.as_deref(), before, limit, Order::Descending)?;
        let mut found = Vec::with_capacity(listed.len());
        for (id, document) in listed {
            for (key, value) in store.document(&document, &RUNS.key(&[&id]))? {
                found.push(RUNS.parse(&key, &value)?);
            }
        }
        Ok(found)
    }

    /// How many ended runs there are of a flow, or of all, with a status; at most `most`.
    pub(crate) fn count_past(
        &self,
        of: Option<(&Environment, &FlowId)>,
        status: RunStatus,
        most: usize,
    ) -> Result<usize, EngineError> {
        let list = group(of, Some(status));
        Ok(self.0.store.history(list.as_deref(), None, most, Order::Descending)?.len())
    }

    /// The rows of an ended run whose keys start with `prefix`; none for a run that
    /// is not over, or was forgotten.
    pub(crate) fn past_rows(&self, run: &RunId, prefix: &[u8]) -> Result<Vec<Row>, EngineError> {
        let store = &*self.0.store;
        match store.find_document(run.as_str().as_bytes())? {
            Some(document) => Ok(store.document(&document, prefix)?),
            None => Ok(Vec::new()),
        }
    }

    /// Forgets what is kept no longer, and gives its space back. Blocks its thread,
    /// and lets another take over the other tasks where there is one.
    pub(crate) fn forget_past(&self) {
        let now_ms = self.now_ms();
        let tidy = || self.0.store.tidy(now_ms);
        let done = match tokio::runtime::Handle::current().runtime_flavor() {
            tokio::runtime::RuntimeFlavor::MultiThread => tokio::task::block_in_place(tidy),
            _ => tidy(),
        };
        match done {
            Ok(done) if done.segments > 0 => {
                tracing::info!(segments = done.segments, bytes = done.bytes, "old history was removed");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "old history could not be removed");
            }
        }
    }
}
