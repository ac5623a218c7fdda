//! The store against a plain sorted map: random batches, expectations, pages,
//! with the rows catching up and the store opened again at random.

mod common;

use common::{Model, random_batch, read_all, small};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use store::{Batch, CommitError, JournalStore, MemoryRows, Order, Store};
use testkit::{Seeded, SimDisk};

/// Runs random steps; `open` gives the store again as it was left.
fn check(seed: u64, steps: usize, reopen: f64, open: &dyn Fn() -> JournalStore) {
    let mut random = Seeded::new(seed);
    let mut model = Model::new();
    let mut store = open();
    for step in 0..steps {
        let at = format!("seed {seed}, step {step}");
        expect_something(&store, &mut model, &mut random, &at);
        let batches = (0..=random.below(3)).map(|_| random_batch(&mut random, &mut model, 200)).collect();
        let last = store.commit_all(batches).pop().expect("a commit").wait().expect("committed");
        assert_eq!(store.stats().visible, last, "{at}");
        check_page(&store, &model, &mut random, &at);
        if random.chance(0.1) {
            store.settle().expect("settled");
            assert_eq!(store.stats().applied, last, "{at}");
            assert_eq!(store.stats().overlay_keys, 0, "{at}");
        }
        if random.chance(reopen) {
            if random.chance(0.5) {
                store.close().expect("closed");
            }
            drop(store);
            store = open();
            assert_eq!(read_all(&store), model, "{at}");
        }
    }
    assert_eq!(read_all(&store), model, "seed {seed}");
}

/// A batch with one random expectation.
fn expect_something(store: &JournalStore, model: &mut Model, random: &mut Seeded, at: &str) {
    let key = format!("a/{}", random.below(12)).into_bytes();
    let present = random.chance(0.5);
    let mut batch = Batch::new();
    if present {
        batch.expect_present(&key)
    } else {
        batch.expect_absent(&key)
    }
    batch.put(&key, b"expected");
    let outcome = store.commit(batch).wait();
    if model.contains_key(&key) == present {
        assert!(outcome.is_ok(), "{at}: {outcome:?}");
        model.insert(key, b"expected".to_vec());
    } else {
        assert_eq!(outcome, Err(CommitError::Conflict { key: key.into() }), "{at}");
    }
}

/// One random page of one random prefix.
fn check_page(store: &JournalStore, model: &Model, random: &mut Seeded, at: &str) {
    let prefix = *random.pick(&[&b""[..], b"a", b"b", b"b\xc3\xbf", b"a/1", b"c", b"\xff"]);
    let after = random.chance(0.6).then(|| format!("{}/{}", random.pick(&["", "a", "b", "z"]), random.below(12)));
    let after = after.as_ref().map(String::as_bytes);
    let limit = random.below(6);
    for order in [Order::Ascending, Order::Descending] {
        let found = store.scan(prefix, after, limit, order).expect("readable");
        let found: Vec<_> = found.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let expected = expected_page(model, prefix, after, limit, order);
        assert_eq!(found, expected, "{at}: prefix {prefix:?}, after {after:?}, {order:?}");
    }
}

fn expected_page(
    model: &Model,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
    order: Order,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bound = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_vec()));
    let rows: Vec<_> = match order {
        Order::Ascending => model.range((bound, Bound::Unbounded)).collect(),
        Order::Descending => model.range((Bound::Unbounded, bound)).rev().collect(),
    };
    let inside = rows.into_iter().filter(|(key, _)| key.starts_with(prefix));
    inside.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[test]
fn rows_in_memory() {
    for seed in 0..40 {
        let (disk, rows) = (SimDisk::new(seed), MemoryRows::new());
        check(seed, 80, 0.1, &|| JournalStore::open_on(Arc::new(disk.clone()), rows.clone(), small()).expect("opens"));
    }
}

#[test]
fn rows_in_sled() {
    let folder = tempfile::tempdir().expect("a folder");
    let path: &Path = folder.path();
    check(99, 150, 0.05, &|| JournalStore::open(path, small()).expect("opens"));
}
