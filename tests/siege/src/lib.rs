//! The way out of the host under attack, in a network that is all the test's own.
//!
//! A network namespace in which every address of the world is this machine: one set of
//! listeners sees every connection, whichever address and port it was made to, and the
//! kernel counts the rest. Owns the targets, the outside world, its name server and the
//! judgement. Refuses to know the inside of `egress`: it is held to what arrives.

mod authority;
mod bombard;
mod case;
mod corpus;
mod ground;
mod guarded;
mod lies;
mod nameserver;
mod outside;
mod packet;
mod random;
mod ranges;
mod sing;
mod spell;
mod tally;
mod tricks;
mod valid;

pub use bombard::corpus;
pub use ground::{Place, enter};
pub use lies::names;
pub use random::random;
pub use sing::sing;
pub use tally::Tally;
