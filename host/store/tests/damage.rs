//! Damaged and failing disks: noticed, named, and never read as something else.

mod common;

use common::{Model, put, random_batch, read_all, small};
use std::sync::Arc;
use store::{CommitError, Disk, JournalStore, MemoryRows, OpenError, Options, ReadError, Store};
use testkit::{Fault, Seeded, SimDisk};

/// A frame without a payload.
const SEAL_BYTES: usize = 24;

fn open(disk: &SimDisk, rows: &MemoryRows) -> Result<JournalStore, OpenError> {
    JournalStore::open_on(Arc::new(disk.clone()), rows.clone(), small())
}

/// The files of the journal's segments, oldest first.
fn segments(disk: &SimDisk) -> Vec<String> {
    disk.list().expect("names").into_iter().filter(|name| name.ends_with(".log")).collect()
}

/// A closed store with some history, and what it holds.
fn closed() -> (SimDisk, MemoryRows, Model) {
    let (disk, rows, mut model) = (SimDisk::new(1), MemoryRows::new(), Model::new());
    let store = open(&disk, &rows).expect("a new store");
    let mut random = Seeded::new(5);
    for _ in 0..40 {
        common::commit(&store, random_batch(&mut random, &mut model, 300));
    }
    store.close().expect("closed");
    (disk, rows, model)
}

/// True when the damage was reported, by the open or by every wrong read;
/// false when nothing is different. Anything else fails the test.
fn noticed(disk: &SimDisk, rows: &MemoryRows, model: &Model, at: &str) -> bool {
    let store = match open(disk, rows) {
        Err(OpenError::Damaged { .. } | OpenError::Version { .. }) => return true,
        Err(other) => panic!("{at}: {other}"),
        Ok(store) => store,
    };
    let mut reported = false;
    for (key, value) in model {
        match store.get(key) {
            Ok(found) => assert_eq!(found.as_deref(), Some(&value[..]), "{at}: silently different"),
            Err(ReadError::Damaged { .. }) => reported = true,
            Err(other) => panic!("{at}: {other}"),
        }
    }
    reported
}

#[test]
fn flipped_bits_are_noticed_or_harmless() {
    let (disk, rows, model) = closed();
    let names = segments(&disk);
    let mut random = Seeded::new(9);
    let (mut by_replay, mut by_reading) = (0, 0);
    for round in 0..400 {
        let name = random.pick(&names).clone();
        let bit = random.below(disk.contents(&name).expect("a segment").len() * 8);
        let harmed = disk.after_power_loss(0);
        harmed.damage(&name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let at = format!("round {round}, bit {bit} of {name}");
        by_replay += usize::from(noticed(&harmed, &MemoryRows::new(), &model, &at));
        by_reading += usize::from(noticed(&harmed, &rows.snapshot(), &model, &at));
    }
    assert!(by_replay > 380, "a replay noticed only {by_replay} of 400");
    assert!(by_reading > 20, "reading noticed only {by_reading} of 400");
}

#[test]
fn truncated_segments_are_noticed() {
    let (disk, rows, model) = closed();
    let mut random = Seeded::new(10);
    for round in 0..200 {
        let name = random.pick(&segments(&disk)).clone();
        let len = random.below(disk.contents(&name).expect("a segment").len());
        let harmed = disk.after_power_loss(0);
        harmed.damage(&name, |bytes| bytes.truncate(len));
        noticed(&harmed, &rows.snapshot(), &model, &format!("round {round}, {name} cut to {len}"));
    }
    let last = segments(&disk).pop().expect("a segment");
    let whole = disk.contents(&last).expect("a segment").len();
    // The seal at the end is a frame without writes: losing it loses nothing.
    for len in 0..whole {
        let harmed = disk.after_power_loss(0);
        harmed.damage(&last, |bytes| bytes.truncate(len));
        match open(&harmed, &rows.snapshot()) {
            Err(OpenError::Damaged { .. }) => assert!(len < whole - SEAL_BYTES, "the last segment cut to {len}"),
            Err(other) => panic!("the last segment cut to {len}: {other}"),
            Ok(store) => {
                assert!(len >= whole - SEAL_BYTES, "the last segment cut to {len}");
                assert_eq!(read_all(&store), model);
            }
        }
    }
}

#[test]
fn a_missing_segment_is_named_and_nothing_is_changed() {
    let (disk, rows, _) = closed();
    let names = segments(&disk);
    for rows in [MemoryRows::new(), rows] {
        let harmed = disk.after_power_loss(0);
        harmed.remove(&names[1]).expect("removed");
        let before = harmed.operations();
        let Err(error) = open(&harmed, &rows) else { panic!("a gap must be noticed") };
        let problem = error.problem();
        assert!(problem.what.contains(&names[1]), "{problem}");
        assert!(problem.cause.is_some() && problem.fix.is_some(), "{problem}");
        assert_eq!(harmed.operations(), before, "nothing may be changed");
    }
}

#[test]
fn a_missing_journal_is_no_new_store() {
    let (disk, rows, _) = closed();
    for name in disk.list().expect("names") {
        disk.remove(&name).expect("removed");
    }
    assert!(matches!(open(&disk, &rows), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_store_stops_for_good_at_an_error_and_still_reads() {
    let (disk, rows) = (SimDisk::new(1), MemoryRows::new());
    let store = open(&disk, &rows).expect("a new store");
    common::commit(&store, put("a", "1"));
    disk.plan(disk.operations() + 1, Fault::Error);
    for key in ["b", "c"] {
        let outcome = store.commit(put(key, "1")).wait();
        assert!(matches!(outcome, Err(CommitError::Stopped { .. })), "{outcome:?}");
    }
    assert!(store.stopped().is_some_and(|reason| reason.contains("I/O error")));
    assert_eq!(store.get(b"a").expect("readable").as_deref(), Some(&b"1"[..]));
    assert_eq!(store.get(b"b").expect("readable"), None);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let (disk, rows) = (SimDisk::new(1), MemoryRows::new());
    let store = open(&disk, &rows).expect("a new store");
    let mut model = Model::new();
    let mut refused = 0;
    for round in 0..60u32 {
        // Space comes and goes, so that writes and new segments both hit it.
        let used =
            disk.list().expect("names").iter().map(|name| disk.contents(name).map_or(0, |it| it.len())).sum::<usize>();
        let room = [30, 100, 200, u64::MAX - used as u64][round as usize % 4];
        disk.set_capacity(used as u64 + room);
        let key = format!("k{round}");
        match store.commit(put(&key, [7; 120])).wait() {
            Ok(_) => drop(model.insert(key.into_bytes(), vec![7; 120])),
            Err(CommitError::Full) => refused += 1,
            Err(other) => panic!("round {round}: {other}"),
        }
    }
    assert!(refused > 25 && model.len() > 25, "{refused} refused, {} written", model.len());
    assert_eq!(read_all(&store), model);
    drop(store);
    assert_eq!(read_all(&open(&disk.after_power_loss(3), &rows).expect("opens")), model);
}

#[test]
fn commits_are_refused_before_the_disk_is_full() {
    let disk = SimDisk::new(1);
    let options = Options { free_bytes_min: 1000, ..small() };
    let store = JournalStore::open_on(Arc::new(disk.clone()), MemoryRows::new(), options).expect("a store");
    disk.set_capacity(1500);
    common::commit(&store, put("a", [1; 600]));
    assert_eq!(store.commit(put("b", [1; 10])).wait(), Err(CommitError::Full));
    disk.set_capacity(u64::MAX);
    common::commit(&store, put("b", [1; 10]));
}

/// A refused group must not come back in part, even when the next group ends
/// exactly where one of its batches did.
#[test]
fn a_group_refused_for_space_never_comes_back() {
    let disk = SimDisk::new(1);
    let store = open(&disk, &MemoryRows::new()).expect("a store");
    let mut model = Model::new();
    for round in 0..8 {
        let used =
            disk.list().expect("names").iter().filter_map(|name| disk.contents(name)).map(|it| it.len()).sum::<usize>();
        disk.set_capacity(used as u64 + 150);
        let refused = (0..3).map(|index| put(&format!("no{index}"), [7; 20])).collect();
        for commit in store.commit_all(refused) {
            assert_eq!(commit.wait(), Err(CommitError::Full), "round {round}");
        }
        disk.set_capacity(u64::MAX);
        let key = format!("ok{round}");
        common::commit(&store, put(&key, [7; 20]));
        model.insert(key.into_bytes(), vec![7; 20]);
        for seed in 0..4 {
            let again = open(&disk.after_power_loss(seed), &MemoryRows::new()).expect("opens");
            assert_eq!(read_all(&again), model, "round {round}, seed {seed}");
        }
    }
}

/// The last segment may end torn; one that has a successor may not, even when
/// that successor never came to life.
#[test]
fn only_the_newest_segment_may_be_torn() {
    let disk = SimDisk::new(1);
    let store = open(&disk, &MemoryRows::new()).expect("a store");
    common::commit(&store, put("a", "1"));
    common::commit(&store, put("b", "1"));
    let name = segments(&disk).pop().expect("a segment");
    let torn = |seed| {
        let disk = disk.after_power_loss(seed);
        disk.damage(&name, |bytes| *bytes.last_mut().expect("a frame") ^= 1);
        disk
    };
    let cut = open(&torn(0), &MemoryRows::new()).expect("a torn tail is cut");
    assert_eq!(read_all(&cut).into_keys().collect::<Vec<_>>(), [b"a"]);
    let damaged = torn(1);
    damaged.create("0000000000000002.log").expect("a stillborn segment");
    assert!(matches!(open(&damaged, &MemoryRows::new()), Err(OpenError::Damaged { .. })));
    let sound = disk.after_power_loss(2);
    sound.create("0000000000000002.log").expect("a stillborn segment");
    assert_eq!(read_all(&open(&sound, &MemoryRows::new()).expect("opens")).len(), 2);
}

/// Frames missing from the end of a segment leave no bad byte behind; only the
/// header of the next one knows.
#[test]
fn frames_missing_before_an_empty_segment_are_noticed() {
    const FRAME_BYTES: usize = 24 + 7 + 3 + 100;
    let disk = SimDisk::new(1);
    let store = open(&disk, &MemoryRows::new()).expect("a store");
    for index in 0..14 {
        common::commit(&store, put(&format!("k{index:02}"), [7; 100]));
    }
    // The segment is full now: create, header, two syncs, and then the frame.
    disk.plan(disk.operations() + 4, Fault::PowerLoss);
    store.commit(put("k14", [7; 100])).wait().expect_err("the power is off");
    let lost = (0..50).map(|seed| disk.after_power_loss(seed));
    let empty = |disk: &SimDisk| disk.contents("0000000000000002.log").is_some_and(|bytes| bytes.len() == 64);
    let disk = lost.into_iter().find(empty).expect("a power loss that left the new segment empty");
    assert_eq!(read_all(&open(&disk.after_power_loss(0), &MemoryRows::new()).expect("opens")).len(), 14);
    disk.damage("0000000000000001.log", |bytes| bytes.truncate(bytes.len() - FRAME_BYTES));
    assert!(matches!(open(&disk, &MemoryRows::new()), Err(OpenError::Damaged { .. })));
}

#[test]
fn rows_wait_for_space_and_catch_up() {
    let disk = SimDisk::new(1);
    let options = Options { free_bytes_min: 1000, ..small() };
    let store = JournalStore::open_on(Arc::new(disk.clone()), MemoryRows::new(), options).expect("a store");
    common::commit(&store, put("a", "1"));
    disk.set_capacity(500);
    let error = store.settle().expect_err("too little space for the rows");
    assert!(error.reason.contains("full"), "{error}");
    disk.set_capacity(u64::MAX);
    store.settle().expect("space is back");
    assert_eq!(store.stats().overlay_keys, 0);
}
