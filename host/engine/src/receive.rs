//! Reading a delivery: the connector says which events it holds.
//!
//! A recorded call like any other, made after the acknowledgement. The first event goes
//! on in the delivery's own run, each other one in a run of its own, all in one batch.

use std::sync::Arc;

use flow::{After, Entry, Event, Trigger};
use model::{Failure, Problem, Remedy};
use sandbox::{Answer, Delivery, Report};
use serde_json::Value;
use store::Batch;

use crate::call::{CallFor, CallTarget, not_made};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{CallRecord, Origin, RunStatus};
use crate::run::Run;
use crate::runner::{Stepped, record};

/// How often the connector is asked to read a delivery before it is a dead letter.
const RECEIVE_ATTEMPTS_MAX: u32 = 5;

impl Engine {
    /// Lets the connector read the delivery. None: the run is over, or parked.
    pub(crate) async fn receive(&self, run: &mut Run) -> Result<Option<Stepped>, EngineError> {
        let (report, digest) = self.call_receive(run).await;
        let attempt = run.open.receive_attempts + 1;
        let call = record(None, attempt, digest, &report);
        let now_ms = self.now_ms();
        let mut batch = Batch::new();
        let failure = match report.outcome.and_then(Answer::into_events) {
            Ok(events) if events.is_empty() => {
                run.put_line(&mut batch, now_ms, Vec::new(), Some(call))?;
                run.put_ended(&mut batch, now_ms, RunStatus::Ignored)?;
                self.keep(batch, []).await?;
                self.over(run).await;
                return Ok(None);
            }
            Ok(events) => return self.put_events(run, batch, events, call).await.map(Some),
            Err(failure) => failure,
        };
        run.put_line(&mut batch, now_ms, Vec::new(), Some(call))?;
        run.open.receive_attempts = attempt;
        let again = failure.remedy() == Remedy::Retry && attempt < RECEIVE_ATTEMPTS_MAX;
        if again {
            let wait_ms = self.wait_ms(After::Backoff { most_ms: 1_000 << attempt });
            run.put_parked(&mut batch, now_ms + wait_ms)?;
        } else {
            run.put_dead(&mut batch, now_ms, None, failure)?;
        }
        self.keep(batch, []).await?;
        if again {
            self.0.queue.push_timed(run.open.ready_at_ms, run.id().clone());
        } else {
            self.over(run).await;
        }
        Ok(None)
    }

    /// The events of a delivery, in one batch: the first goes on in this run, each
    /// other one becomes a run of its own.
    async fn put_events(
        &self,
        run: &mut Run,
        mut batch: Batch,
        events: Vec<sandbox::Event>,
        call: CallRecord,
    ) -> Result<Stepped, EngineError> {
        let mut payloads = distinct(events).into_iter();
        let first = payloads.next().unwrap_or_default();
        let mut others = Vec::new();
        for (index, payload) in (1..).zip(payloads) {
            let mut other = self.new_run(&run.flow.clone(), at(&run.record.origin, index), RunStatus::Running);
            other.put_accepted(&mut batch)?;
            self.put_started(&mut other, &mut batch, payload)?;
            others.push(other);
        }
        run.put_under_way(&mut batch)?;
        if run.is_sequential() {
            return self.put_in_order(run, others, batch, first, call).await;
        }
        let event = Event::Started { trigger: first, run: run.facts() };
        let held = self.is_held(run);
        let mut stepped = self.put_step(run, &mut batch, event, Some(call), held)?;
        let bytes = batch.bytes();
        self.keep(batch, others.iter_mut().chain(&mut stepped.children)).await?;
        others.into_iter().for_each(|other| self.set_going(other, bytes));
        Ok(stepped)
    }

    /// The same in a sequential flow: each event has its place in line now, and the next
    /// delivery is read. The run goes on when it has its turn.
    async fn put_in_order(
        &self,
        run: &mut Run,
        mut others: Vec<Run>,
        mut batch: Batch,
        event: Arc<Value>,
        call: CallRecord,
    ) -> Result<Stepped, EngineError> {
        let read = run.open.place.take();
        read.iter().for_each(|place| place.delete(&mut batch));
        let started = Entry::Started { trigger: event, run: run.facts() };
        run.put_line(&mut batch, self.now_ms(), vec![started], Some(call))?;
        self.put_place(run, &mut batch)?;
        let bytes = batch.bytes();
        self.keep(batch, std::iter::once(run).chain(&mut others)).await?;
        others.into_iter().for_each(|other| self.set_going(other, bytes));
        self.call_next(read.as_ref()).await;
        Ok(Stepped::default())
    }

    async fn call_receive(&self, run: &Run) -> (Report, Option<model::Digest>) {
        let missing = |what: &str| {
            let problem = Problem::new("trigger-gone", format!("the delivery cannot be read: {what}"))
                .fix("install and approve the plugin again, then replay the run");
            (not_made(Failure::Unavailable { problem }), None)
        };
        let Trigger::Connector { uses, connection, config, .. } = run.flow.plan().trigger() else {
            return missing("the flow's trigger needs no connector");
        };
        let digest = run.flow.plan().locked().get(&uses.plugin);
        let Some(installed) = digest.and_then(|digest| self.0.catalogue.plugin(digest)) else {
            return missing(&format!("the plugin {} is not installed", uses.plugin));
        };
        let Some(delivery) = &run.delivery else { return missing("its raw form is gone") };
        // A connection revoked since then does not matter: reading sends nothing.
        let connection = self.0.catalogue.connection(&run.record.environment, connection);
        let target = CallTarget::Receive {
            trigger: uses.operation.clone(),
            config: Arc::new(config.clone()),
            delivery: Delivery {
                headers: delivery.record.headers.clone(),
                query: delivery.record.query.clone(),
                body: delivery.body.to_vec(),
            },
        };
        let whom = CallFor {
            environment: &run.record.environment,
            flow: Some(run.record.flow.to_string()),
            run: Some(run.id().to_string()),
            step: None,
            attempt: run.open.receive_attempts + 1,
            key: run.id().to_string(),
            timeout_ms: None,
        };
        let report = self.call(target, &installed, connection.as_deref(), whom).await;
        (report, Some(installed.record.digest))
    }
}

/// Payloads, each key once: a connector may name the same event twice.
fn distinct(events: Vec<sandbox::Event>) -> Vec<Arc<Value>> {
    let mut seen = std::collections::HashSet::new();
    events
        .into_iter()
        .filter(|event| event.dedupe_key.as_ref().is_none_or(|key| seen.insert(key.clone())))
        .map(|event| Arc::new(serde_json::from_str(&event.payload).unwrap_or(Value::Null)))
        .collect()
}

fn at(origin: &Origin, index: u32) -> Origin {
    match origin {
        Origin::Webhook { delivery_key, .. } => Origin::Webhook { delivery_key: delivery_key.clone(), index },
        origin @ (Origin::Poll { .. }
        | Origin::Schedule { .. }
        | Origin::Manual { .. }
        | Origin::Flow { .. }
        | Origin::Replay { .. }) => origin.clone(),
    }
}
