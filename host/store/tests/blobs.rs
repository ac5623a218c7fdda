//! Large values: files of their own, there before the batch that names them,
//! gone once nothing needs them, and nobody else's loss when they are damaged.

mod common;

use common::{Model, commit, put, read_all, small};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{
    Batch, CommitError, Disk, JournalStore, MemoryRows, OpenError, Options, Order, Position, ReadError, Retire, Store,
};
use testkit::{Fault, Seeded, SimDisk};

fn options() -> Options {
    Options { stepped: true, behind_bytes: 3000, ..small() }
}

fn open(disk: &SimDisk, rows: &MemoryRows) -> Result<JournalStore, OpenError> {
    JournalStore::open_on(Arc::new(disk.clone()), rows.clone(), options())
}

fn large(seed: u64) -> Vec<u8> {
    Seeded::new(seed).bytes(5500)
}

fn blobs(disk: &SimDisk) -> Vec<String> {
    disk.list().expect("names").into_iter().filter(|name| name.ends_with(".blob")).collect()
}

fn retired(mut batch: Batch, name: &str, keep_until_ms: u64) -> Batch {
    batch.retire(Retire {
        prefixes: vec![name.as_bytes().to_vec()],
        id: name.as_bytes().to_vec(),
        groups: Vec::new(),
        keep_until_ms,
        since: Position::default(),
    });
    batch
}

/// The rows of all documents.
fn documents(store: &JournalStore) -> Result<Model, ReadError> {
    let mut found = Model::new();
    for (_, document) in store.history(None, None, usize::MAX, Order::Ascending)? {
        found.extend(store.document(&document, b"")?.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
    }
    Ok(found)
}

#[test]
fn a_blob_lives_as_long_as_its_row_or_its_document() {
    let (disk, rows) = (SimDisk::new(1), MemoryRows::new());
    let store = open(&disk, &rows).expect("opens");
    let journal = |disk: &SimDisk| disk.contents("0000000000000001.log").expect("a segment").len();
    commit(&store, put("living", large(1)));
    commit(&store, put("changed", large(2)));
    commit(&store, put("gone", large(3)));
    commit(&store, put("run/body", large(4)));
    commit(&store, retired(put("run/output", large(5)), "run/", 100));
    commit(&store, retired(put("soon", large(6)), "soon", 10));
    assert_eq!(blobs(&disk).len(), 6);
    assert!(journal(&disk) < 2000, "the journal only names them");
    assert_eq!(store.tidy(5).expect("tidied").blobs, 0);
    commit(&store, put("changed", "small"));
    let mut batch = Batch::new();
    batch.delete("gone");
    commit(&store, batch);
    let done = store.tidy(20).expect("tidied");
    assert_eq!((done.blobs, blobs(&disk).len()), (3, 3), "{done:?}");
    assert!(done.bytes > 3 * 5500, "{done:?}");
    let living: Model = [("changed", b"small".to_vec()), ("living", large(1))].map(|(k, v)| (k.into(), v)).into();
    let kept: Model = [("run/body", large(4)), ("run/output", large(5))].map(|(k, v)| (k.into(), v)).into();
    for rows in [rows.snapshot(), MemoryRows::new()] {
        let again = open(&disk.after_power_loss(1), &rows).expect("opens");
        assert_eq!((read_all(&again), documents(&again).expect("readable")), (living.clone(), kept.clone()));
        assert_eq!(again.find_document(b"soon").expect("readable"), None, "stays forgotten");
        assert_eq!(again.tidy(20).expect("tidied").blobs, 0);
    }
    assert_eq!(store.tidy(100).expect("tidied").blobs, 2);
    assert_eq!(read_all(&store), living);
}

#[test]
fn index_files_know_the_blobs_of_their_documents() {
    let (disk, rows) = (SimDisk::new(1), MemoryRows::new());
    let store = open(&disk, &rows).expect("opens");
    commit(&store, retired(put("run/body", large(4)), "run/", 100));
    (0..60).for_each(|number| commit(&store, put("filler", vec![number; 100])));
    store.close().expect("closed");
    assert!(disk.contents("0000000000000001.idx").is_some(), "the segment was closed");
    for lost in [false, true] {
        let disk = disk.after_power_loss(1);
        if lost {
            disk.remove("0000000000000001.idx").expect("removed");
        }
        let again = open(&disk, &rows.snapshot()).expect("opens");
        assert_eq!(again.tidy(99).expect("tidied").blobs, 0);
        assert_eq!(documents(&again).expect("readable").len(), 1);
        assert_eq!(again.tidy(100).expect("tidied").blobs, 1);
    }
}

/// What a script of large values has come to, up to a fault.
#[derive(Default)]
struct Run {
    /// Living rows after each batch that may have been written.
    states: Vec<Model>,
    acknowledged: usize,
    /// Documents that were acknowledged, and those that may be there.
    kept: Model,
    maybe: Model,
    forgotten: u64,
}

fn script(disk: &SimDisk, rows: &MemoryRows) -> Run {
    let mut run = Run { states: vec![Model::new()], ..Run::default() };
    let Ok(store) = open(disk, rows) else { return run };
    for round in 0..14u64 {
        let mut living = run.states.last().cloned().expect("a state");
        let (name, value) = (format!("living/{}", round % 3), large(round));
        let mut batch = put(&name, &value);
        living.insert(name.into_bytes(), value);
        if round % 4 == 3 {
            batch.delete("living/0");
            living.remove(&b"living/0"[..]);
        }
        let name = format!("run/{round:02}");
        let body = (name.clone().into_bytes(), large(100 + round));
        batch.put(&name, &body.1);
        run.states.push(living);
        run.maybe.insert(body.0.clone(), body.1.clone());
        if store.commit(retired(batch, &name, 100 + round)).wait().is_err() {
            return run;
        }
        run.acknowledged += 1;
        run.kept.insert(body.0, body.1);
        if round % 5 == 4 {
            run.forgotten = 100 + round - 3;
            if store.tidy(run.forgotten).is_err() {
                return run;
            }
        }
    }
    run
}

impl Run {
    fn check(&self, disk: &SimDisk, rows: &MemoryRows, at: &str) {
        let store = open(disk, rows).unwrap_or_else(|error| panic!("{at}: {error}"));
        let living = read_all(&store);
        assert!(self.states[self.acknowledged..].contains(&living), "{at}: not a state since {}", self.acknowledged);
        let documents = documents(&store).unwrap_or_else(|error| panic!("{at}: {error}"));
        let number = |key: &[u8]| String::from_utf8_lossy(&key[4..]).parse::<u64>().expect("a number");
        let mut kept = self.kept.iter().filter(|(key, _)| number(key) + 100 > self.forgotten);
        assert!(kept.all(|(key, value)| documents.get(key) == Some(value)), "{at}: a kept document is lost");
        assert!(documents.iter().all(|(key, value)| self.maybe.get(key) == Some(value)), "{at}");
        commit(&store, put("after", large(77)));
        assert_eq!(store.get(b"after").expect("readable").as_deref(), Some(&large(77)[..]), "{at}");
        store.tidy(self.forgotten).unwrap_or_else(|error| panic!("{at}: {error}"));
        let needed = living.len() + 1 + documents.keys().filter(|key| number(key) + 100 > self.forgotten).count();
        assert_eq!(blobs(disk).len(), needed, "{at}: each is needed, and there");
    }
}

#[test]
fn a_fault_at_every_operation_leaves_no_name_without_a_file_and_no_file_without_a_name() {
    let whole = SimDisk::new(5);
    let run = script(&whole, &MemoryRows::new());
    assert_eq!((run.acknowledged, run.forgotten), (14, 106));
    for fault in [Fault::PowerLoss, Fault::Full, Fault::Error] {
        for operation in 0..whole.operations() {
            let (disk, rows) = (SimDisk::new(5), MemoryRows::new());
            disk.plan(operation, fault);
            let run = script(&disk, &rows);
            for seed in 0..4 {
                let rows = if seed % 2 == 0 { rows.snapshot() } else { MemoryRows::new() };
                let at = format!("{fault:?} at operation {operation}, seed {seed}");
                run.check(&disk.after_power_loss(seed), &rows, &at);
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_the_batch_and_keeps_nothing_of_it() {
    let disk = SimDisk::new(1);
    let store = open(&disk, &MemoryRows::new()).expect("opens");
    commit(&store, put("small", "1"));
    disk.set_capacity(
        disk.list()
            .expect("names")
            .iter()
            .filter_map(|name| disk.contents(name))
            .map(|it| it.len() as u64)
            .sum::<u64>()
            + 7000,
    );
    let mut batch = put("a", large(1));
    batch.put("b", large(2));
    assert_eq!(store.commit(batch).wait(), Err(CommitError::Full));
    assert_eq!(blobs(&disk), Vec::<String>::new());
    commit(&store, put("a", large(3)));
    assert_eq!(store.get(b"a").expect("readable").as_deref(), Some(&large(3)[..]));
}

#[test]
fn damage_is_told_to_whoever_asks_and_to_nobody_else() {
    let (disk, rows) = (SimDisk::new(1), MemoryRows::new());
    let store = open(&disk, &rows).expect("opens");
    for (number, name) in ["a", "b", "c", "run/d", "run/e"].into_iter().enumerate() {
        let batch = put(name, large(number as u64));
        commit(&store, if name.starts_with("run") { retired(batch, name, 100) } else { batch });
    }
    let files = blobs(&disk);
    disk.damage(&files[0], |bytes| bytes[4000] ^= 1);
    disk.damage(&files[1], |bytes| bytes.truncate(5000));
    disk.remove(&files[3]).expect("removed");
    for store in [store, open(&disk, &MemoryRows::new()).expect("opens")] {
        for (key, file) in [("a", &files[0]), ("b", &files[1])] {
            let error = store.get(key.as_bytes()).expect_err("damaged");
            assert!(matches!(&error, ReadError::Damaged { .. }) && error.to_string().contains(file), "{error}");
        }
        assert_eq!(store.get(b"c").expect("readable").as_deref(), Some(&large(2)[..]));
        let document = |id: &str| store.find_document(id.as_bytes()).expect("readable").expect("kept");
        let error = store.document(&document("run/d"), b"").expect_err("missing");
        assert!(matches!(&error, ReadError::Damaged { why, .. } if why.contains("missing")), "{error}");
        assert_eq!(store.document(&document("run/e"), b"").expect("readable").len(), 1);
        store.tidy(50).expect("tidied");
        commit(&store, put("again", "1"));
        drop(store);
    }
    assert_eq!(blobs(&disk).iter().collect::<BTreeSet<_>>().len(), 4, "what is damaged is left to be looked at");
}

#[test]
fn blobs_survive_in_a_real_folder_with_and_without_sled() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || JournalStore::open(folder.path(), Options { blob_bytes_min: 1 << 20, ..Options::default() });
    let value = Seeded::new(1).bytes(3 << 20);
    let store = open().expect("opens");
    commit(&store, put("large", &value));
    store.close().expect("closed");
    drop(store);
    let store = open().expect("opens");
    assert_eq!(store.get(b"large").expect("readable").as_deref(), Some(&value[..]), "through sled");
    store.checkpoint().expect("written");
    drop(store);
    std::fs::remove_dir_all(folder.path().join("sled")).expect("removed");
    let store = open().expect("opens");
    assert_eq!(store.get(b"large").expect("readable").as_deref(), Some(&value[..]), "through a checkpoint");
    let blobs = || {
        let names = std::fs::read_dir(folder.path().join("journal")).expect("a folder");
        names
            .filter(|entry| entry.as_ref().expect("an entry").path().extension().is_some_and(|it| it == "blob"))
            .count()
    };
    assert_eq!(blobs(), 1);
    commit(&store, put("large", "small"));
    assert_eq!((store.tidy(0).expect("tidied").blobs, blobs()), (1, 0));
}
