//! One run in memory, and how it becomes rows.
//!
//! Owns what is written at each point of a run's life, one batch each: accepted,
//! went on, parked, ended. State changes only together with the line that says why.

use std::sync::Arc;

use bytes::Bytes;
use flow::{Ending, Entry, Outcome, RunFacts, Spot};
use model::{ConnectionId, Failure, RunId, StepId};
use store::{Batch, Position, TableError};

use crate::flows::Published;
use crate::past;
use crate::queue::Lane;
use crate::records::{
    BODIES, CallRecord, DEAD, DEAD_SETTLED, DELIVERIES, DeadLetter, DeliveryRecord, LINES, Line, OPEN, OpenRecord,
    Origin, PARKED, RUNS, RUNS_OF_FLOW, RunRecord, RunStatus, Settled, SettledAs, Timer,
};

/// A run that is not over.
pub(crate) struct Run {
    pub(crate) record: RunRecord,
    pub(crate) flow: Arc<Published>,
    pub(crate) state: flow::State,
    pub(crate) open: OpenRecord,
    /// The raw delivery, until the connector has read it.
    pub(crate) delivery: Option<RawDelivery>,
    /// The next line's number.
    pub(crate) line: u32,
    /// The batch that wrote its first row; the default when that is not known.
    pub(crate) since: Position,
}

/// What the remote sent, as far as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct RawDelivery {
    pub(crate) record: DeliveryRecord,
    pub(crate) body: Bytes,
}

impl Run {
    /// A run that begins with this record.
    pub(crate) fn new(record: RunRecord, flow: Arc<Published>) -> Self {
        Self {
            record,
            flow,
            state: flow::State::new(),
            open: OpenRecord::default(),
            delivery: None,
            line: 0,
            since: Position::default(),
        }
    }

    pub(crate) fn id(&self) -> &RunId {
        &self.record.id
    }

    /// Where it stands in line.
    pub(crate) fn lane(&self) -> Lane {
        Lane { flow: self.flow.lane.clone(), key: 0, most: self.flow.most() }
    }

    /// What expressions may know of the run.
    pub(crate) fn facts(&self) -> RunFacts {
        RunFacts {
            id: self.record.id.clone(),
            started_at: timestamp(self.record.accepted_at_ms),
            flow_version: u64::from(self.record.version),
            environment: self.record.environment.clone(),
        }
    }

    /// Writes the run as accepted, with its delivery if there is one.
    pub(crate) fn put_accepted(&self, batch: &mut Batch) -> Result<(), TableError> {
        let id = self.id().as_str().as_bytes();
        RUNS.put(batch, &[id], &self.record)?;
        OPEN.put(batch, &[id], &self.open)?;
        batch.put(RUNS_OF_FLOW.key(&self.flow_parts()), b"");
        if let Some(delivery) = &self.delivery {
            DELIVERIES.put(batch, &[id], &delivery.record)?;
            batch.put_bytes(BODIES.key(&[id]), delivery.body.clone());
        }
        Ok(())
    }

    /// Writes what happened, and takes it into the state.
    pub(crate) fn put_line(
        &mut self,
        batch: &mut Batch,
        at_ms: u64,
        entries: Vec<Entry>,
        call: Option<CallRecord>,
    ) -> Result<(), TableError> {
        entries.iter().for_each(|entry| self.state.apply(entry));
        let line = Line { at_ms, entries, call };
        LINES.put(batch, &[self.id().as_str().as_bytes(), &self.line.to_be_bytes()], &line)?;
        self.line += 1;
        Ok(())
    }

    /// Takes what happened so far into the state of a run that was loaded.
    pub(crate) fn take_up(&mut self, lines: Vec<Line>) {
        for line in lines {
            line.entries.iter().for_each(|entry| self.state.apply(entry));
            self.line += 1;
        }
    }

    /// Writes that the connector has read the delivery: the run is under way.
    pub(crate) fn put_under_way(&mut self, batch: &mut Batch) -> Result<(), TableError> {
        let id = self.record.id.as_str().as_bytes();
        self.record.status = RunStatus::Running;
        RUNS.put(batch, &[id], &self.record)?;
        self.drop_delivery(batch);
        Ok(())
    }

    /// Writes that the run waits until `ready_at_ms`.
    pub(crate) fn put_parked(&mut self, batch: &mut Batch, ready_at_ms: u64) -> Result<(), TableError> {
        self.open.ready_at_ms = ready_at_ms;
        OPEN.put(batch, &[self.id().as_str().as_bytes()], &self.open)
    }

    /// Writes whether it rests, when that has changed.
    pub(crate) fn put_resting(&mut self, batch: &mut Batch) -> Result<(), TableError> {
        let status = match self.state.refused().is_empty() {
            false if !self.state.is_calling() => RunStatus::NeedsReauthorisation,
            _ if self.state.is_resting() => RunStatus::Waiting,
            _ => RunStatus::Running,
        };
        if self.record.status == status {
            return Ok(());
        }
        self.record.status = status;
        RUNS.put(batch, &[self.record.id.as_str().as_bytes()], &self.record)
    }

    /// Sets or removes timers, and writes when the run is to be taken up again, if that
    /// has changed: after a crash, one that is not at rest goes on at once.
    pub(crate) fn put_timers(
        &mut self,
        batch: &mut Batch,
        over: &[Spot],
        new: Vec<Timer>,
        at_rest: bool,
    ) -> Result<(), TableError> {
        let before = self.open.timers.len();
        self.open.timers.retain(|timer| !over.contains(&timer.spot));
        let same = self.open.timers.len() == before && new.is_empty();
        self.open.timers.extend(new);
        let ready_at_ms = self.first_timer_ms().filter(|_| at_rest).unwrap_or_default();
        if same && (self.open.timers.is_empty() || self.open.ready_at_ms == ready_at_ms) {
            return Ok(());
        }
        self.put_parked(batch, ready_at_ms)
    }

    /// When the first of its timers is due.
    pub(crate) fn first_timer_ms(&self) -> Option<u64> {
        self.open.timers.iter().map(|timer| timer.at_ms).min()
    }

    /// The step whose time has come, if there is one.
    pub(crate) fn due(&self, now_ms: u64) -> Option<Spot> {
        let first = self.open.timers.iter().min_by_key(|timer| timer.at_ms)?;
        (first.at_ms <= now_ms).then(|| first.spot.clone())
    }

    /// Writes the end: with this batch, the run becomes history.
    pub(crate) fn put_ended(&mut self, batch: &mut Batch, at_ms: u64, status: RunStatus) -> Result<(), TableError> {
        self.record.status = status;
        self.record.finished_at_ms = Some(at_ms);
        let id = self.record.id.as_str().as_bytes();
        RUNS.put(batch, &[id], &self.record)?;
        // Over with the batch that it began with, it was never an open one.
        if self.since != Position::LAST {
            OPEN.delete(batch, &[id]);
            batch.delete(RUNS_OF_FLOW.key(&self.flow_parts()));
        }
        if let Some(place) = &self.open.place {
            place.delete(batch);
        }
        for connection in &self.open.refused {
            PARKED.delete(batch, &[self.record.environment.as_str().as_bytes(), connection.as_str().as_bytes(), id]);
        }
        // A run that gave up keeps its delivery, to be read once more.
        if status != RunStatus::Failed {
            self.drop_delivery(batch);
        }
        past::retire(batch, &self.record, self.flow.plan().keep_ms(), self.since);
        Ok(())
    }

    /// Writes the end, with a dead letter when the run gave up.
    pub(crate) fn put_ending(&mut self, batch: &mut Batch, at_ms: u64, ending: &Ending) -> Result<(), TableError> {
        match why(ending) {
            None if ending.outcome == Outcome::Cancelled => self.put_ended(batch, at_ms, RunStatus::Cancelled),
            None => self.put_ended(batch, at_ms, RunStatus::Succeeded),
            Some(failure) => {
                let spot = ending.step.clone().map(|step| Spot { step, iteration: ending.iteration.clone() });
                self.put_dead(batch, at_ms, spot, failure)
            }
        }
    }

    /// Writes that the run gave up, and why.
    pub(crate) fn put_dead(
        &mut self,
        batch: &mut Batch,
        at_ms: u64,
        spot: Option<Spot>,
        failure: Failure,
    ) -> Result<(), TableError> {
        let (step, iteration) = spot.map(|spot| (spot.step, spot.iteration)).unzip();
        let settled = self.run_again_by(&failure).map(|by| {
            let note = Some("the step that called it tries again".to_owned());
            Settled { at_ms, by, how: SettledAs::Replayed, note }
        });
        let table = if settled.is_some() { &DEAD_SETTLED } else { &DEAD };
        let letter = DeadLetter {
            run: self.id().clone(),
            flow: self.record.flow.clone(),
            environment: self.record.environment.clone(),
            at_ms,
            step,
            iteration: iteration.unwrap_or_default(),
            problem: failure.to_problem(),
            failure,
            replayed_as: None,
            settled,
        };
        table.put(batch, &[self.id().as_str().as_bytes()], &letter)?;
        self.put_ended(batch, at_ms, RunStatus::Failed)
    }

    /// Who runs its flow again after such a failure, so that no person has to.
    fn run_again_by(&self, failure: &Failure) -> Option<String> {
        match &self.record.origin {
            Origin::Flow { parent, again: true, .. } if failure.may_pass() => Some(format!("run {parent}")),
            Origin::Flow { .. }
            | Origin::Webhook { .. }
            | Origin::Poll { .. }
            | Origin::Schedule { .. }
            | Origin::Manual { .. }
            | Origin::Replay { .. } => None,
        }
    }

    /// The journal keeps it; the living state does not need it any more.
    fn drop_delivery(&mut self, batch: &mut Batch) {
        if self.delivery.take().is_some() {
            let id = self.record.id.as_str().as_bytes();
            DELIVERIES.delete(batch, &[id]);
            batch.delete(BODIES.key(&[id]));
        }
    }

    fn flow_parts(&self) -> [&[u8]; 3] {
        let record = &self.record;
        [record.environment.as_str().as_bytes(), record.flow.as_str().as_bytes(), record.id.as_str().as_bytes()]
    }
}

/// As which account a step makes its call.
pub(crate) fn connection_of<'p>(plan: &'p flow::Plan, step: &StepId) -> Option<&'p ConnectionId> {
    plan.find(step)?.work.as_action()?.connection.as_ref()
}

/// Why a run gave up; None when it succeeded, or a person ended it and nothing is in
/// doubt. A flow that stops as failed gives a reason instead of a failure.
pub(crate) fn why(ending: &Ending) -> Option<Failure> {
    match ending.outcome {
        Outcome::Succeeded => None,
        Outcome::Cancelled => ending.failure.clone(),
        Outcome::Failed => Some(ending.failure.clone().unwrap_or_else(|| Failure::Stopped {
            reason: ending.reason.clone().unwrap_or_else(|| "the flow stopped as failed".to_owned()),
        })),
    }
}

/// ISO 8601 in UTC, to the millisecond.
pub(crate) fn timestamp(at_ms: u64) -> String {
    let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn timestamps_are_iso_8601() {
        assert_eq!(super::timestamp(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
