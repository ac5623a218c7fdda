//! A whole host in one thread: the real engine, store, flows, policy and egress over
//! simulated time, disk, network, connectors and people.
//!
//! One number, the seed, decides everything that happens in a world, so that a world
//! that broke a promise can be lived again, step by step. Owns the faults and the
//! judgement of what came of them. Refuses to know the inside of what it proves.

mod book;
mod campaign;
mod clock;
mod connector;
mod crash;
mod dice;
mod disk;
mod flows;
mod judge;
mod life;
mod load;
mod manifest;
mod mutant;
mod people;
mod remote;
mod rest;
mod scenario;
mod senders;
mod store;
mod tamper;
mod template;
mod trace;
mod world;

pub use campaign::{Campaign, Tally};
pub use load::{Load, Space, live_load};
pub use mutant::Mutant;
pub use template::Template;
pub use world::{Lived, live};
