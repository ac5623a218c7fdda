//! Webhooks that connectors set up at the remote service: made when a flow is
//! published, prolonged ahead of their end, taken away when it is not published any
//! more.
//!
//! Invariants: what is to be done is decided from what is kept and what is published,
//! so that it goes on after a crash at any point; an attempt is on record before it is
//! made; the secret is the host's, and the connector never sees it.

use std::sync::Arc;

use flow::Trigger;
use model::{ConnectionId, Digest, Environment, Failure, FlowId, OperationRef, Problem};
use sandbox::{Answer, Report};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Batch, Order};

use crate::alarms::{Alarm, Kind};
use crate::backoff::{asked_for_ms, backoff_ms};
use crate::call::{CallFor, CallTarget, not_made};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::{PAGE, Published};
use crate::records::{SUBSCRIPTIONS, SubscriptionRecord};

/// Steps taken in a row: another webhook away, one made; more is a fault of somebody's.
const STEPS_MAX: usize = 4;
/// After half a day of trying, a webhook that is not wanted any more is left to the
/// service, whose deliveries find no flow.
const UNWANTED_MS_MAX: u64 = 12 * 3_600_000;

/// A flow's webhook at the remote service, as people look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionView {
    /// How it is.
    pub state: SubscriptionState,
    /// When the service ends it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// When the host sees to it next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<u64>,
    /// What is wrong, and how a person sets the webhook up instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// How a flow's webhook at the remote service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubscriptionState {
    /// It is there.
    Subscribed,
    /// It is being set up.
    Pending,
    /// It could not be set up or prolonged; it is tried again.
    Failing,
    /// The host has no public address, so that a person has to do it.
    ByHand,
}

/// What a published flow wants to be there.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    uses: OperationRef,
    connection: ConnectionId,
    config: Value,
    digest: Digest,
    url: String,
    secret: u32,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Nothing before this time, if ever.
    Wait(Option<u64>),
    /// Set up what the flow wants.
    Subscribe,
    /// Find out about an attempt without an answer.
    Find,
    /// Prolong it, or tell the service what has changed.
    Renew,
    /// Take it away.
    Unsubscribe,
    /// There is nothing at the service any more.
    Forget,
}

impl SubscriptionRecord {
    fn of(wanted: &Wanted) -> Self {
        Self {
            uses: wanted.uses.clone(),
            connection: wanted.connection.clone(),
            config: wanted.config.clone(),
            digest: wanted.digest,
            url: wanted.url.clone(),
            secret: wanted.secret,
            handle: None,
            maybe: false,
            made_ms: 0,
            expires_ms: None,
            failures: 0,
            problem: None,
            unwanted_ms: None,
        }
    }

    fn is_of(&self, wanted: &Wanted) -> bool {
        self.uses == wanted.uses && self.connection == wanted.connection && self.config == wanted.config
    }

    /// When two thirds of its time have passed: the rest is for failures.
    fn renew_ms(&self) -> Option<u64> {
        let expires_ms = self.expires_ms?;
        Some(expires_ms - expires_ms.saturating_sub(self.made_ms) / 3)
    }
}

/// What follows from what is there and what is wanted.
fn decide(record: Option<&SubscriptionRecord>, wanted: Option<&Wanted>, now_ms: u64) -> Step {
    match (record, wanted) {
        (None, None) => Step::Wait(None),
        (None, Some(_)) => Step::Subscribe,
        (Some(record), Some(wanted)) if record.is_of(wanted) => match record.renew_ms() {
            _ if record.handle.is_none() => Step::Subscribe,
            _ if record.url != wanted.url || record.secret != wanted.secret => Step::Renew,
            Some(renew_ms) if renew_ms <= now_ms => Step::Renew,
            renew_ms => Step::Wait(renew_ms),
        },
        (Some(record), Some(_) | None) if record.handle.is_some() => Step::Unsubscribe,
        (Some(record), Some(_) | None) if record.maybe => Step::Find,
        (Some(_), Some(_) | None) => Step::Forget,
    }
}

impl Engine {
    /// Sees to a flow's webhook at the remote service, and sets its next alarm.
    pub(crate) async fn tend_subscription(&self, environment: &Environment, flow: &FlowId) -> Result<(), EngineError> {
        let alarm = Alarm { kind: Kind::Subscription, environment: environment.clone(), flow: flow.clone() };
        for _ in 0..STEPS_MAX {
            let published = self.0.flows.get(environment, flow);
            let record = SUBSCRIPTIONS.get(&*self.0.store, &parts(environment, flow))?;
            let wanted = match published.as_deref().map(|published| self.wanted(published)) {
                // Without an address nothing is made, and nothing taken away either.
                Some(Some(None)) => return Ok(()),
                Some(Some(Some(wanted))) => Some(wanted),
                Some(None) | None => None,
            };
            let step = decide(record.as_ref(), wanted.as_ref(), self.now_ms());
            let made = match (step, record, wanted) {
                (Step::Wait(at_ms), record, _) => {
                    if let Some(record) = record.filter(|record| record.unwanted_ms.is_some()) {
                        let record = SubscriptionRecord { unwanted_ms: None, ..record };
                        self.keep_subscription(environment, flow, &record).await?;
                    }
                    self.0.alarms.set(alarm, at_ms);
                    return Ok(());
                }
                (Step::Subscribe, record, Some(wanted)) => {
                    let (failures, maybe) = record.map_or((0, false), |record| (record.failures, record.maybe));
                    let record = SubscriptionRecord { failures, maybe, ..SubscriptionRecord::of(&wanted) };
                    self.subscribe(environment, flow, record).await?
                }
                (Step::Renew, Some(record), Some(wanted)) => self.renew(environment, flow, record, &wanted).await?,
                (Step::Find, Some(record), wanted) => {
                    // What is wanted now does not wait for what may be left of before.
                    let patience_ms = if wanted.is_some() { 0 } else { UNWANTED_MS_MAX };
                    self.find(environment, flow, self.unwanted(record), patience_ms).await?
                }
                (Step::Unsubscribe, Some(record), _) => {
                    self.unsubscribe(environment, flow, self.unwanted(record)).await?
                }
                (Step::Forget | Step::Subscribe | Step::Renew | Step::Find | Step::Unsubscribe, ..) => {
                    self.forget_subscription(environment, flow).await?;
                    None
                }
            };
            if let Some(wait_ms) = made {
                self.0.alarms.set(alarm, Some(self.now_ms() + wait_ms));
                return Ok(());
            }
        }
        self.0.alarms.set(alarm, Some(self.now_ms() + backoff_ms(1, self.0.clock.random())));
        Ok(())
    }

    /// What the flow wants: None, nothing; Some(None), something, but the host has no
    /// public address.
    fn wanted(&self, published: &Published) -> Option<Option<Wanted>> {
        let Trigger::Connector { uses, connection, config, subscribe: Some(_), .. } = published.plan().trigger() else {
            return None;
        };
        let record = self.0.flows.record(&published.environment, published.plan().id())?;
        // What the host paused is to be mended, and keeps its webhook.
        let by_a_person = record.paused.as_ref().is_some_and(|paused| paused.cause.is_none());
        if record.retired.is_some() || by_a_person {
            return None;
        }
        let digest = published.plan().locked().get(&uses.plugin).copied()?;
        Some(self.0.public_url.get().map(|public_url| Wanted {
            uses: uses.clone(),
            connection: connection.clone(),
            config: config.clone(),
            digest,
            url: format!("{public_url}{}", self.hook_path(published)),
            secret: self.0.hooks.generation(&published.environment, published.plan().id()),
        }))
    }

    /// Finds out about an attempt without an answer: making it once more says what is
    /// there. After so long it is left as it is.
    async fn find(
        &self,
        environment: &Environment,
        flow: &FlowId,
        record: SubscriptionRecord,
        patience_ms: u64,
    ) -> Result<Option<u64>, EngineError> {
        let tried_ms = self.tried_ms(&record);
        let made = self.subscribe(environment, flow, record).await?;
        if made.is_none() || tried_ms < patience_ms {
            return Ok(made);
        }
        tracing::warn!(%flow, %environment, "a webhook that is not wanted any more may be left at the service; look for it there");
        self.forget_subscription(environment, flow).await?;
        Ok(None)
    }

    /// Makes one. Some: it failed, and is tried again after so long.
    async fn subscribe(
        &self,
        environment: &Environment,
        flow: &FlowId,
        mut record: SubscriptionRecord,
    ) -> Result<Option<u64>, EngineError> {
        let secret = self.ensure_hook_secret(environment, flow).await?;
        record.secret = self.0.hooks.generation(environment, flow);
        let in_doubt = std::mem::replace(&mut record.maybe, true);
        self.keep_subscription(environment, flow, &record).await?;
        let target = CallTarget::Subscribe {
            trigger: record.uses.operation.clone(),
            config: Arc::new(record.config.clone()),
            url: record.url.clone(),
            secret,
        };
        let report = self.call_subscription(environment, flow, &record, target).await;
        // What this attempt is told says nothing of one before it.
        record.maybe = in_doubt;
        self.take_subscribed(environment, flow, record, report).await
    }

    async fn renew(
        &self,
        environment: &Environment,
        flow: &FlowId,
        mut record: SubscriptionRecord,
        wanted: &Wanted,
    ) -> Result<Option<u64>, EngineError> {
        let secret = self.ensure_hook_secret(environment, flow).await?;
        let target = CallTarget::Renew {
            trigger: record.uses.operation.clone(),
            config: Arc::new(record.config.clone()),
            url: wanted.url.clone(),
            secret,
            handle: record.handle.clone().unwrap_or_default(),
        };
        let report = self.call_subscription(environment, flow, &record, target).await;
        if let Err(Failure::NotFound { .. }) = &report.outcome {
            // It is gone: made anew in the next step.
            (record.handle, record.maybe) = (None, false);
            self.keep_subscription(environment, flow, &record).await?;
            return Ok(None);
        }
        if report.outcome.is_ok() {
            (record.url, record.secret) = (wanted.url.clone(), self.0.hooks.generation(environment, flow));
        }
        self.take_subscribed(environment, flow, record, report).await
    }

    async fn take_subscribed(
        &self,
        environment: &Environment,
        flow: &FlowId,
        mut record: SubscriptionRecord,
        report: Report,
    ) -> Result<Option<u64>, EngineError> {
        let made = match report.outcome.and_then(Answer::into_subscribed) {
            Ok(made) => made,
            Err(failure) => return self.note_failure(environment, flow, record, &failure, report.sent).await,
        };
        let now_ms = self.now_ms();
        (record.handle, record.maybe, record.made_ms) = (Some(made.handle), false, now_ms);
        // One that ends at once would be prolonged for ever.
        record.expires_ms = made.expires_ms.map(|expires_ms| expires_ms.max(now_ms + LIFE_MS_MIN));
        (record.failures, record.problem, record.unwanted_ms) = (0, None, None);
        self.keep_subscription(environment, flow, &record).await?;
        tracing::info!(%flow, %environment, url = record.url, "subscribed");
        Ok(None)
    }

    /// From now on the host tries to take it away, if it does not already.
    fn unwanted(&self, record: SubscriptionRecord) -> SubscriptionRecord {
        SubscriptionRecord { unwanted_ms: record.unwanted_ms.or_else(|| Some(self.now_ms())), ..record }
    }

    /// For how long it has.
    fn tried_ms(&self, record: &SubscriptionRecord) -> u64 {
        record.unwanted_ms.map_or(0, |since_ms| self.now_ms().saturating_sub(since_ms))
    }

    async fn unsubscribe(
        &self,
        environment: &Environment,
        flow: &FlowId,
        record: SubscriptionRecord,
    ) -> Result<Option<u64>, EngineError> {
        let target = CallTarget::Unsubscribe {
            trigger: record.uses.operation.clone(),
            config: Arc::new(record.config.clone()),
            handle: record.handle.clone().unwrap_or_default(),
        };
        let report = self.call_subscription(environment, flow, &record, target).await;
        match report.outcome {
            Ok(_) | Err(Failure::NotFound { .. }) => {
                tracing::info!(%flow, %environment, "unsubscribed");
                self.forget_subscription(environment, flow).await?;
                Ok(None)
            }
            Err(failure) if self.tried_ms(&record) >= UNWANTED_MS_MAX => {
                tracing::warn!(%flow, %environment, problem = failure.to_problem().what, "a webhook that is not wanted any more is left to the service; remove it there");
                self.forget_subscription(environment, flow).await?;
                Ok(None)
            }
            Err(failure) => self.note_failure(environment, flow, record, &failure, false).await,
        }
    }

    async fn note_failure(
        &self,
        environment: &Environment,
        flow: &FlowId,
        mut record: SubscriptionRecord,
        failure: &Failure,
        sent: bool,
    ) -> Result<Option<u64>, EngineError> {
        let problem = failure.to_problem();
        tracing::warn!(%flow, %environment, problem = problem.what, "the flow's webhook at the service could not be seen to");
        record.maybe |= record.handle.is_none() && sent && unanswered(failure);
        let asked_ms = match failure {
            Failure::RateLimited { retry_after_ms } => *retry_after_ms,
            _ => None,
        };
        record.failures += 1;
        record.problem = Some(problem);
        self.keep_subscription(environment, flow, &record).await?;
        let chance = self.0.clock.random();
        Ok(Some(match asked_ms {
            Some(asked_ms) => asked_for_ms(asked_ms, chance),
            None => backoff_ms(record.failures, chance),
        }))
    }

    async fn keep_subscription(
        &self,
        environment: &Environment,
        flow: &FlowId,
        record: &SubscriptionRecord,
    ) -> Result<(), EngineError> {
        let mut batch = Batch::new();
        SUBSCRIPTIONS.put(&mut batch, &parts(environment, flow), record)?;
        self.0.store.commit(batch).await?;
        Ok(())
    }

    async fn forget_subscription(&self, environment: &Environment, flow: &FlowId) -> Result<(), EngineError> {
        let mut batch = Batch::new();
        SUBSCRIPTIONS.delete(&mut batch, &parts(environment, flow));
        self.0.store.commit(batch).await?;
        Ok(())
    }

    async fn call_subscription(
        &self,
        environment: &Environment,
        flow: &FlowId,
        record: &SubscriptionRecord,
        target: CallTarget,
    ) -> Report {
        let Some(installed) = self.0.catalogue.plugin(&record.digest) else {
            let problem = Problem::new("plugin-gone", format!("the plugin {} is not installed", record.uses.plugin));
            return not_made(Failure::Unavailable { problem: problem.fix("install and approve it again") });
        };
        let connection = match self.live_connection(environment, &record.connection) {
            Ok(connection) => connection,
            Err(error) => return not_made(Failure::Unavailable { problem: error.problems().swap_remove(0) }),
        };
        let whom = CallFor {
            environment,
            flow: Some(flow.to_string()),
            run: None,
            step: None,
            attempt: record.failures + 1,
            key: crate::clock::new_run_id(&self.0.clock).to_string(),
            timeout_ms: None,
        };
        self.call(target, &installed, Some(&connection), whom).await
    }

    /// Sees to the webhooks of all flows, those included that are not published any more.
    pub(crate) fn arm_subscriptions(&self) -> Result<(), EngineError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = SUBSCRIPTIONS.list(&*self.0.store, &[], after.as_deref(), PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.to_vec());
            for (key, _) in page {
                let names = SUBSCRIPTIONS.parts(&key).unwrap_or_default();
                let mut names = names.into_iter().map(|part| String::from_utf8(part).unwrap_or_default());
                let environment = names.next().and_then(|name| name.parse().ok());
                let flow = names.next().and_then(|name| name.parse().ok());
                if let Some((environment, flow)) = environment.zip(flow) {
                    self.arm_subscription(environment, flow);
                }
            }
        }
    }

    /// Sees to a flow's webhook now.
    pub(crate) fn arm_subscription(&self, environment: Environment, flow: FlowId) {
        let alarm = Alarm { kind: Kind::Subscription, environment, flow };
        self.0.alarms.set(alarm, Some(self.now_ms()));
    }

    /// How the webhook of a flow is that has the connector set it up.
    pub(crate) fn subscription_view(&self, published: &Published) -> Result<Option<SubscriptionView>, EngineError> {
        let Trigger::Connector { subscribe: Some(by_hand), .. } = published.plan().trigger() else { return Ok(None) };
        let (environment, flow) = (&published.environment, published.plan().id());
        let record = SUBSCRIPTIONS.get(&*self.0.store, &parts(environment, flow))?;
        let alarm = Alarm { kind: Kind::Subscription, environment: environment.clone(), flow: flow.clone() };
        let next_ms = self.0.alarms.time_of(&alarm);
        let hook = self.hook_path(published);
        let instead = format!("set it up yourself: {by_hand} (deliveries go to {hook} on the host's webhook address)");
        if self.0.public_url.get().is_none() {
            let problem = Problem::new("no-public-url", "the service cannot be told where this host is reached")
                .cause("the host was started without its public address")
                .fix(format!("start it with --public-url https://HOST, or {instead}"));
            let state = SubscriptionState::ByHand;
            return Ok(Some(SubscriptionView { state, expires_ms: None, next_ms, problem: Some(problem) }));
        }
        let failing = record.as_ref().and_then(|record| record.problem.clone());
        let state = match &record {
            _ if failing.is_some() => SubscriptionState::Failing,
            Some(record) if record.handle.is_some() => SubscriptionState::Subscribed,
            Some(_) | None => SubscriptionState::Pending,
        };
        let problem = failing.map(|problem| {
            let fix = problem.fix.as_ref().map_or_else(|| instead.clone(), |fix| format!("{fix}; or {instead}"));
            problem.fix(fix)
        });
        let expires_ms = record.and_then(|record| record.expires_ms);
        Ok(Some(SubscriptionView { state, expires_ms, next_ms, problem }))
    }
}

/// A webhook that a service ends sooner than this is prolonged no more often.
const LIFE_MS_MIN: u64 = 60_000;

/// Whether the service may have done it without the host having heard so.
fn unanswered(failure: &Failure) -> bool {
    matches!(failure, Failure::Transient { .. } | Failure::Crashed { .. } | Failure::LimitExceeded { .. })
        || matches!(failure, Failure::Remote { status, .. } if *status >= 500)
}

fn parts<'a>(environment: &'a Environment, flow: &'a FlowId) -> [&'a [u8]; 2] {
    [environment.as_str().as_bytes(), flow.as_str().as_bytes()]
}

#[cfg(test)]
#[path = "subscriptions_tests.rs"]
mod tests;
