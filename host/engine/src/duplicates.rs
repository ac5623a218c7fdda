//! How often deliveries were repeated that had been taken already: counted, not kept.
//!
//! Counts are beside the rows by which duplicates are known, and for each flow. Nobody
//! waits for them: they are written behind the answers, many in one batch, so that a
//! sender that repeats itself costs little; a crash may lose the last of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use model::{Environment, FlowId};
use serde::{Deserialize, Serialize};
use store::Batch;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{DUPLICATES, Origin, RunRecord, SEEN};
use crate::seen::{SeenRecord, seen_key};

/// Deliveries that were taken already, and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// How many.
    pub count: u64,
    /// When the last one came.
    pub last_ms: u64,
}

impl Duplicates {
    fn more(self, count: u64, now_ms: u64) -> Self {
        Self { count: self.count + count, last_ms: now_ms }
    }
}

/// What is to be counted: by the row that a delivery is known by.
#[derive(Default)]
pub(crate) struct Uncounted(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    rows: HashMap<Bytes, u64>,
    is_counting: bool,
}

impl Uncounted {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one. True: somebody has to begin counting.
    fn add(&self, row: Bytes) -> bool {
        let mut waiting = self.lock();
        *waiting.rows.entry(row).or_default() += 1;
        !std::mem::replace(&mut waiting.is_counting, true)
    }

    /// What there is to count; none: nobody counts any more.
    fn take(&self) -> Option<HashMap<Bytes, u64>> {
        let mut waiting = self.lock();
        waiting.is_counting = !waiting.rows.is_empty();
        waiting.is_counting.then(|| std::mem::take(&mut waiting.rows))
    }
}

impl Engine {
    /// Counts a duplicate, behind its answer.
    pub(crate) fn note_duplicate(&self, row: &Bytes) {
        if self.0.uncounted.add(row.clone()) {
            tokio::spawn(self.clone().count_duplicates());
        }
    }

    async fn count_duplicates(self) {
        while let Some(rows) = self.0.uncounted.take() {
            if let Err(error) = self.keep_counts(rows).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "duplicates could not be counted");
            }
        }
    }

    async fn keep_counts(&self, rows: HashMap<Bytes, u64>) -> Result<(), EngineError> {
        let (mut batch, mut flows, now_ms) = (Batch::new(), HashMap::<_, u64>::new(), self.now_ms());
        for (key, count) in rows {
            let Some(row) = self.0.store.get(&key)? else { continue };
            let Some(mut seen) = SeenRecord::decode(&row) else { continue };
            seen.duplicates = Some(seen.duplicates.unwrap_or_default().more(count, now_ms));
            batch.put(&key, seen.encode());
            let mut parts = SEEN.parts(&key).unwrap_or_default().into_iter().skip(1);
            if let (Some(environment), Some(flow)) = (parts.next(), parts.next()) {
                *flows.entry([environment, flow]).or_default() += count;
            }
        }
        for (parts, count) in flows {
            let parts = parts.each_ref().map(Vec::as_slice);
            let before = DUPLICATES.get(&*self.0.store, &parts)?.unwrap_or_default();
            DUPLICATES.put(&mut batch, &parts, &before.more(count, now_ms))?;
        }
        self.0.store.commit(batch).await?;
        Ok(())
    }

    /// How often the delivery of a run was repeated; none: never, or it was no delivery.
    pub(crate) fn duplicates_of(&self, record: &RunRecord) -> Result<Option<Duplicates>, EngineError> {
        let Origin::Webhook { delivery_key, index: 0 } = &record.origin else { return Ok(None) };
        let row = self.0.store.get(&seen_key(record, delivery_key))?;
        let seen = row.and_then(|row| SeenRecord::decode(&row));
        Ok(seen.filter(|seen| seen.run == record.id).and_then(|seen| seen.duplicates))
    }

    /// How many deliveries of a flow were repetitions; none: none was.
    pub(crate) fn duplicates_of_flow(
        &self,
        environment: &Environment,
        flow: &FlowId,
    ) -> Result<Option<Duplicates>, EngineError> {
        Ok(DUPLICATES.get(&*self.0.store, &[environment.as_str().as_bytes(), flow.as_str().as_bytes()])?)
    }
}
