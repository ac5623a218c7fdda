//! History: rows that became documents, against a model, over restarts, power
//! losses and damage.

mod common;

use common::{Model, commit, put, read_all, small};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Batch, Disk, JournalStore, MemoryRows, OpenError, Options, Order, Position, Retire, Row, Store};
use testkit::{Fault, Seeded, SimDisk};

/// What a store is to hold: living rows, and the rows of each document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct World {
    living: Model,
    documents: BTreeMap<Vec<u8>, (Vec<String>, Model)>,
}

fn options() -> Options {
    Options { stepped: true, behind_bytes: 3000, ..small() }
}

fn open(disk: &SimDisk, rows: &MemoryRows) -> Result<JournalStore, OpenError> {
    JournalStore::open_on(Arc::new(disk.clone()), rows.clone(), options())
}

/// Makes batches, and knows what they add up to.
struct Script {
    random: Seeded,
    world: World,
    next: u32,
    /// The first batch of each run.
    begun: BTreeMap<String, u64>,
    batches: u64,
}

impl Script {
    fn new(seed: u64) -> Self {
        Self { random: Seeded::new(seed), world: World::default(), next: 0, begun: BTreeMap::new(), batches: 0 }
    }

    /// The next batch.
    fn change(&mut self) -> Batch {
        self.batches += 1;
        change(self)
    }

    /// What may be said of the rows of a run: their first batch, or nothing.
    fn since(&mut self, run: &str) -> Position {
        let first = *self.begun.get(run).expect("begun");
        match self.random.below(4) {
            0 => Position::default(),
            _ if first == self.batches => Position::LAST,
            _ => Position::from_sequence(first),
        }
    }
}

/// One change of a random run: begun, gone on, or ended. Long runs outlive
/// many segments, short ones end in their first batch.
fn change(script: &mut Script) -> Batch {
    let Script { random, world, next, begun, batches } = script;
    let mut batch = Batch::new();
    let open: Vec<String> =
        (0..*next).map(id).filter(|id| world.living.contains_key(key(id, "run").as_slice())).collect();
    let run = if open.is_empty() || (open.len() < 6 && random.chance(0.4)) {
        *next += 1;
        id(*next - 1)
    } else {
        random.pick(&open).clone()
    };
    begun.entry(run.clone()).or_insert(*batches);
    let mut write = |name: &str, value: Vec<u8>| {
        batch.put(key(&run, name), &value);
        world.living.insert(key(&run, name), value);
    };
    write("run", random.bytes(20));
    for _ in 0..random.below(3) {
        let (name, len) = (format!("line/{}", random.below(5)), random.below(200));
        write(&name, random.bytes(len));
    }
    if random.chance(0.2) {
        batch.delete(key(&run, "line/1"));
        world.living.remove(&key(&run, "line/1"));
    }
    if random.chance(if open.contains(&run) { 0.5 } else { 0.2 }) {
        let since = script.since(&run);
        end(&mut script.random, &mut script.world, &run, since, &mut batch);
    }
    batch
}

fn end(random: &mut Seeded, world: &mut World, run: &str, since: Position, batch: &mut Batch) {
    let groups = vec![format!("flow/{}", random.below(3)), format!("status/{}", random.below(2))];
    let prefixes = ["line", "run"].map(|table| format!("{table}|{run}").into_bytes()).to_vec();
    let rows: Model = world
        .living
        .iter()
        .filter(|(key, _)| prefixes.iter().any(|prefix| key.starts_with(prefix)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    world.living.retain(|key, _| !rows.contains_key(key));
    batch.retire(Retire {
        prefixes,
        id: run.as_bytes().to_vec(),
        groups: groups.iter().map(|group| group.clone().into_bytes()).collect(),
        keep_until_ms: u64::from(u32::MAX),
        since,
    });
    world.documents.insert(run.as_bytes().to_vec(), (groups, rows));
}

fn id(number: u32) -> String {
    format!("{number:06}")
}

fn key(run: &str, name: &str) -> Vec<u8> {
    let (table, rest) = name.split_once('/').unwrap_or((name, ""));
    format!("{table}|{run}/{rest}").into_bytes()
}

/// Everything that a store holds.
fn world_of(store: &JournalStore) -> World {
    let mut world = World { living: read_all(store), ..World::default() };
    for id in ids(store, None, Order::Descending, 3) {
        let document = store.find_document(&id).expect("readable").expect("a listed document is found");
        let rows = store.document(&document, b"").expect("readable");
        world.documents.insert(id, (Vec::new(), rows.into_iter().map(owned).collect()));
    }
    for group in ["flow/0", "flow/1", "flow/2", "status/0", "status/1"] {
        for id in ids(store, Some(group), Order::Ascending, 4) {
            world.documents.get_mut(&id).expect("in the list of all").0.push(group.to_owned());
        }
    }
    world
}

fn owned((key, value): Row) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), value.to_vec())
}

/// Ids of a list, page by page, in their order.
fn ids(store: &JournalStore, group: Option<&str>, order: Order, page: usize) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    loop {
        let after = found.last().cloned();
        let more = store.history(group.map(str::as_bytes), after.as_deref(), page, order).expect("readable");
        if more.is_empty() {
            break;
        }
        found.extend(more.into_iter().map(|(id, _)| id.to_vec()));
    }
    let sorted = match order {
        Order::Ascending => found.is_sorted_by(|left, right| left < right),
        Order::Descending => found.is_sorted_by(|left, right| left > right),
    };
    assert!(sorted, "ids are in order, each once: {found:?}");
    found
}

/// Runs a script, and gives the states after each batch.
fn script(disk: &SimDisk, rows: &MemoryRows, seed: u64, batches: usize) -> (Vec<World>, usize) {
    let mut states = vec![World::default()];
    let Ok(store) = open(disk, rows) else { return (states, 0) };
    let mut script = Script::new(seed);
    for done in 0..batches {
        let batch = script.change();
        states.push(script.world.clone());
        if store.commit(batch).wait().is_err() {
            return (states, done);
        }
    }
    (states, batches)
}

#[test]
fn documents_and_living_rows_match_the_model() {
    for seed in 0..12 {
        let (disk, rows) = (SimDisk::new(seed), MemoryRows::new());
        let (states, _) = script(&disk, &rows, seed, 160);
        let last = states.last().expect("a state");
        assert!(last.documents.len() > 20, "seed {seed}: only {} documents", last.documents.len());
        for rows in [rows, MemoryRows::new()] {
            let store = open(&disk, &rows).expect("opens");
            assert!(store.stats().segment > 5, "seed {seed}: the script must roll segments");
            assert_eq!(&world_of(&store), last, "seed {seed}");
        }
    }
}

/// Several batches of one group, the later ones seeing the earlier; with the
/// threads on.
#[test]
fn a_group_retires_what_it_has_just_written() {
    let disk = SimDisk::new(1);
    let options = Options { stepped: false, ..options() };
    let store = JournalStore::open_on(Arc::new(disk.clone()), MemoryRows::new(), options).expect("opens");
    let mut script = Script::new(5);
    for _ in 0..20 {
        let batches = (0..8).map(|_| script.change()).collect();
        for commit in store.commit_all(batches) {
            commit.wait().expect("committed");
        }
        if script.random.chance(0.2) {
            store.settle().expect("settled");
        }
        assert_eq!(world_of(&store), script.world);
    }
}

#[test]
fn power_loss_at_every_operation() {
    let whole = SimDisk::new(3);
    script(&whole, &MemoryRows::new(), 3, 60);
    for operation in 0..whole.operations() {
        let (disk, rows) = (SimDisk::new(3), MemoryRows::new());
        disk.plan(operation, Fault::PowerLoss);
        let (states, acknowledged) = script(&disk, &rows, 3, 60);
        for seed in 0..6 {
            let at = format!("operation {operation}, seed {seed}");
            let rows = if seed % 2 == 0 { rows.snapshot() } else { MemoryRows::new() };
            let store = open(&disk.after_power_loss(seed), &rows).unwrap_or_else(|error| panic!("{at}: {error}"));
            let found = world_of(&store);
            assert!(states[acknowledged..].contains(&found), "{at}: not a state since batch {acknowledged}");
            commit(&store, put("more", "1"));
        }
    }
}

#[test]
fn lost_and_damaged_indexes_are_made_again() {
    let (disk, rows) = (SimDisk::new(4), MemoryRows::new());
    let (states, _) = script(&disk, &rows, 4, 160);
    drop(open(&disk, &rows).expect("writes the index of the last closed segment"));
    let last = states.last().expect("a state");
    let indexes: Vec<String> = disk.list().expect("names").into_iter().filter(|name| name.ends_with(".idx")).collect();
    assert!(indexes.len() > 5, "{indexes:?}");
    let mut random = Seeded::new(6);
    for round in 0..200 {
        let harmed = disk.after_power_loss(0);
        let name = random.pick(&indexes).clone();
        let (how, len) = (random.below(3), harmed.contents(&name).expect("an index").len());
        let at = random.below(len);
        match how {
            0 => harmed.remove(&name).expect("removed"),
            1 => harmed.damage(&name, |bytes| bytes.truncate(at)),
            _ => harmed.damage(&name, |bytes| bytes[at] ^= 1 << (at % 8)),
        }
        let store = open(&harmed, &rows.snapshot()).expect("opens");
        assert_eq!(&world_of(&store), last, "round {round}: {how} at {at} of {name}");
    }
}

/// One list among many, over segments that mostly have nothing of it.
#[test]
fn a_sparse_list_skips_what_cannot_match() {
    let (disk, rows) = (SimDisk::new(8), MemoryRows::new());
    let store = open(&disk, &rows).expect("opens");
    for number in 0..300 {
        let run = id(number);
        let mut batch = put(&format!("run|{run}/"), [7; 100]);
        let group: &[u8] = if number % 100 == 50 { b"rare" } else { b"common" };
        batch.retire(Retire {
            prefixes: vec![format!("run|{run}").into_bytes()],
            id: run.into_bytes(),
            groups: vec![group.to_vec()],
            keep_until_ms: 1,
            since: Position::default(),
        });
        commit(&store, batch);
    }
    assert!(store.stats().segment > 15);
    let rare = ids(&store, Some("rare"), Order::Descending, 2);
    assert_eq!(rare, [id(250), id(150), id(50)].map(String::into_bytes));
    assert_eq!(ids(&store, Some("common"), Order::Ascending, 100).len(), 297);
    assert_eq!(ids(&store, Some("nothing"), Order::Ascending, 1), Vec::<Vec<u8>>::new());
    assert_eq!(read_all(&store), Model::new());
    assert_eq!(store.find_document(b"000300").expect("readable"), None);
}
