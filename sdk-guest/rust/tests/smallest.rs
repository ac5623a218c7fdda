//! The smallest connector, natively: its manifest to the letter, its samples, and what
//! it refuses.

#[path = "../examples/smallest.rs"]
#[allow(missing_docs, reason = "an example shows a connector as people write it")]
mod smallest;

use sluicegate_sdk::poll::Position;
use sluicegate_sdk::serde_json::from_str;
use sluicegate_sdk::{Connector as _, Delivery, Error, Value, testing};
use smallest::Connector;

#[test]
fn describes_itself_to_the_letter() {
    let got: Value = from_str(&Connector::describe()).expect("JSON");
    let wanted: Value = from_str(include_str!("smallest.manifest.json")).expect("JSON");
    assert_eq!(got, wanted, "{got:#}");
    assert_eq!(Connector::describe(), got.to_string(), "compact, and in the same order");
}

#[test]
fn its_samples_hold() {
    testing::check_samples::<Connector>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smallest"));
}

#[test]
fn refuses_what_it_does_not_have() {
    let delivery = Delivery { headers: Vec::new(), query: String::new(), body: Vec::new() };
    let outcomes = [
        (Connector::invoke("gone", "{}").map(|_| ()), "this connector has no action \"gone\""),
        (Connector::receive("gone", "{}", &delivery).map(|_| ()), "this connector has no trigger \"gone\""),
        (Connector::check().map(|_| ()), "this connector cannot test a connection"),
        (Connector::poll("gone", "{}", &Position::Now).map(|_| ()), "this connector does not poll \"gone\""),
        (Connector::unsubscribe("gone", "{}", "1"), "this connector sets up no webhook of \"gone\""),
        (Connector::choices("gone", "{}", "", None).map(|_| ()), "this connector knows no choices for \"gone\""),
        (Connector::fields("gone", "{}").map(|_| ()), "this connector knows no fields of \"gone\""),
        (Connector::migrate("gone", "{}", "1.0.0").map(|_| ()), "this connector carries nothing over for \"gone\""),
    ];
    for (outcome, wanted) in outcomes {
        assert_eq!(outcome, Err(Error::permanent(wanted)));
    }
    let misfit = Connector::invoke("add-card", "{\"title\": 3}").expect_err("a number is no title");
    assert_eq!(misfit.kind(), "invalid-input");
}

/// A test of the tests: what differs is found and named.
#[test]
#[should_panic(expected = "add-card.json: expected the body {\"title\":\"Call Bob\"}, got {\"title\":\"Call Ada\"}")]
fn a_sample_that_differs_is_found() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differs");
    testing::check_samples::<Connector>(folder);
}
