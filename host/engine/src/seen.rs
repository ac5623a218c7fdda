//! Events that were taken already: what names one, the row by which it is known, and
//! how it is forgotten.
//!
//! Rows stand in buckets of time, so that old ones are next to each other. An event is
//! looked for in the time's bucket and in those beside it.

use model::{Environment, FlowId, RunId};
use sha2::{Digest as _, Sha256};
use store::Batch;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{RunRecord, SEEN, SeenRecord};

/// What names an event among those of its flow.
pub(crate) struct Seen<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) flow: &'a FlowId,
    pub(crate) key: &'a str,
}

impl<'a> Seen<'a> {
    pub(crate) fn of(record: &'a RunRecord, key: &'a str) -> Self {
        Self { environment: &record.environment, flow: &record.flow, key }
    }

    fn hash(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&Sha256::digest(self.key)[..16]);
        half
    }

    fn parts<'p>(&'p self, bucket: &'p [u8; 8], hash: &'p [u8; 16]) -> [&'p [u8]; 4] {
        [bucket, self.environment.as_str().as_bytes(), self.flow.as_str().as_bytes(), hash]
    }
}

/// A delivery that is repeated within 3 days finds its run; remotes give up
/// redelivering sooner (GitHub and Stripe: 3 days).
const SEEN_WINDOW_MS: u64 = 3 * 24 * 3_600_000;

/// The row by which a run's delivery is known.
pub(crate) fn seen_key(record: &RunRecord, key: &str) -> Vec<u8> {
    let seen = Seen::of(record, key);
    let bucket = (record.accepted_at_ms / SEEN_WINDOW_MS).to_be_bytes();
    SEEN.key(&seen.parts(&bucket, &seen.hash()))
}

impl Engine {
    /// Names the event, in the time's bucket; its neighbours count too.
    pub(crate) fn put_seen(&self, seen: &Seen<'_>, run: &RunId, batch: &mut Batch) -> Result<(), EngineError> {
        let hash = seen.hash();
        let [earlier, now, later] = self.buckets();
        for bucket in [earlier, now, later] {
            SEEN.expect_absent(batch, &seen.parts(&bucket, &hash));
        }
        SEEN.put(batch, &seen.parts(&now, &hash), &SeenRecord { run: run.clone(), duplicates: None })?;
        Ok(())
    }

    /// Whether an event of this name was taken within the window.
    pub(crate) fn was_seen(&self, seen: &Seen<'_>) -> Result<bool, EngineError> {
        let hash = seen.hash();
        for bucket in self.buckets() {
            if self.0.store.get(&SEEN.key(&seen.parts(&bucket, &hash)))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The time's bucket between its neighbours. The one after it counts for a clock
    /// that was set back.
    fn buckets(&self) -> [[u8; 8]; 3] {
        let bucket = self.now_ms() / SEEN_WINDOW_MS;
        [bucket.saturating_sub(1), bucket, bucket + 1].map(u64::to_be_bytes)
    }

    /// Forgets deliveries that are too old to be repeated, bucket by bucket.
    pub(crate) async fn forget_seen(&self) -> Result<(), EngineError> {
        let keep_from = (self.now_ms() / SEEN_WINDOW_MS).saturating_sub(1).to_be_bytes();
        loop {
            let rows = self.0.store.scan(&SEEN.key(&[]), None, crate::flows::PAGE, store::Order::Ascending)?;
            let keep_from = SEEN.key(&[&keep_from]);
            let mut batch = Batch::new();
            rows.iter().filter(|(key, _)| key[..] < keep_from[..]).for_each(|(key, _)| batch.delete(key));
            if batch.is_empty() {
                return Ok(());
            }
            self.0.store.commit(batch).await?;
        }
    }
}
