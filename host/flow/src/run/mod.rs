//! The run as a pure state machine: plan + state + event -> entries + effects.
//!
//! Owns what is journaled, how state follows from it, and what comes next. Refuses
//! to know clocks, randomness and storage. Invariants: state follows from entries
//! alone, and no expression is evaluated to get there; a call's input and key are
//! an entry before the call is an effect; the key never depends on the attempt.

mod entry;
mod event;
mod iteration;
mod looping;
mod order;
mod pauses;
mod retry;
mod state;
mod step;
mod walk;

pub use entry::{Branch, Ending, Entry, RunFacts};
pub use event::{After, Answer, Call, Effect, Event, Pause, Transition, idempotency_key};
pub use iteration::{Iteration, Spot};
pub use order::order_key;
pub use state::State;
pub use step::{pending, step};
