//! Order: runs of a sequential flow go one after the other, as their events were accepted.
//!
//! A run has a place in a line from its acceptance to its end; only the first of a line
//! goes on, and the end of one calls the next. A delivery that a connector has to read
//! stands in a line of its flow's own until its events are known. Invariant: numbers are
//! given and batches handed to the store under one lock, so that nothing ever comes to
//! stand before what is there already. Runs of other flows have no place, and pay nothing.

use std::sync::PoisonError;
use std::time::Duration;

use flow::Concurrency;
use model::{Problem, RunId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{Batch, Commit, Order};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{OPEN, ORDER, Origin, RUNS, RunRecord, RunStatus};
use crate::run::Run;

/// A fault of the host's own (no descriptors) may pass.
const FIND_AGAIN: Duration = Duration::from_secs(1);

/// A run's place in its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Which line: a hash of flow and key, in hexadecimal digits.
    line: String,
    /// Smaller numbers come first; 0 until the batch is handed over.
    number: u64,
}

impl Place {
    fn new(record: &RunRecord, kind: &str, key: &str) -> Self {
        let RunRecord { environment, flow, .. } = record;
        let name = [environment.as_str(), flow.as_str(), kind, key].map(str::as_bytes);
        let hash = Sha256::digest(store::key::join(&name));
        Self { line: hex::encode(&hash[..16]), number: 0 }
    }

    /// Gives the place up.
    pub(crate) fn delete(&self, batch: &mut Batch) {
        ORDER.delete(batch, &[self.line.as_bytes(), &self.number.to_be_bytes()]);
    }

    /// Takes the place.
    fn put(&self, batch: &mut Batch, run: &RunId) -> Result<(), EngineError> {
        Ok(ORDER.put(batch, &[self.line.as_bytes(), &self.number.to_be_bytes()], run)?)
    }
}

impl Run {
    /// Whether its flow has lines.
    pub(crate) fn is_sequential(&self) -> bool {
        matches!(self.flow.plan().concurrency(), Concurrency::Sequential { .. })
    }
}

impl Engine {
    /// Finds the last number that was given: once, before any other is.
    pub(crate) fn load_order(&self) -> Result<(), EngineError> {
        let mut last = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.0.store.scan(&ORDER.key(&[]), after.as_deref(), crate::flows::PAGE, Order::Ascending)?;
            let Some((key, _)) = page.last() else { break };
            after = Some(key.to_vec());
            last = page.iter().filter_map(|(key, _)| number(key)).fold(last, u64::max);
        }
        *self.0.order.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(())
    }

    /// Puts a run that was just made into its line, if its flow has lines. One whose key
    /// cannot be made gives up: its event is kept as a dead letter, and nobody waits.
    pub(crate) fn put_place(&self, run: &mut Run, batch: &mut Batch) -> Result<(), EngineError> {
        if !run.is_sequential() {
            return Ok(());
        }
        if run.record.status == RunStatus::Received {
            run.open.place = Some(Place::new(&run.record, "delivery", ""));
            return Ok(());
        }
        match flow::order_key(run.flow.plan(), &run.state) {
            Ok(None) => run.open.place = Some(Place::new(&run.record, "flow", "")),
            Ok(Some(key)) => run.open.place = Some(Place::new(&run.record, "key", &key)),
            Err(failure) => run.put_dead(batch, self.now_ms(), None, failure)?,
        }
        Ok(())
    }

    /// Hands a batch to the store, with the places of the runs that it makes.
    pub(crate) fn hand_over<'r>(
        &self,
        mut batch: Batch,
        made: impl IntoIterator<Item = &'r mut Run>,
    ) -> Result<Commit, EngineError> {
        let mut placed = made.into_iter().filter(|run| run.open.place.is_some()).peekable();
        if placed.peek().is_none() {
            return Ok(self.0.store.commit(batch));
        }
        let mut last = self.0.order.lock().unwrap_or_else(PoisonError::into_inner);
        for run in placed {
            let id = run.record.id.clone();
            let Some(place) = &mut run.open.place else { continue };
            *last += 1;
            place.number = *last;
            place.put(&mut batch, &id)?;
            OPEN.put(&mut batch, &[id.as_str().as_bytes()], &run.open)?;
        }
        Ok(self.0.store.commit(batch))
    }

    /// Sets a run going that was made durable; one that has given up needs nothing.
    pub(crate) fn set_going(&self, run: Run, payload_bytes: usize) {
        if !run.record.status.is_final() {
            self.0.queue.push(run, payload_bytes);
        }
    }

    /// Whether it is this run's turn in its line.
    pub(crate) fn is_first(&self, run: &RunId, place: Option<&Place>) -> Result<bool, EngineError> {
        let Some(place) = place else { return Ok(true) };
        Ok(self.first_of(place)?.is_none_or(|first| first == *run))
    }

    /// A run has ended, or given its place up: the next one of the line has its turn.
    pub(crate) async fn call_next(&self, place: Option<&Place>) {
        let Some(place) = place else { return };
        loop {
            match self.first_of(place) {
                Ok(next) => {
                    if let Some(next) = next {
                        self.0.queue.push_stored(next);
                    }
                    return;
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the next run in line cannot be found");
                }
            }
            // After a restart, everyone whose turn it is goes on.
            tokio::select! {
                () = tokio::time::sleep(FIND_AGAIN) => {}
                () = self.0.queue.closed() => return,
            }
        }
    }

    /// The run that an open one waits for, since it comes first in line; none when it has
    /// its turn. A run of a flow without lines costs nothing.
    pub(crate) fn comes_before(&self, record: &RunRecord) -> Result<Option<RunId>, EngineError> {
        if record.status.is_final() || !self.has_lines(record) {
            return Ok(None);
        }
        let open = OPEN.get(&*self.0.store, &[record.id.as_str().as_bytes()])?;
        let first = open.and_then(|open| open.place).map(|place| self.first_of(&place)).transpose()?;
        Ok(first.flatten().filter(|first| *first != record.id))
    }

    fn has_lines(&self, record: &RunRecord) -> bool {
        let published = self.version(&record.environment, &record.flow, record.version);
        published.is_ok_and(|published| matches!(published.plan().concurrency(), Concurrency::Sequential { .. }))
    }

    /// A sub-flow's run would wait for one of those that wait for it.
    pub(crate) fn would_wait_for_itself(&self, parent: &Run, child: &Run) -> Result<Option<Problem>, EngineError> {
        let Some(place) = &child.open.place else { return Ok(None) };
        let (mut id, mut found) = (parent.id().clone(), parent.open.place.clone());
        let mut origin = parent.record.origin.clone();
        loop {
            if found.is_some_and(|found| found.line == place.line) {
                let what = format!("the run would wait for run {id}, which waits for it");
                let fix = "give the flow another key (concurrency), or do not call it from itself";
                return Ok(Some(Problem::new("waits-for-itself", what).fix(fix)));
            }
            let Origin::Flow { parent, .. } = origin else { return Ok(None) };
            let parts: [&[u8]; 1] = [parent.as_str().as_bytes()];
            let Some(record) = RUNS.get(&*self.0.store, &parts)? else { return Ok(None) };
            found = OPEN.get(&*self.0.store, &parts)?.and_then(|open| open.place);
            (id, origin) = (parent, record.origin);
        }
    }

    fn first_of(&self, place: &Place) -> Result<Option<RunId>, EngineError> {
        let first = ORDER.list(&*self.0.store, &[place.line.as_bytes()], None, 1, Order::Ascending)?;
        Ok(first.into_iter().next().map(|(_, run)| run))
    }
}

fn number(key: &[u8]) -> Option<u64> {
    let number = ORDER.parts(key)?.into_iter().nth(1)?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}
