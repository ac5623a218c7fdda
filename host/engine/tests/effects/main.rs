//! Runs that call a service: in order, and across what goes wrong with its account.

#[expect(dead_code, reason = "shared with the tests of triggers, which need more of it")]
#[path = "../triggers/world.rs"]
mod world;

mod again;
mod explained;
mod kept;
mod order;
mod pace;
mod reauthorise;
mod service;
