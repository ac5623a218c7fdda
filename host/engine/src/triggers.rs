//! Triggers that need the host to act: one task looks after the times of them all.
//!
//! Owns the sleeper, what happens when a flow is published or the clock jumps, and
//! what people are shown. Each kind of trigger has a file of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use flow::Trigger;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use model::{ConnectionId, Environment};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::alarms::{Alarm, Kind};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::hooks::HookView;
use crate::polls::PollView;
use crate::schedules::ScheduleView;

/// Alarms answered at once: they share the store's group commits.
const AT_ONCE: usize = 256;
/// Connectors asked at once on behalf of triggers. Half of what runs may use by
/// default: asking must not keep answers from being worked on.
const ASKED_AT_ONCE: usize = 16;
/// A wall clock can jump; it is looked at again at least this often.
const LOOK_AGAIN_MS: u64 = 60_000;
/// A clock that goes back less than this was only corrected.
const CORRECTED_MS: u64 = 5_000;
/// A fault of the host's own (a full disk) may pass.
const FAULT_AGAIN_MS: u64 = 30_000;

/// What starts a flow and how that goes, as people look at it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TriggerView {
    /// Deliveries.
    Webhook(HookView),
    /// What the host finds when it asks.
    Poll(PollView),
    /// Times.
    Schedule(ScheduleView),
    /// People.
    Manual {
        /// JSON Schema of what they give; none: anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Value>,
    },
    /// Steps of other flows.
    Call {
        /// It only reads and computes.
        function: bool,
        /// JSON Schema of what it takes; none: anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Value>,
        /// JSON Schema of what it returns; none: anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
    },
}

impl Engine {
    /// Looks after the times of all triggers until the host goes down. What asks a
    /// connector goes on aside: schedules do not wait for it.
    pub(crate) async fn keep_time(self) {
        let (mut aside, places) = (JoinSet::new(), Arc::new(Semaphore::new(ASKED_AT_ONCE)));
        self.arm_all().await;
        let mut last_ms = self.now_ms();
        while !self.0.queue.is_closed() {
            let now_ms = self.now_ms();
            if now_ms + CORRECTED_MS < last_ms {
                tracing::warn!(by_ms = last_ms - now_ms, "the clock was set back");
                self.ring_all();
            }
            last_ms = now_ms;
            let due = self.0.alarms.due(now_ms, AT_ONCE);
            if due.is_empty() {
                self.sleep_until_next(now_ms).await;
                continue;
            }
            let (here, there): (Vec<_>, Vec<_>) = due.into_iter().partition(|alarm| alarm.kind == Kind::Schedule);
            there.into_iter().for_each(|alarm| drop(aside.spawn(self.clone().ask(alarm, places.clone()))));
            join_all(here.iter().map(|alarm| self.ring(alarm))).await;
            while aside.try_join_next().is_some() {}
        }
        // Nothing is half done: what was not kept is asked for again.
        aside.shutdown().await;
    }

    async fn sleep_until_next(&self, now_ms: u64) {
        let wait_ms = self.0.alarms.next_ms().map_or(LOOK_AGAIN_MS, |at_ms| at_ms.saturating_sub(now_ms));
        let wait = Duration::from_millis(wait_ms.clamp(1, LOOK_AGAIN_MS));
        tokio::select! {
            () = self.0.queue.closed() => {}
            () = self.0.alarms.changed() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    async fn ask(self, alarm: Arc<Alarm>, places: Arc<Semaphore>) {
        // The semaphore is never closed.
        let _place = places.acquire().await;
        if self.0.alarms.begin(&alarm) {
            self.ring(&alarm).await;
            self.0.alarms.end(&alarm, self.now_ms());
        }
    }

    /// Does what an alarm is for. A fault is tried again later.
    async fn ring(&self, alarm: &Arc<Alarm>) {
        let panicked = || EngineError::internal("the host panicked while it looked after a trigger");
        let done = AssertUnwindSafe(self.answer(alarm)).catch_unwind().await;
        if let Err(error) = done.unwrap_or_else(|_| Err(panicked())) {
            let (flow, environment) = (&alarm.flow, &alarm.environment);
            tracing::error!(%flow, %environment, error = &error as &dyn std::error::Error, "a trigger is tried again later");
            self.0.alarms.set((**alarm).clone(), Some(self.now_ms() + FAULT_AGAIN_MS));
        }
    }

    async fn answer(&self, alarm: &Alarm) -> Result<(), EngineError> {
        if alarm.kind == Kind::Subscription {
            return self.tend_subscription(&alarm.environment, &alarm.flow).await;
        }
        let Some(published) = self.0.flows.get(&alarm.environment, &alarm.flow) else { return Ok(()) };
        if self.is_retired(&published) {
            return Ok(());
        }
        match (alarm.kind, published.plan().trigger()) {
            (Kind::Schedule, Trigger::Schedule(schedule)) => self.fire_schedule(&published, schedule).await,
            (Kind::Poll, Trigger::Poll(poll)) => self.poll_flow(&published, poll).await,
            // The flow was published with another trigger meanwhile.
            (
                Kind::Schedule | Kind::Poll | Kind::Subscription,
                Trigger::Connector { .. }
                | Trigger::Poll(_)
                | Trigger::Webhook { .. }
                | Trigger::Schedule(_)
                | Trigger::Manual { .. }
                | Trigger::Call { .. },
            ) => Ok(()),
        }
    }

    /// Others have their turn now and then: there may be a hundred thousand flows.
    async fn arm_all(&self) {
        for some in self.0.flows.all().chunks(AT_ONCE) {
            some.iter().for_each(|published| self.arm(published));
            tokio::task::yield_now().await;
        }
        if let Err(error) = self.arm_subscriptions() {
            tracing::error!(error = &error as &dyn std::error::Error, "webhooks at services cannot be looked after");
        }
    }

    /// After the clock was set back every kept time is looked at anew.
    fn ring_all(&self) {
        for published in self.0.flows.all() {
            let kind = match published.plan().trigger() {
                Trigger::Schedule(_) => Kind::Schedule,
                Trigger::Poll(_) => Kind::Poll,
                Trigger::Connector { .. } => Kind::Subscription,
                Trigger::Webhook { .. } | Trigger::Manual { .. } | Trigger::Call { .. } => continue,
            };
            let (environment, flow) = (published.environment.clone(), published.plan().id().clone());
            self.0.alarms.set(Alarm { kind, environment, flow }, Some(0));
        }
    }

    /// Sets the alarms of a flow by what is kept: at start, and when it has changed.
    pub(crate) fn arm(&self, published: &Published) {
        let (environment, flow) = (published.environment.clone(), published.plan().id().clone());
        let armed = match published.plan().trigger() {
            Trigger::Schedule(schedule) => self.arm_schedule(published, schedule),
            Trigger::Poll(poll) => self.arm_poll(published, poll),
            Trigger::Connector { .. } | Trigger::Webhook { .. } | Trigger::Manual { .. } | Trigger::Call { .. } => {
                Ok(())
            }
        };
        if let Err(error) = armed {
            tracing::error!(%flow, %environment, error = &error as &dyn std::error::Error, "a trigger's state cannot be read");
        }
        // Whatever the trigger is now: an earlier one may have left a webhook behind.
        self.arm_subscription(environment, flow);
    }

    /// A connection was mended, or taken back: what waits for it does not wait longer.
    pub(crate) fn connection_changed(&self, environment: &Environment, connection: &ConnectionId) {
        let uses = |published: &&Arc<Published>| {
            published.environment == *environment
                && match published.plan().trigger() {
                    Trigger::Connector { connection: of, .. } => of == connection,
                    Trigger::Poll(poll) => poll.connection.as_ref() == Some(connection),
                    Trigger::Webhook { .. } | Trigger::Schedule(_) | Trigger::Manual { .. } | Trigger::Call { .. } => {
                        false
                    }
                }
        };
        self.0.flows.all().iter().filter(uses).for_each(|published| self.arm(published));
    }

    /// What starts a flow, and how that goes.
    pub(crate) fn trigger_view(&self, published: &Published) -> Result<TriggerView, EngineError> {
        Ok(match published.plan().trigger() {
            Trigger::Connector { .. } | Trigger::Webhook { .. } => TriggerView::Webhook(self.hook_view(published)?),
            Trigger::Poll(poll) => TriggerView::Poll(self.poll_view(published, poll)?),
            Trigger::Schedule(schedule) => TriggerView::Schedule(self.schedule_view(published, schedule)?),
            Trigger::Manual { input } => TriggerView::Manual { input: input.clone() },
            Trigger::Call { input, output, function } => {
                TriggerView::Call { function: *function, input: input.clone(), output: output.clone() }
            }
        })
    }
}
