//! What the hostile guests share: raw bindings, and a manifest to lie with.
//!
//! Without the SDK, which is too polite: it cannot send two manifests, panic halfway
//! through an answer or return text that is no JSON. Refuses to know what any guest
//! does wrong. Natively this crate is empty, and so are the guests.

#![cfg(target_arch = "wasm32")]

#[doc(hidden)]
pub mod bindings;
mod export;
mod reach;
mod text;
pub mod wasi;

pub use bindings::acts::exports::sluicegate::connector::actions;
pub use bindings::checks::exports::sluicegate::connector::account;
pub use bindings::describes::exports::sluicegate::connector::manifest;
pub use bindings::discovers::exports::sluicegate::connector::discovery;
pub use bindings::migrates::exports::sluicegate::connector::migration;
pub use bindings::offers::sluicegate::connector::{context, crypto, fetch, files, log, state, transfers};
pub use bindings::polls::exports::sluicegate::connector::polling;
pub use bindings::receives::exports::sluicegate::connector::webhooks;
pub use bindings::subscribes::exports::sluicegate::connector::subscriptions;
pub use bindings::types::{Error, FieldProblem, OtherFailure, RemoteAnswer};
pub use reach::{get, say, say_file, send};
pub use text::{ACTION, POLLED, TRIGGER, describe, list, quote, unquote};
