//! The sandbox: where connectors run, and the only crate naming wasmtime.
//!
//! Owns the compiling, keeping, linking, instantiating, limiting and calling of
//! components, the host's side of the contract's imports, and granted folders.
//! Refuses to know flows and storage. Invariants: every instance serves one call;
//! no byte leaves but through the call's egress session; compiled code is loaded
//! only after its MAC was verified in the very buffer that is loaded; a guest's
//! fault is a failure in a report, never a panic.

mod ask;
#[doc(hidden)]
pub mod bench;
mod bindings;
mod cache;
mod call;
mod crypto;
mod describe;
mod engine;
mod error;
mod file_path;
mod files;
mod folders;
mod host;
mod inspect;
mod invoke;
mod json;
mod lanes;
mod limiter;
mod loads;
mod log;
mod meter;
mod options;
mod outcome;
mod pages;
mod plugin;
mod room;
mod sandbox;
mod services;
mod shown;
mod state;
mod state_calls;
mod ticker;
mod transfers;
mod wasi;
mod wasi_http;

pub use call::{
    Answer, Call, CallContext, Callback, Choice, ChoicePage, ContextConnection, Delivery, Event, Item, Page, Position,
    Report, Subscribed, Work,
};
pub use describe::DESCRIBE_MAX;
pub use error::{LoadError, OpenError};
pub use inspect::Exports;
pub use log::{LogLevel, LogLine};
pub use options::{Compiler, Options};
pub use plugin::Plugin;
pub use sandbox::{Sandbox, precompile};
pub use services::{Boxed, Expected, KeyRing, MacAlgorithm, Services, StateEntry, StateError, StateStore, Swap};
