//! Runs hostile guests in the real sandbox, with real policy documents, real egress
//! and a receiver on loopback, while a well-behaved neighbour works in the same sandbox.
//!
//! Owns the stage, not the expectations: each guest's outcome is asserted by the test
//! that bears its name, and a guest without such a test does not compile.

mod act;
mod attempt;
mod component;
mod made;
mod receiver;
mod services;
mod stage;

pub use act::Act;
pub use attempt::Attempt;
pub use component::component;
pub use made::{connector, describing, try_connector, try_linked};
pub use receiver::Receiver;
pub use stage::{SECRET, Stage};
