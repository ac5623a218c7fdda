//! Whether a connector keeps the contract, as its own tests ask before any host runs it.
//!
//! Owns two questions: is the manifest one that the host accepts, samples included; and
//! does the component export what the manifest declares and import what a host offers.
//! Refuses to run a component: `sluice plugin test` does that, in the real host.

mod component;
mod manifest;

pub use component::{Interfaces, interfaces};
pub use manifest::{check_manifest, manifest_problems};
