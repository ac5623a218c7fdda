//! Polls: triggers that the host asks, now and then, what has happened since.
//!
//! Invariants: a page's events and its cursor are one batch, so that a crash neither
//! loses nor doubles an event; a flow is never polled twice at once; a poll that finds
//! nothing new writes nothing. How the last poll went is in memory only.

use std::sync::Arc;

use flow::{Poll, Start};
use model::{Failure, Problem, Remedy, RunId};
use sandbox::{Answer, Item, Page, Position, Report};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Batch;

use crate::alarms::{Alarm, Kind};
use crate::backoff::{backoff_ms, jitter_ms};
use crate::call::{CallFor, CallTarget, not_made};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::records::{Origin, POLLS, PollRecord, RunStatus};
use crate::run::Run;
use crate::seen::Seen;

/// Pages asked for in a row. Then others have their turn, and the rest comes at once.
const PAGES_AT_ONCE: usize = 10;
/// While the queue is full, or the flow is being polled, a poll waits this long.
const AGAIN_MS: u64 = 1_000;

/// Polls, as people look at them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PollView {
    /// The connector's trigger.
    pub uses: String,
    /// The time between two polls, in milliseconds.
    pub every_ms: u64,
    /// When the last one ended, since the host was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<u64>,
    /// When the next one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<u64>,
    /// Whether a poll has succeeded since the flow has this trigger.
    pub begun: bool,
    /// The last event's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunId>,
    /// How often it failed in a row.
    pub failures: u32,
    /// Why it failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl PollRecord {
    /// Whether a cursor that is kept was made by such a poll.
    fn is_of(&self, poll: &Poll) -> bool {
        self.uses == poll.uses && self.connection == poll.connection && self.config == poll.config
    }

    fn new(poll: &Poll) -> Self {
        let (uses, connection, config) = (poll.uses.clone(), poll.connection.clone(), poll.config.clone());
        Self { uses, connection, config, cursor: None, last_run: None }
    }
}

/// What a poll leads to.
enum Polled {
    /// Nothing more for now.
    Done,
    /// There is more already.
    More,
    Failed(Failure),
    /// The remote refuses the credential of the connection, which is marked.
    Refused(Failure),
}

impl Engine {
    /// Polls a flow, keeps what it found, and sets its next alarm.
    pub(crate) async fn poll_flow(&self, published: &Arc<Published>, poll: &Poll) -> Result<(), EngineError> {
        let alarm = alarm(published);
        let only_one = self.0.polls.begin(&alarm).filter(|_| self.check_room(published).is_ok());
        let Some(only_one) = only_one else {
            self.0.alarms.set(alarm, Some(self.now_ms() + AGAIN_MS));
            return Ok(());
        };
        let polled = self.poll_pages(published, poll).await;
        let now_ms = self.now_ms();
        let wait_ms = self.take_in(&alarm, poll, &polled, now_ms);
        drop(only_one);
        // A flow that was published with another trigger meanwhile has its own alarm.
        if self.still_polls(published, poll) {
            self.0.alarms.set(alarm, wait_ms.map(|wait_ms| now_ms + wait_ms));
            if wait_ms.is_none() && self.refused_for(published, poll).is_none() {
                // Another credential came between the refusal and the alarm.
                self.arm(published);
            }
        }
        if let (Ok(Polled::Failed(failure)), Some(wait_ms)) = (&polled, wait_ms) {
            let flow = published.plan().id();
            tracing::warn!(%flow, environment = %published.environment, problem = failure.to_problem().what, again_in_ms = wait_ms, "a poll failed");
        }
        polled.map(drop)
    }

    /// Takes in how a poll went. The wait before the next one; none: until the connection
    /// has another credential.
    fn take_in(&self, alarm: &Alarm, poll: &Poll, polled: &Result<Polled, EngineError>, now_ms: u64) -> Option<u64> {
        let chance = self.0.clock.random();
        self.0.polls.change(alarm, |state| match polled {
            Ok(Polled::Failed(failure)) => Some(state.failed(now_ms, failure, poll.every_ms, chance)),
            Ok(Polled::Refused(failure)) => {
                state.refused(failure);
                None
            }
            Ok(Polled::More) => Some(state.succeeded(now_ms, 1)),
            Ok(Polled::Done) => Some(state.succeeded(now_ms, jitter_ms(poll.every_ms, chance))),
            Err(_) => Some(backoff_ms(1, chance)),
        })
    }

    /// What the remote said of the credential that this poll would use.
    fn refused_for(&self, published: &Published, poll: &Poll) -> Option<Failure> {
        let connection = self.live_connection(&published.environment, poll.connection.as_ref()?).ok()?;
        self.refusal_of(&connection).map(|refusal| refusal.failure)
    }

    async fn poll_pages(&self, published: &Arc<Published>, poll: &Poll) -> Result<Polled, EngineError> {
        for _ in 0..PAGES_AT_ONCE {
            if self.0.queue.is_closed() || self.check_room(published).is_err() {
                return Ok(Polled::More);
            }
            if let Some(failure) = self.refused_for(published, poll) {
                return Ok(Polled::Refused(failure));
            }
            let record = self.poll_record(published, poll)?;
            let page = match self.ask_for_page(published, poll, &record).await?.and_then(Answer::into_page) {
                Ok(page) => page,
                Err(failure) if failure.remedy() == Remedy::Reauthorise && poll.connection.is_some() => {
                    return Ok(Polled::Refused(failure));
                }
                Err(failure) => return Ok(Polled::Failed(failure)),
            };
            let more = page.more;
            if more && page.items.is_empty() && record.cursor.as_deref() == Some(&*page.cursor) {
                let message = "the connector says that there is more, and gives nothing new".to_owned();
                return Ok(Polled::Failed(Failure::Permanent { message }));
            }
            if !self.keep_page(published, poll, record, page).await? || !more {
                return Ok(Polled::Done);
            }
        }
        Ok(Polled::More)
    }

    /// Asks once. A credential that is refused is tried once more at once, as runs do: it
    /// may have been replaced just now, or the remote be mistaken. Then it is marked.
    async fn ask_for_page(
        &self,
        published: &Published,
        poll: &Poll,
        record: &PollRecord,
    ) -> Result<Result<Answer, Failure>, EngineError> {
        let mut outcome = self.call_poll(published, poll, record).await.outcome;
        let is_refused = |outcome: &Result<Answer, Failure>| {
            outcome.as_ref().is_err_and(|failure| failure.remedy() == Remedy::Reauthorise)
        };
        if let Some(connection) = poll.connection.as_ref().filter(|_| is_refused(&outcome)) {
            let asked = self.live_connection(&published.environment, connection).ok();
            outcome = self.call_poll(published, poll, record).await.outcome;
            if let (Some(asked), Err(failure)) = (asked, &outcome)
                && failure.remedy() == Remedy::Reauthorise
            {
                self.note_refused_poll(published.plan().id(), &asked, failure).await?;
            }
        }
        Ok(outcome)
    }

    async fn call_poll(&self, published: &Published, poll: &Poll, record: &PollRecord) -> Report {
        let environment = &published.environment;
        let digest = published.plan().locked().get(&poll.uses.plugin);
        let Some(installed) = digest.and_then(|digest| self.0.catalogue.plugin(digest)) else {
            let problem = Problem::new("plugin-gone", format!("the plugin {} is not installed", poll.uses.plugin));
            return not_made(Failure::Unavailable { problem: problem.fix("install and approve it again") });
        };
        let connection = poll.connection.as_ref().map(|id| self.live_connection(environment, id)).transpose();
        let connection = match connection {
            Ok(connection) => connection,
            Err(error) => return not_made(Failure::Unavailable { problem: error.problems().swap_remove(0) }),
        };
        let from = match (&record.cursor, poll.from) {
            (Some(cursor), _) => Position::After(cursor.clone()),
            (None, Start::Now) => Position::Now,
            (None, Start::Beginning) => Position::Beginning,
        };
        let config = Arc::new(poll.config.clone());
        let target = CallTarget::Poll { trigger: poll.uses.operation.clone(), config, from };
        let whom = CallFor {
            environment,
            flow: Some(published.plan().id().to_string()),
            run: None,
            step: None,
            attempt: 1,
            key: crate::clock::new_run_id(&self.0.clock).to_string(),
            timeout_ms: None,
        };
        self.call(target, &installed, connection.as_deref(), whom).await
    }

    /// Keeps a page: its events, each a run, and its cursor, in one batch. False: the
    /// flow has another trigger by now, and nothing was kept.
    async fn keep_page(
        &self,
        published: &Arc<Published>,
        poll: &Poll,
        mut record: PollRecord,
        page: Page,
    ) -> Result<bool, EngineError> {
        // Publishing waits: no page is kept for a trigger that is none any more.
        let _one_at_a_time = self.0.administration.lock().await;
        if !self.still_polls(published, poll) {
            return Ok(false);
        }
        let mut batch = Batch::new();
        let mut runs = Vec::new();
        for item in in_order(page.items) {
            runs.extend(self.put_item(published, item, &mut batch)?);
        }
        if runs.is_empty() && record.cursor.as_deref() == Some(&*page.cursor) {
            return Ok(true);
        }
        record.cursor = Some(page.cursor);
        record.last_run = runs.last().map(|run: &Run| run.id().clone()).or(record.last_run);
        POLLS.put(&mut batch, &parts(published), &record)?;
        let bytes = batch.bytes();
        self.hand_over(batch, &mut runs)?.await?;
        runs.into_iter().for_each(|run| self.set_going(run, bytes));
        Ok(true)
    }

    /// Writes one event. None: it was found before.
    fn put_item(&self, published: &Arc<Published>, item: Item, batch: &mut Batch) -> Result<Option<Run>, EngineError> {
        let key = format!("item:{}", item.dedupe_key);
        let seen = Seen { environment: &published.environment, flow: published.plan().id(), key: &key };
        if self.was_seen(&seen)? {
            return Ok(None);
        }
        let mut run = self.new_run(published, Origin::Poll { item: item.dedupe_key }, RunStatus::Running);
        self.put_seen(&seen, run.id(), batch);
        run.put_accepted(batch)?;
        // The sandbox gives valid JSON only.
        let event: Value = serde_json::from_str(&item.payload).unwrap_or_default();
        self.put_started(&mut run, batch, Arc::new(event))?;
        Ok(Some(run))
    }

    /// Whether the flow's published version asks as this poll does, and may.
    fn still_polls(&self, published: &Published, poll: &Poll) -> bool {
        if self.is_retired(published) || self.0.flows.is_paused(&published.lane) {
            return false;
        }
        let now = self.0.flows.get(&published.environment, published.plan().id());
        now.is_some_and(|now| match now.plan().trigger() {
            flow::Trigger::Poll(now) => PollRecord::new(now).is_of(poll),
            flow::Trigger::Connector { .. }
            | flow::Trigger::Webhook { .. }
            | flow::Trigger::Schedule(_)
            | flow::Trigger::Manual { .. }
            | flow::Trigger::Call { .. } => false,
        })
    }

    /// What is kept of the flow's polls; the first one begins when nothing is.
    fn poll_record(&self, published: &Published, poll: &Poll) -> Result<PollRecord, EngineError> {
        let kept = POLLS.get(&*self.0.store, &parts(published))?;
        Ok(kept.filter(|kept| kept.is_of(poll)).unwrap_or_else(|| PollRecord::new(poll)))
    }

    /// Sets the flow's alarm: a poll soon, but not of all flows at once.
    pub(crate) fn arm_poll(&self, published: &Published, poll: &Poll) -> Result<(), EngineError> {
        if self.is_retired(published) || self.0.flows.is_paused(&published.lane) {
            self.0.alarms.set(alarm(published), None);
            return Ok(());
        }
        // The first poll says where "now" is: it does not wait.
        let begun = self.poll_record(published, poll)?.cursor.is_some();
        let spread_ms = if begun { self.0.clock.random() % (poll.every_ms / 10 + 1) } else { 0 };
        self.0.alarms.set(alarm(published), Some(self.now_ms() + spread_ms));
        Ok(())
    }

    pub(crate) fn poll_view(&self, published: &Published, poll: &Poll) -> Result<PollView, EngineError> {
        let alarm = alarm(published);
        let record = self.poll_record(published, poll)?;
        let state = self.0.polls.change(&alarm, |state| state.clone());
        Ok(PollView {
            uses: poll.uses.to_string(),
            every_ms: poll.every_ms,
            last_ms: state.last_ms,
            next_ms: self.0.alarms.time_of(&alarm),
            begun: record.cursor.is_some(),
            last_run: record.last_run,
            failures: state.failures,
            problem: state.problem,
        })
    }
}

/// In the order in which they happened; each key once.
fn in_order(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by(|a, b| a.order_key.as_bytes().cmp(b.order_key.as_bytes()));
    let mut seen = std::collections::HashSet::new();
    items.retain(|item| seen.insert(item.dedupe_key.clone()));
    items
}

fn parts(published: &Published) -> [&[u8]; 2] {
    [published.environment.as_str().as_bytes(), published.plan().id().as_str().as_bytes()]
}

fn alarm(published: &Published) -> Alarm {
    let (environment, flow) = (published.environment.clone(), published.plan().id().clone());
    Alarm { kind: Kind::Poll, environment, flow }
}
