//! The journal: bytes that are not what was written are never read as something else.
//!
//! A store is closed; its segments are changed; it is opened from them alone. Either the
//! damage is told, or what is read is what one of the batches left behind: none made up,
//! and none missing that ends before the first changed byte.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use store::{Batch, Disk as _, JournalStore, MemoryRows, OpenError, Options, Order, ReadError, Store as _};
use testkit::{Seeded, SimDisk};

use crate::choices::Choices;
use crate::mutate;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A closed store on a disk, and what it held after each batch.
struct Written {
    disk: SimDisk,
    segments: Vec<String>,
    /// What was held, and where its batch ends: the number of the segment, and its bytes.
    states: Vec<(Model, usize, usize)>,
}

/// Several stores: few batches and many, with and without values outside the rows.
static WRITTEN: LazyLock<Vec<Written>> = LazyLock::new(|| {
    [(1, 3, 20), (2, 30, 40), (3, 40, 300), (4, 12, 1_500)]
        .map(|(seed, batches, most)| write(seed, batches, most))
        .into()
});

fn options() -> Options {
    Options {
        segment_bytes: 2048,
        inline_bytes_max: 64,
        blob_bytes_min: 5000,
        behind_delay: Duration::from_secs(3600),
        free_bytes_min: 0,
        stepped: true,
        ..Options::default()
    }
}

fn segments(disk: &SimDisk) -> Vec<String> {
    let mut names: Vec<String> =
        disk.list().expect("names").into_iter().filter(|name| name.ends_with(".log")).collect();
    names.sort();
    names
}

fn write(seed: u64, batches: usize, value_bytes_max: usize) -> Written {
    let (disk, mut model, mut random) = (SimDisk::new(seed), Model::new(), Seeded::new(seed));
    let store = JournalStore::open_on(Arc::new(disk.clone()), MemoryRows::new(), options()).expect("a new store");
    let mut states = vec![(model.clone(), 0, 0)];
    for _ in 0..batches {
        let mut batch = Batch::new();
        for _ in 0..=random.below(4) {
            let key = format!("k{}", random.below(12)).into_bytes();
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
        store.commit(batch).wait().expect("a commit");
        let names = segments(&disk);
        let bytes = disk.contents(names.last().expect("a segment")).expect("its bytes").len();
        states.push((model.clone(), names.len() - 1, bytes));
    }
    store.close().expect("closed");
    let segments = segments(&disk);
    Written { disk, segments, states }
}

/// A store whose segments are changed in one to three places.
pub fn journal(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let written = choices.pick(&WRITTEN);
    let harmed = written.disk.after_power_loss(0);
    let mut contents: Vec<Option<Vec<u8>>> = written.segments.iter().map(|name| harmed.contents(name)).collect();
    for _ in 0..=choices.below(3) {
        let (at, from) = (choices.below(contents.len()), choices.below(contents.len()));
        let donor = contents[from].clone().unwrap_or_default();
        match &mut contents[at] {
            Some(bytes) if !choices.one_in(16) => mutate::bytes(bytes, &donor, &mut choices),
            other if choices.one_in(4) => *other = None,
            other => *other = Some(donor),
        }
    }
    for (name, bytes) in written.segments.iter().zip(&contents) {
        match bytes {
            Some(bytes) => harmed.damage(name, |old| old.clone_from(bytes)),
            None => harmed.remove(name).expect("removed"),
        }
    }
    let (segment, byte) = first_difference(written, &contents);
    let whole = written.states.iter().rposition(|(_, at, end)| *at < segment || *at == segment && *end <= byte);
    judge(written, &harmed, whole.expect("the empty store is always whole"));
}

/// The number of the first segment that is different, and its first different byte.
fn first_difference(written: &Written, contents: &[Option<Vec<u8>>]) -> (usize, usize) {
    for (at, (name, now)) in written.segments.iter().zip(contents).enumerate() {
        let before = written.disk.contents(name).expect("as it was written");
        let Some(now) = now else { return (at, 0) };
        let same = before.iter().zip(now).take_while(|(before, now)| before == now).count();
        if same < before.len().max(now.len()) {
            return (at, same);
        }
    }
    (usize::MAX, usize::MAX)
}

fn judge(written: &Written, harmed: &SimDisk, whole: usize) {
    let store = match JournalStore::open_on(Arc::new(harmed.clone()), MemoryRows::new(), options()) {
        Ok(store) => store,
        Err(OpenError::Damaged { .. } | OpenError::Version { .. }) => return,
        Err(other) => panic!("neither opened nor damaged: {other}"),
    };
    let held = match read_all(&store) {
        Ok(held) => held,
        Err(ReadError::Damaged { .. }) => return,
        Err(other) => panic!("neither read nor damaged: {other}"),
    };
    let found = written.states.iter().rposition(|(state, ..)| *state == held);
    let found = found.unwrap_or_else(|| panic!("no batch left this behind: {} keys", held.len()));
    assert!(found >= whole, "batches up to {whole} were whole, and those after {found} are lost");
}

fn read_all(store: &JournalStore) -> Result<Model, ReadError> {
    let rows = store.scan(b"", None, 1_000, Order::Ascending)?;
    Ok(rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
}
