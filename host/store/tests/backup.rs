//! Backups: taken beside writers, whole or refused, and equal when restored.

mod common;

use common::{commit, put, read_all, small};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{BackupError, BackupWriter, JournalStore, Order, Position, Retire, Store, check_backup, restore_backup};
use testkit::Seeded;

fn open(folder: &Path) -> JournalStore {
    JournalStore::open(&folder.join("store"), small()).expect("opens")
}

/// A run that is history at once.
fn run(store: &JournalStore, number: u64, keep_until_ms: u64) {
    let bytes = if number.is_multiple_of(9) { 6000 } else { 150 };
    let mut batch = put(&format!("run|{number:06}"), vec![7; bytes]);
    batch.retire(Retire {
        prefixes: vec![format!("run|{number:06}").into_bytes()],
        id: format!("{number:06}").into_bytes(),
        groups: vec![],
        keep_until_ms,
        since: Position::default(),
    });
    commit(store, batch);
}

fn documents(store: &JournalStore) -> Vec<Vec<u8>> {
    let listed = store.history(None, None, usize::MAX, Order::Ascending).expect("readable");
    listed.iter().for_each(|(_, document)| assert_eq!(store.document(document, b"").expect("readable").len(), 1));
    listed.into_iter().map(|(id, _)| id.to_vec()).collect()
}

fn backed_up(store: &JournalStore, to: &Path) {
    let mut writer = BackupWriter::begin(to).expect("an empty folder");
    store.back_up(&mut writer).expect("written");
    writer.finish(1, Vec::new()).expect("complete");
}

#[test]
fn a_backup_beside_writers_is_one_moment_of_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(open(&folder.path().join("data")));
    for number in 0..60 {
        commit(&store, put(&format!("living/{}", number % 20), vec![number; 200]));
        run(&store, number.into(), if number < 40 { 10 } else { 1000 });
    }
    assert!(store.tidy(50).expect("tidied").segments > 0, "segments that are gone are no part of it");
    let (writing, stop) = (Arc::clone(&store), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let mut written = 0u64;
        while !stopped.load(Ordering::SeqCst) || written < 100 {
            commit(&writing, put("counter/left", written.to_be_bytes()));
            written += 1;
        }
    });
    backed_up(&store, &folder.path().join("backup"));
    stop.store(true, Ordering::SeqCst);
    writer.join().expect("written");

    let back = folder.path().join("back");
    let mut seen = 0;
    let backup = restore_backup(&folder.path().join("backup"), &back, &mut |bytes| seen += bytes).expect("restored");
    assert_eq!(seen, backup.bytes() * 2, "read once to check, and once to copy");
    let restored = open(&back);
    let (mut left, mut right) = (read_all(&restored), read_all(&*store));
    left.remove(&b"counter/left"[..]);
    right.remove(&b"counter/left"[..]);
    assert_eq!(left, right);
    assert_eq!(documents(&restored), documents(&store));
    run(&restored, 999, 2000);
    assert_eq!(documents(&restored).len(), 21);
    drop(restored);
    assert_eq!(documents(&open(&back)).len(), 21);
}

#[test]
fn what_is_not_whole_is_refused_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let (backup, back) = (folder.path().join("backup"), folder.path().join("back"));
    let store = open(&folder.path().join("data"));
    (0..30).for_each(|number| run(&store, number, 1000));
    backed_up(&store, &backup);
    assert!(matches!(BackupWriter::begin(&backup), Err(BackupError::NotEmpty(_))));
    assert!(matches!(restore_backup(&backup, &backup, &mut |_| ()), Err(BackupError::NotEmpty(_))));
    let list = check_backup(&backup, &mut |_| ()).expect("whole");
    let mut random = Seeded::new(3);
    for round in 0..60 {
        let file = backup.join(&random.pick(&list.files).path);
        let sound = fs::read(&file).expect("a file");
        let mut harmed = sound.clone();
        let at = random.below(sound.len());
        match round % 3 {
            0 => harmed.truncate(at),
            1 => harmed[at] ^= 1 << (at % 8),
            _ => harmed.push(0),
        }
        fs::write(&file, harmed).expect("written");
        let error = restore_backup(&backup, &back, &mut |_| ()).expect_err("damaged");
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
        assert!(error.problem().fix.is_some() && !back.exists(), "nothing is restored from it");
        fs::write(&file, sound).expect("written");
    }
    let text = fs::read_to_string(backup.join("backup.json")).expect("the list");
    for (harmed, expected) in [
        (text.replace("\"version\": 1", "\"version\": 2"), "format version 2"),
        (text.replace("store/journal/", "../journal/"), "outside the backup"),
        (text[..50].to_owned(), "not the list"),
    ] {
        fs::write(backup.join("backup.json"), harmed).expect("written");
        let error = restore_backup(&backup, &back, &mut |_| ()).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    }
    fs::remove_file(backup.join("backup.json")).expect("removed");
    assert!(matches!(check_backup(&backup, &mut |_| ()), Err(BackupError::Incomplete(_))));
}
