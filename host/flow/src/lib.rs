//! Flows: documents people write, plans checked once at save, expressions, and the
//! run as a pure state machine.
//!
//! Refuses to know storage, sandbox, clocks, randomness, threads and IO. Everything
//! here is a function of its arguments; the engine performs the effects.

mod check;
mod document;
mod operations;
mod plan;
mod run;
mod schedule;
mod template;
mod testing;
mod view;

pub use check::{Format, check, check_calls, check_with_tests, duration_ms};
pub use document::{CONCURRENCY_MAX, DOCUMENT_BYTES_MAX, ITEMS_MAX, NESTING_MAX, STEPS_MAX, schema};
pub use operations::{CallFacts, ConnectionFacts, Operations, why_once};
pub use plan::{
    Action, Approve, Case, Concurrency, Foreach, OnError, Outcome, Plan, Poll, Respond, Retry, Start, Step, SubFlow,
    Trigger, Until, Uses, Work,
};
pub use run::{
    After, Answer, Branch, Call, Effect, Ending, Entry, Event, Iteration, Pause, RunFacts, Spot, State, Transition,
    idempotency_key, order_key, pending, step,
};
pub use schedule::{Cron, CronError, Missed, Rhythm, Schedule, Zone};
pub use template::{Template, reference};
pub use testing::{Test, Verdict};
pub use view::{ItemView, ItemsView, StepKind, StepOutcome, StepView, steps_view, subject};
