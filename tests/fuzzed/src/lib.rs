//! What is fuzzed: one plain function for each reader of input that others write.
//!
//! Each takes bytes and draws everything from them: which document of the corpus, which
//! changes, which addresses. It panics when something does not hold. `tests/fuzz` has
//! the same functions under libFuzzer; the suite runs them on random bytes for a short
//! while. Owns the generators and what must hold; refuses to know where bytes come from.
#![allow(clippy::unwrap_used, reason = "a fuzzed function fails by panicking")]

mod choices;
mod corpus;
#[allow(dead_code, reason = "shared with the tests of flow")]
#[path = "../../../host/flow/tests/run/driven.rs"]
mod driven;
#[path = "../../../host/flow/tests/fixtures/mod.rs"]
mod fixtures;
mod flows;
mod hosts;
mod journal;
mod manifests;
mod mutate;
mod policies;
mod webhooks;

pub use flows::flow;
pub use hosts::host;
pub use journal::journal;
pub use manifests::manifest;
pub use policies::policy;
pub use webhooks::webhook;
