//! Components of a wrong shape: refused by name, before anything of them runs.

use guest_tests::{Stage, component};
use model::Problem;

use crate::manifests::check;

/// The host's refusal holds each of these words, and says what to do.
async fn refused(guest: &str, wanted: &[&str]) {
    let stage = Stage::open().await;
    let problem = Problem::from(stage.refusal(component(guest)).await);
    for wanted in wanted {
        assert!(problem.what.contains(wanted), "{problem} has no {wanted}");
    }
    assert!(problem.cause.is_some() && problem.fix.is_some(), "{problem}");
    assert!(problem.what.len() < 1_000, "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn core_module() {
    refused("core-module", &["core WebAssembly module"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn describe_a_number() {
    check("describe-a-number", &["manifest-failed: the connector cannot describe itself: the connector broke off: expected `string` found `u32`"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn act_a_number() {
    check("act-a-number", &["manifest-failed: the connector cannot describe itself: the connector broke off: expected 2-tuple, found 0-tuple"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn act_nothing() {
    refused("act-nothing", &["actions is not the contract's", "invoke"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn act_a_function() {
    refused("act-a-function", &["actions is not the contract's"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn act_of_another_version() {
    refused("act-of-another-version", &["speaks sluicegate:connector/actions@0.0.9"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn import_another_type() {
    refused("import-another-type", &["imports is not the contract's", "remaining-ms"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn import_another_version() {
    refused("import-another-version", &["speaks sluicegate:connector/context@0.2.0"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn import_stranger() {
    refused("import-stranger", &["imports acme:tools/shell@1.0.0, which this host does not offer"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn import_module() {
    refused("import-module", &["imports module, which this host does not offer"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn import_more() {
    refused("import-more", &["imports is not the contract's", "secrets"]).await;
}
