//! Many writers at once, bounded queues, and futures that nobody waits for.

mod common;

use common::{put, small};
use std::sync::Arc;
use store::{Batch, CommitError, JournalStore, MemoryRows, Options, Order, Store, Table};
use testkit::SimDisk;

fn open(options: Options) -> Arc<JournalStore> {
    let disk = Arc::new(SimDisk::new(1));
    Arc::new(JournalStore::open_on(disk, MemoryRows::new(), options).expect("a store"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_many_claims_wins() {
    let store = open(small());
    for round in 0..40 {
        let key = format!("claim/{round}");
        let claims: Vec<_> = (0..32)
            .map(|writer| {
                let (store, key) = (Arc::clone(&store), key.clone());
                tokio::spawn(async move {
                    let mut batch = Batch::new();
                    batch.expect_absent(&key);
                    batch.put(&key, format!("{writer}"));
                    store.commit(batch).await
                })
            })
            .collect();
        let mut winners = Vec::new();
        for (writer, claim) in claims.into_iter().enumerate() {
            match claim.await.expect("no panic") {
                Ok(_) => winners.push(writer.to_string()),
                Err(error) => assert_eq!(error, CommitError::Conflict { key: key.clone().into() }),
            }
        }
        let stored = store.get(key.as_bytes()).expect("readable").expect("present");
        assert_eq!(winners, [String::from_utf8_lossy(&stored)], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_share_groups_and_readers_see_whole_batches() {
    let store = open(Options { behind_bytes: 2000, overlay_bytes: 4000, ..small() });
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for round in 0..100u32 {
                    let mut batch = Batch::new();
                    batch.put(format!("left/{writer}"), round.to_be_bytes());
                    batch.put(format!("right/{writer}"), round.to_be_bytes());
                    store.commit(batch).await.expect("committed");
                    let rows = store.scan(b"", None, 64, Order::Ascending).expect("readable");
                    let (left, right) = rows.split_at(rows.len() / 2);
                    let values = |rows: &[store::Row]| rows.iter().map(|row| row.1.clone()).collect::<Vec<_>>();
                    assert_eq!(values(left), values(right), "half a batch is visible");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic");
    }
    let stats = store.stats();
    assert_eq!(stats.commits, 1600);
    assert!(stats.groups < 1600, "16 writers never shared a sync");
    assert!(stats.overlay_bytes < 8000, "the overlay grew to {} bytes", stats.overlay_bytes);
}

#[test]
fn the_queue_is_bounded_and_says_busy() {
    for options in [Options { queue_batches: 3, ..small() }, Options { queue_bytes: 400, ..small() }] {
        let store = open(options);
        let commits = store.commit_all((0..10).map(|index| put(&format!("k{index}"), [1; 100])).collect());
        let outcomes: Vec<_> = commits.into_iter().map(store::Commit::wait).collect();
        assert!(outcomes[..3].iter().all(Result::is_ok), "{outcomes:?}");
        assert!(outcomes[3..].iter().all(|outcome| *outcome == Err(CommitError::Busy)), "{outcomes:?}");
        common::commit(&store, put("later", "1"));
    }
}

#[test]
fn a_dropped_commit_is_written_all_the_same() {
    let store = open(small());
    drop(store.commit(put("a", "1")));
    common::commit(&store, put("b", "1"));
    assert!(store.get(b"a").expect("readable").is_some());
}

#[test]
fn expectations_see_the_batches_of_their_own_group() {
    let store = open(small());
    let claim = |key: &str| {
        let mut batch = put(key, "1");
        batch.expect_absent(key);
        batch
    };
    let mut release = Batch::new();
    release.expect_present("k");
    release.delete("k");
    let commits = store.commit_all(vec![claim("k"), claim("k"), release, claim("k")]);
    let won: Vec<_> = commits.into_iter().map(|commit| commit.wait().is_ok()).collect();
    assert_eq!((won, store.stats().groups), (vec![true, false, true, true], 1));
}

#[test]
fn what_is_too_large_is_refused_and_a_closed_store_says_so() {
    let store = open(Options { batch_bytes_max: 1000, ..small() });
    for batch in [put("k", [1; 1000]), put(&"k".repeat(store::KEY_BYTES_MAX + 1), "1")] {
        let outcome = store.commit(batch).wait();
        assert!(matches!(outcome, Err(CommitError::TooLarge { .. })), "{outcome:?}");
    }
    store.close().expect("closed");
    let outcome = store.commit(put("k", "1")).wait();
    assert!(matches!(outcome, Err(CommitError::Stopped { .. })), "{outcome:?}");
}

#[test]
fn tables_list_their_rows_in_the_order_of_their_parts() {
    const RUNS: Table<String> = Table::new("run");
    const RUN: Table<String> = Table::new("ru");
    let store = open(small());
    let mut batch = Batch::new();
    for (flow, number) in [("b", 1u64), ("a", 256), ("a", 2), ("a\0", 1)] {
        let row = format!("{flow}{number}");
        RUNS.put(&mut batch, &[flow.as_bytes(), &number.to_be_bytes()], &row).expect("a row");
    }
    RUN.put(&mut batch, &[b"n"], &"other table".to_owned()).expect("a row");
    common::commit(&store, batch);
    let list =
        |within: &[&[u8]], after: Option<&[u8]>, order| RUNS.list(&*store, within, after, 10, order).expect("readable");
    let texts = |rows: Vec<(_, String)>| rows.into_iter().map(|row| row.1).collect::<Vec<_>>();
    assert_eq!(texts(list(&[], None, Order::Ascending)), ["a2", "a256", "a\u{0}1", "b1"]);
    assert_eq!(texts(list(&[b"a"], None, Order::Descending)), ["a256", "a2"]);
    let first = list(&[b"a"], None, Order::Ascending).remove(0).0;
    assert_eq!(texts(list(&[b"a"], Some(&first), Order::Ascending)), ["a256"]);
    assert_eq!(RUNS.parts(&first), Some(vec![b"a".to_vec(), 2u64.to_be_bytes().to_vec()]));
    assert_eq!(RUN.parts(&first), None);
    assert_eq!(RUNS.get(&*store, &[b"b", &1u64.to_be_bytes()]).expect("readable").as_deref(), Some("b1"));
}
