//! What tests share: seeded randomness and a simulated disk.
//!
//! For development only. Everything here is decided by a seed, so that a
//! failure can be had again by its number.

mod seeded;
mod sim_disk;

pub use seeded::Seeded;
pub use sim_disk::{Fault, SimDisk};
