//! Memory: of the guest, of its stack, and of the host on its behalf.

use guest_tests::Stage;

use crate::{crash, limit, output};

const LIMIT: u64 = 16 << 20;
const LINES: &str = "memory_bytes = 16777216";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn grow_memory() {
    let report = Stage::open().await.act("grow-memory").limits(LINES).run().await;
    assert_eq!(report.outcome, limit("memory_bytes", LIMIT));
    assert!(report.memory_bytes > LIMIT / 2 && report.memory_bytes <= LIMIT, "{}", report.memory_bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn claim_memory() {
    let report = Stage::open().await.act("claim-memory").limits(LINES).run().await;
    assert_eq!(report.outcome, limit("memory_bytes", LIMIT), "the host's record, not the guest's claim");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn huge_allocation() {
    let report = Stage::open().await.act("huge-allocation").limits(LINES).run().await;
    assert_eq!(report.outcome, output("0"), "a refusal is an ordinary answer");
    assert!(report.memory_bytes <= LIMIT, "{}", report.memory_bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn hoard_then_call() {
    let stage = Stage::open().await;
    let report = stage.act("hoard-then-call").limits(LINES).text(&stage.receiver.origin()).run().await;
    assert_eq!(report.outcome, limit("memory_bytes", LIMIT));
    assert_eq!(stage.receiver.heads().len(), 1, "the request itself was allowed");
    assert!(report.sent && report.memory_bytes <= LIMIT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn recurse() {
    let report = Stage::open().await.act("recurse").run().await;
    assert_eq!(report.outcome, limit("stack_bytes", 512 << 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn recurse_heavily() {
    let report = Stage::open().await.act("recurse-heavily").run().await;
    assert!(crash(&report).contains("out of bounds memory access"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn hoard_handles() {
    let stage = Stage::open().await;
    for (said, handles) in [("", 1_000), ("handles = 20", 20), ("handles = 100000", 1_000)] {
        let report = stage.act("hoard-handles").limits(said).run().await;
        assert_eq!(report.outcome, limit("handles", handles), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn hoard_sockets() {
    let report = Stage::open().await.act("hoard-sockets").run().await;
    assert_eq!(report.outcome, output("0"), "there are no sockets to hoard");
}
