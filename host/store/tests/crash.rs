//! Power loss at every operation of a scripted load, on a simulated disk.
//!
//! The one law: after a crash the store holds exactly the batches up to some
//! point of the script, no earlier than the last acknowledged one.

mod common;

use common::{Model, random_batch, read_all, small};
use std::sync::Arc;
use store::{JournalStore, MemoryRows, OpenError, Store};
use testkit::{Fault, Seeded, SimDisk};

const WAVES: usize = 24;
const SEEDS: u64 = 16;

/// What a run of the script left behind.
struct Run {
    disk: SimDisk,
    /// Rows as they could be found: lost, some time ago, now.
    rows: [MemoryRows; 3],
    /// The state after each number of batches.
    states: Vec<Model>,
    acknowledged: usize,
}

fn open(disk: &SimDisk, rows: &MemoryRows) -> Result<JournalStore, OpenError> {
    JournalStore::open_on(Arc::new(disk.clone()), rows.clone(), small())
}

/// Runs the script until its end, or until the planned fault stops it.
fn run(script: u64, fault: Option<(u64, Fault)>) -> Run {
    let disk = SimDisk::new(script);
    if let Some((operation, fault)) = fault {
        disk.plan(operation, fault);
    }
    let rows = MemoryRows::new();
    let mut run =
        Run { disk, rows: [MemoryRows::new(), rows.snapshot(), rows], states: vec![Model::new()], acknowledged: 0 };
    let Ok(store) = open(&run.disk, &run.rows[2]) else { return run };
    let mut random = Seeded::new(script);
    for wave in 0..WAVES {
        let mut model = run.states.last().cloned().unwrap_or_default();
        let batches: Vec<_> = (0..=random.below(4))
            .map(|_| {
                let batch = random_batch(&mut random, &mut model, 300);
                run.states.push(model.clone());
                batch
            })
            .collect();
        let outcomes: Vec<_> = store.commit_all(batches).into_iter().map(store::Commit::wait).collect();
        if outcomes.iter().any(Result::is_err) {
            assert!(outcomes.iter().all(Result::is_err), "one group shares one fate: {outcomes:?}");
            return run;
        }
        run.acknowledged += outcomes.len();
        if wave % 7 == 6 {
            run.rows[1] = run.rows[2].snapshot();
            store.settle().expect("rows in memory never fail");
        }
    }
    store.close().expect("rows in memory never fail");
    run
}

impl Run {
    /// Checks the law, and that the store keeps working and stays as it is.
    fn check(&self, disk: &SimDisk, rows: &MemoryRows, at: &str) -> Model {
        let store = open(disk, rows).unwrap_or_else(|error| panic!("{at}: {error}"));
        let found = read_all(&store);
        let holds = self.states[self.acknowledged..].contains(&found);
        assert!(holds, "{at}: not a state since the {} acknowledged batches", self.acknowledged);
        let mut after = found.clone();
        let mut random = Seeded::new(1);
        for _ in 0..3 {
            common::commit(&store, random_batch(&mut random, &mut after, 300));
        }
        assert_eq!(read_all(&store), after, "{at}");
        drop(store);
        let again = open(disk, &rows.snapshot()).unwrap_or_else(|error| panic!("{at}, again: {error}"));
        assert_eq!(read_all(&again), after, "{at}, again");
        found
    }
}

#[test]
fn power_loss_at_every_operation() {
    let whole = run(11, None);
    let operations = whole.disk.operations();
    assert!(operations > 60, "the script must roll segments and write often, not {operations} times");
    for operation in 0..operations {
        let run = run(11, Some((operation, Fault::PowerLoss)));
        for seed in 0..SEEDS {
            for (age, rows) in run.rows.iter().enumerate() {
                let at = format!("operation {operation}, seed {seed}, rows {age}");
                run.check(&run.disk.after_power_loss(seed), &rows.snapshot(), &at);
            }
        }
    }
}

#[test]
fn power_loss_again_during_recovery() {
    let operations = run(12, None).disk.operations();
    let mut interrupted = 0;
    for operation in 0..operations {
        let run = run(12, Some((operation, Fault::PowerLoss)));
        for seed in 0..SEEDS {
            let disk = run.disk.after_power_loss(seed);
            disk.plan(seed % 4, Fault::PowerLoss);
            interrupted += usize::from(open(&disk, &run.rows[2].snapshot()).is_err());
            let at = format!("operation {operation}, seed {seed}");
            run.check(&disk.after_power_loss(seed + 100), &run.rows[2].snapshot(), &at);
        }
    }
    assert!(interrupted > 50, "recovery was interrupted only {interrupted} times");
}

/// After a failed sync the page cache shows bytes that are not on the disk.
/// What a store shows after it was opened again must survive a power loss.
#[test]
fn what_is_seen_after_a_failed_sync_survives() {
    let operations = run(13, None).disk.operations();
    let mut stopped = 0;
    for operation in 0..operations {
        let run = run(13, Some((operation, Fault::Error)));
        stopped += usize::from(run.acknowledged + 1 < run.states.len());
        let Ok(store) = open(&run.disk, &run.rows[2].snapshot()) else { continue };
        let seen = read_all(&store);
        assert!(run.states[run.acknowledged..].contains(&seen), "operation {operation}");
        drop(store);
        for seed in 0..SEEDS {
            let store = open(&run.disk.after_power_loss(seed), &MemoryRows::new())
                .unwrap_or_else(|error| panic!("operation {operation}, seed {seed}: {error}"));
            assert_eq!(read_all(&store), seen, "operation {operation}, seed {seed}");
        }
    }
    assert!(stopped > 40, "only {stopped} runs were stopped");
}

/// The same when the power goes in the middle of opening it again, with rows that are
/// brought up to date as soon as anything is read: they never run ahead of the journal.
#[test]
fn rows_stay_behind_what_a_failed_sync_left() {
    let eager = || store::Options { behind_bytes: 1, ..small() };
    let operations = run(15, None).disk.operations();
    let mut interrupted = 0;
    for operation in 0..operations {
        for step in 0..4 {
            let run = run(15, Some((operation, Fault::Error)));
            let rows = run.rows[2].snapshot();
            run.disk.plan(run.disk.operations() + step, Fault::PowerLoss);
            let opened = JournalStore::open_on(Arc::new(run.disk.clone()), rows.clone(), eager());
            interrupted += usize::from(opened.is_err());
            drop(opened);
            for seed in 0..SEEDS {
                let at = format!("operation {operation}, step {step}, seed {seed}");
                run.check(&run.disk.after_power_loss(seed), &rows.snapshot(), &at);
            }
        }
    }
    assert!(interrupted > 50, "opening was interrupted only {interrupted} times");
}

#[test]
fn a_full_disk_at_every_operation_never_corrupts() {
    let operations = run(14, None).disk.operations();
    for operation in 0..operations {
        let run = run(14, Some((operation, Fault::Full)));
        for seed in 0..SEEDS {
            let at = format!("operation {operation}, seed {seed}");
            run.check(&run.disk.after_power_loss(seed), &run.rows[2].snapshot(), &at);
        }
    }
}

#[test]
fn the_script_itself_ends_where_its_model_does() {
    let run = run(11, None);
    assert_eq!(run.acknowledged + 1, run.states.len());
    let store = open(&run.disk, &run.rows[2]).expect("a store");
    assert_eq!(Some(&read_all(&store)), run.states.last());
    assert!(store.stats().segment > 5);
    assert_eq!(store.get(b"none").expect("readable"), None);
}
