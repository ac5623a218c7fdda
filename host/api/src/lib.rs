//! The host's HTTP side: webhooks in, administration, and the mapping of every
//! refusal to a status.
//!
//! The only crate naming axum. Refuses to know storage and sandbox. Invariants: a
//! webhook is answered 2xx only after the engine says that it is durable; nothing
//! of administration is answered without a token or a known peer; every error body
//! is `{"problems": [...]}`; what only the log may hold never leaves.

mod admin;
mod approvals;
mod auth;
mod backups;
mod body;
mod budget;
mod connections;
mod dead;
mod error;
mod flows;
mod hooks;
mod lifecycle;
mod plugins;
mod policies;
mod request;
mod runs;
mod serve;
mod watch;
pub mod wire;

pub use admin::admin_router;
pub use auth::{Auth, Caller, Token};
pub use error::too_large;
pub use hooks::{DELIVERY_BYTES_MAX, hooks_router};
pub use plugins::PLUGIN_BYTES_MAX;
pub use request::JSON_BYTES_MAX;
pub use serve::{Listener, call, serve};
