//! Wild pointers, lengths and cases at the boundary between guest and host: the call
//! is over, and nothing behind the guest's memory was read or written.

use guest_tests::Stage;
use model::Failure;

use crate::manifests::check;
use crate::{crash, limit, output};

/// Every way of a guest, and words of the crash that it ends in.
async fn ways(guest: &'static str, ways: &[(&str, &str)]) {
    let stage = Stage::open().await;
    for (way, wanted) in ways {
        let report = stage.act(guest).text(way).run().await;
        let told = match &report.outcome {
            Err(Failure::LimitExceeded { which, .. }) => which.as_str(),
            _ => crash(&report),
        };
        assert!(told.contains(wanted), "{guest} {way}: {told} has no {wanted}");
        assert!(!report.sent && report.accesses.is_empty(), "{guest} {way}: {report:?}");
    }
    assert_eq!((stage.receiver.connections(), stage.canary.connections()), (0, 0));
    assert_eq!(stage.act(guest).text("z").run().await.outcome, output("null"), "without a wild one it works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn wild_answers() {
    let found = [
        ("a", "out of bounds"),
        ("b", "out of bounds"),
        ("c", "out of bounds"),
        ("d", "out of bounds"),
        ("e", "discriminant"),
        ("f", "discriminant"),
        ("g", "out of bounds"),
        ("h", "out of bounds"),
        ("i", "discriminant"),
        ("j", "utf-8"),
        ("k", "utf-8"),
        ("l", "out of bounds"),
        ("m", "out of bounds"),
        ("n", "aligned"),
    ];
    ways("wild-answers", &found).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn wild_calls() {
    let found = [
        ("a", "out of bounds"),
        ("b", "out of bounds"),
        ("c", "out of bounds"),
        ("d", "out of bounds"),
        ("e", "aligned"),
        ("f", "discriminant"),
        ("g", "discriminant"),
        ("h", "out of bounds"),
        ("i", "aligned"),
        ("j", "utf-8"),
        ("k", "discriminant"),
        ("l", "out of bounds"),
        ("m", "out of bounds"),
        ("n", "discriminant"),
        ("o", "out of bounds"),
    ];
    ways("wild-calls", &found).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn lying_realloc() {
    let stage = Stage::open().await;
    std::fs::write(stage.inbox().join("letter.txt"), "dear").expect("written");
    let act = |way: &'static str| stage.act("lying-realloc").limits("cpu_ms = 100").text(way).run();
    for (way, wanted) in [
        ("a", "beyond end of memory"),
        ("b", "aligned"),
        ("c", "unreachable"),
        ("f", "cannot leave component instance"),
        ("g", "beyond end of memory"),
    ] {
        let report = act(way).await;
        assert!(report.outcome.is_err(), "{way}");
        assert!(crash(&report).contains(wanted), "{way}: {report:?} has no {wanted}");
        assert!(report.log.is_empty(), "{way}: {report:?}");
    }
    assert_eq!(act("d").await.outcome, limit("cpu_ms", 100));
    for way in ["e", "h", "z"] {
        assert_eq!(act(way).await.outcome, output("null"), "{way}: it only harms itself");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn grow_in_realloc() {
    let stage = Stage::open().await;
    assert_eq!(stage.act("grow-in-realloc").run().await.outcome, output("null"));
    let report = stage.act("grow-in-realloc").limits("memory_bytes = 131072").run().await;
    assert_eq!(report.outcome, limit("memory_bytes", 131_072));
}

const FAILED: &str = "manifest-failed: the connector cannot describe itself";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn transcode_misaligned() {
    check("transcode-misaligned", &[FAILED]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn transcode_behind() {
    check("transcode-behind", &[FAILED]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn transcode_compact() {
    check("transcode-compact", &[FAILED]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn transcode_long() {
    check("transcode-long", &[FAILED]).await;
}
