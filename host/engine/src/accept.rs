//! Accepting: verify, name, keep durably, and only then acknowledge.
//!
//! No connector runs before the acknowledgement. A delivery that was seen before
//! is told which run it became; both facts are decided in one atomic batch.

use std::sync::Arc;
use std::time::Duration;

use flow::{Entry, Event, Trigger};
use model::{Environment, FlowId, Problem, RunId, Verification, Webhook};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use store::{Batch, CommitError, Position};

use crate::depth::{DEPTH_MAX, is_too_deep};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::hooks::webhook_of;
use crate::queue::Room;
use crate::records::{DeliveryRecord, Origin, RunRecord, RunStatus};
use crate::run::{RawDelivery, Run};
use crate::runner::Stepped;
use crate::seen::{Seen, SeenRecord};
use crate::verify::{Incoming, Refusal, delivery_key, verify};

/// What became of a delivery.
#[derive(Debug, Clone)]
pub enum Accepted {
    /// Kept; the run will happen.
    Queued {
        /// Its name.
        run: RunId,
    },
    /// Seen before; nothing was added.
    Duplicate {
        /// The run it became then.
        run: RunId,
    },
    /// Kept, run, and over: synchronous mode.
    Completed(RunResult),
}

/// How a run ended, for whoever waited for it.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// Its name.
    pub run: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// The flow's output; null when it has none.
    pub output: Arc<Value>,
    /// Why it gave up.
    pub problem: Option<Problem>,
}

/// A verified delivery, not kept yet.
struct Admitted {
    run: Run,
    /// Names the delivery among the flow's.
    key: String,
    /// The event, when no connector has to read it.
    event: Option<Arc<Value>>,
}

/// A worker is done with most runs sooner.
const FULL_AGAIN_MS: u64 = 2_000;

impl Engine {
    /// Accepts a webhook delivery.
    ///
    /// # Errors
    /// Unknown flow, wrong signature, malformed body, full queue or disk: nothing
    /// was kept then.
    pub async fn accept(
        &self,
        environment: &Environment,
        flow: &FlowId,
        incoming: Incoming,
    ) -> Result<Accepted, EngineError> {
        self.accept_at(environment, flow, None, incoming).await
    }

    /// Accepts a webhook delivery at an address with this token.
    ///
    /// # Errors
    /// As `accept`; a wrong token is an unknown flow.
    pub async fn accept_at(
        &self,
        environment: &Environment,
        flow: &FlowId,
        token: Option<&str>,
        incoming: Incoming,
    ) -> Result<Accepted, EngineError> {
        self.check_open()?;
        let published = self.published_for_event(environment, flow)?;
        let webhook = webhook_of(&published)?;
        self.check_token(&published, token)?;
        let admitted = self.admit(&published, webhook, &incoming)?;
        match published.plan().respond() {
            None => self.accept_queued(admitted).await,
            Some(respond) => self.accept_waiting(admitted, Duration::from_millis(respond.within_ms)).await,
        }
    }

    /// Starts a flow by hand.
    ///
    /// # Errors
    /// Unknown flow, a flow with another trigger, or input that its schema refuses.
    pub async fn start(
        &self,
        environment: &Environment,
        flow: &FlowId,
        input: Value,
        by: &str,
    ) -> Result<RunId, EngineError> {
        self.check_open()?;
        let published = self.published_for_event(environment, flow)?;
        let instead = match published.plan().trigger() {
            Trigger::Manual { .. } => None,
            Trigger::Connector { .. } | Trigger::Webhook { .. } => Some((
                "deliveries",
                format!("send a delivery to {}, or replay one of its runs", self.hook_path(&published)),
            )),
            Trigger::Poll(_) => {
                Some(("what its poll finds", "wait for its next poll, or replay one of its runs".to_owned()))
            }
            Trigger::Schedule(_) => {
                Some(("its schedule", "wait for its next time, or replay one of its runs".to_owned()))
            }
            Trigger::Call { .. } => {
                Some(("steps of other flows", format!("call it by a step of another flow: call: {flow}")))
            }
        };
        if let Some((what, fix)) = instead {
            let problem = Problem::new("not-manual", format!("flow {flow} is started by {what}, not by hand"));
            return Err(EngineError::Refused(problem.fix(fix)));
        }
        check_event(&published, &input)?;
        let origin = Origin::Manual { by: by.to_owned() };
        self.start_with(published, Arc::new(input), origin).await
    }

    /// Starts a run with an event that is known to fit.
    pub(crate) async fn start_with(
        &self,
        flow: Arc<Published>,
        event: Arc<Value>,
        origin: Origin,
    ) -> Result<RunId, EngineError> {
        self.check_room(&flow)?;
        let mut run = self.new_run(&flow, origin, RunStatus::Running);
        let mut batch = Batch::new();
        run.put_accepted(&mut batch)?;
        self.put_started(&mut run, &mut batch, event)?;
        let (id, bytes) = (run.id().clone(), batch.bytes());
        run.since = self.hand_over(batch, [&mut run])?.await?;
        self.set_going(run, bytes);
        Ok(id)
    }

    /// Checks a delivery against the secrets of its flow.
    pub(crate) fn verify_delivery(&self, published: &Published, incoming: &Incoming) -> Result<(), EngineError> {
        let webhook = webhook_of(published)?;
        let now_ms = self.now_ms();
        let mut refusal = Refusal::Mismatch;
        for secret in self.delivery_secrets(published)? {
            match verify(webhook, secret.expose_secret(), incoming, now_ms) {
                Ok(()) => return Ok(()),
                Err(refused) => refusal = refused,
            }
        }
        Err(forged(&refusal))
    }

    /// The secrets that verify the deliveries of a flow.
    pub(crate) fn delivery_secrets(&self, published: &Published) -> Result<Vec<SecretString>, EngineError> {
        match published.plan().trigger() {
            Trigger::Connector { connection, .. } | Trigger::Webhook { connection, .. } => {
                self.hook_secrets(published, connection)
            }
            Trigger::Poll(_) | Trigger::Schedule(_) | Trigger::Manual { .. } | Trigger::Call { .. } => Err(no_secret()),
        }
    }

    /// What a delivery would become.
    fn admit(
        &self,
        published: &Arc<Published>,
        webhook: &Webhook,
        incoming: &Incoming,
    ) -> Result<Admitted, EngineError> {
        self.verify_delivery(published, incoming)?;
        let event = match published.plan().trigger() {
            Trigger::Webhook { .. } => Some(parse_event(published, incoming)?),
            Trigger::Connector { .. }
            | Trigger::Poll(_)
            | Trigger::Schedule(_)
            | Trigger::Manual { .. }
            | Trigger::Call { .. } => None,
        };
        let key = key_of(webhook, incoming, event.as_ref());
        let origin = Origin::Webhook { delivery_key: key.clone(), index: 0 };
        let status = if event.is_some() { RunStatus::Running } else { RunStatus::Received };
        let mut run = self.new_run(published, origin, status);
        if event.is_none() {
            run.delivery = Some(raw(webhook, incoming));
        }
        Ok(Admitted { run, key, event: event.map(Arc::new) })
    }

    async fn accept_queued(&self, admitted: Admitted) -> Result<Accepted, EngineError> {
        let Admitted { mut run, key, event } = admitted;
        self.check_room(&run.flow)?;
        let mut batch = Batch::new();
        self.put_seen(&Seen::of(&run.record, &key), run.id(), &mut batch);
        run.put_accepted(&mut batch)?;
        match event {
            Some(event) => self.put_started(&mut run, &mut batch, event)?,
            None => self.put_place(&mut run, &mut batch)?,
        }
        let (id, bytes) = (run.id().clone(), batch.bytes());
        let handed_over = self.hand_over(batch, [&mut run])?;
        match handed_over.await {
            Ok(position) => {
                run.since = position;
                self.set_going(run, bytes);
                Ok(Accepted::Queued { run: id })
            }
            Err(error) => self.seen(error),
        }
    }

    /// Synchronous mode: the first effect's intent is durable with the acceptance,
    /// hence a worker's place is taken first. When time is up the run goes on.
    async fn accept_waiting(&self, admitted: Admitted, within: Duration) -> Result<Accepted, EngineError> {
        let until = tokio::time::Instant::now() + within;
        let Some(place) = self.0.workers.place_until(until).await else { return self.accept_queued(admitted).await };
        self.check_open()?;
        if self.is_held(&admitted.run) {
            return self.accept_queued(admitted).await;
        }
        let Some(turn) = self.0.queue.begin(&admitted.run) else { return self.accept_queued(admitted).await };
        let Admitted { mut run, key, event } = admitted;
        let id = run.id().clone();
        let mut batch = Batch::new();
        self.put_seen(&Seen::of(&run.record, &key), run.id(), &mut batch);
        run.since = Position::LAST;
        let mut begun = None;
        match event {
            None => self.put_place(&mut run, &mut batch)?,
            // Others may come first.
            Some(trigger) if run.is_sequential() => self.put_started(&mut run, &mut batch, trigger)?,
            Some(trigger) => {
                let event = Event::Started { trigger, run: run.facts() };
                begun = Some(self.put_step(&mut run, &mut batch, event, None, false)?);
            }
        }
        // After its first step, which may have been its last: then it never was open.
        if !run.record.status.is_final() {
            run.put_accepted(&mut batch)?;
        }
        let children = begun.iter_mut().flat_map(|begun: &mut Stepped| &mut begun.children);
        let handed_over = self.hand_over(batch, children.chain([&mut run]))?;
        match handed_over.await {
            Ok(position) => run.since = position,
            Err(error) => return self.seen(error),
        }
        // One that has no place in line is a dead letter already.
        if begun.is_none() && run.record.status.is_final() {
            return Ok(Accepted::Queued { run: id });
        }
        let engine = self.clone();
        let running = tokio::spawn(async move {
            let result = engine.go_on(run, begun).await;
            drop((turn, place));
            result
        });
        match tokio::time::timeout_at(until, running).await {
            Ok(Ok(Some(result))) => Ok(Accepted::Completed(result)),
            Ok(_) | Err(_) => Ok(Accepted::Queued { run: id }),
        }
    }

    /// Sorts a refused commit: seen before, or a fault.
    fn seen(&self, error: CommitError) -> Result<Accepted, EngineError> {
        let CommitError::Conflict { key } = &error else { return Err(error.into()) };
        let found = self.0.store.get(key)?;
        let found = found.and_then(|row| SeenRecord::decode(&row));
        let Some(seen) = found else { return Err(error.into()) };
        self.note_duplicate(key);
        Ok(Accepted::Duplicate { run: seen.run })
    }

    /// Writes a run's event, and where it stands in line.
    pub(crate) fn put_started(&self, run: &mut Run, batch: &mut Batch, event: Arc<Value>) -> Result<(), EngineError> {
        let started = Entry::Started { trigger: event, run: run.facts() };
        run.put_line(batch, self.now_ms(), vec![started], None)?;
        self.put_place(run, batch)
    }

    pub(crate) fn new_run(&self, flow: &Arc<Published>, origin: Origin, status: RunStatus) -> Run {
        let record = RunRecord {
            id: self.0.ids.next(&self.0.clock),
            flow: flow.plan().id().clone(),
            environment: flow.environment.clone(),
            version: flow.record.version,
            status,
            origin,
            accepted_at_ms: self.now_ms(),
            finished_at_ms: None,
        };
        Run::new(record, flow.clone())
    }

    /// Refuses what would wait behind too many others.
    pub(crate) fn check_room(&self, flow: &Published) -> Result<(), EngineError> {
        let problem = match self.0.queue.room(&flow.lane) {
            Room::Free => return Ok(()),
            Room::FlowFull => {
                Problem::new("queue-full", "too many runs of this flow are waiting; nothing was accepted")
                    .cause("its events arrive faster than its services take them; the places left are for other flows")
            }
            Room::Full => Problem::new("queue-full", "too many runs are waiting; nothing was accepted")
                .cause("events arrive faster than the flows' services take them"),
        };
        let problem = problem.fix("send it again after the time in Retry-After");
        Err(EngineError::Busy { problem, retry_after_ms: FULL_AGAIN_MS })
    }

    pub(crate) fn check_open(&self) -> Result<(), EngineError> {
        if self.0.queue.is_closed() {
            return Err(EngineError::Unavailable(
                Problem::new("shutting-down", "the host is shutting down; nothing was accepted")
                    .fix("send it again in a moment"),
            ));
        }
        Ok(())
    }
}

pub(crate) fn no_secret() -> EngineError {
    EngineError::Unauthentic(
        Problem::new(
            "no-webhook-secret",
            "the flow's connection has no webhook secret, so no delivery can be verified",
        )
        .fix("sluice connection add PLUGIN --id NAME --webhook-secret-file FILE"),
    )
}

pub(crate) fn forged(refusal: &Refusal) -> EngineError {
    EngineError::Unauthentic(
        Problem::new("signature", format!("the delivery was refused: {refusal}"))
            .cause("it comes from someone else, or the secret at the sender is not the connection's webhook secret")
            .fix("enter the same secret on both sides"),
    )
}

fn parse_event(published: &Published, incoming: &Incoming) -> Result<Value, EngineError> {
    let event: Value = serde_json::from_slice(&incoming.body).map_err(|error| {
        EngineError::invalid(
            Problem::new("body-not-json", format!("the body is not JSON: {error}"))
                .fix("send a JSON document in UTF-8"),
        )
    })?;
    check_event(published, &event)?;
    Ok(event)
}

pub(crate) fn check_event(published: &Published, event: &Value) -> Result<(), EngineError> {
    if is_too_deep(event) {
        return Err(EngineError::invalid(
            Problem::new("too-deep", format!("the event nests deeper than {DEPTH_MAX} levels"))
                .fix("send a flatter document"),
        ));
    }
    let fields = published.event.as_ref().map(|schema| schema.check(event)).unwrap_or_default();
    if fields.is_empty() {
        return Ok(());
    }
    let problem = |field: &model::FieldProblem| {
        Problem::new("event", field.to_string()).field(format!("trigger{}", field.path.replace('/', ".")))
    };
    Err(EngineError::Invalid(fields.iter().map(problem).collect()))
}

fn key_of(webhook: &Webhook, incoming: &Incoming, event: Option<&Value>) -> String {
    let parsed = match (&webhook.delivery_key, event) {
        (model::DeliveryKey::Body { .. }, None) => serde_json::from_slice(&incoming.body).ok(),
        _ => None,
    };
    delivery_key(&webhook.delivery_key, incoming, event.or(parsed.as_ref()))
}

/// What is kept: the headers that the trigger declares, query and body.
fn raw(webhook: &Webhook, incoming: &Incoming) -> RawDelivery {
    // A header that is itself the secret is neither kept nor shown to a connector.
    let secret = match &webhook.verification {
        Verification::Token { header } => Some(header),
        Verification::Github
        | Verification::Slack
        | Verification::Stripe
        | Verification::StandardWebhooks
        | Verification::Hmac { .. } => None,
    };
    let declared = |name: &String| Some(name) != secret && webhook.headers.iter().any(|wanted| wanted == name);
    let headers = incoming.headers.iter().filter(|(name, _)| declared(name)).cloned().collect();
    RawDelivery { record: DeliveryRecord { headers, query: incoming.query.clone() }, body: incoming.body.clone() }
}
