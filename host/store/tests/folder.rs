//! A store in a real folder: its lock, and its rows in sled when these are
//! lost, older, broken or somebody else's.

mod common;

use common::{Model, commit, put, random_batch, read_all, small};
use std::fs;
use std::path::Path;
use std::process::Command;
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
fn large_values_stay_in_the_journal() {
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
#[test]
fn an_overgrown_file_is_made_anew_at_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let size = || fs::metadata(folder.path().join("sled/db")).expect("sled's file").len();
    let mut expected = Model::new();
    {
        let store = JournalStore::open(folder.path(), Options::default()).expect("opens");
        let value = Seeded::new(1).bytes(3000);
        let rows: Vec<u32> = (0..2000).collect();
        for rows in rows.chunks(50) {
            let mut batch = Batch::new();
            rows.iter().for_each(|row| batch.put(format!("row/{row}"), &value));
            commit(&store, batch);
        }
        store.settle().expect("settled");
        let mut batch = Batch::new();
        rows[..1990].iter().for_each(|row| batch.delete(format!("row/{row}")));
        commit(&store, batch);
        expected.extend((1990..2000).map(|round| (format!("row/{round}").into_bytes(), value.clone())));
        store.close().expect("closed");
    }
    let before = size();
    assert!(before > 3 << 20, "sled took only {before} bytes");
    for _ in 0..2 {
        let options = Options { rebuild_bytes_min: 2 << 20, ..Options::default() };
        let store = JournalStore::open(folder.path(), options).expect("opens");
        assert_eq!(read_all(&store), expected);
        store.close().expect("closed");
        assert!(!folder.path().join("sled.aside").exists());
        assert!(size() < before / 2, "{before} bytes became {}", size());
    }
    fs::remove_dir_all(folder.path().join("sled")).expect("removed");
    assert_eq!(read_all(&open(folder.path())), expected, "from the checkpoint that the rebuild began with");
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
