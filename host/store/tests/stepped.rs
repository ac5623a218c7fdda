//! The stepped mode: no threads, and the same bytes in the same order each time.

mod common;

use common::{Model, put, random_batch, read_all, small};
use std::sync::Arc;
use store::{CommitError, Disk, JournalStore, MemoryRows, Options, Store};
use testkit::{Fault, Seeded, SimDisk};

fn stepped() -> Options {
    Options { stepped: true, behind_bytes: 600, ..small() }
}

fn open(disk: &SimDisk, rows: &MemoryRows) -> JournalStore {
    JournalStore::open_on(Arc::new(disk.clone()), rows.clone(), stepped()).expect("opens")
}

/// Everything about a disk that a run leaves.
fn trace(disk: &SimDisk) -> (u64, Vec<(String, Vec<u8>)>) {
    let names = disk.list().expect("names");
    let files = names.into_iter().map(|name| (name.clone(), disk.contents(&name).expect("a file"))).collect();
    (disk.operations(), files)
}

fn script(seed: u64) -> (SimDisk, MemoryRows, Model) {
    let (disk, rows, mut model) = (SimDisk::new(seed), MemoryRows::new(), Model::new());
    let mut random = Seeded::new(seed);
    for _ in 0..4 {
        let store = open(&disk, &rows);
        for _ in 0..30 {
            let batch = random_batch(&mut random, &mut model, 200);
            store.commit(batch).wait().expect("committed before the call returned");
        }
        assert!(store.stats().applied.sequence() > 0, "rows must catch up by themselves");
        if random.chance(0.5) {
            store.close().expect("closed");
        }
    }
    (disk, rows, model)
}

/// The identity of a store is random; a disk that has one already is not.
#[test]
fn the_same_script_leaves_the_same_disk() {
    let (first, rows, model) = script(7);
    let (left, right) = (first.after_power_loss(1), first.after_power_loss(1));
    let traces = [left, right].map(|disk| {
        let rows = rows.snapshot();
        let (store, mut random, mut model) = (open(&disk, &rows), Seeded::new(3), model.clone());
        for _ in 0..50 {
            common::commit(&store, random_batch(&mut random, &mut model, 200));
        }
        assert_eq!(read_all(&store), model);
        store.close().expect("closed");
        trace(&disk)
    });
    assert_eq!(traces[0], traces[1]);
}

#[test]
fn it_holds_what_the_threads_would() {
    for seed in 0..10 {
        let (disk, rows, model) = script(seed);
        assert_eq!(read_all(&open(&disk, &rows)), model, "seed {seed}");
        assert_eq!(read_all(&open(&disk.after_power_loss(seed), &MemoryRows::new())), model, "seed {seed}");
    }
}

#[test]
fn a_fault_is_answered_at_once_and_for_good() {
    let disk = SimDisk::new(1);
    let store = open(&disk, &MemoryRows::new());
    common::commit(&store, put("a", "1"));
    disk.plan(disk.operations(), Fault::Full);
    assert_eq!(store.commit(put("b", "1")).wait(), Err(CommitError::Full));
    common::commit(&store, put("b", "1"));
    disk.plan(disk.operations() + 1, Fault::Error);
    for _ in 0..2 {
        let outcome = store.commit(put("c", "1")).wait();
        assert!(matches!(outcome, Err(CommitError::Stopped { .. })), "{outcome:?}");
    }
    assert_eq!(read_all(&store).len(), 2);
    store.close().expect("rows in memory never fail");
    refuses(&store);
}

fn refuses(store: &JournalStore) {
    let outcome = store.commit(put("d", "1")).wait();
    assert!(matches!(outcome, Err(CommitError::Stopped { .. })), "{outcome:?}");
}
