//! The store as the engine sees it: the real one, with the disk's time in between.
//!
//! Commits wait together and are written in groups, each at its turn, so that other
//! tasks run between asking and answer. Ends of lives can be planned around a commit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use store::{
    Batch, Commit, CommitError, Document, JournalStore, Order, ReadError, Resolver, Row, Store, Tidied, TidyError,
};
use tokio::sync::Notify;

use crate::crash::End;
use crate::dice::Dice;
use crate::mutant::Mutant;
use crate::scenario::PlannedEnd;
use crate::tamper;
use crate::world::World;

/// See the module.
pub(crate) struct SimStore {
    inner: Arc<JournalStore>,
    world: Arc<World>,
    dice: Dice,
    waiting: Mutex<VecDeque<(Batch, Resolver)>>,
    arrived: Notify,
    end: Option<PlannedEnd>,
}

impl SimStore {
    /// A store whose `work` has to be spawned.
    pub(crate) fn new(inner: Arc<JournalStore>, world: &Arc<World>, end: Option<PlannedEnd>, life: u64) -> Arc<Self> {
        Arc::new(Self {
            inner,
            world: world.clone(),
            dice: Dice::of(world.seed ^ life, "store"),
            waiting: Mutex::default(),
            arrived: Notify::new(),
            end,
        })
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Batch, Resolver)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk at work, until the life ends.
    pub(crate) async fn work(self: Arc<Self>) {
        let mut written = 0;
        loop {
            if self.waiting().is_empty() {
                self.arrived.notified().await;
            }
            self.take_time().await;
            self.world.switch.hold().await;
            self.write_group(&mut written).await;
        }
    }

    async fn take_time(&self) {
        let most_ms = if self.world.is_calm() { 0 } else { self.world.scenario.disk_ms };
        match self.dice.between(0, most_ms) {
            0 => tokio::task::yield_now().await,
            ms => tokio::time::sleep(Duration::from_millis(ms)).await,
        }
    }

    async fn write_group(&self, written: &mut u64) {
        let group: Vec<_> = {
            let mut waiting = self.waiting();
            let size = self.dice.between(1, waiting.len().max(1) as u64) as usize;
            let size = size.min(waiting.len());
            waiting.drain(..size).collect()
        };
        for (batch, resolver) in group {
            *written += 1;
            if matches!(self.end, Some(PlannedEnd::BeforeCommit(at)) if at == *written) {
                self.end_life(End::Kill).await;
            }
            self.write(batch, resolver, *written).await;
        }
    }

    async fn write(&self, batch: Batch, resolver: Resolver, number: u64) {
        let mutant = self.world.mutant;
        if mutant == Some(Mutant::LostWake) && number % 40 == 7 {
            // Forgotten: a dropped resolver would answer.
            std::mem::forget(resolver);
            return;
        }
        if mutant == Some(Mutant::LostWrite) && number % 40 == 7 && batch.expects_nothing() {
            resolver.resolve(Ok(store::Position::from_sequence(number)));
            return;
        }
        let outcome = self.inner.commit(batch).await;
        if let Some(mutant) = mutant {
            tamper::after_commit(mutant, &self.inner).await;
        }
        if matches!(self.end, Some(PlannedEnd::AfterCommit(at)) if at == number) {
            self.end_life(End::Kill).await;
        }
        if let Err(CommitError::Stopped { .. }) = &outcome {
            // Whoever watches over the host starts it again.
            let end = if self.world.power_is_off() { End::PowerLoss } else { End::Kill };
            self.world.trace.note(format_args!("the store stopped"));
            self.end_life(end).await;
        }
        if let Err(CommitError::Full) = &outcome {
            self.world.trace.count("commits refused by a full disk");
        }
        resolver.resolve(outcome);
    }

    /// Nobody reads on without power.
    fn read<T>(&self, outcome: Result<T, ReadError>) -> Result<T, ReadError> {
        if outcome.is_err() && self.world.power_is_off() {
            self.world.trace.note(format_args!("nothing can be read"));
            self.world.switch.pull(End::PowerLoss);
        }
        outcome
    }

    async fn end_life(&self, end: End) {
        self.world.switch.pull(end);
        self.world.switch.hold().await;
    }
}

impl Store for SimStore {
    fn commit(&self, batch: Batch) -> Commit {
        if self.world.mutant == Some(Mutant::EarlyAnswer) && batch.expects_nothing() {
            let (resolver, unheard) = Commit::later();
            drop(unheard);
            self.waiting().push_back((batch, resolver));
            self.arrived.notify_one();
            let (early, commit) = Commit::later();
            // Others have their turn: the host must not go round what it has not written.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                early.resolve(Ok(store::Position::default()));
            });
            return commit;
        }
        let (resolver, commit) = Commit::later();
        self.waiting().push_back((batch, resolver));
        self.arrived.notify_one();
        commit
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
        match self.world.mutant {
            Some(mutant) => self.read(tamper::get(mutant, &self.inner, key)),
            None => self.read(self.inner.get(key)),
        }
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, ReadError> {
        if self.world.mutant == Some(Mutant::NoLines) && prefix.starts_with(b"order\0") {
            return Ok(Vec::new());
        }
        self.read(self.inner.scan(prefix, after, limit, order))
    }

    fn history(
        &self,
        group: Option<&[u8]>,
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Document)>, ReadError> {
        let mut found = self.read(self.inner.history(group, after, limit, order))?;
        if self.world.mutant == Some(Mutant::HidesHistory) {
            found.retain(|(id, _)| !id.ends_with(b"7"));
        }
        Ok(found)
    }

    fn find_document(&self, id: &[u8]) -> Result<Option<Document>, ReadError> {
        self.read(self.inner.find_document(id))
    }

    fn document(&self, document: &Document, prefix: &[u8]) -> Result<Vec<Row>, ReadError> {
        self.read(self.inner.document(document, prefix))
    }

    fn tidy(&self, now_ms: u64) -> Result<Tidied, TidyError> {
        let outcome = self.inner.tidy(now_ms);
        if outcome.is_err() && self.world.power_is_off() {
            self.world.switch.pull(End::PowerLoss);
        }
        outcome
    }
}
