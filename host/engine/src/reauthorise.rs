//! Credentials that a remote refuses: runs and polls wait, and a person mends it once
//! for all.
//!
//! A connection is marked together with the first run that waits for it, or by a poll;
//! further calls over it are not made. Invariants: a mark means one credential, so that it says nothing
//! of the next one; whoever waits is found by a row of its own, written in the batch in
//! which it begins to wait, and is woken by its inbox, whatever crashes in between.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use flow::{After, Entry};
use model::{ConnectionId, Environment, Failure, FlowId, RunId, StepId};
use serde::{Deserialize, Serialize};
use store::{Batch, Order};

use crate::catalogue::LiveConnection;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::PAGE;
use crate::inbox::Message;
use crate::records::{ConnectionRecord, OPEN, PARKED, REFUSALS, Timer};
use crate::run::{Run, connection_of};

/// A credential that the remote refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRefusal {
    /// When.
    pub at_ms: u64,
    /// To which run; none: to a flow's poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// To the poll of which flow; none: to a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowId>,
    /// What it said.
    pub failure: Failure,
    /// Which credential: how often it had been replaced before.
    pub renewals: u32,
}

/// The connections that are marked.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<(Environment, ConnectionId), CredentialRefusal>>);

impl Refusals {
    fn put(&self, environment: &Environment, connection: &ConnectionId, refusal: CredentialRefusal) {
        let key = (environment.clone(), connection.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, refusal);
    }

    fn get(&self, environment: &Environment, connection: &ConnectionId) -> Option<CredentialRefusal> {
        let key = (environment.clone(), connection.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn remove(&self, environment: &Environment, connection: &ConnectionId) {
        let key = (environment.clone(), connection.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

/// A run begins to wait for a connection.
pub(crate) struct Refused {
    connection: ConnectionId,
    refusal: CredentialRefusal,
}

impl Run {
    /// The calls that wait for another credential of this connection.
    fn refused_over(&self, connection: &ConnectionId) -> Vec<flow::Spot> {
        let mut spots = self.state.refused();
        spots.retain(|spot| connection_of(self.flow.plan(), &spot.step) == Some(connection));
        spots
    }
}

impl Engine {
    /// Reads which connections are marked, at start.
    pub(crate) fn load_refusals(&self) -> Result<(), EngineError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = REFUSALS.list(&*self.0.store, &[], after.as_deref(), PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.to_vec());
            for (key, refusal) in page {
                if let Some((environment, connection)) = names(REFUSALS.parts(&key)) {
                    self.0.refusals.put(&environment, &connection, refusal);
                }
            }
        }
    }

    /// What the remote said of the credential that a connection has now; none when it has
    /// not refused it.
    pub(crate) fn refusal_of(&self, connection: &LiveConnection) -> Option<CredentialRefusal> {
        let record = &connection.record;
        let refusal = self.0.refusals.get(&record.environment, &record.id)?;
        (refusal.renewals == record.renewals && record.revoked.is_none()).then_some(refusal)
    }

    /// Writes that a call waits for another credential, and marks its connection.
    pub(crate) fn put_refused(
        &self,
        run: &mut Run,
        batch: &mut Batch,
        step: &StepId,
        (failure, renewals): (Failure, u32),
    ) -> Result<Option<Refused>, EngineError> {
        let Some(connection) = connection_of(run.flow.plan(), step).cloned() else { return Ok(None) };
        let environment = run.record.environment.clone();
        let refusal =
            CredentialRefusal { at_ms: self.now_ms(), run: Some(run.id().clone()), flow: None, failure, renewals };
        let parts = [environment.as_str().as_bytes(), connection.as_str().as_bytes(), run.id().as_str().as_bytes()];
        batch.put(PARKED.key(&parts), b"");
        let marked = self.0.refusals.get(&environment, &connection);
        if marked.is_none_or(|marked| marked.renewals != renewals) {
            REFUSALS.put(batch, &parts[..2], &refusal)?;
        }
        if !run.open.refused.contains(&connection) {
            run.open.refused.push(connection.clone());
        }
        OPEN.put(batch, &[run.id().as_str().as_bytes()], &run.open)?;
        Ok(Some(Refused { connection, refusal }))
    }

    /// Runs wait from now on, durably. Was the credential replaced since their calls, they
    /// go on at once.
    pub(crate) async fn note_refused(&self, run: &Run, refused: Vec<Refused>) -> Result<(), EngineError> {
        let environment = &run.record.environment;
        for Refused { connection, refusal } in refused {
            self.mark(environment, &connection, refusal);
            self.resume_parked(environment, &connection).await?;
        }
        Ok(())
    }

    /// Marks a connection that a flow's poll was refused over, durably, so that nobody asks
    /// over it in vain. What was replaced since then is not marked.
    pub(crate) async fn note_refused_poll(
        &self,
        flow: &FlowId,
        connection: &LiveConnection,
        failure: &Failure,
    ) -> Result<(), EngineError> {
        let ConnectionRecord { environment, id, renewals, .. } = &connection.record;
        let _one_at_a_time = self.0.administration.lock().await;
        let now = self.live_connection(environment, id).ok();
        if now.is_none_or(|now| now.record.renewals != *renewals || self.refusal_of(&now).is_some()) {
            return Ok(());
        }
        let flow = Some(flow.clone());
        let refusal =
            CredentialRefusal { at_ms: self.now_ms(), run: None, flow, failure: failure.clone(), renewals: *renewals };
        let mut batch = Batch::new();
        REFUSALS.put(&mut batch, &[environment.as_str().as_bytes(), id.as_str().as_bytes()], &refusal)?;
        self.0.store.commit(batch).await?;
        self.mark(environment, id, refusal);
        Ok(())
    }

    fn mark(&self, environment: &Environment, connection: &ConnectionId, refusal: CredentialRefusal) {
        let known = self.0.refusals.get(environment, connection);
        if known.is_none_or(|known| known.renewals < refusal.renewals) {
            tracing::warn!(%connection, %environment, problem = refusal.failure.to_problem().what, "the connection needs another credential");
            self.0.refusals.put(environment, connection, refusal);
        }
    }

    /// A connection's credential works again: it is marked no more.
    pub(crate) async fn forgive(&self, connection: &LiveConnection) -> Result<(), EngineError> {
        let record = &connection.record;
        if self.refusal_of(connection).is_none() {
            return Ok(());
        }
        let mut batch = Batch::new();
        REFUSALS.delete(&mut batch, &[record.environment.as_str().as_bytes(), record.id.as_str().as_bytes()]);
        self.0.store.commit(batch).await?;
        self.0.refusals.remove(&record.environment, &record.id);
        self.connection_changed(&record.environment, &record.id);
        self.resume_parked(&record.environment, &record.id).await
    }

    /// Wakes the runs that wait for a connection that is good again, those first that
    /// were accepted first.
    pub(crate) async fn resume_parked(
        &self,
        environment: &Environment,
        connection: &ConnectionId,
    ) -> Result<(), EngineError> {
        let prefix = PARKED.key(&[environment.as_str().as_bytes(), connection.as_str().as_bytes()]);
        loop {
            let live = self.live_connection(environment, connection).ok();
            if live.is_none_or(|live| self.refusal_of(&live).is_some()) {
                return Ok(());
            }
            let rows = self.0.store.scan(&prefix, None, PAGE, Order::Ascending)?;
            let mut batch = Batch::new();
            let mut woken = Vec::new();
            for (key, _) in rows {
                batch.delete(&key);
                let Some(run) = run_of(&key) else { continue };
                self.put_message(&mut batch, &run, &Message::Mended { connection: connection.clone() })?;
                woken.push(run);
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.0.store.commit(batch).await?;
            for run in &woken {
                self.wake(run).await;
            }
        }
    }

    /// The same for every connection: at start, should the host have stopped between the
    /// new credential and its consequences.
    pub(crate) async fn resume_all_parked(&self) -> Result<(), EngineError> {
        let mut connections = BTreeSet::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self.0.store.scan(&PARKED.key(&[]), after.as_deref(), PAGE, Order::Ascending)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.to_vec());
            connections.extend(rows.iter().filter_map(|(key, _)| names(PARKED.parts(key))));
        }
        for (environment, connection) in connections {
            self.resume_parked(&environment, &connection).await?;
        }
        Ok(())
    }

    /// A connection was mended: the calls that waited for it are due.
    pub(crate) fn put_mended(
        &self,
        run: &mut Run,
        batch: &mut Batch,
        connection: &ConnectionId,
    ) -> Result<(), EngineError> {
        let at_ms = self.now_ms();
        run.open.refused.retain(|refused| refused != connection);
        for spot in run.refused_over(connection) {
            if run.open.timers.iter().all(|timer| timer.spot != spot) {
                run.open.timers.push(Timer { spot, at_ms });
            }
        }
        Ok(run.put_parked(batch, 0)?)
    }
}

/// What the remote said, and of which credential, when an entry is about that.
pub(crate) fn refused_in(entries: &[Entry], renewals: Option<u32>) -> Option<(Failure, u32)> {
    entries.iter().find_map(|entry| match entry {
        Entry::Attempted { failure, after: After::Reauthorised, .. } => Some((failure.clone(), renewals?)),
        _ => None,
    })
}

fn names(parts: Option<Vec<Vec<u8>>>) -> Option<(Environment, ConnectionId)> {
    let mut parts = parts?.into_iter().filter_map(|part| String::from_utf8(part).ok());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn run_of(key: &[u8]) -> Option<RunId> {
    String::from_utf8(PARKED.parts(key)?.into_iter().nth(2)?).ok()?.parse().ok()
}
