//! Guests in text form: what no toolchain would make. Tables, memories, bulk
//! instructions, starts, and what comes after an answer.

use guest_tests::Stage;

use crate::manifests::check;
use crate::{crash, limit, output};

const SMALL: &str = "memory_bytes = 4194304";
const HASTY: &str = "cpu_ms = 100";

async fn refused(guest: &str, wanted: &str) {
    let stage = Stage::open().await;
    let told = stage.refusal(guest_tests::component(guest)).await.to_string();
    assert!(told.contains(wanted), "{told} has no {wanted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn grow_table() {
    let stage = Stage::open().await;
    let report = stage.act("grow-table").run().await;
    assert_eq!(report.outcome, limit("table_elements", 65_536), "by its own name, not as memory");
    let report = stage.act("grow-table").limits("table_elements = 1000").run().await;
    assert_eq!(report.outcome, limit("table_elements", 1_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn a_grant_may_give_fewer_parts() {
    let stage = Stage::open().await;
    for (guest, said, which, most) in
        [("echo", "instances = 1", "instances", 1), ("hoard-tables", "tables = 0", "tables", 0)]
    {
        let report = stage.act(guest).limits(said).run().await;
        assert_eq!(report.outcome, limit(which, most), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn claim_table() {
    let report = Stage::open().await.act("claim-table").run().await;
    assert_eq!(report.outcome, output("null"), "a refusal is an ordinary answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn hoard_tables() {
    let stage = Stage::open().await;
    let report = stage.act("hoard-tables").limits(SMALL).run().await;
    assert_eq!(report.outcome, limit("memory_bytes", 4 << 20), "tables are memory");
    assert!(report.memory_bytes > 2 << 20 && report.memory_bytes <= 4 << 20, "{}", report.memory_bytes);
    let report = stage.act("hoard-tables").run().await;
    assert_eq!(report.outcome, output("null"));
    assert!(report.memory_bytes > 8 << 20, "{}", report.memory_bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn huge_table() {
    refused("huge-table", "needs 65537 elements of one table from the start, more than 65536").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn many_tables() {
    refused("many-tables", "needs 17 tables, more than 16").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn huge_memory() {
    refused("huge-memory", "needs 1073807360 bytes of memory from the start, more than 1073741824").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn claim_memory_at_once() {
    let report = Stage::open().await.act("claim-memory-at-once").run().await;
    assert_eq!(report.outcome, limit("memory_bytes", 64 << 20));
    assert_eq!(report.memory_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn many_memories() {
    refused("many-memories", "needs 5 memories, more than 4").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn many_small_memories() {
    refused("many-small-memories", "needs 5 memories, more than 4").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn many_instances() {
    refused("many-instances", "17 core module instances").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn trap_after_answer() {
    let report = Stage::open().await.act("trap-after-answer").run().await;
    assert!(crash(&report).contains("unreachable"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn spin_after_answer() {
    let report = Stage::open().await.act("spin-after-answer").limits(HASTY).run().await;
    assert_eq!(report.outcome, limit("cpu_ms", 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn call_after_answer() {
    let report = Stage::open().await.act("call-after-answer").run().await;
    assert!(crash(&report).contains("cannot leave component instance"), "{report:?}");
    assert!(report.log.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn trap_at_start() {
    check("trap-at-start", &["manifest-failed: the connector cannot describe itself"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn spin_at_start() {
    let act_limits = "cpu_ms = 100\nwall_ms = 20000";
    let report = Stage::open().await.act("spin-at-start").limits(act_limits).run().await;
    assert_eq!(report.outcome, limit("cpu_ms", 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn spin_in_bulk() {
    let report = Stage::open().await.act("spin-in-bulk").limits(HASTY).run().await;
    assert_eq!(report.outcome, limit("cpu_ms", 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn trap_in_bulk() {
    let stage = Stage::open().await;
    for (way, wanted) in [("a", "memory"), ("b", "memory"), ("c", "table"), ("d", "table")] {
        let report = stage.act("trap-in-bulk").text(way).run().await;
        assert!(crash(&report).contains(&format!("out of bounds {wanted} access")), "{way}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn tail_calls() {
    let report = Stage::open().await.act("tail-calls").limits(HASTY).run().await;
    assert_eq!(report.outcome, limit("cpu_ms", 100), "without a stack that could overflow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn leave_behind() {
    let stage = Stage::open().await;
    for _ in 0..20 {
        assert_eq!(stage.act("leave-behind").run().await.outcome, output("null"), "something was left behind");
    }
}
