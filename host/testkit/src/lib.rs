//! What tests share: seeded randomness, a simulated disk, and tests over seeds.
//!
//! For development only. Everything here is decided by a seed, so that a
//! failure can be had again by its number.

mod seeded;
mod sim_disk;
mod torture;

pub use seeded::Seeded;
pub use sim_disk::{Fault, SimDisk};
pub use torture::Torture;
