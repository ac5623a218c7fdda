//! Bodies between remotes and granted folders. Large ones are in `large.rs`.

use std::fs;

use guest_tests::{SECRET, Stage};
use model::AccessRecord;
use sandbox::Report;

use crate::{limit, output, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn carry_files() {
    let stage = Stage::open().await;
    let (origin, canary) = (stage.receiver.origin(), stage.canary.origin());
    fs::write(stage.inbox().join("letter.txt"), "dear").expect("written");
    fs::write(stage.outside().join("secret.txt"), "secret").expect("written");
    let orders = [
        format!("get {origin}/bytes/5000 inbox/new/five.txt"),
        format!("get {canary}/bytes/5000 inbox/canary.txt"),
        format!("get {origin}/bytes/5000 outbox/five.txt"),
        format!("get {origin}/bytes/5000 inbox/../five.txt"),
        format!("get {origin}/to/{} inbox/redirected.txt", stage.canary.authority()),
        format!("put {origin}/up inbox/letter.txt"),
        format!("put {canary}/up inbox/letter.txt"),
        format!("put {origin}/up inbox/missing.txt"),
        format!("put {origin}/up inbox/../secret.txt"),
    ];
    let report = stage.act("carry-files").text(&orders.join(";")).run().await;
    let told = told(&report);
    let beginnings = [
        "answered 200, saved 5000",
        "denied no rule of grant carry-files",
        "denied ",
        "invalid path",
        "denied no rule of grant carry-files",
        "answered 200",
        "denied no rule of grant carry-files",
        "not-found inbox/missing.txt",
        "invalid path",
    ];
    for (text, beginning) in told.iter().zip(beginnings) {
        assert!(text.starts_with(beginning), "{text:?} does not begin with {beginning:?}");
    }
    assert_eq!(fs::read(stage.inbox().join("new/five.txt")).expect("saved"), [b'x'; 5_000]);
    assert_eq!(names(&stage), ["letter.txt", "new"], "nothing else was left behind");
    assert_eq!(stage.receiver.bodies(), [b"dear"]);
    assert_eq!(stage.canary.connections(), 0);
    let saved = report.accesses.iter().find(|access| access.method == "WRITE" && access.allowed).expect("on record");
    assert_eq!((saved.path.as_str(), saved.sent_bytes, &saved.error), ("new/five.txt", 5_000, &None));
    let others: Vec<_> = written(&report).filter(|access| access.path != "new/five.txt").collect();
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others.iter().all(|access| is_untouched(access)), "{others:?}");
}

/// The records of files that a call was allowed to write.
fn written(report: &Report) -> impl Iterator<Item = &AccessRecord> {
    report.accesses.iter().filter(|access| access.method == "WRITE" && access.allowed)
}

/// Says so that the engine takes it for no change.
fn is_untouched(access: &AccessRecord) -> bool {
    let said = access.error.as_deref().unwrap_or_default();
    said.starts_with("not sent: nothing was written") && access.sent_bytes == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_file_changes_none() {
    let stage = Stage::open().await;
    let origin = stage.receiver.origin();
    fs::write(stage.inbox().join("old.txt"), "old").expect("written");
    let orders = ["get 404", "get 500", "get 204", "get 205", "get 206", "head 200"].map(|order| {
        let (way, status) = order.split_once(' ').expect("two words");
        format!("{way} {origin}/status/{status} inbox/old.txt")
    });
    let report = stage.act("carry-files").text(&orders.join(";")).run().await;
    let wanted = [404, 500, 204, 205, 206, 200].map(|status| format!("answered {status} with 0"));
    assert_eq!(told(&report), wanted);
    assert_eq!(fs::read(stage.inbox().join("old.txt")).expect("kept"), b"old");
    assert_eq!(names(&stage), ["old.txt"]);
    assert_eq!(written(&report).count(), orders.len());
    assert!(written(&report).all(is_untouched), "{:?}", report.accesses);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_thrown_away_was_written_too() {
    let stage = Stage::open().await;
    let origin = stage.receiver.origin();
    let orders = format!("get {origin}/bytes/600000 inbox/a.txt;get {origin}/bytes/500000 inbox/b.txt");
    let act = |limits: &str| stage.act("carry-files").limits(limits).text(&orders);
    let report = act("response_bytes = 599999\nfile_bytes = 700000").run().await;
    assert_eq!(told(&report), ["limit response_bytes", "limit file_bytes"]);
    assert!(names(&stage).is_empty() && written(&report).all(is_untouched), "{:?}", report.accesses);
    let report = act("response_bytes = 599999\nfile_bytes = 1200000").run().await;
    assert_eq!(told(&report), ["limit response_bytes", "answered 200, saved 500000"]);
}

fn names(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.inbox()).expect("the granted folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_saved_whole_is_not_there() {
    let stage = Stage::open().await;
    let origin = stage.receiver.origin();
    let act = || stage.act("carry-files").text(&format!("get {origin}/bytes/600000 inbox/old.txt"));
    fs::write(stage.inbox().join("old.txt"), "old").expect("written");
    for (limits, which, most) in
        [("response_bytes = 599999", "response_bytes", 599_999), ("file_bytes = 599999", "file_bytes", 599_999)]
    {
        let report = act().limits(limits).run().await;
        // The guest tells of it and goes on; a failure would be the limit.
        assert_eq!(told(&report), [format!("limit {which}")], "{most}");
        assert_eq!(fs::read(stage.inbox().join("old.txt")).expect("kept"), b"old", "{which}");
        assert_eq!(names(&stage), ["old.txt"]);
    }
    let report = stage.act("carry-files").limits("wall_ms = 300").text(&format!("get {origin}/half inbox/old.txt"));
    let report = report.run().await;
    let outcome = &report.outcome;
    // The end of the call takes the guest or finds it told already.
    assert!(*outcome == limit("wall_ms", 300) || *outcome == output("[\"limit wall_ms\"]"), "{outcome:?}");
    // The request and the file are on record although the host was cut off at them.
    assert!(written(&report).count() == 1 && written(&report).all(is_untouched), "{:?}", report.accesses);
    assert_eq!(fs::read(stage.inbox().join("old.txt")).expect("kept"), b"old");
    while names(&stage) != ["old.txt"] {
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&act().run().await), ["answered 200, saved 600000"]);
    assert_eq!(fs::read(stage.inbox().join("old.txt")).expect("replaced").len(), 600_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_for_reading_takes_no_download() {
    let stage = Stage::open().await;
    let text = format!("get {}/bytes/5 inbox/five.txt", stage.receiver.origin());
    let report = stage.act("carry-files").reading().text(&text).run().await;
    assert!(told(&report)[0].starts_with("denied "), "{report:?}");
    assert_eq!((stage.receiver.connections(), report.sent), (0, false), "the file is decided on first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downloaded_echo_holds_no_secret() {
    let stage = Stage::open().await;
    let text = format!("get {}/base/trickle inbox/echo.txt", stage.receiver.origin());
    let report = stage.act("carry-files").connected().text(&text).run().await;
    assert!(told(&report)[0].starts_with("answered 200, saved"), "{report:?}");
    let saved = fs::read_to_string(stage.inbox().join("echo.txt")).expect("saved");
    assert!(saved.contains("reflected") && !saved.contains(SECRET) && !saved.contains(&hex::encode(SECRET)), "{saved}");
}
