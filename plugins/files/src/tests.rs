//! The manifest keeps the contract, and the recorded exchanges hold.

use sluicegate_conformance::check_manifest;
use sluicegate_sdk::{Connector as _, testing};

use crate::Connector;

#[test]
fn the_manifest_keeps_the_contract() {
    let manifest = check_manifest(&Connector::describe());
    assert_eq!(manifest.id.as_str(), "files");
}

#[test]
fn the_samples_hold() {
    testing::check_samples::<Connector>(concat!(env!("CARGO_MANIFEST_DIR"), "/samples"));
}
