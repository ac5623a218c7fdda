//! Retention: space comes back, nothing that is kept goes, and a crash at any
//! point of it is safe.

mod common;

use common::{Model, commit, put, read_all, small};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use store::{
    Batch, CommitError, Disk, DiskFile, JournalStore, MemoryRows, OpenError, Options, Order, Position, Retire, Store,
};
use testkit::{Fault, Seeded, SimDisk};

fn options() -> Options {
    Options { stepped: true, behind_bytes: 3000, ..small() }
}

fn open(disk: &SimDisk, rows: &MemoryRows) -> Result<JournalStore, OpenError> {
    JournalStore::open_on(Arc::new(disk.clone()), rows.clone(), options())
}

/// A run of two batches that is kept until `keep`.
fn run(store: &JournalStore, number: u64, keep: u64) -> bool {
    let name = format!("run|{number:06}/");
    let begun = store.commit(put(&name, vec![1; 150])).wait();
    let mut batch = put(&format!("{name}line"), number.to_be_bytes());
    batch.retire(Retire {
        prefixes: vec![name.into_bytes()],
        id: format!("{number:06}").into_bytes(),
        groups: vec![b"all".to_vec()],
        keep_until_ms: keep,
        since: Position::default(),
    });
    begun.is_ok() && store.commit(batch).wait().is_ok()
}

fn documents(store: &JournalStore) -> Vec<u64> {
    let listed = store.history(Some(b"all"), None, usize::MAX, Order::Ascending).expect("readable");
    let number = |(id, document)| {
        let id: bytes::Bytes = id;
        let rows = store.document(&document, b"").expect("a listed document is readable");
        let number = String::from_utf8_lossy(&id).parse().expect("a number");
        assert_eq!(rows[1].1, u64::to_be_bytes(number)[..], "{number}");
        assert_eq!(rows[0].1, [1; 150][..], "{number}");
        number
    };
    listed.into_iter().map(number).collect()
}

fn segments(disk: &SimDisk) -> Vec<String> {
    disk.list().expect("names").into_iter().filter(|name| name.ends_with(".log")).collect()
}

fn bytes(disk: &SimDisk) -> usize {
    disk.list().expect("names").iter().filter_map(|name| disk.contents(name)).map(|file| file.len()).sum()
}

/// Living rows that pin old segments: large values, written once, among others that
/// are soon over.
fn living(store: &JournalStore) -> Model {
    let mut model = Model::new();
    for number in 0..5u8 {
        let (key, value) = (format!("living/{number}"), vec![number; 300]);
        commit(store, put(&key, &value));
        model.insert(key.into_bytes(), value);
        for _ in 0..2 {
            commit(store, put("short", [0; 300]));
        }
    }
    let mut over = Batch::new();
    over.delete("short");
    commit(store, over);
    model
}

#[test]
fn forgotten_segments_go_and_living_rows_stay() {
    let (disk, rows) = (SimDisk::new(1), MemoryRows::new());
    let store = open(&disk, &rows).expect("opens");
    let model = living(&store);
    for number in 0..200 {
        assert!(run(&store, number, 1000 + number));
    }
    let before = (segments(&disk).len(), bytes(&disk));
    let kept = store.tidy(900).expect("tidied");
    assert_eq!(documents(&store).len(), 200, "nothing is forgotten yet: {kept:?}");
    let done = store.tidy(1100).expect("tidied");
    assert!(done.segments > 10 && done.bytes > 20_000, "{done:?}");
    assert_eq!(kept.carried + done.carried, 5, "{kept:?} {done:?}");
    assert_eq!(documents(&store), (101..200).collect::<Vec<_>>());
    assert_eq!(read_all(&store), model);
    let all = store.tidy(5000).expect("tidied");
    assert!(all.segments > 10, "{all:?}");
    assert_eq!(documents(&store), Vec::<u64>::new());
    let after = (segments(&disk).len(), bytes(&disk));
    assert!(after.0 * 10 < before.0 && after.1 * 5 < before.1, "{before:?} {after:?}");
    for rows in [rows.snapshot(), MemoryRows::new()] {
        let again = open(&disk.after_power_loss(1), &rows).expect("opens");
        assert_eq!(read_all(&again), model);
        assert_eq!(documents(&again), Vec::<u64>::new());
        assert!(run(&again, 999, 9000));
        assert_eq!(documents(&again), [999]);
    }
}

/// Writing them again would free nothing, and had to be done again with each turn.
#[test]
fn a_segment_of_living_values_stays_until_they_are_over() {
    let (disk, rows) = (SimDisk::new(5), MemoryRows::new());
    let store = open(&disk, &rows).expect("opens");
    let key = |number: u8| format!("living/{number}");
    for number in 0..20 {
        commit(&store, put(&key(number), [number; 300]));
    }
    for number in 0..200 {
        assert!(run(&store, number, 1000));
    }
    let first = segments(&disk).into_iter().min().expect("a segment");
    let done = store.tidy(100_000).expect("tidied");
    assert!(done.segments > 10 && done.carried < 10, "{done:?}");
    assert!(segments(&disk).contains(&first));
    let size = bytes(&disk);
    for minute in 2..8 {
        let again = store.tidy(minute * 100_000).expect("tidied");
        assert_eq!((again.segments, again.carried), (0, 0));
    }
    assert_eq!(bytes(&disk), size, "nothing is written when there is nothing to free");
    for number in 0..20 {
        commit(&store, put(&key(number), [0; 30]));
    }
    store.tidy(2_000_000).expect("tidied");
    assert!(!segments(&disk).contains(&first));
    assert_eq!(read_all(&store).len(), 20);
}

/// It forgets too much, but nothing that ends when the clock is right again.
#[test]
fn a_clock_that_was_ahead_for_a_while_hides_nothing_later() {
    let (disk, rows) = (SimDisk::new(6), MemoryRows::new());
    let store = open(&disk, &rows).expect("opens");
    assert!(run(&store, 0, 1000));
    store.tidy(1_000_000_000).expect("tidied");
    assert_eq!(documents(&store), Vec::<u64>::new());
    for number in 1..100 {
        assert!(run(&store, number, 1000 + number));
    }
    store.tidy(1050).expect("tidied");
    assert_eq!(documents(&store), (51..100).collect::<Vec<_>>());
    drop(store);
    let again = open(&disk.after_power_loss(1), &MemoryRows::new()).expect("opens");
    assert_eq!(documents(&again), (51..100).collect::<Vec<_>>());
}

/// What makes space does not wait for space.
#[test]
fn a_full_disk_is_freed_by_what_is_forgotten() {
    let (disk, rows) = (SimDisk::new(3), MemoryRows::new());
    let options = Options { free_bytes_min: 20_000, ..options() };
    let store = JournalStore::open_on(Arc::new(disk.clone()), rows, options).expect("opens");
    let model = living(&store);
    for number in 0..200 {
        assert!(run(&store, number, 1000));
    }
    disk.set_capacity(u64::MAX - disk.free_bytes().expect("a number") + 18_000);
    assert!(matches!(store.commit(put("late", [1])).wait(), Err(CommitError::Full)));
    let done = store.tidy(2000).expect("tidied");
    assert!(done.segments > 10 && done.carried == 5, "{done:?}");
    assert_eq!(read_all(&store), model);
    commit(&store, put("late", [1]));
}

/// A disk with a file that cannot be read for a while, and something that is to happen
/// when a checkpoint begins.
struct BadSector {
    disk: SimDisk,
    file: Arc<Mutex<Option<String>>>,
    at_checkpoint: Later,
}

type Later = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

struct BadFile {
    file: Arc<dyn DiskFile>,
    name: String,
    bad: Arc<Mutex<Option<String>>>,
}

impl BadSector {
    fn file(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(BadFile { file, name: name.to_owned(), bad: self.file.clone() })
    }
}

impl Disk for BadSector {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(name, self.disk.open(name)?))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if name.contains(".ckp") {
            let work = self.at_checkpoint.lock().expect("nobody panics with it").take();
            work.into_iter().for_each(|work| work());
        }
        Ok(self.file(name, self.disk.create(name)?))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }
}

impl DiskFile for BadFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.file.len_bytes()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.bad.lock().expect("nobody panics with it").as_deref() == Some(&self.name) {
            return Err(io::Error::other("a bad sector"));
        }
        self.file.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

/// It keeps its segment, and everything else goes on.
#[test]
fn a_living_value_that_cannot_be_read_stops_nobody() {
    let (disk, bad) = (SimDisk::new(4), Arc::<Mutex<Option<String>>>::default());
    let seen = Arc::new(BadSector { disk: disk.clone(), file: bad.clone(), at_checkpoint: Later::default() });
    let store = JournalStore::open_on(seen, MemoryRows::new(), options()).expect("opens");
    let model = living(&store);
    for number in 0..200 {
        assert!(run(&store, number, 1000));
    }
    let first = segments(&disk).into_iter().min().expect("a segment");
    *bad.lock().expect("nobody panics with it") = Some(first.clone());
    let done = store.tidy(2000).expect("tidied");
    assert!(done.segments > 10 && done.carried < 5, "{done:?}");
    assert!(segments(&disk).contains(&first));
    commit(&store, put("late", [1]));
    *bad.lock().expect("nobody panics with it") = None;
    // It is left alone for a while.
    let rest = store.tidy(2_000_000).expect("tidied");
    assert!(done.carried + rest.carried >= 5 && !segments(&disk).contains(&first), "{rest:?}");
    let late = (b"late".to_vec(), vec![1]);
    assert_eq!(read_all(&store), model.into_iter().chain([late]).collect::<Model>());
}

/// One document that is kept long among many that are not: only what it needs
/// stays, and a run that outlived many segments has its early rows with it.
#[test]
fn a_kept_document_keeps_what_it_needs_and_no_more() {
    let (disk, rows) = (SimDisk::new(2), MemoryRows::new());
    let store = open(&disk, &rows).expect("opens");
    commit(&store, put("old|early", [9; 200]));
    commit(&store, put("old|small", [8; 20]));
    for number in 0..100 {
        assert!(run(&store, number, 10));
    }
    let mut batch = put("old|late", [7; 20]);
    batch.retire(Retire {
        prefixes: vec![b"old|".to_vec()],
        id: b"0".to_vec(),
        groups: vec![],
        keep_until_ms: 5000,
        since: Position::default(),
    });
    commit(&store, batch);
    for number in 100..200 {
        assert!(run(&store, number, 10));
    }
    store.tidy(100).expect("tidied");
    assert!(segments(&disk).len() < 6, "{:?}", segments(&disk));
    let again = open(&disk, &MemoryRows::new()).expect("opens");
    let document = again.find_document(b"0").expect("readable").expect("kept");
    let found = again.document(&document, b"").expect("readable");
    let found: Vec<_> = found.iter().map(|(key, value)| (&key[..], value[0], value.len())).collect();
    assert_eq!(found, [(&b"old|early"[..], 9, 200), (b"old|late", 7, 20), (b"old|small", 8, 20)]);
}

/// A script of runs and tidying, up to the planned fault.
fn script(disk: &SimDisk, rows: &MemoryRows) -> (Option<Model>, BTreeSet<u64>, u64) {
    let mut done = BTreeSet::new();
    let Ok(store) = open(disk, rows) else { return (None, done, 0) };
    let mut model = Model::new();
    for number in 0..3u8 {
        let (key, value) = (format!("living/{number}"), vec![number; 300]);
        if store.commit(put(&key, &value)).wait().is_err() {
            return (None, done, 0);
        }
        model.insert(key.into_bytes(), value);
    }
    let mut forgotten = 0;
    for number in 0..40 {
        if !run(&store, number, 100 + number) {
            break;
        }
        done.insert(number);
        if number % 13 == 12 {
            forgotten = 100 + number - 4;
            if store.tidy(forgotten).is_err() {
                break;
            }
        }
    }
    (Some(model), done, forgotten)
}

/// What must be there after a fault: every living row, every acknowledged
/// document that is not forgotten; a forgotten one may be there or not.
fn check(disk: &SimDisk, rows: &MemoryRows, (model, done, forgotten): &(Option<Model>, BTreeSet<u64>, u64), at: &str) {
    let store = open(disk, rows).unwrap_or_else(|error| panic!("{at}: {error}: {:?}", error.problem()));
    let Some(model) = model else { return };
    let mut living = read_all(&store);
    living.retain(|key, _| !key.starts_with(b"run|"));
    assert_eq!(&living, model, "{at}");
    let found: BTreeSet<u64> = documents(&store).into_iter().collect();
    let kept: BTreeSet<u64> = done.iter().copied().filter(|number| number + 100 > *forgotten).collect();
    assert!(found.is_superset(&kept), "{at}: {kept:?} must be there, not only {found:?}");
    store.tidy(*forgotten).unwrap_or_else(|error| panic!("{at}: {error:?}"));
    assert_eq!(
        read_all(&store).into_iter().filter(|(key, _)| !key.starts_with(b"run|")).collect::<Model>(),
        *model,
        "{at}"
    );
    assert!(run(&store, 999, u64::MAX), "{at}");
    let found: BTreeSet<u64> = documents(&store).into_iter().collect();
    assert!(found.contains(&999) && found.is_superset(&kept), "{at}");
}

#[test]
fn power_loss_at_every_operation_of_tidying() {
    let whole = SimDisk::new(5);
    let (_, done, forgotten) = script(&whole, &MemoryRows::new());
    assert_eq!((done.len(), forgotten), (40, 134));
    for fault in [Fault::PowerLoss, Fault::Full] {
        for operation in 0..whole.operations() {
            let (disk, rows) = (SimDisk::new(5), MemoryRows::new());
            disk.plan(operation, fault);
            let outcome = script(&disk, &rows);
            for seed in 0..4 {
                let rows = if seed % 2 == 0 { rows.snapshot() } else { MemoryRows::new() };
                let at = format!("{fault:?} at operation {operation}, seed {seed}");
                check(&disk.after_power_loss(seed), &rows, &outcome, &at);
            }
        }
    }
}

#[test]
fn damaged_checkpoints_and_lists_are_noticed() {
    let (disk, rows) = (SimDisk::new(6), MemoryRows::new());
    let outcome = script(&disk, &rows);
    let mut random = Seeded::new(1);
    let names = disk.list().expect("names");
    let checkpoints: Vec<String> = names.iter().filter(|name| name.ends_with(".ckp")).cloned().collect();
    assert_eq!(checkpoints.len(), 2, "{names:?}");
    for round in 0..200 {
        let harmed = disk.after_power_loss(0);
        let name = random.pick(&checkpoints).clone();
        let at = random.below(harmed.contents(&name).expect("a file").len());
        match round % 3 {
            0 => harmed.damage(&name, |bytes| bytes.truncate(at)),
            1 => harmed.remove(&name).expect("removed"),
            _ => harmed.damage(&name, |bytes| bytes[at] ^= 1 << (at % 8)),
        }
        check(&harmed, &MemoryRows::new(), &outcome, &format!("round {round}, byte {at} of {name}"));
    }
    for name in &checkpoints {
        disk.damage(name, |bytes| bytes[100] ^= 1);
    }
    let Err(OpenError::Damaged { why, .. }) = open(&disk, &MemoryRows::new()) else { panic!("both are damaged") };
    assert!(why.contains("no sound checkpoint"), "{why}");
    let list = disk.after_power_loss(0);
    list.damage("unlinked.list", |bytes| bytes[20] ^= 1);
    assert!(matches!(open(&list, &rows.snapshot()), Err(OpenError::Damaged { .. })));
    list.remove("unlinked.list").expect("removed");
    assert!(matches!(open(&list, &rows.snapshot()), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_checkpoint_brings_lost_rows_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || JournalStore::open(folder.path(), Options { stepped: false, ..options() }).expect("opens");
    let store = open();
    let model = living(&store);
    store.checkpoint().expect("written");
    let mut later = Batch::new();
    later.put("later", "1");
    commit(&store, later);
    drop(store);
    std::fs::remove_dir_all(folder.path().join("sled")).expect("removed");
    let mut expected = model;
    expected.insert(b"later".to_vec(), b"1".to_vec());
    assert_eq!(read_all(&open()), expected);
}

/// A checkpoint holds some of what was written while it was made. A journal that lost that
/// is not what the rows were made from, however often it is opened.
#[test]
fn a_journal_shorter_than_its_checkpoint_is_refused_each_time() {
    let (disk, at_checkpoint) = (SimDisk::new(9), Later::default());
    let seen = BadSector { disk: disk.clone(), file: Arc::default(), at_checkpoint: Arc::clone(&at_checkpoint) };
    let store = Arc::new(JournalStore::open_on(Arc::new(seen), MemoryRows::new(), options()).expect("opens"));
    let mut model = living(&store);
    let writer = Arc::clone(&store);
    *at_checkpoint.lock().expect("nobody panics with it") = Some(Box::new(move || {
        for number in 0..3 {
            commit(&writer, put(&format!("late/{number}"), [number]));
        }
    }));
    store.checkpoint().expect("written");
    assert!(at_checkpoint.lock().expect("nobody panics with it").is_none(), "it was written while three came");
    let last = segments(&disk).into_iter().max().expect("a segment");
    let whole = disk.contents(&last).expect("a file").len();
    // A torn last batch, and one that is not there at all: 24 bytes and its key and value.
    for lost in [1, 24 + 7 + "late/2".len() + 1] {
        let (harmed, rows) = (disk.after_power_loss(0), MemoryRows::new());
        harmed.damage(&last, |bytes| bytes.truncate(whole - lost));
        let before = harmed.operations();
        for attempt in 1..=3 {
            let Err(OpenError::Damaged { why, .. }) = open(&harmed, &rows) else { panic!("{lost}: attempt {attempt}") };
            assert!(why.contains("ends before batches that were acknowledged"), "{why}");
        }
        assert_eq!(harmed.operations(), before, "nothing may be changed");
    }
    for number in 0..3 {
        model.insert(format!("late/{number}").into_bytes(), vec![number]);
    }
    let rows = MemoryRows::new();
    for _ in 0..2 {
        assert_eq!(read_all(&open(&disk.after_power_loss(0), &rows).expect("a whole one opens")), model);
    }
}

/// Most rows are such: keys that begin alike, a hash at their end, a short value.
#[test]
fn a_checkpoint_takes_less_than_two_thirds_of_its_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = JournalStore::open(folder.path(), Options { stepped: false, ..options() }).expect("opens");
    let (mut random, mut batch, mut rows) = (Seeded::new(1), Batch::new(), 0);
    for _ in 0..5000 {
        let key = [&b"table|environment|a-flow-of-some-name|"[..], &random.bytes(16)].concat();
        let value = random.bytes(16);
        rows += key.len() + value.len();
        batch.put(key, value);
    }
    commit(&store, batch);
    store.checkpoint().expect("written");
    let files = std::fs::read_dir(folder.path().join("journal")).expect("a folder").map(|file| file.expect("a file"));
    let checkpoint = files.into_iter().find(|file| file.path().extension().is_some_and(|it| it == "ckp"));
    let bytes = checkpoint.expect("a checkpoint").metadata().expect("its length").len();
    assert!(bytes * 3 < rows as u64 * 2, "{bytes} bytes for rows of {rows}");
}
