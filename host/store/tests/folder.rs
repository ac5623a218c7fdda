//! A store in a real folder: its lock, and its rows in sled when these are
//! lost, older, broken or somebody else's.

mod common;

use common::{Model, commit, put, random_batch, read_all, small};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use store::{Batch, JournalStore, OpenError, Options, Store};
use testkit::Seeded;

fn open(folder: &Path) -> JournalStore {
    JournalStore::open(folder, small()).expect("opens")
}

/// A closed store with some history, and what it holds.
fn closed(folder: &Path, seed: u64) -> Model {
    let store = open(folder);
    let (mut random, mut model) = (Seeded::new(seed), Model::new());
    for _ in 0..40 {
        commit(&store, random_batch(&mut random, &mut model, 9000));
    }
    store.close().expect("closed");
    model
}

#[test]
fn a_second_handle_is_told_who_holds_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let Err(error) = JournalStore::open(folder.path(), small()) else { panic!("two handles on one folder") };
    assert!(matches!(&error, OpenError::InUse { pid, .. } if *pid == Some(std::process::id())), "{error}");
    drop(store);
    open(folder.path());
}

/// Run by the test below in a process of its own; alone, it has no folder.
#[test]
fn second_process() {
    let Some(folder) = std::env::var_os("STORE_TEST_FOLDER") else { return };
    let Err(error) = JournalStore::open(Path::new(&folder), small()) else { panic!("two processes on one folder") };
    println!("refused: {error}");
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["second_process", "--exact", "--nocapture"])
        .env("STORE_TEST_FOLDER", folder.path())
        .output()
        .expect("a second process");
    let text = String::from_utf8_lossy(&output.stdout);
    let expected =
        format!("refused: data folder {} is in use by process {}", folder.path().display(), std::process::id());
    assert!(output.status.success() && text.contains(&expected), "{text}");
    drop(store);
}

#[test]
fn lost_old_broken_and_foreign_rows_are_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = tempfile::tempdir().expect("a folder");
    closed(other.path(), 2);
    let mut model = closed(folder.path(), 1);
    let (sled, old) = (folder.path().join("sled"), folder.path().join("old"));
    copy(&sled, &old);
    let store = open(folder.path());
    commit(&store, random_batch(&mut Seeded::new(3), &mut model, 9000));
    store.close().expect("closed");
    drop(store);
    let changes: [(&str, &dyn Fn()); 6] = [
        ("lost", &|| {}),
        ("old", &|| copy(&old, &sled)),
        ("of another store", &|| copy(&other.path().join("sled"), &sled)),
        ("overwritten", &|| {
            copy(&old, &sled);
            fs::write(sled.join("db"), vec![0xA5; 100_000]).expect("written");
        }),
        ("cut", &|| {
            copy(&old, &sled);
            fs::write(sled.join("conf"), b"nonsense").expect("written");
        }),
        ("with a leftover snapshot", &|| {
            copy(&old, &sled);
            fs::write(sled.join("snap.0000000000000001.generating"), b"half").expect("written");
        }),
    ];
    for (what, change) in changes {
        fs::remove_dir_all(&sled).expect("removed");
        change();
        let store = open(folder.path());
        assert_eq!(read_all(&store), model, "rows {what}");
        store.close().expect("closed");
        drop(store);
        assert!(!folder.path().join("sled.aside").exists(), "rows {what}");
    }
}

#[test]
fn rows_that_are_sound_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    closed(folder.path(), 1);
    for _ in 0..5 {
        let store = open(folder.path());
        assert!(store.stats().applied.sequence() >= 40, "the rows were thrown away");
    }
}

#[test]
fn large_values_never_enter_sled() {
    let folder = tempfile::tempdir().expect("a folder");
    let value = Seeded::new(1).bytes(3 << 20);
    {
        let store = open(folder.path());
        commit(&store, put("large", &value));
        assert_eq!(store.get(b"large").expect("readable").as_deref(), Some(&value[..]), "from the overlay");
        store.close().expect("closed");
        assert_eq!(store.get(b"large").expect("readable").as_deref(), Some(&value[..]), "from the rows");
    }
    let blobs = fs::read_dir(folder.path().join("sled/blobs")).expect("sled's folder").count();
    assert_eq!(blobs, 0, "no value may become a file of sled's");
    assert_eq!(
        open(folder.path()).get(b"large").expect("readable").as_deref(),
        Some(&value[..]),
        "after opening again"
    );
}

/// Many rows came and went; the file kept their space.
fn overgrow(store: &JournalStore) -> Model {
    let value = Seeded::new(1).bytes(1500);
    let (mut model, rows) = (Model::new(), (0..9000).collect::<Vec<u32>>());
    for value in [&value[..], b"short"] {
        for rows in rows.chunks(500) {
            let mut batch = Batch::new();
            rows.iter().for_each(|row| batch.put(format!("row/{row:04}"), value));
            commit(store, batch);
        }
        store.settle().expect("settled");
    }
    model.extend(rows.iter().map(|row| (format!("row/{row:04}").into_bytes(), b"short".to_vec())));
    model
}

/// Bytes of sled's files.
fn sled_bytes(folder: &Path) -> u64 {
    let bytes = |name: &str| fs::metadata(folder.join(name).join("db")).map_or(0, |meta| meta.len());
    bytes("sled") + bytes("sled.b")
}

/// A change at the beginning of the rows, one in their middle, one at their end.
fn change(store: &JournalStore, model: &mut Model, round: u32) {
    let mut batch = Batch::new();
    for key in ["a/first".to_owned(), format!("row/{:04}", (round * 1700) % 9000), "z/last".to_owned()] {
        batch.put(&key, round.to_be_bytes());
        model.insert(key.into_bytes(), round.to_be_bytes().to_vec());
    }
    let gone = format!("row/{:04}", (round * 1300 + 7) % 9000);
    batch.delete(&gone);
    model.remove(gone.as_bytes());
    commit(store, batch);
}

#[test]
fn an_overgrown_file_is_made_anew_while_commits_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { behind_delay: Duration::from_millis(1), free_bytes_min: 0, ..Options::default() };
    let store = JournalStore::open(folder.path(), options).expect("opens");
    let mut model = overgrow(&store);
    let mut round = 0;
    while sled_bytes(folder.path()) > 4 << 20 {
        round += 1;
        assert!(round < 10_000, "sled still takes {} bytes", sled_bytes(folder.path()));
        change(&store, &mut model, round);
        let row = store.get(b"row/0100").expect("readable");
        assert_eq!(row.as_deref(), model.get(&b"row/0100"[..]).map(Vec::as_slice));
    }
    assert_eq!(read_all(&store), model);
    store.close().expect("closed");
    drop(store);
    assert_eq!(read_all(&open(folder.path())), model);
    for name in ["sled", "sled.b"] {
        if folder.path().join(name).exists() {
            fs::remove_dir_all(folder.path().join(name)).expect("removed");
        }
    }
    assert_eq!(read_all(&open(folder.path())), model, "rebuilt from the journal");
}

/// What a kill would leave at each step of the copy, both databases there.
#[test]
fn a_kill_at_any_step_of_the_copy_loses_nothing() {
    let (folder, left) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let options = || Options { stepped: true, free_bytes_min: 0, ..Options::default() };
    let store = JournalStore::open(folder.path(), options()).expect("opens");
    let mut model = overgrow(&store);
    let mut seen = Vec::new();
    for round in 0..12 {
        change(&store, &mut model, round);
        store.settle().expect("settled");
        let at = left.path().join(round.to_string());
        copy(folder.path(), &at);
        let names = ["sled", "sled.b"].map(|name| at.join(name).exists());
        let opened = JournalStore::open(&at, options()).expect("opens");
        assert_eq!(read_all(&opened), model, "round {round}, {names:?}");
        let kept = ["sled", "sled.b"].map(|name| at.join(name).exists());
        assert!(kept[0] != kept[1], "one database is left, not {kept:?}");
        seen.push((names, kept));
        drop(opened);
        fs::remove_dir_all(at).expect("removed");
    }
    for step in [([true, true], [true, false]), ([true, true], [false, true]), ([false, true], [false, true])] {
        assert!(seen.contains(&step), "{step:?} is not among {seen:?}");
    }
}

/// A copy that ends in nothing is nobody's loss.
#[test]
fn a_copy_that_is_damaged_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = closed(folder.path(), 1);
    for name in ["db", "conf"] {
        copy(&folder.path().join("sled"), &folder.path().join("sled.b"));
        fs::write(folder.path().join("sled.b").join(name), vec![0x5A; 5000]).expect("written");
        let store = open(folder.path());
        assert_eq!(read_all(&store), model);
        assert!(folder.path().join("sled").exists() && !folder.path().join("sled.b").exists());
        store.close().expect("closed");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
