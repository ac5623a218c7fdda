//! Manifests that lie, change, break off or have no end; and what is kept between calls.

use guest_tests::Stage;
use model::Problem;

use crate::output;

/// The problems that the host has with a guest's manifest, as `code: what`.
async fn problems(guest: &str) -> Vec<String> {
    let stage = Stage::open().await;
    let problems = stage.describe(guest).await.expect_err("the manifest must be refused");
    assert_eq!((stage.receiver.connections(), stage.canary.connections()), (0, 0));
    problems.iter().map(|Problem { code, what, .. }| format!("{code}: {what}")).collect()
}

/// Describes the guest: each problem holds the words at its place, and there are no others.
pub(crate) async fn check(guest: &str, wanted: &[&str]) {
    let found = problems(guest).await;
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.contains(wanted), "{found} has no {wanted}");
        assert!(found.len() < 5_000, "{} bytes", found.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn keep_state() {
    let stage = Stage::open().await;
    assert_eq!(stage.describe("keep-state").await.expect("a stable manifest").data, "0");
    for _ in 0..3 {
        assert_eq!(stage.act("keep-state").run().await.outcome, output("0"), "every instance is a fresh one");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_by_chance() {
    let (here, there) = (Stage::open().await, Stage::open().await);
    let first = here.describe("describe-by-chance").await.expect("chance and clocks stand still");
    let second = there.describe("describe-by-chance").await.expect("chance and clocks stand still");
    assert_eq!(first, second, "the same in every host");
    assert!(first.data.contains("Instant"), "it did ask the clocks: {}", first.data);
    let (one, other) = (here.act("describe-by-chance").run().await, here.act("describe-by-chance").run().await);
    assert!(one.outcome.is_ok() && other.outcome.is_ok());
    assert_ne!(one.outcome, other.outcome, "chance is back in calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_reaching() {
    let stage = Stage::open().await;
    let data = stage.describe("describe-reaching").await.expect("it was only told no").data;
    let no = "denied a connector has no capability while it describes itself";
    assert_eq!(data, [no; 3].join("; "));
    assert_eq!(std::fs::read_dir(stage.inbox()).expect("listed").count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_panicking() {
    check("describe-panicking", &["nothing to say"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_huge() {
    check("describe-huge", &["manifest-failed: the connector cannot describe itself: the call reached its limit host_call_bytes = 2097152"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_long() {
    check(
        "describe-long",
        &["manifest-failed: the connector cannot describe itself: the call reached its limit output_bytes = 1048576"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_deep() {
    check("describe-deep", &["manifest-invalid: the manifest is not valid: recursion limit exceeded"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_wrongly() {
    check("describe-wrongly", &["manifest-schema: ", "manifest-sample: the sample does not fit its own schema"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_unknown() {
    check("describe-unknown", &["manifest-invalid: the manifest is not valid: unknown field `approved`"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn declare_missing() {
    let wanted =
        "manifest-and-exports-differ: the manifest declares triggers, but the component does not export webhooks";
    check("declare-missing", &[wanted]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn export_undeclared() {
    let wanted = [
        "manifest-and-exports-differ: the component exports webhooks, but the manifest declares no triggers",
        "manifest-and-exports-differ: the component exports account, but the manifest declares no connection.check",
    ];
    check("export-undeclared", &wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn impostor() {
    let stage = Stage::open().await;
    assert_eq!(stage.describe("impostor").await.expect("a manifest").id.as_str(), "echo", "it may say so");
    assert_eq!(stage.act("impostor").refusal_with_approval_of("echo").await, "not-approved", "a digest is no claim");
}
