//! Messages to runs: what came from elsewhere while nobody worked on them.
//!
//! Whoever has something for a run puts it here, in the batch that makes it true,
//! and wakes the run. The runner hands each message to the machine and deletes it in
//! the batch of what followed. Invariant: a message is taken once, whatever crashes;
//! one to a run that has ended is dropped.

use std::collections::BTreeSet;

use flow::{Answer, Event, Spot};
use model::{ConnectionId, Problem, RunId};
use serde::{Deserialize, Serialize};
use store::{Batch, Order};

use crate::clock::new_run_id;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{INBOX, OPEN};
use crate::run::Run;
use crate::runner::Stepped;

/// Something for a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Message {
    /// What one of its steps waits for.
    Answer {
        /// The step.
        #[serde(flatten)]
        spot: Spot,
        /// What came.
        answer: Answer,
    },
    /// A connection has another credential: the calls that waited for it are made.
    Mended {
        /// Which.
        connection: ConnectionId,
    },
    /// A person, or the run that began it, wants it to end.
    Cancel {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

impl Engine {
    /// Ends a run, as soon as the calls it has under way have answered.
    ///
    /// # Errors
    /// When there is no such run, or it has ended.
    pub async fn cancel(&self, id: &RunId, by: &str, reason: &str) -> Result<(), EngineError> {
        let record = self.run_record(id)?;
        if record.status.is_final() {
            return Err(EngineError::Conflict(
                Problem::new("run-ended", format!("run {id} has ended: {}", record.status.as_str()))
                    .fix(format!("look at it: sluice run show {id}")),
            ));
        }
        let mut batch = Batch::new();
        self.put_message(&mut batch, id, &Message::Cancel { by: by.to_owned(), reason: reason.to_owned() })?;
        self.0.store.commit(batch).await?;
        self.wake(id).await;
        Ok(())
    }

    /// Wakes a run that has a message. One that has ended meanwhile takes none: what it
    /// was sent goes, now or with [`Self::forget_unheard`].
    pub(crate) async fn wake(&self, run: &RunId) {
        if self.0.queue.push_stored(run.clone()) {
            return;
        }
        if let Err(error) = self.forget_messages(run).await {
            tracing::warn!(%run, error = &error as &dyn std::error::Error, "messages to a run that has ended are left");
        }
    }

    async fn forget_messages(&self, run: &RunId) -> Result<(), EngineError> {
        let page =
            INBOX.list(&*self.0.store, &[run.as_str().as_bytes()], None, crate::flows::PAGE, Order::Ascending)?;
        let mut batch = Batch::new();
        page.iter().for_each(|(key, _)| batch.delete(key));
        if !batch.is_empty() {
            self.0.store.commit(batch).await?;
        }
        Ok(())
    }

    /// Puts a message to a run that is open. The caller commits, then wakes the run.
    pub(crate) fn put_message(&self, batch: &mut Batch, run: &RunId, message: &Message) -> Result<(), EngineError> {
        let id = run.as_str().as_bytes();
        if OPEN.get(&*self.0.store, &[id])?.is_some() {
            INBOX.put(batch, &[id, new_run_id(&self.0.clock).as_str().as_bytes()], message)?;
        }
        Ok(())
    }

    /// Puts an answer to a run that is surely open, be it by this very batch.
    pub(crate) fn put_answer(
        &self,
        batch: &mut Batch,
        run: &RunId,
        spot: Spot,
        answer: Answer,
    ) -> Result<(), EngineError> {
        let name = new_run_id(&self.0.clock);
        let message = Message::Answer { spot, answer };
        Ok(INBOX.put(batch, &[run.as_str().as_bytes(), name.as_str().as_bytes()], &message)?)
    }

    /// Wakes every run that has a message: at start, since a wake does not outlast the
    /// host.
    pub(crate) fn wake_addressed(&self) -> Result<(), EngineError> {
        for run in self.addressed()? {
            self.0.queue.push_stored(run);
        }
        Ok(())
    }

    /// Forgets what was sent to runs that have ended, and was left: the host stopped
    /// before it could be forgotten, or its disk was full.
    pub(crate) async fn forget_unheard(&self) -> Result<(), EngineError> {
        for run in self.addressed()? {
            if OPEN.get(&*self.0.store, &[run.as_str().as_bytes()])?.is_none() {
                self.forget_messages(&run).await?;
            }
        }
        Ok(())
    }

    /// The runs that have a message.
    fn addressed(&self) -> Result<BTreeSet<RunId>, EngineError> {
        let (mut runs, mut after) = (BTreeSet::new(), None::<Vec<u8>>);
        loop {
            let page = INBOX.list(&*self.0.store, &[], after.as_deref(), crate::flows::PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(runs) };
            after = Some(last.to_vec());
            for (key, _) in page {
                let run = INBOX.parts(&key).and_then(|parts| String::from_utf8(parts.into_iter().next()?).ok());
                runs.extend(run.and_then(|run| run.parse::<RunId>().ok()));
            }
        }
    }

    /// Takes every message there is to the machine, each in a batch of its own.
    pub(crate) async fn take_messages(&self, run: &mut Run, stepped: &mut Stepped) -> Result<(), EngineError> {
        loop {
            let id = run.id().as_str().to_owned();
            let page = INBOX.list(&*self.0.store, &[id.as_bytes()], None, crate::flows::PAGE, Order::Ascending)?;
            if page.is_empty() || stepped.ended {
                return Ok(());
            }
            for (key, message) in page {
                let mut batch = Batch::new();
                let held = self.is_held(run);
                batch.delete(&key);
                let mut next = Stepped::default();
                let event = match message {
                    Message::Answer { spot: Spot { step, iteration }, answer } => {
                        Some(Event::Answered { step, iteration, answer })
                    }
                    Message::Cancel { by, reason } => Some(Event::Cancelled { reason: format!("{reason} ({by})") }),
                    Message::Mended { .. } if stepped.ended => None,
                    Message::Mended { connection } => {
                        self.put_mended(run, &mut batch, &connection)?;
                        None
                    }
                };
                if let Some(event) = event.filter(|_| !stepped.ended) {
                    next = self.put_step(run, &mut batch, event, None, held)?;
                }
                self.keep(batch, &mut next.children).await?;
                stepped.add(next);
            }
        }
    }
}
