//! The polling example, natively: its manifest, its samples, and a second poll that goes
//! on where the first one ended.

#[path = "../examples/polling.rs"]
#[allow(missing_docs, reason = "an example shows a connector as people write it")]
mod polling;

use polling::Connector;
use sluicegate_sdk::serde_json::from_str;
use sluicegate_sdk::{Connector as _, Error, Value, json, poll, testing};

#[test]
fn describes_how_it_is_polled() {
    let manifest: Value = from_str(&Connector::describe()).expect("JSON");
    let trigger = &manifest["triggers"][0];
    assert_eq!(trigger["kind"], "poll");
    assert_eq!(
        trigger["poll"],
        json!({
            "every_s": 300, "every_s_min": 60, "destinations": ["GET {base-url}/cards"],
            "scopes": [{ "name": "cards:read", "why": "to see new cards" }], "connection": "required",
        })
    );
    assert_eq!(trigger["webhook"], Value::Null);
}

#[test]
fn its_samples_hold() {
    testing::check_samples::<Connector>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/polling"));
}

#[test]
fn refuses_what_it_does_not_poll() {
    let outcome = Connector::poll("gone", "{}", &poll::Position::Now);
    assert_eq!(outcome, Err(Error::permanent("this connector does not poll \"gone\"")));
    let misfit = Connector::poll("new-card", "{\"a\": 1}", &poll::Position::Now).expect_err("no such field");
    assert_eq!(misfit.kind(), "invalid-input");
}
