//! Write connectors for Sluicegate in Rust.
//!
//! A connector is plain functions on plain types: [`action`] and [`trigger`] mark the
//! functions, [`object`] the types, and one [`connector!`] makes a component of them
//! that exports exactly what it declares. Requests go out through [`http`], files
//! through [`files`]; the host decides on each, adds the credential, and never shows it.
//! [`poll`](mod@poll) reads what happened at services that deliver nothing, [`state`] keeps
//! a little, and [`crypto`] computes with keys that stay in the host.
//!
//! Unknown fields: what a flow gives is checked strictly (an input or a configuration
//! with a field that its type does not have is refused, by name), what the remote
//! service sends is read leniently (fields nobody asked for are ignored), and what a
//! connector returns may grow: a new field is no breaking change.
//!
//! Natively (`cargo test`), the host is a stand-in that plays recorded exchanges: see
//! [`testing`].

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
pub mod context;
pub mod crypto;
mod delivery;
mod discovery;
mod error;
pub mod files;
mod host;
pub mod http;
pub mod log;
mod migration;
mod operation;
mod parts;
pub mod poll;
mod reading;
mod schema;
pub mod state;
mod subscription;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;

pub use schemars;
pub use serde;
pub use serde_json;
pub use serde_json::{Value, json};
pub use sluicegate_sdk_macros::{
    action, check, choices, connector, fields, migrate, object, poll, subscription, trigger,
};

pub use delivery::{Delivery, IntoEvents, Keyed};
pub use discovery::{Choice, Choices, Fields, Offers, Search};
pub use error::{Error, FieldProblem, Result};
pub use migration::{Migrate, Version};
pub use operation::{Action, Check, Connector, Event, Nothing, Trigger};
pub use subscription::{Callback, Subscribed, Subscription};

/// What the macros' expansions use. Not for people.
#[doc(hidden)]
pub mod private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::bindings::Exported;
    pub use crate::operation::{Parts, describe_action, describe_check, describe_trigger, invoke, receive};
    pub use crate::parts::{
        config, describe_choices, describe_discovery, describe_fields, describe_migration, describe_poll,
        describe_subscription, fields, list, migrate, poll,
    };
}
