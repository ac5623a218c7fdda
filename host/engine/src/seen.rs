//! Events that were taken already: what names one, the row by which it is known, and
//! how it is forgotten.
//!
//! Rows stand in buckets of time, so that old ones are next to each other. An event is
//! looked for in the time's bucket and in those beside it. There is a row for every
//! event of some days, so a row is the run's id (16 bytes) and nothing else, until its
//! event comes again: then how often (8) and when last (8) follow, big endian.

use model::{Environment, FlowId, RunId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use store::Batch;

use crate::duplicates::Duplicates;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{RunRecord, SEEN};

/// What an event became.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SeenRecord {
    /// The run.
    pub(crate) run: RunId,
    /// How often the event came again.
    #[serde(default)]
    pub(crate) duplicates: Option<Duplicates>,
}

impl SeenRecord {
    /// The row.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let run = u128::from_str_radix(self.run.as_str(), 16).expect("a run id is 32 hexadecimal digits");
        let mut row = run.to_be_bytes().to_vec();
        if let Some(Duplicates { count, last_ms }) = self.duplicates {
            row.extend_from_slice(&count.to_be_bytes());
            row.extend_from_slice(&last_ms.to_be_bytes());
        }
        row
    }

    /// Reads a row, also one of an earlier release: those are JSON, and longer. `None`
    /// for bytes that are none.
    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let Some((run, rest)) = row.split_first_chunk().filter(|(_, rest)| matches!(rest.len(), 0 | 16)) else {
            return serde_json::from_slice(row).ok();
        };
        let run = format!("{:032x}", u128::from_be_bytes(*run)).parse().ok()?;
        let number = |bytes: Option<&[u8; 8]>| bytes.map(|bytes| u64::from_be_bytes(*bytes));
        let (count, last_ms) = (number(rest.first_chunk()), number(rest.last_chunk()));
        let duplicates = count.zip(last_ms).map(|(count, last_ms)| Duplicates { count, last_ms });
        Some(Self { run, duplicates })
    }
}

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
    pub(crate) fn put_seen(&self, seen: &Seen<'_>, run: &RunId, batch: &mut Batch) {
        let hash = seen.hash();
        let [earlier, now, later] = self.buckets();
        for bucket in [earlier, now, later] {
            SEEN.expect_absent(batch, &seen.parts(&bucket, &hash));
        }
        let record = SeenRecord { run: run.clone(), duplicates: None };
        batch.put(SEEN.key(&seen.parts(&now, &hash)), record.encode());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn example(duplicates: Option<Duplicates>) -> SeenRecord {
        SeenRecord { run: "00f0000000007000800000000000000a".parse().expect("a run id"), duplicates }
    }

    #[test]
    fn rows_round_trip_and_are_short() {
        let again = Duplicates { count: 3, last_ms: 1_800_000_000_000 };
        for (record, bytes) in [(example(None), 16), (example(Some(again)), 32)] {
            let row = record.encode();
            assert_eq!((row.len(), SeenRecord::decode(&row)), (bytes, Some(record)));
        }
    }

    #[test]
    fn rows_of_earlier_releases_are_read_and_others_refused() {
        let run = r#"{"run":"00f0000000007000800000000000000a"}"#;
        assert_eq!(SeenRecord::decode(run.as_bytes()), Some(example(None)));
        let again = r#"{"run":"00f0000000007000800000000000000a","duplicates":{"count":2,"last_ms":7}}"#;
        let record = example(Some(Duplicates { count: 2, last_ms: 7 }));
        assert_eq!(SeenRecord::decode(again.as_bytes()), Some(record));
        for other in [&b""[..], b"{}", &[7; 15], &[7; 24], &[7; 33]] {
            assert_eq!(SeenRecord::decode(other), None);
        }
    }
}
