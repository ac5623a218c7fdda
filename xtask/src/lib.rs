//! The project's own tool: builds connectors, shows the demo, and runs every proof.
//!
//! Judges the host from outside only: through its binary, its HTTP addresses and its
//! files. Refuses to link any of the host's crates, so that it cannot share a fault
//! with what it judges. End-to-end tests use the same parts.

pub mod api;
pub mod bench;
pub mod demo;
pub mod github;
pub mod host;
pub mod http1;
pub mod judge;
pub mod kills;
pub mod languages;
pub mod npm;
pub mod plugins;
pub mod receiver;
pub mod remote;
pub mod report;
pub mod sender;
pub mod stage;
pub mod storm;
pub mod suite;
pub mod torture;
pub mod workspace;
