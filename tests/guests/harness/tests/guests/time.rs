//! Time: on the processor and on the clock.

use guest_tests::Stage;

use crate::{limit, output};

/// As good as without an end: a guest with it lasts longer than any neighbour's calls.
const LONG: &str = "cpu_ms = 60000\nwall_ms = 60000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn echo() {
    let report = Stage::open().await.act("echo").input("{\"a\":[1,2]}").run().await;
    assert_eq!(report.outcome, output("{\"a\":[1,2]}"));
    assert!(report.log.is_empty() && report.accesses.is_empty() && !report.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn spin() {
    let stage = Stage::open().await;
    let report = stage.act("spin").limits("cpu_ms = 100").run().await;
    assert_eq!(report.outcome, limit("cpu_ms", 100));
    assert!(report.duration_us >= 100_000, "it had its time");
    stage.act("spin").limits(LONG).run_past_neighbour().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn spin_calling() {
    let stage = Stage::open().await;
    let report = stage.act("spin-calling").limits("cpu_ms = 100").run().await;
    assert_eq!(report.outcome, limit("cpu_ms", 100));
    stage.act("spin-calling").limits(LONG).run_past_neighbour().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn spin_waiting() {
    let stage = Stage::open().await;
    let report = stage.act("spin-waiting").limits("wall_ms = 500").run().await;
    assert_eq!(report.outcome, limit("wall_ms", 500));
    stage.act("spin-waiting").limits(LONG).run_past_neighbour().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn sleep() {
    let stage = Stage::open().await;
    let report = stage.act("sleep").limits("wall_ms = 300").run().await;
    assert_eq!(report.outcome, limit("wall_ms", 300));
    assert!(!report.sent);
    stage.act("sleep").limits(LONG).run_past_neighbour().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn await_stalled() {
    let stage = Stage::open().await;
    let report = stage.act("await-stalled").limits("wall_ms = 500").text(&stage.receiver.origin()).run().await;
    assert_eq!(report.outcome, limit("wall_ms", 500));
    assert!(report.sent, "the request may have taken effect");
    let [access] = report.accesses.as_slice() else { panic!("{:?}", report.accesses) };
    assert!(access.allowed && access.status.is_none() && access.error.is_some(), "{access:?}");
    stage.act("await-stalled").limits(LONG).text(&stage.receiver.origin()).run_past_neighbour().await;
}
