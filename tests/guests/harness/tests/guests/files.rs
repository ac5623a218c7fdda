//! Granted folders: their borders, their quotas.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use guest_tests::Stage;

use crate::{denial, limit, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn path_traversal() {
    let stage = Stage::open().await;
    let (outside, letter) = (stage.outside().join("outside.txt"), stage.inbox().join("letter.txt"));
    fs::write(&outside, "not yours").expect("written");
    fs::write(&letter, "dear").expect("written");
    symlink(&outside, stage.inbox().join("link.txt")).expect("linked");
    symlink(stage.outside(), stage.inbox().join("linked")).expect("linked");
    let report = stage.act("path-traversal").run().await;
    let told = told(&report);
    assert_eq!(told.len(), 80);
    for text in &told {
        let exists = text == "rename \"inbox/link.txt\" already-exists inbox/link.txt";
        assert!(exists || text.contains("\" invalid "), "{text}");
    }
    assert_eq!(fs::read_to_string(&outside).expect("there"), "not yours");
    assert_eq!(fs::read_to_string(&letter).expect("there"), "dear");
    let mut names: Vec<_> =
        fs::read_dir(stage.inbox()).expect("listed").map(|entry| entry.expect("one").file_name()).collect();
    names.sort();
    assert_eq!(names, ["letter.txt", "link.txt", "linked"], "nothing came, nothing went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn ungranted_folder() {
    let stage = Stage::open().await;
    for (way, rule) in [
        ("read", "no folder \"secrets\" in grant ungranted-folder"),
        ("list", "no folder \"secrets\" in grant ungranted-folder"),
        ("write", "grant ungranted-folder: folder inbox, read"),
    ] {
        let report = stage.act("ungranted-folder").reading().text(way).run().await;
        assert_eq!(denial(&report), rule, "{way}");
        let [access] = report.accesses.as_slice() else { panic!("{way}: {:?}", report.accesses) };
        assert!(!access.allowed && access.fix.is_some() && !report.sent, "{way}: {access:?}");
    }
    assert_eq!(fs::read_dir(stage.inbox()).expect("listed").count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn disk_flood() {
    let stage = Stage::open().await;
    let report = stage.act("disk-flood").limits("file_bytes = 100000").run().await;
    assert_eq!(report.outcome, limit("file_bytes", 100_000), "the host's record, not the guest's claim");
    let sizes = fs::read_dir(stage.inbox())
        .expect("listed")
        .map(|entry| entry.expect("one").metadata().expect("its size").len());
    assert_eq!(sizes.sum::<u64>(), 100_000);
    assert!(report.sent, "something did happen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn read_huge() {
    let stage = Stage::open().await;
    let file = File::create(stage.inbox().join("huge.bin")).expect("made");
    file.set_len(1 << 30).expect("a file of holes");
    let report = stage.act("read-huge").limits("response_bytes = 100000").run().await;
    assert_eq!(report.outcome, limit("response_bytes", 100_000));
    // A grant for large downloads is none for a host that holds them in memory.
    let report = stage.act("read-huge").limits("response_bytes = 1073741824\nmemory_bytes = 8388608").run().await;
    assert_eq!(report.outcome, limit("memory_bytes", 8_388_608));
}
