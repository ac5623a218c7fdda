//! What the store's tests share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::time::Duration;
use store::{Batch, JournalStore, Options, Order, Store};
use testkit::Seeded;

/// Everything that a store holds, by key.
pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Small limits, so that segments roll and values leave the rows often. Rows
/// are written only when asked for, so that runs repeat exactly.
pub(crate) fn small() -> Options {
    Options {
        segment_bytes: 2048,
        inline_bytes_max: 64,
        blob_bytes_min: 5000,
        behind_delay: Duration::from_secs(3600),
        free_bytes_min: 0,
        ..Options::default()
    }
}

/// Reads everything, in pages of both orders.
pub(crate) fn read_all(store: &dyn Store) -> Model {
    let upwards = read_pages(store, Order::Ascending);
    let mut downwards = read_pages(store, Order::Descending);
    downwards.reverse();
    assert_eq!(upwards, downwards, "both orders must tell the same");
    assert!(upwards.is_sorted_by(|left, right| left.0 < right.0), "keys must be in order");
    upwards.into_iter().collect()
}

fn read_pages(store: &dyn Store, order: Order) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.0.clone());
        let page = store.scan(b"", after.as_deref(), 7, order).expect("a readable page");
        if page.is_empty() {
            return rows;
        }
        rows.extend(page.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
    }
}

/// A batch of several random writes over few keys, and what it does to a model.
pub(crate) fn random_batch(random: &mut Seeded, model: &mut Model, value_bytes_max: usize) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..=random.below(4) {
        let key = format!("{}/{}", random.pick(&["a", "b", "b\u{ff}"]), random.below(12)).into_bytes();
        if random.chance(0.3) {
            batch.delete(&key);
            model.remove(&key);
        } else {
            let len = random.below(value_bytes_max + 1);
            let value = random.bytes(len);
            batch.put(&key, &value);
            model.insert(key, value);
        }
    }
    batch
}

/// A batch that writes one key.
pub(crate) fn put(key: &str, value: impl AsRef<[u8]>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

/// Commits and expects success.
pub(crate) fn commit(store: &JournalStore, batch: Batch) {
    store.commit(batch).wait().expect("a commit");
}
