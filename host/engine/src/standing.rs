//! How a flow's runs are: how many in which state, what failed last, what is waited for.
//!
//! Looked at when people ask, never kept. Bounded: a flow with a long past, or with many
//! open runs, is told by its newest ones, and says that there are more.

use std::collections::BTreeMap;

use model::{Environment, FlowId, Problem, RunId, StepId};
use serde::{Deserialize, Serialize};
use store::Order;

use crate::duplicates::Duplicates;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::PAGE;
use crate::records::{DECISIONS, RunRecord, RunStatus};
use crate::waits::{self, WaitView};

/// Runs of one state that are counted.
const COUNTED_MAX: usize = 1_000;
/// Failures that are shown.
const FAILED_SHOWN: usize = 5;

/// How a flow's runs are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FlowStanding {
    /// How many are in which state; states without any are left out.
    pub runs: Vec<RunCount>,
    /// Deliveries that were repetitions, and refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<Duplicates>,
    /// Those that failed last, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// What its runs wait for, and who must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitView>,
}

/// How many runs are in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCount {
    /// Which.
    pub status: RunStatus,
    /// How many, among the newest.
    pub count: usize,
    /// Whether there are more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Which.
    pub run: RunId,
    /// When it ended.
    pub at_ms: u64,
    /// The step it gave up at; none: before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Why; none when its dead letter is not kept any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Whether a person has dealt with it.
    pub settled: bool,
}

impl Engine {
    /// How a flow's runs are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn flow_standing(&self, environment: &Environment, flow: &FlowId) -> Result<FlowStanding, EngineError> {
        let of = Some((environment, flow));
        let (open, more) = self.open_runs(environment, flow)?;
        let mut counts: BTreeMap<&str, RunCount> = BTreeMap::new();
        for record in &open {
            let status = record.status;
            counts.entry(status.as_str()).or_insert(RunCount { status, count: 0, more }).count += 1;
        }
        let mut runs: Vec<RunCount> = counts.into_values().collect();
        for status in [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Ignored, RunStatus::Cancelled] {
            let count = self.count_past(of, status, COUNTED_MAX + 1)?;
            if count > 0 {
                runs.push(RunCount { status, count: count.min(COUNTED_MAX), more: count > COUNTED_MAX });
            }
        }
        Ok(FlowStanding {
            runs,
            duplicates: self.duplicates_of_flow(environment, flow)?,
            failed: self.failed_last(environment, flow)?,
            waits: self.waits_of_flow(environment, flow, &open)?,
        })
    }

    /// The newest open runs, and whether there are more.
    fn open_runs(&self, environment: &Environment, flow: &FlowId) -> Result<(Vec<RunRecord>, bool), EngineError> {
        let mut open = self.living_runs(Some((environment, flow)), None, None, COUNTED_MAX + 1)?;
        open.retain(|record| !record.status.is_final());
        let more = open.len() > COUNTED_MAX;
        open.truncate(COUNTED_MAX);
        Ok((open, more))
    }

    fn failed_last(&self, environment: &Environment, flow: &FlowId) -> Result<Vec<Failed>, EngineError> {
        let failed = self.past_runs(Some((environment, flow)), Some(RunStatus::Failed), None, FAILED_SHOWN)?;
        let look = |record: RunRecord| {
            let letter = self.find_letter(&record.id)?;
            Ok(Failed {
                at_ms: record.finished_at_ms.unwrap_or(record.accepted_at_ms),
                run: record.id,
                settled: letter.as_ref().is_none_or(|letter| letter.settled.is_some() || letter.replayed_as.is_some()),
                step: letter.as_ref().and_then(|letter| letter.step.clone()),
                problem: letter.map(|letter| letter.problem),
            })
        };
        failed.into_iter().map(look).collect()
    }

    fn waits_of_flow(
        &self,
        environment: &Environment,
        flow: &FlowId,
        open: &[RunRecord],
    ) -> Result<Vec<WaitView>, EngineError> {
        let mut waits = Vec::new();
        let standing = self.0.flows.record(environment, flow);
        if let Some(paused) = standing.as_ref().and_then(|standing| standing.paused.as_ref()) {
            waits.push(waits::for_a_flow(environment, flow, paused));
        }
        let published = self.0.flows.get(environment, flow);
        for id in published.iter().flat_map(|published| published.plan().connections()) {
            let Ok(connection) = self.live_connection(environment, id) else { continue };
            let refusal = self.refusal_of(&connection);
            waits.extend(refusal.map(|refusal| waits::for_a_credential(environment, id, &refusal.failure)));
            if let Some(wait_ms) = self.wait_of(environment, id) {
                waits.push(WaitView { until_ms: Some(self.now_ms() + wait_ms), ..waits::for_a_remote(id) });
            }
        }
        for (role, count) in self.roles_asked(open)? {
            let what = format!("{count} decisions");
            waits
                .push(WaitView::new(what).act(format!("somebody with the role {role}"), "sluice approval list".into()));
        }
        Ok(waits)
    }

    /// Who is asked by these runs, and how often.
    fn roles_asked(&self, open: &[RunRecord]) -> Result<BTreeMap<String, usize>, EngineError> {
        let mut roles = BTreeMap::new();
        for record in open.iter().filter(|record| record.status == RunStatus::Waiting) {
            let of_run: [&[u8]; 1] = [record.id.as_str().as_bytes()];
            for (_, decision) in DECISIONS.list(&*self.0.store, &of_run, None, PAGE, Order::Ascending)? {
                if decision.decided.is_none() && decision.closed_at_ms.is_none() {
                    *roles.entry(decision.role).or_default() += 1;
                }
            }
        }
        Ok(roles)
    }
}
