//! Triggers that the host looks after, over a real store, with a clock of the test's
//! own. Tokio's time is paused: whoever sleeps wakes at once, and asks the clock.

mod hooks;
mod polls;
mod remote;
mod schedules;
mod subscriptions;
mod world;
